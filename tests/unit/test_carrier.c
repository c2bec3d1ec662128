#include "agent/hook/carrier.h"

#include <criterion/criterion.h>

Test(carrier, a_format_of_conversions_and_punctuation_carries_its_text)
{
	static const char *const carriers[] = {
		"%s", "%s\n", "%d:%c %s %c %s\n", "%-20.3f|%#llx|%*d\n", "[%s] INFO: %s\n",
		"%s Warning %s\n", "\033[31m%s\033[0m\n", "%1$s %2$s\n", "%%", "x=%d y=%d\n", "",
	};

	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
		cr_assert(lf_format_is_carrier(carriers[i]), "\"%s\" has no word", carriers[i]);
}

Test(carrier, a_format_with_one_word_says_what_the_message_is)
{
	static const char *const messages[] = {
		"user %s in\n", "%d at\n", "%s: informations\n", "ERROR: disk %d\n", "naïve %d\n",
		"%ld+%ld records in\n", "INFOS %s\n",
	};

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		cr_assert_not(lf_format_is_carrier(messages[i]), "\"%s\" has a word", messages[i]);
}

Test(carrier, a_format_that_ends_inside_a_conversion_is_read_to_its_end_only)
{
	cr_assert(lf_format_is_carrier("%"));
	cr_assert(lf_format_is_carrier("%-08"));
	cr_assert(lf_format_is_carrier("\033[%"));
}

Test(carrier, a_format_with_a_conversion_of_the_programs_own_is_not_to_be_rendered)
{
	cr_assert_not(lf_format_is_carrier("%W\n"));
	cr_assert_not(lf_format_is_carrier("%s %-8Q\n"));
	cr_assert(lf_format_is_carrier("%m %p %hhx %LG %jd %b\n"));
}

Test(carrier, the_length_of_a_format_without_conversions_is_known)
{
	cr_assert_eq(lf_format_fixed_len("ready\n"), 7);
	cr_assert_eq(lf_format_fixed_len("100%% done"), 10);
	cr_assert_eq(lf_format_fixed_len(""), 1);
	cr_assert_eq(lf_format_fixed_len("%d"), 0);
	cr_assert_eq(lf_format_fixed_len("50%"), 0);
}
