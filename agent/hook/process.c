#include "agent/hook/process.h"

#include "agent/hook/console.h"
#include "agent/hook/libc.h"
#include "agent/map/host.h"
#include "hashing/imports.h"
#include "hashing/sys.h"

/* Stands for the state of a process that could not make a map: not tried again on every call.  Its
 * cache has one empty cell, so that the shortest way needs no check of its own. */
static struct {
	struct lf_sites head;
	struct lf_site cell;
} no_sites;
static struct lf_process nothing = { .cache.sites = &no_sites.head };

static struct {
	_Atomic int done;
	struct lf_host_settings given;
} settings;

/* A kernel before 4.14, or an emulator, cannot wipe a page: a child would count into its parent's
 * map, so nobody counts. */
static void prepare_for_forks(void)
{
	int rc = lf_wiped_start();

	if (rc < 0) {
		lf_host_debug(&settings.given, "MADV_WIPEONFORK", rc);
		settings.given.off = true;
		return;
	}
	(void)lf_wiped_is_shared(); /* remembers who we are */
}

void lf_process_start(void)
{
	if (atomic_load_explicit(&settings.done, memory_order_acquire))
		return;
	lf_host_find_environment();
	lf_libc_resolve();
	lf_host_read_settings(&settings.given);
	if (!settings.given.off) {
		lf_console_start();
		prepare_for_forks();
	}
	if (settings.given.off)
		lf_console_disable();
	atomic_store_explicit(&settings.done, 1, memory_order_release);
}

/* The path is long, so it lives in the new process's own scratch. */
static int fill(struct lf_process *process)
{
	struct lf_host host;
	uint32_t owner = 0;
	int rc;

	_Static_assert(sizeof(process->scratches.each[0].masked) >= PATH_MAX, "a path fits");
	if (!lf_sites_init(&process->cache))
		return -ENOMEM;
	/* A child in its parent's memory makes the parent's map. */
	if (lf_wiped_is_shared())
		owner = atomic_load_explicit(&lf_wiped.pid, memory_order_relaxed);
	rc = lf_host_open(&host, &settings.given, owner, process->scratches.each[0].masked);
	if (rc < 0)
		return rc;
	process->map = host.map;
	process->flags = host.flags;
	process->namespace_key = host.namespace_key;
	if (!lf_flags_skip_frames(process->flags, process->skip_frames))
		process->skip_frames[0] = '\0';
	return 0;
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

static __attribute__((noinline)) struct lf_process *enter_first(void)
{
	struct lf_process *process, *none = NULL;

	lf_process_start();
	process = lf_process_now();
	if (!process) {
		if (settings.given.off)
			return NULL;
		process = make();
		/* Acquire and release: who finds the process finds what it points at. */
		if (!atomic_compare_exchange_strong_explicit(&lf_wiped.process, &none, process,
		                                             memory_order_acq_rel,
		                                             memory_order_acquire)) {
			if (process != &nothing) {
				lf_host_discard(&(struct lf_host){ process->map, process->flags, 0 });
				(void)lf_sys_munmap(process, sizeof(*process));
			}
			process = none;
		}
	}
	return process == &nothing ? NULL : process;
}

struct lf_process *lf_process_enter(void)
{
	struct lf_process *process = lf_process_now();

	return LF_LIKELY(process && process != &nothing) ? process : enter_first();
}

struct lf_process *lf_process_of_console(int fd)
{
	if (LF_UNLIKELY(!lf_process_now()))
		lf_process_start();
	return lf_console_is(fd) ? lf_process_enter() : NULL;
}
