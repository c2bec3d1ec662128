#include <criterion/criterion.h>

#include "tests/unit/memory_fixture.h"

static const enum lf_cache_policy policies[] = { LF_CACHE_LRU, LF_CACHE_LFU, LF_CACHE_FIFO, LF_CACHE_S3FIFO, LF_CACHE_NONE };

Test(cache_memory, what_was_stored_is_found_until_it_is_removed)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 1 << 20, 0);
	cr_assert_eq(memory_set(&memory, "a", 10), LF_TIER_DONE);
	cr_assert(memory_has(&memory, "a"));
	cr_assert_not(memory_has(&memory, "b"));
	cr_assert_eq(memory_store(&memory, "a", a_tombstone(&memory), NULL), LF_TIER_DONE);
	cr_assert_not(memory_has(&memory, "a"));
	assert_exact(&memory);
	memory_close(&memory);
}

/* --- accounting ------------------------------------------------------------------------------------ */

enum { KEYS = 3000, STEPS = 40000 };

static void random_step(struct memory *memory, unsigned *seed)
{
	unsigned what = (unsigned)rand_r(seed) % 100;
	char key[16];

	(void)snprintf(key, sizeof(key), "key%u", (unsigned)rand_r(seed) % KEYS);
	if (what < 50)
		(void)memory_store(memory, key, a_record(memory, (size_t)(rand_r(seed) % 400), rand_r(seed) % 3 ? 0 : rand_r(seed) % 500), NULL);
	else if (what < 85)
		(void)memory_has(memory, key);
	else if (what < 92)
		(void)memory_store(memory, key, a_tombstone(memory), NULL);
	else if (what < 98)
		lf_memory_remove(memory->tier, text_of(key), (struct lf_version){ 0, 0 });
	else
		memory->now_ms += rand_r(seed) % 50;
}

static void random_steps(struct memory *memory, unsigned seed)
{
	for (unsigned i = 0; i < STEPS; i++) {
		bool more;

		random_step(memory, &seed);
		if (i % 500 == 0)
			(void)lf_tier_memory.tend(memory->tier, &more, 0, NULL);
		if (i == STEPS / 2)
			lf_memory_forget(memory->tier);
		if (i % 1000 == 0)
			assert_exact(memory);
	}
}

Test(cache_memory, what_is_accounted_is_what_is_there_whatever_is_done)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		for (unsigned shards = 1; shards <= 8; shards *= 8) {
			struct memory memory;

			memory_open_with(&memory, policies[i], 1000, 0, shards);
			random_steps(&memory, 7 + (unsigned)i);
			memory_close(&memory);
			memory_open_with(&memory, policies[i], 0, 200000, shards);
			random_steps(&memory, 77 + (unsigned)i);
			memory_close(&memory);
		}
	}
}

/* --- expiry, forgetting ----------------------------------------------------------------------------- */

static void set_many(struct memory *memory, const char *prefix, unsigned count, int64_t ttl_ms)
{
	char key[32];

	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), "%s%u", prefix, i);
		cr_assert_eq(memory_store(memory, key, a_record(memory, 1, ttl_ms), NULL), LF_TIER_DONE);
	}
}

static unsigned tend_all(struct memory *memory)
{
	unsigned steps = 0;

	for (bool more = true; more && steps < 10000; steps++) {
		uint64_t before = memory->tier->entries;

		cr_assert_eq(lf_tier_memory.tend(memory->tier, &more, 0, NULL), LF_TIER_DONE);
		cr_assert_leq(before - memory->tier->entries, LF_MEMORY_STEP);
	}
	return steps;
}

Test(cache_memory, a_value_expires_at_its_millisecond_and_is_told_of_once)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	(void)memory_store(&memory, "k", a_record(&memory, 1, 86400000), NULL);
	memory.now_ms += 86400000 - 1;
	cr_assert(memory_has(&memory, "k"));
	memory.now_ms += 1;
	cr_assert_not(memory_has(&memory, "k"));
	cr_assert_not(memory_has(&memory, "k"));
	cr_assert_eq(memory.left[LF_CACHE_EXPIRE], 1);
	cr_assert_str_eq(memory.last_left, "k");
	memory_close(&memory);
}

Test(cache_memory, the_expired_are_cleared_away_in_bounded_steps_and_the_others_stay)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 4);
	for (unsigned i = 0; i < 100; i++)
		set_many(&memory, (char[]){ (char)('a' + i % 26), (char)('a' + i / 26), '\0' }, 30, 10 * (i + 1));
	set_many(&memory, "later", 500, 86400000);
	set_many(&memory, "never", 500, 0);
	for (unsigned i = 0; i < 100; i++) {
		memory.now_ms += 10;
		(void)tend_all(&memory);
		cr_assert_eq(memory.tier->entries, 1000 + 30 * (99 - i), "at %u", i);
	}
	cr_assert_eq(memory.left[LF_CACHE_EXPIRE], 3000);
	memory.now_ms += 86400000;
	cr_assert_geq(tend_all(&memory), 2);
	cr_assert_eq(memory.tier->entries, 500);
	memory_close(&memory);
}

Test(cache_memory, nothing_expires_early_or_stays_for_good_when_the_clock_is_set_back)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	set_many(&memory, "a", 300, 1000);
	memory.now_ms += 999;
	(void)tend_all(&memory);
	memory.now_ms -= 500000;
	cr_assert_lt(tend_all(&memory), 100);
	set_many(&memory, "b", 300, 1000);
	cr_assert_eq(memory.tier->entries, 600);
	memory.now_ms += 1000;
	(void)tend_all(&memory);
	cr_assert_eq(memory.tier->entries, 300);
	memory.now_ms += 500000;
	(void)tend_all(&memory);
	cr_assert_eq(memory.tier->entries, 0);
	memory_close(&memory);
}

Test(cache_memory, what_was_forgotten_is_not_handed_out_and_its_room_comes_back)
{
	struct memory memory;
	uint64_t buckets;

	memory_open_with(&memory, LF_CACHE_S3FIFO, 0, 0, 1);
	set_many(&memory, "a", 20000, 0);
	buckets = memory.tier->shard[0].table.buckets;
	cr_assert_geq(buckets, 20000);
	lf_memory_forget(memory.tier);
	cr_assert_not(memory_has(&memory, "a1"));
	set_many(&memory, "b", 10, 0);
	cr_assert_gt(tend_all(&memory), 20);
	cr_assert_eq(memory.tier->entries, 10);
	cr_assert_lt(memory.tier->shard[0].table.buckets, 1000);
	cr_assert(memory_has(&memory, "b1"));
	cr_assert_eq(memory.left[LF_CACHE_EVICT] + memory.left[LF_CACHE_EXPIRE], 0);
	memory_close(&memory);
}

Test(cache_memory, forgetting_again_while_the_room_comes_back_forgets_all)
{
	struct memory memory;
	bool more;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	set_many(&memory, "a", 3000, 0);
	lf_memory_forget(memory.tier);
	(void)lf_tier_memory.tend(memory.tier, &more, 0, NULL);
	cr_assert(more);
	set_many(&memory, "b", 3000, 0);
	lf_memory_forget(memory.tier);
	(void)tend_all(&memory);
	cr_assert_eq(memory.tier->entries, 0);
	memory_close(&memory);
}

/* --- walks ----------------------------------------------------------------------------------------- */

enum { STAYING = 2000 };

struct seen {
	unsigned times[STAYING], others, pages;
};

static void see_page(struct memory *memory, const char *prefix, char *cursor, size_t max, struct seen *seen)
{
	char **keys;
	size_t count;

	cr_assert_eq(lf_tier_memory.scan(memory->tier, text_of(prefix), cursor, max, &keys, &count, INT64_MAX, NULL), LF_TIER_DONE);
	cr_assert_leq(count, max);
	seen->pages++;
	for (size_t i = 0; i < count; i++) {
		unsigned number = STAYING;

		if (sscanf(keys[i], "stay%u", &number) == 1 && number < STAYING)
			seen->times[number]++;
		else
			seen->others++;
		free(keys[i]);
	}
	free(keys);
}

static void assert_each_seen_once(const struct seen *seen)
{
	for (unsigned i = 0; i < STAYING; i++)
		cr_assert_eq(seen->times[i], 1, "stay%u came %u times", i, seen->times[i]);
}

Test(cache_memory, a_scan_finds_what_stays_while_the_table_grows_and_shrinks)
{
	for (unsigned shards = 1; shards <= 4; shards *= 4) {
		struct seen seen = { .pages = 0 };
		char cursor[LF_TIER_CURSOR_MAX] = "";
		struct memory memory;

		memory_open_with(&memory, LF_CACHE_LRU, 0, 0, shards);
		set_many(&memory, "stay", STAYING, 0);
		do {
			see_page(&memory, "stay", cursor, 7, &seen);
			if (seen.pages % 40 == 1)
				set_many(&memory, "passing", 8000, 5);
			if (seen.pages % 40 == 21) {
				memory.now_ms += 5;
				(void)tend_all(&memory);
			}
		} while (cursor[0]);
		assert_each_seen_once(&seen);
		cr_assert_gt(seen.pages, STAYING / 7);
		memory_close(&memory);
	}
}

Test(cache_memory, a_page_has_no_more_than_was_asked_for_even_one)
{
	struct seen seen = { .pages = 0 };
	char cursor[LF_TIER_CURSOR_MAX] = "";
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	set_many(&memory, "stay", STAYING, 0);
	do
		see_page(&memory, "", cursor, 1, &seen);
	while (cursor[0]);
	assert_each_seen_once(&seen);
	memory_close(&memory);
}

Test(cache_memory, a_scan_shows_neither_the_expired_nor_the_forgotten_nor_other_prefixes)
{
	struct seen seen = { .pages = 0 };
	char cursor[LF_TIER_CURSOR_MAX] = "";
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	set_many(&memory, "forgotten", 10, 0);
	lf_memory_forget(memory.tier);
	set_many(&memory, "stay", STAYING, 0);
	set_many(&memory, "other", 10, 0);
	set_many(&memory, "stab", 10, 1);
	memory.now_ms++;
	do
		see_page(&memory, "sta", cursor, 1000, &seen);
	while (cursor[0]);
	assert_each_seen_once(&seen);
	cr_assert_eq(seen.others, 0);
	memory_close(&memory);
}

Test(cache_memory, a_cursor_of_somebody_else_is_refused)
{
	char cursor[LF_TIER_CURSOR_MAX] = "7:0";
	struct memory memory;
	struct lf_error err;
	char **keys;
	size_t count;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	cr_assert_eq(lf_tier_memory.scan(memory.tier, text_of(""), cursor, 1, &keys, &count, INT64_MAX, &err), LF_TIER_REJECTED);
	strcpy(cursor, "what");
	cr_assert_eq(lf_tier_memory.scan(memory.tier, text_of(""), cursor, 1, &keys, &count, INT64_MAX, &err), LF_TIER_REJECTED);
	memory_close(&memory);
}

Test(cache_memory, a_prefix_is_dropped_up_to_a_version)
{
	struct memory memory;
	uint64_t upto;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 4);
	set_many(&memory, "a:", 1000, 0);
	upto = memory.clock;
	set_many(&memory, "b:", 1000, 0);
	(void)memory_set(&memory, "a:7", 1);
	cr_assert_eq(lf_tier_memory.drop(memory.tier, text_of("a:"), upto, INT64_MAX, NULL), LF_TIER_DONE);
	cr_assert_eq(memory.tier->entries, 1001);
	cr_assert(memory_has(&memory, "a:7"));
	cr_assert(memory_has(&memory, "b:999"));
	cr_assert_not(memory_has(&memory, "a:8"));
	memory_close(&memory);
}

/* --- the rest -------------------------------------------------------------------------------------- */

static void look_back(void *arg, struct lf_text key, const struct lf_record *record, enum lf_cache_event why)
{
	struct memory *memory = arg;

	(void)record;
	memory->left[why]++;
	lf_record_drop(lf_memory_get(memory->tier, key)); /* would wait for ever, were the lock held */
	(void)memory_walk(memory, &(struct walked){ 0, 0 });
}

Test(cache_memory, who_left_is_told_with_no_lock_held)
{
	struct memory memory;
	bool more;

	memory_open_with(&memory, LF_CACHE_LRU, 2, 0, 1);
	memory.tier->left = look_back;
	set_many(&memory, "a", 3, 10);
	memory.now_ms += 10;
	cr_assert_not(memory_has(&memory, "a1"));
	(void)lf_tier_memory.tend(memory.tier, &more, 0, NULL);
	cr_assert_eq(memory.left[LF_CACHE_EVICT], 1);
	cr_assert_eq(memory.left[LF_CACHE_EXPIRE], 2);
	memory_close(&memory);
}

Test(cache_memory, a_record_that_was_read_outlives_its_key_and_its_tier)
{
	struct memory memory;
	struct lf_record *record;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	(void)memory_set(&memory, "k", 5);
	record = lf_memory_get(memory.tier, text_of("k"));
	(void)memory_store(&memory, "k", a_tombstone(&memory), NULL);
	memory_close(&memory);
	cr_assert_eq(record->value.len, 5);
	cr_assert_eq(record->users, 1);
	lf_record_drop(record);
}

Test(cache_memory, wrong_options_are_named)
{
	const struct lf_cache_memory_options shards = { .shards = 3 }, policy = { .policy = (enum lf_cache_policy)9 };
	struct memory memory;
	struct lf_error err;

	cr_assert_eq(memory_open(&memory, &shards, &err), -EINVAL);
	cr_assert(strstr(err.text, "3 shards"));
	cr_assert_eq(memory_open(&memory, &policy, &err), -EINVAL);
	cr_assert(strstr(err.text, "9 is no policy"));
}

Test(cache_memory, small_tiers_have_one_shard_and_so_one_order)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 1000, 0, 0);
	cr_assert_eq(memory.tier->shards, 1);
	memory_close(&memory);
	memory_open_with(&memory, LF_CACHE_LRU, 0, 256 << 20, 0);
	cr_assert_eq(memory.tier->shards, 64);
	memory_close(&memory);
}

Test(cache_memory, it_says_what_it_holds_and_where_its_limit_is)
{
	struct memory memory;
	struct lf_tier_info info;
	char mark[LF_TIER_MARK_MAX];

	memory_open_with(&memory, LF_CACHE_LRU, 0, 1 << 20, 0);
	(void)memory_set(&memory, "k", 5);
	cr_assert_eq(lf_tier_memory.ping(memory.tier, mark, 0, NULL), LF_TIER_DONE);
	cr_assert_eq(lf_tier_memory.info(memory.tier, &info, 0, NULL), LF_TIER_DONE);
	cr_assert_eq(info.items, 1);
	cr_assert_eq(info.bytes, bytes_of_one("k", 5));
	cr_assert_eq(info.limit_bytes, 1 << 20);
	memory_close(&memory);
}
