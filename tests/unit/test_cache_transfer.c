#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/internal.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { START_MS = 1000000, LINES_MAX = 16 };

static _Atomic int64_t now_ms = START_MS;
static struct lf_cache *cache;
static struct lf_cache_space *space, *other;
static struct lf_error err;
static char *lines[LINES_MAX];
static uint64_t count;

static int64_t clock_ms(void *arg)
{
	(void)arg;
	return atomic_load(&now_ms);
}

static void open_cache(void)
{
	static const struct lf_cache_class of_all = { .ttl_ms = 77777 };
	struct lf_cache_options options;

	lf_cache_options_init(&options);
	options.classes = &of_all;
	options.classes_count = 1;
	options.clock_ms = clock_ms;
	options.value_max = 1000;
	cr_assert_eq(lf_cache_open(&cache, &options, &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_space(&space, cache, "user", "acme", &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_space(&other, cache, "user", "other", &err), 0, "%s", err.text);
}

static void close_cache(void)
{
	lf_cache_close(cache);
	for (int i = 0; i < LINES_MAX; i++)
		free(lines[i]);
}

TestSuite(cache_transfer, .init = open_cache, .fini = close_cache);

static void keep_line(void *arg, struct lf_text line)
{
	int *at = arg;

	cr_assert_lt(*at, LINES_MAX);
	free(lines[*at]);
	lines[*at] = strndup(line.data, line.len);
	cr_assert_null(strchr(lines[*at], '\n'));
	++*at;
}

static void export(void)
{
	int at = 0;

	cr_assert_eq(lf_cache_export(space, keep_line, &at, &count, &err), 0, "%s", err.text);
	cr_assert_eq(count, (uint64_t)at);
}

static int import(const char *line)
{
	return lf_cache_import(other, (struct lf_text){ line, strlen(line) }, &err);
}

static void expect_value(struct lf_text id, struct lf_text expected, uint64_t revision)
{
	struct lf_cache_value value;

	cr_assert_eq(lf_cache_get(other, id, &value, &err), 1);
	cr_assert(value.len == expected.len && memcmp(value.data, expected.data, value.len) == 0);
	cr_assert_eq(value.revision, revision);
	lf_cache_value_release(&value);
}

Test(cache_transfer, a_space_that_is_moved_is_as_it_was)
{
	struct lf_text tags[] = { TEXT("row:1"), TEXT("\xff") };
	struct lf_cache_set how = { .ttl_ms = 5000, .tags = tags, .tags_count = 2 }, forever = { .ttl_ms = LF_CACHE_TTL_NONE };
	struct lf_cache_field fields[] = { { TEXT("f\0"), TEXT("\x80") }, { TEXT(""), TEXT("v") } };
	struct lf_cache_value value;
	int64_t ttl_ms;

	cr_assert_eq(lf_cache_set(space, TEXT("a\xff"), TEXT("one"), &how, &err), 1);
	cr_assert_eq(lf_cache_set_if_newer(space, TEXT("b"), TEXT("\0"), 7, &forever, &err), 1);
	cr_assert_eq(lf_cache_hset(space, TEXT("h"), fields, 2, &err), 2);
	cr_assert_eq(lf_cache_expire(space, TEXT("h"), 9000, &err), 1);
	cr_assert_eq(lf_cache_set(space, TEXT("gone"), TEXT(""), &(struct lf_cache_set){ .ttl_ms = 999 }, &err), 1);
	atomic_fetch_add(&now_ms, 1000);
	export();
	cr_assert_eq(count, 3);
	for (uint64_t i = 0; i < count; i++)
		cr_assert_eq(import(lines[i]), 1, "%s: %s", lines[i], err.text);
	expect_value(TEXT("a\xff"), TEXT("one"), 0);
	expect_value(TEXT("b"), TEXT("\0"), 7);
	cr_assert_eq(lf_cache_ttl(other, TEXT("a\xff"), &ttl_ms, &err), 1);
	cr_assert_eq(ttl_ms, 4000);
	cr_assert_eq(lf_cache_ttl(other, TEXT("b"), &ttl_ms, &err), 1);
	cr_assert_eq(ttl_ms, LF_CACHE_TTL_NONE);
	cr_assert_eq(lf_cache_ttl(other, TEXT("h"), &ttl_ms, &err), 1);
	cr_assert_eq(ttl_ms, 8000);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(lf_cache_hget(other, TEXT("h"), fields[i].name, &value, &err), 1);
		cr_assert(value.len == fields[i].value.len && memcmp(value.data, fields[i].value.data, value.len) == 0);
		lf_cache_value_release(&value);
	}
	cr_assert_eq(lf_cache_exists(other, TEXT("gone"), &err), 0);
}

Test(cache_transfer, what_was_imported_has_its_tags)
{
	struct lf_cache_value value;

	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"1\", \"tags\": [\"t\"]}"), 1, "%s", err.text);
	cr_assert_eq(import("{\"id\": \"h\", \"type\": \"hash\", \"fields\": [[\"f\", \"1\"]], \"tags\": [\"t\"]}"), 1, "%s", err.text);
	cr_assert_eq(lf_cache_exists(other, TEXT("a"), &err) + lf_cache_exists(other, TEXT("h"), &err), 2);
	cr_assert_eq(lf_cache_invalidate_tag(cache, TEXT("other"), TEXT("t"), &err), 0);
	cr_assert_eq(lf_cache_exists(other, TEXT("a"), &err) + lf_cache_exists(other, TEXT("h"), &err), 0);
	cr_assert_eq(lf_cache_get(other, TEXT("a"), &value, &err), 0);
}

Test(cache_transfer, a_newer_revision_stays_and_all_else_is_overwritten)
{
	cr_assert_eq(lf_cache_set_if_newer(other, TEXT("a"), TEXT("new"), 8, NULL, &err), 1);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"old\", \"revision\": 7}"), 0);
	expect_value(TEXT("a"), TEXT("new"), 8);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"newer\", \"revision\": 9}"), 1);
	expect_value(TEXT("a"), TEXT("newer"), 9);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"hash\", \"fields\": [[\"f\", \"1\"], [\"f\", \"2\"]]}"), 1);
	cr_assert_eq(lf_cache_hexists(other, TEXT("a"), TEXT("f"), &err), 1);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"text\"}"), 1);
	expect_value(TEXT("a"), TEXT("text"), 0);
}

Test(cache_transfer, a_newer_revision_stays_under_a_line_of_a_hash_too)
{
	cr_assert_eq(lf_cache_set_if_newer(other, TEXT("a"), TEXT("kept"), 8, NULL, &err), 1);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"hash\", \"fields\": [[\"f\", \"old\"]], \"revision\": 8}"), 0);
	expect_value(TEXT("a"), TEXT("kept"), 8);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"hash\", \"fields\": [[\"f\", \"newer\"]], \"revision\": 9}"), 1);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"old\", \"revision\": 9}"), 0);
	cr_assert_eq(lf_cache_hexists(other, TEXT("a"), TEXT("f"), &err), 1);
}

Test(cache_transfer, a_line_that_cannot_be_taken_is_told)
{
	char id[1100], line[2200];

	memset(id, 'x', 1025);
	id[1025] = '\0';
	(void)sprintf(line, "{\"id\": \"%s\", \"type\": \"string\", \"value\": \"\"}", id);
	cr_assert_eq(import(line), -EINVAL);
	(void)sprintf(line, "{\"id\": \"a\", \"type\": \"string\", \"value\": \"%s\"}", id);
	cr_assert_eq(import(line), -EFBIG, "%s", err.text);
	(void)sprintf(line, "{\"id\": \"a\", \"type\": \"hash\", \"fields\": [[\"f\", \"%s\"]]}", id);
	cr_assert_eq(import(line), -EFBIG, "%s", err.text);
	cr_assert_eq(import("no json"), -EINVAL);
	cr_assert_eq(import("{\"id\": \"a\", \"type\": \"string\", \"value\": \"\", \"tags\": [\"\"]}"), -EINVAL);
}

Test(cache_transfer, out_of_a_disabled_cache_comes_a_refusal_and_not_nothing)
{
	int at = 0;

	lf_cache_enable(cache, false);
	cr_assert_eq(lf_cache_export(space, keep_line, &at, NULL, &err), -ECANCELED);
}

