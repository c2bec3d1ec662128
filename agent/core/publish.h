/* From the store's flags to the flags table of a run directory. */
#ifndef LOGFOLD_CORE_PUBLISH_H
#define LOGFOLD_CORE_PUBLISH_H

#include "agent/core/rundir.h"
#include "agent/store/store.h"

/* Publishes every entry that has flags.  The caller holds the directory's lock.  -ENOSPC when there
 * are more than the table holds: then what was published before stays. */
LF_MUST_CHECK int lf_publish(struct lf_store *store, const struct lf_rundir *dir,
                             struct lf_error *err);

/* "host:agent": who this program is when it sets a flag. */
enum { LF_WRITER_MAX = 80 };
void lf_flags_writer(char out[LF_WRITER_MAX]);

#endif
