#include "hashing/imports.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

struct image {
	ElfW(Addr) base;
	const ElfW(Sym) *symbols;
	const char *strings;
	size_t strings_bytes;
	uint32_t imports; /* the symbols before the hashed ones: all that are undefined */
};

/* The loader has relocated the pointers of the dynamic section on most machines, not on all. */
static const void *pointer(const struct image *image, ElfW(Addr) value)
{
	return (const void *)(value < image->base ? image->base + value : value);
}

static const ElfW(Dyn) *main_dynamic(struct image *image)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	unsigned long count = getauxval(AT_PHNUM);
	const ElfW(Dyn) *dynamic = NULL;

	for (unsigned long i = 0; headers && i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			image->base = (ElfW(Addr))headers - headers[i].p_vaddr;
	for (unsigned long i = 0; headers && i < count; i++)
		if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(image->base + headers[i].p_vaddr);
	return dynamic;
}

/* The first hashed symbol's number.  GNU ld writes 1 where it hashes none, whatever there is: then
 * all of the table are imports, and it lays the strings behind it. */
static uint32_t imports_in(const struct image *image, const uint32_t *gnu_hash)
{
	const uint32_t *buckets = gnu_hash + 4 + gnu_hash[2] * (sizeof(ElfW(Addr)) / 4);

	if (gnu_hash[1] != 1 || gnu_hash[0] != 1 || buckets[0] != 0 ||
	    image->strings < (const char *)image->symbols)
		return gnu_hash[1];
	return (uint32_t)((size_t)(image->strings - (const char *)image->symbols) /
	                  sizeof(*image->symbols));
}

static bool read_image(struct image *image)
{
	const ElfW(Dyn) *entry = main_dynamic(image);
	const uint32_t *hash = NULL, *gnu_hash = NULL;

	for (; entry && entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_SYMTAB)
			image->symbols = pointer(image, entry->d_un.d_ptr);
		if (entry->d_tag == DT_STRTAB)
			image->strings = pointer(image, entry->d_un.d_ptr);
		if (entry->d_tag == DT_STRSZ)
			image->strings_bytes = entry->d_un.d_val;
		if (entry->d_tag == DT_GNU_HASH)
			gnu_hash = pointer(image, entry->d_un.d_ptr);
		if (entry->d_tag == DT_HASH)
			hash = pointer(image, entry->d_un.d_ptr);
	}
	if (hash)
		image->imports = hash[1]; /* all symbols */
	else if (gnu_hash)
		image->imports = imports_in(image, gnu_hash);
	return image->symbols && image->strings && image->imports;
}

bool lf_main_imports(const char *symbol)
{
	struct image image = { 0 };

	if (!read_image(&image))
		return false;
	for (uint32_t i = 0; i < image.imports; i++)
		if (image.symbols[i].st_shndx == SHN_UNDEF &&
		    image.symbols[i].st_name < image.strings_bytes &&
		    strcmp(image.strings + image.symbols[i].st_name, symbol) == 0)
			return true;
	return false;
}
