#include "agent/core/beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char lf_beside_libdir[] = LF_LIBDIR;

/* The folder of the running program, with its slash. */
static bool beside_us(char out[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (len <= 0)
		return false;
	out[len] = '\0';
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
