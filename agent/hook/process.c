#include "agent/hook/process.h"

#include <stdlib.h>
#include <string.h>

#include "agent/hook/console.h"
#include "agent/hook/imports.h"
#include "agent/hook/libc.h"
#include "agent/map/run_dir.h"
#include "hashing/decimal.h"
#include "hashing/hex.h"
#include "hashing/sys.h"
#include "hashing/namespace.h"

/* Stands for the state of a process that could not make a map: not tried again on every call.  Its
 * cache has one empty cell, so that the shortest way needs no check of its own. */
static struct {
	struct lf_sites head;
	struct lf_site cell;
} no_sites;
static struct lf_process nothing = { .cache.sites = &no_sites.head };

/* What processes see where no flags table can be had: generation 0, no rows. */
static const struct lf_flags no_flags;

static struct {
	_Atomic int done;
	bool off;   /* LOGFOLD_DISABLE */
	bool debug; /* LOGFOLD_DEBUG */
	char namespace[LF_NAMESPACE_MAX + 1];
	uint64_t run_id;
	char run_dir_given[PATH_MAX];
	char xdg_runtime_dir[PATH_MAX];
} settings;

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

static void read_settings(void)
{
	const char *namespace = secure_getenv("LOGFOLD_NAMESPACE");
	const char *run_id = secure_getenv("LOGFOLD_RUN_ID");

	settings.off = is_on("LOGFOLD_DISABLE");
	settings.debug = is_on("LOGFOLD_DEBUG");
	settings.run_id = run_id ? lf_hex_read(run_id) : 0;
	if (namespace && lf_namespace_is(namespace))
		keep(settings.namespace, sizeof(settings.namespace), namespace);
	keep(settings.run_dir_given, sizeof(settings.run_dir_given),
	     secure_getenv("LOGFOLD_RUN_DIR"));
	keep(settings.xdg_runtime_dir, sizeof(settings.xdg_runtime_dir),
	     secure_getenv("XDG_RUNTIME_DIR"));
}

static void debug_say(const char *what, int rc)
{
	char line[128] = "logfold: this process is not counted: ";
	char *out = line + strlen(line);

	if (!settings.debug)
		return;
	memcpy(out, what, strlen(what));
	out += strlen(what);
	memcpy(out, " failed, errno ", 15);
	out += 15;
	out = lf_decimal_put(out, (uint64_t)-rc);
	*out++ = '\n';
	(void)lf_sys_write(2, line, (size_t)(out - line));
}

/* A kernel before 4.14, or an emulator, cannot wipe a page: a child would count into its parent's
 * map, so nobody counts. */
static void prepare_for_forks(void)
{
	int rc = lf_wiped_start();

	if (rc < 0) {
		debug_say("MADV_WIPEONFORK", rc);
		settings.off = true;
		return;
	}
	(void)lf_wiped_is_shared(); /* remembers who we are */
}

void lf_process_start(void)
{
	if (atomic_load_explicit(&settings.done, memory_order_acquire))
		return;
	lf_libc_resolve();
	read_settings();
	if (!settings.off) {
		lf_console_start();
		prepare_for_forks();
	}
	if (settings.off)
		lf_console_disable();
	atomic_store_explicit(&settings.done, 1, memory_order_release);
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

/* What it was told itself, else what the agent says, else the default. */
static const char *find_namespace(const struct lf_flags *flags, char room[LF_NAMESPACE_MAX + 1])
{
	if (settings.namespace[0])
		return settings.namespace;
	return lf_flags_namespace(flags, room) && lf_namespace_is(room) ? room : LF_NAMESPACE_DEFAULT;
}

/* The path is long, so it lives in the new process's own scratch. */
static int fill(struct lf_process *process)
{
	char *run_dir = process->scratches[0].masked;
	struct lf_map_options options = {
		.run_dir = run_dir,
		.run_id = settings.run_id,
	};
	char namespace[LF_NAMESPACE_MAX + 1];
	int rc;

	_Static_assert(sizeof(process->scratches[0].masked) >= PATH_MAX, "a path fits");
	rc = lf_run_dir_find(run_dir, settings.run_dir_given, settings.xdg_runtime_dir,
	                     LF_RUN_DIR_SHARED);
	if (rc < 0) {
		debug_say("the run directory", rc);
		return rc;
	}
	process->flags = map_flags(run_dir);
	options.namespace = find_namespace(process->flags, namespace);
	process->namespace_key = lf_flags_namespace_key(options.namespace);
	/* A child in its parent's memory makes the parent's map. */
	if (lf_wiped_is_shared())
		options.owner_pid = atomic_load_explicit(&lf_wiped.pid, memory_order_relaxed);
	options.entries_max =
		atomic_load_explicit(&process->flags->entries_max, memory_order_relaxed);
	if (!lf_sites_init(&process->cache))
		return -ENOMEM;
	rc = lf_map_create(&process->map, &options);
	if (rc < 0)
		debug_say("creating a segment", rc);
	return rc;
}

static struct lf_process *make(void)
{
	struct lf_process *process;
	void *memory;

	if (lf_sys_mmap(NULL, sizeof(*process), PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
		return &nothing;
	process = memory;
	if (lf_main_imports("__overflow"))
		process->attention = LF_ATTENTION_INLINE;
	if (fill(process) < 0) {
		(void)lf_sys_munmap(process, sizeof(*process));
		return &nothing;
	}
	return process;
}

struct lf_process *lf_process_enter(void)
{
	struct lf_process *process, *none = NULL;

	lf_process_start();
	process = lf_process_now();
	if (!process) {
		if (settings.off)
			return NULL;
		process = make();
		/* Acquire and release: who finds the process finds what it points at. */
		if (!atomic_compare_exchange_strong_explicit(&lf_wiped.process, &none, process,
		                                             memory_order_acq_rel,
		                                             memory_order_acquire)) {
			if (process != &nothing) {
				lf_map_discard(process->map);
				(void)lf_sys_munmap(process, sizeof(*process));
			}
			process = none;
		}
	}
	return process == &nothing ? NULL : process;
}

struct lf_process *lf_process_of_console(int fd)
{
	lf_process_start();
	return lf_console_is(fd) ? lf_process_enter() : NULL;
}

struct lf_scratch *lf_scratch_take(struct lf_process *process)
{
	uint32_t taken = atomic_load_explicit(&process->scratch_taken, memory_order_relaxed);

	while (taken != (1U << LF_SCRATCHES) - 1) {
		unsigned i = (unsigned)__builtin_ctz(~taken);

		/* Acquire pairs with the release of the thread that had it before. */
		if (atomic_compare_exchange_weak_explicit(&process->scratch_taken, &taken,
		                                          taken | 1U << i, memory_order_acquire,
		                                          memory_order_relaxed))
			return &process->scratches[i];
	}
	return NULL;
}

void lf_scratch_give(struct lf_process *process, struct lf_scratch *scratch)
{
	if (scratch)
		atomic_fetch_and_explicit(&process->scratch_taken,
		                          ~(1U << (scratch - process->scratches)),
		                          memory_order_release);
}
