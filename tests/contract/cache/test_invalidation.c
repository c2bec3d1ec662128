/* Tags, prefixes, types and organisations: what is no longer handed out, and what still is. */
#include "tests/contract/cache/stand.h"

#include <stdio.h>

TestSuite(cache_invalidation, .init = open_stand, .fini = close_stand);

Test(cache_invalidation, what_has_the_tag_is_gone_and_all_else_stays)
{
	set_tagged(users, TEXT("1"), "a");
	set_tagged(users, TEXT("2"), "b");
	set_to(users, TEXT("3"), TEXT("v"));
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	for (int below = 0; below < 2; below++) {
		expect_nothing(users, TEXT("1"));
		expect_value(users, TEXT("2"), TEXT("tagged"));
		expect_value(users, TEXT("3"), TEXT("v"));
		only_below();
	}
}

Test(cache_invalidation, a_value_that_is_set_with_the_tag_afterwards_is_there)
{
	for (int i = 0; i < 3; i++) {
		set_tagged(users, TEXT("1"), "a");
		expect_value(users, TEXT("1"), TEXT("tagged"));
		only_below();
		expect_value(users, TEXT("1"), TEXT("tagged"));
		expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
		expect_nothing(users, TEXT("1"));
	}
}

Test(cache_invalidation, any_of_a_values_tags_is_enough)
{
	struct lf_text tags[LF_CACHE_TAGS_MAX];
	char names[LF_CACHE_TAGS_MAX][8];
	struct lf_cache_set how = { .tags = tags, .tags_count = LF_CACHE_TAGS_MAX };

	for (int i = 0; i < LF_CACHE_TAGS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t%d", i);
		tags[i] = text(names[i]);
	}
	for (int i = 0; i < LF_CACHE_TAGS_MAX; i += LF_CACHE_TAGS_MAX - 1) {
		expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
		expect_value(users, TEXT("1"), TEXT("v"));
		expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), tags[i], &err));
		expect_nothing(users, TEXT("1"));
	}
}

Test(cache_invalidation, several_tags_are_invalidated_by_one_call)
{
	struct lf_text tags[] = { TEXT("a"), BYTES, TEXT("a") };
	struct lf_cache_set how = { .tags = &tags[1], .tags_count = 1 };

	set_tagged(users, TEXT("1"), "a");
	expect(1, lf_cache_set(users, TEXT("2"), TEXT("v"), &how, &err));
	set_tagged(users, TEXT("3"), "c");
	expect(0, lf_cache_invalidate_tags(cache, TEXT("acme"), tags, 3, &err));
	expect_nothing(users, TEXT("1"));
	expect_nothing(users, TEXT("2"));
	expect_value(users, TEXT("3"), TEXT("tagged"));
}

Test(cache_invalidation, a_tag_is_of_one_organisation_and_of_all_its_types)
{
	struct lf_cache_space *orders = space_of(cache, "order", "acme"), *theirs = space_of(cache, "user", "globex");

	set_tagged(users, TEXT("1"), "a");
	set_tagged(orders, TEXT("1"), "a");
	set_tagged(theirs, TEXT("1"), "a");
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	expect_nothing(users, TEXT("1"));
	expect_nothing(orders, TEXT("1"));
	expect_value(theirs, TEXT("1"), TEXT("tagged"));
}

Test(cache_invalidation, a_change_of_the_value_keeps_its_tags_and_a_set_drops_them)
{
	struct lf_text tag = TEXT("a");
	struct lf_cache_set how = { .tags = &tag, .tags_count = 1 };
	int64_t number;

	expect(1, lf_cache_set(users, TEXT("1"), TEXT("1"), &how, &err));
	expect(0, lf_cache_incr(users, TEXT("1"), &number, &err));
	expect(1, lf_cache_expire(users, TEXT("1"), DAY_MS, &err));
	expect(1, lf_cache_set(users, TEXT("2"), TEXT("2"), &how, &err));
	set_to(users, TEXT("2"), TEXT("plain"));
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), tag, &err));
	expect_nothing(users, TEXT("1"));
	expect_value(users, TEXT("2"), TEXT("plain"));
}

Test(cache_invalidation, what_was_invalidated_counts_as_nothing_there)
{
	struct lf_cache_set absent = { .when = LF_CACHE_IF_ABSENT }, present = { .when = LF_CACHE_IF_PRESENT };
	int64_t number = 0;

	set_tagged(users, TEXT("1"), "a");
	set_tagged(users, TEXT("2"), "a");
	set_tagged(users, TEXT("3"), "a");
	set_tagged(users, TEXT("4"), "a");
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	expect(0, lf_cache_set(users, TEXT("1"), TEXT("v"), &present, &err));
	expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &absent, &err));
	expect(0, lf_cache_incr(users, TEXT("2"), &number, &err));
	cr_assert_eq(number, 1);
	set_field(users, TEXT("3"), TEXT("f"), TEXT("v"));
	expect(0, lf_cache_del(users, TEXT("4"), &err));
	only_below();
	expect_value(users, TEXT("1"), TEXT("v"));
	expect_value(users, TEXT("2"), TEXT("1"));
	expect_field(users, TEXT("3"), TEXT("f"), TEXT("v"));
}

Test(cache_invalidation, a_prefix_takes_what_begins_with_it)
{
	static const char *const stay[] = { "a", "b:1", "A:1", "xa:1" };

	set_to(users, TEXT("a:1"), TEXT("v"));
	set_field(users, TEXT("a:2:x"), TEXT("f"), TEXT("v"));
	set_to(users, TEXT("a:"), TEXT("v"));
	for (size_t i = 0; i < COUNT_OF(stay); i++)
		set_to(users, text(stay[i]), TEXT("stays"));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("a:"), &err));
	for (int below = 0; below < 2; below++) {
		expect_nothing(users, TEXT("a:1"));
		expect(0, lf_cache_exists(users, TEXT("a:2:x"), &err));
		expect_nothing(users, TEXT("a:"));
		for (size_t i = 0; i < COUNT_OF(stay); i++)
			expect_value(users, text(stay[i]), TEXT("stays"));
		only_below();
	}
	set_to(users, TEXT("a:1"), TEXT("anew"));
	expect_value(users, TEXT("a:1"), TEXT("anew"));
	only_below();
	expect_value(users, TEXT("a:1"), TEXT("anew"));
}

Test(cache_invalidation, a_prefix_means_its_bytes_and_no_pattern)
{
	set_to(users, TEXT("abc"), TEXT("v"));
	set_to(users, TEXT("*1"), TEXT("v"));
	set_to(users, TEXT("\xff\0" "1"), TEXT("v"));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("*"), &err));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("\xff\0"), &err));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("%"), &err));
	expect_value(users, TEXT("abc"), TEXT("v"));
	expect_nothing(users, TEXT("*1"));
	expect_nothing(users, TEXT("\xff\0" "1"));
}

Test(cache_invalidation, a_type_goes_in_all_organisations)
{
	struct lf_cache_space *theirs = space_of(cache, "user", "globex"), *orders = space_of(cache, "order", "acme");

	set_to(users, TEXT("1"), TEXT("v"));
	set_to(theirs, TEXT("1"), TEXT("v"));
	set_to(orders, TEXT("1"), TEXT("v"));
	expect(0, lf_cache_invalidate_type(cache, TEXT("user"), &err));
	for (int below = 0; below < 2; below++) {
		expect_nothing(users, TEXT("1"));
		expect_nothing(theirs, TEXT("1"));
		expect_value(orders, TEXT("1"), TEXT("v"));
		only_below();
	}
	set_to(users, TEXT("1"), TEXT("anew"));
	expect_value(users, TEXT("1"), TEXT("anew"));
}

Test(cache_invalidation, an_organisation_goes_with_all_its_types)
{
	struct lf_cache_space *theirs = space_of(cache, "user", "globex"), *orders = space_of(cache, "order", "acme");

	set_to(users, TEXT("1"), TEXT("v"));
	set_to(theirs, TEXT("1"), TEXT("v"));
	set_to(orders, TEXT("1"), TEXT("v"));
	expect(0, lf_cache_invalidate_org(cache, TEXT("acme"), &err));
	for (int below = 0; below < 2; below++) {
		expect_nothing(users, TEXT("1"));
		expect_nothing(orders, TEXT("1"));
		expect_value(theirs, TEXT("1"), TEXT("v"));
		only_below();
	}
	set_to(users, TEXT("1"), TEXT("anew"));
	expect_value(users, TEXT("1"), TEXT("anew"));
}

/* The clock of an application is not the one of the invalidation. */
Test(cache_invalidation, it_holds_whatever_the_clock_does)
{
	set_tagged(users, TEXT("1"), "a");
	clock_moves(-DAY_MS);
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	expect_nothing(users, TEXT("1"));
	set_tagged(users, TEXT("1"), "a");
	expect_value(users, TEXT("1"), TEXT("tagged"));
}

Test(cache_invalidation, it_is_known_after_the_cache_was_opened_anew)
{
	if (!is_shared())
		return; /* then the values are gone, too */
	set_tagged(users, TEXT("1"), "a");
	set_to(space_of(cache, "order", "globex"), TEXT("1"), TEXT("v"));
	set_to(space_of(cache, "order", "initech"), TEXT("1"), TEXT("v"));
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	expect(0, lf_cache_invalidate_org(cache, TEXT("globex"), &err));
	expect(0, lf_cache_settle(cache, WITHIN_MS, &err));
	reopen();
	expect_nothing(users, TEXT("1"));
	expect_nothing(space_of(cache, "order", "globex"), TEXT("1"));
	expect_value(space_of(cache, "order", "initech"), TEXT("1"), TEXT("v"));
}

/* --- the log ------------------------------------------------------------------------------------------ */

struct lines {
	size_t count, enough;
	char what[16][200];
};

static int note(void *arg, const struct lf_cache_log_line *line)
{
	struct lines *lines = arg;

	cr_assert_lt(lines->count, 16);
	(void)snprintf(lines->what[lines->count++], sizeof(lines->what[0]), "%s %.*s %.*s", line->what, (int)line->org.len,
	               line->org.data ? line->org.data : "", (int)line->name.len, line->name.data ? line->name.data : "");
	return lines->count == lines->enough;
}

Test(cache_invalidation, the_log_tells_what_was_invalidated_the_newest_first)
{
	static const char *const begin_with[] = { "org acme", "type", "prefix acme", "tag acme" };
	static const char *const name[] = { "acme", "user", "a:", "t" };
	struct lines lines = { .count = 0 };

	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("t"), &err));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("a:"), &err));
	expect(0, lf_cache_invalidate_type(cache, TEXT("user"), &err));
	expect(0, lf_cache_invalidate_org(cache, TEXT("acme"), &err));
	cr_assert_geq(lf_cache_log(cache, 100, note, &lines, &err), 0, "%s", err.text);
	cr_assert_eq(lines.count, 4, "%zu", lines.count);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(strncmp(lines.what[i], begin_with[i], strlen(begin_with[i])), 0, "%s", lines.what[i]);
		cr_assert_not_null(strstr(lines.what[i], name[i]), "%s", lines.what[i]);
	}
	lines = (struct lines){ .count = 0, .enough = 2 };
	cr_assert_geq(lf_cache_log(cache, 100, note, &lines, &err), 0, "%s", err.text);
	cr_assert_eq(lines.count, 2);
	lines = (struct lines){ .count = 0 };
	cr_assert_geq(lf_cache_log(cache, 3, note, &lines, &err), 0, "%s", err.text);
	cr_assert_eq(lines.count, 3);
}
