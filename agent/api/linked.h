/* What liblogfold knows in one process: its segment, the flags, and how libc prints.
 *
 * As in the hook, the pointer to it lies in a page that the kernel wipes in a forked child, which then
 * makes its own with its first call.  Threads that race to make it each make one; the first to publish
 * wins.  A parent's state stays mapped in its children, so its address is never another one's: call sites
 * keep it to tell whose they are.  Nothing is torn down: programs print from their last destructors.
 *
 * The printing of libc is found on libc's own handle: a call through the linkage table would land in a
 * preloaded hook and be counted twice.
 */
#ifndef LOGFOLD_API_LINKED_H
#define LOGFOLD_API_LINKED_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "agent/map/forks.h"
#include "agent/map/host.h"
#include "agent/map/verbatim.h"

#pragma GCC visibility push(hidden)

struct lf_linked {
	struct lf_host host;
	struct lf_scratches scratches;
};

/* Wiped in a forked child. */
struct lf_linked_page {
	_Atomic(struct lf_linked *) linked; /* NULL before the process's first call */
	_Atomic uint32_t pid;               /* lf_forks_share_memory() */
	char rest_of_page[LF_PAGE_BYTES - sizeof(void *) - 2 * sizeof(uint32_t)];
};
extern struct lf_linked_page lf_linked_page;

/* NULL before the first call. */
static inline struct lf_linked *lf_linked_now(void)
{
	return atomic_load_explicit(&lf_linked_page.linked, memory_order_acquire);
}

struct lf_printing {
	int (*vfprintf)(FILE *, const char *, va_list);
	int (*puts)(const char *);
	size_t (*fwrite)(const void *, size_t, size_t, FILE *);
	void (*vsyslog)(int, const char *, va_list);
	void (*syslog)(int, const char *, ...);
	int (*fflush)(FILE *);
	int (*clock_gettime)(clockid_t, struct timespec *);
	/* A hook is there that looks for the program's own bytes in the buffers of stdout and stderr
	 * (agent/hook/inline_putc.h), and would take ours for them. */
	bool watched;
};
extern struct lf_printing lf_libc;

/* The process's state; NULL when it cannot be had, and then everything is printed.  No errno. */
struct lf_linked *lf_linked_enter(void);

/* CLOCK_MONOTONIC in ms. */
uint64_t lf_linked_now_ms(void);

#pragma GCC visibility pop

#endif
