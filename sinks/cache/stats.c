#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager.h"
#include "sinks/cache/outbox.h"

enum { INFO_MS = 50 /* for what a tier that is up says of itself */ };

static void fill_counts(const struct lf_counters *counters, struct lf_cache_stats *out)
{
	const struct {
		uint64_t *to;
		enum lf_counter which;
	} counts[] = {
		{ &out->hits, LF_COUNT_HITS }, { &out->misses, LF_COUNT_MISSES }, { &out->sets, LF_COUNT_SETS },
		{ &out->deletes, LF_COUNT_DELETES }, { &out->expirations, LF_COUNT_EXPIRATIONS },
		{ &out->evictions, LF_COUNT_EVICTIONS }, { &out->invalidations, LF_COUNT_INVALIDATIONS },
		{ &out->loads, LF_COUNT_LOADS }, { &out->load_failures, LF_COUNT_LOAD_FAILURES },
		{ &out->load_waits, LF_COUNT_LOAD_WAITS }, { &out->refreshes, LF_COUNT_REFRESHES },
		{ &out->negative_hits, LF_COUNT_NEGATIVE_HITS }, { &out->stale_hits, LF_COUNT_STALE_HITS },
		{ &out->synced, LF_COUNT_SYNCED }, { &out->sync_batches, LF_COUNT_SYNC_BATCHES },
		{ &out->sync_retries, LF_COUNT_SYNC_RETRIES },
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		*counts[i].to = lf_counted(counters, counts[i].which);
	if (out->hits + out->misses)
		out->hit_rate_pct = 100.0 * (double)out->hits / (double)(out->hits + out->misses);
}

static void fill_times(const struct lf_counters *counters, enum lf_cache_tier which, struct lf_cache_tier_stats *out)
{
	out->hits = lf_counted_tier(counters, which, LF_COUNT_TIER_HITS);
	out->misses = lf_counted_tier(counters, which, LF_COUNT_TIER_MISSES);
	out->stores = lf_counted_tier(counters, which, LF_COUNT_TIER_STORES);
	out->failures = lf_counted_tier(counters, which, LF_COUNT_TIER_FAILURES);
	out->load_p50_ms = lf_timed_percentile_ms(counters, which, LF_TIMED_LOAD, 50);
	out->load_p99_ms = lf_timed_percentile_ms(counters, which, LF_TIMED_LOAD, 99);
	out->store_p50_ms = lf_timed_percentile_ms(counters, which, LF_TIMED_STORE, 50);
	out->store_p99_ms = lf_timed_percentile_ms(counters, which, LF_TIMED_STORE, 99);
}

/* Past call.c: asking how a tier is neither counts nor decides whether it is there. */
static void fill_info(struct lf_cache *cache, enum lf_cache_tier which, struct lf_cache_tier_stats *out)
{
	const struct lf_stack_tier *tier = &cache->tier[which];
	struct lf_tier_info info = { .items = UINT64_MAX, .bytes = UINT64_MAX };

	if (lf_tier_is_up(cache, which) &&
	    tier->ops->info(tier->tier, &info, lf_clock_ms() + INFO_MS, NULL) != LF_TIER_DONE)
		info = (struct lf_tier_info){ .items = UINT64_MAX, .bytes = UINT64_MAX };
	out->items = info.items;
	out->bytes = info.bytes;
	out->limit_bytes = info.limit_bytes;
	out->reconnects = info.reconnects;
}

static void fill_tier(struct lf_cache *cache, enum lf_cache_tier which, struct lf_cache_tier_stats *out)
{
	struct lf_manager_stats manager;

	out->state = (enum lf_cache_tier_state)atomic_load_explicit(&cache->tier[which].state, memory_order_acquire);
	if (!lf_tier_is_on(cache, which))
		return;
	fill_times(cache->counters, which, out);
	fill_info(cache, which, out);
	out->behind = lf_outbox_count(cache, which);
	lf_manager_stats(cache, which, &manager);
	out->failovers = manager.failovers;
	out->recoveries = manager.recoveries;
	out->pings = manager.pings;
	(void)snprintf(out->trouble, sizeof(out->trouble), "%s", manager.trouble);
}

void lf_cache_stats(struct lf_cache *cache, struct lf_cache_stats *out)
{
	*out = (struct lf_cache_stats){ .enabled = atomic_load_explicit(&cache->enabled, memory_order_relaxed) };
	fill_counts(cache->counters, out);
	for (unsigned i = 0; i < LF_CACHE_TIERS; i++)
		fill_tier(cache, (enum lf_cache_tier)i, &out->tier[i]);
	if (lf_tier_is_up(cache, LF_CACHE_MEMORY)) {
		out->items = out->tier[LF_CACHE_MEMORY].items;
		out->bytes = out->tier[LF_CACHE_MEMORY].bytes;
	}
	if (lf_tier_is_on(cache, LF_CACHE_SQLITE))
		out->pending = lf_sqlite_owed_count(cache->tier[LF_CACHE_SQLITE].tier);
}
