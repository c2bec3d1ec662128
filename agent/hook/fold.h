/* Telling the repeats of folded messages on the stream that they were left out of.
 *
 * The first call of a period goes out, the others are counted; when the period is over, the next call
 * of that stream prints, before its own text,
 *
 *     user %s in … repeated 12 times in 5.0 s
 *
 * at the beginning of a line.  When no call comes within the grace time (agent/map/verdict.h) the
 * agent tells it, by what stands in the slot.  LF_FOLDS messages of a process wait at a time; of any
 * more, the agent tells, or the next call of that very message.
 */
#ifndef LOGFOLD_HOOK_FOLD_H
#define LOGFOLD_HOOK_FOLD_H

#include "agent/hook/console_out.h"
#include "agent/hook/process.h"

/* A call of the slot was folded: its repeats are due when the rule's period is over. */
void lf_fold_wait(struct lf_process *process, struct lf_slot *slot, uintptr_t stream,
                  uint32_t period_ms);

/* Prints that sentence; touches no errno. */
void lf_fold_tell(const struct lf_process *process, const struct lf_slot *slot, uint32_t repeats,
                  uint32_t over_ms, const struct lf_console_out *out);

/* Tells what is due on this stream, which is at the beginning of a line. */
void lf_fold_tell_due(struct lf_process *process, const struct lf_console_out *out);

static inline bool lf_fold_any_waits(const struct lf_process *process)
{
	return atomic_load_explicit(&process->attention, memory_order_relaxed) & LF_ATTENTION_FOLD;
}

#endif
