#include "agent/map/host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/map/run_dir.h"
#include "hashing/decimal.h"
#include "hashing/hex.h"
#include "hashing/namespace.h"
#include "hashing/sys.h"

/* What processes see where no flags table can be had: generation 0, no rows. */
static const struct lf_flags no_flags;

static bool is_on(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value && strcmp(value, "0") != 0;
}

static void keep(char *out, size_t size, const char *value)
{
	if (value && strlen(value) < size)
		memcpy(out, value, strlen(value) + 1);
}

extern void *__libc_stack_end; /* the dynamic loader's */

/* A program's preinit functions run before libc's own constructor, which tells getenv where the environment
 * is: behind the arguments, as the kernel put it there. */
void lf_host_find_environment(void)
{
	char **arguments = __libc_stack_end;

	if (!environ && arguments)
		environ = arguments + (long)(intptr_t)arguments[0] + 2;
}

void lf_host_read_settings(struct lf_host_settings *out)
{
	const char *namespace = secure_getenv("LOGFOLD_NAMESPACE");
	const char *run_id = secure_getenv("LOGFOLD_RUN_ID");

	out->off = is_on("LOGFOLD_DISABLE");
	out->debug = is_on("LOGFOLD_DEBUG");
	out->run_id = run_id ? lf_hex_read(run_id) : 0;
	if (namespace && lf_namespace_is(namespace))
		keep(out->namespace, sizeof(out->namespace), namespace);
	keep(out->run_dir_given, sizeof(out->run_dir_given), secure_getenv("LOGFOLD_RUN_DIR"));
	keep(out->xdg_runtime_dir, sizeof(out->xdg_runtime_dir),
	     secure_getenv("XDG_RUNTIME_DIR"));
}

void lf_host_debug(const struct lf_host_settings *settings, const char *what, int rc)
{
	char line[128] = "logfold: this process is not counted: ";
	char *out = line + strlen(line);

	if (!settings->debug)
		return;
	memcpy(out, what, strlen(what));
	out += strlen(what);
	memcpy(out, " failed, errno ", 15);
	out += 15;
	out = lf_decimal_put(out, (uint64_t)-rc);
	*out++ = '\n';
	(void)lf_sys_write(2, line, (size_t)(out - line));
}

static const struct lf_flags *map_flags(const char *run_dir)
{
	const struct lf_flags *flags = NULL;
	int rc, dirfd = lf_sys_open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (dirfd >= 0) {
		flags = lf_flags_map(dirfd, 0, &rc);
		(void)lf_sys_close(dirfd);
	}
	return flags ? flags : &no_flags;
}

static void unmap_flags(const struct lf_flags *flags)
{
	if (flags != &no_flags)
		(void)lf_sys_munmap((void *)(uintptr_t)flags, sizeof(*flags));
}

/* What it was told itself, else what the agent says, else the default. */
static const char *find_namespace(const struct lf_host_settings *settings,
                                  const struct lf_flags *flags, char room[LF_NAMESPACE_MAX + 1])
{
	if (settings->namespace[0])
		return settings->namespace;
	return lf_flags_namespace(flags, room) && lf_namespace_is(room) ? room : LF_NAMESPACE_DEFAULT;
}

int lf_host_open(struct lf_host *out, const struct lf_host_settings *settings, uint32_t owner_pid,
                 char room[PATH_MAX])
{
	struct lf_map_options options = {
		.run_dir = room,
		.run_id = settings->run_id,
		.owner_pid = owner_pid,
	};
	char namespace[LF_NAMESPACE_MAX + 1];
	int rc = lf_run_dir_find(room, settings->run_dir_given, settings->xdg_runtime_dir,
	                         LF_RUN_DIR_SHARED);

	if (rc < 0) {
		lf_host_debug(settings, "the run directory", rc);
		return rc;
	}
	out->flags = map_flags(room);
	options.namespace = find_namespace(settings, out->flags, namespace);
	out->namespace_key = lf_flags_namespace_key(options.namespace);
	options.entries_max = atomic_load_explicit(&out->flags->entries_max, memory_order_relaxed);
	rc = lf_map_create(&out->map, &options);
	if (rc < 0) {
		unmap_flags(out->flags);
		lf_host_debug(settings, "creating a segment", rc);
	}
	return rc;
}

void lf_host_discard(const struct lf_host *host)
{
	lf_map_discard(host->map);
	unmap_flags(host->flags);
}
