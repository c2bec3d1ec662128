#include "agent/core/sinks.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/beside.h"

static int find_file(const char *name, char out[PATH_MAX], struct lf_error *err)
{
	const char *named = secure_getenv(LF_MODULE_DIR_ENV);
	char file[NAME_MAX];

	(void)snprintf(file, sizeof(file), "logfold-%s.so", name);
	if (lf_beside_find(file, R_OK, out))
		return 0;
	if (named && *named)
		return lf_fail(err, -ENOENT, "there is no logfold-%s.so in '%.200s': correct or unset "
		                             LF_MODULE_DIR_ENV, name, named);
	return lf_fail(err, -ENOENT, "logfold-%s.so is neither beside logfold nor in %s: install it, or "
	                             "build logfold where its client library is (make deps)", name,
	               lf_beside_libdir);
}

int lf_sink_find(const char *name, const struct lf_sink_ops **out, struct lf_error *err)
{
	const struct lf_sink_ops *found;
	char path[PATH_MAX];
	void *module;
	int rc;

	if (strcmp(name, lf_sink_memory.name) == 0) {
		*out = &lf_sink_memory;
		return 0;
	}
	rc = find_file(name, path, err);
	if (rc < 0)
		return rc;
	/* libmongoc maps a file in /dev/shm from a constructor, and dies of SIGBUS where that is full. */
	(void)setenv("MONGOC_DISABLE_SHM", "1", 1);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return lf_fail(err, -ENOEXEC, "module '%s' cannot be loaded: %s", path, dlerror());
	found = dlsym(module, LF_SINK_MODULE);
	if (found && found->abi == LF_SINK_ABI && strcmp(found->name, name) == 0) {
		*out = found;
		return 0;
	}
	(void)dlclose(module);
	return lf_fail(err, -ENOEXEC, "module '%s' is of another version of logfold: install both from "
	                              "one build", path);
}
