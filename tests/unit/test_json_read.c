#include "agent/core/json_read.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/fields.h"
#include "agent/core/json.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static char room[4096];
static struct lf_error why;

static int read_text(struct lf_text object, struct lf_entry *out)
{
	cr_assert_leq(object.len, sizeof(room));
	return lf_json_read_entry(object, room, out, &why);
}

static char *print(const struct lf_entry *entry)
{
	char *json = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&json, &len);

	lf_json_entry(out, entry);
	(void)fclose(out);
	return json;
}

Test(json_read, what_is_printed_reads_back_and_prints_the_same)
{
	const struct lf_entry entry = {
		.hash = TEXT("3f2a0000000000000000000000000000"),
		.namespace = TEXT("shop"),
		.method = TEXT("printf"),
		.message_template = TEXT("\"quoted\"\\ \b\f\n\r\t\x01 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
		.template_kind = TEXT("format"),
		.top_frame = TEXT("prog!main"),
		.persist_to_cache = true,
		.tags = TEXT("[\"a\",\"b \\\" c\"]"),
		.first_seen_at = TEXT("2024-05-06T07:08:09.123Z"),
		.last_seen_at = TEXT("2024-05-06T07:08:10.000Z"),
		.count_total = INT64_MAX,
		.counts = { 1, 2, 3, 4, 5 },
		.source_line = -7,
		.flags_version = 7,
		.flags_writer = TEXT("host:agent"),
	};
	char *json = print(&entry), *again;
	struct lf_entry back;

	cr_assert_eq(read_text((struct lf_text){ json, strlen(json) }, &back), 0, "%s", why.text);
	again = print(&back);
	cr_assert_str_eq(again, json);
	cr_assert(!back.enabled && back.persist_to_cache && !back.persist_to_db);
	free(json);
	free(again);
}

Test(json_read, what_is_missing_is_as_an_entry_is_born)
{
	struct lf_entry entry;

	cr_assert_eq(read_text(TEXT(" { } "), &entry), 0, "%s", why.text);
	cr_assert(entry.enabled && entry.persist_to_cache && entry.persist_to_db);
	cr_assert_eq(entry.count_total, 0);
	cr_assert_eq(entry.method.len, 0);
	cr_assert_eq(memcmp(entry.tags.data, "[]", 2), 0);
}

Test(json_read, what_nobody_knows_is_skipped_whatever_it_holds)
{
	static const char object[] = "{\"_id\":{\"a\":[1,-2.5e7,null,{\"b\":\"}\\\"\"}],\"c\":{}},\"x\":[],"
				     "\"method\":\"puts\",\"later\":true}";
	struct lf_entry entry;

	cr_assert_eq(read_text((struct lf_text){ object, sizeof(object) - 1 }, &entry), 0, "%s", why.text);
	cr_assert_eq(entry.method.len, 4);
	cr_assert_eq(memcmp(entry.method.data, "puts", 4), 0);
}

Test(json_read, escapes_become_the_characters_that_they_mean)
{
	struct lf_entry entry;

	cr_assert_eq(read_text(TEXT("{\"method\":\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\\/\"}"), &entry), 0,
		     "%s", why.text);
	cr_assert_eq(entry.method.len, 11);
	cr_assert_eq(memcmp(entry.method.data, "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80/", 11), 0);
}

Test(json_read, what_is_no_such_object_is_refused_with_place_and_reason)
{
	static const char *const bad[] = {
		"", "null", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{} x",
		"{\"method\":1}", "{\"method\":\"x}", "{\"method\":\"\x01\"}", "{\"method\":\"\\q\"}",
		"{\"method\":\"\\u12\"}", "{\"method\":\"\\ud800\"}", "{\"method\":\"\\udc00\"}",
		"{\"method\":\"\\ud800\\u0041\"}", "{\"method\":\"\\u0000\"}", "{\"method\":\"\xff\"}",
		"{\"countTotal\":-1}", "{\"countTotal\":1.5}", "{\"countTotal\":1e3}", "{\"countTotal\":01}",
		"{\"countTotal\":\"1\"}", "{\"countTotal\":9223372036854775808}", "{\"enabled\":1}",
		"{\"enabled\":tru}", "{\"tags\":[1]}", "{\"tags\":\"a\"}", "{\"tags\":[\"a\"}", "{\"x\":+}",
		"{\"x\":[1,]}", "{\"x\":{\"y\":1,}}", "{\"x\":{1:2}}", "{\"x\":[}", "{'a':1}",
	};
	struct lf_entry entry;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why.text[0] = '\0';
		cr_expect_eq(read_text((struct lf_text){ bad[i], strlen(bad[i]) }, &entry), -EINVAL,
			     "%s passes", bad[i]);
		cr_expect(strncmp(why.text, "character ", 10) == 0, "%s: '%s'", bad[i], why.text);
	}
}

/* No byte behind the object may be looked at: each cut stands at the end of its own block. */
Test(json_read, an_object_that_is_cut_anywhere_is_refused)
{
	static const char whole[] = "{\"method\":\"a\\u00e4\\n\",\"countTotal\":12,\"enabled\":false,"
				    "\"tags\":[\"x\"],\"y\":[true,{\"z\":null}]}";
	struct lf_entry entry;

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char *copy = malloc(len ? len : 1);

		memcpy(copy, whole, len);
		cr_expect_eq(read_text((struct lf_text){ copy, len }, &entry), -EINVAL, "cut at %zu", len);
		free(copy);
	}
}

Test(json_read, what_is_nested_too_deeply_is_refused_before_the_stack_ends)
{
	char *deep = malloc(4000);
	struct lf_entry entry;

	memset(deep, '[', 4000);
	memcpy(deep, "{\"x\":", 5);
	cr_assert_eq(read_text((struct lf_text){ deep, 4000 }, &entry), -EINVAL);
	cr_assert_not_null(strstr(why.text, "deep"));
	free(deep);
}
