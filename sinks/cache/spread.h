/* A change that was made, or that stands by itself, brought to every tier that does not have it: written to those that
 * are there, owed to those that are not.
 */
#ifndef LOGFOLD_SINKS_CACHE_SPREAD_H
#define LOGFOLD_SINKS_CACHE_SPREAD_H

#include "sinks/cache/internal.h"

enum { LF_SPREAD_MAX = 128 };

#define LF_SHARED_TIERS (1u << LF_CACHE_REDIS | 1u << LF_CACHE_MONGO)

struct lf_spread {
	struct lf_text key;
	const struct lf_record *record;
	uint64_t ticket; /* memory's, from before any tier was asked */
	unsigned losses; /* of the cache, as of then */
	unsigned has;    /* tiers (1u << LF_CACHE_…) that have it.  With SQLite, what others are owed is noted there */
	unsigned failed; /* tiers that were tried just now in vain */
	/* Between the steps. */
	unsigned missed, later;
	bool waits;
	struct lf_spread *next; /* of those that are critical and under way */
};

/* Up to LF_SPREAD_MAX.  0; or why it is nowhere, or is critical and not in SQLite. */
LF_MUST_CHECK int lf_spread(struct lf_cache *cache, struct lf_spread *items, size_t count, int64_t end_ms,
                            struct lf_error *err);

/* The newest critical record of the key that is at its home, and on its way to the others: the home may lose it before
 * they have it.  With one user for the caller, or NULL. */
struct lf_record *lf_spread_find(struct lf_cache *cache, struct lf_text key);

/* What SQLite has to note with a change that is made there first: shared tiers that are on, but for those that the outbox
 * will tell. */
unsigned lf_spread_owed(const struct lf_cache *cache, const struct lf_record *record);

/* A prefix was dropped while a record of that version was on its way: it goes from those tiers where it is.  What somebody
 * else has put there since stays. */
void lf_spread_bury(struct lf_cache *cache, struct lf_text key, struct lf_version version, unsigned tiers, int64_t end_ms);

/* By when one of several tiers has to answer, so that some time is left for the others. */
int64_t lf_spread_share(int64_t end_ms);

/* What is kept where a key was deleted. */
struct lf_record lf_tombstone(const struct lf_cache *cache, struct lf_version version, bool critical);

/* -EHOSTDOWN: a critical change, and SQLite cannot commit it. */
LF_MUST_CHECK int lf_spread_critical(const struct lf_cache *cache, struct lf_text key, struct lf_error *err);

#endif
