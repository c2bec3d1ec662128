#include "agent/core/excerpt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect(const char *text, size_t len, const char *expected)
{
	char out[LF_EXCERPT_MAX];

	cr_assert_str_eq(lf_excerpt((struct lf_text){ text, len }, out), expected, "\"%s\"", out);
}

Test(excerpt, text_stands_as_it_is_without_its_newlines_at_the_end)
{
	expect("user %s in\n\n", 12, "user %s in");
	expect("größer", strlen("größer"), "größer");
	expect("", 0, "");
	expect("\n", 1, "");
}

Test(excerpt, nothing_that_could_do_something_to_a_terminal_gets_through)
{
	expect("a\nb\tc\x1b[31m\x7f\0d", 13, "a\\nb\\tc\\x1b[31m\\x7f\\x00d");
	expect("\xc2\x9b" "1m", 4, "\\xc2\\x9b1m"); /* C1 */
	expect("\xe2\x80\xae" "x", 4, "\\xe2\\x80\\xaex"); /* turns what follows around */
	expect("\xe2\x81\xa6\xef\xbb\xbf", 6, "\\xe2\\x81\\xa6\\xef\\xbb\\xbf");
	expect("\xff\xc3", 2, "\\xff\\xc3");
	expect("\xe2\x80\x94\xe2\x81\x91", 6, "\xe2\x80\x94\xe2\x81\x91");
}

Test(excerpt, a_long_text_is_cut_between_two_characters)
{
	char text[4 * LF_EXCERPT_CHARS + 8] = "", cut[LF_EXCERPT_MAX] = "";

	for (int i = 0; i < LF_EXCERPT_CHARS; i++)
		(void)strcat(text, "\xf0\x9f\x98\x80");
	expect(text, strlen(text), text);
	(void)snprintf(cut, sizeof(cut), "%s…", text);
	(void)strcat(text, "x");
	expect(text, strlen(text), cut);
	memset(text, 1, LF_EXCERPT_CHARS);
	for (int i = 0; i < LF_EXCERPT_CHARS; i++)
		memcpy(cut + 4 * i, "\\x01", 5);
	expect(text, LF_EXCERPT_CHARS, cut);
}
