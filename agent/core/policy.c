#include "agent/core/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/core/excerpt.h"

static const uint64_t period_max_ms = LF_POLICY_PERIOD_MAX_H * UINT64_C(3600000);

/* '%s' in the sentence is what was given. */
#define WRONG(err, given, format, ...) \
	lf_fail(err, -EINVAL, format, lf_excerpt(given, (char[LF_EXCERPT_MAX]){ 0 }), ##__VA_ARGS__)

/* Takes a word off the beginning; with the space behind it where `ends` is one. */
static bool take(struct lf_text *text, const char *word)
{
	size_t len = strlen(word);

	if (text->len < len || memcmp(text->data, word, len) != 0)
		return false;
	text->data += len;
	text->len -= len;
	return true;
}

/* Digits without a sign or zeros before them; more than any limit here reads as UINT64_MAX. */
static bool take_number(struct lf_text *text, uint64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < text->len && text->data[i] >= '0' && text->data[i] <= '9'; i++)
		value = value > UINT64_MAX / 100 ? UINT64_MAX / 100 : value * 10 + (uint64_t)(text->data[i] - '0');
	if (i == 0 || (text->data[0] == '0' && i > 1))
		return false;
	text->data += i;
	text->len -= i;
	*out = value;
	return true;
}

/* ---- Periods ---- */

static bool take_unit(struct lf_text *text, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		*ms = units[i].ms;
		if (take(text, units[i].name))
			return true;
	}
	return false;
}

int lf_policy_period(struct lf_text text, uint32_t *ms, struct lf_error *err)
{
	struct lf_text left = text;
	uint64_t number, unit;

	if (!take_number(&left, &number) || !take_unit(&left, &unit) || left.len > 0)
		return WRONG(err, text, "'%s' is no period: write a whole number and its unit, as 500ms, "
		                             "30s, 5m or 2h");
	if (number == 0 || number > period_max_ms / unit)
		return WRONG(err, text, "a period of %s is not kept: give one from 1ms to %dh",
		             (int)LF_POLICY_PERIOD_MAX_H);
	*ms = (uint32_t)(number * unit);
	return 0;
}

/* ---- Policies ---- */

static int check_number(uint64_t n, uint64_t least, const char *otherwise, struct lf_error *err)
{
	if (n >= least && n <= LF_POLICY_N_MAX)
		return 0;
	if (n < least)
		return lf_fail(err, -EINVAL, "%s", otherwise);
	return lf_fail(err, -EINVAL, "the number is over %d: give a lower one", (int)LF_POLICY_N_MAX);
}

static int parse_sample(struct lf_text left, uint64_t *rule, struct lf_error *err)
{
	struct lf_text given = left;
	uint64_t n;
	int rc;

	if (!take(&left, "1/") || !take_number(&left, &n) || left.len > 0)
		return WRONG(err, given, "'%s' is no sample: write 1/N, as 1/100 for one call in a hundred");
	rc = check_number(n, 2, "one call in one, or in none, is no sample: give 1/2 or less, or take the policy "
	                        "away with `logfold pass`", err);
	if (rc == 0)
		*rule = lf_rule_make(LF_RULE_SAMPLE, (uint32_t)n, 0);
	return rc;
}

static int parse_limit(struct lf_text left, uint64_t *rule, struct lf_error *err)
{
	struct lf_text given = left;
	uint32_t period_ms;
	uint64_t n;
	int rc;

	if (!take_number(&left, &n) || !take(&left, "/"))
		return WRONG(err, given, "'%s' is no limit: write N/PERIOD, as 10/60s for ten calls a minute");
	rc = check_number(n, 1, "a limit of none is a mute: give 1 or more, or use `logfold mute`", err);
	if (rc == 0)
		rc = lf_policy_period(left, &period_ms, err);
	if (rc == 0)
		*rule = lf_rule_make(LF_RULE_LIMIT, (uint32_t)n, period_ms);
	return rc;
}

static int parse_fold(struct lf_text left, uint64_t *rule, struct lf_error *err)
{
	uint32_t period_ms;
	int rc = lf_policy_period(left, &period_ms, err);

	if (rc == 0)
		*rule = lf_rule_make(LF_RULE_FOLD, 0, period_ms);
	return rc;
}

int lf_policy_parse(struct lf_text text, uint64_t *rule, struct lf_error *err)
{
	struct lf_text left = text;

	if (text.len == 0) {
		*rule = 0;
		return 0;
	}
	if (take(&left, "sample "))
		return parse_sample(left, rule, err);
	if (take(&left, "limit "))
		return parse_limit(left, rule, err);
	if (take(&left, "fold "))
		return parse_fold(left, rule, err);
	return WRONG(err, text, "'%s' is no policy: write sample 1/N, limit N/PERIOD or fold PERIOD");
}

void lf_policy_format(uint64_t rule, char out[LF_POLICY_MAX])
{
	uint32_t ms = lf_rule_period_ms(rule);
	bool whole = ms % 1000 == 0;
	uint32_t number = whole ? ms / 1000 : ms;
	const char *unit = whole ? "s" : "ms";

	out[0] = '\0';
	switch (lf_rule_kind(rule)) {
	case LF_RULE_NONE:
	case LF_RULE_MUTE:
		break;
	case LF_RULE_SAMPLE:
		(void)snprintf(out, LF_POLICY_MAX, "sample 1/%" PRIu32, lf_rule_n(rule));
		break;
	case LF_RULE_LIMIT:
		(void)snprintf(out, LF_POLICY_MAX, "limit %" PRIu32 "/%" PRIu32 "%s", lf_rule_n(rule), number,
		               unit);
		break;
	case LF_RULE_FOLD:
		(void)snprintf(out, LF_POLICY_MAX, "fold %" PRIu32 "%s", number, unit);
		break;
	}
}

uint64_t lf_policy_rule_of(const struct lf_entry *entry)
{
	uint64_t rule = 0;

	if (!entry->enabled)
		return lf_rule_make(LF_RULE_MUTE, 0, 0);
	return lf_policy_parse(entry->policy, &rule, NULL) < 0 ? 0 : rule;
}
