/* From the store's flags to the flags table of a run directory. */
#ifndef LOGFOLD_CORE_PUBLISH_H
#define LOGFOLD_CORE_PUBLISH_H

#include "agent/core/rundir.h"
#include "agent/map/flags.h"
#include "agent/store/store.h"

/* Publishes the rule of every entry that is muted or has a policy; who is muted, is so whatever the policy
 * says.  The caller holds the directory's lock.  -ENOSPC when there are more than the table holds: those
 * whose flags changed last are published, the rest is not obeyed.
 *
 * `useless` (may be NULL) gets a sentence about policies that are none and so have no effect; empty when
 * there are no such. */
LF_MUST_CHECK int lf_publish(struct lf_store *store, const struct lf_rundir *dir,
                             struct lf_error *useless, struct lf_error *err);

/* Which of these entries the processes of a directory do not treat as the store says: sets missed[i], and
 * leaves the others alone.  How many they are, or a negative errno.  `dirfd` may be one of O_PATH. */
LF_MUST_CHECK int lf_publish_check(struct lf_store *store, int dirfd, const struct lf_entry_key *keys,
                                   size_t count, bool *missed, struct lf_error *err);

/* Tells the processes of the directory what they shall take where they are told nothing else.  NULL as
 * the namespace is the default one. */
LF_MUST_CHECK int lf_publish_defaults(const struct lf_rundir *dir,
                                      const struct lf_flags_defaults *defaults, struct lf_error *err);

/* "host:agent": who this program is when it sets a flag. */
enum { LF_WRITER_MAX = 80 };
void lf_flags_writer(char out[LF_WRITER_MAX]);

#endif
