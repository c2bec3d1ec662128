#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/counters.h"

enum { THREADS = 20, EACH = 10000 };

static void *count_many(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		lf_count(arg, LF_COUNT_HITS, 1);
		lf_count_tier(arg, LF_CACHE_REDIS, LF_COUNT_TIER_STORES, 2);
	}
	return NULL;
}

Test(cache_counters, what_many_threads_count_adds_up)
{
	struct lf_counters *counters = lf_counters_new();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_many, counters), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	cr_assert_eq(lf_counted(counters, LF_COUNT_HITS), THREADS * EACH);
	cr_assert_eq(lf_counted(counters, LF_COUNT_MISSES), 0);
	cr_assert_eq(lf_counted_tier(counters, LF_CACHE_REDIS, LF_COUNT_TIER_STORES), 2 * THREADS * EACH);
	cr_assert_eq(lf_counted_tier(counters, LF_CACHE_SQLITE, LF_COUNT_TIER_STORES), 0);
	lf_counters_free(counters);
}

Test(cache_counters, percentiles_are_within_a_fifth)
{
	struct lf_counters *counters = lf_counters_new();

	cr_assert_eq(lf_timed_percentile_ms(counters, LF_CACHE_REDIS, LF_TIMED_LOAD, 50), 0);
	for (int64_t us = 1; us <= 100000; us++)
		lf_timed(counters, LF_CACHE_REDIS, LF_TIMED_LOAD, us * 1000);
	for (int percentile = 1; percentile < 100; percentile++)
		cr_assert_float_eq(lf_timed_percentile_ms(counters, LF_CACHE_REDIS, LF_TIMED_LOAD, percentile), percentile,
		                   0.19 * percentile, "%d", percentile);
	cr_assert_gt(lf_timed_percentile_ms(counters, LF_CACHE_REDIS, LF_TIMED_LOAD, 100), 90);
	cr_assert_eq(lf_timed_percentile_ms(counters, LF_CACHE_REDIS, LF_TIMED_STORE, 50), 0);
	lf_counters_free(counters);
}

Test(cache_counters, times_beyond_any_bucket_are_counted_too)
{
	struct lf_counters *counters = lf_counters_new();

	lf_timed(counters, LF_CACHE_MONGO, LF_TIMED_STORE, INT64_MAX);
	cr_assert_gt(lf_timed_percentile_ms(counters, LF_CACHE_MONGO, LF_TIMED_STORE, 50), 1e5);
	lf_timed(counters, LF_CACHE_SQLITE, LF_TIMED_STORE, -5);
	cr_assert_lt(lf_timed_percentile_ms(counters, LF_CACHE_SQLITE, LF_TIMED_STORE, 50), 1e-5);
	lf_counters_free(counters);
}

Test(cache_counters, of_a_tier_s_last_minute_it_is_known_what_failed_and_how_long_it_took)
{
	struct lf_counters *counters = lf_counters_new();
	int64_t now_ms = lf_clock_ms();
	struct lf_recent recent;

	for (int i = 0; i < 90; i++)
		lf_timed(counters, LF_CACHE_REDIS, LF_TIMED_LOAD, 2000000);
	lf_count_tier(counters, LF_CACHE_REDIS, LF_COUNT_TIER_FAILURES, 10);
	lf_counted_recent(counters, LF_CACHE_REDIS, now_ms + 20000, &recent);
	cr_assert_eq(recent.calls, 100);
	cr_assert_eq(recent.failures, 10);
	cr_assert_float_eq(recent.mean_ms, 2, 0.001);
	lf_counted_recent(counters, LF_CACHE_REDIS, now_ms + 80000, &recent);
	cr_assert_eq(recent.calls, 0);
	lf_counters_free(counters);
}

Test(cache_counters, everything_has_a_name)
{
	cr_assert_str_eq(lf_cache_tier_name(LF_CACHE_MONGO), "mongo");
	cr_assert_str_eq(lf_cache_tier_name(LF_CACHE_TIERS), "unknown");
	cr_assert_str_eq(lf_cache_event_name(LF_CACHE_RECOVER), "recover");
	cr_assert_str_eq(lf_cache_event_name((enum lf_cache_event)-1), "unknown");
	cr_assert_str_eq(lf_cache_health_name(LF_CACHE_CRITICAL), "critical");
	cr_assert_str_eq(lf_cache_tier_state_name(LF_CACHE_TIER_SWITCHED_OFF), "switched off");
}
