/* Versions and tickets: what is stored late, or filled late, does not come in. */
#include <criterion/criterion.h>

#include "tests/unit/memory_fixture.h"

/* --- versions -------------------------------------------------------------------------------------- */

static enum lf_tier_stored store_version(struct memory *memory, uint64_t clock, enum lf_tier_if condition, uint64_t expected)
{
	struct lf_record *record = a_record(memory, 1, 0);
	struct lf_tier_store store = { .key = text_of("k"), .record = record, .condition = condition, .expected = { expected, 0 } };

	record->version.clock = clock;
	cr_assert_eq(lf_tier_memory.store(memory->tier, &store, 1, 0, NULL), LF_TIER_DONE);
	lf_record_drop(record);
	return store.stored;
}

static uint64_t version_of_k(struct memory *memory)
{
	struct lf_record *record = lf_memory_get(memory->tier, text_of("k"));
	uint64_t clock = record ? record->version.clock : 0;

	lf_record_drop(record);
	return clock;
}

Test(cache_tickets, only_what_is_newer_replaces_what_is_there)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	cr_assert_eq(store_version(&memory, 10, LF_IF_NEWER, 0), LF_STORED);
	cr_assert_eq(store_version(&memory, 10, LF_IF_NEWER, 0), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 9, LF_IF_LOCKED, 0), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 11, LF_IF_LOCKED, 0), LF_STORED);
	cr_assert_eq(version_of_k(&memory), 11);
	memory_close(&memory);
}

Test(cache_tickets, a_store_by_version_replaces_that_version_and_no_other)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	cr_assert_eq(store_version(&memory, 10, LF_IF_VERSION, 9), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 10, LF_IF_VERSION, 0), LF_STORED);
	cr_assert_eq(store_version(&memory, 11, LF_IF_VERSION, 0), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 11, LF_IF_VERSION, 10), LF_STORED);
	cr_assert_eq(version_of_k(&memory), 11);
	memory_close(&memory);
}

Test(cache_tickets, what_expired_counts_as_nothing)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	cr_assert_eq(memory_store(&memory, "k", a_record(&memory, 1, 10), NULL), LF_TIER_DONE);
	memory.now_ms += 10;
	cr_assert_eq(store_version(&memory, 5, LF_IF_VERSION, 1), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 5, LF_IF_VERSION, 0), LF_STORED);
	memory_close(&memory);
}

/* Whatever made it go: an older version that comes late is not stored. */
Test(cache_tickets, late_stores_do_not_bring_back_what_came_before_what_went)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 1, 0, 1);
	memory.clock = 99;
	cr_assert_eq(memory_store(&memory, "k", a_tombstone(&memory), NULL), LF_TIER_DONE); /* 100 */
	cr_assert_eq(store_version(&memory, 99, LF_IF_NEWER, 0), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 110, LF_IF_NEWER, 0), LF_STORED);
	memory.clock = 110; /* where both have the same slot, what comes below must not count as late for that one */
	cr_assert_eq(memory_set(&memory, "other", 1), LF_TIER_DONE); /* evicts it */
	cr_assert_eq(store_version(&memory, 109, LF_IF_NEWER, 0), LF_NOT_STORED);
	memory.clock = 119;
	cr_assert_eq(memory_store(&memory, "k", a_record(&memory, 1, 10), NULL), LF_TIER_DONE); /* 120 */
	memory.now_ms += 10;
	cr_assert_eq(version_of_k(&memory), 0);
	cr_assert_eq(store_version(&memory, 119, LF_IF_NEWER, 0), LF_NOT_STORED);
	cr_assert_eq(store_version(&memory, 121, LF_IF_NEWER, 0), LF_STORED);
	lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 130, 0 });
	cr_assert_eq(store_version(&memory, 125, LF_IF_NEWER, 0), LF_NOT_STORED);
	memory_close(&memory);
}

/* --- tickets --------------------------------------------------------------------------------------- */

static void fill(struct memory *memory, uint64_t clock, uint64_t ticket)
{
	struct lf_record *record = a_record(memory, 1, 0);

	record->version.clock = clock;
	lf_memory_fill(memory->tier, text_of("k"), record, ticket);
	lf_record_drop(record);
}

static enum lf_tier_result put(struct memory *memory, uint64_t clock, size_t size, uint64_t ticket, bool *current)
{
	struct lf_record *record = size ? a_record(memory, size, 0) : a_tombstone(memory);
	enum lf_tier_result result;

	record->version.clock = clock;
	result = lf_memory_put(memory->tier, text_of("k"), record, ticket, current);
	lf_record_drop(record);
	return result;
}

Test(cache_tickets, a_fill_is_kept_where_nothing_changed)
{
	struct memory memory;
	uint64_t ticket;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	ticket = lf_memory_ticket(memory.tier, text_of("k"));
	fill(&memory, 10, ticket);
	cr_assert_eq(version_of_k(&memory), 10);
	fill(&memory, 9, ticket);
	cr_assert_eq(version_of_k(&memory), 10);
	fill(&memory, 11, ticket); /* another reader saw a later one */
	cr_assert_eq(version_of_k(&memory), 11);
	memory_close(&memory);
}

Test(cache_tickets, a_fill_does_nothing_when_the_key_was_changed_meanwhile)
{
	for (unsigned what = 0; what < 6; what++) {
		struct memory memory;
		uint64_t ticket;
		bool current;

		memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
		memory.clock = 19;
		ticket = lf_memory_ticket(memory.tier, text_of("k"));
		if (what == 0) {
			(void)memory_store(&memory, "k", a_tombstone(&memory), NULL);
		} else if (what == 1) {
			(void)memory_set(&memory, "k", 1);
			(void)memory_store(&memory, "k", a_tombstone(&memory), NULL);
		} else if (what == 2) {
			lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 20, 0 });
		} else if (what == 3) {
			lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 0, 0 });
		} else if (what == 4) {
			lf_memory_forget(memory.tier);
		} else {
			cr_assert_eq(put(&memory, 20, 0, ticket, &current), LF_TIER_DONE);
			cr_assert(current);
		}
		fill(&memory, 10, ticket);
		cr_assert_eq(version_of_k(&memory), 0, "%u", what);
		memory_close(&memory);
	}
}

Test(cache_tickets, a_change_of_our_own_is_kept_if_it_was_the_only_one_and_else_leaves_nothing_older)
{
	struct memory memory;
	uint64_t first, second;
	bool current;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	first = lf_memory_ticket(memory.tier, text_of("k"));
	second = lf_memory_ticket(memory.tier, text_of("k"));
	cr_assert_eq(put(&memory, 10, 1, first, &current), LF_TIER_DONE);
	cr_assert(current);
	cr_assert_eq(version_of_k(&memory), 10);
	cr_assert_eq(put(&memory, 12, 1, second, &current), LF_TIER_DONE);
	cr_assert_not(current);
	cr_assert_eq(version_of_k(&memory), 0);
	cr_assert_eq(store_version(&memory, 11, LF_IF_NEWER, 0), LF_NOT_STORED);
	cr_assert_eq(put(&memory, 13, 1, lf_memory_ticket(memory.tier, text_of("k")), &current), LF_TIER_DONE);
	cr_assert_eq(put(&memory, 11, 1, second, &current), LF_TIER_DONE);
	cr_assert_eq(version_of_k(&memory), 13);
	cr_assert_eq(put(&memory, 14, 0, lf_memory_ticket(memory.tier, text_of("k")), &current), LF_TIER_DONE);
	cr_assert(current);
	cr_assert_eq(version_of_k(&memory), 0);
	memory_close(&memory);
}

Test(cache_tickets, a_fill_between_ticket_and_put_does_not_keep_the_put_out)
{
	struct memory memory;
	uint64_t ticket;
	bool current;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	ticket = lf_memory_ticket(memory.tier, text_of("k"));
	fill(&memory, 10, ticket);
	cr_assert_eq(put(&memory, 11, 1, ticket, &current), LF_TIER_DONE);
	cr_assert(current);
	cr_assert_eq(version_of_k(&memory), 11);
	memory_close(&memory);
}

Test(cache_tickets, what_has_no_room_leaves_nothing_older_either)
{
	struct memory memory;
	bool current;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 1000, 1);
	cr_assert_eq(put(&memory, 10, 1, lf_memory_ticket(memory.tier, text_of("k")), &current), LF_TIER_DONE);
	cr_assert_eq(put(&memory, 11, 2000, lf_memory_ticket(memory.tier, text_of("k")), &current), LF_TIER_FULL);
	cr_assert_eq(version_of_k(&memory), 0);
	memory_close(&memory);
}

Test(cache_tickets, a_change_elsewhere_removes_what_is_older_and_no_more)
{
	struct memory memory;

	memory_open_with(&memory, LF_CACHE_LRU, 0, 0, 1);
	(void)store_version(&memory, 10, LF_IF_NEWER, 0);
	lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 10, 0 });
	cr_assert_eq(version_of_k(&memory), 10);
	lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 10, 1 });
	cr_assert_eq(version_of_k(&memory), 0);
	(void)store_version(&memory, 20, LF_IF_NEWER, 0);
	lf_memory_remove(memory.tier, text_of("k"), (struct lf_version){ 0, 0 });
	cr_assert_eq(version_of_k(&memory), 0);
	memory_close(&memory);
}
