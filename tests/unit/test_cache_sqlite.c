#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/cache_sqlite_fixture.h"

static struct lf_tier *tier;

static void set_up(void)
{
	sqlite_set_up();
	tier = open_sqlite();
}

static void tear_down(void)
{
	close_sqlite(tier);
}

TestSuite(cache_sqlite, .init = set_up, .fini = tear_down, .timeout = 60);

static struct lf_tier_store if_version(const char *key, const struct lf_record *record, struct lf_version expected)
{
	return (struct lf_tier_store){ .key = text_of(key), .record = record, .condition = LF_IF_VERSION, .expected = expected };
}

/* --- records --------------------------------------------------------------------------------------- */

Test(cache_sqlite, what_is_stored_is_loaded_and_what_is_older_changes_nothing)
{
	expect_value(tier, "a:t:k", NULL);
	cr_assert_eq(store_newer(tier, "a:t:k", "one", 10), LF_STORED);
	expect_value(tier, "a:t:k", "one");
	cr_assert_eq(store_newer(tier, "a:t:k", "old", 9), LF_NOT_STORED);
	cr_assert_eq(store_newer(tier, "a:t:k", "same", 10), LF_NOT_STORED);
	expect_value(tier, "a:t:k", "one");
	cr_assert_eq(store_newer(tier, "a:t:k", "two", 11), LF_STORED);
	expect_value(tier, "a:t:k", "two");
}

Test(cache_sqlite, versions_are_compared_as_numbers_without_a_sign)
{
	cr_assert_eq(store_newer(tier, "a:t:k", "one", UINT64_C(0x7fffffffffffffff)), LF_STORED);
	cr_assert_eq(store_newer(tier, "a:t:k", "two", UINT64_C(0x8000000000000000)), LF_STORED);
	cr_assert_eq(store_newer(tier, "a:t:k", "old", 255), LF_NOT_STORED);
	expect_value(tier, "a:t:k", "two");
}

Test(cache_sqlite, a_store_by_version_is_made_only_where_that_version_is)
{
	struct lf_record *record = record_of("v", 5, 0);
	struct lf_tier_store store = if_version("a:t:k", record, version_of(4));

	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(store.stored, LF_NOT_STORED);
	store.expected = (struct lf_version){ 0, 0 };
	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(store.stored, LF_STORED);
	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(store.stored, LF_NOT_STORED);
	store.expected = version_of(5);
	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(store.stored, LF_STORED);
	lf_record_drop(record);
}

Test(cache_sqlite, several_keys_are_loaded_and_stored_at_once)
{
	struct lf_record *one = record_of("1", 1, 0), *two = record_of("2", 2, 0);
	struct lf_tier_store stores[] = { { .key = text_of("a:t:1"), .record = one }, { .key = text_of("a:t:2"), .record = two },
	                                  { .key = text_of("a:t:1"), .record = two } };
	struct lf_text keys[] = { text_of("a:t:2"), text_of("a:t:3"), text_of("a:t:1") };
	struct lf_record *found[3];

	cr_assert_eq(lf_tier_sqlite.store(tier, stores, 3, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(stores[0].stored == LF_STORED && stores[1].stored == LF_STORED && stores[2].stored == LF_STORED);
	cr_assert_eq(lf_tier_sqlite.load(tier, keys, 3, found, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_arr_eq(found[0]->value.data, "2", 1);
	cr_assert_null(found[1]);
	cr_assert_arr_eq(found[2]->value.data, "2", 1);
	lf_record_drop(found[0]);
	lf_record_drop(found[2]);
	lf_record_drop(one);
	lf_record_drop(two);
}

Test(cache_sqlite, all_of_a_record_comes_back_from_a_file_that_was_closed)
{
	struct lf_record_tag tags[] = { { text_of("t1"), 3 }, { { "\0x", 2 }, UINT64_MAX } };
	struct lf_record from = { .type = LF_RECORD_HASH, .flags = LF_RECORD_CRITICAL, .tags = tags, .tags_count = 2, .load_ms = 4,
	                          .version = { 5, 6 }, .expires_ms = 7, .fresh_until_ms = 8, .revision = 9, .type_stamp = 10,
	                          .org_stamp = 11 };
	struct lf_record *record = lf_record_new(&from), *found = NULL;
	struct lf_tier_store store = { .key = text_of("a:t:k"), .record = record };

	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	close_sqlite(tier);
	tier = open_sqlite();
	cr_assert_eq(lf_tier_sqlite.load(tier, &store.key, 1, &found, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(found);
	cr_assert(found->type == LF_RECORD_HASH && found->flags == LF_RECORD_CRITICAL && found->tags_count == 2);
	cr_assert(found->version.clock == 5 && found->version.writer == 6 && found->load_ms == 4);
	cr_assert(found->expires_ms == 7 && found->fresh_until_ms == 8 && found->revision == 9);
	cr_assert(found->type_stamp == 10 && found->org_stamp == 11 && found->tags[1].stamp == UINT64_MAX);
	cr_assert_eq(found->tags[1].name.len, 2);
	lf_record_drop(found);
	lf_record_drop(record);
}

Test(cache_sqlite, values_of_the_size_asked_for_are_compressed_in_the_file)
{
	char *large = calloc(1, 100001);

	cr_assert(large);
	memset(large, 'x', 100000);
	(void)store_newer(tier, "a:t:plain", large, 1);
	close_sqlite(tier);
	sqlite_options.compress_min = 1000;
	tier = open_sqlite();
	(void)store_newer(tier, "a:t:small", large, 1);
	expect_value(tier, "a:t:small", large);
	expect_value(tier, "a:t:plain", large);
	expect_in_file("SELECT length(bytes) > 100000 FROM records WHERE key = CAST('a:t:plain' AS BLOB)", "1");
	expect_in_file("SELECT length(bytes) < 1000 FROM records WHERE key = CAST('a:t:small' AS BLOB)", "1");
	free(large);
}

Test(cache_sqlite, bytes_that_are_no_record_are_nothing_and_go)
{
	(void)store_newer(tier, "a:t:k", "v", 9);
	(void)store_newer(tier, "a:t:l", "w", 9);
	run_in_file("UPDATE records SET bytes = CAST('nonsense' AS BLOB) WHERE key = CAST('a:t:k' AS BLOB)");
	expect_value(tier, "a:t:k", NULL);
	expect_in_file("SELECT group_concat(CAST(key AS TEXT)) FROM records", "a:t:l");
	cr_assert_eq(store_newer(tier, "a:t:k", "anew", 1), LF_STORED);
}

Test(cache_sqlite, what_is_over_a_limit_that_was_lowered_since_is_still_there)
{
	char *large = calloc(1, 100001);

	cr_assert(large);
	memset(large, 'x', 100000);
	close_sqlite(tier);
	sqlite_options.compress_min = 1000;
	tier = open_sqlite();
	(void)store_owing(tier, "a:t:k", large, 1, LF_RECORD_CRITICAL, 0);
	close_sqlite(tier);
	tier_options.value_max = 1000;
	tier = open_sqlite();
	expect_value(tier, "a:t:k", large);
	free(large);
}

Test(cache_sqlite, a_record_of_another_version_than_its_row_says_is_nothing_and_goes)
{
	(void)store_newer(tier, "a:t:k", "v", 5);
	run_in_file("UPDATE records SET version = x'ffffffffffffffffffffffffffffffff'");
	cr_assert_eq(store_newer(tier, "a:t:k", "w", 6), LF_NOT_STORED);
	expect_value(tier, "a:t:k", NULL);
	cr_assert_eq(store_newer(tier, "a:t:k", "w", 6), LF_STORED);
	expect_value(tier, "a:t:k", "w");
}

/* --- trust ----------------------------------------------------------------------------------------- */

Test(cache_sqlite, what_was_stored_in_this_session_is_trusted_until_it_is_said_to_have_changed)
{
	(void)store_newer(tier, "a:t:k", "v", 9);
	cr_assert(is_trusted(tier, "a:t:k"));
	cr_assert_eq(lf_sqlite_distrust(tier, text_of("a:t:k"), version_of(9), in_time(), &why), LF_TIER_DONE);
	cr_assert(is_trusted(tier, "a:t:k"), "what is there is not older");
	cr_assert_eq(lf_sqlite_distrust(tier, text_of("a:t:k"), version_of(10), in_time(), &why), LF_TIER_DONE);
	cr_assert_not(is_trusted(tier, "a:t:k"));
	cr_assert_eq(lf_sqlite_distrust(tier, text_of("a:t:none"), version_of(10), in_time(), &why), LF_TIER_DONE);
}

Test(cache_sqlite, a_new_session_trusts_nothing_until_it_is_stored_again_be_it_the_same)
{
	(void)store_newer(tier, "a:t:k", "v", 9);
	lf_sqlite_new_session(tier);
	cr_assert_not(is_trusted(tier, "a:t:k"));
	cr_assert_eq(store_newer(tier, "a:t:k", "v", 9), LF_NOT_STORED);
	cr_assert(is_trusted(tier, "a:t:k"));
	lf_sqlite_new_session(tier);
	cr_assert_eq(store_newer(tier, "a:t:k", "older", 8), LF_NOT_STORED);
	cr_assert_not(is_trusted(tier, "a:t:k"));
}

Test(cache_sqlite, what_another_process_stored_is_not_trusted)
{
	struct lf_tier *other = open_sqlite();

	(void)store_newer(tier, "a:t:k", "v", 9);
	(void)store_newer(other, "a:t:k", "w", 10);
	cr_assert_not(is_trusted(tier, "a:t:k"));
	cr_assert(is_trusted(other, "a:t:k"));
	expect_value(tier, "a:t:k", "w");
	close_sqlite(other);
}

/* --- scan, drop, stamps ---------------------------------------------------------------------------- */

/* How many keys with the prefix, by pages of `max`; each must be there once, in order. */
static size_t scanned(const char *prefix, size_t max)
{
	char cursor[LF_TIER_CURSOR_MAX] = "", last[64] = "";
	size_t all = 0;

	do {
		char **keys;
		size_t count;

		cr_assert_eq(lf_tier_sqlite.scan(tier, text_of(prefix), cursor, max, &keys, &count, in_time(), &why), LF_TIER_DONE);
		cr_assert_leq(count, max);
		for (size_t i = 0; i < count; i++) {
			cr_assert_lt(strcmp(last, keys[i]), 0, "%s after %s", keys[i], last);
			(void)snprintf(last, sizeof(last), "%s", keys[i]);
			free(keys[i]);
		}
		free(keys);
		all += count;
	} while (*cursor);
	return all;
}

static void store_many(const char *prefix, int count, uint64_t clock)
{
	struct lf_record *record = record_of("v", clock, 0);
	struct lf_tier_store *stores = calloc((size_t)count, sizeof(*stores));
	char (*keys)[64] = calloc((size_t)count, sizeof(*keys));

	cr_assert(stores && keys);
	for (int i = 0; i < count; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "%s%d", prefix, i);
		stores[i] = (struct lf_tier_store){ .key = text_of(keys[i]), .record = record };
	}
	cr_assert_eq(lf_tier_sqlite.store(tier, stores, (size_t)count, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	lf_record_drop(record);
	free(stores);
	free(keys);
}

Test(cache_sqlite, a_scan_hands_out_each_key_of_the_prefix_and_no_other)
{
	store_many("a:t:x:", 100, 1);
	store_many("a:t:xx:", 10, 1);
	cr_assert_eq(scanned("a:t:x:", 7), 100);
	cr_assert_eq(scanned("a:t:x:", 100), 100);
	cr_assert_eq(scanned("a:t:x:", 99), 100);
	cr_assert_eq(scanned("a:t:", 1), 110);
	cr_assert_eq(scanned("a:t:x:99", 10), 1);
	cr_assert_eq(scanned("a:t:z", 10), 0);
	cr_assert_eq(scanned("", 1000), 110);
}

Test(cache_sqlite, a_scan_passes_over_names_that_are_no_keys)
{
	run_in_file("INSERT INTO records SELECT 100 + value, key, zeroblob(16), 0, 0, 0, 0, x'' FROM (SELECT 1 AS value,"
	            " x'613a743a310000' AS key UNION SELECT 2, CAST('a:t:2' || hex(zeroblob(4500)) AS BLOB));"
	            "UPDATE meta SET value = 200 WHERE key = 'seq'");
	(void)store_newer(tier, "a:t:1", "v", 1);
	(void)store_newer(tier, "a:t:3", "v", 1);
	cr_assert_eq(scanned("a:t:", 1), 2);
}

Test(cache_sqlite, a_drop_removes_what_is_of_the_prefix_and_not_later_however_much_that_is)
{
	store_many("a:t:x:", 2500, 10);
	store_many("a:t:y:", 3, 10);
	(void)store_newer(tier, "a:t:x:late", "v", 11);
	cr_assert_eq(lf_tier_sqlite.drop(tier, text_of("a:t:x:"), 10, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(scanned("a:t:", 100), 4);
	expect_value(tier, "a:t:x:late", "v");
}

static uint64_t stamp_of(const char *name)
{
	struct lf_text text = text_of(name);
	uint64_t out = 77;

	cr_assert_eq(lf_tier_sqlite.stamps(tier, &text, 1, &out, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	return out;
}

Test(cache_sqlite, stamps_only_rise_and_say_where_they_were_higher)
{
	struct lf_text names[] = { text_of("a:t:%tag:o:1"), text_of("a:t:%tag:o:2") };
	uint64_t out[2];

	cr_assert_eq(stamp_of("a:t:%tag:o:1"), 0);
	cr_assert_eq(lf_tier_sqlite.raise(tier, names, 1, 5, out, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(out[0], 5);
	cr_assert_eq(lf_tier_sqlite.raise(tier, names, 2, 3, out, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(out[0] == 5 && out[1] == 3);
	cr_assert_eq(lf_tier_sqlite.raise(tier, names, 2, UINT64_MAX, out, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(out[0] == UINT64_MAX && out[1] == UINT64_MAX);
	cr_assert_eq(stamp_of("a:t:%tag:o:2"), UINT64_MAX);
}

/* --- what is owed ---------------------------------------------------------------------------------- */

enum { REDIS = 1u << LF_CACHE_REDIS, MONGO = 1u << LF_CACHE_MONGO };

/* The names that `to` is owed, in order, each with its version's clock: "k1 k2". */
static void expect_owed(enum lf_cache_tier to, const char *expected)
{
	char all[512] = "";
	struct lf_owed *owed;
	size_t count;

	cr_assert_eq(lf_sqlite_owed(tier, to, 100, &owed, &count, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	for (size_t i = 0; i < count; i++)
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%d%s%s:%llu%s", i ? " " : "", (int)owed[i].kind, "=",
		               owed[i].name, (unsigned long long)owed[i].version.clock, owed[i].critical ? "!" : "");
	lf_owed_free(owed, count);
	cr_assert_str_eq(all, expected);
}

static void pay_first(enum lf_cache_tier to, uint64_t clock)
{
	struct lf_owed *owed;
	size_t count;

	cr_assert_eq(lf_sqlite_owed(tier, to, 1, &owed, &count, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(count, 1);
	owed->version.clock = clock ? clock : owed->version.clock;
	cr_assert_eq(lf_sqlite_paid(tier, to, owed, 1, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	lf_owed_free(owed, count);
}

Test(cache_sqlite, what_a_tier_is_owed_leaves_only_when_that_very_version_was_told)
{
	(void)store_owing(tier, "a:t:k", "v", 5, LF_RECORD_CRITICAL, REDIS | MONGO);
	(void)store_owing(tier, "a:t:l", "v", 5, 0, REDIS);
	expect_owed(LF_CACHE_REDIS, "0=a:t:k:5! 0=a:t:l:5");
	expect_owed(LF_CACHE_MONGO, "0=a:t:k:5!");
	cr_assert_eq(lf_sqlite_owed_count(tier), 3);
	(void)store_owing(tier, "a:t:k", "w", 6, 0, REDIS);
	expect_owed(LF_CACHE_REDIS, "0=a:t:k:6! 0=a:t:l:5");
	pay_first(LF_CACHE_REDIS, 5);
	expect_owed(LF_CACHE_REDIS, "0=a:t:k:6! 0=a:t:l:5");
	pay_first(LF_CACHE_REDIS, 0);
	expect_owed(LF_CACHE_REDIS, "0=a:t:l:5");
	expect_owed(LF_CACHE_MONGO, "0=a:t:k:5!");
	cr_assert_eq(lf_sqlite_owed_count(tier), 2);
}

Test(cache_sqlite, a_store_that_lost_owes_nothing_but_one_that_is_there_already_does)
{
	(void)store_newer(tier, "a:t:k", "v", 5);
	cr_assert_eq(store_owing(tier, "a:t:k", "old", 4, 0, REDIS), LF_NOT_STORED);
	expect_owed(LF_CACHE_REDIS, "");
	cr_assert_eq(store_owing(tier, "a:t:k", "v", 5, 0, MONGO), LF_NOT_STORED);
	expect_owed(LF_CACHE_MONGO, "0=a:t:k:5");
}

Test(cache_sqlite, stamps_and_prefixes_are_owed_too_and_all_of_it_outlives_the_process)
{
	cr_assert_eq(lf_sqlite_owe(tier, LF_CHANGED_STAMP, text_of("a:t:%tag:o:1"), version_of(8), REDIS, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_sqlite_owe(tier, LF_CHANGED_PREFIX, text_of("a:t:p"), version_of(9), REDIS | MONGO, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_sqlite_owe(tier, LF_CHANGED_STAMP, text_of("a:t:%tag:o:1"), version_of(3), REDIS, in_time(), &why), LF_TIER_DONE);
	close_sqlite(tier);
	tier = open_sqlite();
	cr_assert_eq(lf_sqlite_owed_count(tier), 3);
	expect_owed(LF_CACHE_REDIS, "1=a:t:%tag:o:1:8 2=a:t:p:9");
	expect_owed(LF_CACHE_MONGO, "2=a:t:p:9");
}

/* In how many steps. */
static int owe_all(void)
{
	struct lf_owing at = { .all = false };
	int steps = 0;

	for (; !at.all; steps++)
		cr_assert_eq(lf_sqlite_owe_all(tier, LF_CACHE_REDIS, &at, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	return steps;
}

Test(cache_sqlite, a_tier_that_lost_all_is_owed_what_is_critical_every_stamp_and_the_prefixes_of_late)
{
	struct lf_text stamp = text_of("a:t:%tag:o:1");
	uint64_t out;

	(void)store_owing(tier, "a:t:k", "v", 5, LF_RECORD_CRITICAL, 0);
	(void)store_newer(tier, "a:t:l", "v", 5);
	(void)store_owing(tier, "A:t:k", "v", 5, LF_RECORD_CRITICAL, 0); /* of other scopes */
	(void)store_owing(tier, "b:t:k", "v", 5, LF_RECORD_CRITICAL, 0);
	cr_assert_eq(lf_tier_sqlite.raise(tier, &stamp, 1, 7, &out, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_tier_sqlite.drop(tier, text_of("a:t:p"), 4, in_time(), &why), LF_TIER_DONE);
	for (int i = 0; i < 2; i++) {
		(void)owe_all();
		expect_owed(LF_CACHE_REDIS, "0=a:t:k:5! 1=a:t:%tag:o:1:7 2=a:t:p:4");
		cr_assert_eq(lf_sqlite_owed_count(tier), 3);
	}
	expect_owed(LF_CACHE_MONGO, "");
}

Test(cache_sqlite, very_much_is_owed_in_steps_between_which_others_write)
{
	struct lf_owing at = { .all = false };

	run_in_file("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO records"
	            " SELECT 10 * i, CAST('a:t:' || i AS BLOB), zeroblob(16), 0, i % 2, 0, 0, x'' FROM n;"
	            "UPDATE meta SET value = 30000 WHERE key = 'seq'");
	cr_assert_eq(lf_sqlite_owe_all(tier, LF_CACHE_REDIS, &at, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(!at.all);
	cr_assert_eq(lf_sqlite_owed_count(tier), 500);
	cr_assert_eq(owe_all(), 6); /* three of records, and the end of each part */
	cr_assert_eq(lf_sqlite_owed_count(tier), 1500);
	expect_in_file("SELECT count(*) || ' ' || min(name >= CAST('a:t:1' AS BLOB)) FROM owed WHERE tier = 2 AND critical = 1", "1500 1");
}

Test(cache_sqlite, a_file_of_two_scopes_keeps_what_each_is_owed_apart)
{
	struct lf_tier *other;

	tier_options.scope = "b:t:";
	other = open_sqlite();
	(void)store_owing(other, "b:t:k", "v", 5, 0, REDIS);
	(void)store_owing(tier, "a:t:k", "v", 5, 0, REDIS);
	expect_owed(LF_CACHE_REDIS, "0=a:t:k:5");
	cr_assert(lf_sqlite_owed_count(tier) == 1 && lf_sqlite_owed_count(other) == 1);
	close_sqlite(tier);
	tier = other;
	expect_owed(LF_CACHE_REDIS, "0=b:t:k:5");
}

Test(cache_sqlite, marks_are_empty_at_first_and_each_tiers_own)
{
	char mark[LF_TIER_MARK_MAX];

	cr_assert_eq(lf_sqlite_mark_get(tier, LF_CACHE_REDIS, mark, in_time(), &why), LF_TIER_DONE);
	cr_assert_str_eq(mark, "");
	cr_assert_eq(lf_sqlite_mark_set(tier, LF_CACHE_REDIS, "run 1", in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_sqlite_mark_get(tier, LF_CACHE_MONGO, mark, in_time(), &why), LF_TIER_DONE);
	cr_assert_str_eq(mark, "");
	cr_assert_eq(lf_sqlite_mark_get(tier, LF_CACHE_REDIS, mark, in_time(), &why), LF_TIER_DONE);
	cr_assert_str_eq(mark, "run 1");
}

/* --- the log --------------------------------------------------------------------------------------- */

static void log_one(struct lf_tier *to, int64_t at_ms, const char *name, bool elsewhere)
{
	struct lf_cache_log_line line = { .at_ms = at_ms, .what = "tag", .org = text_of("o"), .name = text_of(name),
	                                  .elsewhere = elsewhere };

	cr_assert_eq(lf_sqlite_log_add(to, &line, in_time(), &why), LF_TIER_DONE, "%s", why.text);
}

static int write_line(void *arg, const struct lf_cache_log_line *line)
{
	char *all = arg;

	(void)snprintf(all + strlen(all), 256 - strlen(all), "%lld %s %.*s %.*s%s|", (long long)line->at_ms, line->what,
	               (int)line->org.len, line->org.data, (int)line->name.len, line->name.data, line->elsewhere ? " there" : "");
	return strchr(all, '!') != NULL;
}

static void expect_log(struct lf_tier *of, size_t max, const char *expected)
{
	char all[256] = "";

	cr_assert_eq(lf_sqlite_log(of, max, write_line, all, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_str_eq(all, expected);
}

Test(cache_sqlite, the_log_is_told_newest_first_until_it_is_enough)
{
	log_one(tier, 1, "one", false);
	log_one(tier, 2, "two!", false);
	log_one(tier, 3, "three", false);
	expect_log(tier, 1, "3 tag o three|");
	expect_log(tier, 10, "3 tag o three|2 tag o two!|");
	expect_log(tier, 0, "");
}

Test(cache_sqlite, what_several_processes_heard_of_one_invalidation_is_one_line)
{
	struct lf_tier *other = open_sqlite();

	log_one(tier, 1000, "one", false);
	log_one(other, 1001, "one", true);
	log_one(tier, 2000, "far", true);
	log_one(other, 2001, "far", true);
	expect_log(tier, 10, "2000 tag o far there|1000 tag o one|");
	expect_log(other, 10, "2000 tag o far there|1000 tag o one there|");
	log_one(other, 90000, "far", true);
	log_one(tier, 90000, "one", false);
	log_one(tier, 90000, "one", false);
	expect_in_file("SELECT count(*) FROM log", "5");
	close_sqlite(other);
}

Test(cache_sqlite, the_log_keeps_ten_thousand_lines)
{
	run_in_file("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
	            " INSERT INTO log (at, what, scope, org, name, origin, elsewhere)"
	            " SELECT i, 'tag', CAST('a:t:' AS BLOB), x'', x'', 1, 0 FROM n");
	log_one(tier, 99999, "last", false);
	expect_in_file("SELECT count(*) || ' ' || min(at) || ' ' || max(at) FROM log", "10000 2 99999");
}

/* --- others' changes ------------------------------------------------------------------------------- */

static void write_change(void *arg, const struct lf_tier_change *change)
{
	char *all = arg;

	(void)snprintf(all + strlen(all), 512 - strlen(all), "%d=%.*s:%llu|", (int)change->kind, (int)change->name.len,
	               change->name.len ? change->name.data : "", (unsigned long long)change->version.clock);
}

/* What is heard until it is as expected, or nothing more within the deadline. */
static void expect_heard(struct lf_tier *by, const char *expected)
{
	char all[512] = "";
	int64_t end_ms = in_time();

	while (strlen(all) < strlen(expected) && lf_clock_ms() < end_ms)
		cr_assert_eq(lf_tier_sqlite.changes(by, -1, write_change, all, lf_clock_ms() + 10, &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_str_eq(all, expected);
	cr_assert_eq(lf_tier_sqlite.changes(by, -1, write_change, all, 0, &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_str_eq(all, expected, "told twice");
}

Test(cache_sqlite, who_watches_hears_what_others_changed_and_nothing_of_its_own)
{
	struct lf_tier *other = open_sqlite();
	struct lf_text stamp = text_of("a:t:%tag:o:1");
	uint64_t out;

	(void)store_newer(other, "a:t:before", "v", 1);
	cr_assert_eq(lf_tier_sqlite.watch(tier, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	(void)store_newer(tier, "a:t:own", "v", 2);
	(void)store_newer(other, "b:t:foreign", "v", 2);
	(void)store_newer(other, "a:t:k", "v", 3);
	expect_heard(tier, "0=a:t:k:3|");
	(void)store_newer(other, "a:t:k", "v", 4);
	cr_assert_eq(lf_tier_sqlite.raise(other, &stamp, 1, 7, &out, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_tier_sqlite.drop(other, text_of("a:t:p"), 9, in_time(), &why), LF_TIER_DONE);
	expect_heard(tier, "1=a:t:%tag:o:1:7|2=a:t:p:9|0=a:t:k:4|");
	(void)store_owing(other, "a:t:k", "v", 5, 0, 1u << LF_CACHE_REDIS);
	expect_heard(tier, "0=a:t:k:5|");
	cr_assert_eq(lf_sqlite_owed_count(tier), 1);
	close_sqlite(other);
}

/* While others' changes are looked at, what is owed becomes more. */
static void owe_meanwhile(void *arg, const struct lf_tier_change *change)
{
	(void)arg;
	if (change->kind == LF_CHANGED_KEY)
		(void)store_owing(tier, "a:t:own", "v", 9, LF_RECORD_CRITICAL, 1u << LF_CACHE_REDIS);
}

Test(cache_sqlite, what_becomes_owed_while_others_changes_are_looked_at_is_counted)
{
	struct lf_tier *other = open_sqlite();

	cr_assert_eq(lf_tier_sqlite.watch(tier, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	(void)store_newer(other, "a:t:k", "v", 1);
	cr_assert_eq(lf_tier_sqlite.changes(tier, -1, owe_meanwhile, NULL, 0, &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(lf_sqlite_owed_count(tier), 1);
	close_sqlite(other);
}

Test(cache_sqlite, who_missed_prefixes_that_are_not_kept_any_more_is_told_that_it_knows_nothing)
{
	struct lf_tier *other = open_sqlite();
	char all[512] = "";

	cr_assert_eq(lf_tier_sqlite.watch(tier, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	run_in_file("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1024)"
	            " INSERT INTO prefixes SELECT i, CAST('b:t:' AS BLOB), zeroblob(16), 2 FROM n;"
	            "UPDATE meta SET value = 1024 WHERE key = 'seq'");
	cr_assert_eq(lf_tier_sqlite.drop(other, text_of("a:t:p"), 9, in_time(), &why), LF_TIER_DONE);
	cr_assert_eq(lf_tier_sqlite.changes(tier, -1, write_change, all, 0, &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_str_eq(all, "3=:0|2=a:t:p:9|");
	close_sqlite(other);
}

Test(cache_sqlite, two_that_change_one_key_by_version_never_both_succeed)
{
	struct lf_tier *other = open_sqlite();
	struct lf_version at = { 0, 0 };

	for (uint64_t i = 1; i <= 50; i++) {
		struct lf_record *mine = record_of("mine", 2 * i, 0), *theirs = record_of("theirs", 2 * i + 1, 0);
		struct lf_tier_store a = if_version("a:t:k", mine, at), b = if_version("a:t:k", theirs, at);

		cr_assert_eq(lf_tier_sqlite.store(i % 2 ? tier : other, &a, 1, in_time(), &why), LF_TIER_DONE);
		cr_assert_eq(lf_tier_sqlite.store(i % 2 ? other : tier, &b, 1, in_time(), &why), LF_TIER_DONE);
		cr_assert(a.stored == LF_STORED && b.stored == LF_NOT_STORED, "round %d", (int)i);
		at = mine->version;
		lf_record_drop(mine);
		lf_record_drop(theirs);
	}
	expect_in_file("SELECT count(*) FROM records", "1");
	close_sqlite(other);
}
