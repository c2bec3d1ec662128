/* What an entry's `policy` says: how many of its calls are printed.
 *
 *   ""             all of them
 *   sample 1/100   the first of 100, and so on
 *   limit 10/60s   the first 10 of each 60 seconds
 *   fold 30s       the first of each 30 seconds, and then how often it was repeated
 *
 * It holds in each process by itself.  A period is a whole number of ms, s, m or h, from 1ms to 720h.
 * Anybody may write a policy into the store or a tier: what is none of these has no effect.
 */
#ifndef LOGFOLD_CORE_POLICY_H
#define LOGFOLD_CORE_POLICY_H

#include <stdint.h>

#include "agent/map/flags.h"
#include "logfold/entry.h"
#include "logfold/error.h"

enum {
	LF_POLICY_MAX = 48, /* room for any that lf_policy_format() writes */
	LF_POLICY_N_MAX = 10000000, /* a count in a process has 24 bits */
	LF_POLICY_PERIOD_MAX_H = 720,
};

/* Of a fold whose period nobody says. */
#define LF_FOLD_PERIOD "30s"

/* The rule that the policy stands for: LF_RULE_NONE for an empty one.  -EINVAL with a sentence. */
LF_MUST_CHECK int lf_policy_parse(struct lf_text text, uint64_t *rule, struct lf_error *err);

/* A period alone, `30s`.  -EINVAL with a sentence. */
LF_MUST_CHECK int lf_policy_period(struct lf_text text, uint32_t *ms, struct lf_error *err);

/* The one spelling of a rule, its period in s where that is whole, else in ms.  Empty for LF_RULE_NONE and
 * LF_RULE_MUTE. */
void lf_policy_format(uint64_t rule, char out[LF_POLICY_MAX]);

/* The rule of an entry: who mutes it does not care for its policy, nor does one that is none. */
uint64_t lf_policy_rule_of(const struct lf_entry *entry);

#endif
