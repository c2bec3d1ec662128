/* The SQLite tier: one file, in which this process and others of this host keep records, stamps, what shared tiers are
 * still to be told, and the log of invalidations.
 *
 * Trust.  Where a shared tier is there, it may know better.  What this process itself wrote or read in its present
 * session is trusted; what is left from before, or was changed elsewhere, only once no shared tier is there.
 */
#ifndef LOGFOLD_SINKS_CACHE_SQLITE_H
#define LOGFOLD_SINKS_CACHE_SQLITE_H

#include "sinks/cache/tier.h"

/* A damaged file is set aside, as FILE.corrupt-TIME, and made anew, at any time: open() then returns 0 and says so in
 * `err`.  A database of another program, a newer logfold's and a folder that is not there are refused; what passes by
 * itself (a lock, a full disk) is for ping(). */
extern const struct lf_tier_ops lf_tier_sqlite;

enum { LF_SQLITE_TROUBLE_MAX = 256 };
/* What was set aside last, and why; "": nothing. */
void lf_sqlite_trouble(struct lf_tier *tier, char out[LF_SQLITE_TROUBLE_MAX]);

/* load() of one key that also says whether it is trusted. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_load(struct lf_tier *tier, struct lf_text key, struct lf_record **record,
                                                 bool *trusted, int64_t end_ms, struct lf_error *err);
/* All that is there is no longer trusted. */
void lf_sqlite_new_session(struct lf_tier *tier);
/* That key is not, if what is there is older. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_distrust(struct lf_tier *tier, struct lf_text key, struct lf_version version,
                                                     int64_t end_ms, struct lf_error *err);

/* What is owed: changes that a shared tier has yet to be told.  Keys come with store() (lf_tier_store.owed). */
struct lf_owed {
	enum lf_tier_change_kind kind;
	char *name; /* malloc()ed */
	size_t name_len;
	struct lf_version version;
	unsigned tiers; /* sum of 1u << LF_CACHE_… */
	bool critical;
};
/* A stamp or a prefix, committed to the disk. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_owe(struct lf_tier *tier, enum lf_tier_change_kind kind, struct lf_text name,
                                                struct lf_version version, unsigned tiers, int64_t end_ms, struct lf_error *err);
/* Up to `max`, oldest first, that this tier is owed, each with its own bit in `tiers`; free with lf_owed_free(). */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_owed(struct lf_tier *tier, enum lf_cache_tier to, size_t max, struct lf_owed **out,
                                                 size_t *count, int64_t end_ms, struct lf_error *err);
void lf_owed_free(struct lf_owed *owed, size_t count);
/* Those were told to `to`: taken off, where the version owed is still that one. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_paid(struct lf_tier *tier, enum lf_cache_tier to, const struct lf_owed *owed,
                                                 size_t count, int64_t end_ms, struct lf_error *err);
/* `to` may have lost anything: it is owed every critical record, every stamp, and the prefixes that were dropped of late.
 * A step of that, as there may be very many and others are to write meanwhile: from {0} on, until `all`. */
struct lf_owing {
	unsigned part;
	int64_t seq;
	bool all;
};
LF_MUST_CHECK enum lf_tier_result lf_sqlite_owe_all(struct lf_tier *tier, enum lf_cache_tier to, struct lf_owing *at,
                                                    int64_t end_ms, struct lf_error *err);
uint64_t lf_sqlite_owed_count(struct lf_tier *tier); /* as of the last commit here; cheap */

/* The mark (tier.h, ping) that a shared tier had when all was paid; "" at first. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_mark_get(struct lf_tier *tier, enum lf_cache_tier of, char mark[LF_TIER_MARK_MAX],
                                                     int64_t end_ms, struct lf_error *err);
LF_MUST_CHECK enum lf_tier_result lf_sqlite_mark_set(struct lf_tier *tier, enum lf_cache_tier of, const char *mark,
                                                     int64_t end_ms, struct lf_error *err);

/* The log of invalidations, the last 10 000. */
LF_MUST_CHECK enum lf_tier_result lf_sqlite_log_add(struct lf_tier *tier, const struct lf_cache_log_line *line, int64_t end_ms,
                                                    struct lf_error *err);
LF_MUST_CHECK enum lf_tier_result lf_sqlite_log(struct lf_tier *tier, size_t max, lf_cache_each_log each, void *arg,
                                                int64_t end_ms, struct lf_error *err);

#endif
