/* A process that counts, before its first count: what its environment tells it, where its segment goes,
 * and which flags table holds for it.  The same for a preloaded program and for one that links
 * liblogfold.
 *
 * No heap and no errno.  Reading the environment is for the start; the rest is safe for any thread and
 * in signal handlers.
 */
#ifndef LOGFOLD_MAP_HOST_H
#define LOGFOLD_MAP_HOST_H

#include <limits.h>

#include "agent/map/flags.h"
#include "agent/map/map.h"

/* What a program that runs with more rights than its caller is told is not heard (secure_getenv). */
struct lf_host_settings {
	bool off;                             /* LOGFOLD_DISABLE, or whoever found a reason */
	bool debug;                           /* LOGFOLD_DEBUG */
	char namespace[LF_NAMESPACE_MAX + 1]; /* LOGFOLD_NAMESPACE; empty: none, or an invalid one */
	uint64_t run_id;                      /* LOGFOLD_RUN_ID; 0: none */
	char run_dir_given[PATH_MAX];         /* LOGFOLD_RUN_DIR; empty: none */
	char xdg_runtime_dir[PATH_MAX];       /* XDG_RUNTIME_DIR; empty: none */
};

struct lf_host {
	struct lf_map *map;
	const struct lf_flags *flags; /* an empty table where none can be had */
	uint64_t namespace_key;
};

/* Before our constructor has run: libc may not know its environment yet.  Later, a program that has none
 * has cleared it. */
void lf_host_find_environment(void);

/* Into zeroed memory. */
void lf_host_read_settings(struct lf_host_settings *out);

/* Says on stderr, with `debug` alone, why this process is not counted. */
void lf_host_debug(const struct lf_host_settings *settings, const char *what, int rc);

/* Creates the segment.  `owner_pid`: whose life it shares, 0 the caller's.  `room` is used meanwhile:
 * hosts may have small stacks.  What went wrong has been told by lf_host_debug(). */
LF_MUST_CHECK int lf_host_open(struct lf_host *out, const struct lf_host_settings *settings,
                               uint32_t owner_pid, char room[PATH_MAX]);

/* For the loser of a race to open: removes the segment's file and what is mapped.  Nobody else may have
 * seen it. */
void lf_host_discard(const struct lf_host *host);

#endif
