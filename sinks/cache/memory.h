/* The memory tier: a hash table in shards, bounded in entries and in bytes, with a policy that says who goes.
 *
 * Besides what every tier does (tier.h; a tombstone is not kept, it removes), it is filled from the tiers below without
 * ever bringing back what was changed meanwhile:
 *
 *   ticket = lf_memory_ticket(tier, key);     before a tier below is asked
 *   lf_memory_fill(tier, key, record, ticket) does nothing if the key may have been changed since
 *
 * A store by LF_IF_NEWER is refused, too, if it is not newer than what was here of late and went, of a key or of one with
 * the same slot: a caller whose own it is stores it again with a later version.
 *
 * The limits hold over all shards and at every moment.  Counted is what malloc() takes for a key's node and its record, and
 * what the table has grown by; not what an empty tier needs: some KiB for each shard.  What is larger than
 * all room is LF_TIER_FULL, and what was there stays.
 */
#ifndef LOGFOLD_SINKS_CACHE_MEMORY_H
#define LOGFOLD_SINKS_CACHE_MEMORY_H

#include "sinks/cache/tier.h"

extern const struct lf_tier_ops lf_tier_memory;

/* CLOCK_REALTIME, for options.clock_ms: where it is this very function, a hit mostly does without asking it. */
int64_t lf_memory_real_ms(void *arg);

/* The hot path of load(): one record with one user for the caller, or NULL. */
struct lf_record *lf_memory_get(struct lf_tier *tier, struct lf_text key);

uint64_t lf_memory_ticket(struct lf_tier *tier, struct lf_text key);
void lf_memory_fill(struct lf_tier *tier, struct lf_text key, const struct lf_record *record, uint64_t ticket);

/* A change of our own that a tier below took after the ticket was taken: kept (of a tombstone: removed) if the key cannot
 * have been changed since, else only what is older goes, and *current is false.  Either way fills under way do nothing.
 * FULL: it is not kept, and neither is what is older.  Tickets of different keys should seldom be one. */
LF_MUST_CHECK enum lf_tier_result lf_memory_put(struct lf_tier *tier, struct lf_text key, const struct lf_record *record,
                                                uint64_t ticket, bool *current);

/* It was changed elsewhere: removed if what is here is older than `version`; {0, 0}: in any case.  Fills under way do
 * nothing. */
void lf_memory_remove(struct lf_tier *tier, struct lf_text key, struct lf_version version);

/* Nothing of what is here is handed out any more; takes no time.  Its room comes back step by step. */
void lf_memory_forget(struct lf_tier *tier);

#endif
