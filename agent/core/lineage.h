/* Whether a store is the one that a stamp speaks of, and what to do when it was set back. */
#ifndef LOGFOLD_CORE_LINEAGE_H
#define LOGFOLD_CORE_LINEAGE_H

#include "agent/core/stamp.h"

/* Compares the stamp with the store's history.  Where the store has never been that far, a new
 * incarnation begins, so that no tier is told the same number for two different things; and the
 * stamp's incarnation is noted, so that this happens once for all directories that it was in.
 * *out is what the history said first. */
LF_MUST_CHECK int lf_lineage_check(struct lf_store *store, const struct lf_stamp *stamp,
                                   enum lf_history *out, struct lf_error *err);

#endif
