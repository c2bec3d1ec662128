#include "agent/http/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SONAME "libmicrohttpd.so.12"

struct lf_mhd lf_mhd;

static const struct {
	const char *name;
	size_t at;
} functions[] = {
#define FUNCTION(name) { "MHD_" #name, offsetof(struct lf_mhd, name) },
	LF_MHD_FUNCTIONS(FUNCTION)
};

int lf_mhd_load(struct lf_error *err)
{
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL), *function;
	struct lf_mhd found = { 0 };

	for (size_t i = 0; library && i < sizeof(functions) / sizeof(*functions); i++) {
		function = dlsym(library, functions[i].name);
		if (!function)
			library = NULL;
		memcpy((char *)&found + functions[i].at, &function, sizeof(function));
	}
	if (!library)
		return lf_fail(err, -ENOENT, "the HTTP server's library cannot be loaded: %s: install libmicrohttpd", dlerror());
	lf_mhd = found;
	return 0;
}
