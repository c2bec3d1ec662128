#include "agent/api/linked.h"

#include <dlfcn.h>
#include <syslog.h>

#include "hashing/imports.h"
#include "hashing/sys.h"

/* Stands for the state of a process that could not make a segment: not tried again on every call. */
static struct lf_linked nothing;

struct lf_linked_page lf_linked_page __attribute__((aligned(LF_PAGE_BYTES)));
_Static_assert(sizeof(lf_linked_page) == LF_PAGE_BYTES, "the page holds nothing else");

static struct {
	_Atomic int done;
	struct lf_host_settings given;
} settings;

struct lf_printing lf_libc = { vfprintf, puts,   fwrite,        vsyslog,
	                       syslog,   fflush, clock_gettime, false };

static void find(void *libc, const char *name, void **out)
{
	void *found = dlsym(libc, name);

	if (found)
		*out = found;
}

static void find_printing(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (!libc)
		return;
	find(libc, "vfprintf", (void **)&lf_libc.vfprintf);
	find(libc, "puts", (void **)&lf_libc.puts);
	find(libc, "fwrite", (void **)&lf_libc.fwrite);
	find(libc, "vsyslog", (void **)&lf_libc.vsyslog);
	find(libc, "syslog", (void **)&lf_libc.syslog);
	find(libc, "fflush", (void **)&lf_libc.fflush);
	find(libc, "clock_gettime", (void **)&lf_libc.clock_gettime);
	(void)dlclose(libc);
	lf_libc.watched = dlsym(RTLD_DEFAULT, "fflush") != (void *)lf_libc.fflush &&
	                  lf_main_imports("__overflow");
}

/* Here and not with the first call, so that no call asks for the environment or the loader's lock: it
 * may come from a signal handler.  What links us is initialised after us. */
__attribute__((constructor)) static void start(void)
{
	int rc;

	if (atomic_load_explicit(&settings.done, memory_order_acquire))
		return;
	find_printing();
	lf_host_read_settings(&settings.given);
	rc = lf_forks_wipe(&lf_linked_page, sizeof(lf_linked_page));
	if (rc < 0) {
		/* A child would count into its parent's segment: so nobody counts. */
		lf_host_debug(&settings.given, "MADV_WIPEONFORK", rc);
		settings.given.off = true;
	} else {
		(void)lf_forks_share_memory(&lf_linked_page.pid); /* remembers who we are */
	}
	atomic_store_explicit(&settings.done, 1, memory_order_release);
}

static struct lf_linked *make(void)
{
	struct lf_linked *linked;
	uint32_t owner = 0;
	void *memory;

	if (lf_sys_mmap(NULL, sizeof(*linked), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                -1, 0, &memory) < 0)
		return &nothing;
	linked = memory;
	/* A child in its parent's memory makes the parent's segment. */
	if (lf_forks_share_memory(&lf_linked_page.pid))
		owner = atomic_load_explicit(&lf_linked_page.pid, memory_order_relaxed);
	_Static_assert(sizeof(linked->scratches.each[0].masked) >= PATH_MAX, "a path fits");
	if (lf_host_open(&linked->host, &settings.given, owner, linked->scratches.each[0].masked) <
	    0) {
		(void)lf_sys_munmap(linked, sizeof(*linked));
		return &nothing;
	}
	return linked;
}

struct lf_linked *lf_linked_enter(void)
{
	struct lf_linked *linked = lf_linked_now();

	if (!linked) {
		struct lf_linked *none = NULL;

		if (!atomic_load_explicit(&settings.done, memory_order_acquire)) {
			lf_host_find_environment();
			start();
		}
		linked = settings.given.off ? &nothing : make();
		/* Acquire and release: who finds the state finds what it points at. */
		if (!atomic_compare_exchange_strong_explicit(&lf_linked_page.linked, &none, linked,
		                                             memory_order_acq_rel,
		                                             memory_order_acquire)) {
			if (linked != &nothing) {
				lf_host_discard(&linked->host);
				(void)lf_sys_munmap(linked, sizeof(*linked));
			}
			linked = none;
		}
	}
	return linked == &nothing ? NULL : linked;
}

uint64_t lf_linked_now_ms(void)
{
	struct timespec now = { 0 };

	(void)lf_libc.clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
