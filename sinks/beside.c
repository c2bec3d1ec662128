#include "sinks/beside.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char lf_beside_libdir[] = LF_LIBDIR;

/* The library that this is in; NULL: the program itself. */
static const char *our_library(void)
{
	struct link_map *map = NULL;
	Dl_info info;

	if (!dladdr1(lf_beside_libdir, &info, (void **)&map, RTLD_DL_LINKMAP) || !map || !*map->l_name)
		return NULL;
	return map->l_name;
}

static bool program(char out[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);

	if (len <= 0)
		return false;
	out[len] = '\0';
	return true;
}

/* The folder of the library or the program that this is in, with its slash. */
static bool beside_us(char out[PATH_MAX])
{
	const char *library = our_library();
	char *slash;

	if (library ? !realpath(library, out) : !program(out))
		return false;
	slash = strrchr(out, '/');
	if (slash)
		slash[1] = '\0';
	return slash != NULL;
}

static bool is_in(const char *folder, const char *file, int mode, char out[PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s/%s", folder, file) < PATH_MAX && access(out, mode) == 0;
}

bool lf_beside_find(const char *file, int mode, char out[PATH_MAX])
{
	const char *named = secure_getenv(LF_MODULE_DIR_ENV);
	char folder[PATH_MAX];

	if (named && *named)
		return is_in(named, file, mode, out);
	return (beside_us(folder) && is_in(folder, file, mode, out)) ||
	       is_in(lf_beside_libdir, file, mode, out);
}

const char *lf_beside_whom(void)
{
	const char *library = our_library(), *slash = library ? strrchr(library, '/') : NULL;

	if (!library)
		return "logfold";
	return slash ? slash + 1 : library;
}
