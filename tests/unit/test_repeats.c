#include <criterion/criterion.h>
#include <string.h>

#include "agent/map/repeats.h"

static const char *told(const char *template, uint32_t repeats, uint32_t over_ms)
{
	static char line[LF_REPEATS_MAX + 1];
	struct lf_text text = { template, strlen(template) };

	line[lf_repeats_tell(text, repeats, over_ms, line)] = '\0';
	return line;
}

Test(repeats, the_sentence_names_the_message_the_number_and_the_time)
{
	cr_assert_str_eq(told("user %s in\n", 12, 5000), "user %s in … repeated 12 times in 5.0 s\n");
	cr_assert_str_eq(told("once", 1, 61250), "once … repeated 1 time in 61.2 s\n");
}

Test(repeats, a_message_does_not_leave_its_line_and_is_cut_between_characters)
{
	char long_one[4097], wanted[512] = "";

	cr_assert_str_eq(told("a\nb\x1b[1m", 2, 0), "a b [1m … repeated 2 times in 0.0 s\n");
	for (int i = 0; i < 4096; i += 4)
		memcpy(long_one + i, "\xf0\x9f\x98\x80", 4);
	long_one[4096] = '\0';
	memcpy(wanted, long_one, 60 * 4);
	strcat(wanted, " … repeated 4294967295 times in 4294967.2 s\n");
	cr_assert_str_eq(told(long_one, UINT32_MAX, UINT32_MAX), wanted);
}

Test(repeats, bytes_that_begin_no_character_do_not_make_the_sentence_longer)
{
	char room[2 * LF_TEMPLATE_MAX], name[LF_TEMPLATE_MAX];
	size_t len;

	memset(name, 0x80, sizeof(name));
	len = lf_repeats_tell((struct lf_text){ name, sizeof(name) }, UINT32_MAX, UINT32_MAX, room);
	cr_assert(len <= LF_REPEATS_MAX, "%zu bytes", len);
}
