#include "hashing/symbols.h"

#include <stdatomic.h>
#include <string.h>

#include "hashing/file.h"

enum {
	FILES_MAX = 1024, /* of one process: a host that loads ever new files must not grow for ever */
	/* How far a look-up walks back, past functions that ended before the address, to one that
	 * encloses it (assembly has functions within functions). */
	LOOK_BACK = 256,
	/* How many names of one address are read: linkers that fold equal functions give hundreds. */
	ALIASES_MAX = 64,
};

/* Only grows at its head; the release that publishes an index pairs with the acquire loads here. */
static _Atomic(const struct lf_symbols *) published;

static const struct lf_symbols *find_published(const struct lf_symbols *from,
					       const struct stat *st)
{
	while (from && (from->inode != st->st_ino || from->device != st->st_dev ||
			from->bytes != st->st_size ||
			from->changed.tv_sec != st->st_mtim.tv_sec ||
			from->changed.tv_nsec != st->st_mtim.tv_nsec))
		from = from->next;
	return from;
}

static const struct lf_symbols *publish(struct lf_symbols *mine, const struct lf_symbols *head,
					const struct stat *st)
{
	const struct lf_symbols *found;

	do {
		found = find_published(head, st);
		if (found) {
			lf_symbols_free(mine);
			return found;
		}
		mine->next = head;
		mine->depth = head ? head->depth + 1 : 0;
	} while (!atomic_compare_exchange_weak_explicit(&published, &head, mine,
							memory_order_release,
							memory_order_acquire));
	return mine;
}

const struct lf_symbols *lf_symbols_of(const struct lf_module *module, int fd,
				       const struct stat *st)
{
	const struct lf_symbols *head = atomic_load_explicit(&published, memory_order_acquire);
	const struct lf_symbols *found = find_published(head, st);
	struct lf_symbols *mine;

	if (found || (head && head->depth + 1 >= FILES_MAX))
		return found;
	mine = lf_symbols_build(module, fd, st);
	return mine ? publish(mine, head, st) : NULL;
}

/* How much of a name the programmer wrote. */
static size_t written_length(const char *name, size_t len)
{
	static const char *const suffixes[] = { "isra", "part",       "cold", "constprop",
						"llvm", "lto_priv",   "__uniq",
						"localalias" };
	const char *version = memchr(name, '@', len);
	const char *dot;
	size_t end, word, i;

	if (version && version > name)
		len = (size_t)(version - name); /* memcpy@@GLIBC_2.14, in a .symtab */
again:
	for (end = len; end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9';)
		end--;
	end = end > 0 && end < len && name[end - 1] == '.' ? end - 1 : len;
	dot = memrchr(name, '.', end);
	if (!dot || dot == name)
		return len;
	word = end - (size_t)(dot + 1 - name);
	for (i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		if (word == strlen(suffixes[i]) && memcmp(dot + 1, suffixes[i], word) == 0) {
			len = (size_t)(dot - name);
			goto again;
		}
	}
	return len;
}

/* Reads a symbol's name as the programmer wrote it; 0 where the file has none there. */
static size_t read_name(const struct lf_symbols *symbols, int fd, uint32_t name,
			char out[LF_SYMBOL_MAX])
{
	const struct lf_symbol_table *table = &symbols->table;
	uint64_t left = name < table->names_bytes ? table->names_bytes - name : 0;
	size_t len = left < LF_SYMBOL_MAX ? (size_t)left : LF_SYMBOL_MAX;
	const char *end;

	if (len == 0 || !lf_file_read(fd, out, len, table->names_offset + name))
		return 0;
	end = memchr(out, '\0', len);
	if (!end && left <= LF_SYMBOL_MAX)
		return 0; /* runs out of its table */
	return written_length(out, end ? (size_t)(end - out) : len);
}

static uint64_t section_end(const struct lf_symbols *symbols, int fd, unsigned section)
{
	Elf64_Shdr header;

	if (section >= symbols->table.section_count ||
	    !lf_file_read(fd, &header, sizeof(header),
			  symbols->table.sections_offset + section * sizeof(header)) ||
	    header.sh_size > UINT64_MAX - header.sh_addr)
		return 0;
	return header.sh_addr + header.sh_size;
}

/* A function without size reaches to the next one, which the caller has seen to, or to the end of
 * its section. */
static bool covers(const struct lf_symbols *symbols, int fd, const Elf64_Sym *symbol,
		   uint64_t address)
{
	if (symbol->st_size > 0)
		return address - symbol->st_value < symbol->st_size;
	return address < section_end(symbols, fd, symbol->st_shndx);
}

struct best {
	uint32_t rank;
	size_t len;
	char *name; /* the caller's, LF_SYMBOL_MAX bytes */
};

static void consider(const struct lf_symbols *symbols, int fd, const struct lf_function *function,
		     uint64_t address, struct best *best)
{
	char name[LF_SYMBOL_MAX];
	Elf64_Sym symbol;
	size_t len;
	int order;

	if (best->len > 0 && function->rank > best->rank)
		return;
	if (!lf_file_read(fd, &symbol, sizeof(symbol),
			  symbols->table.offset + function->number * sizeof(symbol)) ||
	    symbol.st_value != symbols->lowest + function->start ||
	    !covers(symbols, fd, &symbol, address))
		return;
	len = read_name(symbols, fd, symbol.st_name, name);
	if (len == 0)
		return;
	order = memcmp(name, best->name, len < best->len ? len : best->len);
	if (best->len > 0 && function->rank == best->rank &&
	    (order > 0 || (order == 0 && len >= best->len)))
		return;
	memcpy(best->name, name, len);
	best->len = len;
	best->rank = function->rank;
}

/* The best name among the functions that start together; with a size, or without. */
static size_t name_among(const struct lf_symbols *symbols, int fd, size_t first, size_t last,
			 uint64_t address, bool sized, char out[LF_SYMBOL_MAX])
{
	uint64_t distance = address - symbols->lowest - symbols->functions[first].start;
	struct best best = { .name = out };

	for (size_t i = first; i <= last; i++) {
		const struct lf_function *function = &symbols->functions[i];
		unsigned class = function->size_class;

		if (sized ? class > 0 && distance < (uint64_t)1 << (class - 1) : class == 0)
			consider(symbols, fd, function, address, &best);
	}
	return best.len;
}

/* How many functions start at or before an offset. */
static size_t count_until(const struct lf_symbols *symbols, uint64_t offset)
{
	size_t low = 0, high = symbols->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (symbols->functions[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first, within ALIASES_MAX, of the functions that start where the last one does. */
static size_t first_alias(const struct lf_symbols *symbols, size_t last)
{
	size_t first = last;

	while (first > 0 && last - first + 1 < ALIASES_MAX &&
	       symbols->functions[first - 1].start == symbols->functions[last].start)
		first--;
	return first;
}

size_t lf_symbols_name(const struct lf_symbols *symbols, int fd, uint64_t address,
		       char out[LF_SYMBOL_MAX])
{
	uint64_t offset = address - symbols->lowest;
	size_t nearest, first, last, len;

	nearest = address < symbols->lowest ? 0 : count_until(symbols, offset);
	for (last = nearest; last > 0 && nearest - last < LOOK_BACK; last = first) {
		first = first_alias(symbols, last - 1);
		len = name_among(symbols, fd, first, last - 1, address, true, out);
		if (len > 0)
			return len;
	}
	if (nearest == 0 || !symbols->complete)
		return 0;
	return name_among(symbols, fd, first_alias(symbols, nearest - 1), nearest - 1, address,
			  false, out);
}
