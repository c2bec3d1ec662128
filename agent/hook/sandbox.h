/* A process that enters a seccomp sandbox by itself.
 *
 * Its filter may kill whoever asks the kernel for what the program does not need.  So what the hook
 * needs is made right before: the map, and what fds 1 and 2 are.  From then on the hook enters the kernel by
 * the host's own calls only (lf_sys_seal()): messages beyond the first chunk of the map count as overflow,
 * functions not yet seen are offsets, fds opened or redirected later are no consoles, and children forked
 * later are not counted.
 *
 * A filter that a program was started under (by systemd, in a container) is not seen; README.md, Limits,
 * says what it must allow.
 */
#ifndef LOGFOLD_HOOK_SANDBOX_H
#define LOGFOLD_HOOK_SANDBOX_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#pragma GCC visibility push(hidden)

/* Whether these arguments of prctl, or of a system call by number, enter a sandbox. */
static inline bool lf_sandbox_is_prctl(long option, long mode)
{
	return option == PR_SET_SECCOMP && mode != SECCOMP_MODE_DISABLED;
}

static inline bool lf_sandbox_is_syscall(long number, long a, long b)
{
	if (number == SYS_seccomp)
		return a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER;
	return number == SYS_prctl && lf_sandbox_is_prctl(a, b);
}

/* Before the real call.  Seals, and returns whether it did: not in a child in its parent's memory, whose
 * filter is its own. */
bool lf_sandbox_enter(void);

/* The real call failed: there is no sandbox. */
void lf_sandbox_leave(void);

#pragma GCC visibility pop

#endif
