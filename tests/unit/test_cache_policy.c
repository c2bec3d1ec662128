/* Who goes when room is needed. */
#include <criterion/criterion.h>

#include "tests/unit/memory_fixture.h"

static void set(struct memory *memory, const char *keys)
{
	for (; *keys; keys++)
		cr_assert_eq(memory_set(memory, (char[]){ *keys, '\0' }, 1), LF_TIER_DONE);
}

static void use(struct memory *memory, const char *keys)
{
	for (; *keys; keys++)
		cr_assert(memory_has(memory, (char[]){ *keys, '\0' }), "%c", *keys);
}

/* Each new key makes one of the old ones leave, in this order. */
static void assert_leave(struct memory *memory, const char *keys, unsigned from)
{
	for (unsigned i = from; *keys; keys++, i++) {
		cr_assert_eq(memory_set(memory, (char[]){ (char)('0' + i), '\0' }, 1), LF_TIER_DONE);
		cr_assert_eq(memory->last_left[0], *keys, "'%s' went instead of '%c'", memory->last_left, *keys);
		cr_assert_eq(memory->left[LF_CACHE_EVICT], i + 1);
	}
}

Test(cache_policy, lru_evicts_what_was_not_used_for_longest)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 4, 0, 1);
	set(&memory, "abcd");
	use(&memory, "ac");
	set(&memory, "b");
	assert_leave(&memory, "dacb", 0);
	memory_close(&memory);
}

Test(cache_policy, fifo_evicts_what_was_stored_first_whatever_was_used_or_stored_anew)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_FIFO, 4, 0, 1);
	set(&memory, "abcd");
	use(&memory, "aab");
	set(&memory, "a");
	assert_leave(&memory, "abcd0", 0);
	memory_close(&memory);
}

Test(cache_policy, lfu_evicts_what_was_used_least_and_of_equals_what_was_not_used_for_longest)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LFU, 4, 0, 1);
	set(&memory, "abcd");
	use(&memory, "aaaa" "ccc" "db");
	assert_leave(&memory, "db0", 0); /* the new are as good as what was used once more since */
	memory_close(&memory);
}

Test(cache_policy, lfu_counts_uses_beyond_what_it_can_count_as_the_most)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LFU, 2, 0, 1);
	set(&memory, "ab");
	for (unsigned i = 0; i < 100; i++)
		use(&memory, "b");
	for (unsigned i = 0; i < 259; i++)
		use(&memory, "a");
	assert_leave(&memory, "b", 0);
	memory_close(&memory);
}

Test(cache_policy, lfu_forgets_in_time_what_was_used_often)
{
	struct memory memory;
	char key[16];
	unsigned rounds = 0;

	memory_open_with(&memory, LF_CACHE_LFU, 10, 0, 1);
	set(&memory, "a");
	for (unsigned i = 0; i < 1000; i++)
		use(&memory, "a");
	/* What comes and is used three times, again and again, is worth more in the end. */
	for (bool there = true; there && rounds < 5000; rounds++) {
		there = memory.left[LF_CACHE_EVICT] == 0 || strcmp(memory.last_left, "a") != 0;
		(void)snprintf(key, sizeof(key), "new%u", rounds);
		(void)memory_set(&memory, key, 1);
		for (unsigned i = 0; i < 3; i++)
			(void)memory_has(&memory, key);
	}
	cr_assert_gt(rounds, 100);
	cr_assert_lt(rounds, 5000);
	memory_close(&memory);
}

static void scan_once(struct memory *memory, unsigned from, unsigned count)
{
	char key[16];

	for (unsigned i = from; i < from + count; i++) {
		(void)snprintf(key, sizeof(key), "scan%u", i);
		cr_assert_eq(memory_set(memory, key, 1), LF_TIER_DONE);
	}
}

/* 50 keys in use among 100; then a scan of ten times what there is room for.  How many of the keys are left. */
static unsigned left_after_a_scan(enum lf_cache_policy policy)
{
	struct memory memory;
	unsigned found = 0;
	char key[16];

	memory_open_with(&memory, policy, 100, 0, 1);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 50; i++) {
			(void)snprintf(key, sizeof(key), "hot%u", i);
			if (!memory_has(&memory, key))
				(void)memory_set(&memory, key, 1);
		}
	}
	scan_once(&memory, 0, 1000);
	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof(key), "hot%u", i);
		found += memory_has(&memory, key);
	}
	memory_close(&memory);
	return found;
}

Test(cache_policy, s3fifo_keeps_what_is_in_use_through_a_scan_that_empties_lru)
{
	cr_assert_eq(left_after_a_scan(LF_CACHE_LRU), 0);
	cr_assert_geq(left_after_a_scan(LF_CACHE_S3FIFO), 45);
}

static bool is_kept_when_it_comes_back(void)
{
	struct memory memory;
	bool kept;

	memory_open_with(&memory, LF_CACHE_S3FIFO, 20, 0, 1);
	set(&memory, "a");
	scan_once(&memory, 0, 25);
	cr_assert_not(memory_has(&memory, "a"));
	set(&memory, "a");
	scan_once(&memory, 100, 100);
	kept = memory_has(&memory, "a");
	memory_close(&memory);
	return kept;
}

/* Each time with other hashes: now and then the ghost of another key takes the place of its own. */
Test(cache_policy, s3fifo_keeps_what_comes_back_soon_after_it_went)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < 40; i++)
		kept += is_kept_when_it_comes_back();
	cr_assert_geq(kept, 30);
}

Test(cache_policy, s3fifo_leaves_a_tenth_to_what_is_new_and_another_turn_to_what_was_used)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_S3FIFO, 20, 0, 1);
	set(&memory, "abcdefghijklmnopqrst");
	use(&memory, "abcdefghijklmnopqrst" "abcdefghijklmnopqrst");
	assert_leave(&memory, "a", 0); /* all moved on, and the first of them went */
	use(&memory, "bbdefghijklmnopqrst");
	assert_leave(&memory, "c", 1);
	assert_leave(&memory, "d", 2);  /* b had a second use */
	use(&memory, "012");
	assert_leave(&memory, "0", 3); /* by now more than a tenth is new */
	memory_close(&memory);
}

Test(cache_policy, s3fifo_evicts_also_what_is_used_all_the_time_when_all_is)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_S3FIFO, 4, 0, 1);
	set(&memory, "abcd");
	use(&memory, "aaaabbbbccccdddd");
	set(&memory, "e");
	use(&memory, "e");
	cr_assert_eq(memory.left[LF_CACHE_EVICT], 1);
	memory_close(&memory);
}

Test(cache_policy, none_refuses_at_its_limit_and_takes_again_what_there_is_room_for)
{
	struct memory memory;
	enum lf_tier_stored stored;

	memory_open_with(&memory, LF_CACHE_NONE, 4, 0, 4);
	set(&memory, "abcd");
	cr_assert_eq(memory_set(&memory, "e", 1), LF_TIER_FULL);
	cr_assert_not(memory_has(&memory, "e"));
	use(&memory, "abcd");
	set(&memory, "a"); /* replaced */
	cr_assert_eq(memory_store(&memory, "b", a_tombstone(&memory), &stored), LF_TIER_DONE);
	set(&memory, "e");
	use(&memory, "acde");
	cr_assert_eq(memory.left[LF_CACHE_EVICT], 0);
	memory_close(&memory);
}

Test(cache_policy, none_refuses_bytes_and_keeps_the_value_that_was_there)
{
	struct memory memory;
	struct lf_record *found;

	memory_open_with(&memory, LF_CACHE_NONE, 0, 2 * bytes_of_one("a", 100), 1);
	cr_assert_eq(memory_set(&memory, "a", 100), LF_TIER_DONE);
	cr_assert_eq(memory_set(&memory, "b", 100), LF_TIER_DONE);
	cr_assert_eq(memory_set(&memory, "a", 101 + 16), LF_TIER_FULL);
	found = lf_memory_get(memory.tier, text_of("a"));
	cr_assert_eq(found->value.len, 100);
	lf_record_drop(found);
	memory_close(&memory);
}

Test(cache_policy, none_makes_room_of_what_expired_or_was_forgotten_in_any_shard)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_NONE, 4, 0, 8);
	for (unsigned i = 0; i < 4; i++)
		(void)memory_store(&memory, (char[]){ (char)('a' + i), '\0' }, a_record(&memory, 1, 10), NULL);
	cr_assert_eq(memory_set(&memory, "e", 1), LF_TIER_FULL);
	memory.now_ms += 10;
	set(&memory, "efgh");
	cr_assert_eq(memory.left[LF_CACHE_EXPIRE], 4);
	lf_memory_forget(memory.tier);
	set(&memory, "ijkl");
	cr_assert_eq(memory_set(&memory, "m", 1), LF_TIER_FULL);
	memory_close(&memory);
}

Test(cache_policy, the_expired_go_before_anybody_else)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 4, 0, 1);
	set(&memory, "abc");
	(void)memory_store(&memory, "d", a_record(&memory, 1, 10), NULL);
	memory.now_ms += 10;
	set(&memory, "e");
	use(&memory, "abce");
	cr_assert_eq(memory.left[LF_CACHE_EVICT], 0);
	cr_assert_eq(memory.left[LF_CACHE_EXPIRE], 1);
	memory_close(&memory);
}

Test(cache_policy, a_value_that_grows_makes_others_leave_and_not_itself)
{
	static const enum lf_cache_policy all[] = { LF_CACHE_LRU, LF_CACHE_LFU, LF_CACHE_FIFO, LF_CACHE_S3FIFO };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct memory memory;

		memory_open_with(&memory, all[i], 0, 4 * bytes_of_one("a", 100), 1);
		for (unsigned k = 0; k < 4; k++)
			(void)memory_set(&memory, (char[]){ (char)('a' + k), '\0' }, 100);
		cr_assert_eq(memory_set(&memory, "a", 300), LF_TIER_DONE);
		cr_assert(memory_has(&memory, "a"), "policy %zu", i);
		cr_assert_eq(memory.left[LF_CACHE_EVICT], 1, "policy %zu", i);
		memory_close(&memory);
	}
}

Test(cache_policy, a_value_as_large_as_all_room_is_kept_alone_and_a_larger_one_is_refused)
{
	const uint64_t room = bytes_of_one("all", 100000);

	for (unsigned shards = 1; shards <= 8; shards *= 8) {
		struct memory memory;

		memory_open_with(&memory, LF_CACHE_LRU, 0, room, shards);
		scan_once(&memory, 0, 2000);
		cr_assert_eq(memory_set(&memory, "all", 100000 + 16), LF_TIER_FULL);
		cr_assert_gt(memory.tier->entries, 300);
		cr_assert_eq(memory_set(&memory, "all", 100000), LF_TIER_DONE);
		cr_assert(memory_has(&memory, "all"));
		cr_assert_eq(memory.tier->entries, 1);
		cr_assert_eq(memory.tier->bytes, room);
		memory_close(&memory);
	}
}

Test(cache_policy, shards_share_one_limit_and_none_starves)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 1000, 0, 8);
	scan_once(&memory, 0, 20000);
	cr_assert_eq(memory.tier->entries, 1000);
	for (unsigned i = 0; i < 8; i++)
		cr_assert_gt(memory.tier->shard[i].entries, 60, "shard %u has %u", i, (unsigned)memory.tier->shard[i].entries);
	memory_close(&memory);
}

/* A key that goes into that shard, which is empty. */
static void key_of_shard(struct memory *memory, unsigned shard, unsigned *number, char key[16])
{
	uint64_t before = memory->tier->shard[shard].entries;

	for (;;) {
		(void)snprintf(key, 16, "try%u", (*number)++);
		cr_assert_eq(memory_set(memory, key, 1), LF_TIER_DONE);
		if (memory->tier->shard[shard].entries > before)
			return;
		lf_memory_remove(memory->tier, text_of(key), (struct lf_version){ 0, 0 });
	}
}

Test(cache_policy, a_shard_that_was_emptied_comes_back_to_its_share)
{
	struct memory memory;
	char key[16];

	memory_open_with(&memory, LF_CACHE_LRU, 1000, 0, 8);
	scan_once(&memory, 0, 2000);
	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof(key), "scan%u", i);
		if (memory_has(&memory, key) && memory.tier->shard[0].entries > 0) {
			uint64_t before = memory.tier->shard[0].entries;
			struct lf_record *record = lf_memory_get(memory.tier, text_of(key));

			lf_memory_remove(memory.tier, text_of(key), (struct lf_version){ 0, 0 });
			if (memory.tier->shard[0].entries == before)
				cr_assert_eq(memory_store(&memory, key, a_record(&memory, 1, 0), NULL), LF_TIER_DONE);
			lf_record_drop(record);
		}
	}
	cr_assert_eq(memory.tier->shard[0].entries, 0);
	for (unsigned number = 0; memory.tier->entries < 1000;)
		key_of_shard(&memory, 1, &number, key);
	scan_once(&memory, 5000, 4000);
	cr_assert_gt(memory.tier->shard[0].entries, 60, "%u", (unsigned)memory.tier->shard[0].entries);
	memory_close(&memory);
}

/* While room is made in the other shard, the key is set anew and deleted. */
struct meddling {
	struct memory *memory;
	const char *key;
	bool done;
};

static int64_t meddle(void *arg)
{
	struct meddling *meddling = arg;
	struct memory *memory = meddling->memory;

	/* Under the lock of the other shard, or of none: while its own is held nobody else could. */
	if (!meddling->done && memory->tier->shard[0].entries == 0 && pthread_mutex_trylock(&memory->tier->shard[0].lock) == 0) {
		(void)pthread_mutex_unlock(&memory->tier->shard[0].lock);
		meddling->done = true;
		cr_assert_eq(memory_set(memory, meddling->key, 1), LF_TIER_DONE);
		lf_memory_remove(memory->tier, text_of(meddling->key), (struct lf_version){ 0, 0 });
	}
	return memory->now_ms;
}

static void store_while_meddled(enum lf_tier_if condition)
{
	struct lf_tier_store store = { .condition = condition };
	struct memory memory;
	unsigned number = 0;
	char key[16], other[16];
	struct meddling meddling = { .memory = &memory, .key = key };

	memory_open_with(&memory, LF_CACHE_LRU, 0, 16000, 2);
	key_of_shard(&memory, 0, &number, key);
	for (unsigned i = 0; i < 20; i++)
		key_of_shard(&memory, 1, &number, other);
	cr_assert_eq(memory_set(&memory, key, 10000), LF_TIER_DONE);
	store.key = text_of(key);
	store.expected.clock = memory.clock;
	store.record = a_record(&memory, 14000, 0);
	memory.tier->clock_ms = meddle;
	memory.tier->clock_arg = &meddling;
	cr_assert_eq(lf_tier_memory.store(memory.tier, &store, 1, 0, NULL), LF_TIER_DONE);
	cr_assert(meddling.done);
	cr_assert_eq(store.stored, LF_NOT_STORED);
	cr_assert(!memory_has(&memory, key));
	lf_record_drop(store.record);
	memory_close(&memory);
}

Test(cache_policy, what_had_to_make_room_for_a_store_does_not_come_back_by_it_after_a_deletion)
{
	store_while_meddled(LF_IF_NEWER);
	store_while_meddled(LF_IF_VERSION);
}

Test(cache_policy, a_value_by_version_is_stored_even_if_the_one_before_had_to_make_room_for_it)
{
	struct lf_tier_store store = { .condition = LF_IF_VERSION };
	struct memory memory;
	unsigned number = 0;
	char key[16], other[16];

	memory_open_with(&memory, LF_CACHE_LRU, 0, 16000, 2);
	key_of_shard(&memory, 0, &number, key);
	for (unsigned i = 0; i < 20; i++)
		key_of_shard(&memory, 1, &number, other);
	cr_assert_eq(memory_set(&memory, key, 10000), LF_TIER_DONE);
	store.key = text_of(key);
	store.expected.clock = memory.clock;
	store.record = a_record(&memory, 14000, 0);
	cr_assert_eq(lf_tier_memory.store(memory.tier, &store, 1, 0, NULL), LF_TIER_DONE);
	cr_assert_eq(store.stored, LF_STORED);
	cr_assert(memory_has(&memory, key));
	cr_assert_gt(memory.left[LF_CACHE_EVICT], 0);
	lf_record_drop(store.record);
	memory_close(&memory);
}
