#include "agent/hook/fold.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/hook/stub.h"
#include "tests/unit/host_fixture.h"

static struct lf_process *process;
static struct lf_origin origin;
static int console[2];
static uint64_t now_ms = 5000000;

static int clock_of_test(clockid_t clock, struct timespec *out)
{
	(void)clock;
	out->tv_sec = (time_t)(now_ms / 1000);
	out->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

static void start(void)
{
	cr_assert_eq(pipe(console), 0);
	cr_assert_eq(fcntl(console[0], F_SETFL, O_NONBLOCK), 0);
	process = host_start(console[1]);
	cr_assert_not_null(process);
	lf_real_clock_gettime = clock_of_test;
	origin = lf_message_origin(process, __builtin_return_address(0),
	                           lf_method_code(LF_METHOD_write, 1));
}

static char printed[512];

static const char *print(const char *text)
{
	struct lf_console_out out = lf_stub_out(NULL, console[1]);
	ssize_t got;

	lf_stub_tell_due(process, NULL, console[1]);
	cr_assert_eq(lf_lines_print_judged(process, origin,
	                                   (struct lf_text){ text, strlen(text) }, &out),
	             (ssize_t)strlen(text));
	got = read(console[0], printed, sizeof(printed) - 1);
	printed[got > 0 ? got : 0] = '\0';
	return printed;
}

static void fold(const char *template, uint32_t period_ms)
{
	(void)print(template);
	(void)print("\n");
	host_rule(template, lf_rule_make(LF_RULE_FOLD, 0, period_ms));
}

Test(fold, the_next_call_of_the_stream_after_the_period_tells_the_repeats, .init = start)
{
	fold("noise", 5000);
	cr_assert_str_eq(print("noise\nnoise\nalpha\nnoise\n"), "noise\nalpha\n");
	now_ms += 4999;
	cr_assert_str_eq(print("beta\n"), "beta\n");
	now_ms += 1;
	cr_assert_str_eq(print("beta\n"), "noise … repeated 2 times in 5.0 s\nbeta\n");
	cr_assert_str_eq(print("beta\n"), "beta\n");
	cr_assert_eq(host_count("noise", LF_FOLDED), 2);
	cr_assert_eq(host_count("noise", LF_PASSED), 2);
	cr_assert_not(lf_fold_any_waits(process));
}

Test(fold, the_message_itself_tells_what_came_before_it, .init = start)
{
	fold("noise", 300);
	cr_assert_str_eq(print("noise\nnoise\n"), "noise\n");
	now_ms += 310;
	cr_assert_str_eq(print("alpha\nnoise\nnoise\n"),
	                 "noise … repeated 1 time in 0.3 s\nalpha\nnoise\n");
}

Test(fold, nothing_is_told_in_the_middle_of_a_line, .init = start)
{
	fold("noise", 1000);
	cr_assert_str_eq(print("noise\nnoise\nbegun"), "noise\nbegun");
	now_ms += 1000;
	cr_assert_str_eq(print(" and ended\n"), " and ended\n");
	cr_assert_str_eq(print("alpha\n"), "noise … repeated 1 time in 1.0 s\nalpha\n");
}

Test(fold, after_the_grace_time_the_process_leaves_it_to_the_agent, .init = start)
{
	fold("noise", 1000);
	cr_assert_str_eq(print("noise\nnoise\n"), "noise\n");
	now_ms += 1000 + LF_FOLD_GRACE_MS;
	cr_assert_str_eq(print("alpha\n"), "alpha\n");
	cr_assert_not(lf_fold_any_waits(process), "nobody is slowed down for it any more");
	cr_assert_eq(host_count("noise", LF_FOLDED), 1);
}

Test(fold, another_stream_does_not_tell_it_and_lets_go_of_it_in_the_end, .init = start)
{
	int other[2];

	fold("noise", 1000);
	(void)print("noise\nnoise\n");
	cr_assert_eq(pipe(other), 0);
	now_ms += 1000;
	lf_stub_tell_due(process, NULL, other[1]);
	cr_assert(lf_fold_any_waits(process));
	now_ms += LF_FOLD_GRACE_MS;
	lf_stub_tell_due(process, NULL, other[1]);
	cr_assert_not(lf_fold_any_waits(process));
	cr_assert_eq(fcntl(other[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(read(other[0], printed, sizeof(printed)), -1);
}

Test(fold, the_name_is_cut_at_60_characters_and_stays_on_its_line, .init = start)
{
	struct lf_slot *slot;
	struct lf_console_out out = lf_stub_out(NULL, console[1]);
	char text[300] = "a\tb\n", expected[400] = "a b ";
	ssize_t got;

	for (int i = 0; i < 70; i++) {
		(void)strcat(text, "é");
		if (i < 56)
			(void)strcat(expected, "é");
	}
	(void)strcat(expected, " … repeated 7 times in 1.5 s\n");
	slot = lf_message_verbatim(process, origin, LF_KIND_FORMAT,
	                           (struct lf_text){ text, strlen(text) }, 0);
	errno = EDOM;
	lf_fold_tell(process, slot, 7, 1500, &out);
	cr_assert_eq(errno, EDOM);
	got = read(console[0], printed, sizeof(printed) - 1);
	printed[got > 0 ? got : 0] = '\0';
	cr_assert_str_eq(printed, expected);
}

Test(fold, of_more_messages_than_can_wait_each_is_still_folded, .init = start)
{
	char line[32];

	for (int i = 0; i < LF_FOLDS + 4; i++) {
		(void)snprintf(line, sizeof(line), "noise %c\n", 'a' + i);
		(void)print(line);
	}
	host_default_rule(lf_rule_make(LF_RULE_FOLD, 0, 1000));
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < LF_FOLDS + 4; i++) {
			(void)snprintf(line, sizeof(line), "noise %c\n", 'a' + i);
			cr_assert_str_eq(print(line), round ? "" : line);
		}
	cr_assert_eq(host_total(LF_FOLDED), 2 * (LF_FOLDS + 4));
}

Test(fold, sampled_and_limited_lines_are_cut_out_of_a_text_one_by_one, .init = start)
{
	(void)print("noise\n");
	host_rule("noise", lf_rule_make(LF_RULE_SAMPLE, 3, 0));
	cr_assert_str_eq(print("noise\na\nnoise\nb\nnoise\nc\nnoise\n"), "noise\na\nb\nc\nnoise\n");
	cr_assert_eq(host_count("noise", LF_SAMPLED), 2);
	host_rule("noise", lf_rule_make(LF_RULE_LIMIT, 2, 1000));
	cr_assert_str_eq(print("noise\nnoise\nnoise\nd\nnoise\n"), "noise\nnoise\nd\n");
	cr_assert_eq(host_count("noise", LF_LIMITED), 2);
	cr_assert_eq(host_count("noise", LF_PASSED), 5);
}

Test(fold, a_text_left_out_in_pieces_takes_its_newline_along, .init = start)
{
	(void)print("noise\n");
	host_rule("noise", lf_rule_make(LF_RULE_SAMPLE, 2, 0));
	cr_assert_str_eq(print("noise"), "noise");
	cr_assert_str_eq(print("\n"), "\n");
	cr_assert_str_eq(print("noise"), "");
	cr_assert_str_eq(print("\nalpha\n"), "alpha\n");
	cr_assert_eq(host_count("noise", LF_SAMPLED), 1);
	cr_assert_eq(host_count("noise", LF_PASSED), 2);
}
