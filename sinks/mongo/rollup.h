/* The sums: entries.countTotal and its outcomes from all shares in counts.
 *
 * Whoever flushes a share marks it dirty.  One agent at a time, the holder of the namespace's lease,
 * takes dirty shares, remembers their hashes, takes the mark away, and only then sums all shares of these
 * hashes and raises the entries to the sums.  A share that is written after the mark was taken is marked
 * again; one that was written before is in the sum.  So a sum may be done twice, but none is left out:
 *
 *   the holder fails       the hashes stay remembered until their sums were acknowledged
 *   the holder dies        it held the lease while it worked: whoever takes the lease over sums the whole
 *                          namespace
 *   a write comes late     a mark that is taken away by a write which had timed out may be a newer one's:
 *                          so the whole namespace is summed again a term later
 *
 * The lease is {_id: "<namespace>:rollup", holder: an incarnation or "", serial, until}.  Every change
 * raises the serial and names the pair that it replaces.  The holder changes it at least every third of a
 * term while it works, and gives it up when nothing is left.  Another takes it over after it has seen the
 * same pair for a whole term of its own monotonic clock; `until` is for people alone.  One that was given
 * up has `releasedAt` instead, by which a server with TTL indexes removes it after a week.  One without a
 * pair that could be named, which only a person can have made of it, is removed by whoever finds it.
 */
#ifndef LOGFOLD_SINKS_MONGO_ROLLUP_H
#define LOGFOLD_SINKS_MONGO_ROLLUP_H

#include "sinks/sink.h"

enum { LF_MONGO_TERM_MS = 10000 };

struct lf_mongo_lease {
	bool there;
	char holder[LF_UUID_CHARS + 1]; /* "": nobody */
	int64_t serial;
};

/* What this sink knows of one namespace. */
struct lf_mongo_rollup {
	char namespace[LF_NAMESPACE_MAX + 1];
	bool mine;                  /* held by this sink, not by an earlier life of its incarnation */
	struct lf_mongo_lease seen; /* as it was read or written last */
	uint64_t seen_since_ms;     /* CLOCK_MONOTONIC; so are the others */
	char (*pending)[LF_HASH_CHARS + 1]; /* to be summed */
	size_t pending_count;
	bool full;                          /* the whole namespace is being summed */
	char full_after[LF_HASH_CHARS + 1]; /* so far */
	uint64_t full_again_ms;             /* when it is to be done once more; 0: never */
	bool late;                          /* a mark may yet be taken away by a write of ours */
	struct lf_mongo_rollup *next;
};

/* Sums what is pending, and forgets it when the entries were raised. */
enum lf_sink_result lf_mongo_sum_pending(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                         struct lf_error *err);

/* Reads the lease, and takes or renews it where that may be. */
enum lf_sink_result lf_mongo_lease_take(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                        struct lf_error *err);
/* Reads it only; sets seen and seen_since_ms. */
enum lf_sink_result lf_mongo_lease_look(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                        struct lf_error *err);
enum lf_sink_result lf_mongo_lease_renew(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                         struct lf_error *err);
enum lf_sink_result lf_mongo_lease_release(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                           struct lf_error *err);

#endif
