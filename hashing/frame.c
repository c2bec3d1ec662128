#include "hashing/frame.h"

#include <string.h>

#include "hashing/hex.h"
#include "hashing/module.h"
#include "hashing/symbols.h"
#include "hashing/sys.h"
#include "hashing/utf8.h"

/* A file name may be as long as a whole frame; the function matters more. */
enum { MODULE_NAME_MAX = 128 };

static const char no_module[] = "[jit]";

static size_t function_name(const struct lf_module *module, uint64_t address,
			    char out[LF_SYMBOL_MAX])
{
	const Elf64_Phdr *segment = lf_module_segment(module, address);
	const struct lf_symbols *symbols;
	struct stat st;
	size_t len = 0;
	int fd;

	if (!segment || !(segment->p_flags & PF_X))
		return 0;
	fd = lf_module_open(module, &st);
	if (fd < 0)
		return 0;
	symbols = lf_symbols_of(module, fd, &st);
	if (symbols)
		len = lf_symbols_name(symbols, fd, address, out);
	(void)lf_sys_close(fd);
	return len;
}

/* Returns how much of `out` is written: the module's name, or all that can be said. */
static size_t put_module(const void *address, struct lf_module *module, bool *found, char *out)
{
	*found = lf_module_find(address, module);
	if (*found)
		return lf_utf8_escape(lf_module_name(module), out, MODULE_NAME_MAX);
	memcpy(out, no_module, sizeof(no_module) - 1);
	return sizeof(no_module) - 1;
}

size_t lf_frame_in(const void *address, struct lf_text function, char out[LF_FRAME_MAX])
{
	struct lf_module module;
	bool found;
	size_t len = put_module(address, &module, &found, out);

	if (!found)
		return len;
	out[len++] = '!';
	return len + lf_utf8_escape(function, out + len, LF_FRAME_MAX - len);
}

size_t lf_frame_of(const void *return_address, char out[LF_FRAME_MAX])
{
	/* The call's last byte: a call that never returns may be the last of its function. */
	uintptr_t call = (uintptr_t)return_address - 1;
	char name[LF_SYMBOL_MAX];
	struct lf_module module;
	size_t len, name_len;
	bool found;

	len = put_module((const void *)call, &module, &found, out);
	if (!found)
		return len;
	name_len = function_name(&module, call - module.base, name);
	if (name_len == 0) {
		memcpy(out + len, "+0x", 3);
		return len + 3 + lf_hex_write(call - module.base, out + len + 3);
	}
	out[len++] = '!';
	return len + lf_utf8_escape((struct lf_text){ name, name_len }, out + len,
				    LF_FRAME_MAX - len);
}

/* The loader protects whole pages only. */
static bool is_relro(const struct lf_module *module, uint64_t address)
{
	const Elf64_Phdr *end = module->headers + module->header_count;
	uint64_t protected_end;

	for (const Elf64_Phdr *header = module->headers; header < end; header++) {
		if (header->p_type != PT_GNU_RELRO || address < header->p_vaddr)
			continue;
		protected_end = header->p_vaddr + header->p_memsz;
		protected_end -= (module->base + protected_end) % lf_page_bytes();
		if (address < protected_end)
			return true;
	}
	return false;
}

bool lf_is_constant(const void *address)
{
	struct lf_module module;
	const Elf64_Phdr *segment;
	uint64_t at;

	if (!lf_module_find(address, &module))
		return false;
	at = (uintptr_t)address - module.base;
	segment = lf_module_segment(&module, at);
	return segment && (!(segment->p_flags & PF_W) || is_relro(&module, at));
}

bool lf_is_in_module(const void *address)
{
	struct lf_module module;

	return lf_module_find(address, &module);
}
