/* get_or_set in two processes, which are two caches here, that share a Redis. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/load_fixture.h"

enum { DEADLINE_MS = 20000, HOUR_MS = 3600 * 1000 };

static struct lf_cache *caches[2];
static struct lf_cache_space *spaces[2];
static struct fake *redis;

static int64_t slow_clock_ms(void *arg)
{
	return fake_clock_ms(arg) - HOUR_MS;
}

static void open_one(int which, struct lf_cache_class of_all, int64_t (*clock_ms)(void *arg))
{
	struct lf_cache_options options;

	(void)fixture_options(&options, WITH_MEMORY | WITH_REDIS);
	options.classes = &of_all;
	options.classes_count = 1;
	options.workers = 1;
	options.clock_ms = clock_ms;
	caches[which] = fixture_open(&options);
	spaces[which] = fixture_space(caches[which], "user", "acme");
	cr_assert(fixture_wait_state(caches[which], LF_CACHE_REDIS, LF_CACHE_TIER_UP));
}

static void open_both(void)
{
	redis = fake_server(LF_CACHE_REDIS);
	for (int i = 0; i < 2; i++)
		open_one(i, (struct lf_cache_class){ 0 }, fake_clock_ms);
}

static void close_both(void)
{
	for (int i = 0; i < 2; i++)
		lf_cache_close(caches[i]);
}

TestSuite(cache_fleet, .init = open_both, .fini = close_both);

/* What the fleet has. */
static void expect_shared(const char *expected)
{
	struct lf_record *record = fake_peek(redis, fixture_key(spaces[0], "1"));

	cr_assert_not_null(record);
	cr_assert(record->value.len == strlen(expected) && memcmp(record->value.data, expected, record->value.len) == 0, "%.*s",
	          (int)record->value.len, record->value.data);
	lf_record_drop(record);
}

static void until_locked_at(unsigned calls)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (fake_calls(redis, FAKE_LOCK) < calls)
		cr_assert_lt(lf_clock_ms(), end_ms, "nobody comes back to the lock");
}

Test(cache_fleet, of_two_processes_one_loads_and_the_other_waits_for_it)
{
	struct source one = { .value = "one", .held = true }, two = { .value = "two" };
	struct caller first = { 0 }, second = { 0 };

	caller_start(&first, spaces[0], &one);
	until_inside(&one);
	caller_start(&second, spaces[1], &two);
	until_locked_at(3);
	atomic_store(&one.held, false);
	caller_join(&first, 1, "one");
	caller_join(&second, 1, "one");
	cr_assert_eq(atomic_load(&two.calls), 0);
	cr_assert_eq(fake_expire_locks(redis), 0);
}

static void come_first(void *arg)
{
	static bool inside;

	if (inside)
		return;
	inside = true;
	load_expect(spaces[1], arg, "one", false);
}

Test(cache_fleet, what_another_process_made_before_we_had_the_lock_is_not_made_again)
{
	struct source one = { .value = "one" }, two = { .value = "two" };

	fake_before(redis, FAKE_LOCK, come_first, &one);
	load_expect(spaces[0], &two, "one", false);
	cr_assert_eq(atomic_load(&two.calls), 0);
	cr_assert_eq(fake_expire_locks(redis), 0);
}

Test(cache_fleet, a_loader_that_lost_the_lock_overwrites_nothing_whatever_its_clock)
{
	struct source late = { .value = "late", .held = true }, next = { .value = "next" };
	struct caller caller = { 0 };

	lf_cache_close(caches[1]);
	open_one(1, (struct lf_cache_class){ 0 }, slow_clock_ms); /* its versions are lower */
	caller_start(&caller, spaces[0], &late);
	until_inside(&late);
	cr_assert_eq(fake_expire_locks(redis), 1);
	load_expect(spaces[1], &next, "next", false);
	atomic_store(&late.held, false);
	caller_join(&caller, 1, "late");
	expect_shared("next");
}

Test(cache_fleet, who_waited_for_a_loader_that_lost_the_lock_gets_what_came_after_it)
{
	struct source late = { .value = "late", .held = true }, again = { .value = "again" }, next = { .value = "next" };
	struct caller first = { 0 }, waiter = { 0 };

	lf_cache_close(caches[1]);
	open_one(1, (struct lf_cache_class){ 0 }, slow_clock_ms);
	caller_start(&first, spaces[0], &late);
	until_inside(&late);
	caller_start(&waiter, spaces[0], &again);
	until_waiting(spaces[0], 1);
	cr_assert_eq(fake_expire_locks(redis), 1);
	load_expect(spaces[1], &next, "next", false);
	atomic_store(&late.held, false);
	caller_join(&first, 1, "late");
	caller_join(&waiter, 1, "next");
	cr_assert_eq(atomic_load(&again.calls), 0);
}

Test(cache_fleet, a_loader_that_fails_leaves_the_lock_and_another_process_tries)
{
	struct source failing = { .fails = -EIO, .sentence = "the disk is gone" }, other = { .value = "other" };
	struct lf_cache_value value;
	struct lf_error err;

	cr_assert_eq(load_get(spaces[0], &failing, &value, &err), -EIO);
	cr_assert_str_eq(err.text, "the disk is gone");
	cr_assert_eq(fake_expire_locks(redis), 0);
	load_expect(spaces[1], &other, "other", false);
}

Test(cache_fleet, who_waits_for_another_process_goes_at_its_deadline)
{
	struct source held = { .value = "one", .held = true }, source = { .value = "two" };
	struct caller first = { 0 }, second = { .how.wait_ms = 20 };

	caller_start(&first, spaces[0], &held);
	until_inside(&held);
	caller_start(&second, spaces[1], &source);
	caller_join(&second, -ETIMEDOUT, NULL);
	cr_assert_not_null(strstr(second.err.text, "lock_ttl_ms"), "%s", second.err.text);
	cr_assert_eq(atomic_load(&source.calls), 0);
	atomic_store(&held.held, false);
	caller_join(&first, 1, "one");
}

static _Atomic int told;
static struct caller after_it;
static struct source behind_it = { .value = "new" };

static void count_told(void *arg, const struct lf_cache_notice *notice)
{
	(void)arg;
	atomic_fetch_add(&told, notice->elsewhere);
}

/* In the loader's thread: its value is stored, and it does not know it yet. */
static void delete_elsewhere(void *arg)
{
	static bool inside;

	(void)arg;
	if (inside)
		return;
	inside = true;
	cr_assert_eq(lf_cache_del(spaces[1], TEXT("1"), NULL), 1);
	until_number(&told, 1, "told");
	caller_start(&after_it, spaces[0], &behind_it);
	until_waiting(spaces[0], 1);
}

Test(cache_fleet, what_another_process_deleted_is_not_handed_on_once_that_was_told)
{
	struct source old = { .value = "old" };

	cr_assert_geq(lf_cache_listen(caches[0], 1u << LF_CACHE_INVALIDATE, count_told, NULL, NULL), 0);
	fake_behind(redis, FAKE_STORE, delete_elsewhere, NULL);
	load_expect(spaces[0], &old, "old", false);
	caller_join(&after_it, 1, "new");
}

Test(cache_fleet, a_server_that_goes_while_it_is_loaded_fails_nobody)
{
	struct source one = { .value = "one", .held = true }, two = { .value = "two" };
	struct caller first = { 0 }, second = { 0 };

	caller_start(&first, spaces[0], &one);
	until_inside(&one);
	caller_start(&second, spaces[0], &two);
	until_waiting(spaces[0], 1);
	fake_down(redis, true);
	atomic_store(&one.held, false);
	caller_join(&first, 1, "one");
	caller_join(&second, 1, "one");
	load_expect(spaces[0], &two, "one", false);
	cr_assert_eq(atomic_load(&two.calls), 0);
	fake_down(redis, false);
}

Test(cache_fleet, without_a_server_each_process_loads_for_itself)
{
	struct source one = { .value = "one" }, two = { .value = "two" };

	fake_down(redis, true);
	load_expect(spaces[0], &one, "one", false);
	load_expect(spaces[1], &two, "two", false);
	fake_down(redis, false);
}

Test(cache_fleet, a_server_that_answers_nothing_in_time_does_not_fail_a_load)
{
	struct source source = { .value = "one" };

	fake_fail(redis, FAKE_LOAD, 1, LF_TIER_AWAY, false);
	fake_fail(redis, FAKE_LOCK, 1, LF_TIER_AWAY, false);
	fake_fail(redis, FAKE_STORE, 1, LF_TIER_REJECTED, false);
	load_expect(spaces[0], &source, "one", false);
	cr_assert_eq(atomic_load(&source.calls), 1);
}

/* --- what is old ----------------------------------------------------------------------------------- */

static _Atomic bool worker_held, worker_is_there;

static void hold_worker(void *arg, bool given_up)
{
	(void)arg;
	(void)given_up;
	atomic_store(&worker_is_there, true);
	while (atomic_load(&worker_held))
		continue;
}

/* A value that is old in both, and the first one's only worker is busy. */
static void begin_with_an_old_value(void)
{
	struct lf_cache_class of_all = { .ttl_ms = HOUR_MS, .stale_ms = HOUR_MS - 1 };
	struct source first = { .value = "one" };
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	close_both();
	for (int i = 0; i < 2; i++)
		open_one(i, of_all, fake_clock_ms);
	load_expect(spaces[0], &first, "one", false);
	atomic_fetch_add(&fake_now_ms, 1);
	atomic_store(&worker_held, true);
	cr_assert_eq(lf_workers_run(caches[0], hold_worker, NULL), 0);
	while (!atomic_load(&worker_is_there))
		cr_assert_lt(lf_clock_ms(), end_ms);
}

static void let_worker_go(void)
{
	atomic_store(&worker_held, false);
	until_ended(caches[0], 2);
}

Test(cache_fleet, an_old_value_is_loaded_anew_by_one_process_of_the_fleet)
{
	struct source again = { .value = "again" }, held = { .value = "two", .held = true };
	struct caller other = { .how.fresh = true };

	begin_with_an_old_value();
	caller_start(&other, spaces[1], &held);
	until_inside(&held);
	load_expect(spaces[0], &again, "one", true);
	let_worker_go();
	cr_assert_eq(atomic_load(&again.calls), 0);
	cr_assert_eq(lf_counted(caches[0]->counters, LF_COUNT_STALE_HITS), 1);
	cr_assert_eq(lf_counted(caches[0]->counters, LF_COUNT_REFRESHES), 0);
	atomic_store(&held.held, false);
	caller_join(&other, 1, "two");
}

static bool has_none_in_memory(void *arg)
{
	struct lf_record *record = lf_memory_get(caches[0]->tier[LF_CACHE_MEMORY].tier, fixture_key(spaces[0], "1"));

	(void)arg;
	lf_record_drop(record);
	return !record;
}

Test(cache_fleet, an_old_value_that_another_process_has_loaded_anew_is_not_loaded_again)
{
	struct source again = { .value = "again" }, two = { .value = "two" };
	struct lf_cache_load fresh = { .load = source_load, .arg = &two, .fresh = true };
	struct lf_cache_value value;

	begin_with_an_old_value();
	load_expect(spaces[0], &again, "one", true);
	cr_assert_eq(lf_cache_get_or_set(spaces[1], TEXT("1"), &fresh, &value, NULL), 1);
	lf_cache_value_release(&value);
	cr_assert(fixture_wait(has_none_in_memory, NULL), "it is not told of the change");
	let_worker_go();
	cr_assert_eq(atomic_load(&again.calls), 0);
	expect_shared("two");
}
