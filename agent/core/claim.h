/* Which run directories a store may take.
 *
 *   stamped with its path                yes
 *   stamped with another store's path    no
 *   not stamped                          only the default store, or when LOGFOLD_RUN_DIR names the
 *                                        base directory: else a trial with --store would take the counts
 *                                        of every program that runs under plain LD_PRELOAD
 *
 * An own directory `run-…` is stamped before anybody can see it; one without a stamp was made anew by a
 * process that came late, after its run had ended, and is as much nobody's as the base is.
 */
#ifndef LOGFOLD_CORE_CLAIM_H
#define LOGFOLD_CORE_CLAIM_H

#include "agent/core/reporter.h"
#include "agent/core/rundir.h"
#include "agent/store/store.h"

struct lf_claim {
	char store[PATH_MAX]; /* real path */
	char base[PATH_MAX];
	bool takes_unstamped;
};

/* NULL for a path: the default. */
LF_MUST_CHECK int lf_claim_init(struct lf_claim *out, const char *store_path, const char *base_dir,
                                struct lf_error *err);

/* 1: yes; 0: no; -EBADMSG: the stamp is damaged, so nobody knows. */
LF_MUST_CHECK int lf_claim_covers(const struct lf_claim *claim, const struct lf_rundir *dir);

/* Tells that a directory is left alone as its stamp is damaged, and what can be done. */
void lf_claim_tell_damaged(const struct lf_reporter *reporter, const char *path, int why);

#endif
