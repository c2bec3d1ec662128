/* Where a command works: which store, and below which base directory its run directories lie. */
#ifndef LOGFOLD_CLI_PLACE_H
#define LOGFOLD_CLI_PLACE_H

#include <limits.h>
#include <stdbool.h>

#include "agent/cli/options.h"
#include "agent/store/store.h"
#include "logfold/error.h"

struct lf_place {
	char store[PATH_MAX];
	char base[PATH_MAX]; /* "": what lf_rundir_base() says */
};

/* By --store, by --agent (who is asked), else the default store. */
LF_MUST_CHECK int lf_place_find(struct lf_place *out, const struct lf_options *options,
                                struct lf_error *err);

/* For lf_agent_open() and the like: NULL where they shall find out themselves. */
const char *lf_place_base(const struct lf_place *place);

/* Brings the store up to date: living agents drain, and what lies in directories without an agent is
 * taken over.  What fails is complained of; the store is then as fresh as it can be. */
void lf_place_refresh(struct lf_place *place);

#endif
