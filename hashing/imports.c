#include "hashing/imports.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

struct image {
	ElfW(Addr) base;
	const ElfW(Sym) *symbols;
	const char *strings;
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

static bool read_image(struct image *image)
{
	const ElfW(Dyn) *entry = main_dynamic(image);

	for (; entry && entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_SYMTAB)
			image->symbols = pointer(image, entry->d_un.d_ptr);
		if (entry->d_tag == DT_STRTAB)
			image->strings = pointer(image, entry->d_un.d_ptr);
		/* The second word of either table: first hashed symbol, or all symbols. */
		if (entry->d_tag == DT_GNU_HASH ||
		    (entry->d_tag == DT_HASH && image->imports == 0))
			image->imports = ((const uint32_t *)pointer(image, entry->d_un.d_ptr))[1];
	}
	return image->symbols && image->strings && image->imports;
}

bool lf_main_imports(const char *symbol)
{
	struct image image = { 0 };

	if (!read_image(&image))
		return false;
	for (uint32_t i = 0; i < image.imports; i++)
		if (image.symbols[i].st_shndx == SHN_UNDEF &&
		    strcmp(image.strings + image.symbols[i].st_name, symbol) == 0)
			return true;
	return false;
}
