/* Which tiers are there.
 *
 * A tier is away after options.failures failures in a row, or one refused connection; a thread tries it again with
 * a jittered, growing pause (growing also from one to the next, where it is lost as soon as it is back).  When it answers, what it missed is sent first (in batches, by version, with what is
 * left of each TTL), and then it is up.  While it is up it is asked every health_interval_ms, and a mark that
 * changed (a restart, an emptied server) means that it is owed all critical records.
 *
 * The thread of the channel hears what other processes changed: memory drops it, SQLite does not trust it, stamps
 * are raised.  When the channel broke and is there again, memory forgets all, SQLite begins a new session, and
 * stamps are unknown.  While a shared tier is up and there is no channel, memory forgets every
 * options.unwatched_ms.
 */
#ifndef LOGFOLD_SINKS_CACHE_MANAGER_H
#define LOGFOLD_SINKS_CACHE_MANAGER_H

#include "sinks/cache/internal.h"

/* The tiers are open, and the outbox is there.  Tries each once. */
LF_MUST_CHECK int lf_manager_new(struct lf_cache *cache, struct lf_error *err);
/* Ends its threads; the tiers stay open. */
void lf_manager_close(struct lf_cache *cache);

/* How a call of the tier went (call.c). */
enum lf_tier_fault {
	LF_FAULT_BROKEN,  /* no connection, or it broke: the tier is asked at once, and away if that fails, too */
	LF_FAULT_LATE,    /* it had its time and did not answer */
	LF_FAULT_HURRIED, /* it had little time: the caller's was nearly over */
	LF_FAULT_REFUSED, /* it answers, and will not */
};
void lf_manager_succeeded(struct lf_cache *cache, enum lf_cache_tier which);
void lf_manager_failed(struct lf_cache *cache, enum lf_cache_tier which, enum lf_tier_fault fault,
                       const struct lf_error *err);

/* Something is owed to a tier that is up: soon. */
void lf_manager_poke(struct lf_cache *cache);

struct lf_manager_stats {
	uint64_t failovers, recoveries, pings;
	char trouble[256];
};
void lf_manager_stats(struct lf_cache *cache, enum lf_cache_tier which, struct lf_manager_stats *out);

/* One batch (sync.c) of what SQLite notes as owed to the tier, whose calls are made whatever its state. */
enum lf_sync {
	LF_SYNC_ALL,  /* nothing is left */
	LF_SYNC_MORE,
	LF_SYNC_TIER_FAILED,
	LF_SYNC_SQLITE_FAILED, /* what is owed is not known, or what was told is still noted as owed */
};
LF_MUST_CHECK enum lf_sync lf_sync_step(struct lf_cache *cache, enum lf_cache_tier to, int64_t end_ms,
                                        struct lf_error *err);

#endif
