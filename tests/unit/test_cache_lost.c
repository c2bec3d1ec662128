/* A server that loses what it acknowledged while a change is on its way through the tiers. */
#include <criterion/criterion.h>
#include <errno.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"
#include "sinks/cache/stamps.h"
#include "tests/unit/cache_fixture.h"

static struct lf_cache *cache, *other;
static struct lf_cache_space *space;
static struct lf_record *older;

static struct fake *redis(void)
{
	return fake_server(LF_CACHE_REDIS);
}

static struct fake *mongo(void)
{
	return fake_server(LF_CACHE_MONGO);
}

static struct lf_cache_options *options_of(struct lf_cache_options *options, unsigned tiers)
{
	static const char *const critical[] = { "user:acme:*" };

	fixture_options(options, tiers);
	options->critical = critical;
	options->critical_count = 1;
	return options;
}

static void open_with(unsigned tiers)
{
	struct lf_cache_options options;

	cache = fixture_open(options_of(&options, tiers));
	space = fixture_space(cache, "user", "acme");
}

static void hset(const char *field)
{
	struct lf_cache_field given = { text_of(field), text_of("value") };
	struct lf_error err = { "" };

	cr_expect_eq(lf_cache_hset(space, text_of("h"), &given, 1, &err), 1, "%s", err.text);
}

static void expect_field(const char *field)
{
	struct lf_cache_value found;

	cr_expect_eq(lf_cache_hget(space, text_of("h"), text_of(field), &found, NULL), 1, "field %s", field);
	lf_cache_value_release(&found);
}

static int64_t incr(void)
{
	struct lf_error err = { "" };
	int64_t number = -1;

	cr_expect_eq(lf_cache_incr(space, text_of("n"), &number, &err), 0, "%s", err.text);
	return number;
}

static void forget_here(void)
{
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
}

/* --- set back ---------------------------------------------------------------------------------------- */

static void expect_no_field_is_lost_when_redis_is_set_back(void)
{
	hset("first");
	older = fake_peek(redis(), fixture_key(space, "h"));
	hset("second");
	fake_poke(redis(), fixture_key(space, "h"), older);
	forget_here();
	hset("third");
	forget_here();
	expect_field("first");
	expect_field("second");
	expect_field("third");
	lf_record_drop(older);
}

Test(cache_lost, a_field_that_redis_has_lost_since_is_there_after_the_next_one_is_set_critical_or_not)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	expect_no_field_is_lost_when_redis_is_set_back();
	space = fixture_space(cache, "page", "acme");
	expect_no_field_is_lost_when_redis_is_set_back();
	lf_cache_close(cache);
}

static void set_back_and_change(void *arg)
{
	(void)arg;
	fake_poke(redis(), fixture_key(space, "h"), older);
	hset("third");
}

Test(cache_lost, a_critical_field_that_only_its_home_has_yet_outlasts_its_home)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO);
	hset("first");
	older = fake_peek(redis(), fixture_key(space, "h"));
	fake_before(mongo(), FAKE_STORE, set_back_and_change, NULL); /* redis has the second one, nobody else */
	hset("second");
	forget_here();
	expect_field("first");
	expect_field("second");
	expect_field("third");
	lf_record_drop(older);
	lf_cache_close(cache);
}

static void read_and_set_back(void *arg)
{
	(void)arg;
	cr_expect_str_eq(fixture_get(space, "n"), "2");
	fake_poke(redis(), fixture_key(space, "n"), older);
}

Test(cache_lost, what_was_counted_and_read_is_not_counted_again_when_redis_has_lost_it)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(incr(), 1);
	older = fake_peek(redis(), fixture_key(space, "n"));
	forget_here();
	fake_fail(redis(), FAKE_STORE, 1, LF_TIER_AWAY, true);
	fake_behind(redis(), FAKE_STORE, read_and_set_back, NULL);
	cr_expect_eq(incr(), 2);
	cr_expect_str_eq(fixture_get(space, "n"), "2");
	cr_expect_eq(incr(), 3);
	lf_record_drop(older);
	lf_cache_close(cache);
}

/* --- emptied ----------------------------------------------------------------------------------------- */

static bool has_noticed(void *arg)
{
	struct lf_cache_stats stats;

	lf_cache_stats(arg, &stats);
	return stats.tier[LF_CACHE_REDIS].recoveries > 0;
}

/* And gets back all that SQLite has by then. */
static void empty_redis(void *arg)
{
	fake_empty(redis());
	cr_expect(fixture_wait(has_noticed, arg));
}

Test(cache_lost, an_invalidation_reaches_a_redis_that_was_emptied_before_sqlite_knew_of_it)
{
	static const char name[] = "app:test:%tag:acme:t";

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO);
	fake_before(mongo(), FAKE_RAISE, empty_redis, cache);
	cr_expect_eq(lf_cache_invalidate_tag(cache, text_of("acme"), text_of("t"), NULL), 0);
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	cr_expect_neq(fake_peek_stamp(redis(), text_of(name)), 0);
	cr_expect_eq(fake_peek_stamp(redis(), text_of(name)), fake_peek_stamp(mongo(), text_of(name)));
	lf_cache_close(cache);
}

/* Of two processes with one file, the one that writes is not asked, and does not ask. */
Test(cache_lost, a_critical_value_reaches_a_redis_that_another_process_gave_all_before_it_was_committed)
{
	struct lf_cache_options options;
	struct lf_record *record;

	options_of(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO);
	other = fixture_open(&options);
	options.health_interval_ms = 600000;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	fake_before(mongo(), FAKE_STORE, empty_redis, other);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_null(fake_peek(redis(), fixture_key(space, "a")));
	fake_fail(redis(), FAKE_LOAD, 1, LF_TIER_AWAY, false); /* now it asks */
	cr_expect_str_eq(fixture_get(space, "b"), "(none)");
	cr_expect(fixture_wait(has_noticed, cache));
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect_not_null(record);
	lf_record_drop(record);
	lf_cache_close(cache);
	lf_cache_close(other);
}

/* --- SQLite does not say what it has ------------------------------------------------------------------- */

Test(cache_lost, what_is_critical_is_not_changed_while_sqlite_is_switched_off)
{
	struct lf_text field = text_of("first");

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	hset("first");
	cr_expect_eq(lf_cache_switch(cache, LF_CACHE_SQLITE, false, NULL), 0);
	cr_expect_eq(lf_cache_hdel(space, text_of("h"), &field, 1, NULL), -EHOSTDOWN);
	cr_expect_eq(lf_cache_del(space, text_of("there is none"), NULL), -EHOSTDOWN);
	lf_cache_close(cache);
}

/* --- a server that does not say what was invalidated --------------------------------------------------- */

static void forget_all_here(void)
{
	forget_here();
	lf_stamps_forget(cache);
}

Test(cache_lost, a_field_is_not_set_in_place_of_all_others_while_nobody_says_whether_those_were_invalidated)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	hset("first");
	forget_all_here();
	fake_fail(redis(), FAKE_STAMPS, 2, LF_TIER_AWAY, false);
	hset("second");
	expect_field("first");
	expect_field("second");
	lf_cache_close(cache);
}

Test(cache_lost, a_critical_value_is_there_while_a_server_that_goes_away_does_not_say_whether_it_was_invalidated)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	hset("first");
	forget_all_here();
	fake_fail(redis(), FAKE_STAMPS, 1000000, LF_TIER_AWAY, false);
	expect_field("first");
	lf_cache_close(cache);
}

Test(cache_lost, of_a_critical_value_it_is_not_said_that_it_is_gone_when_nobody_knows)
{
	struct lf_cache_options options;
	struct lf_cache_value found;

	options_of(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS)->failures = 1000000;
	options.deadline_ms = 200;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	forget_all_here();
	fake_fail(redis(), FAKE_STAMPS, 1000000, LF_TIER_AWAY, false);
	cr_expect_eq(lf_cache_get(space, text_of("a"), &found, NULL), -ETIMEDOUT);
	lf_cache_close(cache);
}

static bool is_any_busy(const struct lf_tier *sqlite)
{
	for (int i = 0; i < LF_SQLITE_READERS; i++)
		if (sqlite->busy[i])
			return true;
	return false;
}

/* As if other threads were reading all the time; one that really is gives its reader back before. */
static void keep_readers_busy(bool busy)
{
	struct lf_tier *sqlite = cache->tier[LF_CACHE_SQLITE].tier;

	(void)pthread_mutex_lock(&sqlite->lock);
	while (busy && is_any_busy(sqlite))
		(void)pthread_cond_wait(&sqlite->idle, &sqlite->lock);
	for (int i = 0; i < LF_SQLITE_READERS; i++)
		sqlite->busy[i] = busy;
	(void)pthread_cond_broadcast(&sqlite->idle);
	(void)pthread_mutex_unlock(&sqlite->lock);
}

Test(cache_lost, nor_when_sqlite_which_has_it_does_not_answer_in_time)
{
	struct lf_record *record = NULL;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	fake_evict(redis(), fixture_key(space, "a"));
	forget_here();
	keep_readers_busy(true);
	cr_expect_eq(lf_stack_find(cache, space, fixture_key(space, "a"), lf_clock_ms() + 20, &record, NULL, NULL), -ETIMEDOUT);
	keep_readers_busy(false);
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	lf_cache_close(cache);
}
