/* logfold sample, limit and fold: how many calls of the chosen messages are printed; pass: all again. */
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/cli/wish.h"
#include "agent/core/excerpt.h"
#include "agent/core/policy.h"

struct kind {
	const char *name;    /* of the command, and of the policy */
	const char *done;    /* "sampled": before what is behind the name */
	const char *as;      /* between the two */
	const char *refused; /* what the overflow entry cannot be */
};

/* The selectors are those words that are no policy. */
static int police(const struct lf_options *options, int selectors, const struct kind *kind,
                  const char *value)
{
	struct lf_options chosen = *options;
	char text[128], policy[LF_POLICY_MAX], done[LF_POLICY_MAX], one[2 * LF_POLICY_MAX],
		all[2 * LF_POLICY_MAX];
	struct lf_wish wish = { .change = { .what = LF_FLAG_POLICY, .policy = policy },
		                .done = done,
		                .already_one = one,
		                .already_all = all,
		                .not_overflow = kind->refused };
	struct lf_error err;
	uint64_t rule;

	(void)snprintf(text, sizeof(text), "%s %s", kind->name, value);
	if (lf_policy_parse((struct lf_text){ text, strlen(text) }, &rule, &err) < 0) {
		lf_complain("%s", err.text);
		return LF_EXIT_USAGE;
	}
	lf_policy_format(rule, policy);
	(void)snprintf(done, sizeof(done), "%s %s%s", kind->done, kind->as, strchr(policy, ' ') + 1);
	(void)snprintf(one, sizeof(one), "it is %s already", done);
	(void)snprintf(all, sizeof(all), "all of them are %s already", done);
	chosen.words_count = selectors;
	return lf_wish_do(&chosen, &wish);
}

static int police_by_last(const struct lf_options *options, const struct kind *kind)
{
	int last = options->words_count - 1;

	return police(options, last, kind, options->words[last]);
}

int lf_cmd_sample(const struct lf_options *options)
{
	static const struct kind kind = { "sample", "sampled", "", "sampled" };

	return police_by_last(options, &kind);
}

int lf_cmd_limit(const struct lf_options *options)
{
	static const struct kind kind = { "limit", "limited", "to ", "limited" };

	return police_by_last(options, &kind);
}

/* A hash has no unit behind it, and every other selector an '='. */
static bool is_selector(const char *word)
{
	size_t len = strlen(word);

	return strchr(word, '=') || (len >= 4 && strspn(word, "0123456789abcdefABCDEF") == len);
}

int lf_cmd_fold(const struct lf_options *options)
{
	static const struct kind kind = { "fold", "folded", "for ", "folded" };
	int last = options->words_count - 1;
	char shown[LF_EXCERPT_MAX];

	if (is_selector(options->words[last]))
		return police(options, options->words_count, &kind, LF_FOLD_PERIOD);
	if (last > 0)
		return police_by_last(options, &kind);
	lf_complain("'%s' is no selector: say which messages, and the period behind them",
		    lf_excerpt(lf_text_of(options->words[last]), shown));
	return LF_EXIT_USAGE;
}

int lf_cmd_pass(const struct lf_options *options)
{
	static const struct lf_wish wish = {
		.change = { .what = LF_FLAG_POLICY, .policy = "" },
		.done = "passed",
		.already_one = "it has no policy",
		.already_all = "none of them has a policy",
	};

	return lf_wish_do(options, &wish);
}
