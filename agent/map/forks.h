/* What a forked child must not inherit: pages that the kernel wipes in it (MADV_WIPEONFORK), however it
 * was made: fork, _Fork, clone without CLONE_VM.  Handlers of pthread_atfork run for the first alone.
 *
 * No heap, no libc, no errno; any thread, signal handlers too.
 */
#ifndef LOGFOLD_MAP_FORKS_H
#define LOGFOLD_MAP_FORKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/error.h"

enum { LF_PAGE_BYTES = 4096 }; /* where pages are larger nothing is counted */

/* Has whole pages wiped in children from now on.  They must belong to no file (zeroed static memory
 * does).  A negative errno where the kernel cannot: one before 4.14, or an emulator. */
LF_MUST_CHECK int lf_forks_wipe(void *pages, size_t bytes);

/* Whether the caller is a child that runs in its parent's memory (vfork, posix_spawn, clone with
 * CLONE_VM).  `pid` lies in a wiped page: the first who asks is remembered there, so ask at the start.
 * One that is made by a forked child before that has asked is not recognised. */
bool lf_forks_share_memory(_Atomic uint32_t *pid);

#endif
