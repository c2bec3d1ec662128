/* What the stubs of the printing calls share. */
#ifndef LOGFOLD_HOOK_STUB_H
#define LOGFOLD_HOOK_STUB_H

#include <wchar.h>

#include "agent/hook/console.h"
#include "agent/hook/inline_putc.h"
#include "agent/hook/lines.h"

/* What a call site counts into, as the cache keeps it: a slot's address, or one of these. */
enum {
	LF_TARGET_NONE = 0,
	LF_TARGET_CARRIER = 1,  /* a format without a word: its text is counted by lines */
	LF_TARGET_OVERFLOW = 2, /* the map is full; never cached */
	LF_TARGET_LAST = LF_TARGET_OVERFLOW,
};

static inline uint64_t lf_target_of(struct lf_slot *slot)
{
	return slot ? (uint64_t)(uintptr_t)slot : LF_TARGET_OVERFLOW;
}

static inline struct lf_slot *lf_target_slot(uint64_t target)
{
	return target > LF_TARGET_LAST ? (struct lf_slot *)(uintptr_t)target : NULL;
}

/* The shortest way: a known site of a console, no flag on it, no unfinished line anywhere.  The
 * slot to count into when the real call has succeeded, or NULL: go the long way.
 *
 * What it costs is asserted in instructions (tests/integration/test_cost.py): two loads to find
 * the process, one for the fd, two multiplications for the site, one cell, one comparison for the
 * verdict.  An fd that is no console has been sorted out before. */
static inline __attribute__((always_inline)) struct lf_slot *
lf_stub_quick(struct lf_process *process, const void *ret, const void *text, uint64_t call)
{
	uint64_t target;
	struct lf_slot *slot;

	if (LF_UNLIKELY(atomic_load_explicit(&process->attention, memory_order_relaxed)))
		return NULL;
	target = lf_site_find(atomic_load_explicit(&process->cache.sites, memory_order_acquire),
	                      ret, text, call);
	slot = lf_target_slot(target);
	if (LF_UNLIKELY(!slot || !lf_message_passes(process, slot)))
		return NULL;
	return slot;
}

/* Whether leaving the call out would go unnoticed: the stream could take the bytes, and has, or
 * now gets, the orientation that the real call would give it. */
static inline bool lf_stub_may_suppress(FILE *file)
{
	enum { NO_WRITES = 8 }; /* _IO_NO_WRITES of glibc's libio.h */

	return !file || (!(file->_flags & NO_WRITES) && (file->_mode < 0 || fwide(file, -1) < 0));
}

/* lf_lines_out.write on a FILE and on an fd. */
ssize_t lf_stub_write_file(const struct lf_lines_out *out, const char *data, size_t len);
ssize_t lf_stub_write_fd(const struct lf_lines_out *out, const char *data, size_t len);

/* Memory for texts that are too large for a scratch; NULL when there is none. */
char *lf_stub_borrow(size_t len);
void lf_stub_return(char *memory, size_t len);

#endif
