#include <criterion/criterion.h>
#include <string.h>

#include "sinks/cache/events.h"
#include "sinks/cache/manager.h"
#include "tests/unit/cache_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;

static struct fake *redis(void)
{
	return fake_server(LF_CACHE_REDIS);
}

static void open_with(unsigned tiers)
{
	cache = fixture_cache(tiers);
	space = fixture_space(cache, "user", "acme");
}

/* As another process would have written it, now. */
static struct lf_record *foreign(const char *value, uint64_t clock)
{
	struct lf_record record = { .type = LF_RECORD_STRING, .version = { clock, 42 }, .value = text_of(value) };
	struct lf_record *made = lf_record_new(&record);

	cr_assert_not_null(made);
	return made;
}

static uint64_t now_clock(void)
{
	return (uint64_t)fake_now_ms << 16;
}

static void poke(enum lf_cache_tier which, const char *id, const char *value, uint64_t clock)
{
	struct lf_record *record = foreign(value, clock);

	fake_poke(fake_server(which), fixture_key(space, id), record);
	lf_record_drop(record);
}

static enum lf_cache_tier tier_of(const char *id)
{
	struct lf_cache_value value;
	enum lf_cache_tier tier = LF_CACHE_TIERS;

	if (lf_cache_get(space, text_of(id), &value, NULL) == 1)
		tier = value.tier;
	lf_cache_value_release(&value);
	return tier;
}

static void forget_memory(void)
{
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
}

static _Atomic unsigned heard;

static void hear(void *arg, const struct lf_cache_notice *notice)
{
	(void)arg;
	if (notice->elsewhere)
		(void)atomic_fetch_add(&heard, 1);
}

static bool is_heard(void *arg)
{
	return atomic_load(&heard) >= *(unsigned *)arg;
}

static void listen_to_others(void)
{
	cr_assert_geq(lf_cache_listen(cache, 1u << LF_CACHE_INVALIDATE, hear, NULL, NULL), 0);
}

/* Another process sets the key, and this one has heard of it when this returns. */
static void others_set(const char *id, const char *value, uint64_t clock)
{
	unsigned before = atomic_load(&heard) + 1;

	poke(LF_CACHE_REDIS, id, value, clock);
	cr_expect(fixture_wait(is_heard, &before));
}

/* --- who answers, and who is filled ------------------------------------------------------------------ */

Test(cache_look, what_redis_has_is_brought_to_sqlite_and_to_memory)
{
	unsigned loads;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	listen_to_others();
	others_set("a", "1", now_clock());
	cr_expect_eq(tier_of("a"), LF_CACHE_REDIS);
	loads = fake_calls(redis(), FAKE_LOAD);
	cr_expect_eq(tier_of("a"), LF_CACHE_MEMORY);
	forget_memory();
	cr_expect_eq(tier_of("a"), LF_CACHE_SQLITE, "what this process has read itself is trusted");
	cr_expect_eq(tier_of("a"), LF_CACHE_MEMORY);
	cr_expect_eq(fake_calls(redis(), FAKE_LOAD), loads);
	lf_cache_close(cache);
}

Test(cache_look, what_mongo_has_is_brought_to_redis_too)
{
	struct lf_record *record;

	open_with(WITH_MEMORY | WITH_REDIS | WITH_MONGO);
	poke(LF_CACHE_MONGO, "a", "1", now_clock());
	cr_expect_eq(tier_of("a"), LF_CACHE_MONGO);
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect_not_null(record);
	lf_record_drop(record);
	lf_cache_close(cache);
}

Test(cache_look, a_tombstone_in_redis_ends_the_way_and_is_no_value)
{
	unsigned loads;

	open_with(WITH_MEMORY | WITH_REDIS | WITH_MONGO);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_del(space, text_of("a"), NULL), 1);
	loads = fake_calls(fake_server(LF_CACHE_MONGO), FAKE_LOAD);
	cr_expect_eq(tier_of("a"), LF_CACHE_TIERS);
	cr_expect_eq(fake_calls(fake_server(LF_CACHE_MONGO), FAKE_LOAD), loads);
	lf_cache_close(cache);
}

Test(cache_look, what_sqlite_kept_from_before_counts_only_where_no_shared_tier_knows_better)
{
	struct lf_cache_options options;
	struct lf_cache_set critical = { .critical = true };

	fixture_options(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	cr_expect_eq(lf_cache_set(space, text_of("gone"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_set(space, text_of("newer"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_set(space, text_of("critical"), text_of("1"), &critical, NULL), 1);
	fake_evict(redis(), fixture_key(space, "gone"));
	fake_evict(redis(), fixture_key(space, "critical"));
	poke(LF_CACHE_REDIS, "newer", "2", now_clock() + 1000);
	lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	forget_memory();
	cr_expect_str_eq(fixture_get(space, "gone"), "(none)", "redis says that there is nothing");
	cr_expect_str_eq(fixture_get(space, "newer"), "2");
	cr_expect_str_eq(fixture_get(space, "critical"), "1", "redis has lost what is critical");
	cr_expect_eq(tier_of("critical"), LF_CACHE_MEMORY);
	fake_evict(redis(), fixture_key(space, "newer"));
	fake_down(redis(), true);
	cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_AWAY));
	forget_memory();
	cr_expect_str_eq(fixture_get(space, "gone"), "1", "nobody is there who knows better");
	lf_cache_close(cache);
}

Test(cache_look, what_is_critical_and_redis_has_lost_is_given_back_to_it)
{
	struct lf_cache_set critical = { .critical = true };
	struct lf_record *record;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), &critical, NULL), 1);
	fake_evict(redis(), fixture_key(space, "a"));
	lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	forget_memory();
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect_not_null(record);
	lf_record_drop(record);
	lf_cache_close(cache);
}

Test(cache_look, a_tier_that_fails_is_a_miss_and_not_an_error)
{
	open_with(WITH_MEMORY | WITH_REDIS);
	fake_fail(redis(), FAKE_LOAD, 1, LF_TIER_AWAY, false);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
	open_with(WITH_REDIS);
	fake_fail(redis(), FAKE_LOAD, 1, LF_TIER_AWAY, false);
	cr_expect_neq(strncmp(fixture_get(space, "a"), "(error", 6), 1, "where nobody else is, nobody can say");
	lf_cache_close(cache);
}

Test(cache_look, what_waits_in_the_outbox_is_found)
{
	struct lf_cache_options options;

	fixture_options(&options, WITH_MEMORY | WITH_REDIS)->redis.mode = LF_CACHE_BEHIND;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	fake_delay(redis(), 100);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	forget_memory();
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	fake_delay(redis(), 0);
	cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
	forget_memory();
	cr_expect_eq(tier_of("a"), LF_CACHE_REDIS);
	lf_cache_close(cache);
}

/* --- races: somebody else is faster ------------------------------------------------------------------ */

static void overtake(void *arg)
{
	others_set(arg, "newer", now_clock() + (UINT64_C(1) << 20));
}

Test(cache_look, a_reader_that_was_overtaken_brings_nothing_old_back)
{
	char id[] = "a";

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	listen_to_others();
	others_set(id, "old", now_clock());
	fake_behind(redis(), FAKE_LOAD, overtake, id);
	cr_expect_str_eq(fixture_get(space, id), "old", "it asked before");
	cr_expect_str_eq(fixture_get(space, id), "newer");
	forget_memory();
	cr_expect_str_eq(fixture_get(space, id), "newer", "not from SQLite either");
	lf_cache_close(cache);
}

Test(cache_look, a_writer_that_was_overtaken_leaves_nothing_old_behind)
{
	static const enum { SET, INCR, DEL } all[] = { SET, INCR, DEL };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		char id[] = "a";

		open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
		listen_to_others();
		cr_expect_eq(lf_cache_set(space, text_of(id), text_of("5"), NULL, NULL), 1);
		fake_behind(redis(), FAKE_STORE, overtake, id);
		if (all[i] == SET)
			cr_expect_eq(lf_cache_set(space, text_of(id), text_of("old"), NULL, NULL), 1);
		else if (all[i] == INCR)
			cr_expect_eq(lf_cache_incr(space, text_of(id), NULL, NULL), 0);
		else
			cr_expect_eq(lf_cache_del(space, text_of(id), NULL), 1);
		cr_expect_str_eq(fixture_get(space, id), "newer", "of %zu", i);
		forget_memory();
		cr_expect_str_eq(fixture_get(space, id), "newer", "of %zu, from SQLite", i);
		lf_cache_close(cache);
	}
}

Test(cache_look, what_another_cache_changes_is_seen_here)
{
	struct lf_cache *other;
	struct lf_cache_space *theirs;
	unsigned wanted = 1;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	listen_to_others();
	other = fixture_cache(WITH_MEMORY | WITH_REDIS);
	theirs = fixture_space(other, "user", "acme");
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_str_eq(fixture_get(theirs, "a"), "1");
	cr_expect_eq(lf_cache_set(theirs, text_of("a"), text_of("2"), NULL, NULL), 1);
	cr_expect(fixture_wait(is_heard, &wanted));
	cr_expect_str_eq(fixture_get(space, "a"), "2");
	lf_cache_close(other);
	lf_cache_close(cache);
}

Test(cache_look, what_redis_would_have_said_is_asked_again_where_it_did_not_answer)
{
	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	listen_to_others();
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("old"), NULL, NULL), 1);
	others_set("a", "new", now_clock() + (UINT64_C(1) << 20));
	fake_fail(redis(), FAKE_LOAD, 1, LF_TIER_AWAY, false);
	(void)fixture_get(space, "a"); /* what SQLite has is better than nothing */
	cr_expect_str_eq(fixture_get(space, "a"), "new");
	forget_memory();
	cr_expect_str_eq(fixture_get(space, "a"), "new", "not from SQLite either");
	lf_cache_close(cache);
}

/* --- memory is never behind -------------------------------------------------------------------------- */

Test(cache_look, without_memory_and_with_it_switched_off_every_read_goes_below)
{
	open_with(WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(tier_of("a"), LF_CACHE_SQLITE);
	lf_cache_close(cache);
	open_with(WITH_MEMORY | WITH_SQLITE);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_switch(cache, LF_CACHE_MEMORY, false, NULL), 0);
	cr_expect_eq(tier_of("a"), LF_CACHE_SQLITE);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("2"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_switch(cache, LF_CACHE_MEMORY, true, NULL), 0);
	cr_expect_str_eq(fixture_get(space, "a"), "2");
	lf_cache_close(cache);
}

/* --- counting ---------------------------------------------------------------------------------------- */

Test(cache_look, every_lookup_is_counted_once)
{
	struct lf_cache_value values[2];
	struct lf_text ids[] = { text_of("a"), text_of("b") };

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_set(space, ids[0], text_of("1"), NULL, NULL), 1);
	(void)fixture_get(space, "a");
	(void)fixture_get(space, "b");
	cr_expect_eq(lf_cache_exists(space, ids[0], NULL), 1);
	cr_expect_eq(lf_cache_mget(space, ids, 2, values, NULL), 1);
	lf_cache_value_release(&values[0]);
	cr_expect_eq(lf_counted(cache->counters, LF_COUNT_HITS), 3);
	cr_expect_eq(lf_counted(cache->counters, LF_COUNT_MISSES), 2);
	cr_expect_eq(lf_counted(cache->counters, LF_COUNT_SETS), 1);
	cr_expect_eq(lf_counted_tier(cache->counters, LF_CACHE_MEMORY, LF_COUNT_TIER_HITS), 3);
	cr_expect_eq(lf_counted_tier(cache->counters, LF_CACHE_MEMORY, LF_COUNT_TIER_MISSES), 2);
	lf_cache_close(cache);
}
