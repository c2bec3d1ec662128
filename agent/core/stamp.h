/* The stamp: a text file in a run directory that says which store its segments are counted in, and
 * how far.
 *
 *   logfold-stamp 1
 *   store /var/lib/logfold/entries.db
 *   incarnation 6ba7b810-9dad-41d1-80b4-00c04fd430c8     (`-`: nothing was committed yet)
 *   sequence 42
 *   segment <name> <watermark in hex>                     (one line for each segment)
 *   end
 *
 * It is written after each commit, as a new file renamed over the old one.  A store that was restored
 * from a backup, or made anew, finds here what had been counted before, and by whom.
 */
#ifndef LOGFOLD_CORE_STAMP_H
#define LOGFOLD_CORE_STAMP_H

#include <limits.h>

#include "agent/map/counters.h"
#include "agent/store/store.h"

#define LF_STAMP_FILE "stamp"

struct lf_stamp_segment {
	char name[LF_SEGMENT_NAME_MAX];
	struct lf_counters counters;
};

struct lf_stamp {
	char store[PATH_MAX];
	char incarnation[LF_UUID_CHARS + 1]; /* empty: nothing was committed yet */
	uint64_t sequence;
	size_t count;
	struct lf_stamp_segment *segments; /* sorted by name */
};

/* -ENOENT when there is none; -EBADMSG when it is not whole.  On success the caller frees it. */
LF_MUST_CHECK int lf_stamp_read(int dirfd, struct lf_stamp *out, struct lf_error *err);
void lf_stamp_fini(struct lf_stamp *stamp); /* all zero is fine */

/* The counters of a segment, or NULL. */
const struct lf_counters *lf_stamp_find(const struct lf_stamp *stamp, const char *name);

/* What the writer asks for, one segment after the other: 1 and the next one, or 0 at the end. */
typedef int (*lf_stamp_next)(void *arg, const char **name, const struct lf_counters **counters);

/* Writes store, incarnation and sequence of `head`, and the segments that `next` yields. */
LF_MUST_CHECK int lf_stamp_write(int dirfd, const struct lf_stamp *head, lf_stamp_next next,
                                 void *arg, struct lf_error *err);

/* Harmless when there is none. */
void lf_stamp_remove(int dirfd);

#endif
