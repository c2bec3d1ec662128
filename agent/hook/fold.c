#include "agent/hook/fold.h"

#include <errno.h>

#include "agent/hook/clock.h"
#include "agent/map/repeats.h"
#include "agent/map/verdict.h"

enum { BUSY = 2 }; /* no stream is 2: that is an even number, where no FILE lies */

static void watch(struct lf_process *process)
{
	atomic_fetch_or_explicit(&process->attention, LF_ATTENTION_FOLD, memory_order_relaxed);
}

void lf_fold_wait(struct lf_process *process, struct lf_slot *slot, uintptr_t stream,
                  uint32_t period_ms)
{
	for (unsigned i = 0; i < LF_FOLDS; i++)
		if (atomic_load_explicit(&process->folds[i].slot, memory_order_relaxed) == slot)
			return;
	for (unsigned i = 0; i < LF_FOLDS; i++) {
		struct lf_fold *fold = &process->folds[i];
		uintptr_t none = 0;

		if (!atomic_compare_exchange_strong_explicit(&fold->stream, &none, BUSY,
		                                             memory_order_acquire,
		                                             memory_order_relaxed))
			continue;
		atomic_store_explicit(&fold->period_ms, period_ms, memory_order_relaxed);
		atomic_store_explicit(&fold->slot, slot, memory_order_relaxed);
		/* Release: who sees the stream sees the rest. */
		atomic_store_explicit(&fold->stream, stream, memory_order_release);
		watch(process);
		return;
	}
}

void lf_fold_tell(const struct lf_process *process, const struct lf_slot *slot, uint32_t repeats,
                  uint32_t over_ms, const struct lf_console_out *out)
{
	char line[LF_REPEATS_MAX];
	int before = errno;

	(void)out->write(out, line,
	                 lf_repeats_tell(lf_map_text(process->map, slot->template), repeats,
	                                 over_ms, line));
	errno = before;
}

/* Takes the slot out of the list.  NULL: somebody else has. */
static struct lf_slot *take(struct lf_fold *fold, uintptr_t stream)
{
	struct lf_slot *slot;

	if (!atomic_compare_exchange_strong_explicit(&fold->stream, &stream, BUSY,
	                                             memory_order_acquire, memory_order_relaxed))
		return NULL;
	slot = atomic_exchange_explicit(&fold->slot, NULL, memory_order_relaxed);
	atomic_store_explicit(&fold->stream, 0, memory_order_release);
	return slot;
}

/* Whether the list still has it afterwards. */
static bool look_at(struct lf_process *process, struct lf_fold *fold, uint64_t now_ms,
                    const struct lf_console_out *out)
{
	uintptr_t stream = atomic_load_explicit(&fold->stream, memory_order_acquire);
	struct lf_slot *slot = atomic_load_explicit(&fold->slot, memory_order_relaxed);
	uint32_t period_ms = atomic_load_explicit(&fold->period_ms, memory_order_relaxed), repeats;
	uint64_t age_ms;

	if (!stream || stream == BUSY || !slot)
		return stream != 0;
	age_ms = lf_policed_age_ms(atomic_load_explicit(&slot->policed, memory_order_relaxed),
	                           now_ms);
	if (age_ms < period_ms)
		return true;
	if (stream != lf_stream_of(out) &&
	    age_ms < (uint64_t)period_ms + lf_fold_grace_ms(process->flags))
		return true;
	if (take(fold, stream) != slot || stream != lf_stream_of(out))
		return false;
	repeats = lf_verdict_untold(process->flags, slot, period_ms, now_ms);
	if (repeats)
		lf_fold_tell(process, slot, repeats, period_ms, out);
	return false;
}

void lf_fold_tell_due(struct lf_process *process, const struct lf_console_out *out)
{
	uint64_t now_ms = lf_hook_now_ms();
	bool any = false;

	/* Off first: whoever begins to wait meanwhile turns it on again. */
	atomic_fetch_and_explicit(&process->attention, ~(uint32_t)LF_ATTENTION_FOLD,
	                          memory_order_acq_rel);
	for (unsigned i = 0; i < LF_FOLDS; i++)
		any |= look_at(process, &process->folds[i], now_ms, out);
	if (any)
		watch(process);
}
