#include "hashing/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "hashing/file.h"
#include "hashing/hex.h"
#include "hashing/sys.h"

enum {
	FIRST_PAGE_BYTES = 4096, /* the smallest page: mapped whole wherever its first byte is */
	COMPARED_BYTES = 1024,   /* ELF header, program headers, and the build id behind them */
	MAPPED_PATH_MAX = 1024,
};

static const char exe_link[] = "/proc/self/exe";
static const char mapped_links[] = "/proc/self/map_files/";
static const char deleted[] = " (deleted)"; /* what the kernel writes behind the path of such a file */

/* The main program's own, found once.  All threads find the same; the pointer is stored last. */
static struct {
	_Atomic(const Elf64_Phdr *) headers; /* release pairs with the acquire in main_headers() */
	_Atomic size_t header_count;
	_Atomic(const struct main_file *) file; /* release pairs with the acquire in main_file() */
} main_program;

struct main_file {
	struct lf_text name, path; /* the path is empty where only the name is known */
	char room[PATH_MAX];
};

static unsigned long from_auxv(unsigned long type)
{
	int saved = errno;
	unsigned long value = getauxval(type); /* no lock; it sets errno where it finds nothing */

	errno = saved;
	return value;
}

size_t lf_page_bytes(void)
{
	static _Atomic unsigned long known; /* the same for all who ask: a race is harmless */
	unsigned long bytes = atomic_load_explicit(&known, memory_order_relaxed);

	if (!bytes) {
		bytes = from_auxv(AT_PAGESZ);
		bytes = bytes ? bytes : FIRST_PAGE_BYTES;
		atomic_store_explicit(&known, bytes, memory_order_relaxed);
	}
	return bytes;
}

/* Not by the ELF header: of a main program with a hole between its segments the loader tells only
 * the one segment that holds the address. */
static void main_headers(struct lf_module *out)
{
	out->headers = atomic_load_explicit(&main_program.headers, memory_order_acquire);
	if (!out->headers) {
		atomic_store_explicit(&main_program.header_count, from_auxv(AT_PHNUM),
				      memory_order_relaxed);
		out->headers = (const Elf64_Phdr *)from_auxv(AT_PHDR);
		atomic_store_explicit(&main_program.headers, out->headers, memory_order_release);
	}
	out->header_count = out->headers ? atomic_load_explicit(&main_program.header_count,
								memory_order_relaxed)
					 : 0;
}

/* A library's headers lie in its first page, where the first segment begins at the file's first
 * byte.  A linker script may have it otherwise: then there are none for us. */
static void library_headers(const char *mapped, struct lf_module *out)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)(const void *)mapped;
	const Elf64_Phdr *first;

	if (memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf->e_phentsize != sizeof(Elf64_Phdr) || elf->e_phoff % _Alignof(Elf64_Phdr) != 0 ||
	    elf->e_phoff > FIRST_PAGE_BYTES ||
	    elf->e_phnum > (FIRST_PAGE_BYTES - elf->e_phoff) / sizeof(Elf64_Phdr))
		return;
	out->headers = (const Elf64_Phdr *)(const void *)(mapped + elf->e_phoff);
	out->header_count = elf->e_phnum;
	first = lf_module_segment(out, (uintptr_t)mapped - out->base);
	if (first && first->p_offset == 0 && out->base + first->p_vaddr == (uintptr_t)mapped)
		return;
	out->headers = NULL;
	out->header_count = 0;
}

bool lf_module_find(const void *address, struct lf_module *out)
{
	struct dl_find_object object;

	if (_dl_find_object((void *)(uintptr_t)address, &object) != 0)
		return false;
	*out = (struct lf_module){
		.path = object.dlfo_link_map->l_name,
		.base = object.dlfo_link_map->l_addr,
	};
	if (out->path[0] == '\0')
		main_headers(out);
	else
		library_headers(object.dlfo_map_start, out);
	return true;
}

const Elf64_Phdr *lf_module_segment(const struct lf_module *module, uint64_t file_address)
{
	const Elf64_Phdr *end = module->headers + module->header_count;

	for (const Elf64_Phdr *header = module->headers; header < end; header++) {
		if (header->p_type == PT_LOAD && file_address - header->p_vaddr < header->p_memsz)
			return header;
	}
	return NULL;
}

/* The segment that begins at the file's first byte. */
static const Elf64_Phdr *first_segment(const struct lf_module *module)
{
	const Elf64_Phdr *end = module->headers + module->header_count;

	for (const Elf64_Phdr *header = module->headers; header < end; header++) {
		if (header->p_type == PT_LOAD && header->p_offset == 0)
			return header;
	}
	return NULL;
}

/* Compares what is mapped with the file.  The size is asked first, because the mapping of a file
 * that was truncated since ends in SIGBUS. */
static bool is_loaded_file(const struct lf_module *module, int fd, const struct stat *st)
{
	const Elf64_Phdr *first = first_segment(module);
	unsigned char block[COMPARED_BYTES];
	size_t len;

	if (!first)
		return false;
	len = first->p_filesz < sizeof(block) ? first->p_filesz : sizeof(block);
	return len >= sizeof(Elf64_Ehdr) && (uint64_t)st->st_size >= len &&
	       lf_file_read(fd, block, len, 0) &&
	       memcmp(block, (const void *)(module->base + first->p_vaddr), len) == 0;
}

/* Non-blocking, because something else may stand there by now: a FIFO would hold up the host. */
static int open_if_loaded(const struct lf_module *module, const char *path, struct stat *out)
{
	int fd = lf_sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	int rc;

	if (fd < 0)
		return fd;
	rc = lf_sys_fstat(fd, out);
	if (rc == 0 && (!S_ISREG(out->st_mode) || !is_loaded_file(module, fd, out)))
		rc = -ESTALE;
	if (rc == 0)
		return fd;
	(void)lf_sys_close(fd);
	return rc;
}

/* A program that was started by way of the loader (ld.so ./program) is not what /proc/self/exe
 * says; the loader then leaves its path in AT_EXECFN. */
static int open_main(const struct lf_module *module, struct stat *out)
{
	const char *started = (const char *)from_auxv(AT_EXECFN);
	int fd = open_if_loaded(module, exe_link, out);

	return fd >= 0 || !started ? fd : open_if_loaded(module, started, out);
}

/* The kernel knows the absolute path of what is mapped; reading the link needs no privilege, only
 * following it does.  Its name is the range of the mapping.  Returns the length, or a negative errno. */
static ssize_t read_mapped_link(const struct lf_module *module, char *out, size_t size)
{
	const Elf64_Phdr *first = first_segment(module);
	char link[sizeof(mapped_links) + 2 * LF_HEX_MAX + 1];
	size_t page = lf_page_bytes(), at = sizeof(mapped_links) - 1;
	uintptr_t start, end;

	if (!first)
		return -ESTALE;
	start = module->base + first->p_vaddr;
	end = (start + first->p_filesz + page - 1) / page * page;
	memcpy(link, mapped_links, at);
	at += lf_hex_write(start, link + at);
	link[at++] = '-';
	at += lf_hex_write(end, link + at);
	link[at] = '\0';
	return lf_sys_readlinkat(AT_FDCWD, link, out, size);
}

static int open_mapped(const struct lf_module *module, struct stat *out)
{
	char path[MAPPED_PATH_MAX];
	ssize_t len = read_mapped_link(module, path, sizeof(path) - 1);

	if (len < 0)
		return (int)len;
	path[len] = '\0';
	return open_if_loaded(module, path, out);
}

/* A relative path (LD_LIBRARY_PATH=., dlopen("./x.so")) is of no use once the host has changed its
 * directory, as a daemon does: frames must not depend on when they are first seen. */
static int open_library(const struct lf_module *module, struct stat *out)
{
	int fd;

	if (!strchr(module->path, '/'))
		return -ENOENT; /* linux-vdso.so.1: no file */
	fd = open_if_loaded(module, module->path, out);
	return fd >= 0 || module->path[0] == '/' ? fd : open_mapped(module, out);
}

int lf_module_open(const struct lf_module *module, struct stat *out)
{
	return module->path[0] == '\0' ? open_main(module, out) : open_library(module, out);
}

static struct lf_text basename_of(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);
	size_t skipped = slash ? (size_t)(slash - path) + 1 : 0;

	return (struct lf_text){ path + skipped, len - skipped };
}

static size_t without_deleted(const char *path, size_t len)
{
	const size_t suffix = sizeof(deleted) - 1;

	return len > suffix && memcmp(path + len - suffix, deleted, suffix) == 0 ? len - suffix : len;
}

/* The link names the file that runs, also when it was replaced or renamed since. */
static size_t read_exe_link(const struct lf_module *module, char *out, size_t size)
{
	struct stat st;
	int fd = open_if_loaded(module, exe_link, &st);
	ssize_t len;

	if (fd < 0)
		return 0;
	(void)lf_sys_close(fd);
	len = lf_sys_readlinkat(AT_FDCWD, exe_link, out, size);
	return len > 0 ? without_deleted(out, (size_t)len) : 0;
}

static void name_main_file(const struct lf_module *module, struct main_file *out)
{
	const char *started = (const char *)from_auxv(AT_EXECFN);
	size_t len = read_exe_link(module, out->room, sizeof(out->room));

	if (len)
		out->path = (struct lf_text){ out->room, len };
	else if (started && *started == '/')
		out->path = (struct lf_text){ started, strlen(started) };
	if (out->path.len)
		out->name = basename_of(out->path.data, out->path.len);
	else
		out->name = started ? basename_of(started, strlen(started))
				    : (struct lf_text){ "?", 1 };
}

/* A path may fill a page, too much for the stack of a signal handler: it gets a mapping, which is
 * kept for good, as the name is. */
static const struct main_file *find_main_file(const struct lf_module *module)
{
	const struct main_file *expected = NULL;
	struct main_file *found;
	void *memory;

	if (lf_sys_mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
		return NULL;
	found = memory;
	name_main_file(module, found);
	if (atomic_compare_exchange_strong_explicit(&main_program.file, &expected, found,
						    memory_order_release, memory_order_acquire))
		return found;
	(void)lf_sys_munmap(memory, sizeof(*found));
	return expected;
}

static const struct main_file *main_file(const struct lf_module *module)
{
	const struct main_file *file =
		atomic_load_explicit(&main_program.file, memory_order_acquire);

	return file ? file : find_main_file(module);
}

struct lf_text lf_module_name(const struct lf_module *module)
{
	const struct main_file *file;

	if (module->path[0] != '\0')
		return basename_of(module->path, strlen(module->path));
	file = main_file(module);
	return file ? file->name : (struct lf_text){ "?", 1 };
}

static struct lf_text known_path(const struct lf_module *module)
{
	const struct main_file *file;

	if (module->path[0] != '\0')
		return (struct lf_text){ module->path, strlen(module->path) };
	file = main_file(module);
	return file ? file->path : (struct lf_text){ NULL, 0 };
}

/* What the loader was given may be relative to a directory that the process has left since. */
size_t lf_module_path(const struct lf_module *module, char out[LF_MODULE_PATH_MAX])
{
	struct lf_text path = known_path(module);
	ssize_t len;

	if (path.len > 0 && path.data[0] == '/') {
		if (path.len > LF_MODULE_PATH_MAX)
			return 0;
		memcpy(out, path.data, path.len);
		return path.len;
	}
	if (path.len > 0 && !memchr(path.data, '/', path.len))
		return 0; /* linux-vdso.so.1: no file */
	len = read_mapped_link(module, out, LF_MODULE_PATH_MAX);
	return len > 0 && len < LF_MODULE_PATH_MAX && out[0] == '/' ? without_deleted(out, (size_t)len)
								    : 0;
}

/* ---- The build id ---- */

static size_t padded(size_t bytes, size_t alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

static size_t write_bytes(const unsigned char *bytes, size_t count, char out[LF_BUILD_ID_CHARS])
{
	static const char digits[] = "0123456789abcdef";

	if (2 * count > LF_BUILD_ID_CHARS)
		return 0;
	for (size_t i = 0; i < count; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	return 2 * count;
}

static size_t build_id_in(const char *notes, size_t bytes, size_t alignment,
			  char out[LF_BUILD_ID_CHARS])
{
	Elf64_Nhdr note;

	while (bytes >= sizeof(note)) {
		size_t name, body;

		memcpy(&note, notes, sizeof(note));
		name = padded(sizeof(note) + (size_t)note.n_namesz, alignment);
		body = name + note.n_descsz;
		if (body > bytes)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + sizeof(note), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0)
			return write_bytes((const unsigned char *)notes + name, note.n_descsz, out);
		body = padded(body, alignment);
		if (body >= bytes)
			return 0;
		notes += body;
		bytes -= body;
	}
	return 0;
}

/* Notes that the loader mapped lie in a segment, all of them; others are not in memory.  Only those in the page
 * that has the headers are read, where linkers put the build id: what lies behind may be gone with SIGBUS
 * from a file that was truncated since. */
static bool is_readable(const struct lf_module *module, const Elf64_Phdr *notes)
{
	const Elf64_Phdr *segment = lf_module_segment(module, notes->p_vaddr);

	return segment && segment->p_offset == 0 && notes->p_memsz <= segment->p_filesz &&
	       notes->p_vaddr - segment->p_vaddr <= segment->p_filesz - notes->p_memsz &&
	       notes->p_memsz <= FIRST_PAGE_BYTES &&
	       notes->p_vaddr - segment->p_vaddr <= FIRST_PAGE_BYTES - notes->p_memsz;
}

size_t lf_module_build_id(const struct lf_module *module, char out[LF_BUILD_ID_CHARS])
{
	const Elf64_Phdr *end = module->headers + module->header_count;
	size_t len = 0;

	for (const Elf64_Phdr *header = module->headers; header < end && len == 0; header++)
		if (header->p_type == PT_NOTE && is_readable(module, header))
			len = build_id_in((const char *)(module->base + header->p_vaddr),
					  header->p_memsz, header->p_align == 8 ? 8 : 4, out);
	return len;
}
