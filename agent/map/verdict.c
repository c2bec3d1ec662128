#include "agent/map/verdict.h"

/* Another rule than the one that the word belongs to begins anew. */
static uint64_t word_of(struct lf_slot *slot, enum lf_rule_kind kind)
{
	uint64_t word = atomic_load_explicit(&slot->policed, memory_order_relaxed);

	return (word & 15) == kind ? word : 0;
}

static uint64_t make_word(enum lf_rule_kind kind, uint32_t count, uint64_t since_ms)
{
	if (count > LF_POLICED_COUNT_MAX)
		count = LF_POLICED_COUNT_MAX;
	return (uint64_t)kind | (uint64_t)count << LF_POLICED_COUNT_SHIFT |
	       since_ms << LF_POLICED_SINCE_SHIFT;
}

/* From what word_of() said to `next`; false when somebody else was faster.  Relaxed: the word orders
 * nothing but itself. */
static bool change(struct lf_slot *slot, uint64_t word, uint64_t next)
{
	uint64_t real = atomic_load_explicit(&slot->policed, memory_order_relaxed);

	if (word ? real != word : (real & 15) == (next & 15))
		return false;
	return atomic_compare_exchange_strong_explicit(&slot->policed, &real, next,
	                                               memory_order_relaxed, memory_order_relaxed);
}

static enum lf_outcome sample(struct lf_slot *slot, uint32_t n)
{
	uint64_t word, calls;

	do {
		word = word_of(slot, LF_RULE_SAMPLE);
		calls = word >> LF_POLICED_COUNT_SHIFT;
	} while (!change(slot, word, LF_RULE_SAMPLE | (calls + 1) << LF_POLICED_COUNT_SHIFT));
	return n == 0 || calls % n == 0 ? LF_PASSED : LF_SAMPLED;
}

static enum lf_outcome limit(struct lf_slot *slot, uint64_t rule, uint64_t now_ms)
{
	uint64_t word, next;

	do {
		uint32_t passed;

		word = word_of(slot, LF_RULE_LIMIT);
		passed = lf_policed_count(word);
		if (!word || lf_policed_age_ms(word, now_ms) >= lf_rule_period_ms(rule))
			next = make_word(LF_RULE_LIMIT, 1, now_ms);
		else if (passed >= lf_rule_n(rule))
			return LF_LIMITED;
		else
			next = word + (UINT64_C(1) << LF_POLICED_COUNT_SHIFT);
	} while (!change(slot, word, next));
	return LF_PASSED;
}

static struct lf_verdict fold(struct lf_slot *slot, uint32_t period_ms, uint32_t grace_ms,
                              uint64_t now_ms)
{
	struct lf_verdict verdict = { .outcome = LF_FOLDED, .period_ms = period_ms };
	uint64_t word, next;
	bool over;

	do {
		word = word_of(slot, LF_RULE_FOLD);
		over = !word || lf_policed_age_ms(word, now_ms) >= period_ms;
		next = over ? make_word(LF_RULE_FOLD, 0, now_ms)
		            : make_word(LF_RULE_FOLD, lf_policed_count(word) + 1,
		                        word >> LF_POLICED_SINCE_SHIFT);
	} while (!change(slot, word, next));
	if (!over)
		return verdict;
	verdict.outcome = LF_PASSED;
	if (word && lf_policed_age_ms(word, now_ms) < (uint64_t)period_ms + grace_ms) {
		verdict.repeats = lf_policed_count(word);
		verdict.over_ms = period_ms;
	}
	return verdict;
}

static struct lf_verdict apply(const struct lf_flags *flags, struct lf_slot *slot, uint64_t rule,
                               uint64_t (*now_ms)(void))
{
	struct lf_verdict verdict = { .outcome = LF_PASSED };

	switch (lf_rule_kind(rule)) {
	case LF_RULE_NONE:
		break;
	case LF_RULE_MUTE:
		verdict.outcome = LF_MUTED;
		break;
	case LF_RULE_SAMPLE:
		verdict.outcome = sample(slot, lf_rule_n(rule));
		break;
	case LF_RULE_LIMIT:
		verdict.outcome = limit(slot, rule, now_ms());
		break;
	case LF_RULE_FOLD:
		return fold(slot, lf_rule_period_ms(rule), lf_fold_grace_ms(flags), now_ms());
	}
	return verdict;
}

struct lf_verdict lf_verdict_take(const struct lf_flags *flags, struct lf_slot *slot,
                                  uint64_t namespace_key, uint64_t (*now_ms)(void))
{
	uint32_t had = atomic_load_explicit(&slot->verdict, memory_order_relaxed);
	uint32_t generation;
	uint64_t rule;

	if (lf_flags_look_up(flags, &slot->id, namespace_key, &generation, &rule) < 0) {
		/* Being rewritten: what was muted stays so until the next call, and what is in doubt
		 * passes. */
		return (struct lf_verdict){ .outcome = had & 1 ? LF_MUTED : LF_PASSED };
	}
	/* A policy is asked for on each call: the even number before says that. */
	atomic_store_explicit(&slot->verdict,
	                      generation - (rule == 0                             ? 0
	                                    : lf_rule_kind(rule) == LF_RULE_MUTE ? 1
	                                                                          : 2),
	                      memory_order_relaxed);
	return apply(flags, slot, rule, now_ms);
}

/* The word after the first call; 0 where the rule keeps none. */
static uint64_t first_word(uint64_t rule, uint64_t (*now_ms)(void))
{
	switch (lf_rule_kind(rule)) {
	case LF_RULE_SAMPLE:
		return LF_RULE_SAMPLE | UINT64_C(1) << LF_POLICED_COUNT_SHIFT;
	case LF_RULE_LIMIT:
		return make_word(LF_RULE_LIMIT, 1, now_ms());
	case LF_RULE_FOLD:
		return make_word(LF_RULE_FOLD, 0, now_ms());
	case LF_RULE_NONE:
	case LF_RULE_MUTE:
		break;
	}
	return 0;
}

void lf_verdict_begin(const struct lf_flags *flags, struct lf_slot *slot, uint64_t namespace_key,
                      uint64_t (*now_ms)(void))
{
	uint32_t generation;
	uint64_t rule, first;

	if (lf_flags_look_up(flags, &slot->id, namespace_key, &generation, &rule) < 0)
		return;
	first = first_word(rule, now_ms);
	if (first)
		(void)change(slot, 0, first); /* somebody else's call was the first, then */
}

uint32_t lf_verdict_untold(const struct lf_flags *flags, struct lf_slot *slot, uint32_t period_ms,
                           uint64_t now_ms)
{
	uint64_t word = word_of(slot, LF_RULE_FOLD), age_ms;

	if (!lf_policed_count(word))
		return 0;
	age_ms = lf_policed_age_ms(word, now_ms);
	/* The period stays over, so that the next call begins another one. */
	if (age_ms < period_ms || age_ms >= (uint64_t)period_ms + lf_fold_grace_ms(flags) ||
	    !change(slot, word, make_word(LF_RULE_FOLD, 0, word >> LF_POLICED_SINCE_SHIFT)))
		return 0;
	return lf_policed_count(word);
}
