#include "agent/core/batch.h"

#include <criterion/criterion.h>
#include <string.h>

enum { COUNT = 300 };

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

static void add(struct lf_batch *batch, unsigned number)
{
	char hash[LF_HASH_CHARS + 1];
	struct lf_share shares[2] = { { "a", { number } }, { "b", { 0, 7 } } };
	struct lf_store_change change = { .entry = { .namespace = text("shop"),
		                                     .hash = { hash, LF_HASH_CHARS } },
		                          .shares = shares,
		                          .shares_count = number % 3 };

	(void)snprintf(hash, sizeof(hash), "%032x", number);
	cr_assert_eq(lf_batch_add(batch, &change, (struct lf_batch_how){ number % 2, number % 5 == 0 }), 0);
	/* What was handed in is gone. */
	memset(hash, 'x', sizeof(hash));
	memset(shares, 0xff, sizeof(shares));
}

static void check(const struct lf_batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		const struct lf_sink_record *record = &batch->records[i];
		char hash[LF_HASH_CHARS + 1];

		(void)snprintf(hash, sizeof(hash), "%032x", i);
		cr_assert(memcmp(record->entry->hash.data, hash, LF_HASH_CHARS) == 0, "entry %u", i);
		cr_assert_eq(record->shares_count, i % 3);
		cr_assert_eq(record->flags_changed, i % 2);
		cr_assert_eq(record->frozen, i % 5 == 0);
		if (record->shares_count)
			cr_assert_eq(record->shares[0].counts[LF_PASSED], i);
		if (record->shares_count == 2)
			cr_assert_eq(record->shares[1].counts[LF_MUTED], 7);
	}
}

Test(batch, keeps_copies_however_large_it_grows)
{
	struct lf_batch batch = { 0 };

	for (unsigned i = 0; i < COUNT; i++)
		add(&batch, i);
	cr_assert_eq(batch.count, COUNT);
	check(&batch);
	lf_batch_fini(&batch);
	cr_assert_eq(batch.count, 0);
}

Test(batch, can_be_filled_again)
{
	struct lf_batch batch = { 0 };

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < COUNT / 4; i++)
			add(&batch, i);
		check(&batch);
		lf_batch_clear(&batch);
		cr_assert_eq(batch.count, 0);
	}
	lf_batch_fini(&batch);
}
