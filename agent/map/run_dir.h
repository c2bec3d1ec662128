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
 */
#ifndef LOGFOLD_MAP_RUN_DIR_H
#define LOGFOLD_MAP_RUN_DIR_H

#include <limits.h>
#include <stdbool.h>

#include "logfold/error.h"

#define LF_SEGMENTS_DIR "segments"
#define LF_QUARANTINE_DIR "quarantine"

/* Writes an absolute path, NUL-terminated, and makes the directory and `segments` in it.  `given` is
 * LOGFOLD_RUN_DIR or NULL, `xdg` XDG_RUNTIME_DIR or NULL.  A given directory that cannot be used is
 * an error; there is no second choice then.  No heap, stdio or errno. */
LF_MUST_CHECK int lf_run_dir_find(char out[PATH_MAX], const char *given, const char *xdg);

/* Makes the directory and `segments` in it where they are missing, and checks the owner. */
LF_MUST_CHECK int lf_run_dir_make(const char *path);

#endif
