#include "sinks/cache/outbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager.h"
#include "sinks/cache/outbox_internal.h"
#include "sinks/cache/stamps.h"
#include "tests/unit/folder_fixture.h"
#include "tests/unit/faulty_tier_fixture.h"

enum { PATIENCE_MS = 20000, LATE_MS = 40 };

static const unsigned REDIS = 1u << LF_CACHE_REDIS, MONGO = 1u << LF_CACHE_MONGO, SQLITE = 1u << LF_CACHE_SQLITE;

static struct lf_cache *cache;
static char file[FOLDER_MAX + 16];

/* With a Redis, a MongoDB and, where the test has named a file, SQLite. */
static void open_cache(void)
{
	struct lf_cache_options options;
	struct lf_error err = { "" };

	lf_cache_options_init(&options);
	options.app = "box";
	options.sqlite.file = file;
	options.redis.url = "redis://fake";
	options.mongo.url = "mongodb://fake";
	options.redis.timeout_ms = options.mongo.timeout_ms = LATE_MS;
	options.redis.connect_timeout_ms = options.mongo.connect_timeout_ms = 10 * LATE_MS;
	options.health_interval_ms = 20;
	options.failures = 2;
	options.backoff_min_ms = 5;
	options.backoff_max_ms = 20;
	cr_assert_eq(lf_cache_open_with(&cache, &options, faulty_ops, &err), 0, "%s", err.text);
}

static void close_cache(void)
{
	lf_cache_close(cache);
}

/* a test's own .init comes after a suite's, not instead of it */
TestSuite(cache_outbox, .fini = close_cache, .timeout = 60);

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

static int put(const char *key, uint64_t clock, const char *value, unsigned tiers)
{
	const struct lf_record from = { .type = LF_RECORD_STRING, .version = { clock, 1 }, .value = text(value) };
	struct lf_record *record = lf_record_new(&from);
	int rc = lf_outbox_put(cache, text(key), record, tiers);

	lf_record_drop(record);
	return rc;
}

static void wait_for_state(enum lf_cache_tier which, enum lf_cache_tier_state state)
{
	int64_t end = lf_clock_ms() + PATIENCE_MS;

	while (atomic_load(&cache->tier[which].state) != (int)state) {
		const struct timespec pause = { .tv_nsec = 1000000 };

		cr_assert_lt(lf_clock_ms(), end, "%s is never %s", lf_cache_tier_name(which),
		             lf_cache_tier_state_name(state));
		(void)nanosleep(&pause, NULL);
	}
}

static void switch_tier(enum lf_cache_tier which, bool on)
{
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_switch(cache, which, on, &err), 0, "%s", err.text);
	if (on)
		wait_for_state(which, LF_CACHE_TIER_UP);
}

static void settle(void)
{
	cr_assert_eq(lf_outbox_settle(cache, lf_clock_ms() + PATIENCE_MS), 0);
}

static void assert_there(enum lf_cache_tier which, const char *key, uint64_t clock)
{
	struct lf_record *record = faulty_get(which, text(key));

	cr_assert_not_null(record, "%s has no %s", lf_cache_tier_name(which), key);
	cr_assert_eq(record->version.clock, clock, "%s has version %lu of %s", lf_cache_tier_name(which),
	             (unsigned long)record->version.clock, key);
	lf_record_drop(record);
}

static void assert_not_there(enum lf_cache_tier which, const char *key)
{
	struct lf_record *record = faulty_get(which, text(key));

	cr_assert_null(record, "%s has version %lu of %s", lf_cache_tier_name(which),
	               record ? (unsigned long)record->version.clock : 0, key);
}

Test(cache_outbox, what_waits_is_sent_to_those_it_is_owed_to_and_to_no_other, .init = open_cache)
{
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	cr_assert_eq(put("box:b", 8, "x", REDIS | MONGO), 0);
	settle();
	assert_there(LF_CACHE_REDIS, "box:a", 7);
	assert_there(LF_CACHE_REDIS, "box:b", 8);
	assert_there(LF_CACHE_MONGO, "box:b", 8);
	assert_not_there(LF_CACHE_MONGO, "box:a");
}

Test(cache_outbox, of_several_changes_of_a_key_only_the_last_is_sent, .init = open_cache)
{
	unsigned before;

	switch_tier(LF_CACHE_REDIS, false);
	before = faulty_counts(LF_CACHE_REDIS).stored_keys;
	for (uint64_t clock = 1; clock <= 50; clock++)
		cr_assert_eq(put("box:a", clock, "x", REDIS), 0);
	cr_assert_eq(put("box:a", 3, "late", REDIS), 0);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 1);
	switch_tier(LF_CACHE_REDIS, true);
	assert_there(LF_CACHE_REDIS, "box:a", 50);
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).stored_keys, before + 1);
}

Test(cache_outbox, what_waits_is_found_until_the_tier_has_it, .init = open_cache)
{
	struct lf_record *record;

	cr_assert_null(lf_outbox_find(cache, text("box:a")));
	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:a", 7, "old", REDIS), 0);
	cr_assert_eq(put("box:a", 8, "new", REDIS), 0);
	record = lf_outbox_find(cache, text("box:a"));
	cr_assert_not_null(record);
	cr_assert_eq(record->version.clock, 8);
	lf_record_drop(record);
	cr_assert_null(lf_outbox_find(cache, text("box:b")));
	switch_tier(LF_CACHE_REDIS, true);
	cr_assert_null(lf_outbox_find(cache, text("box:a")));
	assert_there(LF_CACHE_REDIS, "box:a", 8);
}

Test(cache_outbox, a_tier_that_returns_is_told_in_batches_before_it_is_up, .init = open_cache)
{
	char key[32];

	switch_tier(LF_CACHE_REDIS, false);
	for (unsigned i = 0; i < 700; i++) {
		(void)snprintf(key, sizeof(key), "box:%u", i);
		cr_assert_eq(put(key, 7, "x", REDIS), 0);
	}
	switch_tier(LF_CACHE_REDIS, true);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 0);
	assert_there(LF_CACHE_REDIS, "box:0", 7);
	assert_there(LF_CACHE_REDIS, "box:699", 7);
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).largest_store, 256);
}

Test(cache_outbox, a_newer_value_there_stays, .init = open_cache)
{
	const struct lf_record newer = { .type = LF_RECORD_STRING, .version = { 9, 2 } };

	faulty_put(LF_CACHE_REDIS, text("box:a"), &newer);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	settle();
	assert_there(LF_CACHE_REDIS, "box:a", 9);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 0);
}

Test(cache_outbox, stamps_and_prefixes_are_told_too, .init = open_cache)
{
	switch_tier(LF_CACHE_MONGO, false);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	settle();
	cr_assert_eq(lf_outbox_put_stamp(cache, text("box:%tag:o:t"), 12, REDIS | MONGO), 0);
	cr_assert_eq(lf_outbox_put_prefix(cache, text("box:"), 10, REDIS | MONGO), 0);
	settle();
	cr_assert_eq(faulty_stamp(LF_CACHE_REDIS, text("box:%tag:o:t")), 12);
	assert_not_there(LF_CACHE_REDIS, "box:a");
	switch_tier(LF_CACHE_MONGO, true);
	cr_assert_eq(faulty_stamp(LF_CACHE_MONGO, text("box:%tag:o:t")), 12);
	cr_assert_str_eq(faulty_counts(LF_CACHE_MONGO).dropped, "box:");
	cr_assert_eq(faulty_counts(LF_CACHE_MONGO).dropped_upto, 10);
}

Test(cache_outbox, a_prefix_takes_what_waits_below_it_and_is_older_with_it, .init = open_cache)
{
	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:p:old", 7, "x", REDIS), 0);
	cr_assert_eq(put("box:p:new", 11, "x", REDIS), 0);
	cr_assert_eq(put("box:q:old", 7, "x", REDIS), 0);
	cr_assert_eq(put("box:", 7, "x", REDIS), 0);
	cr_assert_eq(lf_outbox_put_prefix(cache, text("box:p:"), 10, 0), 0);
	cr_assert_null(lf_outbox_find(cache, text("box:p:old")));
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 3);
	switch_tier(LF_CACHE_REDIS, true);
	assert_not_there(LF_CACHE_REDIS, "box:p:old");
	assert_there(LF_CACHE_REDIS, "box:p:new", 11);
	assert_there(LF_CACHE_REDIS, "box:q:old", 7);
	assert_there(LF_CACHE_REDIS, "box:", 7);
}

Test(cache_outbox, what_is_on_its_way_when_a_prefix_is_dropped_does_not_stay, .init = open_cache)
{
	struct lf_record *record;

	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:p:old", 7, "x", REDIS), 0);
	cr_assert_eq(lf_stamps_prefix(cache, text("box:p:"), 10), 0);
	switch_tier(LF_CACHE_REDIS, true);
	record = faulty_get(LF_CACHE_REDIS, text("box:p:old"));
	cr_assert_not_null(record);
	cr_assert_eq(record->type, LF_RECORD_GONE);
	lf_record_drop(record);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 0);
}

Test(cache_outbox, a_record_that_a_tier_will_not_have_holds_back_no_other_and_leaves_nothing_older, .init = open_cache)
{
	static char large[FAULTY_PICKY_MAX + 2];
	struct lf_record *record;

	(void)memset(large, 'x', sizeof(large) - 1);
	cr_assert_eq(put("box:large", 5, "small", REDIS), 0);
	settle();
	faulty_be(LF_CACHE_REDIS, FAULTY_PICKY);
	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	cr_assert_eq(put("box:large", 7, large, REDIS), 0);
	cr_assert_eq(put("box:b", 7, "x", REDIS), 0);
	switch_tier(LF_CACHE_REDIS, true);
	assert_there(LF_CACHE_REDIS, "box:a", 7);
	assert_there(LF_CACHE_REDIS, "box:b", 7);
	record = faulty_get(LF_CACHE_REDIS, text("box:large"));
	cr_assert_eq(record->type, LF_RECORD_GONE);
	lf_record_drop(record);
}

Test(cache_outbox, what_a_tier_could_not_take_is_tried_again, .init = open_cache)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	cr_assert_eq(lf_outbox_settle(cache, lf_clock_ms() + 2 * LATE_MS), -ETIMEDOUT);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 1);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	settle();
	assert_there(LF_CACHE_REDIS, "box:a", 7);
}

Test(cache_outbox, a_tier_that_is_away_and_lost_track_drops_what_is_old_when_it_returns, .init = open_cache)
{
	char key[32];
	int rc = 0;
	unsigned i;

	cr_assert_eq(put("box:production:old", 5, "x", REDIS), 0);
	cr_assert_eq(put("box:production:new", 2000000, "x", REDIS), 0);
	settle();
	switch_tier(LF_CACHE_REDIS, false);
	for (i = 0; rc == 0; i++) {
		(void)snprintf(key, sizeof(key), "box:production:%u", i);
		rc = put(key, 1000000 + i, "x", REDIS);
	}
	cr_assert_eq(rc, -ENOSPC);
	cr_assert_eq(i - 1, LF_OUTBOX_KEYS_MAX);
	/* What waited of a key is older than what had no room. */
	cr_assert_eq(put("box:production:3", 1500000, "x", REDIS), 0, "there is room in its place");
	/* As many as the faulty tier has room for. */
	for (unsigned k = 20; k < LF_OUTBOX_KEYS_MAX; k++) {
		struct lf_waiting *waiting;

		(void)snprintf(key, sizeof(key), "box:production:%u", k);
		(void)pthread_mutex_lock(&cache->outbox->lock);
		waiting = lf_waiting_find(cache->outbox, LF_CHANGED_KEY, text(key));
		lf_waiting_paid(cache->outbox, waiting, REDIS);
		(void)pthread_mutex_unlock(&cache->outbox->lock);
	}
	switch_tier(LF_CACHE_REDIS, true);
	assert_not_there(LF_CACHE_REDIS, "box:production:old");
	assert_there(LF_CACHE_REDIS, "box:production:new", 2000000);
	assert_there(LF_CACHE_REDIS, "box:production:3", 1500000);
	assert_there(LF_CACHE_REDIS, "box:production:19", 1000019);
	cr_assert_str_eq(faulty_counts(LF_CACHE_REDIS).dropped, "box:production:");
	switch_tier(LF_CACHE_REDIS, false);
	switch_tier(LF_CACHE_REDIS, true);
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).drops, 1, "once is enough");
}

static void lose_track(enum lf_cache_tier which, uint64_t upto)
{
	(void)pthread_mutex_lock(&cache->outbox->lock);
	cache->outbox->queue[which].lost_upto = upto;
	(void)pthread_mutex_unlock(&cache->outbox->lock);
}

static void *lose_track_while_it_drops(void *pings)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	while (faulty_counts(LF_CACHE_REDIS).pings == *(unsigned *)pings)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	(void)nanosleep(&pause, NULL);
	lose_track(LF_CACHE_REDIS, 20);
	faulty_be_slow_to_drop(LF_CACHE_REDIS, 0);
	return NULL;
}

Test(cache_outbox, a_tier_that_loses_track_while_it_returns_drops_what_is_old_too, .init = open_cache)
{
	int64_t end = lf_clock_ms() + PATIENCE_MS;
	pthread_t thread;
	unsigned pings;

	switch_tier(LF_CACHE_REDIS, false);
	pings = faulty_counts(LF_CACHE_REDIS).pings;
	lose_track(LF_CACHE_REDIS, 10);
	faulty_be_slow_to_drop(LF_CACHE_REDIS, 1000);
	cr_assert_eq(pthread_create(&thread, NULL, lose_track_while_it_drops, &pings), 0);
	switch_tier(LF_CACHE_REDIS, true);
	(void)pthread_join(thread, NULL);
	while (faulty_counts(LF_CACHE_REDIS).dropped_upto != 20) {
		cr_assert_lt(lf_clock_ms(), end, "what was lost meanwhile is never dropped");
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	wait_for_state(LF_CACHE_REDIS, LF_CACHE_TIER_UP);
}

static _Atomic bool enough;

static void *change_without_end(void *unused)
{
	char key[32];

	(void)unused;
	for (uint64_t i = 1; !atomic_load(&enough); i++) {
		(void)snprintf(key, sizeof(key), "box:%u", (unsigned)(i % 6000));
		(void)!put(key, i, "x", REDIS);
	}
	return NULL;
}

Test(cache_outbox, a_tier_returns_while_the_load_goes_on, .init = open_cache)
{
	pthread_t thread;

	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(pthread_create(&thread, NULL, change_without_end, NULL), 0);
	switch_tier(LF_CACHE_REDIS, true);
	atomic_store(&enough, true);
	(void)pthread_join(thread, NULL);
	settle();
}

Test(cache_outbox, what_has_no_room_takes_what_is_older_of_its_key_with_it, .init = open_cache)
{
	static char large[48 << 20];
	struct lf_record *record;

	(void)memset(large, 'x', sizeof(large) - 1);
	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:a", 5, "small", REDIS), 0);
	cr_assert_eq(put("box:b", 6, large, REDIS), 0);
	cr_assert_eq(put("box:a", 7, large, REDIS), -ENOSPC);
	cr_assert_null(lf_outbox_find(cache, text("box:a")));
	record = lf_outbox_find(cache, text("box:b"));
	cr_assert_not_null(record);
	lf_record_drop(record);
	cr_assert_eq(put("box:b", 8, "small", REDIS), 0);
	cr_assert_eq(put("box:a", 9, large, REDIS), 0);
	cr_assert_eq(put("box:b", 8, "small", REDIS), 0);
}

Test(cache_outbox, closing_sends_what_waits, .init = open_cache)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	cr_assert_eq(lf_outbox_settle(cache, lf_clock_ms() + 2 * LATE_MS), -ETIMEDOUT);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	lf_outbox_close(cache, lf_clock_ms() + PATIENCE_MS);
	assert_there(LF_CACHE_REDIS, "box:a", 7);
}

Test(cache_outbox, closing_waits_for_a_tier_that_takes_nothing_until_time_is_over, .init = open_cache)
{
	int64_t begun = lf_clock_ms();

	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	cr_assert_eq(put("box:a", 7, "x", REDIS), 0);
	lf_outbox_close(cache, begun + 3 * LATE_MS);
	cr_assert_geq(lf_clock_ms(), begun + 3 * LATE_MS);
	assert_not_there(LF_CACHE_REDIS, "box:a");
}

/* Behind, and a shared tier is away: SQLite takes that on, so that it outlasts the process. */
static void open_with_sqlite(void)
{
	char folder[FOLDER_MAX];

	new_folder(folder);
	(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
	open_cache();
}

Test(cache_outbox, what_is_critical_outlasts_that_a_tier_lost_track, .init = open_with_sqlite)
{
	const struct lf_record records[] = {
		{ .type = LF_RECORD_STRING, .flags = LF_RECORD_CRITICAL, .version = { 7, 1 }, .value = text("v") },
		{ .type = LF_RECORD_STRING, .version = { 7, 1 }, .value = text("v") },
	};
	struct lf_text keys[] = { text("box:production:t:o:critical"), text("box:production:t:o:other") };
	struct lf_tier_change change = { .kind = LF_CHANGED_PREFIX, .name = text("box:production:"), .version = { 8, 2 } };
	struct lf_error err = { "" };
	struct lf_record *found[2] = { NULL };
	int64_t end = lf_clock_ms() + PATIENCE_MS;

	switch_tier(LF_CACHE_REDIS, false);
	for (int i = 0; i < 2; i++) {
		struct lf_tier_store store = { .key = keys[i], .record = &records[i], .owed = i ? 0 : REDIS };

		cr_assert_eq(lf_call_store(cache, LF_CACHE_SQLITE, &store, 1, end, &err), LF_TIER_DONE, "%s", err.text);
	}
	switch_tier(LF_CACHE_SQLITE, false);
	lose_track(LF_CACHE_SQLITE, 8);
	switch_tier(LF_CACHE_SQLITE, true);
	/* Nor does another process that lost track take it from us. */
	faulty_tell(LF_CACHE_MONGO, &change);
	cr_assert_eq(lf_call_load(cache, LF_CACHE_SQLITE, keys, 2, found, end, &err), LF_TIER_DONE, "%s", err.text);
	cr_assert_not_null(found[0]);
	cr_assert_null(found[1]);
	lf_record_drop(found[0]);
	switch_tier(LF_CACHE_REDIS, true);
	assert_there(LF_CACHE_REDIS, keys[0].data, 7);
}

Test(cache_outbox, sqlite_takes_on_what_is_owed_to_others, .init = open_with_sqlite)
{
	struct lf_error err = { "" };
	struct lf_owed *owed = NULL;
	size_t count = 0;

	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(put("box:production:a", 7, "x", SQLITE | REDIS | MONGO), 0);
	settle();
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 0);
	assert_there(LF_CACHE_MONGO, "box:production:a", 7);
	cr_assert_eq(lf_sqlite_owed(cache->tier[LF_CACHE_SQLITE].tier, LF_CACHE_REDIS, 9, &owed, &count,
	                            lf_clock_ms() + PATIENCE_MS, &err), LF_TIER_DONE, "%s", err.text);
	cr_assert_eq(count, 1);
	cr_assert_eq(owed[0].tiers, REDIS);
	lf_owed_free(owed, count);
	switch_tier(LF_CACHE_REDIS, true);
	assert_there(LF_CACHE_REDIS, "box:production:a", 7);
}
