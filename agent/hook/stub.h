/* What the stubs of the printing calls share. */
#ifndef LOGFOLD_HOOK_STUB_H
#define LOGFOLD_HOOK_STUB_H

#include <wchar.h>

#include "agent/hook/console.h"
#include "agent/hook/inline_putc.h"
#include "agent/hook/lines.h"

/* What a call site counts into, as the cache keeps it: a slot's address, or one of the numbers
 * below.  A slot whose calls leave their line open is marked in the lowest bit, which is 0 in an
 * address: it goes the long way. */
enum {
	LF_TARGET_NONE = 0,
	LF_TARGET_LEAVES_OPEN = 1,
	LF_TARGET_CARRIER = 2,  /* a format without a word: its text is counted by lines */
	LF_TARGET_OVERFLOW = 4, /* the map is full; never cached */
	LF_TARGET_NUMBERS = 7,
};

static inline uint64_t lf_target_of(struct lf_slot *slot, bool leaves_open)
{
	return slot ? (uint64_t)(uintptr_t)slot | leaves_open : LF_TARGET_OVERFLOW;
}

/* NULL: the overflow entry. */
static inline struct lf_slot *lf_target_slot(uint64_t target)
{
	if (target <= LF_TARGET_NUMBERS)
		return NULL;
	return (struct lf_slot *)(uintptr_t)(target & ~(uint64_t)LF_TARGET_LEAVES_OPEN);
}

/* The shortest way, in two steps.  First the slot of a known site, where no stream has an unfinished
 * line and the call leaves none; NULL: go the long way.
 *
 * What it costs is asserted in instructions (tests/integration/test_cost.py): one load to find the
 * process, one for the fd, one multiplication for the site, one cell.  An fd that is no console has
 * been sorted out before. */
static inline __attribute__((always_inline)) struct lf_slot *
lf_stub_slot(struct lf_process *process, const void *ret, const void *text, uint32_t method,
             size_t len)
{
	const struct lf_sites *sites;
	uint64_t target;

	if (LF_UNLIKELY(!process ||
	                atomic_load_explicit(&process->attention, memory_order_relaxed)))
		return NULL;
	sites = atomic_load_explicit(&process->cache.sites, memory_order_acquire);
	target = lf_site_find_near(sites, ret, lf_site_text(text, method), len);
	return (target & LF_TARGET_NUMBERS) ? NULL : (struct lf_slot *)(uintptr_t)target;
}

/* Whether leaving the call out would go unnoticed: the stream could take the bytes, and has, or
 * now gets, the orientation that the real call would give it. */
enum { LF_FILE_NO_WRITES = 8 }; /* _IO_NO_WRITES of glibc's libio.h */
static inline bool lf_stub_may_suppress(FILE *file)
{
	return !file || (!(file->_flags & LF_FILE_NO_WRITES) &&
	                 (file->_mode < 0 || fwide(file, -1) < 0));
}

/* Then the verdict.  One comparison says that the call passes; when it does not, this tells whether
 * it can be left out as quickly: its entry is muted, what it prints is always as long
 * (slot->fixed_len - 1 bytes), and nobody notices.  No call in it, so that the stub has no more
 * registers to save; what needs one goes the long way. */
static inline bool lf_stub_may_leave_out(const struct lf_process *process,
                                         const struct lf_slot *slot, const FILE *file)
{
	return lf_verdict_is_muted(process->flags, slot) && slot->fixed_len &&
	       (!file || (!(file->_flags & LF_FILE_NO_WRITES) && file->_mode < 0));
}

/* Where a call prints to; `file` NULL: to the fd. */
struct lf_console_out lf_stub_out(FILE *file, int fd);

/* What becomes of a call that prints to `file` or `fd`, as lf_message_judge() says.  It passes where it
 * goes on with a line that has begun to be printed, and where leaving it out would be noticed. */
enum lf_outcome lf_stub_judge(struct lf_process *process, struct lf_slot *slot, FILE *file, int fd);

/* Tells the repeats of folded messages that are due on the stream, before anything else is printed
 * there. */
void lf_stub_tell_due(struct lf_process *process, FILE *file, int fd);

/* Memory for a text, on the caller's stack while it is small: the text is held across the real
 * call, and when the host leaves that by longjmp or cancellation only a large one is lost. */
struct lf_stub_text {
	char *data; /* NULL: there was no memory */
	size_t size;
	char small[1024];
};
void lf_stub_text_take(struct lf_stub_text *text, size_t size);
void lf_stub_text_give(struct lf_stub_text *text);

/* Whether memory that the host hands to the kernel can be read: the kernel would say EFAULT where we
 * would crash. */
bool lf_stub_is_readable(const void *data, size_t len);

#endif
