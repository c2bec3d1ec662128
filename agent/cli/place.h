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
	char shared[PATH_MAX]; /* the run directory of another user's daemon, which counts our processes; "" */
};

/* By --store, by --agent (who is asked), else the default store. */
LF_MUST_CHECK int lf_place_find(struct lf_place *out, const struct lf_options *options,
                                struct lf_error *err);

/* What LOGFOLD_RUN_DIR says of the base; "" when nobody named one. */
void lf_place_named_base(char out[PATH_MAX]);

/* For lf_agent_open() and the like: NULL where they shall find out themselves. */
const char *lf_place_base(const struct lf_place *place);

/* For lf_mute_everywhere() and the like: NULL where there is none. */
const char *lf_place_shared(const struct lf_place *place);

/* Asks the agent that counts this place's processes, as lf_control_fetch() does; the caller frees *out. */
LF_MUST_CHECK int lf_place_ask(const struct lf_place *place, const char *request, int timeout_ms,
                               char **out, struct lf_error *err);

/* Opens the store to read, up to date: first living agents drain, and what lies in directories
 * without an agent is taken over.  What fails of that is complained of, and the store is then as fresh
 * as it can be.  -ENOENT, with a sentence, when there is no store yet and nothing waits for it. */
LF_MUST_CHECK int lf_place_open(struct lf_store **out, const struct lf_place *place,
                                struct lf_error *err);

#endif
