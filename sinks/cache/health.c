/* How the cache is, by the thresholds of its options.  Nothing but memory is asked, so it takes no time when a tier is away. */
#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager.h"

enum {
	ENOUGH_LOOKUPS = 100, /* before that a hit rate says nothing: everything is missed once */
	ENOUGH_CALLS = 20,
};

/* Notes the state of a part, and why if it is the worst so far. */
__attribute__((format(printf, 3, 4))) static enum lf_cache_health_state judge(struct lf_cache_health *health,
                                                                             enum lf_cache_health_state state,
                                                                             const char *format, ...)
{
	va_list args;

	if (state > health->state) {
		va_start(args, format);
		(void)vsnprintf(health->reason, sizeof(health->reason), format, args);
		va_end(args);
		health->state = state;
	}
	return state;
}

static enum lf_cache_health_state above(double value, double degraded, double critical)
{
	if (value >= critical)
		return LF_CACHE_CRITICAL;
	return value >= degraded ? LF_CACHE_DEGRADED : LF_CACHE_HEALTHY;
}

static enum lf_cache_health_state worse(enum lf_cache_health_state a, enum lf_cache_health_state b)
{
	return a > b ? a : b;
}

static void judge_hit_rate(struct lf_cache *cache, struct lf_cache_health *out)
{
	const struct lf_cache_options *options = &cache->options;
	uint64_t hits = lf_counted(cache->counters, LF_COUNT_HITS);
	uint64_t lookups = hits + lf_counted(cache->counters, LF_COUNT_MISSES);
	double missed_pct = lookups ? 100.0 * (double)(lookups - hits) / (double)lookups : 0;
	enum lf_cache_health_state state = LF_CACHE_HEALTHY;

	/* Below, not at, the threshold. */
	if (lookups >= ENOUGH_LOOKUPS && missed_pct > 100.0 - options->hit_rate_critical_pct)
		state = LF_CACHE_CRITICAL;
	else if (lookups >= ENOUGH_LOOKUPS && missed_pct > 100.0 - options->hit_rate_degraded_pct)
		state = LF_CACHE_DEGRADED;
	out->hit_rate = judge(out, state, "%.1f %% of %llu lookups found something", 100 - missed_pct, (unsigned long long)lookups);
}

static double full_pct(uint64_t used, uint64_t max)
{
	return max ? 100.0 * (double)used / (double)max : 0;
}

/* Where somebody always goes, memory is full as it should be: then the hit rate tells whether it is too small. */
static void judge_memory(struct lf_cache *cache, struct lf_cache_health *out)
{
	const struct lf_cache_memory_options *options = &cache->options.memory;
	const struct lf_stack_tier *memory = &cache->tier[LF_CACHE_MEMORY];
	struct lf_tier_info info;
	double bytes, entries;

	if (options->policy != LF_CACHE_NONE || !lf_tier_is_up(cache, LF_CACHE_MEMORY) ||
	    memory->ops->info(memory->tier, &info, lf_clock_ms(), NULL) != LF_TIER_DONE)
		return;
	bytes = full_pct(info.bytes, options->max_bytes);
	entries = full_pct(info.items, options->max_entries);
	out->memory = judge(out, above(bytes > entries ? bytes : entries, cache->options.memory_degraded_pct,
	                               cache->options.memory_critical_pct),
	                    "the memory tier is %.1f %% full, and its policy is none", bytes > entries ? bytes : entries);
}

static enum lf_cache_health_state judge_calls(struct lf_cache *cache, enum lf_cache_tier which, struct lf_cache_health *out)
{
	const struct lf_cache_options *options = &cache->options;
	const char *name = lf_cache_tier_name(which);
	struct lf_recent recent;
	double failed_pct;

	lf_counted_recent(cache->counters, which, lf_clock_ms(), &recent);
	if (recent.calls < ENOUGH_CALLS)
		return LF_CACHE_HEALTHY;
	failed_pct = 100.0 * (double)recent.failures / (double)recent.calls;
	return worse(judge(out, above(failed_pct, options->error_rate_degraded_pct, options->error_rate_critical_pct),
	                   "%.1f %% of the last minute's calls of the %s tier failed", failed_pct, name),
	             judge(out, above(recent.mean_ms, options->latency_degraded_ms, options->latency_critical_ms),
	                   "a call of the %s tier takes %.1f ms", name, recent.mean_ms));
}

static void judge_tier(struct lf_cache *cache, enum lf_cache_tier which, struct lf_cache_health *out)
{
	struct lf_manager_stats stats;

	switch ((enum lf_cache_tier_state)atomic_load_explicit(&cache->tier[which].state, memory_order_acquire)) {
	case LF_CACHE_TIER_OFF:
		return;
	case LF_CACHE_TIER_SWITCHED_OFF:
		out->tier[which] = judge(out, LF_CACHE_DEGRADED, "the %s tier is switched off", lf_cache_tier_name(which));
		return;
	case LF_CACHE_TIER_AWAY:
		lf_manager_stats(cache, which, &stats);
		out->tier[which] = judge(out, LF_CACHE_CRITICAL, "the %s tier is away: %.200s", lf_cache_tier_name(which),
		                         stats.trouble);
		return;
	case LF_CACHE_TIER_UP:
		/* Memory is there, and what it refuses is told by how full it is. */
		if (which != LF_CACHE_MEMORY)
			out->tier[which] = judge_calls(cache, which, out);
		return;
	}
}

void lf_cache_health(struct lf_cache *cache, struct lf_cache_health *out)
{
	*out = (struct lf_cache_health){ .state = LF_CACHE_HEALTHY };
	for (unsigned i = 0; i < LF_CACHE_TIERS; i++)
		judge_tier(cache, (enum lf_cache_tier)i, out);
	judge_hit_rate(cache, out);
	judge_memory(cache, out);
}
