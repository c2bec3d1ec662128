/* Which entry a call is, and what is to become of it: the steps behind the call-site cache.
 *
 * Everything here is lock-free and async-signal-safe, and touches no errno.
 */
#ifndef LOGFOLD_HOOK_MESSAGE_H
#define LOGFOLD_HOOK_MESSAGE_H

#include <string.h>

#include "agent/hook/libc.h"

#include "agent/hook/clock.h"
#include "agent/hook/console_out.h"
#include "agent/hook/method.h"
#include "agent/hook/process.h"
#include "agent/map/verdict.h"

/* Who made a call, as the map knows it; method is 0 when the map is full. */
struct lf_origin {
	lf_ref method, frame;
	const void *ret; /* the call's return address; NULL: not known any more */
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

/* The same for the beginning of a line, to judge it: a text that nobody ever printed as a line takes no
 * room in the map, so NULL where it has no slot and no rule of its own.  It passes then: the default rule
 * is for messages, and the "u" of "user 1 in", printed byte by byte, is none. */
struct lf_slot *lf_message_beginning(struct lf_process *process, struct lf_origin origin,
                                     struct lf_text line, struct lf_scratch *scratch);

static inline bool lf_message_passes(const struct lf_process *process, const struct lf_slot *slot)
{
	return lf_verdict_passes(process->flags, slot);
}

/* Whether any entry of the run directory has a rule at all. */
static inline bool lf_message_any_rules(const struct lf_process *process)
{
	return lf_verdict_any_rules(process->flags);
}

/* What becomes of this call: LF_PASSED, or why it is left out.  To be asked once a call, where the stream is at the
 * beginning of a line and leaving the call out would go unnoticed; prints the repeats of a fold that are due to `out`.
 * A slot that is NULL passes. */
enum lf_outcome lf_message_judge(struct lf_process *process, struct lf_slot *slot,
                                 const struct lf_console_out *out);

/* A call passed without being asked for, as its line had begun to be printed: where no call of the slot's
 * policy was there before, it is the first. */
static inline void lf_message_went_on(const struct lf_process *process, struct lf_slot *slot)
{
	if (slot && !lf_message_passes(process, slot))
		lf_verdict_begin(process->flags, slot, process->namespace_key, lf_hook_now_ms);
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
