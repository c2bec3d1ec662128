/* Numbers that every thread raises: in slots, so that threads do not share a line, and summed when they are asked for. */
#ifndef LOGFOLD_SINKS_CACHE_COUNTERS_H
#define LOGFOLD_SINKS_CACHE_COUNTERS_H

#include "logfold/cache.h"

enum lf_counter {
	LF_COUNT_HITS, LF_COUNT_MISSES, LF_COUNT_SETS, LF_COUNT_DELETES, LF_COUNT_EXPIRATIONS, LF_COUNT_EVICTIONS,
	LF_COUNT_INVALIDATIONS, LF_COUNT_LOADS, LF_COUNT_LOAD_FAILURES, LF_COUNT_LOAD_WAITS, LF_COUNT_REFRESHES,
	LF_COUNT_NEGATIVE_HITS, LF_COUNT_STALE_HITS, LF_COUNT_SYNCED, LF_COUNT_SYNC_BATCHES, LF_COUNT_SYNC_RETRIES,
	LF_COUNTERS
};

enum lf_tier_counter { LF_COUNT_TIER_HITS, LF_COUNT_TIER_MISSES, LF_COUNT_TIER_STORES, LF_COUNT_TIER_FAILURES, LF_TIER_COUNTERS };

struct lf_counters;

struct lf_counters *lf_counters_new(void); /* NULL: no memory */
void lf_counters_free(struct lf_counters *counters);

void lf_count(struct lf_counters *counters, enum lf_counter which, uint64_t by);
void lf_count_tier(struct lf_counters *counters, enum lf_cache_tier tier, enum lf_tier_counter which, uint64_t by);
uint64_t lf_counted(const struct lf_counters *counters, enum lf_counter which);
uint64_t lf_counted_tier(const struct lf_counters *counters, enum lf_cache_tier tier, enum lf_tier_counter which);

/* How long a call took.  A histogram of powers of two, four buckets each: percentiles are within 19 %. */
enum lf_timed { LF_TIMED_LOAD, LF_TIMED_STORE, LF_TIMED_KINDS };
void lf_timed(struct lf_counters *counters, enum lf_cache_tier tier, enum lf_timed kind, int64_t ns);
double lf_timed_percentile_ms(const struct lf_counters *counters, enum lf_cache_tier tier, enum lf_timed kind, double percentile);

/* Of about the last minute, what lf_timed() and LF_COUNT_TIER_FAILURES were told.  `now_ms`: lf_clock_ms(). */
struct lf_recent {
	uint64_t calls, failures; /* `calls` has both in it */
	double mean_ms;           /* of those that did not fail */
};
void lf_counted_recent(const struct lf_counters *counters, enum lf_cache_tier tier, int64_t now_ms, struct lf_recent *out);

#endif
