#include <criterion/criterion.h>
#include <errno.h>

#include "tests/unit/load_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;

static void open_with(struct lf_cache_class of_all)
{
	lf_cache_close(cache);
	cache = load_cache(WITH_MEMORY, of_all);
	space = fixture_space(cache, "user", "acme");
}

static void open_cache(void)
{
	open_with((struct lf_cache_class){ 0 });
}

static void close_cache(void)
{
	lf_cache_close(cache);
}

static uint64_t counted(enum lf_counter which)
{
	return lf_counted(cache->counters, which);
}

TestSuite(cache_refresh, .init = open_cache, .fini = close_cache);

Test(cache_refresh, a_day_is_a_day_to_the_millisecond)
{
	enum { DAY_MS = 24 * 60 * 60 * 1000 };
	struct source source = { .value = "one", .how = { .ttl_ms = DAY_MS } };

	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, DAY_MS - 1);
	load_expect(space, &source, "one", false);
	cr_assert_eq(atomic_load(&source.calls), 1);
	atomic_fetch_add(&fake_now_ms, 1);
	load_expect(space, &source, "one", false);
	cr_assert_eq(atomic_load(&source.calls), 2);
}

Test(cache_refresh, an_old_value_is_handed_out_while_one_worker_loads_it_anew)
{
	struct source source = { .value = "one" };

	open_with((struct lf_cache_class){ .ttl_ms = 10000, .stale_ms = 4000 });
	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, 5999);
	load_expect(space, &source, "one", false);
	cr_assert_eq(atomic_load(&source.calls), 1);
	atomic_fetch_add(&fake_now_ms, 1);
	source.value = "two";
	atomic_store(&source.held, true);
	load_expect(space, &source, "one", true);
	until_inside(&source);
	load_expect(space, &source, "one", true);
	cr_assert_eq(atomic_load(&source.calls), 2);
	cr_assert_eq(counted(LF_COUNT_STALE_HITS), 2);
	atomic_store(&source.held, false);
	until_ended(cache, 2);
	load_expect(space, &source, "two", false);
	cr_assert_eq(counted(LF_COUNT_REFRESHES), 1);
}

Test(cache_refresh, an_old_value_stays_where_loading_it_anew_fails)
{
	struct source source = { .value = "one" };

	open_with((struct lf_cache_class){ .ttl_ms = 10000, .stale_ms = 4000 });
	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, 9999);
	source.fails = -EIO;
	load_expect(space, &source, "one", true);
	until_ended(cache, 2);
	load_expect_kept(space, "one");
	atomic_fetch_add(&fake_now_ms, 1);
	load_expect_kept(space, NULL);
}

Test(cache_refresh, an_old_value_goes_when_its_row_is_found_to_be_gone)
{
	struct source source = { .value = "one" };

	open_with((struct lf_cache_class){ .ttl_ms = 10000, .stale_ms = 4000 });
	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, 7000);
	source.value = NULL;
	load_expect(space, &source, "one", true);
	until_ended(cache, 2);
	load_expect_kept(space, NULL);
}

Test(cache_refresh, who_finds_an_old_value_gone_waits_for_the_worker_that_loads_it)
{
	struct source source = { .value = "one" };
	struct caller caller = { 0 };

	open_with((struct lf_cache_class){ .ttl_ms = 10000, .stale_ms = 4000 });
	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, 7000);
	source.value = "two";
	atomic_store(&source.held, true);
	load_expect(space, &source, "one", true);
	until_inside(&source);
	atomic_fetch_add(&fake_now_ms, 3000);
	caller_start(&caller, space, &source);
	until_waiting(space, 1);
	atomic_store(&source.held, false);
	caller_join(&caller, 1, "two");
	cr_assert_eq(atomic_load(&source.calls), 2);
}

Test(cache_refresh, a_value_is_loaded_early_the_likelier_the_nearer_its_end_and_the_longer_its_loader_takes)
{
	struct lf_cache_class of = { .early = 1.0 };
	struct lf_record record = { .load_ms = 100, .expires_ms = 10000 };
	double e = 2.718281828459045;

	/* At a chance of 1/e it is load_ms before its end. */
	cr_assert_eq(lf_refresh_due(&of, &record, 9899, 1 / e), LF_REFRESH_NOT);
	cr_assert_eq(lf_refresh_due(&of, &record, 9901, 1 / e), LF_REFRESH_EARLY);
	cr_assert_eq(lf_refresh_due(&of, &record, 9999, 1), LF_REFRESH_NOT);
	cr_assert_eq(lf_refresh_due(&of, &record, 9801, 1 / (e * e)), LF_REFRESH_EARLY);
	of.early = 2.0;
	cr_assert_eq(lf_refresh_due(&of, &record, 9801, 1 / e), LF_REFRESH_EARLY);
	of.early = 0;
	cr_assert_eq(lf_refresh_due(&of, &record, 9999, 1e-9), LF_REFRESH_NOT);
	of.early = 1.0;
	record.fresh_until_ms = 5000;
	cr_assert_eq(lf_refresh_due(&of, &record, 4901, 1 / e), LF_REFRESH_EARLY);
	cr_assert_eq(lf_refresh_due(&of, &record, 5000, 1), LF_REFRESH_STALE);
}

Test(cache_refresh, chances_are_spread_over_0_to_1)
{
	int below[4] = { 0 };

	for (int i = 0; i < 40000; i++) {
		double chance = lf_refresh_chance();

		cr_assert(chance > 0 && chance <= 1, "%f", chance);
		below[(int)(chance * 4) & 3]++;
	}
	for (int i = 0; i < 4; i++)
		cr_assert(below[i] > 9000 && below[i] < 11000, "%d of 40000 in quarter %d", below[i], i);
}

Test(cache_refresh, a_value_near_its_end_is_loaded_early_and_not_called_old)
{
	struct source source = { .value = "one" };

	open_with((struct lf_cache_class){ .ttl_ms = 10000, .early = 1000 });
	load_expect(space, &source, "one", false);
	atomic_fetch_add(&fake_now_ms, 9999);
	atomic_store(&source.held, true);
	for (int i = 0; i < 100; i++) /* 1 in 1000 that it is not yet time, each */
		load_expect(space, &source, "one", false);
	until_inside(&source);
	atomic_store(&source.held, false);
	until_number(&source.releases, 2, "releases");
	cr_assert_eq(atomic_load(&source.calls), 2);
}
