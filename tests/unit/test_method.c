#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/hook/method.h"

static const char *name_of(enum lf_method method, int fd)
{
	static char text[LF_METHOD_MAX + 1];

	text[lf_method_text(lf_method_code(method, fd), text)] = '\0';
	return text;
}

Test(method, a_call_on_an_fd_carries_it_and_one_on_a_stream_does_not)
{
	cr_assert_str_eq(name_of(LF_METHOD_write, 2), "write.2");
	cr_assert_str_eq(name_of(LF_METHOD_pwritev2, 1023), "pwritev2.1023");
	cr_assert_str_eq(name_of(LF_METHOD_dprintf, LF_NO_FD), "dprintf");
	cr_assert_str_eq(name_of(LF_METHOD_printf, LF_NO_FD), "printf");
	cr_assert_str_eq(name_of(LF_METHOD_assert, 2), "assert");
}

Test(method, a_call_on_the_system_log_carries_its_priority)
{
	static const char *const names[] = { "emerg",   "alert",  "crit", "err",
		                             "warning", "notice", "info", "debug" };
	char expected[LF_METHOD_MAX];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(expected, sizeof(expected), "vsyslog.%s", names[i]);
		cr_assert_str_eq(name_of(LF_METHOD_vsyslog, i), expected);
	}
}

/* A code stands in the upper 16 bits beside an address. */
Test(method, each_method_has_a_name_and_a_code_of_16_bits_of_its_own)
{
	for (int a = 1; a < LF_METHOD_COUNT; a++) {
		int fd = a < LF_METHOD_WITHOUT_FD ? 1023 : LF_NO_FD;
		uint32_t code = lf_method_code((enum lf_method)a, fd);

		if (a > LF_METHOD_vsyslog && a < LF_METHOD_WITHOUT_FD)
			continue;
		cr_assert_lt(code, 1U << 16);
		cr_assert_gt(strlen(name_of((enum lf_method)a, fd)), 2);
		for (int b = 1; b < a; b++)
			cr_assert_neq(code, lf_method_code((enum lf_method)b, fd));
	}
}
