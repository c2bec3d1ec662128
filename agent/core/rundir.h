/* Run directories: where processes put their segments and the agent finds them.
 *
 * What lies in one stands in agent/map/layout.h.  There is one base directory for a user; each
 * `logfold run` makes a directory of its own below it, `run-<16 hex>`.  A directory belongs to one
 * agent at a time, by a lock that the kernel takes back when the agent dies.
 *
 * Which directory is the base, the hook decides by the same rule: agent/map/run_dir.h has it.
 */
#ifndef LOGFOLD_CORE_RUNDIR_H
#define LOGFOLD_CORE_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

#include "logfold/error.h"

struct lf_rundir;

#define LF_RUNDIR_ENV "LOGFOLD_RUN_DIR"
#define LF_RUNDIR_OWN_PREFIX "run-"

/* Finds and, where needed, creates the base directory; its real path.  Our own user's: what the daemon
 * of another user holds for everybody is not ours to work in. */
LF_MUST_CHECK int lf_rundir_base(char out[PATH_MAX], struct lf_error *err);

enum lf_rundir_mode {
	LF_RUNDIR_EXISTING,
	LF_RUNDIR_CREATE, /* 0700, when it is missing; its parent must be there */
};

/* Opens a directory without locking it.  -ENOENT; -EPERM when it is somebody else's. */
LF_MUST_CHECK int lf_rundir_open(struct lf_rundir **out, const char *path, enum lf_rundir_mode mode,
                                 struct lf_error *err);

/* Makes `<base>/run-<16 hex>` and locks it.  `prepare`, which may be NULL, fills it before others can
 * see it: its stamp, say. */
LF_MUST_CHECK int lf_rundir_create_own(struct lf_rundir **out, const char *base,
                                       int (*prepare)(struct lf_rundir *dir, void *arg,
                                                      struct lf_error *err),
                                       void *arg, struct lf_error *err);

/* Whether segments of any user may lie in it; only while locked.  Such a directory is the daemon's that
 * made it so, and nobody else drains it: only that one knows whom it counts. */
bool lf_rundir_is_shared(const struct lf_rundir *dir);

/* Opens the directory to all users, or keeps them out from now on; while locked.  What others put there
 * stays.  Shared: the base is 0755, `segments` 3733, `flags` (made here) 0644, all else closed. */
LF_MUST_CHECK int lf_rundir_share(struct lf_rundir *dir, bool shared, struct lf_error *err);

/* Locks the directory and makes what is missing below it (segments/, quarantine/).  -EBUSY when
 * another agent holds the lock, -ENOENT when the directory has just been removed. */
LF_MUST_CHECK int lf_rundir_lock(struct lf_rundir *dir, struct lf_error *err);
void lf_rundir_unlock(struct lf_rundir *dir);

const char *lf_rundir_path(const struct lf_rundir *dir); /* real, absolute */
int lf_rundir_fd(const struct lf_rundir *dir);
int lf_rundir_segments_fd(const struct lf_rundir *dir);   /* only while locked */
int lf_rundir_quarantine_fd(const struct lf_rundir *dir); /* only while locked */
bool lf_rundir_is_own(const struct lf_rundir *dir); /* made by lf_rundir_create_own() */

/* Whether no segment lies in it.  Only while locked. */
bool lf_rundir_is_empty(const struct lf_rundir *dir);

/* Removes an own directory that holds neither segments nor anything quarantined.  The caller has
 * the lock.  0, or -ENOTEMPTY when something is still there; then the directory is whole. */
int lf_rundir_remove(struct lf_rundir *dir);

/* Unlocks.  NULL is fine. */
void lf_rundir_close(struct lf_rundir *dir);

/* Calls `each` with the base directory and with every run directory below it, in no order; a value
 * other than 0 ends the walk and is returned. */
LF_MUST_CHECK int lf_rundir_each(const char *base, int (*each)(void *arg, const char *path),
                                 void *arg, struct lf_error *err);

#endif
