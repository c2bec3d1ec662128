#include "sinks/cache/key.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define TEXT(literal) ((struct lf_text){ (literal), sizeof(literal) - 1 })

static struct lf_text text(const char *s)
{
	return (struct lf_text){ s, strlen(s) };
}

static void expect_escaped(struct lf_text part, const char *want)
{
	char out[3 * LF_CACHE_ID_MAX], back[LF_CACHE_ID_MAX];
	size_t len = lf_key_escape(out, part), back_len;

	cr_assert_eq(len, strlen(want), "%.*s, not %s", (int)len, out, want);
	cr_assert_arr_eq(out, want, len);
	cr_assert(lf_key_unescape(back, &back_len, (struct lf_text){ out, len }));
	cr_assert_eq(back_len, part.len);
	cr_assert_arr_eq(back, part.data, part.len);
}

Test(cache_key, what_is_usual_in_names_stays_as_it_is_and_all_else_is_escaped)
{
	expect_escaped(TEXT("azAZ09._-@/+=,~"), "azAZ09._-@/+=,~");
	expect_escaped(TEXT("a:b"), "a%3Ab");
	expect_escaped(TEXT("%3A"), "%253A");
	expect_escaped(TEXT("{x}*?[]^\\ \"'#"), "%7Bx%7D%2A%3F%5B%5D%5E%5C%20%22%27%23");
	expect_escaped(TEXT("\0\n\x7f\x80\xff"), "%00%0A%7F%80%FF");
}

Test(cache_key, every_byte_comes_back_and_no_two_are_written_alike)
{
	char all[256], out[3 * 256];
	struct lf_text escaped = { out, 0 };
	char back[256];
	size_t len;

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	escaped.len = lf_key_escape(out, (struct lf_text){ all, 256 });
	cr_assert(lf_key_unescape(back, &len, escaped));
	cr_assert_eq(len, 256);
	cr_assert_arr_eq(back, all, 256);
}

Test(cache_key, text_that_escaping_never_makes_is_not_taken_back)
{
	static const char *const wrong[] = { "%", "%4", "a%", "a%0", "%0g", "%0a", "%fF", "%41", "%2D", "a b", "a:b", "\xc3" };
	char out[16];
	size_t len;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_not(lf_key_unescape(out, &len, text(wrong[i])), "%s", wrong[i]);
}

Test(cache_key, a_key_is_its_names_and_its_id_between_colons)
{
	struct lf_text names[] = { TEXT("shop"), TEXT("production"), TEXT("user"), TEXT("acme:1") };
	struct lf_text prefix = { (char[LF_KEY_MAX]){ 0 }, 0 };
	char out[LF_KEY_MAX];
	size_t len;

	cr_assert_eq(lf_key_prefix((char *)prefix.data, &prefix.len, names, 4, NULL), 0);
	cr_assert_eq(lf_key_make(out, &len, prefix, TEXT("7:8"), NULL), 0);
	cr_assert_eq(len, strlen("shop:production:user:acme%3A1:7%3A8"));
	cr_assert_arr_eq(out, "shop:production:user:acme%3A1:7%3A8", len);
	cr_assert_eq(lf_key_prefix((char *)prefix.data, &prefix.len, names, 2, NULL), 0);
	cr_assert_eq(prefix.len, strlen("shop:production:"));
}

Test(cache_key, names_and_ids_have_from_one_byte_to_their_limit)
{
	char long_name[LF_CACHE_NAME_MAX + 1], long_id[LF_CACHE_ID_MAX + 1], out[LF_KEY_MAX], prefix[LF_KEY_MAX];
	struct lf_text names[4], id;
	struct lf_error err = { "" };
	size_t len, prefix_len;

	memset(long_name, '\xff', sizeof(long_name));
	memset(long_id, '\0', sizeof(long_id));
	for (int i = 0; i < 4; i++)
		names[i] = (struct lf_text){ long_name, LF_CACHE_NAME_MAX };
	cr_assert_eq(lf_key_prefix(prefix, &prefix_len, names, 4, &err), 0);
	cr_assert_eq(prefix_len, LF_KEY_PREFIX_MAX);
	id = (struct lf_text){ long_id, LF_CACHE_ID_MAX };
	cr_assert_eq(lf_key_make(out, &len, (struct lf_text){ prefix, prefix_len }, id, &err), 0);
	cr_assert_eq(len, LF_KEY_MAX);
	id.len++;
	cr_assert_eq(lf_key_make(out, &len, TEXT("a:"), id, &err), -EINVAL);
	cr_assert(strstr(err.text, "id has 1025 bytes"), "%s", err.text);
	cr_assert_eq(lf_key_make(out, &len, TEXT("a:"), TEXT(""), &err), -EINVAL);
	names[2].len++;
	cr_assert_eq(lf_key_prefix(prefix, &prefix_len, names, 4, &err), -EINVAL);
	cr_assert(strstr(err.text, "type has 129 bytes"), "%s", err.text);
	names[0].len = 0;
	cr_assert_eq(lf_key_prefix(prefix, &prefix_len, names, 4, &err), -EINVAL);
	cr_assert(strstr(err.text, "app has 0 bytes"), "%s", err.text);
	cr_assert_eq(lf_key_prefix(prefix, &prefix_len, names, 5, &err), -EINVAL);
}

Test(cache_key, a_key_comes_apart_into_its_five_parts)
{
	static const char *const want[5] = { "a", "production", "user", "x%3Ay", "7%2A" };
	struct lf_text parts[5];

	cr_assert(lf_key_split(text("a:production:user:x%3Ay:7%2A"), parts));
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(parts[i].len, strlen(want[i]));
		cr_assert_arr_eq(parts[i].data, want[i], parts[i].len);
	}
}

Test(cache_key, names_of_stamps_and_locks_and_what_others_wrote_are_no_keys)
{
	static const char *const wrong[] = {
		"", ":", "::::", "a:b:c:d", "a:b:c:d:", "a:b:c:d:e:f", ":b:c:d:e", "a:b::d:e", "a:b:c:d:e ", "a:b:%tag:org:x",
		"a:b:%type:org:x", "a:b:%org:org:x", "a:b:%fence:c:d", "{a:b:c:d:e}#lock", "a:b:c:d:%3a", "a:b:c:d:%41",
	};
	char key[LF_KEY_MAX + 10];
	struct lf_text parts[5];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_not(lf_key_split(text(wrong[i]), parts), "%s", wrong[i]);
	memset(key, 'x', sizeof(key));
	memcpy(key, "a:b:c:d:", 8);
	cr_assert(lf_key_split((struct lf_text){ key, 8 + LF_CACHE_ID_MAX }, parts));
	cr_assert_not(lf_key_split((struct lf_text){ key, 8 + LF_CACHE_ID_MAX + 1 }, parts));
}

/* --- patterns; the answers are those of a server ---------------------------------------------------- */

static const struct { const char *pattern, *text; bool want; } globs[] = {
	{ "", "", true }, { "", "a", false }, { "a", "", false }, { "*", "a", true }, { "**", "abc", true },
	{ "abc", "abc", true }, { "abc", "abcd", false }, { "abcd", "abc", false }, { "ABC", "abc", false },
	{ "a*", "a", true }, { "a*c", "abbbc", true }, { "a*c", "abbbd", false }, { "*c", "abc", true },
	{ "*b*", "abc", true }, { "a**c", "ac", true }, { "a*b*c", "aXbXbXc", true }, { "*ab", "aab", true },
	{ "?", "a", true }, { "?", "", false }, { "a?c", "abc", true }, { "a?", "a", false }, { "?*", "a", true },
	{ "h[ae]llo", "hallo", true }, { "h[ae]llo", "hillo", false }, { "h[^e]llo", "hallo", true },
	{ "h[^e]llo", "hello", false }, { "h[a-c]llo", "hbllo", true }, { "h[c-a]llo", "hbllo", true },
	{ "h[a-c]llo", "hdllo", false }, { "[a-cx]", "x", true }, { "[ax-z]", "y", true }, { "[^a-c]", "d", true },
	{ "[^a-c]", "b", false }, { "[]", "a", false }, { "[^]", "a", true }, { "[]a]", "a]", false }, { "[^]x", "ax", true },
	{ "[a", "a", true }, { "[a", "b", false }, { "[", "a", false }, { "[^", "a", true }, { "x[", "x", false },
	{ "[a-", "-", true }, { "[a-", "A", false }, { "[a-]", "]", true }, { "[a-]", "a", true }, { "[a-]", "-", false }, { "[-a]", "-", true },
	{ "[\\]]", "]", true }, { "[\\-a]", "-", true }, { "[\\a-c]", "b", false }, { "[\\a-c]", "-", true },
	{ "[\\", "\\", true }, { "[a^]", "^", true }, { "[*]", "*", true }, { "[*]", "a", false },
	{ "\\*", "*", true }, { "\\*", "a", false }, { "a\\?c", "a?c", true }, { "a\\?c", "abc", false },
	{ "\\", "\\", true }, { "a\\", "a\\", true }, { "\\\\", "\\", true }, { "\\a", "a", true }, { "\\[a]", "[a]", true },
	{ "*[0-9]", "abc7", true }, { "*[0-9]", "abc", false }, { "*[0-9]*x", "a1b2x", true }, { "*\\", "a\\", true },
};

Test(cache_key, patterns_match_as_they_do_in_redis)
{
	for (size_t i = 0; i < sizeof(globs) / sizeof(*globs); i++)
		cr_assert_eq(lf_glob(text(globs[i].pattern), text(globs[i].text)), globs[i].want, "%s on %s",
		             globs[i].pattern, globs[i].text);
}

Test(cache_key, patterns_take_any_bytes)
{
	cr_assert(lf_glob(TEXT("a\0*"), TEXT("a\0b")));
	cr_assert_not(lf_glob(TEXT("a\0b"), TEXT("a\0c")));
	cr_assert(lf_glob(TEXT("[\x80-\xff]?\0"), TEXT("\xc3\xa4\0")));
	cr_assert_not(lf_glob(TEXT("[\x80-\xff]"), TEXT("a")));
}

/* What tries each star anew for each of the one before does not come back before the run ends it. */
Test(cache_key, a_pattern_of_many_stars_takes_no_time_that_doubles_with_each)
{
	char pattern[2 * 500 + 1], string[LF_CACHE_ID_MAX];

	for (int i = 0; i < 500; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	pattern[1000] = 'b';
	memset(string, 'a', sizeof(string));
	cr_assert_not(lf_glob((struct lf_text){ pattern, sizeof(pattern) }, (struct lf_text){ string, sizeof(string) }));
}
