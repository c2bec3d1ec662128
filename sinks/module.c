#include "sinks/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinks/beside.h"

static int find_file(const char *name, char out[PATH_MAX], struct lf_error *err)
{
	const char *named = secure_getenv(LF_MODULE_DIR_ENV);
	char file[NAME_MAX];

	(void)snprintf(file, sizeof(file), "logfold-%s.so", name);
	if (lf_beside_find(file, R_OK, out))
		return 0;
	if (named && *named)
		return lf_fail(err, -ENOENT, "there is no logfold-%s.so in '%.200s': correct or unset " LF_MODULE_DIR_ENV, name,
		               named);
	return lf_fail(err, -ENOENT, "logfold-%s.so is neither beside %s nor in %s: install it, or build logfold where its "
	                             "client library is (make deps)", name, lf_beside_whom(), lf_beside_libdir);
}

int lf_module_load(const char *name, const char *symbol, const void **out, struct lf_error *err)
{
	char path[PATH_MAX];
	void *module;
	int rc = find_file(name, path, err);

	if (rc < 0)
		return rc;
	/* libmongoc maps a file in /dev/shm from a constructor, and dies of SIGBUS where that is full. */
	if (strcmp(name, "mongo") == 0)
		(void)setenv("MONGOC_DISABLE_SHM", "1", 1);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return lf_fail(err, -ENOEXEC, "module '%s' cannot be loaded: %s", path, dlerror());
	*out = dlsym(module, symbol);
	if (*out)
		return 0;
	(void)dlclose(module);
	return lf_module_is_other(name, err);
}

int lf_module_is_other(const char *name, struct lf_error *err)
{
	char path[PATH_MAX];

	if (find_file(name, path, NULL) < 0)
		(void)snprintf(path, sizeof(path), "logfold-%s.so", name);
	return lf_fail(err, -ENOEXEC, "module '%s' is of another version of logfold: install both from one build", path);
}
