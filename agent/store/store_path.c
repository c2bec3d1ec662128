/* Where the store is. */
#include "agent/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int too_long(struct lf_error *err)
{
	return lf_fail(err, -ENAMETOOLONG, "the path of the store is too long: choose a shorter one");
}

int lf_store_default_path(char out[PATH_MAX], struct lf_error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len;

	/* Whoever sets the variable has said where, root too. */
	if (state && state[0] == '/')
		len = snprintf(out, PATH_MAX, "%s/logfold/entries.db", state);
	else if (geteuid() == 0)
		len = snprintf(out, PATH_MAX, "/var/lib/logfold/entries.db");
	else if (home && home[0] == '/')
		len = snprintf(out, PATH_MAX, "%s/.local/state/logfold/entries.db", home);
	else
		return lf_fail(err, -ENOENT, "there is no default place for the store, as neither HOME "
					     "nor XDG_STATE_HOME is set: name one with --store");
	return len < PATH_MAX ? 0 : too_long(err);
}

/* The longest existing part of `path`, resolved; the rest is what stands behind it. */
static int resolve_existing(const char *path, char out[PATH_MAX], const char **rest)
{
	char part[PATH_MAX];
	char *slash;

	(void)snprintf(part, sizeof(part), "%s", path);
	*rest = path + strlen(path);
	while (!realpath(part, out)) {
		/* What cannot be reached now may be later: it is lf_store_open() that fails then, and
		 * counts can wait for a store of this name. */
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return -errno;
		slash = strrchr(part, '/');
		*rest = slash ? path + (slash - part) + 1 : path;
		if (!slash)
			(void)strcpy(part, ".");
		else if (slash == part)
			(void)strcpy(part, "/");
		else
			*slash = '\0';
	}
	return 0;
}

int lf_store_real_path(const char *path, char out[PATH_MAX], struct lf_error *err)
{
	char head[PATH_MAX];
	const char *rest;
	int rc, len;

	if (strcmp(path, LF_STORE_MEMORY) == 0) {
		memcpy(out, path, sizeof(LF_STORE_MEMORY));
		return 0;
	}
	if (path[0] == '\0' || strchr(path, '\n'))
		return lf_fail(err, -EINVAL, "the path of a store can neither be empty nor have a "
					     "newline in it");
	if (strlen(path) >= PATH_MAX)
		return too_long(err);
	rc = resolve_existing(path, head, &rest);
	if (rc < 0)
		return lf_fail(err, rc, "store '%s' cannot be reached: %s", path, strerror(-rc));
	len = snprintf(out, PATH_MAX, "%s%s%s", strcmp(head, "/") == 0 ? "" : head,
		       *rest || strcmp(head, "/") == 0 ? "/" : "", rest);
	return len < PATH_MAX ? 0 : too_long(err);
}
