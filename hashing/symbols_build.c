#include <string.h>

#include "hashing/file.h"
#include "hashing/symbols.h"

enum {
	SCANNED_MAX = 1 << LF_SYMBOL_NUMBER_BITS, /* 100 MB of table, 50 ms */
	SECTIONS_MAX = 1 << 16,
	BLOCK_SYMBOLS = 341,  /* 8 KiB: larger blocks cost more in page faults than they save */
	BLOCK_SECTIONS = 16,  /* 1 KiB, on the stack */
	RADIX_BITS = 8,
	RADIX = 1 << RADIX_BITS,
};

/* One mapping: the index with room for every symbol, as much again to sort into, and the block that
 * the table is read into.  What lies behind the index goes back to the kernel. */
struct workspace {
	size_t bytes;
	struct lf_symbols *index;
	struct lf_function *spare;
	Elf64_Sym *block;
	uint64_t span; /* addresses of code: [index->lowest, index->lowest + span) */
};

static bool lies_within(uint64_t offset, uint64_t len, uint64_t bytes)
{
	return len <= bytes && offset <= bytes - len;
}

/* Files with more sections than e_shnum can hold have their number in the first section. */
static bool find_sections(int fd, uint64_t file_bytes, struct lf_symbol_table *out)
{
	Elf64_Ehdr elf;
	Elf64_Shdr first;

	if (!lf_file_read(fd, &elf, sizeof(elf), 0) || elf.e_shoff == 0 ||
	    elf.e_shentsize != sizeof(Elf64_Shdr))
		return false;
	out->sections_offset = elf.e_shoff;
	out->section_count = elf.e_shnum;
	if (out->section_count == 0) {
		if (!lf_file_read(fd, &first, sizeof(first), elf.e_shoff))
			return false;
		out->section_count = first.sh_size;
	}
	return out->section_count <= SECTIONS_MAX &&
	       lies_within(elf.e_shoff, out->section_count * sizeof(Elf64_Shdr), file_bytes);
}

static bool use_section(int fd, uint64_t file_bytes, const Elf64_Shdr *symbols,
			struct lf_symbol_table *out)
{
	Elf64_Shdr names;

	if (symbols->sh_entsize != sizeof(Elf64_Sym) || symbols->sh_link >= out->section_count ||
	    !lies_within(symbols->sh_offset, symbols->sh_size, file_bytes) ||
	    !lf_file_read(fd, &names, sizeof(names),
			  out->sections_offset + symbols->sh_link * sizeof(names)) ||
	    names.sh_type != SHT_STRTAB ||
	    !lies_within(names.sh_offset, names.sh_size, file_bytes))
		return false;
	out->offset = symbols->sh_offset;
	out->count = symbols->sh_size / sizeof(Elf64_Sym);
	out->names_offset = names.sh_offset;
	out->names_bytes = names.sh_size;
	return out->count > 1; /* the first symbol is no symbol */
}

static bool find_table(int fd, uint64_t file_bytes, uint32_t type, struct lf_symbol_table *out)
{
	Elf64_Shdr block[BLOCK_SECTIONS];
	uint64_t done, i, n;

	for (done = 0; done < out->section_count; done += n) {
		n = out->section_count - done;
		n = n < BLOCK_SECTIONS ? n : BLOCK_SECTIONS;
		if (!lf_file_read(fd, block, n * sizeof(*block),
				  out->sections_offset + done * sizeof(*block)))
			return false;
		for (i = 0; i < n; i++) {
			if (block[i].sh_type == type &&
			    use_section(fd, file_bytes, &block[i], out))
				return true;
		}
	}
	return false;
}

static size_t index_bytes(size_t count)
{
	return sizeof(struct lf_symbols) + count * sizeof(struct lf_function);
}

static bool make_workspace(size_t symbols, struct workspace *out)
{
	size_t room = symbols < LF_FUNCTIONS_MAX ? symbols : LF_FUNCTIONS_MAX;
	void *memory;

	out->bytes = index_bytes(2 * room) + (BLOCK_SYMBOLS + 1) * sizeof(Elf64_Sym);
	if (lf_sys_mmap(NULL, out->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0, &memory) < 0)
		return false;
	out->index = memory;
	out->spare = out->index->functions + room;
	out->block = (Elf64_Sym *)(void *)(out->spare + room);
	return true;
}

/* Keeps the pages of the first `kept` bytes. */
static void trim(void *memory, size_t kept, size_t bytes)
{
	size_t page = lf_page_bytes();

	kept = (kept + page - 1) / page * page;
	if (kept < bytes)
		(void)lf_sys_munmap((char *)memory + kept, bytes - kept);
}

static void find_code(const struct lf_module *module, struct workspace *work)
{
	const Elf64_Phdr *end = module->headers + module->header_count;
	uint64_t lowest = UINT64_MAX, highest = 0;

	for (const Elf64_Phdr *header = module->headers; header < end; header++) {
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) ||
		    header->p_memsz > UINT64_MAX - header->p_vaddr)
			continue;
		if (header->p_vaddr < lowest)
			lowest = header->p_vaddr;
		if (header->p_vaddr + header->p_memsz > highest)
			highest = header->p_vaddr + header->p_memsz;
	}
	work->index->lowest = lowest;
	work->span = highest > lowest ? highest - lowest : 0;
	if (work->span > UINT32_MAX)
		work->span = UINT32_MAX;
}

/* A local label without type is the target of a jump within an assembler function, or on aarch64 a
 * mark of the assembler ($x); a global one is a function whose author left out the type. */
static bool is_function(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	if (symbol->st_shndx == SHN_UNDEF ||
	    (symbol->st_shndx >= SHN_LORESERVE && symbol->st_shndx != SHN_XINDEX))
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC ||
	       (type == STT_NOTYPE && ELF64_ST_BIND(symbol->st_info) != STB_LOCAL);
}

static uint32_t size_class(uint64_t size)
{
	if (size <= 1)
		return size == 1;
	if (size > UINT32_MAX)
		return 33;
	return 1 + 64 - (uint32_t)__builtin_clzll(size - 1);
}

static uint32_t rank_of(const Elf64_Sym *symbol)
{
	switch (ELF64_ST_BIND(symbol->st_info)) {
	case STB_LOCAL:
		return LF_RANK_LOCAL;
	case STB_WEAK:
		return LF_RANK_WEAK;
	default:
		return LF_RANK_GLOBAL;
	}
}

/* False: the index is full. */
static bool add_function(struct workspace *work, const Elf64_Sym *symbol, uint64_t number)
{
	struct lf_symbols *index = work->index;
	uint64_t start = symbol->st_value - index->lowest;

	if (start >= work->span || !is_function(symbol))
		return true;
	if (index->count == LF_FUNCTIONS_MAX)
		return false;
	index->functions[index->count++] = (struct lf_function){
		.start = (uint32_t)start,
		.number = number & (SCANNED_MAX - 1),
		.size_class = size_class(symbol->st_size) & 63,
		.rank = rank_of(symbol) & 3,
	};
	return true;
}

/* False: some functions are missing. */
static bool scan_table(struct workspace *work, int fd, const struct lf_symbol_table *table)
{
	uint64_t end = table->count < SCANNED_MAX ? table->count : SCANNED_MAX;
	uint64_t number, i, n;

	for (number = 0; number < end; number += n) {
		n = end - number < BLOCK_SYMBOLS ? end - number : BLOCK_SYMBOLS;
		if (!lf_file_read(fd, work->block, n * sizeof(*work->block),
				  table->offset + number * sizeof(*work->block)))
			return false;
		for (i = 0; i < n; i++) {
			if (!add_function(work, &work->block[i], number + i))
				return false;
		}
	}
	return end == table->count;
}

/* One pass of a radix sort, which keeps the order of equal digits.  False: all digits are equal and
 * nothing was moved. */
static bool sort_digit(const struct lf_function *from, struct lf_function *to, size_t count,
		       unsigned shift)
{
	uint32_t places[RADIX] = { 0 }, place = 0, n;
	size_t i;

	for (i = 0; i < count; i++)
		places[from[i].start >> shift & (RADIX - 1)]++;
	if (places[from[0].start >> shift & (RADIX - 1)] == count)
		return false;
	for (i = 0; i < RADIX; i++) {
		n = places[i];
		places[i] = place;
		place += n;
	}
	for (i = 0; i < count; i++)
		to[places[from[i].start >> shift & (RADIX - 1)]++] = from[i];
	return true;
}

/* By start, and by number where starts are equal, as that is the order they come in. */
static void sort_functions(struct workspace *work)
{
	struct lf_function *from = work->index->functions, *to = work->spare, *swapped;
	size_t count = work->index->count;
	unsigned shift;

	for (shift = 0; count > 1 && shift < 32; shift += RADIX_BITS) {
		if (!sort_digit(from, to, count, shift))
			continue;
		swapped = from;
		from = to;
		to = swapped;
	}
	if (from != work->index->functions)
		memcpy(work->index->functions, from, count * sizeof(*from));
}

/* An index of one table; NULL without memory. */
static struct lf_symbols *build_from(const struct lf_module *module, int fd,
				     const struct lf_symbol_table *table, bool complete)
{
	struct workspace work;

	if (!make_workspace(table->count, &work))
		return NULL;
	find_code(module, &work);
	work.index->table = *table;
	work.index->complete = scan_table(&work, fd, table) && complete;
	sort_functions(&work);
	trim(work.index, index_bytes(work.index->count), work.bytes);
	return work.index;
}

/* A .symtab may hold file names only: then the .dynsym says more. */
static struct lf_symbols *build_from_best(const struct lf_module *module, int fd,
					  uint64_t file_bytes)
{
	static const struct {
		uint32_t type;
		bool complete; /* a .dynsym has the exported functions only */
	} kinds[] = { { SHT_SYMTAB, true }, { SHT_DYNSYM, false } };
	struct lf_symbol_table table = { 0 };
	struct lf_symbols *index;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!find_sections(fd, file_bytes, &table) ||
		    !find_table(fd, file_bytes, kinds[i].type, &table))
			continue;
		index = build_from(module, fd, &table, kinds[i].complete);
		if (!index || index->count > 0)
			return index;
		lf_symbols_free(index);
	}
	return build_from(module, fd, &(struct lf_symbol_table){ 0 }, false);
}

struct lf_symbols *lf_symbols_build(const struct lf_module *module, int fd, const struct stat *st)
{
	struct lf_symbols *index = build_from_best(module, fd, (uint64_t)st->st_size);

	if (!index)
		return NULL;
	index->device = st->st_dev;
	index->inode = st->st_ino;
	index->bytes = st->st_size;
	index->changed = st->st_mtim;
	return index;
}

void lf_symbols_free(struct lf_symbols *symbols)
{
	if (symbols)
		trim(symbols, 0, index_bytes(symbols->count));
}
