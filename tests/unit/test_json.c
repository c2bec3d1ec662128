#include "agent/core/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/tags.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static void expect_string(struct lf_text text, const char *expected)
{
	char *json = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&json, &len);

	lf_json_string(out, text);
	(void)fclose(out);
	cr_assert_str_eq(json, expected);
	free(json);
}

static struct lf_entry an_entry(void)
{
	return (struct lf_entry){
		.hash = TEXT("3f2a0000000000000000000000000000"),
		.namespace = TEXT("shop"),
		.method = TEXT("printf"),
		.message_template = TEXT("user %s in\n"),
		.template_kind = TEXT("format"),
		.top_frame = TEXT("prog!main"),
		.enabled = true,
		.persist_to_cache = true,
		.persist_to_db = false,
		.tags = TEXT("[\"a\", \"b\"]"),
		.first_seen_at = TEXT("2024-05-06T07:08:09.123Z"),
		.last_seen_at = TEXT("2024-05-06T07:08:10.000Z"),
		.count_total = UINT64_MAX,
		.counts = { 1, 2, 3, 4, 5 },
		.flags_version = 7,
		.flags_writer = TEXT("host:agent"),
	};
}

static void expect_entry(const struct lf_entry *entry, const char *expected)
{
	char *json = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&json, &len);

	lf_json_entry(out, entry);
	(void)fclose(out);
	cr_assert_str_eq(json, expected);
	free(json);
}

Test(json, a_string_stands_in_quotes_with_its_special_characters_escaped)
{
	expect_string(TEXT(""), "\"\"");
	expect_string(TEXT("plain"), "\"plain\"");
	expect_string(TEXT("\"\\/\b\f\n\r\t"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
	expect_string(TEXT("\x01\x1b\x1f\x7f"), "\"\\u0001\\u001b\\u001f\x7f\"");
}

Test(json, utf8_text_is_left_as_it_is)
{
	expect_string(TEXT("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
}

Test(json, a_byte_that_is_not_utf8_becomes_four_characters)
{
	expect_string(TEXT("a\xff" "b\xc3(\xe2\x82"), "\"a\\\\xffb\\\\xc3(\\\\xe2\\\\x82\"");
	expect_string(TEXT("\xe2\x82\xac\xff\xe2\x82\xac"), "\"\xe2\x82\xac\\\\xff\xe2\x82\xac\"");
	expect_string(TEXT("a\0b"), "\"a\\\\x00b\"");
}

Test(json, an_entry_has_all_fields_in_the_order_of_the_header)
{
	struct lf_entry entry = an_entry();

	expect_entry(&entry,
		     "{\"hash\":\"3f2a0000000000000000000000000000\",\"namespace\":\"shop\","
		     "\"method\":\"printf\",\"messageTemplate\":\"user %s in\\n\","
		     "\"templateKind\":\"format\",\"topFrame\":\"prog!main\",\"enabled\":true,"
		     "\"countTotal\":18446744073709551615,\"countPassed\":1,\"countMuted\":2,"
		     "\"countSampled\":3,\"countLimited\":4,\"countFolded\":5,"
		     "\"firstSeenAt\":\"2024-05-06T07:08:09.123Z\","
		     "\"lastSeenAt\":\"2024-05-06T07:08:10.000Z\",\"persistToCache\":true,"
		     "\"persistToDb\":false,\"tags\":[\"a\",\"b\"],\"flagsVersion\":7,"
		     "\"flagsWriter\":\"host:agent\"}\n");
}

Test(json, fields_that_may_be_absent_come_last_and_only_when_known)
{
	struct lf_entry entry = an_entry();
	char *json = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&json, &len);

	entry.source_file = TEXT("main.c");
	entry.source_line = 12;
	entry.family = TEXT("aa");
	lf_json_entry(out, &entry);
	(void)fclose(out);
	cr_assert_not_null(strstr(json, "\"flagsWriter\":\"host:agent\",\"sourceFile\":\"main.c\","
					"\"sourceLine\":12,\"family\":\"aa\"}\n"),
			   "%s", json);
	free(json);
}

Test(json, tags_that_are_no_array_of_strings_become_an_empty_array)
{
	struct lf_entry entry = an_entry();
	char *json = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&json, &len);

	entry.tags = TEXT("[\"a\", 7, {\"evil\": ");
	lf_json_entry(out, &entry);
	(void)fclose(out);
	cr_assert_not_null(strstr(json, "\"tags\":[],\"flagsVersion\""), "%s", json);
	free(json);
}

Test(tags, only_an_array_of_strings_is_valid)
{
	static const struct lf_text good[] = {
		TEXT("[]"), TEXT(" [ ] "), TEXT("[\"a\"]"), TEXT("[\"a\",\n\"b\"]"),
		TEXT("[\"\\u00e4\\n\\\"\"]"), TEXT("[\"\xc3\xa4\"]"),
	};
	static const struct lf_text bad[] = {
		TEXT(""), TEXT("[\"a\""), TEXT("[\"a\",]"), TEXT("[,\"a\"]"), TEXT("[\"a\" \"b\"]"),
		TEXT("[a]"), TEXT("[1]"), TEXT("[[]]"), TEXT("\"a\""), TEXT("[]]"), TEXT("[\"\\x\"]"),
		TEXT("[\"\\u12g4\"]"), TEXT("[\"\\u12"), TEXT("[\"\n\"]"), TEXT("[\"\xff\"]"), TEXT("[\"\\"),
	};
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_assert(lf_tags_are_valid(good[i]), "%s", good[i].data);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_not(lf_tags_are_valid(bad[i]), "%s", bad[i].data);
}

Test(tags, a_tag_is_found_by_its_whole_text_whatever_its_escapes)
{
	struct lf_text tags = TEXT("[\"noisy\", \"a\\u00e4\\n\", \"\\ud83d\\ude00\", \"q\\\"\"]");

	cr_assert(lf_tags_have(tags, TEXT("noisy")));
	cr_assert(lf_tags_have(tags, TEXT("a\xc3\xa4\n")));
	cr_assert(lf_tags_have(tags, TEXT("\xf0\x9f\x98\x80")));
	cr_assert(lf_tags_have(tags, TEXT("q\"")));
	cr_assert_not(lf_tags_have(tags, TEXT("nois")));
	cr_assert_not(lf_tags_have(tags, TEXT("noisyy")));
	cr_assert_not(lf_tags_have(tags, TEXT("")));
	cr_assert_not(lf_tags_have(TEXT("[]"), TEXT("noisy")));
}

Test(tags, a_lone_surrogate_is_read_without_harm)
{
	cr_assert(lf_tags_are_valid(TEXT("[\"\\ud83d\"]")));
	cr_assert_not(lf_tags_have(TEXT("[\"\\ud83d\"]"), TEXT("x")));
	cr_assert_not(lf_tags_have(TEXT("[\"\\ud83d\\u\"]"), TEXT("x")));
}
