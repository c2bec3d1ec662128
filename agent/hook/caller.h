/* Whose line a call is, where the function that calls libc only wraps it.
 *
 *   log_info("retrying %d", n)  →  vfprintf(stderr, format, args)
 *
 * says nothing as a line of log_info().  The line belongs to who called it: a stub of a call that
 * takes a va_list climbs out of the functions that are not variadic, and the first variadic one's
 * caller is the frame.  Where none of LF_CALLER_LEVELS functions is variadic, or where anything on
 * the way is unknown (no unwind table, code made at run time), it is the direct caller: a pure
 * function of the call either way.
 *
 * Everything here is lock-free and async-signal-safe, and touches no errno and no heap.
 */
#ifndef LOGFOLD_HOOK_CALLER_H
#define LOGFOLD_HOOK_CALLER_H

struct lf_process;

enum { LF_CALLER_LEVELS = 8 };

#pragma GCC visibility push(hidden)

/* The return address that counts as the call's, from a stub's own return address and frame. */
const void *lf_caller_of_wrapper(const void *ret, const void *frame);

/* In a stub itself, never in a function that it calls; not needed for output that is no console's. */
#define LF_WRAPPER_CALLER \
	lf_caller_of_wrapper(__builtin_return_address(0), __builtin_frame_address(0))

/* For every other call, at the beginning of its long way: the return address, or where that lies in a
 * function that agent.toml names in hook.skip_frames, the one above it. */
const void *lf_caller_unskipped(struct lf_process *process, const void *ret);

#pragma GCC visibility pop

#endif
