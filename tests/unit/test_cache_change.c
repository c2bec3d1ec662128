#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/stamps.h"
#include "tests/unit/cache_fixture.h"

static struct lf_cache *cache, *other;
static struct lf_cache_space *space, *theirs;

static struct fake *redis(void)
{
	return fake_server(LF_CACHE_REDIS);
}

static void open_with(unsigned tiers)
{
	cache = fixture_cache(tiers);
	space = fixture_space(cache, "user", "acme");
}

/* Another process that shares Redis. */
static void open_other(void)
{
	other = fixture_cache(WITH_REDIS);
	theirs = fixture_space(other, "user", "acme");
}

static int64_t incr(struct lf_cache_space *of)
{
	struct lf_error err = { "" };
	int64_t number = INT64_MIN;
	int rc = lf_cache_incr(of, text_of("n"), &number, &err);

	cr_expect(rc == 0 || err.text[0]);
	return rc ? rc : number;
}

static void they_incr(void *arg)
{
	(void)arg;
	cr_expect_gt(incr(theirs), 0);
}

/* --- two at once ------------------------------------------------------------------------------------- */

Test(cache_change, a_change_that_was_overtaken_is_made_again_on_what_is_there)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	open_other();
	cr_expect_eq(incr(space), 1);
	fake_before(redis(), FAKE_STORE, they_incr, NULL);
	cr_expect_eq(incr(space), 3);
	cr_expect_str_eq(fixture_get(theirs, "n"), "3");
	lf_cache_close(other);
	lf_cache_close(cache);
}

Test(cache_change, a_change_starts_from_the_home_and_not_from_what_memory_has)
{
	open_with(WITH_MEMORY | WITH_REDIS);
	open_other();
	cr_expect_eq(incr(space), 1);
	fake_break_channel(redis());
	cr_expect_eq(incr(theirs), 2);
	cr_expect_eq(incr(space), 3);
	lf_cache_close(other);
	lf_cache_close(cache);
}

/* There before the cache is opened, which so has not heard of it. */
static void poke_ahead(const char *key)
{
	struct lf_record ahead = { .type = LF_RECORD_STRING,
		                   .version = { (uint64_t)(fake_now_ms + 3600000) << 16, 9 },
		                   .value = text_of("ahead") };

	fake_poke(redis(), text_of(key), &ahead);
}

Test(cache_change, a_set_is_later_than_what_was_set_with_a_clock_ahead)
{
	poke_ahead("app:test:user:acme:a");
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("mine"), NULL, NULL), 1);
	cr_expect_str_eq(fixture_get(space, "a"), "mine");
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	cr_expect_str_eq(fixture_get(space, "a"), "mine", "in redis, too");
	lf_cache_close(cache);
}

Test(cache_change, of_many_that_are_set_those_that_were_newer_are_set_anew)
{
	struct lf_text ids[] = { text_of("a"), text_of("b"), text_of("c") };

	poke_ahead("app:test:user:acme:b");
	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(lf_cache_mset(space, ids, ids, 3, NULL, NULL), 0);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_str_eq(fixture_get(space, "a"), "a");
	cr_expect_str_eq(fixture_get(space, "b"), "b");
	cr_expect_str_eq(fixture_get(space, "c"), "c");
	lf_cache_close(cache);
}

/* Later than the first of two stores that were made just now, and not than the second. */
static void come_between(void *arg)
{
	uint64_t last = atomic_load(&cache->clock);
	struct lf_record record = { .type = LF_RECORD_STRING, .version = { last - 1, UINT64_MAX }, .value = text_of("theirs") };
	struct lf_record *made = lf_record_new(&record);

	(void)arg;
	cr_assert_not_null(made);
	fake_poke(redis(), fixture_key(space, "a"), made);
	lf_record_drop(made);
}

Test(cache_change, of_a_key_that_is_set_twice_in_one_call_the_last_value_stays_whoever_comes_between)
{
	struct lf_text ids[] = { text_of("a"), text_of("a") }, values[] = { text_of("first"), text_of("last") };

	open_with(WITH_MEMORY | WITH_REDIS);
	fake_before(redis(), FAKE_STORE, come_between, NULL);
	cr_expect_eq(lf_cache_mset(space, ids, values, 2, NULL, NULL), 0);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_str_eq(fixture_get(space, "a"), "last");
	lf_cache_close(cache);
}

/* --- nobody knows whether it was done ---------------------------------------------------------------- */

Test(cache_change, a_count_whose_answer_was_lost_is_counted_once)
{
	for (int done = 0; done < 2; done++) {
		open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
		cr_expect_eq(incr(space), 1);
		fake_fail(redis(), FAKE_STORE, 2, LF_TIER_AWAY, done);
		cr_expect_eq(incr(space), 2, "done: %d", done);
		lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
		lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
		cr_expect_str_eq(fixture_get(space, "n"), "2", "done: %d", done);
		lf_cache_close(cache);
	}
}

Test(cache_change, a_count_of_which_nobody_can_know_any_more_is_not_made_twice)
{
	open_with(WITH_MEMORY | WITH_REDIS);
	open_other();
	cr_expect_eq(incr(space), 1);
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_AWAY, true);
	fake_behind(redis(), FAKE_STORE, they_incr, NULL);
	cr_expect_eq(incr(space), -ETIMEDOUT);
	cr_expect_str_eq(fixture_get(theirs, "n"), "3");
	lf_cache_close(other);
	lf_cache_close(cache);
}

static void go_down(void *arg)
{
	(void)arg;
	fake_down(redis(), true);
}

Test(cache_change, a_count_goes_on_at_the_next_home_when_its_home_goes_away_in_the_middle)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(incr(space), 1);
	cr_expect_eq(incr(space), 2);
	fake_before(redis(), FAKE_STORE, go_down, NULL);
	cr_expect_eq(incr(space), 3);
	cr_expect_eq(incr(space), 4);
	cr_expect_eq(lf_stack_home(cache), LF_CACHE_SQLITE);
	fake_down(redis(), false);
	cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_UP));
	cr_expect_eq(incr(space), 5, "redis was told");
	lf_cache_close(cache);
}

Test(cache_change, without_redis_and_sqlite_memory_counts_on_and_redis_is_told)
{
	struct lf_record *record;

	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(incr(space), 1);
	fake_down(redis(), true);
	cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_AWAY));
	cr_expect_eq(incr(space), 2);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	fake_down(redis(), false);
	cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_UP));
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	record = fake_peek(redis(), fixture_key(space, "n"));
	cr_expect(record && record->value.len == 1 && *record->value.data == '2');
	lf_record_drop(record);
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	lf_cache_close(cache);
}

/* --- tiers that fail --------------------------------------------------------------------------------- */

Test(cache_change, what_a_tier_missed_is_told_to_it_later)
{
	struct lf_record *record;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_AWAY, false);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect_not_null(record);
	lf_record_drop(record);
	lf_cache_close(cache);
}

Test(cache_change, after_a_change_that_redis_missed_the_next_one_starts_from_it)
{
	open_with(WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(incr(space), 1);
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_FULL, false);
	cr_expect_eq(incr(space), 2, "SQLite takes what redis has no room for");
	cr_expect_eq(incr(space), 3);
	lf_cache_close(cache);
}

Test(cache_change, every_tier_that_has_room_takes_what_another_has_none_for)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_FULL, false);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	lf_cache_close(cache);
}

Test(cache_change, a_frozen_home_ends_no_call_later_than_its_deadline)
{
	struct lf_cache_options options;
	struct lf_record *record = NULL;
	bool trusted = false;
	int64_t begun;

	fixture_options(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS)->deadline_ms = 400;
	options.redis.timeout_ms = 1000;
	options.failures = 1000;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	cr_expect_eq(incr(space), 1, "while it answers");
	fake_delay(redis(), 1000000);
	begun = lf_clock_ms();
	cr_expect_eq(incr(space), -ETIMEDOUT);
	cr_expect_lt(lf_clock_ms() - begun, 400 + 2000);
	begun = lf_clock_ms();
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1, "SQLite and memory took it");
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	cr_expect_lt(lf_clock_ms() - begun, 400 + 2000);
	cr_expect_eq(lf_sqlite_load(cache->tier[LF_CACHE_SQLITE].tier, fixture_key(space, "a"), &record, &trusted,
	                            lf_clock_ms() + 10000, NULL), LF_TIER_DONE);
	cr_expect_not_null(record, "some time was left for SQLite");
	lf_record_drop(record);
	fake_down(redis(), true);
	lf_cache_close(cache);
}

static void switch_sqlite_off(void *arg)
{
	(void)arg;
	cr_expect_eq(lf_cache_switch(cache, LF_CACHE_SQLITE, false, NULL), 0);
}

Test(cache_change, what_is_critical_is_not_acknowledged_when_sqlite_goes_in_the_middle)
{
	struct lf_cache_set critical = { .critical = true };

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	fake_before(redis(), FAKE_STORE, switch_sqlite_off, NULL);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), &critical, NULL), -EHOSTDOWN);
	lf_cache_close(cache);
}

/* --- what is still on its way: another thread of the cache stands before the store ---------------------- */

static _Atomic bool stands, may_go;

static void stand(void *arg)
{
	(void)arg;
	atomic_store(&stands, true);
	while (!atomic_load(&may_go))
		(void)poll(NULL, 0, 1);
}

static bool is_standing(void *arg)
{
	(void)arg;
	return atomic_load(&stands);
}

/* Of this store, and then of the next. */
static void stand_next_time(void *arg)
{
	fake_before(redis(), FAKE_STORE, stand, arg);
}

static void open_behind(void)
{
	struct lf_cache_options options;

	fixture_options(&options, WITH_MEMORY | WITH_REDIS)->redis.mode = LF_CACHE_BEHIND;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	fake_before(redis(), FAKE_STORE, stand, NULL);
}

Test(cache_change, a_change_starts_from_what_redis_is_still_to_be_told)
{
	open_behind();
	cr_expect_eq(lf_cache_set(space, text_of("n"), text_of("5"), NULL, NULL), 1);
	cr_expect(fixture_wait(is_standing, NULL));
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_eq(incr(space), 6);
	atomic_store(&may_go, true);
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_str_eq(fixture_get(space, "n"), "6");
	lf_cache_close(cache);
}

Test(cache_change, a_change_starts_from_what_sqlite_notes_as_owed_to_redis)
{
	open_with(WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(incr(space), 1);
	fake_before(redis(), FAKE_STORE, stand_next_time, NULL);
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_FULL, false);
	cr_expect_eq(incr(space), 2);
	cr_expect(fixture_wait(is_standing, NULL));
	cr_expect_eq(incr(space), 3);
	atomic_store(&may_go, true);
	lf_cache_close(cache);
}

Test(cache_change, what_is_flushed_is_not_told_to_redis_afterwards)
{
	struct lf_record *record;

	open_behind();
	cr_expect_eq(lf_cache_set(space, text_of("a1"), text_of("1"), NULL, NULL), 1);
	cr_expect(fixture_wait(is_standing, NULL)); /* on its way */
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_set(space, text_of("other"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_invalidate_prefix(space, text_of("a"), NULL), 0);
	atomic_store(&may_go, true);
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect(!record || record->type == LF_RECORD_GONE);
	lf_record_drop(record);
	record = fake_peek(redis(), fixture_key(space, "a1"));
	cr_expect(!record || record->type == LF_RECORD_GONE);
	lf_record_drop(record);
	record = fake_peek(redis(), fixture_key(space, "other"));
	cr_expect_not_null(record);
	lf_record_drop(record);
	lf_cache_close(cache);
}

/* --- deleting ---------------------------------------------------------------------------------------- */

Test(cache_change, what_was_deleted_does_not_come_back_from_a_tier_that_was_away)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	fake_down(fake_server(LF_CACHE_MONGO), true);
	cr_expect_eq(lf_cache_del(space, text_of("a"), NULL), 1);
	fake_evict(redis(), fixture_key(space, "a"));
	fake_down(fake_server(LF_CACHE_MONGO), false);
	cr_expect(fixture_wait_state(cache, LF_CACHE_MONGO, LF_CACHE_TIER_UP));
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}

/* As a loader makes it that began then. */
static int store_loaded(const char *value, const struct lf_begun *begun, uint64_t token)
{
	struct lf_record loaded = { .type = LF_RECORD_STRING, .version = begun->version, .value = text_of(value) };
	struct lf_record *record = lf_record_new(&loaded);
	int rc = lf_stack_store(space, fixture_key(space, "a"), record, token, begun, lf_stack_deadline(cache), NULL);

	lf_record_drop(record);
	return rc;
}

Test(cache_change, a_loaded_record_does_not_come_after_a_change_that_was_made_while_it_was_loaded)
{
	static const unsigned stacks[] = { WITH_MEMORY, WITH_SQLITE, WITH_MEMORY | WITH_SQLITE | WITH_REDIS };

	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++)
		for (int deleted = 0; deleted < 2; deleted++) {
			struct lf_begun begun;

			open_with(stacks[i]);
			cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
			begun = lf_begin(cache, fixture_key(space, "a"));
			if (deleted)
				cr_expect_eq(lf_cache_del(space, text_of("a"), NULL), 1);
			else
				cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("new"), NULL, NULL), 1);
			cr_expect_eq(store_loaded("old", &begun, 0), 0);
			cr_expect_str_eq(fixture_get(space, "a"), deleted ? "(none)" : "new", "with tiers %x", stacks[i]);
			begun = lf_begin(cache, fixture_key(space, "a"));
			cr_expect_eq(store_loaded("loaded", &begun, 0), 1);
			cr_expect_str_eq(fixture_get(space, "a"), "loaded");
			lf_cache_close(cache);
		}
}

Test(cache_change, a_record_of_a_loader_that_lost_the_lock_is_nowhere)
{
	struct lf_begun begun;
	uint64_t token = 0;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_call_lock(cache, fixture_key(space, "a"), 1000, &token, lf_stack_deadline(cache), NULL), LF_TIER_DONE);
	begun = lf_begin(cache, fixture_key(space, "a"));
	cr_expect_eq(store_loaded("late", &begun, token + 1), 0);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	cr_expect_eq(store_loaded("mine", &begun, token), 1);
	cr_expect_str_eq(fixture_get(space, "a"), "mine");
	lf_cache_close(cache);
}

/* --- a server that is emptied between two steps of one write ------------------------------------------- */

static unsigned losses_before, pings_before;

static bool has_noticed(void *arg)
{
	(void)arg;
	return atomic_load(&cache->losses) > losses_before && fake_calls(redis(), FAKE_PING) > pings_before + 2;
}

static void empty_it(void *arg)
{
	(void)arg;
	losses_before = atomic_load(&cache->losses);
	pings_before = fake_calls(redis(), FAKE_PING);
	fake_empty(redis());
	cr_expect(fixture_wait(has_noticed, NULL));
}

static bool has_key(void *arg)
{
	struct lf_record *record = fake_peek(redis(), *(const struct lf_text *)arg);

	lf_record_drop(record);
	return record != NULL;
}

Test(cache_change, a_critical_write_is_owed_to_a_server_that_was_emptied_before_sqlite_had_it)
{
	const struct lf_cache_set critical = { .critical = true };
	struct lf_text key;
	int64_t number;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	key = fixture_key(space, "set");
	fake_behind(redis(), FAKE_STORE, empty_it, NULL);
	cr_assert_eq(lf_cache_set(space, text_of("set"), text_of("1"), &critical, NULL), 1);
	cr_expect(fixture_wait(has_key, &key));
	/* The next store is to be that of the command. */
	cr_assert_eq(lf_cache_settle(cache, 20000, NULL), 0);
	fake_behind(redis(), FAKE_STORE, empty_it, NULL);
	cr_assert_eq(lf_cache_incr(space, text_of("set"), &number, NULL), 0);
	cr_expect(fixture_wait(has_key, &key));
	cr_expect_eq(number, 2);
	lf_cache_close(cache);
}
