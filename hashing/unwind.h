/* How to get from a call site to the caller of its function, by the module's unwind tables.
 *
 * Debuggers and exceptions find callers by .eh_frame: for each instruction it says where the frame
 * begins (the CFA: what the stack pointer was before the function was called) and what was saved
 * where.  The rule of a call site never changes while its module stays loaded, so it is read once;
 * with it a step costs two loads (agent/hook/caller.c).
 *
 * Read are: tables that the linker sorted (.eh_frame_hdr), rules by rsp, by rbp, and gcc's form for
 * functions that align their stack (the CFA itself lies in memory, at rbp + offset).  Other
 * expressions, signal frames, registers that were moved: no rule.  On aarch64 there is a record at
 * x29, and the tables only say what is a function; on other machines nothing is known.
 *
 * No heap, no locks, no errno; any thread, signal handlers too.  Nothing in a file is trusted but
 * what the loader mapped: every read lies in a readable segment of the module, every program is
 * bounded.  0.5 to 2 us, more with page faults.
 */
#ifndef LOGFOLD_HASHING_UNWIND_H
#define LOGFOLD_HASHING_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

enum lf_unwind_base {
	LF_UNWIND_NO_RULE,
	LF_UNWIND_RSP,    /* CFA = rsp + cfa_offset, rsp as it is when the call has returned */
	LF_UNWIND_RBP,    /* CFA = rbp + cfa_offset */
	LF_UNWIND_AT_RBP, /* CFA = the word at rbp + cfa_offset */
	LF_UNWIND_RECORD, /* aarch64: at x29 lie the caller's x29 and the return address */
};

/* The caller's rbp. */
enum lf_unwind_saved {
	LF_UNWIND_SAME,      /* the register was not touched */
	LF_UNWIND_SAVED,     /* the word at CFA + rbp_offset */
	LF_UNWIND_SAVED_RBP, /* the word at rbp + rbp_offset */
	LF_UNWIND_LOST,
};

/* Whether the function takes "...".  Seen in its code: the registers that may hold floating-point
 * arguments are stored in its first 320 bytes, as the ABI demands of such a function.  Code that
 * was split off from its function (.cold) does not show it. */
enum lf_unwind_variadic {
	LF_UNWIND_NOT_VARIADIC,
	LF_UNWIND_VARIADIC,
	LF_UNWIND_MAYBE_VARIADIC,
};

/* The return address of a call made with a rule lies at CFA - 8. */
struct lf_unwind {
	bool is_call; /* a function covers the call, and a call instruction stands before the address:
	               * what is not true of a number that only looks like a return address */
	enum lf_unwind_base base;
	enum lf_unwind_saved rbp;
	enum lf_unwind_variadic variadic;
	int32_t cfa_offset, rbp_offset;
};

/* What is known of the function that a call returns to, and how to leave it. */
struct lf_unwind lf_unwind_of(const void *return_address);

#endif
