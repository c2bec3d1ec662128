/* Which run directories a store may take.
 *
 *   stamped with its path                yes
 *   stamped with another store's path    no
 *   not stamped, `run-…`                 yes: its maker died before it wrote the stamp
 *   not stamped, the base directory      only the default store, or when LOGFOLD_RUN_DIR names the
 *                                        directory: else a trial with --store would take the counts of
 *                                        every program that runs under plain LD_PRELOAD
 */
#ifndef LOGFOLD_CORE_CLAIM_H
#define LOGFOLD_CORE_CLAIM_H

#include "agent/core/rundir.h"
#include "agent/store/store.h"

struct lf_claim {
	char store[PATH_MAX]; /* real path */
	char base[PATH_MAX];
	bool takes_base; /* when it is not stamped */
};

/* NULL for a path: the default. */
LF_MUST_CHECK int lf_claim_init(struct lf_claim *out, const char *store_path, const char *base_dir,
                                struct lf_error *err);

/* 1: yes; 0: no; -EBADMSG: the stamp is damaged, so nobody knows. */
LF_MUST_CHECK int lf_claim_covers(const struct lf_claim *claim, const struct lf_rundir *dir);

#endif
