/* What mute, sample, tag and the like have in common: flags are set for the chosen messages, at once, and
 * each that is different now is told. */
#ifndef LOGFOLD_CLI_WISH_H
#define LOGFOLD_CLI_WISH_H

#include "agent/cli/options.h"
#include "agent/store/store.h"

struct lf_wish {
	struct lf_flag_change change;
	const char *done;         /* what a message is now: "muted" */
	const char *already_one;  /* where nothing changes: "it is muted already" */
	const char *already_all;
	const char *not_overflow; /* what the overflow entry cannot be: "muted"; NULL: it can */
};

/* `options` has selectors for its words.  The exit status. */
int lf_wish_do(const struct lf_options *options, const struct lf_wish *wish);

#endif
