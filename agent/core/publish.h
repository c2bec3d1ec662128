/* From the store's flags to the flags table of a run directory. */
#ifndef LOGFOLD_CORE_PUBLISH_H
#define LOGFOLD_CORE_PUBLISH_H

#include "agent/core/rundir.h"
#include "agent/store/store.h"

/* Publishes every entry that has flags.  The caller holds the directory's lock.  -ENOSPC when there
 * are more than the table holds: those whose flags changed last are published, the rest is not obeyed. */
LF_MUST_CHECK int lf_publish(struct lf_store *store, const struct lf_rundir *dir,
                             struct lf_error *err);

/* The same for the sake of one entry: 0 when that one is obeyed as `change` wants it, whatever became
 * of the others. */
LF_MUST_CHECK int lf_publish_one(struct lf_store *store, const struct lf_rundir *dir,
                                 const struct lf_flag_change *change, struct lf_error *err);

/* Tells the processes that start from now on how many entries each may hold (0: the hook's default), and
 * the namespace of those that name none (NULL: the default one). */
LF_MUST_CHECK int lf_publish_defaults(const struct lf_rundir *dir, unsigned entries_max,
                                      const char *namespace, struct lf_error *err);

/* "host:agent": who this program is when it sets a flag. */
enum { LF_WRITER_MAX = 80 };
void lf_flags_writer(char out[LF_WRITER_MAX]);

#endif
