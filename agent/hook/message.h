/* Which entry a call is, and what is to become of it: the steps behind the call-site cache.
 *
 * Everything here is lock-free and async-signal-safe, and touches no errno.
 */
#ifndef LOGFOLD_HOOK_MESSAGE_H
#define LOGFOLD_HOOK_MESSAGE_H

#include <string.h>

#include "agent/hook/libc.h"

#include "agent/hook/method.h"
#include "agent/hook/process.h"

/* Who made a call, as the map knows it; method is 0 when the map is full. */
struct lf_origin {
	lf_ref method, frame;
};

/* Cached by the return address, where that lies in a module. */
struct lf_origin lf_message_origin(struct lf_process *process, const void *ret, uint32_t method);

/* The slot of a call whose template is the text itself; NULL: count into the overflow entry.
 * `fixed_len` as in struct lf_slot. */
struct lf_slot *lf_message_verbatim(struct lf_process *process, struct lf_origin origin,
                                    enum lf_kind kind, struct lf_text text, uint32_t fixed_len);

/* The slot of one line of text (no newline in it), masked into the scratch. */
struct lf_slot *lf_message_line(struct lf_process *process, struct lf_origin origin,
                                struct lf_text line, struct lf_scratch *scratch);

/* Reads the flags table anew where its generation has changed.  Returns enum lf_verdict. */
uint32_t lf_message_refresh_verdict(struct lf_process *process, struct lf_slot *slot);

static inline uint32_t lf_message_generation(const struct lf_process *process)
{
	return atomic_load_explicit(&process->flags->generation, memory_order_relaxed);
}

/* The whole policy of a message in one comparison: its verdict was read at this very generation,
 * and was "pass".  Relaxed: a flag takes effect with the next call that sees it. */
static inline bool lf_message_passes(const struct lf_process *process, const struct lf_slot *slot)
{
	return atomic_load_explicit(&slot->verdict, memory_order_relaxed) ==
	       lf_message_generation(process);
}

/* The other current verdict, as quickly: the odd number before the generation.  An even one before
 * an odd generation is a message that passes, while the table is being rewritten. */
static inline bool lf_message_is_known_muted(const struct lf_process *process,
                                             const struct lf_slot *slot)
{
	uint32_t verdict = atomic_load_explicit(&slot->verdict, memory_order_relaxed);

	return (verdict & LF_VERDICT_MUTED) &&
	       verdict + LF_VERDICT_MUTED == lf_message_generation(process);
}

static inline bool lf_message_is_muted(struct lf_process *process, struct lf_slot *slot)
{
	if (!slot || lf_message_passes(process, slot))
		return false;
	return lf_message_is_known_muted(process, slot) ||
	       lf_message_refresh_verdict(process, slot) == LF_VERDICT_MUTED;
}

/* Whether any entry of the run directory has a flag at all. */
static inline bool lf_message_any_flags(const struct lf_process *process)
{
	return atomic_load_explicit(&process->flags->rows, memory_order_relaxed) != 0;
}

/* Counts into the slot, or the overflow entry where it is NULL.  Not in a process that was forked
 * off since `process` was read: its counts are not ours. */
static inline void lf_message_count(struct lf_process *process, struct lf_slot *slot,
                                    enum lf_outcome outcome)
{
	if (LF_UNLIKELY(process != lf_process_now()))
		return;
	if (LF_LIKELY(slot != NULL))
		lf_slot_count(slot, outcome);
	else
		lf_map_count_overflow(process->map, outcome, 1);
}

#endif
