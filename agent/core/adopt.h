/* Taking over what agents left behind: run directories of a store that no agent holds. */
#ifndef LOGFOLD_CORE_ADOPT_H
#define LOGFOLD_CORE_ADOPT_H

#include "agent/core/claim.h"
#include "agent/core/reporter.h"

/* Drains every directory that `claim` covers and nobody holds, publishes the store's flags there, and
 * removes the own directories among them that are empty then.  A directory whose processes live on
 * is left to them again.  What fails is told; the others are not held up by it. */
void lf_adopt_all(const struct lf_claim *claim, struct lf_store *store,
                  const struct lf_reporter *reporter);

/* The same for one directory.  -EBUSY when somebody holds it, else 0: what fails is told. */
int lf_adopt_one(const struct lf_claim *claim, struct lf_rundir *dir, struct lf_store *store,
                  const struct lf_reporter *reporter);

#endif
