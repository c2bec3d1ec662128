/* What tiers are still to be told and SQLite does not keep: writes to tiers in mode behind, and, where SQLite is
 * off, changes that a shared tier missed.  State, not events: of each key only the newest record, with the tiers
 * that it is owed to.  One thread sends it in batches, by version.
 *
 * Bounded (65536 keys, 64 MiB).  Over it, a change for a tier that is up is written at once by its caller; a tier
 * that is away has then lost track: when it returns, all of the scope that is older than that is dropped there.
 *
 * With LF_CACHE_THROUGH, SQLite and all tiers up it is empty, and asking it costs one load.
 */
#ifndef LOGFOLD_SINKS_CACHE_OUTBOX_H
#define LOGFOLD_SINKS_CACHE_OUTBOX_H

#include "sinks/cache/internal.h"

LF_MUST_CHECK int lf_outbox_new(struct lf_cache *cache, struct lf_error *err);
/* Sends what is there until end_ms, and ends its thread.  The manager's threads may still come and look. */
void lf_outbox_close(struct lf_cache *cache, int64_t end_ms);
void lf_outbox_free(struct lf_cache *cache); /* after lf_manager_close() */

/* `tiers`: sum of 1u << LF_CACHE_….  -ENOSPC: no room; write it at once, or see above (it is noted). */
LF_MUST_CHECK int lf_outbox_put(struct lf_cache *cache, struct lf_text key, const struct lf_record *record,
                                unsigned tiers);
LF_MUST_CHECK int lf_outbox_put_stamp(struct lf_cache *cache, struct lf_text name, uint64_t stamp, unsigned tiers);
/* What waits under the prefix, of a version's clock up to that, goes; `tiers` may be 0. */
LF_MUST_CHECK int lf_outbox_put_prefix(struct lf_cache *cache, struct lf_text prefix, uint64_t upto, unsigned tiers);

/* The newest record of the key that waits here, with one user for the caller, or NULL. */
struct lf_record *lf_outbox_find(struct lf_cache *cache, struct lf_text key);

uint64_t lf_outbox_count(struct lf_cache *cache, enum lf_cache_tier to);

/* Of a tier that is coming back, before it is up: one that lost track drops what is old… */
LF_MUST_CHECK enum lf_tier_result lf_outbox_drop_lost(struct lf_cache *cache, enum lf_cache_tier to, bool *dropped,
                                                      struct lf_error *err);
/* …and it is told what waits here for it by now. */
LF_MUST_CHECK enum lf_tier_result lf_outbox_catch_up(struct lf_cache *cache, enum lf_cache_tier to,
                                                     struct lf_error *err);
/* Of one that is up: it lost track while it came back, and has to drop what is old after all. */
bool lf_outbox_has_lost(struct lf_cache *cache, enum lf_cache_tier to);

/* Waits until nothing is owed to tiers that are up.  0 or -ETIMEDOUT. */
LF_MUST_CHECK int lf_outbox_settle(struct lf_cache *cache, int64_t end_ms);

#endif
