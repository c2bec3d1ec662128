#include "agent/map/verdict.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/folder_fixture.h"

static struct lf_flags *flags;
static struct lf_slot slot;
static uint64_t now_ms;
static unsigned asked_for_time;

static uint64_t clock_of_test(void)
{
	asked_for_time++;
	return now_ms;
}

static void start(void)
{
	char path[FOLDER_MAX];
	int rc, dirfd;

	new_folder(path);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flags = lf_flags_map(dirfd, 1, &rc);
	cr_assert_not_null(flags);
	now_ms = 1000000;
}

static void obey(uint64_t rule)
{
	struct lf_flags_row row = { .namespace_key = lf_flags_namespace_key("unit"), .rule = rule };

	cr_assert_eq(lf_flags_publish(flags, &row, 1), 0);
}

static struct lf_verdict take(void)
{
	return lf_verdict_take(flags, &slot, lf_flags_namespace_key("unit"), clock_of_test);
}

static unsigned passed_of(unsigned calls)
{
	unsigned passed = 0;

	while (calls--)
		passed += take().outcome == LF_PASSED;
	return passed;
}

Test(verdict, one_in_n_passes_and_the_first_is_one_of_them, .init = start)
{
	obey(lf_rule_make(LF_RULE_SAMPLE, 10, 0));
	cr_assert_eq(take().outcome, LF_PASSED);
	for (int i = 1; i < 10; i++)
		cr_assert_eq(take().outcome, LF_SAMPLED);
	cr_assert_eq(passed_of(990), 99);
	cr_assert_eq(asked_for_time, 0, "a sample needs no clock");
}

Test(verdict, a_limit_lets_n_pass_in_each_period, .init = start)
{
	obey(lf_rule_make(LF_RULE_LIMIT, 3, 1000));
	cr_assert_eq(passed_of(10), 3);
	cr_assert_eq(take().outcome, LF_LIMITED);
	now_ms += 999;
	cr_assert_eq(passed_of(10), 0);
	now_ms += 1;
	cr_assert_eq(passed_of(10), 3);
	now_ms += UINT64_C(86400000) * 400;
	cr_assert_eq(passed_of(10), 3);
}

Test(verdict, a_limit_of_none_lets_none_pass_behind_the_first_period, .init = start)
{
	obey(lf_rule_make(LF_RULE_LIMIT, 1, UINT32_MAX));
	cr_assert_eq(passed_of(5), 1);
	now_ms += UINT32_MAX - UINT32_C(1);
	cr_assert_eq(passed_of(5), 0);
}

Test(verdict, the_first_call_of_a_fold_passes_and_the_next_period_tells_the_repeats, .init = start)
{
	struct lf_verdict verdict;

	obey(lf_rule_make(LF_RULE_FOLD, 0, 5000));
	verdict = take();
	cr_assert_eq(verdict.outcome, LF_PASSED);
	cr_assert_eq(verdict.repeats, 0);
	cr_assert_eq(passed_of(12), 0);
	cr_assert_eq(take().outcome, LF_FOLDED);
	now_ms += 5000;
	verdict = take();
	cr_assert_eq(verdict.outcome, LF_PASSED);
	cr_assert_eq(verdict.repeats, 13);
	cr_assert_eq(verdict.over_ms, 5000);
}

Test(verdict, repeats_are_told_once_and_after_the_grace_time_by_nobody_here, .init = start)
{
	obey(lf_rule_make(LF_RULE_FOLD, 0, 5000));
	(void)passed_of(4);
	cr_assert_eq(lf_verdict_untold(flags, &slot, 5000, now_ms + 4999), 0, "not over yet");
	cr_assert_eq(lf_verdict_untold(flags, &slot, 5000, now_ms + 5000), 3);
	cr_assert_eq(lf_verdict_untold(flags, &slot, 5000, now_ms + 5001), 0, "told");
	now_ms += 5002;
	cr_assert_eq(take().repeats, 0);
	(void)passed_of(4);
	now_ms += 5000 + LF_FOLD_GRACE_MS;
	cr_assert_eq(lf_verdict_untold(flags, &slot, 5000, now_ms), 0, "the agent's");
	cr_assert_eq(take().repeats, 0, "the agent's");
}

Test(verdict, how_long_repeats_are_left_to_the_process_is_what_the_agent_says, .init = start)
{
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "", .fold_grace_ms = 9000 });
	obey(lf_rule_make(LF_RULE_FOLD, 0, 5000));
	(void)passed_of(4);
	cr_assert_eq(lf_verdict_untold(flags, &slot, 5000, now_ms + 13999), 3);
}

Test(verdict, another_rule_begins_anew, .init = start)
{
	obey(lf_rule_make(LF_RULE_SAMPLE, 1000, 0));
	(void)passed_of(500);
	obey(lf_rule_make(LF_RULE_LIMIT, 2, 1000));
	cr_assert_eq(passed_of(10), 2);
	obey(lf_rule_make(LF_RULE_FOLD, 0, 1000));
	cr_assert_eq(take().outcome, LF_PASSED);
	cr_assert_eq(take().outcome, LF_FOLDED);
	obey(lf_rule_make(LF_RULE_MUTE, 0, 0));
	cr_assert_eq(passed_of(10), 0);
	cr_assert(lf_verdict_is_muted(flags, &slot));
	cr_assert_eq(lf_flags_publish(flags, NULL, 0), 0);
	cr_assert_eq(passed_of(10), 10);
	cr_assert(lf_verdict_passes(flags, &slot));
}

Test(verdict, the_default_rule_holds_for_entries_without_one_of_their_own, .init = start)
{
	const uint64_t fold = lf_rule_make(LF_RULE_FOLD, 0, 1000);

	cr_assert_not(lf_verdict_any_rules(flags));
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "", .rule = fold });
	cr_assert(lf_verdict_any_rules(flags));
	cr_assert_eq(passed_of(10), 1);
	obey(lf_rule_make(LF_RULE_SAMPLE, 5, 0));
	cr_assert_eq(passed_of(10), 2);
}

Test(verdict, a_policed_slot_is_never_taken_for_one_that_passes_or_is_muted, .init = start)
{
	obey(lf_rule_make(LF_RULE_SAMPLE, 2, 0));
	for (int i = 0; i < 4; i++) {
		(void)take();
		cr_assert_not(lf_verdict_passes(flags, &slot));
		cr_assert_not(lf_verdict_is_muted(flags, &slot));
	}
}

Test(verdict, a_thread_that_was_held_up_after_it_asked_for_the_time_begins_no_period_of_its_own, .init = start)
{
	obey(lf_rule_make(LF_RULE_LIMIT, 3, 1000));
	cr_assert_eq(passed_of(5), 3);
	now_ms -= 2;
	cr_assert_eq(passed_of(5), 0);
	obey(lf_rule_make(LF_RULE_FOLD, 0, 1000));
	(void)passed_of(5);
	now_ms -= 2;
	cr_assert_eq(passed_of(5), 0);
	now_ms += 1002;
	cr_assert_eq(take().repeats, 9);
}

enum { THREADS = 4, CALLS = 50000 };
static _Atomic unsigned passed;

static void *take_many(void *arg)
{
	(void)arg;
	atomic_fetch_add(&passed, passed_of(CALLS));
	return NULL;
}

static unsigned passed_by_threads(void)
{
	pthread_t thread[THREADS];

	passed = 0;
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, take_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return passed;
}

Test(verdict, threads_together_get_what_one_would, .init = start)
{
	obey(lf_rule_make(LF_RULE_SAMPLE, 100, 0));
	cr_assert_eq(passed_by_threads(), THREADS * CALLS / 100);
	obey(lf_rule_make(LF_RULE_LIMIT, 1234, 1000));
	cr_assert_eq(passed_by_threads(), 1234);
	obey(lf_rule_make(LF_RULE_FOLD, 0, 1000));
	cr_assert_eq(passed_by_threads(), 1);
	cr_assert_eq(lf_policed_count(slot.policed), THREADS * CALLS - 1);
}
