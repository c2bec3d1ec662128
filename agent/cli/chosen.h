/* What show, mute and the like have in common: entries are chosen, something is done with them. */
#ifndef LOGFOLD_CLI_CHOSEN_H
#define LOGFOLD_CLI_CHOSEN_H

#include "agent/cli/catalog.h"
#include "agent/cli/place.h"

enum lf_chosen_from {
	LF_CHOSEN_FRESH,  /* after a drain: with the counts of this moment */
	LF_CHOSEN_STORED, /* without one where all selectors are hashes that the store knows */
};

/* Finds the store, brings it up to date, and calls `act` with the entries that the words of `options`
 * choose: at least one, and exactly one for each hash prefix.  The result is the exit status: that of
 * `act`, or that of a failure that has been complained of. */
int lf_chosen_do(const struct lf_options *options, enum lf_chosen_from from,
                 int (*act)(void *arg, const struct lf_place *place,
                            const struct lf_options *options, struct lf_catalog *chosen),
                 void *arg);

#endif
