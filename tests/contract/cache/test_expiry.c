/* What expires, and when: by the cache's clock, which the tests move. */
#include "tests/contract/cache/stand.h"

#include <stdio.h>

TestSuite(cache_expiry, .init = open_stand, .fini = close_stand);

static void set_for(struct lf_cache_space *space, struct lf_text id, int64_t ttl_ms)
{
	struct lf_cache_set how = { .ttl_ms = ttl_ms };

	expect(1, lf_cache_set(space, id, TEXT("v"), &how, &err));
}

Test(cache_expiry, a_value_is_there_for_24_hours_to_the_millisecond)
{
	struct lf_cache_value found = { .record = NULL };

	set_for(users, TEXT("1"), DAY_MS);
	expect_ttl(users, TEXT("1"), DAY_MS);
	clock_moves(DAY_MS - 1);
	expect_ttl(users, TEXT("1"), 1);
	only_below();
	expect_ttl(users, TEXT("1"), 1);
	expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
	cr_assert_eq(found.expires_ms, clock_is() + 1);
	lf_cache_value_release(&found);
	clock_moves(1);
	expect_nothing(users, TEXT("1"));
	only_below();
	expect_nothing(users, TEXT("1"));
}

Test(cache_expiry, what_has_expired_is_in_no_answer)
{
	struct lf_cache_value found = { .record = NULL };
	struct lf_text ids[] = { TEXT("s"), TEXT("h") }, field = TEXT("f");

	set_for(users, TEXT("s"), 1000);
	set_field(users, TEXT("h"), TEXT("f"), TEXT("v"));
	expect(1, lf_cache_expire(users, TEXT("h"), 1000, &err));
	clock_moves(1000);
	for (int below = 0; below < 2; below++) {
		expect(0, lf_cache_get(users, TEXT("s"), &found, &err));
		expect(0, lf_cache_get(users, TEXT("h"), &found, &err));
		expect(0, lf_cache_mget(users, ids, 2, (struct lf_cache_value[2]){ { .record = NULL } }, &err));
		expect(0, lf_cache_hget(users, TEXT("h"), field, &found, &err));
		expect(0, lf_cache_hgetall(users, TEXT("h"), &found, &err));
		expect(0, lf_cache_hexists(users, TEXT("h"), field, &err));
		expect(0, (int)count_of_scan(users, NULL));
		only_below();
	}
	expect(0, lf_cache_hdel(users, TEXT("h"), &field, 1, &err));
	expect(0, lf_cache_expire(users, TEXT("s"), 1000, &err));
	expect(0, lf_cache_persist(users, TEXT("s"), &err));
	expect(0, lf_cache_del(users, TEXT("s"), &err));
}

Test(cache_expiry, what_has_expired_is_begun_anew_by_commands)
{
	struct lf_cache_set absent = { .when = LF_CACHE_IF_ABSENT };
	int64_t number = 0;

	set_for(users, TEXT("1"), 1000);
	set_for(users, TEXT("2"), 1000);
	set_for(users, TEXT("3"), 1000);
	clock_moves(1000);
	expect(0, lf_cache_incr(users, TEXT("1"), &number, &err));
	cr_assert_eq(number, 1);
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
	expect(1, lf_cache_set(users, TEXT("2"), TEXT("new"), &absent, &err));
	set_field(users, TEXT("3"), TEXT("f"), TEXT("v"));
	only_below();
	expect_value(users, TEXT("2"), TEXT("new"));
	expect_field(users, TEXT("3"), TEXT("f"), TEXT("v"));
}

Test(cache_expiry, set_takes_a_ttl_away_or_keeps_it_as_it_is_told)
{
	set_for(users, TEXT("1"), 5000);
	set_for(users, TEXT("1"), LF_CACHE_TTL_KEEP);
	expect_ttl(users, TEXT("1"), 5000);
	set_for(users, TEXT("1"), LF_CACHE_TTL_NONE);
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
	set_for(users, TEXT("1"), LF_CACHE_TTL_KEEP);
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
	set_for(users, TEXT("2"), LF_CACHE_TTL_KEEP);
	expect_ttl(users, TEXT("2"), LF_CACHE_TTL_NONE);
}

Test(cache_expiry, a_point_in_time_comes_before_the_ttl_and_one_that_has_passed_deletes)
{
	struct lf_cache_set how = { .ttl_ms = 1, .expires_ms = clock_is() + 7000 };

	expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	expect_ttl(users, TEXT("1"), 7000);
	how.expires_ms = clock_is();
	expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	expect_nothing(users, TEXT("1"));
	only_below();
	expect_nothing(users, TEXT("1"));
}

Test(cache_expiry, expire_and_expire_at_and_persist_change_the_time_alone)
{
	set_to(users, TEXT("1"), TEXT("v"));
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
	expect(0, lf_cache_persist(users, TEXT("1"), &err));
	expect(1, lf_cache_expire(users, TEXT("1"), 3000, &err));
	expect_ttl(users, TEXT("1"), 3000);
	expect(1, lf_cache_expire_at(users, TEXT("1"), clock_is() + DAY_MS, &err));
	only_below();
	expect_ttl(users, TEXT("1"), DAY_MS);
	expect(1, lf_cache_persist(users, TEXT("1"), &err));
	only_below();
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
	expect_value(users, TEXT("1"), TEXT("v"));
}

Test(cache_expiry, expire_with_a_time_that_has_passed_deletes)
{
	static const int64_t passed[] = { 0, -1, -DAY_MS };

	for (size_t i = 0; i < COUNT_OF(passed); i++) {
		set_to(users, TEXT("1"), TEXT("v"));
		expect(1, lf_cache_expire(users, TEXT("1"), passed[i], &err));
		expect_nothing(users, TEXT("1"));
		set_to(users, TEXT("1"), TEXT("v"));
		expect(1, lf_cache_expire_at(users, TEXT("1"), clock_is() + passed[i], &err));
		only_below();
		expect_nothing(users, TEXT("1"));
	}
}

Test(cache_expiry, counting_and_setting_fields_keep_the_ttl)
{
	int64_t number;

	expect(0, lf_cache_incr(users, TEXT("n"), &number, &err));
	set_field(users, TEXT("h"), TEXT("a"), TEXT("1"));
	expect(1, lf_cache_expire(users, TEXT("n"), 5000, &err));
	expect(1, lf_cache_expire(users, TEXT("h"), 5000, &err));
	clock_moves(1000);
	expect(0, lf_cache_incr(users, TEXT("n"), &number, &err));
	set_field(users, TEXT("h"), TEXT("b"), TEXT("2"));
	expect(1, lf_cache_hdel(users, TEXT("h"), &TEXT("a"), 1, &err));
	only_below();
	expect_ttl(users, TEXT("n"), 4000);
	expect_ttl(users, TEXT("h"), 4000);
}

Test(cache_expiry, values_without_a_ttl_of_their_own_have_that_of_their_types_class)
{
	struct lf_cache_space *sessions = space_of(cache, "session", "acme");
	int64_t number;

	set_to(sessions, TEXT("1"), TEXT("v"));
	expect_ttl(sessions, TEXT("1"), DAY_MS);
	set_for(sessions, TEXT("2"), 5);
	expect_ttl(sessions, TEXT("2"), 5);
	set_for(sessions, TEXT("3"), LF_CACHE_TTL_NONE);
	expect_ttl(sessions, TEXT("3"), LF_CACHE_TTL_NONE);
	expect(0, lf_cache_incr(sessions, TEXT("4"), &number, &err));
	expect_ttl(sessions, TEXT("4"), DAY_MS);
	set_to(users, TEXT("1"), TEXT("v"));
	expect_ttl(users, TEXT("1"), LF_CACHE_TTL_NONE);
}

/* Of 40 values, one in 10^12 runs would find all alike. */
Test(cache_expiry, jitter_makes_ttls_differ_and_none_longer_or_shorter_than_it_may)
{
	struct lf_cache_space *jobs = space_of(cache, "job", "acme");
	int64_t first = 0;
	bool differ = false;

	for (int i = 0; i < 40; i++) {
		int64_t left = 0;
		char id[8];

		(void)snprintf(id, sizeof(id), "%d", i);
		set_to(jobs, text(id), TEXT("v"));
		expect(1, lf_cache_ttl(jobs, text(id), &left, &err));
		cr_assert(left >= 500000 && left <= 1000000, "%lld", (long long)left);
		differ |= i > 0 && left != first;
		first = left;
	}
	cr_assert(differ);
}
