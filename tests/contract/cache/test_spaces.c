/* Spaces: what is in one, and that nothing reaches from one into another. */
#include "tests/contract/cache/stand.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(cache_spaces, .init = open_stand, .fini = close_stand);

/* --- scan --------------------------------------------------------------------------------------------- */

Test(cache_spaces, a_scan_comes_to_every_id_as_it_was_given)
{
	struct lf_text ids[] = { TEXT("a"), TEXT("a:b*%"), BYTES, TEXT("\0") };

	cr_assert_eq(count_of_scan(users, NULL), 0);
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		set_to(users, ids[i], TEXT("v"));
	set_field(users, TEXT("hash"), TEXT("f"), TEXT("v"));
	only_below();
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		cr_assert_geq(times_in_scan(users, NULL, ids[i]), 1, "%zu", i);
	cr_assert_geq(times_in_scan(users, "*", TEXT("hash")), 1);
}

Test(cache_spaces, a_scan_has_the_ids_that_match_and_no_other)
{
	set_to(users, TEXT("apple"), TEXT("v"));
	set_to(users, TEXT("apply"), TEXT("v"));
	set_to(users, TEXT("a[b"), TEXT("v"));
	cr_assert_geq(times_in_scan(users, "appl[a-e]", TEXT("apple")), 1);
	cr_assert_eq(times_in_scan(users, "appl[a-e]", TEXT("apply")), 0);
	cr_assert_geq(times_in_scan(users, "appl[^e]", TEXT("apply")), 1);
	cr_assert_geq(times_in_scan(users, "a\\[?", TEXT("a[b")), 1);
	cr_assert_eq(count_of_scan(users, "A*"), 0);
	cr_assert_eq(count_of_scan(users, "app"), 0);
}

Test(cache_spaces, what_was_deleted_is_in_no_scan)
{
	set_to(users, TEXT("1"), TEXT("v"));
	set_to(users, TEXT("2"), TEXT("v"));
	expect(1, lf_cache_del(users, TEXT("1"), &err));
	for (int below = 0; below < 2; below++) {
		cr_assert_eq(times_in_scan(users, NULL, TEXT("1")), 0);
		cr_assert_geq(times_in_scan(users, NULL, TEXT("2")), 1);
		only_below();
	}
}

static char names[MANY_MAX][12];
static struct lf_text ids[MANY_MAX];
static unsigned seen[MANY_MAX];

static void set_many(void)
{
	for (int i = 0; i < many(); i++)
		ids[i] = (struct lf_text){ names[i], (size_t)snprintf(names[i], sizeof(names[i]), "stays-%d", i) };
	expect(0, lf_cache_mset(users, ids, ids, (size_t)many(), NULL, &err));
	expect(0, lf_cache_settle(cache, WITHIN_MS, &err));
}

Test(cache_spaces, what_is_there_from_beginning_to_end_comes_while_all_around_it_changes)
{
	struct lf_cache_scan *scan = NULL;
	struct lf_text id;
	int rc;

	set_many();
	expect(0, lf_cache_scan_open(&scan, users, NULL, &err));
	for (int i = 0; (rc = lf_cache_scan_next(scan, &id, &err)) == 1; i++) {
		char name[32] = "";

		(void)snprintf(name, sizeof(name), "%.*s", (int)id.len, id.data);
		if (strncmp(name, "stays-", 6) == 0)
			seen[atoi(name + 6)]++;
		if (i % 50 != 0 || i > 2 * many())
			continue;
		(void)snprintf(name, sizeof(name), "goes-%d", i);
		set_to(users, text(name), TEXT("v"));
		(void)snprintf(name, sizeof(name), "goes-%d", i - 100);
		cr_assert_geq(lf_cache_del(users, text(name), &err), 0, "%s", err.text);
	}
	cr_assert_eq(rc, 0, "%s", err.text);
	lf_cache_scan_close(scan);
	for (int i = 0; i < many(); i++)
		cr_assert_geq(seen[i], 1, "%d", i);
}

Test(cache_spaces, a_scan_that_is_closed_before_its_end_leaves_nothing_behind)
{
	struct lf_cache_scan *scan = NULL;
	struct lf_text id;

	set_to(users, TEXT("1"), TEXT("v"));
	expect(0, lf_cache_scan_open(&scan, users, NULL, &err));
	expect(1, lf_cache_scan_next(scan, &id, &err));
	lf_cache_scan_close(scan);
	expect(0, lf_cache_scan_open(&scan, users, "*", &err));
	lf_cache_scan_close(scan);
	lf_cache_scan_close(NULL);
}

/* --- flush -------------------------------------------------------------------------------------------- */

Test(cache_spaces, flush_leaves_nothing_of_the_space_and_all_of_the_others)
{
	struct lf_cache_space *others = space_of(cache, "user", "acme2");

	set_to(users, TEXT("1"), TEXT("v"));
	set_field(users, TEXT("2"), TEXT("f"), TEXT("v"));
	set_to(others, TEXT("1"), TEXT("theirs"));
	expect(0, lf_cache_flush(users, &err));
	for (int below = 0; below < 2; below++) {
		expect_nothing(users, TEXT("1"));
		expect(0, lf_cache_exists(users, TEXT("2"), &err));
		cr_assert_eq(count_of_scan(users, NULL), 0);
		expect_value(others, TEXT("1"), TEXT("theirs"));
		only_below();
	}
	set_to(users, TEXT("1"), TEXT("anew"));
	expect_value(users, TEXT("1"), TEXT("anew"));
	only_below();
	expect_value(users, TEXT("1"), TEXT("anew"));
}

/* --- tenants ------------------------------------------------------------------------------------------ */

/* Names that would reach the stand's space if colons, patterns or prefixes got through. */
static const char *const types[] = { "user", "use", "user:acme", "*", "USER" };
static const char *const orgs[] = { "acme", "acme:", "acm?", "*", ":acme" };

Test(cache_spaces, one_id_in_two_spaces_is_two_keys)
{
	char mark[16];

	for (size_t i = 0; i < COUNT_OF(types); i++)
		for (size_t j = 0; j < COUNT_OF(orgs); j++) {
			(void)snprintf(mark, sizeof(mark), "%zu %zu", i, j);
			set_to(space_of(cache, types[i], orgs[j]), TEXT("1"), text(mark));
		}
	only_below();
	for (size_t i = 0; i < COUNT_OF(types); i++)
		for (size_t j = 0; j < COUNT_OF(orgs); j++) {
			struct lf_cache_space *space = space_of(cache, types[i], orgs[j]);

			(void)snprintf(mark, sizeof(mark), "%zu %zu", i, j);
			expect_value(space, TEXT("1"), text(mark));
			cr_assert_eq(count_of_scan(space, NULL), 1);
		}
}

Test(cache_spaces, what_clears_one_space_leaves_those_with_names_alike)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		for (size_t j = 0; j < COUNT_OF(orgs); j++)
			set_to(space_of(cache, types[i], orgs[j]), TEXT("1"), TEXT("v"));
	for (size_t i = 1; i < COUNT_OF(types); i++)
		for (size_t j = 1; j < COUNT_OF(orgs); j++) {
			expect(0, lf_cache_flush(space_of(cache, types[i], orgs[j]), &err));
			expect(0, lf_cache_invalidate_prefix(space_of(cache, types[i], orgs[j]), TEXT(""), &err));
		}
	for (size_t i = 1; i < COUNT_OF(types); i++)
		expect(0, lf_cache_invalidate_type(cache, text(types[i]), &err));
	for (size_t j = 1; j < COUNT_OF(orgs); j++)
		expect(0, lf_cache_invalidate_org(cache, text(orgs[j]), &err));
	expect_value(users, TEXT("1"), TEXT("v"));
	only_below();
	expect_value(users, TEXT("1"), TEXT("v"));
}

Test(cache_spaces, a_space_is_the_same_handle_each_time)
{
	struct lf_cache_space *again = NULL;

	cr_assert_eq(space_of(cache, "user", "acme"), users);
	expect(0, lf_cache_space_bytes(&again, cache, TEXT("user"), TEXT("acme"), &err));
	cr_assert_eq(again, users);
	expect(0, lf_cache_space_bytes(&again, cache, TEXT("us\0er"), BYTES, &err));
	cr_assert_neq(again, users);
	set_to(again, TEXT("1"), TEXT("v"));
	expect_nothing(users, TEXT("1"));
	expect_value(again, TEXT("1"), TEXT("v"));
}

Test(cache_spaces, another_app_and_another_environment_see_nothing_of_it)
{
	struct lf_cache_options options = stand_options();
	struct lf_cache *other = NULL;

	set_to(users, TEXT("1"), TEXT("v"));
	options.env = "staging";
	expect(0, lf_cache_open(&other, &options, &err));
	expect(0, lf_cache_flush(space_of(other, "user", "acme"), &err));
	expect(0, lf_cache_invalidate_org(other, TEXT("acme"), &err));
	expect_nothing(space_of(other, "user", "acme"), TEXT("1"));
	cr_assert_eq(count_of_scan(space_of(other, "user", "acme"), NULL), 0);
	lf_cache_close(other);
	only_below();
	expect_value(users, TEXT("1"), TEXT("v"));
}

/* --- caches at the same tiers ------------------------------------------------------------------------- */

Test(cache_spaces, what_is_below_memory_is_there_for_another_cache_and_after_it_was_opened_anew)
{
	struct lf_cache *other;

	set_to(users, TEXT("1"), TEXT("v"));
	set_field(users, TEXT("2"), BYTES, BYTES);
	expect(1, lf_cache_expire(users, TEXT("2"), DAY_MS, &err));
	expect(0, lf_cache_settle(cache, WITHIN_MS, &err));
	other = open_another();
	if (is_shared()) {
		expect_value(space_of(other, "user", "acme"), TEXT("1"), TEXT("v"));
		expect_field(space_of(other, "user", "acme"), TEXT("2"), BYTES, BYTES);
		expect_ttl(space_of(other, "user", "acme"), TEXT("2"), DAY_MS);
	} else {
		expect_nothing(space_of(other, "user", "acme"), TEXT("1"));
	}
	lf_cache_close(other);
	reopen();
	if (is_shared())
		expect_value(users, TEXT("1"), TEXT("v"));
	else
		expect_nothing(users, TEXT("1"));
}

/* --- what is no id, name or value --------------------------------------------------------------------- */

static void expect_refused(struct lf_text id)
{
	struct lf_cache_value found = { .record = NULL };
	struct lf_cache_field field = { TEXT("f"), TEXT("v") };
	struct lf_text one[] = { TEXT("good"), id }, values[] = { TEXT("v"), TEXT("v") }, name = TEXT("f");
	struct lf_cache_value two[2] = { { .record = NULL } };
	int64_t number;

	expect(-EINVAL, lf_cache_get(users, id, &found, &err));
	cr_assert_neq(err.text[0], '\0');
	expect(-EINVAL, lf_cache_set(users, id, TEXT("v"), NULL, &err));
	expect(-EINVAL, lf_cache_set_if_newer(users, id, TEXT("v"), 1, NULL, &err));
	expect(-EINVAL, lf_cache_del(users, id, &err));
	expect(-EINVAL, lf_cache_exists(users, id, &err));
	expect(-EINVAL, lf_cache_mget(users, one, 2, two, &err));
	expect(-EINVAL, lf_cache_mset(users, one, values, 2, NULL, &err));
	expect(-EINVAL, lf_cache_incr(users, id, &number, &err));
	expect(-EINVAL, lf_cache_decrby(users, id, 1, &number, &err));
	expect(-EINVAL, lf_cache_expire(users, id, 1000, &err));
	expect(-EINVAL, lf_cache_expire_at(users, id, clock_is() + 1, &err));
	expect(-EINVAL, lf_cache_ttl(users, id, &number, &err));
	expect(-EINVAL, lf_cache_persist(users, id, &err));
	expect(-EINVAL, lf_cache_hget(users, id, name, &found, &err));
	expect(-EINVAL, lf_cache_hset(users, id, &field, 1, &err));
	expect(-EINVAL, lf_cache_hdel(users, id, &name, 1, &err));
	expect(-EINVAL, lf_cache_hexists(users, id, name, &err));
	expect(-EINVAL, lf_cache_hgetall(users, id, &found, &err));
}

Test(cache_spaces, an_id_is_one_byte_long_at_least_and_1024_at_most)
{
	static char bytes[1 << 20];

	memset(bytes, 'x', sizeof(bytes));
	expect_refused((struct lf_text){ "", 0 });
	expect_refused((struct lf_text){ NULL, 0 });
	expect_refused((struct lf_text){ bytes, LF_CACHE_ID_MAX + 1 });
	expect_refused((struct lf_text){ bytes, sizeof(bytes) });
	expect_refused((struct lf_text){ bytes, SIZE_MAX });
	set_to(users, (struct lf_text){ bytes, LF_CACHE_ID_MAX }, TEXT("v"));
	memset(bytes, '\xff', LF_CACHE_ID_MAX);
	set_to(users, (struct lf_text){ bytes, LF_CACHE_ID_MAX }, TEXT("w"));
	only_below();
	expect_value(users, (struct lf_text){ bytes, LF_CACHE_ID_MAX }, TEXT("w"));
}

Test(cache_spaces, a_name_is_one_byte_long_at_least_and_128_at_most)
{
	static char bytes[LF_CACHE_NAME_MAX + 1];
	struct lf_text longest = { bytes, LF_CACHE_NAME_MAX }, wrong[] = { { "", 0 }, { bytes, LF_CACHE_NAME_MAX + 1 } };
	struct lf_cache_space *space = NULL;

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct lf_cache_set how = { .tags = &wrong[i], .tags_count = 1 };

		expect(-EINVAL, lf_cache_space_bytes(&space, cache, wrong[i], TEXT("acme"), &err));
		expect(-EINVAL, lf_cache_space_bytes(&space, cache, TEXT("user"), wrong[i], &err));
		expect(-EINVAL, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
		expect(-EINVAL, lf_cache_invalidate_tag(cache, TEXT("acme"), wrong[i], &err));
		expect(-EINVAL, lf_cache_invalidate_tag(cache, wrong[i], TEXT("tag"), &err));
		expect(-EINVAL, lf_cache_invalidate_type(cache, wrong[i], &err));
		expect(-EINVAL, lf_cache_invalidate_org(cache, wrong[i], &err));
	}
	expect_nothing(users, TEXT("1"));
	expect(0, lf_cache_space_bytes(&space, cache, longest, longest, &err));
	expect(1, lf_cache_set(space, TEXT("1"), TEXT("v"), &(struct lf_cache_set){ .tags = &longest, .tags_count = 1 }, &err));
	only_below();
	expect_value(space, TEXT("1"), TEXT("v"));
}

Test(cache_spaces, an_app_or_environment_that_is_no_name_opens_nothing)
{
	char bytes[LF_CACHE_NAME_MAX + 2];
	struct lf_cache_options options = stand_options();
	struct lf_cache *other = NULL;

	memset(bytes, 'x', sizeof(bytes) - 1);
	bytes[sizeof(bytes) - 1] = '\0';
	options.app = bytes;
	expect(-EINVAL, lf_cache_open(&other, &options, &err));
	options = stand_options();
	options.env = bytes;
	expect(-EINVAL, lf_cache_open(&other, &options, &err));
	cr_assert_null(other);
}

Test(cache_spaces, a_value_over_its_limit_is_refused_and_leaves_what_was_there)
{
	static char bytes[VALUE_MAX + 1];
	struct lf_text over = { bytes, VALUE_MAX + 1 }, ids_of_two[] = { TEXT("3"), TEXT("4") }, two[] = { TEXT("v"), over };
	struct lf_cache_field field = { TEXT("f"), over };

	set_to(users, TEXT("1"), TEXT("v"));
	set_field(users, TEXT("2"), TEXT("f"), TEXT("v"));
	expect(-EFBIG, lf_cache_set(users, TEXT("1"), over, NULL, &err));
	cr_assert_neq(err.text[0], '\0');
	expect(-EFBIG, lf_cache_set(users, TEXT("1"), (struct lf_text){ bytes, SIZE_MAX }, NULL, &err));
	expect(-EFBIG, lf_cache_set_if_newer(users, TEXT("1"), over, 1, NULL, &err));
	expect(-EFBIG, lf_cache_mset(users, ids_of_two, two, 2, NULL, &err));
	expect(-EFBIG, lf_cache_hset(users, TEXT("2"), &field, 1, &err));
	field = (struct lf_cache_field){ over, TEXT("v") };
	expect(-EFBIG, lf_cache_hset(users, TEXT("2"), &field, 1, &err));
	only_below();
	expect_value(users, TEXT("1"), TEXT("v"));
	expect_field(users, TEXT("2"), TEXT("f"), TEXT("v"));
}

Test(cache_spaces, a_ttl_that_is_none_and_tags_over_their_number_are_refused)
{
	struct lf_text tags[LF_CACHE_TAGS_MAX + 1];
	struct lf_cache_set how = { .ttl_ms = -3 };

	expect(-EINVAL, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	how.ttl_ms = INT64_MIN;
	expect(-EINVAL, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	for (size_t i = 0; i < COUNT_OF(tags); i++)
		tags[i] = TEXT("tag");
	how = (struct lf_cache_set){ .tags = tags, .tags_count = LF_CACHE_TAGS_MAX + 1 };
	expect(-EINVAL, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	expect_nothing(users, TEXT("1"));
	how.tags_count = LF_CACHE_TAGS_MAX;
	expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
}
