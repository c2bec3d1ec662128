/* `logfold run` as the guest of a daemon: where one holds the run directory that a process would use by
 * itself, the command is counted by that one, and run only asks it for the summary.
 *
 * What the command prints then lies in the daemon's directory from the first call on, so it outlives us
 * and the daemon alike: when the daemon dies, the next one counts it.
 */
#ifndef LOGFOLD_CLI_GUEST_H
#define LOGFOLD_CLI_GUEST_H

#include <limits.h>

#include "agent/cli/options.h"
#include "agent/core/runs.h"
#include "agent/store/store.h"

struct lf_guest {
	int dirfd; /* of the daemon's run directory; -1: we are nobody's guest */
	char run_dir[PATH_MAX];
	char id[LF_RUN_ID_CHARS + 1]; /* for LOGFOLD_RUN_ID */
};

/* Looks for a daemon and has the run counted by it; with --store only by the one of that store.  False
 * when there is none, or when it will not: that is told when it answers with a reason. */
bool lf_guest_enter(struct lf_guest *out, const struct lf_options *options);

/* When the command has ended: what it counted, as a store in memory that has nothing else, and how many
 * of its processes live.  What fails leaves *out alone, and `err` says where the counts are. */
LF_MUST_CHECK int lf_guest_report(const struct lf_guest *guest, struct lf_store **out,
                                  unsigned *living, struct lf_error *err);

void lf_guest_leave(struct lf_guest *guest); /* of nobody is fine */

#endif
