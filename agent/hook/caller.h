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
 * How to leave the function of a call site (hashing/unwind.h) is kept as a plan in the call-site
 * cache, so that dlclose ends it.  A step reads no memory that was not proved to be a readable part of
 * the stack, and no address is believed before an unwind table covers it and a call instruction
 * stands before it.
 *
 * Everything here is lock-free and async-signal-safe, and touches no errno and no heap.
 */
#ifndef LOGFOLD_HOOK_CALLER_H
#define LOGFOLD_HOOK_CALLER_H

#include <stdatomic.h>

#include "agent/hook/process.h"
#include "hashing/unwind.h"

enum { LF_CALLER_LEVELS = 8 };

#pragma GCC visibility push(hidden)

/* The return address that counts as the call's, from a stub's own return address and frame.  Of a
 * process that has no state yet the way is found anew each time. */
const void *lf_caller_of_wrapper(const void *ret, const void *frame);

/* In a stub itself, never in a function that it calls; not needed for output that is no console's. */
#define LF_WRAPPER_CALLER \
	lf_caller_of_wrapper(__builtin_return_address(0), __builtin_frame_address(0))

/* For every call, at the beginning of its long way: the return address, or where that lies in a
 * function that agent.toml names in hook.skip_frames, the first one above it that does not. */
const void *lf_caller_unskipped(struct lf_process *process, const void *ret);

/* ---- The same in a few instructions, for the shortest way of a stub ---- */

/* A plan that goes by the stack pointer alone, as nearly all do, fits into one word beside its call
 * site: the address, with a bit that no address has where the function is not variadic; above it how
 * many bytes from one return address to the next.  Each site has its place, by its lowest bits. */
enum { LF_STEP_GOES_ON_BIT = 47, LF_STEP_RET_BITS = 48 };

static inline uintptr_t lf_step_bytes(uint64_t step)
{
	return step >> LF_STEP_RET_BITS;
}

/* 0: it is this site's, and leads to the answer; LF_STEP_GOES_ON: only to the next site. */
#define LF_STEP_GOES_ON (UINT64_C(1) << 63)
static inline uint64_t lf_step_differs(uint64_t step, const void *ret)
{
	return (step ^ (uintptr_t)ret) << (64 - LF_STEP_RET_BITS);
}

static inline uint64_t lf_step_at(const struct lf_process *process, const void *ret)
{
	return atomic_load_explicit(&process->cache.steps[(uintptr_t)ret % LF_STEPS],
	                            memory_order_relaxed);
}

/* The part of this thread's stack that is known to be readable: the page behind its last one, and in
 * the low bits how many pages.  One word, so that a signal handler never sees half of it. */
extern _Thread_local uintptr_t lf_caller_stack;

static inline uintptr_t lf_stack_end(uintptr_t stack)
{
	return stack & ~(uintptr_t)(LF_PAGE_BYTES - 1);
}

static inline uintptr_t lf_stack_bytes(uintptr_t stack)
{
	return (stack & (LF_PAGE_BYTES - 1)) * LF_PAGE_BYTES;
}

/* In a stub itself: NULL, or what LF_WRAPPER_CALLER would answer where that is one or two known steps
 * away; but not verified: good to look a site up with, because only verified ones are added. */
static inline __attribute__((always_inline)) const void *
lf_caller_quick(const struct lf_process *process)
{
#if defined(__x86_64__)
	const char *frame = __builtin_frame_address(0);
	const void *ret = *(const void *const *)(frame + sizeof(ret));
	uint64_t step = lf_step_at(process, ret);
	uintptr_t stack = lf_caller_stack, left = lf_stack_end(stack) - (uintptr_t)frame;
	uintptr_t bytes = lf_step_bytes(step) + sizeof(ret);

	if (left > lf_stack_bytes(stack) || bytes >= left)
		return NULL;
	if (__builtin_expect(lf_step_differs(step, ret) != 0, 0)) {
		if (lf_step_differs(step, ret) != LF_STEP_GOES_ON)
			return NULL;
		ret = *(const void *const *)(frame + bytes);
		step = lf_step_at(process, ret);
		bytes += lf_step_bytes(step);
		if (lf_step_differs(step, ret) || bytes >= left)
			return NULL;
	}
	return *(const void *const *)(frame + bytes);
#else
	(void)process;
	return NULL;
#endif
}

#pragma GCC visibility pop

#endif
