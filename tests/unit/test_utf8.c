#include "hashing/utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static void expect_escaped(struct lf_text text, size_t size, const char *expected)
{
	char out[256];
	size_t len;

	memset(out, '#', sizeof(out));
	len = lf_utf8_escape(text, out, size);
	cr_assert_eq(len, strlen(expected), "%zu bytes written, expected \"%s\"", len, expected);
	cr_assert_eq(memcmp(out, expected, len), 0, "\"%.*s\", expected \"%s\"", (int)len, out,
		     expected);
	cr_assert_eq(out[len], '#', "a byte was written behind the text");
}

Test(utf8, plain_text_and_every_length_of_character_are_clean)
{
	cr_assert(lf_utf8_is_clean(TEXT("")));
	cr_assert(lf_utf8_is_clean(TEXT("plain text with a tab\t and DEL \x7f, longer than words")));
	cr_assert(lf_utf8_is_clean(TEXT("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf")));
	cr_assert(lf_utf8_is_clean(TEXT("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80")));
}

Test(utf8, nul_overlong_surrogate_too_high_and_cut_characters_are_not_clean)
{
	static const struct lf_text bad[] = {
		TEXT("\0"), TEXT("12345678\0" "90"), TEXT("\x80"), TEXT("\xc0\x80"), TEXT("\xc1\xbf"),
		TEXT("\xe0\x9f\xbf"), TEXT("\xed\xa0\x80"), TEXT("\xf0\x8f\xbf\xbf"),
		TEXT("\xf4\x90\x80\x80"), TEXT("\xf5\x80\x80\x80"), TEXT("\xff"), TEXT("\xc3"),
		TEXT("\xe2\x82"), TEXT("\xe2\x82" "a"), TEXT("\xf0\x9f\x98"), TEXT("\xc3("),
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_not(lf_utf8_is_clean(bad[i]), "case %zu passes as clean", i);
}

Test(utf8, clean_text_is_copied_as_it_is)
{
	expect_escaped(TEXT(""), 8, "");
	expect_escaped(TEXT("gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac 5"), 64,
		       "gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac 5");
}

Test(utf8, each_bad_byte_becomes_its_own_escape_in_lower_case)
{
	expect_escaped(TEXT("a\0z"), 64, "a\\x00z");
	expect_escaped(TEXT("\xff\xC3(\xAB"), 64, "\\xff\\xc3(\\xab");
	expect_escaped(TEXT("\xed\xa0\x80"), 64, "\\xed\\xa0\\x80");
	expect_escaped(TEXT("\xf0\x9f\x98"), 64, "\\xf0\\x9f\\x98");
}

Test(utf8, a_text_that_does_not_fit_is_cut_between_characters)
{
	expect_escaped(TEXT("abcdefghijklmnop"), 11, "abcdefghijk");
	expect_escaped(TEXT("ab\xe2\x82\xac"), 4, "ab");
	expect_escaped(TEXT("ab\xe2\x82\xac"), 5, "ab\xe2\x82\xac");
	expect_escaped(TEXT("ab\xff" "c"), 5, "ab");
	expect_escaped(TEXT("ab\xff" "c"), 6, "ab\\xff");
	expect_escaped(TEXT("abc"), 0, "");
}

Test(utf8, whatever_is_escaped_is_clean_at_any_size)
{
	unsigned char in[64];
	char out[64];
	unsigned seed = 12345;
	size_t round, i, size, len;

	for (round = 0; round < 20000; round++) {
		for (i = 0; i < sizeof(in); i++) {
			seed = seed * 1103515245u + 12345u;
			in[i] = (unsigned char)(seed >> 16);
		}
		size = round % sizeof(out);
		len = lf_utf8_escape((struct lf_text){ (const char *)in, sizeof(in) }, out, size);
		cr_assert_leq(len, size);
		cr_assert(lf_utf8_is_clean((struct lf_text){ out, len }), "round %zu", round);
	}
}
