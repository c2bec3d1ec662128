/* What a forked child must not inherit of the hook: in pages of their own, which the kernel wipes
 * (agent/map/forks.h).  At a fixed address, because every counted call reads them.
 */
#ifndef LOGFOLD_HOOK_WIPED_H
#define LOGFOLD_HOOK_WIPED_H

#include "agent/map/forks.h"

enum { LF_CONSOLE_FDS = 1024 };

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

/* Whether the caller is a child that runs in its parent's memory: lf_forks_share_memory(). */
bool lf_wiped_is_shared(void);
#pragma GCC visibility pop

#endif
