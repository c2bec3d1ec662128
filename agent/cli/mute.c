/* logfold mute and unmute: whether the chosen messages are printed at all. */
#include "agent/cli/cli.h"
#include "agent/cli/wish.h"

int lf_cmd_mute(const struct lf_options *options)
{
	static const struct lf_wish wish = {
		.change = { .what = LF_FLAG_ENABLED, .enabled = false },
		.done = "muted",
		.already_one = "it is muted already",
		.already_all = "all of them are muted already",
		.not_overflow = "muted",
	};

	return lf_wish_do(options, &wish);
}

int lf_cmd_unmute(const struct lf_options *options)
{
	static const struct lf_wish wish = {
		.change = { .what = LF_FLAG_ENABLED, .enabled = true },
		.done = "unmuted",
		.already_one = "it is unmuted already",
		.already_all = "all of them are unmuted already",
	};

	return lf_wish_do(options, &wish);
}
