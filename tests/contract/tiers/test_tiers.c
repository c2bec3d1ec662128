/* What every tier of the cache promises (sinks/cache/tier.h), one suite for all.
 *
 * The tier is chosen by the environment: LOGFOLD_TEST_TIER (memory, sqlite, redis, mongo), and LOGFOLD_TEST_URI (of
 * SQLite: the file).  Every test has a scope of its own, and two handles: the second stands for another process, but on
 * memory, which nobody shares.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/key.h"
#include "sinks/cache/memory.h"
#include "sinks/cache/modules.h"
#include "sinks/cache/sqlite.h"

enum { CALL_MS = 20000, BIG = 1 << 20, MANY = 1000, THREADS = 8, ROUNDS = 25 };

static const struct lf_tier_ops *ops;
static struct lf_tier *one, *other;
static uint64_t writer_of_one;
static char scope[64];
static struct lf_error err;

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Years from now: nothing expires by a server's own clock in the middle of a test. */
static int64_t clock_ms(void *arg)
{
	(void)arg;
	return INT64_C(4102444800000);
}

static int64_t end(void)
{
	return lf_clock_ms() + CALL_MS;
}

static const struct lf_tier_ops *find_ops(const char *name)
{
	const struct lf_tier_ops *found = NULL;

	if (strcmp(name, "memory") == 0)
		return &lf_tier_memory;
	if (strcmp(name, "sqlite") == 0)
		return &lf_tier_sqlite;
	cr_assert_eq(lf_tier_find(strcmp(name, "redis") == 0 ? LF_CACHE_REDIS : LF_CACHE_MONGO, &found, &err), 0, "%s", err.text);
	return found;
}

static struct lf_tier *open_one(uint64_t writer)
{
	const char *uri = setting("LOGFOLD_TEST_URI");
	char database[64];
	struct lf_cache_memory_options memory = { .max_bytes = 64 << 20 };
	struct lf_cache_sqlite_options sqlite = { .file = uri, .timeout_ms = CALL_MS, .watch_ms = 5, .compress_min = 1024 };
	struct lf_cache_server_options server = { .url = uri, .password = setting("LOGFOLD_TEST_PASSWORD"),
		                                  .database = database, .timeout_ms = CALL_MS,
		                                  .connect_timeout_ms = CALL_MS, .pool_min = 1, .pool_max = 4,
		                                  .compress_min = 1024 };
	struct lf_tier_options options = { .scope = scope, .self = { .writer = writer }, .value_max = 2 * BIG,
		                           .tombstone_ms = 60000, .clock_ms = clock_ms, .memory = &memory,
		                           .sqlite = &sqlite, .server = &server };
	char mark[LF_TIER_MARK_MAX];
	struct lf_tier *tier;

	/* Of this test alone: servers that look for most things by reading all of a collection have little to read. */
	(void)snprintf(database, sizeof(database), "logfold_contract_%.16s", scope + sizeof("contract:") - 1);
	cr_assert_eq(ops->open(&tier, &options, &err), 0, "%s", err.text);
	cr_assert_eq(ops->ping(tier, mark, end(), &err), LF_TIER_DONE, "%s", err.text);
	return tier;
}

static bool is_memory(void)
{
	return ops == &lf_tier_memory;
}

static void set_up(void)
{
	const char *name = setting("LOGFOLD_TEST_TIER");
	uint64_t number;

	cr_assert(getrandom(&number, sizeof(number), 0) == (ssize_t)sizeof(number));
	(void)snprintf(scope, sizeof(scope), "contract:%016llx:", (unsigned long long)number);
	ops = find_ops(name ? name : "memory");
	writer_of_one = number >> 2 | 1;
	one = open_one(writer_of_one);
	other = is_memory() ? one : open_one(writer_of_one + 2);
}

static void tear_down(void)
{
	if (other != one)
		ops->close(other);
	ops->close(one);
}

TestSuite(tiers, .init = set_up, .fini = tear_down);

/* ---- Small words ---- */

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

/* A key of this test's scope; good until 1024 others were made. */
static struct lf_text key(const char *id)
{
	static char keys[1024][128];
	static _Atomic unsigned next;
	char *at = keys[atomic_fetch_add(&next, 1) % 1024];

	(void)snprintf(at, sizeof(keys[0]), "%suser:acme:%s", scope, id);
	return text(at);
}

static struct lf_record *a_record(uint64_t clock, struct lf_text value)
{
	const struct lf_record from = { .type = LF_RECORD_STRING, .version = { clock, 7 }, .value = value };
	struct lf_record *record = lf_record_new(&from);

	cr_assert_not_null(record);
	return record;
}

static enum lf_tier_stored store_record(struct lf_tier *tier, struct lf_text at, const struct lf_record *record,
                                        enum lf_tier_if condition, struct lf_version expected)
{
	struct lf_tier_store store = { .key = at, .record = record, .condition = condition, .expected = expected };

	cr_assert_eq(ops->store(tier, &store, 1, end(), &err), LF_TIER_DONE, "%s", err.text);
	return store.stored;
}

static enum lf_tier_stored store(struct lf_tier *tier, const char *id, uint64_t clock, const char *value)
{
	struct lf_record *record = a_record(clock, text(value));
	enum lf_tier_stored stored = store_record(tier, key(id), record, LF_IF_NEWER, (struct lf_version){ 0 });

	lf_record_drop(record);
	return stored;
}

static enum lf_tier_stored store_if(struct lf_tier *tier, const char *id, uint64_t expected, uint64_t clock, const char *value)
{
	struct lf_record *record = a_record(clock, text(value));
	struct lf_version version = { expected, expected ? 7 : 0 };
	enum lf_tier_stored stored = store_record(tier, key(id), record, LF_IF_VERSION, version);

	lf_record_drop(record);
	return stored;
}

static struct lf_record *load(struct lf_tier *tier, struct lf_text at)
{
	struct lf_record *record = NULL;

	cr_assert_eq(ops->load(tier, &at, 1, &record, end(), &err), LF_TIER_DONE, "%s", err.text);
	return record;
}

static bool holds(struct lf_tier *tier, const char *id, const char *value)
{
	struct lf_record *record = load(tier, key(id));
	bool same = record ? value && record->value.len == strlen(value) &&
	                             memcmp(record->value.data, value, record->value.len) == 0 :
	                     !value;

	lf_record_drop(record);
	return same;
}

/* ---- Records ---- */

Test(tiers, what_was_never_stored_is_not_there)
{
	cr_expect(holds(one, "none", NULL));
}

Test(tiers, what_one_stores_the_other_loads)
{
	cr_expect_eq(store(one, "a", 1 << 16, "value"), LF_STORED);
	cr_expect(holds(other, "a", "value"));
}

Test(tiers, a_newer_record_takes_the_place_and_an_older_one_does_not)
{
	cr_expect_eq(store(one, "a", 20, "20"), LF_STORED);
	cr_expect_eq(store(other, "a", 10, "10"), LF_NOT_STORED);
	cr_expect(holds(one, "a", "20"));
	cr_expect_eq(store(other, "a", 30, "30"), LF_STORED);
	cr_expect(holds(one, "a", "30"));
}

Test(tiers, versions_compare_as_numbers_however_large)
{
	cr_expect_eq(store(one, "a", UINT64_C(0x7f), "7f"), LF_STORED);
	cr_expect_eq(store(one, "a", UINT64_C(0x80), "80"), LF_STORED);
	cr_expect_eq(store(one, "a", UINT64_C(0x0100), "100"), LF_STORED);
	cr_expect_eq(store(one, "a", UINT64_C(0x00ff), "ff"), LF_NOT_STORED);
	cr_expect_eq(store(one, "a", UINT64_C(0x7fff0a00270d0000), "high"), LF_STORED);
	cr_expect_eq(store(one, "a", UINT64_C(0x7ffe0a00270dffff), "lower"), LF_NOT_STORED);
	cr_expect(holds(other, "a", "high"));
}

Test(tiers, the_writer_decides_between_equal_clocks)
{
	const struct lf_record from = { .type = LF_RECORD_STRING, .version = { 5, 6 }, .value = text("six") };
	struct lf_record *lower = lf_record_new(&from);

	cr_expect_eq(store(one, "a", 5, "seven"), LF_STORED);
	cr_expect_eq(store_record(one, key("a"), lower, LF_IF_NEWER, (struct lf_version){ 0 }), LF_NOT_STORED);
	cr_expect(holds(one, "a", "seven"));
	lf_record_drop(lower);
}

Test(tiers, a_store_if_version_holds_only_on_that_very_version)
{
	cr_expect_eq(store_if(one, "a", 5, 6, "on nothing"), LF_NOT_STORED);
	cr_expect_eq(store_if(one, "a", 0, 5, "first"), LF_STORED);
	cr_expect_eq(store_if(other, "a", 0, 6, "first again"), LF_NOT_STORED);
	cr_expect_eq(store_if(other, "a", 4, 6, "on another"), LF_NOT_STORED);
	cr_expect(holds(one, "a", "first"));
	cr_expect_eq(store_if(other, "a", 5, 6, "second"), LF_STORED);
	cr_expect_eq(store_if(one, "a", 5, 7, "late"), LF_NOT_STORED);
	cr_expect(holds(one, "a", "second"));
}

Test(tiers, every_field_of_a_record_comes_back)
{
	static const char bytes[] = "a\0\xff\r\n{}";
	const struct lf_record_tag tags[] = { { text("user:1"), 3 }, { { "\0\xfe", 2 }, UINT64_C(1) << 60 } };
	const struct lf_record from = { .type = LF_RECORD_STRING, .flags = LF_RECORD_CRITICAL, .tags = tags, .tags_count = 2,
		                        .load_ms = 12, .version = { 9, 8 }, .expires_ms = INT64_C(4102444900000),
		                        .fresh_until_ms = INT64_C(4102444890000), .revision = UINT64_MAX - 1,
		                        .type_stamp = 4, .org_stamp = 5, .value = { bytes, sizeof(bytes) } };
	struct lf_record *record = lf_record_new(&from), *back;

	cr_expect_eq(store_record(one, key("a"), record, LF_IF_NEWER, (struct lf_version){ 0 }), LF_STORED);
	back = load(other, key("a"));
	cr_assert_not_null(back);
	cr_expect_eq(back->type, LF_RECORD_STRING);
	cr_expect_eq(back->flags, LF_RECORD_CRITICAL);
	cr_expect_eq(back->load_ms, 12);
	cr_expect_eq(lf_version_compare(back->version, record->version), 0);
	cr_expect_eq(back->expires_ms, record->expires_ms);
	cr_expect_eq(back->fresh_until_ms, record->fresh_until_ms);
	cr_expect_eq(back->revision, record->revision);
	cr_expect_eq(back->type_stamp, 4);
	cr_expect_eq(back->org_stamp, 5);
	cr_assert_eq(back->tags_count, 2);
	cr_expect_eq(back->tags[1].stamp, UINT64_C(1) << 60);
	cr_expect(back->tags[1].name.len == 2 && memcmp(back->tags[1].name.data, "\0\xfe", 2) == 0);
	cr_assert_eq(back->value.len, sizeof(bytes));
	cr_expect_eq(memcmp(back->value.data, bytes, sizeof(bytes)), 0);
	lf_record_drop(back);
	lf_record_drop(record);
}

Test(tiers, an_empty_value_and_one_of_a_mebibyte_come_back_as_they_were)
{
	char *big = malloc(BIG);
	struct lf_record *record, *back;

	cr_assert_not_null(big);
	for (int i = 0; i < BIG; i++)
		big[i] = (char)((unsigned)i * 2654435761u >> 13);
	record = a_record(1, (struct lf_text){ big, BIG });
	cr_expect_eq(store_record(one, key("big"), record, LF_IF_NEWER, (struct lf_version){ 0 }), LF_STORED);
	back = load(other, key("big"));
	cr_assert_not_null(back);
	cr_expect(back->value.len == BIG && memcmp(back->value.data, big, BIG) == 0);
	cr_expect_eq(store(one, "empty", 1, ""), LF_STORED);
	cr_expect(holds(other, "empty", ""));
	lf_record_drop(back);
	lf_record_drop(record);
	free(big);
}

Test(tiers, a_tombstone_keeps_out_what_is_older)
{
	const struct lf_record from = { .type = LF_RECORD_GONE, .version = { 20, 7 }, .expires_ms = INT64_C(4102444900000) };
	struct lf_record *gone = lf_record_new(&from), *back;

	cr_expect_eq(store(one, "a", 10, "value"), LF_STORED);
	cr_expect_eq(store_record(one, key("a"), gone, LF_IF_NEWER, (struct lf_version){ 0 }), LF_STORED);
	back = load(other, key("a"));
	cr_expect(back == NULL || back->type == LF_RECORD_GONE);
	lf_record_drop(back);
	/* Memory removes instead: its tickets keep late fills out. */
	if (!is_memory())
		cr_expect_eq(store(other, "a", 15, "late"), LF_NOT_STORED);
	cr_expect_eq(store(other, "a", 21, "new"), LF_STORED);
	cr_expect(holds(one, "a", "new"));
	lf_record_drop(gone);
}

/* ---- Many at once ---- */

static void store_many(size_t count)
{
	struct lf_tier_store *stores = calloc(count, sizeof(*stores));
	struct lf_record *record = a_record(1, text("many"));
	static char keys[MANY][128];

	cr_assert(stores && count <= MANY);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "%suser:acme:%zu", scope, i);
		stores[i] = (struct lf_tier_store){ .key = text(keys[i]), .record = record };
	}
	cr_assert_eq(ops->store(one, stores, count, end(), &err), LF_TIER_DONE, "%s", err.text);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(stores[i].stored, LF_STORED);
	lf_record_drop(record);
	free(stores);
}

Test(tiers, of_many_stores_each_is_judged_by_itself)
{
	struct lf_record *old = a_record(1, text("old")), *new = a_record(9, text("new"));
	struct lf_tier_store stores[] = { { .key = key("x"), .record = new }, { .key = key("y"), .record = old },
		                          { .key = key("z"), .record = new } };

	cr_expect_eq(store(one, "y", 5, "there"), LF_STORED);
	cr_expect_eq(store(one, "z", 5, "there"), LF_STORED);
	cr_assert_eq(ops->store(one, stores, 3, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect_eq(stores[0].stored, LF_STORED);
	cr_expect_eq(stores[1].stored, LF_NOT_STORED);
	cr_expect_eq(stores[2].stored, LF_STORED);
	cr_expect(holds(other, "x", "new") && holds(other, "y", "there") && holds(other, "z", "new"));
	lf_record_drop(old);
	lf_record_drop(new);
}

Test(tiers, many_are_loaded_at_once_with_holes_and_one_asked_for_twice)
{
	const struct lf_text keys[] = { key("0"), key("none"), key("7"), key("0") };
	struct lf_record *records[4];

	store_many(8);
	cr_assert_eq(ops->load(other, keys, 4, records, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(records[0] && !records[1] && records[2] && records[3]);
	for (int i = 0; i < 4; i++)
		lf_record_drop(records[i]);
}

Test(tiers, a_thousand_are_loaded_at_once)
{
	static char names[MANY][128];
	static struct lf_text keys[MANY];
	static struct lf_record *records[MANY];

	store_many(MANY);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%suser:acme:%d", scope, i);
		keys[i] = text(names[i]);
	}
	cr_assert_eq(ops->load(other, keys, MANY, records, end(), &err), LF_TIER_DONE, "%s", err.text);
	for (int i = 0; i < MANY; i++) {
		cr_expect_not_null(records[i]);
		lf_record_drop(records[i]);
	}
}

/* How many keys a scan finds below the prefix, each counted once, in pages of `page`. */
static size_t scanned(const char *prefix, size_t page)
{
	char cursor[LF_TIER_CURSOR_MAX] = "", below[128], **keys;
	bool seen[MANY] = { false };
	size_t count, total = 0;

	(void)snprintf(below, sizeof(below), "%s%s", scope, prefix);
	do {
		cr_assert_eq(ops->scan(other, text(below), cursor, page, &keys, &count, end(), &err), LF_TIER_DONE, "%s", err.text);
		for (size_t i = 0; i < count; i++) {
			long number = strtol(strrchr(keys[i], ':') + 1, NULL, 10);

			cr_expect_eq(strncmp(keys[i], below, strlen(below)), 0, "%s", keys[i]);
			cr_assert(number >= 0 && number < MANY);
			total += !seen[number];
			seen[number] = true;
			free(keys[i]);
		}
		free(keys);
	} while (cursor[0]);
	return total;
}

Test(tiers, a_scan_finds_every_key_with_the_prefix_and_no_other)
{
	store_many(300);
	cr_expect_eq(scanned("user:acme:", 7), 300);
	cr_expect_eq(scanned("user:acme:1", 1000), 111);
	cr_expect_eq(scanned("user:acm:", 10), 0);
}

Test(tiers, a_drop_takes_what_has_the_prefix_and_is_old_enough)
{
	char prefix[128];

	(void)snprintf(prefix, sizeof(prefix), "%suser:acme:b", scope);
	cr_expect_eq(store(one, "b1", 10, "old"), LF_STORED);
	cr_expect_eq(store(one, "b2", 11, "new"), LF_STORED);
	cr_expect_eq(store(one, "c", 10, "elsewhere"), LF_STORED);
	cr_assert_eq(ops->drop(other, text(prefix), 10, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(holds(one, "b1", NULL));
	cr_expect(holds(one, "b2", "new"));
	cr_expect(holds(one, "c", "elsewhere"));
}

Test(tiers, a_drop_of_the_whole_scope_leaves_what_is_critical)
{
	const struct lf_record from = { .type = LF_RECORD_STRING, .flags = LF_RECORD_CRITICAL, .version = { 10, 7 },
		                        .value = text("kept") };
	struct lf_record *record = lf_record_new(&from);
	char prefix[128];

	cr_expect_eq(store_record(one, key("critical"), record, LF_IF_NEWER, (struct lf_version){ 0 }), LF_STORED);
	lf_record_drop(record);
	cr_expect_eq(store(one, "old", 10, "old"), LF_STORED);
	cr_expect_eq(store(one, "new", 11, "new"), LF_STORED);
	cr_assert_eq(ops->drop(other, text(scope), 10, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(holds(one, "old", NULL));
	cr_expect(holds(one, "new", "new"));
	if (strcmp(ops->name, "memory") != 0)
		cr_expect(holds(one, "critical", "kept"));
	(void)snprintf(prefix, sizeof(prefix), "%suser:acme:", scope);
	cr_assert_eq(ops->drop(other, text(prefix), 10, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(holds(one, "critical", NULL));
}

/* ---- Stamps ---- */

Test(tiers, stamps_rise_and_never_fall)
{
	const struct lf_text names[] = { key("%tag-a"), key("%tag-b") };
	uint64_t stamps[2];

	if (is_memory()) /* the stack keeps its own: nobody else would read these */
		return;
	cr_assert_eq(ops->stamps(one, names, 2, stamps, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(stamps[0] == 0 && stamps[1] == 0);
	cr_assert_eq(ops->raise(one, names, 1, UINT64_C(1) << 57, stamps, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect_eq(stamps[0], UINT64_C(1) << 57);
	cr_assert_eq(ops->raise(other, names, 2, 99, stamps, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect_eq(stamps[0], UINT64_C(1) << 57);
	cr_expect_eq(stamps[1], 99);
	cr_assert_eq(ops->raise(other, names + 1, 1, 100, stamps, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_assert_eq(ops->stamps(one, names, 2, stamps, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(stamps[0] == UINT64_C(1) << 57 && stamps[1] == 100);
}

/* ---- The lock ---- */

Test(tiers, a_lock_is_one_s_at_a_time_and_without_it_nothing_is_stored)
{
	struct lf_record *record = a_record(5, text("mine")), *newer = a_record(6, text("late"));
	struct lf_tier_store mine = { .key = key("a"), .record = record, .condition = LF_IF_LOCKED };
	struct lf_tier_store late = { .key = key("a"), .record = newer, .condition = LF_IF_LOCKED };
	uint64_t token, another;

	if (ops->lock) {
		cr_assert_eq(ops->lock(one, mine.key, 60000, &token, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect_neq(token, 0);
		cr_assert_eq(ops->lock(other, mine.key, 60000, &another, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect_eq(another, 0);
		mine.token = token;
		cr_assert_eq(ops->store(one, &mine, 1, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect_eq(mine.stored, LF_STORED);
		cr_assert_eq(ops->unlock(one, mine.key, token, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_assert_eq(ops->lock(other, mine.key, 60000, &another, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect(another > token);
		late.token = token;
		cr_assert_eq(ops->store(one, &late, 1, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect_eq(late.stored, LF_NOT_STORED);
		/* Nor does the late one open the other's lock. */
		cr_assert_eq(ops->unlock(one, mine.key, token, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_assert_eq(ops->lock(one, mine.key, 60000, &token, end(), &err), LF_TIER_DONE, "%s", err.text);
		cr_expect_eq(token, 0);
		cr_expect(holds(one, "a", "mine"));
	}
	lf_record_drop(record);
	lf_record_drop(newer);
}

/* ---- Threads ---- */

/* Adds one to a number, as a command of the cache does. */
static void add_one(struct lf_tier *tier, uint64_t thread)
{
	struct lf_text at = key("sum");
	bool stored = false;

	while (!stored) {
		struct lf_record *before = load(tier, at), *after;
		uint64_t sum = before ? strtoull(before->value.data, NULL, 10) + 1 : 1;
		struct lf_version expected = before ? before->version : (struct lf_version){ 0 };
		char digits[32];

		(void)snprintf(digits, sizeof(digits), "%llu ", (unsigned long long)sum);
		after = lf_record_new(&(struct lf_record){ .type = LF_RECORD_STRING, .version = { sum, thread }, .value = text(digits) });
		stored = store_record(tier, at, after, LF_IF_VERSION, expected) == LF_STORED;
		lf_record_drop(before);
		lf_record_drop(after);
	}
}

/* The stand-in for MongoDB lets writers that meet wait for seconds. */
static int rounds(void)
{
	const char *tier = setting("LOGFOLD_TEST_TIER");

	return tier && strcmp(tier, "mongo") == 0 ? 3 : ROUNDS;
}

static void *add_many(void *arg)
{
	uint64_t thread = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < rounds(); i++)
		add_one(thread % 2 ? one : other, thread);
	return NULL;
}

Test(tiers, no_change_is_lost_where_many_threads_change_one_key)
{
	pthread_t threads[THREADS];
	char sum[32];

	for (uintptr_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, add_many, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	(void)snprintf(sum, sizeof(sum), "%d ", THREADS * rounds());
	cr_expect(holds(one, "sum", sum));
}

/* ---- Being told ---- */

static bool heard_key, heard_stamp, heard_own;

static void hear(void *arg, const struct lf_tier_change *change)
{
	struct lf_text theirs = key("theirs"), own = key("own"), stamp = key("%tag");

	(void)arg;
	if (change->kind == LF_CHANGED_KEY && change->name.len == theirs.len && memcmp(change->name.data, theirs.data, theirs.len) == 0)
		heard_key = change->version.clock == 77;
	if (change->kind == LF_CHANGED_KEY && change->name.len == own.len && memcmp(change->name.data, own.data, own.len) == 0)
		heard_own = true;
	if (change->kind == LF_CHANGED_STAMP && change->name.len == stamp.len && memcmp(change->name.data, stamp.data, stamp.len) == 0)
		heard_stamp = change->version.clock == 78;
}

static void store_as(struct lf_tier *tier, const char *id, struct lf_version version)
{
	struct lf_record *record = lf_record_new(&(struct lf_record){ .type = LF_RECORD_STRING, .version = version, .value = text(id) });

	cr_expect_eq(store_record(tier, key(id), record, LF_IF_NEWER, version), LF_STORED);
	lf_record_drop(record);
}

Test(tiers, who_watches_hears_of_what_others_change_and_not_of_its_own)
{
	const struct lf_text stamp = key("%tag");
	int64_t until = end();
	uint64_t raised;
	int wake[2];

	if (!ops->watch)
		return;
	cr_assert_eq(pipe2(wake, O_CLOEXEC), 0);
	cr_assert_eq(ops->watch(one, end(), &err), LF_TIER_DONE, "%s", err.text);
	store_as(one, "own", (struct lf_version){ 76, writer_of_one });
	store_as(other, "theirs", (struct lf_version){ 77, writer_of_one + 2 });
	cr_assert_eq(ops->raise(other, &stamp, 1, 78, &raised, end(), &err), LF_TIER_DONE, "%s", err.text);
	while (!(heard_key && heard_stamp) && lf_clock_ms() < until)
		cr_assert_eq(ops->changes(one, wake[0], hear, NULL, lf_clock_ms() + 50, &err), LF_TIER_DONE, "%s", err.text);
	cr_expect(heard_key);
	cr_expect(heard_stamp);
	cr_expect_not(heard_own);
	(void)close(wake[0]);
	(void)close(wake[1]);
}

Test(tiers, the_mark_stays_as_long_as_the_server_does)
{
	char first[LF_TIER_MARK_MAX], second[LF_TIER_MARK_MAX];

	cr_assert_eq(ops->ping(one, first, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_assert_eq(ops->ping(other, second, end(), &err), LF_TIER_DONE, "%s", err.text);
	cr_expect_str_eq(first, second);
}
