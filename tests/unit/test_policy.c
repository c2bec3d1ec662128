#include "agent/core/policy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct lf_error why;

static uint64_t rule_of(const char *text)
{
	uint64_t rule = 99;

	cr_assert_eq(lf_policy_parse((struct lf_text){ text, strlen(text) }, &rule, &why), 0, "'%s': %s",
	             text, why.text);
	return rule;
}

static void expect_canonical(const char *text, const char *canonical)
{
	char out[LF_POLICY_MAX];

	lf_policy_format(rule_of(text), out);
	cr_assert_str_eq(out, canonical, "'%s' becomes '%s'", text, out);
}

Test(policy, a_text_stands_for_its_rule)
{
	cr_assert_eq(rule_of(""), LF_RULE_NONE);
	cr_assert_eq(rule_of("sample 1/100"), lf_rule_make(LF_RULE_SAMPLE, 100, 0));
	cr_assert_eq(rule_of("limit 10/60s"), lf_rule_make(LF_RULE_LIMIT, 10, 60000));
	cr_assert_eq(rule_of("fold 30s"), lf_rule_make(LF_RULE_FOLD, 0, 30000));
}

Test(policy, a_rule_has_one_spelling_whose_period_is_whole_seconds_or_milliseconds)
{
	expect_canonical("", "");
	expect_canonical("sample 1/2", "sample 1/2");
	expect_canonical("sample 1/10000000", "sample 1/10000000");
	expect_canonical("limit 1/1000ms", "limit 1/1s");
	expect_canonical("limit 7/1500ms", "limit 7/1500ms");
	expect_canonical("limit 10000000/5m", "limit 10000000/300s");
	expect_canonical("fold 2h", "fold 7200s");
	expect_canonical("fold 720h", "fold 2592000s");
	expect_canonical("fold 1ms", "fold 1ms");
}

Test(policy, what_is_none_is_refused_with_a_remedy)
{
	static const struct {
		const char *text, *remedy;
	} wrong[] = {
		{ "sample", "write sample 1/N" },       { "mute", "write sample 1/N" },
		{ "Sample 1/2", "write sample 1/N" },   { " sample 1/2", "write sample 1/N" },
		{ "sample 1/2 ", "write 1/N" },         { "sample 2/3", "write 1/N" },
		{ "sample 1/", "write 1/N" },           { "sample 1/-2", "write 1/N" },
		{ "sample 1/02", "write 1/N" },         { "sample 1/1", "logfold pass" },
		{ "sample 1/0", "logfold pass" },       { "sample 1/10000001", "lower" },
		{ "sample 1/99999999999999999999999999", "lower" },
		{ "limit 10", "write N/PERIOD" },       { "limit /60s", "write N/PERIOD" },
		{ "limit 0/60s", "logfold mute" },      { "limit 10/60", "unit" },
		{ "limit 10/", "unit" },                { "limit 10/60x", "unit" },
		{ "limit 10/60s/2", "unit" },           { "limit 20000000/60s", "lower" },
		{ "fold ", "unit" },                    { "fold 30", "unit" },
		{ "fold 0s", "1ms to 720h" },           { "fold 721h", "1ms to 720h" },
		{ "fold 18446744073709551616s", "1ms to 720h" },
		{ "fold 1.5s", "unit" },                { "fold 30 s", "unit" },
		{ "fold 30sx", "unit" },
	};
	uint64_t rule = 99;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct lf_text text = { wrong[i].text, strlen(wrong[i].text) };

		why.text[0] = '\0';
		cr_assert_eq(lf_policy_parse(text, &rule, &why), -EINVAL, "'%s'", wrong[i].text);
		cr_assert_not_null(strstr(why.text, wrong[i].remedy), "'%s': %s", wrong[i].text, why.text);
	}
	cr_assert_eq(lf_policy_parse((struct lf_text){ "fold 30s\0", 9 }, &rule, NULL), -EINVAL);
	cr_assert_eq(rule, 99, "a refused one changes nothing");
}

Test(policy, who_is_muted_is_so_whatever_the_policy_says_and_what_is_none_has_no_effect)
{
	struct lf_entry entry = { .enabled = true, .policy = { "sample 1/3", 10 } };

	cr_assert_eq(lf_policy_rule_of(&entry), lf_rule_make(LF_RULE_SAMPLE, 3, 0));
	entry.enabled = false;
	cr_assert_eq(lf_policy_rule_of(&entry), lf_rule_make(LF_RULE_MUTE, 0, 0));
	entry.policy = (struct lf_text){ "nonsense", 8 };
	cr_assert_eq(lf_policy_rule_of(&entry), lf_rule_make(LF_RULE_MUTE, 0, 0));
	entry.enabled = true;
	cr_assert_eq(lf_policy_rule_of(&entry), 0);
}
