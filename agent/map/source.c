#include "agent/map/source.h"

#include "hashing/module.h"

_Static_assert(LF_SOURCE_MAX == LF_BUILD_ID_CHARS + 1 + LF_MODULE_PATH_MAX, "layout.h says what fits");

/* The module by its build id and file, and the last byte of the call as an address of that file, which is
 * what its debug information speaks of. */
void lf_source_find(struct lf_map *map, struct lf_map_key *key)
{
	uintptr_t call = (uintptr_t)key->caller - 1;
	char text[LF_SOURCE_MAX];
	struct lf_module module;
	size_t len, path_len;

	if (key->source || !key->caller || !lf_module_find((const void *)call, &module) ||
	    call - module.base > UINT32_MAX)
		return;
	len = lf_module_build_id(&module, text);
	if (len == 0)
		text[len++] = '-';
	text[len++] = ' ';
	path_len = lf_module_path(&module, text + len);
	if (path_len == 0)
		return;
	key->source = lf_map_intern(map, (struct lf_text){ text, len + path_len });
	key->source_at = (uint32_t)(call - module.base);
}
