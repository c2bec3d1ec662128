#include "agent/cli/preload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "liblogfold-preload.so"
#define SEPARATORS " :" /* of LD_PRELOAD; there is no way to escape them */

/* Whether it is a file that can be loaded; its real path. */
static bool is_there(const char *path, char out[PATH_MAX])
{
	struct stat st;

	return realpath(path, out) && stat(out, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(out, R_OK) == 0;
}

static bool is_beside_us(char out[PATH_MAX])
{
	char path[PATH_MAX + sizeof(LIBRARY)];
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (len < 0)
		return false;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	memcpy(slash + 1, LIBRARY, sizeof(LIBRARY));
	return is_there(path, out);
}

int lf_preload_find(char out[PATH_MAX], struct lf_error *err)
{
	const char *named = getenv(LF_PRELOAD_ENV);

	if (named && *named) {
		if (!is_there(named, out))
			return lf_fail(err, -ENOENT,
				       "'%.300s' is no readable file: correct or unset " LF_PRELOAD_ENV,
				       named);
	} else if (!is_beside_us(out) && !is_there(LF_LIBDIR "/" LIBRARY, out)) {
		return lf_fail(err, -ENOENT,
			       LIBRARY " is neither beside logfold nor in " LF_LIBDIR
				       ": install it there, or name it in " LF_PRELOAD_ENV);
	}
	if (strpbrk(out, SEPARATORS))
		return lf_fail(err, -EINVAL,
			       "LD_PRELOAD cannot name '%.300s', which holds a space or colon: move it, or "
			       "name a copy in " LF_PRELOAD_ENV,
			       out);
	return 0;
}

char *lf_preload_append(const char *before, const char *library)
{
	size_t len = 0, room = (before ? strlen(before) : 0) + strlen(library) + 2;
	char *out = malloc(room);

	if (!out)
		return NULL;
	while (before && *before) {
		size_t word = strcspn(before, SEPARATORS);

		/* A nested run finds the library there already. */
		if (word > 0 && !(word == strlen(library) && memcmp(before, library, word) == 0)) {
			memcpy(out + len, before, word);
			len += word;
			out[len++] = ':';
		}
		before += word + (before[word] != '\0');
	}
	memcpy(out + len, library, strlen(library) + 1);
	return out;
}
