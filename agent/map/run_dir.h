/* Which run directory a process uses when nobody tells it one: the rule that the hook and the
 * command share.
 *
 *   1. LOGFOLD_RUN_DIR
 *   2. /run/logfold
 *   3. $XDG_RUNTIME_DIR/logfold
 *   4. /tmp/logfold-UID
 *
 * The first that can be used counts: it is made where it is missing (0700), and must be a
 * directory that the effective user owns and nobody else may write.
 *
 * The first two may also be *shared*: a daemon's, for the processes of many users.  Such a base belongs
 * to the user that the daemon runs as and nobody else may write it; its `segments` belongs to the same
 * user and has exactly the mode 3733: everybody may put a file there, nobody can list the others' or
 * take them away (sticky), and every file gets the daemon's group (setgid), by which the daemon reads it.
 * Whoever owns a shared directory can keep its processes from being counted, mute them, and cut off the
 * flags table under them, so it has to be somebody the process trusts: the one whom LOGFOLD_RUN_DIR
 * names, which is the user's own word (it is not heard in a program that runs with more rights than its
 * caller), or the owner of /run/logfold, as only root makes something in /run.  In the other two places
 * a stranger may have been faster; there only an own directory counts.
 */
#ifndef LOGFOLD_MAP_RUN_DIR_H
#define LOGFOLD_MAP_RUN_DIR_H

#include <limits.h>
#include <stdbool.h>

#include "logfold/error.h"

#define LF_SEGMENTS_DIR "segments"
#define LF_QUARANTINE_DIR "quarantine"

enum { LF_SEGMENTS_SHARED_MODE = 03733 };

enum lf_run_dir_kind {
	LF_RUN_DIR_OWN,    /* in lf_run_dir_find(): only own ones will do */
	LF_RUN_DIR_SHARED, /* in lf_run_dir_find(): shared ones, too */
};

/* Writes an absolute path, NUL-terminated, and makes the directory and `segments` in it.  `given` is
 * LOGFOLD_RUN_DIR or NULL, `xdg` XDG_RUNTIME_DIR or NULL.  A given directory that cannot be used is
 * an error; there is no second choice then, unless only own ones will do and it is a shared one.  No
 * heap, stdio or errno. */
LF_MUST_CHECK int lf_run_dir_find(char out[PATH_MAX], const char *given, const char *xdg,
                                  enum lf_run_dir_kind accepted);

/* Makes the directory and `segments` in it where they are missing, and checks the owner. */
LF_MUST_CHECK int lf_run_dir_make(const char *path);

/* Whether it is a shared directory of another user. */
bool lf_run_dir_is_anothers(const char *path);

/* An fd of `segments` (O_PATH), checked as above, or a negative errno; *kind says which it is. */
LF_MUST_CHECK int lf_run_dir_open_segments(const char *path, enum lf_run_dir_kind *kind);

#endif
