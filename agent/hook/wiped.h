/* What a forked child must not inherit: in pages of their own, which belong to no file, so that the
 * kernel can wipe them in a child (MADV_WIPEONFORK).  At a fixed address, because every counted call
 * reads them.
 */
#ifndef LOGFOLD_HOOK_WIPED_H
#define LOGFOLD_HOOK_WIPED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	LF_PAGE_BYTES = 4096, /* where pages are larger the hook stays off */
	LF_CONSOLE_FDS = 1024,
};

struct lf_process;

struct lf_wiped {
	_Atomic(struct lf_process *) process; /* NULL before the process has printed */
	_Atomic uint32_t pid;                 /* lf_wiped_is_shared(); 0: not asked yet */
	char rest_of_page[LF_PAGE_BYTES - sizeof(void *) - sizeof(uint32_t)];
};

#pragma GCC visibility push(hidden)
extern struct lf_wiped lf_wiped;
extern _Atomic uint32_t lf_fd_classes[LF_CONSOLE_FDS]; /* console.h; fills a page, too */

/* Has the pages wiped in children; a negative errno where the kernel cannot. */
int lf_wiped_start(void);

/* Whether the caller is a child that runs in its parent's memory (vfork, posix_spawn, clone with
 * CLONE_VM).  One that is made by a forked child before that has called us is not recognised. */
bool lf_wiped_is_shared(void);
#pragma GCC visibility pop

#endif
