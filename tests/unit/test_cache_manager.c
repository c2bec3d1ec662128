#include "sinks/cache/manager.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager_internal.h"
#include "sinks/cache/outbox.h"
#include "tests/unit/folder_fixture.h"
#include "tests/unit/faulty_tier_fixture.h"

enum { PATIENCE_MS = 20000, LATE_MS = 40, FAILURES = 3, NEVER_MS = 3600000 };

static const unsigned REDIS = 1u << LF_CACHE_REDIS, MONGO = 1u << LF_CACHE_MONGO;

static struct lf_cache *cache;
static struct lf_cache_options options;
static char file[FOLDER_MAX + 16];
static _Atomic unsigned failovers, recoveries, heard_elsewhere;
static _Atomic int64_t now_ms = 1000000000;

static void told(void *arg, const struct lf_cache_notice *notice)
{
	(void)arg;
	if (notice->event == LF_CACHE_FAILOVER && notice->tier == LF_CACHE_REDIS)
		failovers++;
	if (notice->event == LF_CACHE_RECOVER && notice->tier == LF_CACHE_REDIS)
		recoveries++;
	if (notice->event == LF_CACHE_INVALIDATE && notice->elsewhere)
		heard_elsewhere++;
}

static int64_t clock_of_test(void *arg)
{
	(void)arg;
	return atomic_load(&now_ms);
}

/* As production has it, but for how long things take: a Redis, and SQLite in a folder of the test. */
static void choose_options(void)
{
	char folder[FOLDER_MAX];

	new_folder(folder);
	(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
	lf_cache_options_init(&options);
	options.app = "m";
	options.env = "t";
	options.sqlite.file = file;
	options.redis.url = "redis://fake";
	options.redis.timeout_ms = options.mongo.timeout_ms = LATE_MS;
	options.redis.connect_timeout_ms = options.mongo.connect_timeout_ms = PATIENCE_MS;
	options.health_interval_ms = 20;
	options.failures = FAILURES;
	options.backoff_min_ms = 5;
	options.backoff_max_ms = 20;
	options.unwatched_ms = NEVER_MS;
	options.clock_ms = clock_of_test;
}

static void open_cache(void)
{
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_open_with(&cache, &options, faulty_ops, &err), 0, "%s", err.text);
	cr_assert_geq(lf_cache_listen(cache,
	                              1u << LF_CACHE_FAILOVER | 1u << LF_CACHE_RECOVER | 1u << LF_CACHE_INVALIDATE, told,
	                              NULL, &err), 0, "%s", err.text);
}

static void set_up(void)
{
	choose_options();
	open_cache();
}

static void tear_down(void)
{
	lf_cache_close(cache);
}

/* a test's own .init comes after a suite's, not instead of it */
TestSuite(cache_manager, .fini = tear_down, .timeout = 180);

/* ---- Helpers ---- */

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

#define WAIT_FOR(condition_)                                                     \
	do {                                                                     \
		int64_t end_ = lf_clock_ms() + PATIENCE_MS;                      \
		const struct timespec pause_ = { .tv_nsec = 1000000 };           \
                                                                                 \
		while (!(condition_)) {                                          \
			cr_assert_lt(lf_clock_ms(), end_, "never: " #condition_); \
			(void)nanosleep(&pause_, NULL);                          \
		}                                                                \
	} while (0)

static int state_of(enum lf_cache_tier which)
{
	return atomic_load(&cache->tier[which].state);
}

static struct lf_manager_stats stats_of(enum lf_cache_tier which)
{
	struct lf_manager_stats stats;

	lf_manager_stats(cache, which, &stats);
	return stats;
}

static void switch_tier(enum lf_cache_tier which, bool on)
{
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_switch(cache, which, on, &err), 0, "%s", err.text);
}

static enum lf_tier_result call_redis(void)
{
	struct lf_text key = text("m:t:x:y:any");
	struct lf_record *record = NULL;
	struct lf_error err = { "" };
	enum lf_tier_result result = lf_call_load(cache, LF_CACHE_REDIS, &key, 1, &record, lf_clock_ms() + PATIENCE_MS,
	                                          &err);

	lf_record_drop(record);
	return result;
}

/* In SQLite, noted as owed. */
static void owe(const char *key, uint64_t clock, int64_t expires_ms, uint8_t flags, unsigned tiers)
{
	const struct lf_record record = { .type = LF_RECORD_STRING,
		                          .flags = flags,
		                          .version = { clock, 1 },
		                          .expires_ms = expires_ms,
		                          .value = { "v", 1 } };
	struct lf_tier_store store = { .key = text(key), .record = &record, .owed = tiers };
	struct lf_error err = { "" };

	cr_assert_eq(lf_call_store(cache, LF_CACHE_SQLITE, &store, 1, lf_clock_ms() + PATIENCE_MS, &err), LF_TIER_DONE,
	             "%s",
	             err.text);
	cr_assert_eq(store.stored, LF_STORED);
}

static uint64_t owed_count(void)
{
	return lf_sqlite_owed_count(cache->tier[LF_CACHE_SQLITE].tier);
}

/* The version there; 0: none. */
static uint64_t there(enum lf_cache_tier which, const char *key)
{
	struct lf_record *record = faulty_get(which, text(key));
	uint64_t clock = record ? record->version.clock : 0;

	lf_record_drop(record);
	return clock;
}

static void put_in_memory(const char *key, uint64_t clock)
{
	const struct lf_record record = { .type = LF_RECORD_STRING, .version = { clock, 1 }, .value = { "v", 1 } };
	struct lf_tier_store store = { .key = text(key), .record = lf_record_new(&record) };
	struct lf_error err = { "" };

	cr_assert_eq(lf_call_store(cache, LF_CACHE_MEMORY, &store, 1, lf_clock_ms() + PATIENCE_MS, &err), LF_TIER_DONE);
	lf_record_drop(store.record);
}

static bool is_in_memory(const char *key)
{
	struct lf_record *record = lf_memory_get(cache->tier[LF_CACHE_MEMORY].tier, text(key));

	lf_record_drop(record);
	return record != NULL;
}

static bool is_trusted(const char *key)
{
	struct lf_record *record = NULL;
	struct lf_error err = { "" };
	bool trusted = false;

	cr_assert_eq(lf_call_load_local(cache, text(key), &record, &trusted, lf_clock_ms() + PATIENCE_MS, &err),
	             LF_TIER_DONE,
	             "%s", err.text);
	cr_assert_not_null(record);
	lf_record_drop(record);
	return trusted;
}

/* ---- Whether a tier is there ---- */

Test(cache_manager, tiers_that_answer_are_up_when_the_cache_is_open, .init = set_up)
{
	cr_assert_eq(state_of(LF_CACHE_MEMORY), LF_CACHE_TIER_UP);
	cr_assert_eq(state_of(LF_CACHE_SQLITE), LF_CACHE_TIER_UP);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(state_of(LF_CACHE_MONGO), LF_CACHE_TIER_OFF);
}

Test(cache_manager, a_tier_that_is_away_when_the_cache_opens_is_no_failure_and_comes_up_later, .init = choose_options)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_BROKEN);
	open_cache();
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_AWAY);
	cr_assert_str_eq(stats_of(LF_CACHE_REDIS).trouble, "the tier is told to fail");
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(failovers, 0);
}

Test(cache_manager, opening_does_not_wait_for_a_silent_tier_longer_than_to_connect, .init = choose_options)
{
	int64_t begun = lf_clock_ms();

	options.redis.connect_timeout_ms = 10;
	options.redis.timeout_ms = PATIENCE_MS / 4;
	faulty_be(LF_CACHE_REDIS, FAULTY_SILENT);
	open_cache();
	cr_assert_lt(lf_clock_ms() - begun, PATIENCE_MS / 4);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
}

Test(cache_manager, a_broken_connection_makes_a_tier_away_when_it_cannot_be_made_anew, .init = set_up)
{
	options.health_interval_ms = NEVER_MS;
	faulty_be(LF_CACHE_REDIS, FAULTY_BROKEN);
	cr_assert_eq(call_redis(), LF_TIER_AWAY);
	WAIT_FOR(failovers == 1);
	cr_assert_neq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(call_redis(), LF_TIER_AWAY);
	cr_assert_str_eq(stats_of(LF_CACHE_REDIS).trouble, "the tier is told to fail");
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
	cr_assert_eq(call_redis(), LF_TIER_DONE);
	cr_assert_eq(failovers, 1);
	cr_assert_eq(stats_of(LF_CACHE_REDIS).failovers, 1);
	cr_assert_eq(stats_of(LF_CACHE_REDIS).recoveries, 1);
	cr_assert_str_empty(stats_of(LF_CACHE_REDIS).trouble);
}

static void with_rare_checks(void)
{
	choose_options();
	options.health_interval_ms = NEVER_MS;
	open_cache();
}

Test(cache_manager, some_late_answers_in_a_row_make_a_tier_away, .init = with_rare_checks)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_SILENT);
	for (int i = 0; i < FAILURES && state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP; i++)
		cr_assert_eq(call_redis(), LF_TIER_AWAY);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_AWAY);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
}

Test(cache_manager, a_tier_that_nobody_uses_is_noticed_to_be_away, .init = set_up)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_SILENT);
	WAIT_FOR(failovers == 1);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
}

static void with_pauses(void)
{
	choose_options();
	options.health_interval_ms = NEVER_MS;
	options.backoff_min_ms = 10;
	options.backoff_max_ms = NEVER_MS;
	open_cache();
}

Test(cache_manager, a_tier_that_comes_back_and_is_lost_again_is_left_alone_for_longer_each_time, .init = with_pauses)
{
	const struct lf_breaker *retry = &cache->manager->keeper[LF_CACHE_REDIS].retry;

	/* Its pings are answered, in between. */
	for (unsigned i = 1; i <= 5; i++) {
		while (stats_of(LF_CACHE_REDIS).failovers < i)
			lf_manager_failed(cache, LF_CACHE_REDIS, LF_FAULT_LATE, NULL);
		WAIT_FOR(recoveries == i);
	}
	cr_assert_geq(retry->backoff_ms, 16 * options.backoff_min_ms);
}

Test(cache_manager, one_failure_does_not_make_a_tier_away, .init = with_rare_checks)
{
	unsigned pings = (unsigned)stats_of(LF_CACHE_REDIS).pings;
	struct lf_text key = text("m:t:x:y:any");
	struct lf_record *record = NULL;

	lf_manager_failed(cache, LF_CACHE_REDIS, LF_FAULT_BROKEN, NULL);
	lf_manager_failed(cache, LF_CACHE_REDIS, LF_FAULT_REFUSED, NULL);
	WAIT_FOR(stats_of(LF_CACHE_REDIS).pings > pings);
	cr_assert_eq(call_redis(), LF_TIER_DONE);
	for (int i = 0; i < 3 * FAILURES; i++)
		lf_manager_failed(cache, LF_CACHE_REDIS, LF_FAULT_HURRIED, NULL);
	cr_assert_eq(lf_call_load(cache, LF_CACHE_REDIS, &key, 1, &record, lf_clock_ms() + PATIENCE_MS, NULL),
	             LF_TIER_DONE);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(failovers, 0);
}

Test(cache_manager, a_tier_that_refuses_everything_is_away, .init = with_rare_checks)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_REFUSING);
	cr_assert_eq(call_redis(), LF_TIER_REJECTED);
	WAIT_FOR(failovers == 1);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
}

Test(cache_manager, a_tier_that_is_full_stays, .init = set_up)
{
	unsigned pings;

	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	pings = faulty_counts(LF_CACHE_REDIS).pings;
	cr_assert_eq(call_redis(), LF_TIER_FULL);
	WAIT_FOR(faulty_counts(LF_CACHE_REDIS).pings > pings + FAILURES);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
}

/* ---- What it missed ---- */

Test(cache_manager, what_was_missed_is_sent_in_batches_before_the_tier_is_up, .init = set_up)
{
	char key[32];

	switch_tier(LF_CACHE_REDIS, false);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof(key), "m:t:x:y:%u", i);
		owe(key, 100 + i, 0, LF_RECORD_CRITICAL, REDIS);
	}
	cr_assert_eq(owed_count(), 300);
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:0"), 100);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:299"), 399);
	cr_assert_eq(owed_count(), 0);
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).largest_store, 256);
	cr_assert_eq(lf_counted(cache->counters, LF_COUNT_SYNCED), 300);
	cr_assert_eq(lf_counted(cache->counters, LF_COUNT_SYNC_BATCHES), 2);
	cr_assert_eq(lf_counted(cache->counters, LF_COUNT_SYNC_RETRIES), 0);
}

Test(cache_manager, what_was_missed_has_what_is_left_of_its_ttl_and_what_has_expired_is_gone, .init = set_up)
{
	struct lf_record *record;

	switch_tier(LF_CACHE_REDIS, false);
	owe("m:t:x:y:long", 100, now_ms + 500, LF_RECORD_CRITICAL, REDIS);
	owe("m:t:x:y:short", 101, now_ms + 50, LF_RECORD_CRITICAL, REDIS);
	now_ms += 100;
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	record = faulty_get(LF_CACHE_REDIS, text("m:t:x:y:long"));
	cr_assert_eq(record->expires_ms, now_ms + 400);
	lf_record_drop(record);
	record = faulty_get(LF_CACHE_REDIS, text("m:t:x:y:short"));
	cr_assert_eq(record->type, LF_RECORD_GONE);
	cr_assert_eq(record->version.clock, 101);
	cr_assert_eq(record->expires_ms, now_ms + options.tombstone_ms);
	lf_record_drop(record);
}

Test(cache_manager, a_prefix_of_many_keys_may_take_longer_to_drop_than_a_round_trip, .init = with_rare_checks)
{
	struct lf_error err = { "" };

	faulty_be_slow_to_drop(LF_CACHE_REDIS, 3 * LATE_MS);
	cr_assert_eq(lf_sqlite_owe(cache->tier[LF_CACHE_SQLITE].tier, LF_CHANGED_PREFIX, text("m:t:x:"),
	                           (struct lf_version){ 50, 1 }, REDIS, lf_clock_ms() + PATIENCE_MS, &err),
	             LF_TIER_DONE, "%s", err.text);
	lf_manager_poke(cache);
	WAIT_FOR(owed_count() == 0);
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).dropped_upto, 50);
	cr_assert_eq(lf_call_drop(cache, LF_CACHE_REDIS, text("m:t:y:"), 60, lf_clock_ms() + PATIENCE_MS, &err),
	             LF_TIER_DONE, "%s", err.text);
	/* Who has less time for it than it takes does not say that the tier is away. */
	for (int i = 0; i < FAILURES; i++)
		cr_assert_eq(lf_call_drop(cache, LF_CACHE_REDIS, text("m:t:y:"), 60, lf_clock_ms() + LATE_MS, &err),
		             LF_TIER_AWAY);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
}

Test(cache_manager, a_newer_value_there_is_not_overwritten, .init = set_up)
{
	const struct lf_record newer = { .type = LF_RECORD_STRING, .version = { 500, 9 } };

	switch_tier(LF_CACHE_REDIS, false);
	owe("m:t:x:y:a", 100, 0, LF_RECORD_CRITICAL, REDIS);
	faulty_put(LF_CACHE_REDIS, text("m:t:x:y:a"), &newer);
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:a"), 500);
	cr_assert_eq(owed_count(), 0);
}

Test(cache_manager, stamps_and_prefixes_that_were_missed_are_sent, .init = set_up)
{
	struct lf_tier *sqlite = cache->tier[LF_CACHE_SQLITE].tier;
	const struct lf_record old = { .type = LF_RECORD_STRING, .version = { 50, 9 } };
	int64_t end = lf_clock_ms() + PATIENCE_MS;
	struct lf_error err = { "" };

	switch_tier(LF_CACHE_REDIS, false);
	faulty_put(LF_CACHE_REDIS, text("m:t:x:y:a"), &old);
	cr_assert_eq(lf_sqlite_owe(sqlite, LF_CHANGED_STAMP, text("m:t:%tag:y:t"), (struct lf_version){ 77, 0 }, REDIS,
	                           end, &err),
	             LF_TIER_DONE, "%s", err.text);
	cr_assert_eq(lf_sqlite_owe(sqlite, LF_CHANGED_PREFIX, text("m:t:x:y:"), (struct lf_version){ 60, 0 }, REDIS,
	                           end, &err),
	             LF_TIER_DONE, "%s", err.text);
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	cr_assert_eq(faulty_stamp(LF_CACHE_REDIS, text("m:t:%tag:y:t")), 77);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:a"), 0);
	cr_assert_eq(owed_count(), 0);
}

Test(cache_manager, a_tier_that_fails_while_it_is_told_is_told_the_rest_when_it_is_back, .init = set_up)
{
	char key[32];

	switch_tier(LF_CACHE_REDIS, false);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof(key), "m:t:x:y:%u", i);
		owe(key, 100 + i, 0, LF_RECORD_CRITICAL, REDIS);
	}
	faulty_be_after(LF_CACHE_REDIS, 1, FAULTY_BROKEN);
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(lf_counted(cache->counters, LF_COUNT_SYNC_RETRIES) > 0);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_AWAY);
	cr_assert_eq(owed_count(), 44);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:299"), 399);
	cr_assert_eq(owed_count(), 0);
}

Test(cache_manager, what_a_tier_that_is_up_missed_is_sent_soon, .init = with_rare_checks)
{
	owe("m:t:x:y:a", 100, 0, 0, REDIS);
	WAIT_FOR(there(LF_CACHE_REDIS, "m:t:x:y:a") == 100);
	WAIT_FOR(owed_count() == 0);
}

Test(cache_manager, a_tier_that_takes_nothing_is_not_told_again_with_every_change, .init = with_rare_checks)
{
	int64_t end_ms;
	uint64_t batches;

	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	owe("m:t:x:y:a", 100, 0, 0, REDIS);
	WAIT_FOR(lf_counted(cache->counters, LF_COUNT_SYNC_RETRIES) > 0);
	batches = lf_counted(cache->counters, LF_COUNT_SYNC_BATCHES);
	end_ms = lf_clock_ms() + 300;
	while (lf_clock_ms() < end_ms) {
		const struct timespec pause = { .tv_nsec = 1000000 };

		lf_manager_poke(cache);
		(void)nanosleep(&pause, NULL);
	}
	cr_assert_leq(lf_counted(cache->counters, LF_COUNT_SYNC_BATCHES) - batches, 4);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(owed_count() == 0);
}

static void without_sqlite(void)
{
	choose_options();
	options.sqlite.off = true;
	options.health_interval_ms = NEVER_MS;
	open_cache();
}

Test(cache_manager, without_sqlite_nobody_looks_for_what_is_owed_again_and_again, .init = without_sqlite)
{
	const volatile int64_t *due_ms = &cache->manager->keeper[LF_CACHE_REDIS].sync_ms;

	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	WAIT_FOR(*due_ms == INT64_MAX);
}

Test(cache_manager, what_is_owed_to_a_tier_that_is_off_is_not_waited_for, .init = set_up)
{
	struct lf_error err = { "" };

	owe("m:t:x:y:a", 100, 0, 0, REDIS | MONGO);
	cr_assert_eq(lf_cache_settle(cache, PATIENCE_MS, &err), 0, "%s", err.text);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:a"), 100);
	cr_assert_eq(owed_count(), 1);
	switch_tier(LF_CACHE_REDIS, false);
	owe("m:t:x:y:b", 100, 0, 0, REDIS);
	cr_assert_eq(lf_cache_settle(cache, LATE_MS, &err), -ETIMEDOUT, "it is off for a while only");
}

Test(cache_manager, what_sqlite_knew_from_before_is_sent_by_the_next_process, .init = choose_options)
{
	faulty_be(LF_CACHE_REDIS, FAULTY_BROKEN);
	open_cache();
	owe("m:t:x:y:a", 100, 0, LF_RECORD_CRITICAL, REDIS);
	lf_cache_close(cache);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	open_cache();
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:a"), 100);
}

Test(cache_manager, a_tier_that_was_restarted_is_given_all_that_is_critical_before_it_is_used_again, .init = set_up)
{
	owe("m:t:x:y:critical", 100, 0, LF_RECORD_CRITICAL, REDIS);
	owe("m:t:x:y:not", 101, 0, 0, REDIS);
	WAIT_FOR(owed_count() == 0);
	faulty_restart(LF_CACHE_REDIS);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:critical"), 0);
	WAIT_FOR(recoveries == 1);
	cr_assert_eq(failovers, 1);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:critical"), 100);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:not"), 0);
}

Test(cache_manager, a_tier_that_was_restarted_while_no_process_was_there_is_given_all_that_is_critical, .init = set_up)
{
	owe("m:t:x:y:critical", 100, 0, LF_RECORD_CRITICAL, REDIS);
	WAIT_FOR(owed_count() == 0);
	lf_cache_close(cache);
	faulty_restart(LF_CACHE_REDIS);
	open_cache();
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:critical"), 100);
}

static void with_two(void)
{
	choose_options();
	options.mongo.url = "mongodb://fake";
	open_cache();
}

Test(cache_manager, what_one_tier_missed_does_not_wait_for_another_that_is_away, .init = with_two)
{
	faulty_be(LF_CACHE_MONGO, FAULTY_BROKEN);
	WAIT_FOR(state_of(LF_CACHE_MONGO) == LF_CACHE_TIER_AWAY);
	owe("m:t:x:y:a", 100, 0, LF_RECORD_CRITICAL, REDIS | MONGO);
	WAIT_FOR(there(LF_CACHE_REDIS, "m:t:x:y:a") == 100);
	WAIT_FOR(owed_count() == 1);
	faulty_be(LF_CACHE_MONGO, FAULTY_FINE);
	WAIT_FOR(state_of(LF_CACHE_MONGO) == LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_MONGO, "m:t:x:y:a"), 100);
	WAIT_FOR(owed_count() == 0);
}

Test(cache_manager, a_tier_comes_back_without_sqlite_and_is_told_when_that_is_there, .init = set_up)
{
	switch_tier(LF_CACHE_REDIS, false);
	owe("m:t:x:y:a", 100, 0, LF_RECORD_CRITICAL, REDIS);
	switch_tier(LF_CACHE_SQLITE, false);
	switch_tier(LF_CACHE_REDIS, true);
	WAIT_FOR(state_of(LF_CACHE_REDIS) == LF_CACHE_TIER_UP);
	cr_assert_eq(there(LF_CACHE_REDIS, "m:t:x:y:a"), 0);
	switch_tier(LF_CACHE_SQLITE, true);
	WAIT_FOR(there(LF_CACHE_REDIS, "m:t:x:y:a") == 100);
}

static void with_behind(void)
{
	choose_options();
	options.redis.mode = LF_CACHE_BEHIND;
	open_cache();
}

Test(cache_manager, what_is_critical_and_written_behind_outlasts_the_process, .init = with_behind)
{
	const struct lf_cache_set critical = { .critical = true };
	struct lf_cache_space *space;
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_space(&space, cache, "x", "y", &err), 0, "%s", err.text);
	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	cr_assert_eq(lf_cache_set(space, text("a"), text("v"), &critical, &err), 1, "%s", err.text);
	cr_assert_eq(owed_count(), 1);
	cr_assert_eq(lf_cache_set(space, text("b"), text("v"), NULL, &err), 1, "%s", err.text);
	cr_assert_eq(owed_count(), 1);
	cr_assert_eq(lf_outbox_count(cache, LF_CACHE_REDIS), 1);
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(there(LF_CACHE_REDIS, "m:t:x:y:a") && there(LF_CACHE_REDIS, "m:t:x:y:b"));
}

/* ---- What others changed ---- */

Test(cache_manager, a_key_that_was_changed_elsewhere_leaves_memory_and_the_trust_in_sqlite, .init = set_up)
{
	const struct lf_tier_change change = { LF_CHANGED_KEY, text("m:t:x:y:a"), { 200, 9 } };

	owe("m:t:x:y:a", 100, 0, 0, 0);
	owe("m:t:x:y:b", 101, 0, 0, 0);
	put_in_memory("m:t:x:y:a", 100);
	put_in_memory("m:t:x:y:b", 101);
	faulty_tell(LF_CACHE_REDIS, &change);
	cr_assert_not(is_in_memory("m:t:x:y:a"));
	cr_assert_not(is_trusted("m:t:x:y:a"));
	cr_assert(is_in_memory("m:t:x:y:b"));
	cr_assert(is_trusted("m:t:x:y:b"));
	cr_assert_eq(heard_elsewhere, 1);
	cr_assert_gt(lf_version_next(cache).clock, 200);
}

Test(cache_manager, a_prefix_that_was_dropped_elsewhere_leaves_memory_and_sqlite, .init = set_up)
{
	const struct lf_tier_change change = { LF_CHANGED_PREFIX, text("m:t:x:y:a"), { 200, 9 } };
	struct lf_record *record = NULL;
	struct lf_error err = { "" };
	bool trusted;

	owe("m:t:x:y:a", 100, 0, 0, 0);
	put_in_memory("m:t:x:y:a", 100);
	put_in_memory("m:t:x:y:ab", 300);
	put_in_memory("m:t:x:y:b", 101);
	faulty_tell(LF_CACHE_REDIS, &change);
	cr_assert_not(is_in_memory("m:t:x:y:a"));
	cr_assert(is_in_memory("m:t:x:y:ab"), "it is newer");
	cr_assert(is_in_memory("m:t:x:y:b"));
	cr_assert_eq(lf_call_load_local(cache, text("m:t:x:y:a"), &record, &trusted, lf_clock_ms() + PATIENCE_MS, &err),
	             LF_TIER_DONE);
	cr_assert(!record || record->type == LF_RECORD_GONE);
	lf_record_drop(record);
}

Test(cache_manager, when_changes_were_lost_nothing_that_is_here_is_believed, .init = set_up)
{
	const struct lf_tier_change change = { .kind = LF_CHANGED_UNKNOWN };

	owe("m:t:x:y:a", 100, 0, 0, 0);
	put_in_memory("m:t:x:y:a", 100);
	faulty_tell(LF_CACHE_REDIS, &change);
	cr_assert_not(is_in_memory("m:t:x:y:a"));
	cr_assert_not(is_trusted("m:t:x:y:a"));
}

Test(cache_manager, a_channel_that_broke_is_opened_again_and_what_may_have_been_missed_is_forgotten, .init = set_up)
{
	unsigned watches = faulty_counts(LF_CACHE_REDIS).watches;

	put_in_memory("m:t:x:y:a", 100);
	faulty_break_channel(LF_CACHE_REDIS);
	WAIT_FOR(faulty_counts(LF_CACHE_REDIS).watches > watches);
	WAIT_FOR(!is_in_memory("m:t:x:y:a"));
	cr_assert_eq(failovers, 0);
}

Test(cache_manager, a_channel_that_broke_is_opened_again_at_once, .init = with_rare_checks)
{
	unsigned watches = faulty_counts(LF_CACHE_REDIS).watches;

	put_in_memory("m:t:x:y:a", 100);
	faulty_break_channel(LF_CACHE_REDIS);
	WAIT_FOR(faulty_counts(LF_CACHE_REDIS).watches > watches);
	WAIT_FOR(!is_in_memory("m:t:x:y:a"));
}

static void with_unwatched(void)
{
	choose_options();
	options.unwatched_ms = 30;
	faulty_be_watched(LF_CACHE_REDIS, FAULTY_REFUSING);
	open_cache();
}

Test(cache_manager, where_changes_are_not_told_memory_is_trusted_for_a_while_only, .init = with_unwatched)
{
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	for (int i = 0; i < 3; i++) {
		put_in_memory("m:t:x:y:a", 100);
		WAIT_FOR(!is_in_memory("m:t:x:y:a"));
	}
}

Test(cache_manager, what_is_in_memory_stays_while_the_tier_is_away_and_is_forgotten_when_it_is_back, .init = set_up)
{
	put_in_memory("m:t:x:y:a", 100);
	faulty_be(LF_CACHE_REDIS, FAULTY_BROKEN);
	WAIT_FOR(failovers == 1);
	cr_assert(is_in_memory("m:t:x:y:a"));
	faulty_be(LF_CACHE_REDIS, FAULTY_FINE);
	WAIT_FOR(recoveries == 1);
	cr_assert_not(is_in_memory("m:t:x:y:a"));
}

Test(cache_manager, memory_is_kept_where_another_tier_told_of_all_changes_meanwhile, .init = with_two)
{
	put_in_memory("m:t:x:y:a", 100);
	faulty_be(LF_CACHE_MONGO, FAULTY_BROKEN);
	WAIT_FOR(state_of(LF_CACHE_MONGO) == LF_CACHE_TIER_AWAY);
	faulty_be(LF_CACHE_MONGO, FAULTY_FINE);
	WAIT_FOR(stats_of(LF_CACHE_MONGO).recoveries == 1);
	cr_assert(is_in_memory("m:t:x:y:a"));
}

/* ---- Switching by hand ---- */

Test(cache_manager, a_tier_that_is_switched_off_is_not_asked, .init = set_up)
{
	unsigned pings;

	switch_tier(LF_CACHE_REDIS, false);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_SWITCHED_OFF);
	cr_assert_eq(call_redis(), LF_TIER_AWAY);
	pings = faulty_counts(LF_CACHE_REDIS).pings;
	put_in_memory("m:t:x:y:a", 100);
	switch_tier(LF_CACHE_MEMORY, false);
	cr_assert_eq(state_of(LF_CACHE_MEMORY), LF_CACHE_TIER_SWITCHED_OFF);
	switch_tier(LF_CACHE_MEMORY, true);
	cr_assert_not(is_in_memory("m:t:x:y:a"), "it missed what was written meanwhile");
	cr_assert_eq(faulty_counts(LF_CACHE_REDIS).pings, pings);
	switch_tier(LF_CACHE_REDIS, true);
	switch_tier(LF_CACHE_REDIS, true);
	cr_assert_eq(state_of(LF_CACHE_REDIS), LF_CACHE_TIER_UP);
	cr_assert_eq(failovers, 0);
}

Test(cache_manager, only_what_was_opened_can_be_switched, .init = set_up)
{
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_switch(cache, LF_CACHE_MONGO, true, &err), -EINVAL);
	cr_assert_str_eq(err.text, "the mongo tier is off: only one that was opened can be switched");
	cr_assert_eq(lf_cache_switch(cache, LF_CACHE_TIERS, false, &err), -EINVAL);
}

/* ---- One call ---- */

Test(cache_manager, what_a_result_means_to_a_caller, .init = set_up)
{
	int64_t later = lf_clock_ms() + PATIENCE_MS;

	cr_assert_eq(lf_call_errno(LF_TIER_DONE, later), 0);
	cr_assert_eq(lf_call_errno(LF_TIER_AWAY, later), -EHOSTDOWN);
	cr_assert_eq(lf_call_errno(LF_TIER_AWAY, 0), -ETIMEDOUT);
	cr_assert_eq(lf_call_errno(LF_TIER_REJECTED, later), -EHOSTDOWN);
	cr_assert_eq(lf_call_errno(LF_TIER_FULL, later), -ENOSPC);
}

Test(cache_manager, a_call_ends_by_the_earlier_of_its_deadline_and_the_tiers_timeout, .init = set_up)
{
	int64_t begun = lf_clock_ms();

	faulty_be(LF_CACHE_REDIS, FAULTY_SILENT);
	cr_assert_eq(call_redis(), LF_TIER_AWAY);
	cr_assert_lt(lf_clock_ms() - begun, PATIENCE_MS / 2);
}

Test(cache_manager, calls_are_counted, .init = set_up)
{
	struct lf_text keys[] = { text("m:t:x:y:a"), text("m:t:x:y:gone"), text("m:t:x:y:none") };
	const struct lf_record record = { .type = LF_RECORD_STRING, .version = { 5, 1 } };
	const struct lf_record gone = { .type = LF_RECORD_GONE, .version = { 5, 1 } };
	struct lf_record *records[3] = { NULL };
	struct lf_counters *counters = cache->counters;
	struct lf_error err = { "" };

	faulty_put(LF_CACHE_REDIS, keys[0], &record);
	faulty_put(LF_CACHE_REDIS, keys[1], &gone);
	cr_assert_eq(lf_call_load(cache, LF_CACHE_REDIS, keys, 3, records, lf_clock_ms() + PATIENCE_MS, &err),
	             LF_TIER_DONE);
	for (int i = 0; i < 3; i++)
		lf_record_drop(records[i]);
	cr_assert_eq(lf_counted_tier(counters, LF_CACHE_REDIS, LF_COUNT_TIER_HITS), 1);
	cr_assert_eq(lf_counted_tier(counters, LF_CACHE_REDIS, LF_COUNT_TIER_MISSES), 2);
	faulty_be(LF_CACHE_REDIS, FAULTY_FULL);
	cr_assert_eq(call_redis(), LF_TIER_FULL);
	cr_assert_eq(lf_counted_tier(counters, LF_CACHE_REDIS, LF_COUNT_TIER_FAILURES), 1);
}
