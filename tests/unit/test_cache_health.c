/* What a cache says of itself. */
#include <criterion/criterion.h>
#include <string.h>

#include "sinks/cache/call.h"
#include "tests/unit/memory_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;

static void open_cache(enum lf_cache_policy policy, uint64_t max_entries)
{
	struct lf_cache_options options;
	struct lf_error err = { "" };

	lf_cache_options_init(&options);
	options.memory.policy = policy;
	options.memory.max_entries = max_entries;
	cr_assert_eq(lf_cache_open(&cache, &options, &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_space(&space, cache, "user", "acme", &err), 0, "%s", err.text);
}

static void set_numbered(unsigned from, unsigned count)
{
	char id[16];

	for (unsigned i = from; i < from + count; i++) {
		(void)snprintf(id, sizeof(id), "%u", i);
		cr_assert_eq(lf_cache_set(space, text_of(id), text_of("v"), NULL, NULL), 1);
	}
}

static void look_up(unsigned hits, unsigned misses)
{
	struct lf_cache_value value;

	for (unsigned i = 0; i < hits + misses; i++) {
		cr_assert_eq(lf_cache_get(space, text_of(i < hits ? "0" : "none"), &value, NULL), i < hits);
		lf_cache_value_release(&value);
	}
}

static struct lf_cache_health health(void)
{
	struct lf_cache_health out;

	lf_cache_health(cache, &out);
	return out;
}

/* As if there were such a tier, in that state. */
static void pretend(enum lf_cache_tier which, enum lf_cache_tier_state state)
{
	atomic_store(&cache->tier[which].state, state);
}

Test(cache_health, statistics_tell_what_was_done_and_what_is_there)
{
	struct lf_cache_stats stats;

	open_cache(LF_CACHE_LRU, 8);
	set_numbered(0, 1);
	look_up(6, 2);
	cr_assert_eq(lf_cache_del(space, text_of("0"), NULL), 1);
	set_numbered(0, 10);
	lf_cache_stats(cache, &stats);
	cr_assert(stats.enabled);
	cr_assert_eq(stats.hits, 6);
	cr_assert_eq(stats.misses, 2);
	cr_assert_float_eq(stats.hit_rate_pct, 75, 0.001);
	cr_assert_eq(stats.sets, 11);
	cr_assert_eq(stats.deletes, 1);
	cr_assert_eq(stats.evictions, 2);
	cr_assert_eq(stats.items, 8);
	cr_assert_gt(stats.bytes, 8 * 100);
	cr_assert_eq(stats.tier[LF_CACHE_MEMORY].state, LF_CACHE_TIER_UP);
	cr_assert_eq(stats.tier[LF_CACHE_MEMORY].items, 8);
	cr_assert_eq(stats.tier[LF_CACHE_MEMORY].limit_bytes, 256 << 20);
	cr_assert_geq(stats.tier[LF_CACHE_MEMORY].hits, 6);
	cr_assert_eq(stats.tier[LF_CACHE_REDIS].state, LF_CACHE_TIER_OFF);
	cr_assert_eq(stats.pending, 0);
	lf_cache_enable(cache, false);
	lf_cache_stats(cache, &stats);
	cr_assert_not(stats.enabled);
	lf_cache_close(cache);
}

Test(cache_health, a_hit_rate_below_its_thresholds_is_told_once_it_says_something)
{
	open_cache(LF_CACHE_LRU, 0);
	set_numbered(0, 1);
	look_up(0, 50);
	cr_assert_eq(health().state, LF_CACHE_HEALTHY);
	cr_assert_str_eq(health().reason, "");
	look_up(200, 0); /* 200 of 250 */
	cr_assert_eq(health().state, LF_CACHE_HEALTHY);
	look_up(0, 1);
	cr_assert_eq(health().state, LF_CACHE_DEGRADED);
	cr_assert_eq(health().hit_rate, LF_CACHE_DEGRADED);
	cr_assert(strstr(health().reason, "79.7 % of 251 lookups"), "%s", health().reason);
	look_up(0, 100);
	cr_assert_eq(health().state, LF_CACHE_CRITICAL);
	lf_cache_close(cache);
}

Test(cache_health, memory_may_be_full_where_somebody_goes_and_not_where_nobody_does)
{
	open_cache(LF_CACHE_LRU, 100);
	set_numbered(0, 100);
	cr_assert_eq(health().state, LF_CACHE_HEALTHY);
	lf_cache_close(cache);
	open_cache(LF_CACHE_NONE, 100);
	set_numbered(0, 79);
	cr_assert_eq(health().state, LF_CACHE_HEALTHY);
	set_numbered(79, 1);
	cr_assert_eq(health().memory, LF_CACHE_DEGRADED);
	set_numbered(80, 15);
	cr_assert_eq(health().memory, LF_CACHE_CRITICAL);
	cr_assert(strstr(health().reason, "95.0 % full"), "%s", health().reason);
	lf_cache_close(cache);
}

Test(cache_health, a_tier_that_is_away_is_critical_and_one_that_is_switched_off_degraded)
{
	open_cache(LF_CACHE_LRU, 0);
	pretend(LF_CACHE_REDIS, LF_CACHE_TIER_SWITCHED_OFF);
	cr_assert_eq(health().state, LF_CACHE_DEGRADED);
	cr_assert(strstr(health().reason, "redis"));
	pretend(LF_CACHE_MONGO, LF_CACHE_TIER_AWAY);
	cr_assert_eq(health().tier[LF_CACHE_REDIS], LF_CACHE_DEGRADED);
	cr_assert_eq(health().tier[LF_CACHE_MONGO], LF_CACHE_CRITICAL);
	cr_assert_eq(health().state, LF_CACHE_CRITICAL);
	cr_assert(strstr(health().reason, "mongo"), "%s", health().reason);
	pretend(LF_CACHE_REDIS, LF_CACHE_TIER_OFF);
	pretend(LF_CACHE_MONGO, LF_CACHE_TIER_OFF);
	lf_cache_close(cache);
}

Test(cache_health, calls_that_fail_or_take_long_are_told_of_the_last_minute)
{
	open_cache(LF_CACHE_LRU, 0);
	pretend(LF_CACHE_REDIS, LF_CACHE_TIER_UP);
	lf_count_tier(cache->counters, LF_CACHE_REDIS, LF_COUNT_TIER_FAILURES, 4);
	cr_assert_eq(health().state, LF_CACHE_HEALTHY); /* of 4 calls */
	for (unsigned i = 0; i < 96; i++)
		lf_timed(cache->counters, LF_CACHE_REDIS, LF_TIMED_LOAD, 1000000);
	cr_assert_eq(health().tier[LF_CACHE_REDIS], LF_CACHE_DEGRADED);
	cr_assert(strstr(health().reason, "4.0 % of the last minute's calls of the redis tier failed"), "%s", health().reason);
	for (unsigned i = 0; i < 96; i++)
		lf_timed(cache->counters, LF_CACHE_REDIS, LF_TIMED_STORE, 200000000);
	cr_assert_eq(health().tier[LF_CACHE_REDIS], LF_CACHE_CRITICAL);
	cr_assert(strstr(health().reason, "takes 100.5 ms"), "%s", health().reason);
	pretend(LF_CACHE_REDIS, LF_CACHE_TIER_OFF);
	lf_cache_close(cache);
}
