#include "sinks/cache/lines.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/base64.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { NOW_MS = 1000000 };

static bool same(struct lf_text a, struct lf_text b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* --- base64 ---------------------------------------------------------------------------------------- */

Test(cache_lines, base64_is_as_in_rfc_4648)
{
	static const char *const known[][2] = { { "", "" },         { "f", "Zg==" },         { "fo", "Zm8=" },
		                                { "foo", "Zm9v" },  { "foob", "Zm9vYg==" },  { "fooba", "Zm9vYmE=" },
		                                { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" }, { "\xfb\xef\xbe", "++++" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct lf_text bytes = { known[i][0], strlen(known[i][0]) }, text = { known[i][1], strlen(known[i][1]) };
		char encoded[16], decoded[16];
		size_t len;

		lf_base64_encode(bytes, encoded);
		cr_assert_eq(lf_base64_size(bytes.len), text.len);
		cr_assert(memcmp(encoded, text.data, text.len) == 0, "%s became %.*s", known[i][0], (int)text.len, encoded);
		cr_assert(lf_base64_decode(text, decoded, &len));
		cr_assert(same((struct lf_text){ decoded, len }, bytes), "%s", known[i][1]);
	}
}

Test(cache_lines, what_is_no_base64_is_not_taken_for_it)
{
	static const struct lf_text wrong[] = { TEXT("Z"),    TEXT("Zg"),   TEXT("Zg="),      TEXT("Zg=a"),  TEXT("===="), TEXT("Zh=="),
		                                TEXT("Zm9="), TEXT("Zm-_"), TEXT("Zg==Zg=="), TEXT("Zm\0v"), TEXT("Zm9v\n") };
	char decoded[16];
	size_t len;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_not(lf_base64_decode(wrong[i], decoded, &len), "%s", wrong[i].data);
}

/* --- writing --------------------------------------------------------------------------------------- */

static void expect_written(struct lf_text id, const struct lf_record *record, const char *expected)
{
	size_t len;
	char *line = lf_line_write(id, record, NOW_MS, &len);

	cr_assert_not_null(line);
	cr_assert_eq(len, strlen(expected));
	cr_assert_str_eq(line, expected);
	free(line);
}

Test(cache_lines, a_string_has_what_belongs_to_it_and_nothing_else)
{
	struct lf_record_tag tags[] = { { TEXT("user:1"), 5 }, { TEXT("\xff"), 0 } };
	struct lf_record record = { .type = LF_RECORD_STRING, .value = TEXT("gr\xc3\xbc\xc3\x9f\t\"\\\n") };

	expect_written(TEXT("a"), &record, "{\"id\": \"a\", \"type\": \"string\", \"value\": \"gr\xc3\xbc\xc3\x9f\\u0009\\\"\\\\\\u000a\"}");
	record.value = (struct lf_text){ "", 0 };
	record.expires_ms = NOW_MS + 86400000;
	record.tags = tags;
	record.tags_count = 2;
	record.revision = 7;
	record.flags = LF_RECORD_CRITICAL;
	expect_written(TEXT("a"), &record,
	               "{\"id\": \"a\", \"type\": \"string\", \"value\": \"\", \"ttlMs\": 86400000, \"tags\": [\"user:1\", "
	               "{\"base64\": \"/w==\"}], \"revision\": 7, \"critical\": true}");
}

Test(cache_lines, bytes_that_are_no_text_are_base64)
{
	struct lf_record record = { .type = LF_RECORD_STRING, .value = TEXT("\xff\xfe") };

	expect_written(TEXT("a\0b"), &record,
	               "{\"id\": {\"base64\": \"YQBi\"}, \"type\": \"string\", \"value\": {\"base64\": \"//4=\"}}");
}

Test(cache_lines, a_hash_has_its_fields_as_pairs)
{
	struct lf_record record = { .type = LF_RECORD_HASH, .value = TEXT("\1\0\0\0n\2\0\0\0v1\0\0\0\0\1\0\0\0\xff") };

	expect_written(TEXT("h"), &record,
	               "{\"id\": \"h\", \"type\": \"hash\", \"fields\": [[\"n\", \"v1\"], [\"\", {\"base64\": \"/w==\"}]]}");
}

/* --- reading --------------------------------------------------------------------------------------- */

static struct lf_line_reader *reader;
static struct lf_line line;

static void begin(void)
{
	cr_assert_eq(lf_line_reader_new(&reader, NULL), 0);
}

static void end(void)
{
	lf_line_reader_free(reader);
}

TestSuite(cache_lines, .init = begin, .fini = end);

static void read_line(const char *json)
{
	struct lf_error err = { "" };
	int rc = lf_line_read(reader, (struct lf_text){ json, strlen(json) }, &line, &err);

	cr_assert_eq(rc, 0, "%s: %s", json, err.text);
}

static void expect_refused(struct lf_text json, const char *why)
{
	struct lf_error err = { "" };

	cr_assert_eq(lf_line_read(reader, json, &line, &err), -EINVAL, "%s", json.data);
	cr_assert_not_null(strstr(err.text, why), "%s: %s", json.data, err.text);
}

Test(cache_lines, what_was_written_is_read_as_it_was)
{
	struct lf_record_tag tags[] = { { TEXT("user:1"), 5 }, { TEXT("\xff"), 0 } };
	struct lf_record record = { .type = LF_RECORD_STRING,
		                    .value = TEXT("gr\xc3\xbc\xc3\x9f\t\"\\\n\x7f \xf0\x9f\x98\x80"),
		                    .expires_ms = NOW_MS + 1,
		                    .revision = UINT64_MAX,
		                    .flags = LF_RECORD_CRITICAL,
		                    .tags = tags,
		                    .tags_count = 2 };
	size_t len;
	char *written = lf_line_write(TEXT("a\0b"), &record, NOW_MS, &len);

	read_line(written);
	free(written);
	cr_assert(same(line.id, TEXT("a\0b")));
	cr_assert_eq(line.type, LF_RECORD_STRING);
	cr_assert(same(line.value, record.value));
	cr_assert_eq(line.ttl_ms, 1);
	cr_assert_eq(line.revision, UINT64_MAX);
	cr_assert(line.critical);
	cr_assert_eq(line.tags_count, 2);
	cr_assert(same(line.tags[0], TEXT("user:1")));
	cr_assert(same(line.tags[1], TEXT("\xff")));
}

Test(cache_lines, fields_are_read_in_their_order)
{
	read_line("{\"fields\": [[\"n\", \"v1\"], [{\"base64\": \"/w==\"}, \"\"]], \"type\": \"hash\", \"id\": \"h\", \"else\": [1]}");
	cr_assert_eq(line.type, LF_RECORD_HASH);
	cr_assert_eq(line.fields_count, 2);
	cr_assert(same(line.fields[0].name, TEXT("n")) && same(line.fields[0].value, TEXT("v1")));
	cr_assert(same(line.fields[1].name, TEXT("\xff")) && same(line.fields[1].value, TEXT("")));
	cr_assert_eq(line.ttl_ms, 0);
	read_line("{\"id\": \"\\u00fc\\ud83d\\ude00\", \"type\": \"string\", \"value\": \"\"}");
	cr_assert(same(line.id, TEXT("\xc3\xbc\xf0\x9f\x98\x80")));
	cr_assert_eq(line.fields_count, 0);
	cr_assert_eq(line.tags_count, 0);
}

Test(cache_lines, a_line_that_is_none_is_refused_with_what_is_wrong)
{
#define LINE(rest) TEXT("{\"id\": \"a\", \"type\": \"string\", \"value\": \"v\", " rest "}")
	expect_refused(TEXT(""), "no JSON object");
	expect_refused(TEXT("[]"), "no JSON object");
	expect_refused(TEXT("{\"id\": \"a\""), "no JSON object");
	expect_refused(TEXT("{\"id\": \"\xff\"}"), "UTF-8");
	expect_refused(TEXT("{}\0"), "NUL");
	expect_refused(LINE("\"tags\": [\"a\\u0000\"]"), "\\u0000");
	expect_refused(TEXT("{\"type\": \"string\", \"value\": \"v\"}"), "id is missing");
	expect_refused(TEXT("{\"id\": \"\", \"type\": \"string\", \"value\": \"v\"}"), "id is missing");
	expect_refused(TEXT("{\"id\": \"a\", \"value\": \"v\"}"), "type is missing");
	expect_refused(TEXT("{\"id\": \"a\", \"type\": \"string\"}"), "value is missing");
	expect_refused(TEXT("{\"id\": \"a\", \"type\": \"hash\", \"fields\": []}"), "fields is missing");
	expect_refused(LINE("\"type\": \"list\""), "type must be");
	expect_refused(LINE("\"value\": 5"), "value must be");
	expect_refused(LINE("\"value\": {\"base64\": \"Zg\"}"), "base64");
	expect_refused(LINE("\"value\": {\"base64\": 5}"), "value must be");
	expect_refused(LINE("\"value\": \"\\ud800\""), "characters");
	expect_refused(LINE("\"ttlMs\": 0"), "ttlMs must be");
	expect_refused(LINE("\"ttlMs\": 1.5"), "ttlMs must be");
	expect_refused(LINE("\"ttlMs\": \"5\""), "ttlMs must be");
	expect_refused(LINE("\"ttlMs\": 99999999999999999999"), "ttlMs must be");
	expect_refused(LINE("\"revision\": -1"), "revision must be");
	expect_refused(LINE("\"revision\": \"18446744073709551616\""), "revision must be");
	expect_refused(LINE("\"critical\": 1"), "critical must be");
	expect_refused(LINE("\"tags\": \"a\""), "tags must be");
	expect_refused(LINE("\"tags\": [[\"a\"]]"), "a tag must be");
	expect_refused(LINE("\"tags\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\","
	                    "\"18\",\"19\",\"20\",\"21\",\"22\",\"23\",\"24\",\"25\",\"26\",\"27\",\"28\",\"29\",\"30\",\"31\",\"32\",\"33\"]"), "more than 32 tags");
	expect_refused(LINE("\"fields\": {}"), "fields must be");
	expect_refused(LINE("\"fields\": [\"a\"]"), "a field must be");
	expect_refused(LINE("\"fields\": [[\"a\"]]"), "a field must be");
	expect_refused(LINE("\"fields\": [[\"a\", \"b\", \"c\"]]"), "a field must be");
}

Test(cache_lines, a_long_line_and_a_short_one_after_it_are_read)
{
	enum { BYTES = 1 << 20 };
	char *json = malloc(BYTES + 100);
	int len = sprintf(json, "{\"id\": \"a\", \"type\": \"string\", \"value\": \"");

	memset(json + len, 'x', BYTES);
	(void)strcpy(json + len + BYTES, "\"}");
	read_line(json);
	cr_assert_eq(line.value.len, BYTES);
	read_line("{\"id\": \"a\", \"type\": \"string\", \"value\": \"short\"}");
	cr_assert(same(line.value, TEXT("short")));
	free(json);
}
