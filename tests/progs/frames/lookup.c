/* lookup FILE: reads addresses of the file, in hex, one a line, and prints for each the function
 * that covers it, or "-".  The file is not loaded; its program headers are read from it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hashing/file.h"
#include "hashing/symbols.h"

enum { HEADERS_MAX = 64 };

int main(int argc, char **argv)
{
	Elf64_Phdr headers[HEADERS_MAX];
	Elf64_Ehdr elf;
	struct stat st;
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct lf_module module = { .path = argv[1], .headers = headers };
	const struct lf_symbols *symbols;
	char name[LF_SYMBOL_MAX];
	unsigned long address;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !lf_file_read(fd, &elf, sizeof(elf), 0) ||
	    elf.e_phnum > HEADERS_MAX ||
	    !lf_file_read(fd, headers, elf.e_phnum * sizeof(*headers), elf.e_phoff))
		return 1;
	module.header_count = elf.e_phnum;
	symbols = lf_symbols_of(&module, fd, &st);
	if (!symbols)
		return 1;
	while (scanf("%lx", &address) == 1) {
		len = lf_symbols_name(symbols, fd, address, name);
		printf("%.*s\n", len ? (int)len : 1, len ? name : "-");
	}
	return 0;
}
