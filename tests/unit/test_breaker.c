#include "sinks/breaker.h"

#include <criterion/criterion.h>

enum { FAILURES = 3, MIN_MS = 200, MAX_MS = 30000, TRIES = 40 };

static struct lf_breaker a_breaker(uint64_t seed)
{
	struct lf_breaker breaker;

	lf_breaker_init(&breaker, FAILURES, MIN_MS, MAX_MS, seed);
	return breaker;
}

Test(breaker, allows_calls_from_the_start)
{
	struct lf_breaker breaker = a_breaker(1);

	cr_assert(lf_breaker_allows(&breaker, 0));
	cr_assert_not(lf_breaker_is_open(&breaker));
}

Test(breaker, opens_after_as_many_failures_in_a_row_as_it_was_told)
{
	struct lf_breaker breaker = a_breaker(1);

	for (int i = 0; i < FAILURES - 1; i++)
		lf_breaker_failed(&breaker, i);
	cr_assert_not(lf_breaker_is_open(&breaker));
	lf_breaker_failed(&breaker, 2);
	cr_assert(lf_breaker_is_open(&breaker));
}

Test(breaker, a_success_between_failures_starts_the_row_again)
{
	struct lf_breaker breaker = a_breaker(1);

	for (int i = 0; i < 10 * FAILURES; i++) {
		lf_breaker_failed(&breaker, i);
		if (i % (FAILURES - 1) == 0)
			lf_breaker_succeeded(&breaker);
		cr_assert_not(lf_breaker_is_open(&breaker));
	}
}

Test(breaker, allows_nothing_until_its_pause_is_over_and_then_one_try)
{
	struct lf_breaker breaker = a_breaker(1);

	lf_breaker_failed(&breaker, 1000);
	cr_assert_not(lf_breaker_allows(&breaker, 1000));
	cr_assert_not(lf_breaker_allows(&breaker, breaker.retry_ms - 1));
	cr_assert(lf_breaker_allows(&breaker, breaker.retry_ms));
}

Test(breaker, every_pause_lies_between_half_and_all_of_a_doubling_time_with_an_end)
{
	struct lf_breaker breaker = a_breaker(7);
	int64_t wanted = MIN_MS;

	for (int i = 0; i < TRIES; i++) {
		int64_t pause;

		lf_breaker_failed(&breaker, 0);
		pause = breaker.retry_ms;
		cr_assert(pause >= wanted / 2 && pause <= wanted, "pause %d is %ld of %ld", i, (long)pause,
		          (long)wanted);
		if (i + 1 >= FAILURES)
			wanted = wanted * 2 < MAX_MS ? wanted * 2 : MAX_MS;
	}
	cr_assert_eq(wanted, MAX_MS);
}

Test(breaker, agents_that_fail_together_do_not_come_back_together)
{
	int64_t first = 0;
	int different = 0;

	for (uint64_t seed = 1; seed <= TRIES; seed++) {
		struct lf_breaker breaker = a_breaker(seed * 0x9e3779b97f4a7c15u);

		for (int i = 0; i < 8; i++)
			lf_breaker_failed(&breaker, 0);
		if (seed == 1)
			first = breaker.retry_ms;
		different += breaker.retry_ms != first;
	}
	cr_assert(different > TRIES / 2, "only %d of %d differ", different, TRIES);
}

Test(breaker, a_success_closes_it_at_once)
{
	struct lf_breaker breaker = a_breaker(1);

	for (int i = 0; i < TRIES; i++)
		lf_breaker_failed(&breaker, 0);
	lf_breaker_succeeded(&breaker);
	cr_assert(lf_breaker_allows(&breaker, 0));
	cr_assert_not(lf_breaker_is_open(&breaker));
	lf_breaker_failed(&breaker, 0);
	cr_assert(breaker.retry_ms <= MIN_MS, "the pauses begin anew");
}
