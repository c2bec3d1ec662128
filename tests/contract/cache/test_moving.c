/* Export and import, what is critical, who is told, and what is counted. */
#include "tests/contract/cache/stand.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(cache_moving, .init = open_stand, .fini = close_stand);

/* --- export and import -------------------------------------------------------------------------------- */

enum { LINES_MAX = 16 };

struct lines {
	size_t count;
	char *line[LINES_MAX];
	size_t len[LINES_MAX];
};

static void keep(void *arg, struct lf_text line)
{
	struct lines *lines = arg;

	cr_assert_lt(lines->count, LINES_MAX);
	cr_assert_null(memchr(line.data, '\n', line.len ? line.len - 1 : 0), "more than one line");
	lines->line[lines->count] = malloc(line.len + 1);
	memcpy(lines->line[lines->count], line.data, line.len);
	lines->len[lines->count++] = line.len;
}

static void export_all(struct lf_cache_space *space, struct lines *lines)
{
	uint64_t count = 0;

	lines->count = 0;
	expect(0, lf_cache_export(space, keep, lines, &count, &err));
	cr_assert_eq(count, lines->count);
}

static void import_all(struct lf_cache_space *space, struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		cr_assert_geq(lf_cache_import(space, (struct lf_text){ lines->line[i], lines->len[i] }, &err), 0, "%s", err.text);
		free(lines->line[i]);
	}
}

Test(cache_moving, what_is_exported_is_the_same_after_it_was_imported)
{
	struct lf_cache_space *copies = space_of(cache, "user", "globex");
	struct lf_text tag = BYTES;
	struct lf_cache_set how = { .ttl_ms = DAY_MS, .tags = &tag, .tags_count = 1 };
	struct lf_cache_value found = { .record = NULL };
	struct lines lines;

	set_to(users, TEXT("plain \"quoted\" \\ \n zoë"), TEXT("\x01 \x7f \xc3\xab \xf0\x9f\x98\x80"));
	set_to(users, BYTES, BYTES);
	set_to(users, TEXT("empty"), TEXT(""));
	expect(1, lf_cache_set_if_newer(users, TEXT("tagged"), TEXT("v"), UINT64_MAX, &how, &err));
	set_field(users, TEXT("hash"), BYTES, BYTES);
	set_field(users, TEXT("hash"), TEXT(""), TEXT(""));
	expect(1, lf_cache_expire(users, TEXT("hash"), 5000, &err));
	export_all(users, &lines);
	cr_assert_eq(lines.count, 5);
	import_all(copies, &lines);
	only_below();
	expect_value(copies, TEXT("plain \"quoted\" \\ \n zoë"), TEXT("\x01 \x7f \xc3\xab \xf0\x9f\x98\x80"));
	expect_ttl(copies, TEXT("empty"), LF_CACHE_TTL_NONE);
	expect_value(copies, BYTES, BYTES);
	expect_value(copies, TEXT("empty"), TEXT(""));
	expect_field(copies, TEXT("hash"), BYTES, BYTES);
	expect_field(copies, TEXT("hash"), TEXT(""), TEXT(""));
	expect_ttl(copies, TEXT("hash"), 5000);
	expect_ttl(copies, TEXT("tagged"), DAY_MS);
	expect(1, lf_cache_get(copies, TEXT("tagged"), &found, &err));
	cr_assert_eq(found.revision, UINT64_MAX);
	lf_cache_value_release(&found);
	expect(0, lf_cache_invalidate_tag(cache, TEXT("globex"), tag, &err));
	expect_nothing(copies, TEXT("tagged"));
	expect_value(copies, TEXT("empty"), TEXT(""));
}

Test(cache_moving, what_has_expired_or_was_invalidated_is_not_exported)
{
	struct lf_cache_set how = { .ttl_ms = 1000 };
	struct lines lines;

	expect(1, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	set_tagged(users, TEXT("2"), "a");
	set_to(users, TEXT("3"), TEXT("v"));
	clock_moves(1000);
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	export_all(users, &lines);
	cr_assert_eq(lines.count, 1);
	import_all(users, &lines);
}

Test(cache_moving, a_line_that_is_none_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = {
		"", "{", "x", "null", "[]", "{}", "{\"id\": \"1\"}", "{\"id\": \"1\", \"type\": \"string\"}",
		"{\"type\": \"string\", \"value\": \"v\"}", "{\"id\": \"\", \"type\": \"string\", \"value\": \"v\"}",
		"{\"id\": \"1\", \"type\": \"list\", \"value\": \"v\"}", "{\"id\": 1, \"type\": \"string\", \"value\": \"v\"}",
		"{\"id\": \"1\", \"type\": \"string\", \"value\": {\"base64\": \"*\"}}",
		"{\"id\": \"1\", \"type\": \"hash\", \"fields\": [[\"f\"]]}",
		"{\"id\": \"1\", \"type\": \"string\", \"value\": \"v\", \"ttlMs\": \"x\"}",
		"{\"id\": \"1\", \"type\": \"string\", \"value\": \"v\"} more",
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		int rc = lf_cache_import(users, text(wrong[i]), &err);

		cr_assert_eq(rc, -EINVAL, "%s: %d", wrong[i], rc);
	}
	expect_nothing(users, TEXT("1"));
	expect(-EINVAL, lf_cache_import(users, BYTES, &err));
}

/* --- what is critical --------------------------------------------------------------------------------- */

Test(cache_moving, what_is_critical_is_kept_by_sqlite_or_refused)
{
	struct lf_cache_space *orders = space_of(cache, "order", "acme");
	struct lf_cache_set how = { .critical = true };
	int want = has(LF_CACHE_SQLITE) ? 1 : -EHOSTDOWN;

	expect(want, lf_cache_set(users, TEXT("1"), TEXT("v"), &how, &err));
	expect(want, lf_cache_set(orders, TEXT("paid-1"), TEXT("v"), NULL, &err));
	expect(1, lf_cache_set(orders, TEXT("open-1"), TEXT("v"), NULL, &err));
	if (want != 1)
		return;
	reopen();
	expect_value(users, TEXT("1"), TEXT("v"));
	expect_value(space_of(cache, "order", "acme"), TEXT("paid-1"), TEXT("v"));
}

/* --- who is told -------------------------------------------------------------------------------------- */

static unsigned told[LF_CACHE_EVENTS];

static void hear(void *arg, const struct lf_cache_notice *notice)
{
	cr_assert_eq(arg, (void *)told);
	if (notice->space == users && !notice->elsewhere)
		told[notice->event]++;
}

Test(cache_moving, who_listens_is_told_of_what_was_asked_for_until_it_stops)
{
	struct lf_cache_value found = { .record = NULL };
	int number = lf_cache_listen(cache, 1u << LF_CACHE_HIT | 1u << LF_CACHE_MISS | 1u << LF_CACHE_DELETE, hear, told, &err);

	cr_assert_geq(number, 0, "%s", err.text);
	expect(0, lf_cache_get(users, TEXT("1"), &found, &err));
	set_to(users, TEXT("1"), TEXT("v"));
	expect_value(users, TEXT("1"), TEXT("v"));
	expect(1, lf_cache_del(users, TEXT("1"), &err));
	cr_assert_eq(told[LF_CACHE_MISS], 1, "%u", told[LF_CACHE_MISS]);
	cr_assert_eq(told[LF_CACHE_HIT], 1, "%u", told[LF_CACHE_HIT]);
	cr_assert_eq(told[LF_CACHE_DELETE], 1, "%u", told[LF_CACHE_DELETE]);
	cr_assert_eq(told[LF_CACHE_SET], 0);
	lf_cache_unlisten(cache, number);
	expect(0, lf_cache_get(users, TEXT("1"), &found, &err));
	cr_assert_eq(told[LF_CACHE_MISS], 1);
}

/* --- how it is ---------------------------------------------------------------------------------------- */

Test(cache_moving, lookups_and_changes_are_counted_once)
{
	struct lf_text ids[] = { TEXT("1"), TEXT("2"), TEXT("none") };
	struct lf_cache_value found[3];
	struct lf_cache_stats before, after;

	memset(found, 0, sizeof(found));
	set_to(users, TEXT("1"), TEXT("v"));
	set_to(users, TEXT("2"), TEXT("v"));
	lf_cache_stats(cache, &before);
	cr_assert(before.enabled);
	expect(2, lf_cache_mget(users, ids, 3, found, &err));
	lf_cache_value_release(&found[0]);
	lf_cache_value_release(&found[1]);
	only_below();
	expect_value(users, TEXT("1"), TEXT("v"));
	expect(0, lf_cache_get(users, TEXT("none"), &found[0], &err));
	set_to(users, TEXT("3"), TEXT("v"));
	expect(1, lf_cache_del(users, TEXT("3"), &err));
	lf_cache_stats(cache, &after);
	cr_assert_eq(after.hits - before.hits, 3, "%llu",
	             (unsigned long long)(after.hits - before.hits));
	cr_assert_eq(after.misses - before.misses, 2, "%llu", (unsigned long long)(after.misses - before.misses));
	cr_assert_eq(after.sets - before.sets, 1);
	cr_assert_eq(after.deletes - before.deletes, 1);
}

Test(cache_moving, a_cache_whose_tiers_are_all_there_is_healthy)
{
	struct lf_cache_health health;
	struct lf_cache_stats stats;

	lf_cache_health(cache, &health);
	cr_assert_eq(health.state, LF_CACHE_HEALTHY, "%s", health.reason);
	cr_assert_str_eq(health.reason, "");
	lf_cache_stats(cache, &stats);
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		cr_assert_str_eq(lf_cache_tier_state_name(stats.tier[i].state), has((enum lf_cache_tier)i) ? "up" : "off");
}

Test(cache_moving, a_tier_that_is_switched_off_is_not_used_and_used_again_when_it_is_on)
{
	int below = has(LF_CACHE_REDIS) ? LF_CACHE_REDIS : has(LF_CACHE_SQLITE) ? LF_CACHE_SQLITE : LF_CACHE_MONGO;

	if (!has(LF_CACHE_MEMORY) || !is_shared())
		return; /* then nothing is left */
	expect(0, lf_cache_switch(cache, (enum lf_cache_tier)below, false, &err));
	set_to(users, TEXT("1"), TEXT("v"));
	expect_value(users, TEXT("1"), TEXT("v"));
	expect(0, lf_cache_switch(cache, (enum lf_cache_tier)below, true, &err));
	set_to(users, TEXT("2"), TEXT("v"));
	only_below();
	expect_value(users, TEXT("2"), TEXT("v"));
}
