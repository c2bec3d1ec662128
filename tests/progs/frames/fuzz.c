/* fuzz FILE SEED MILLISECONDS: indexes damaged copies of an ELF file and looks functions up in them.
 *
 * Built with the address and undefined-behaviour sanitizers; the copies' program headers lie in heap
 * memory of their exact size.  Prints how many copies there were and how many names they still gave:
 * a fuzzer that reaches nothing is seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hashing/file.h"
#include "hashing/symbols.h"

enum { DAMAGES_MAX = 8, LOOKUPS = 40, FILE_BYTES_MAX = 4 << 20 };

static uint64_t state;

static uint64_t any(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? state % below : 0;
}

/* Numbers that break careless arithmetic. */
static uint64_t nasty(size_t file_bytes)
{
	const uint64_t numbers[] = {
		0, 1, 2, 7, 24, 64, file_bytes - 1, file_bytes, file_bytes + 1, INT32_MAX, UINT32_MAX,
		UINT32_MAX + 1ull, INT64_MAX, UINT64_MAX, UINT64_MAX - 23, UINT64_MAX - file_bytes,
		any(UINT64_MAX), any(file_bytes),
	};

	return numbers[any(sizeof(numbers) / sizeof(*numbers))];
}

/* Half of the damage goes to headers, which decide where everything else is looked for. */
static size_t target(const unsigned char *file, size_t bytes)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)(const void *)file;
	size_t sections = elf->e_shnum * sizeof(Elf64_Shdr);

	switch (any(4)) {
	case 0:
		return any(sizeof(*elf) + elf->e_phnum * sizeof(Elf64_Phdr)) & ~3ull;
	case 1:
		if (elf->e_shoff < bytes && sections <= bytes - elf->e_shoff)
			return (elf->e_shoff + any(sections)) & ~3ull;
		return any(bytes);
	default:
		return any(bytes);
	}
}

static size_t damage(unsigned char *file, size_t bytes)
{
	uint64_t value;
	size_t at, i, len, count = any(DAMAGES_MAX);

	for (i = 0; i < count; i++) {
		value = nasty(bytes);
		at = target(file, bytes);
		len = (size_t)1 << any(4);
		if (len <= bytes - at)
			memcpy(file + at, &value, len);
	}
	return any(4) ? bytes : any(bytes) + 1;
}

/* Writes a damaged copy into the fd, and returns its length; 0 where that failed. */
static size_t write_damaged(unsigned char *copy, const unsigned char *original, size_t bytes, int fd)
{
	size_t kept;

	memcpy(copy, original, bytes);
	kept = damage(copy, bytes);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, copy, kept, 0) != (ssize_t)kept)
		return 0;
	return kept;
}

/* False: the program headers lie outside the file. */
static bool describe(const unsigned char *file, size_t bytes, struct lf_module *out)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)(const void *)file;
	size_t headers_bytes = elf->e_phnum * sizeof(Elf64_Phdr);
	Elf64_Phdr *headers;

	if (bytes < sizeof(*elf) || elf->e_phoff > bytes || headers_bytes > bytes - elf->e_phoff)
		return false;
	headers = malloc(headers_bytes ? headers_bytes : 1);
	memcpy(headers, file + elf->e_phoff, headers_bytes);
	*out = (struct lf_module){ "fuzz", 0, headers, elf->e_phnum };
	return true;
}

static uint64_t look_up(const struct lf_symbols *symbols, size_t bytes, int fd)
{
	char name[LF_SYMBOL_MAX];
	uint64_t found = 0, address, i;

	for (i = 0; symbols && i < LOOKUPS; i++) {
		address = symbols->lowest + any(i % 2 ? bytes : UINT64_MAX);
		if (symbols->count > 0 && i % 4)
			address = symbols->lowest + any(3) +
				  symbols->functions[any(symbols->count)].start;
		found += lf_symbols_name(symbols, fd, address, name) > 0;
	}
	return found;
}

/* Every other index is asked after its file was damaged once more. */
static uint64_t one_copy(unsigned char *copy, const unsigned char *original, size_t bytes, int fd)
{
	size_t kept = write_damaged(copy, original, bytes, fd);
	struct lf_symbols *symbols = NULL;
	struct lf_module module;
	struct stat st;
	uint64_t found;

	if (!describe(copy, kept, &module))
		return 0;
	if (fstat(fd, &st) == 0)
		symbols = lf_symbols_build(&module, fd, &st);
	if (any(2))
		(void)write_damaged(copy, original, bytes, fd);
	found = look_up(symbols, bytes, fd);
	lf_symbols_free(symbols);
	free((void *)(uintptr_t)module.headers);
	return found;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	static unsigned char original[FILE_BYTES_MAX], copy[FILE_BYTES_MAX];
	FILE *in = argc == 4 ? fopen(argv[1], "re") : NULL;
	size_t bytes = in ? fread(original, 1, sizeof(original), in) : 0;
	uint64_t end, copies = 0, names = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (bytes < sizeof(Elf64_Ehdr) || fd < 0)
		return 2;
	(void)fclose(in);
	state = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
	end = now_ms() + strtoull(argv[3], NULL, 10);
	for (; now_ms() < end; copies++)
		names += one_copy(copy, original, bytes, fd);
	printf("%lu copies, %lu names\n", (unsigned long)copies, (unsigned long)names);
	return 0;
}
