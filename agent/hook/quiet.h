/* Muted calls of constants, in as few instructions as can be.
 *
 * A call that is muted, and prints the same bytes each time, only has to be counted.  What must be known
 * for that is gathered in one place for each call site, by its lowest bits, which the entries of
 * quiet_entry.S look at before anything else: whether it is this call (return address, text, method),
 * muted by the flags table as it is now, on a stream that is open for writing and has its orientation, to
 * an fd that is a console.  Whatever differs goes on into the call's own stub.
 *
 * The places lie in pages that the kernel wipes in a forked child.  One is given to the first site that
 * comes for it, and keeps that key for good: so the rest of it belongs to the key, too.  Its generation is
 * set last and taken away first, when a module goes (site.h).
 *
 * x86-64 only; elsewhere every call goes the usual way.
 */
#ifndef LOGFOLD_HOOK_QUIET_H
#define LOGFOLD_HOOK_QUIET_H

/* Also read by the assembler. */
#define LF_QUIET_PLACE_BYTES 64
#define LF_QUIET_RET 0
#define LF_QUIET_TEXT 8
#define LF_QUIET_GENERATION 16
#define LF_QUIET_RESULT 20
#define LF_QUIET_FD 24
#define LF_QUIET_METHOD 28
#define LF_QUIET_COUNT 32
#define LF_QUIET_CLASS 40
#define LF_NUMBER_printf 32 /* enum lf_method */
#define LF_NUMBER_fprintf 33
#define LF_NUMBER_puts 36
#define LF_NUMBER_fputs 37

#if defined(__x86_64__)
#define LF_HAS_QUIET 1
/* The stub itself, behind its entry. */
#define LF_STUB_BODY(symbol) lf_loud_##symbol
#define LF_STUB_LINKAGE __attribute__((visibility("hidden")))
#else
#define LF_STUB_BODY(symbol) symbol
#define LF_STUB_LINKAGE LF_EXPORT
#endif

#if !defined(__ASSEMBLER__)
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

struct lf_process;
struct lf_slot;

struct lf_quiet {
	_Atomic uintptr_t ret;        /* 0: free; 1: being given; then constant, as are text and method */
	uintptr_t text;
	_Atomic uint32_t generation;  /* of the flags table that mutes it; odd: none */
	_Atomic int32_t result;
	_Atomic int32_t fd;
	uint32_t method;
	_Atomic uintptr_t count;      /* of the slot: muted calls */
	_Atomic uintptr_t class;      /* of the fd */
	uint64_t reserved[2];
};

enum { LF_QUIET_PLACES = 255 }; /* and the head: four pages */

#pragma GCC visibility push(hidden)

struct lf_quiet_all {
	_Atomic uintptr_t generation; /* addresses of what each process has one of */
	_Atomic uintptr_t attention;
	uint64_t reserved[6];
	struct lf_quiet places[LF_QUIET_PLACES];
};
extern struct lf_quiet_all lf_quiet_all;

/* A call was left out: the next one from there may go the shortest way.  `ret`, text and method are those
 * of a site in the cache, `result` what the call gives back. */
void lf_quiet_put(struct lf_process *process, struct lf_slot *slot, const void *ret, const void *text,
                  uint32_t method, const FILE *file, int result);

/* None goes the shortest way until it is put there again; between lf_sites_unload_begin() and _end(). */
void lf_quiet_forget(void);

#pragma GCC visibility pop
#endif

#endif
