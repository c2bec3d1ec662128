/* What becomes of one call: the rule of its entry, applied.
 *
 * A rule is read from the flags table (agent/map/flags.h) and remembered in slot->verdict, so that the
 * two common answers take one comparison each.  It holds the generation of the table that it was read
 * at, where the entry has no rule, or that number less one, where it is muted.  Generations are even
 * at rest, so the two cannot be mixed up, nor can a generation that is being written: that is odd, and
 * what was known before stays in force.  Any other number: the table is asked.
 *
 * How far a policy is (how many of a sample, what is left of a limit) stands in slot->policed, one
 * 64-bit word that is changed by compare-and-swap: bits 0 to 3 are the kind of rule that it belongs to.
 *   LF_RULE_SAMPLE   bits 4 to 63   calls so far
 *   LF_RULE_LIMIT    bits 4 to 27   calls that passed in this period; bits 28 to 63 when it began
 *   LF_RULE_FOLD     bits 4 to 27   calls that were folded and not told; bits 28 to 63 the same
 * Times are CLOCK_MONOTONIC in ms, modulo 2^36.  The agent reads the word of a fold, too: it tells what
 * nobody else did.
 *
 * Lock-free and async-signal-safe; no errno.
 */
#ifndef LOGFOLD_MAP_VERDICT_H
#define LOGFOLD_MAP_VERDICT_H

#include <stdbool.h>

#include "agent/map/flags.h"
#include "agent/map/layout.h"

enum {
	LF_POLICED_COUNT_SHIFT = 4,
	LF_POLICED_COUNT_MAX = (1 << 24) - 1, /* a count stops there */
	LF_POLICED_SINCE_SHIFT = 28,
	LF_POLICED_HELD_UP_MS = 3600000,
	/* So long after the end of a fold's period the process may tell its repeats, where the flags table
	 * says nothing else; from then on the agent does. */
	LF_FOLD_GRACE_MS = 1000,
};
#define LF_POLICED_TIME_MASK ((UINT64_C(1) << 36) - 1)

static inline uint32_t lf_policed_count(uint64_t policed)
{
	return (uint32_t)(policed >> LF_POLICED_COUNT_SHIFT) & LF_POLICED_COUNT_MAX;
}

/* How long ago the period of such a word began.  A thread that was held up since it asked for the time may
 * find one that began after that: it has begun just now, rather than 2^36 ms ago. */
static inline uint64_t lf_policed_age_ms(uint64_t policed, uint64_t now_ms)
{
	uint64_t age_ms = (now_ms - (policed >> LF_POLICED_SINCE_SHIFT)) & LF_POLICED_TIME_MASK;

	return age_ms > LF_POLICED_TIME_MASK - LF_POLICED_HELD_UP_MS ? 0 : age_ms;
}

/* One comparison.  Relaxed: a flag takes effect with the next call that sees it. */
static inline bool lf_verdict_passes(const struct lf_flags *flags, const struct lf_slot *slot)
{
	return atomic_load_explicit(&slot->verdict, memory_order_relaxed) ==
	       atomic_load_explicit(&flags->generation, memory_order_relaxed);
}

/* The other answer that is known as quickly: the odd number before the generation. */
static inline bool lf_verdict_is_muted(const struct lf_flags *flags, const struct lf_slot *slot)
{
	uint32_t verdict = atomic_load_explicit(&slot->verdict, memory_order_relaxed);

	return (verdict & 1) &&
	       verdict + 1 == atomic_load_explicit(&flags->generation, memory_order_relaxed);
}

static inline uint32_t lf_fold_grace_ms(const struct lf_flags *flags)
{
	uint32_t ms = atomic_load_explicit(&flags->fold_grace_ms, memory_order_relaxed);

	return ms ? ms : LF_FOLD_GRACE_MS;
}

/* Whether any entry of the run directory has a rule at all. */
static inline bool lf_verdict_any_rules(const struct lf_flags *flags)
{
	return atomic_load_explicit(&flags->rows, memory_order_relaxed) != 0 ||
	       atomic_load_explicit(&flags->default_rule, memory_order_relaxed) != 0;
}

struct lf_verdict {
	enum lf_outcome outcome;
	uint32_t repeats;   /* of a period that is over: to be told now, by whoever took this verdict */
	uint32_t over_ms;   /* how long that period was */
	uint32_t period_ms; /* LF_FOLDED: of the rule; the repeats are to be told when it is over */
};

/* The verdict on one call, by the table: each taken verdict is one call of the policy.  `now_ms` is
 * only called where the rule needs the time. */
struct lf_verdict lf_verdict_take(const struct lf_flags *flags, struct lf_slot *slot,
                                  uint64_t namespace_key, uint64_t (*now_ms)(void));

/* A call passed that was not asked for: the first one of a policy that has seen none. */
void lf_verdict_begin(const struct lf_flags *flags, struct lf_slot *slot, uint64_t namespace_key,
                      uint64_t (*now_ms)(void));

/* The repeats of a fold whose period is over, for whoever tells them; 0: there is nothing to be told,
 * not yet, or not any more. */
uint32_t lf_verdict_untold(const struct lf_flags *flags, struct lf_slot *slot, uint32_t period_ms,
                           uint64_t now_ms);

#endif
