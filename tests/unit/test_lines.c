#include "agent/hook/lines.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/hook/stub.h"
#include "tests/unit/host_fixture.h"

enum { OTHER_STREAM = 0x2001 };
#define STREAM lf_stream_of_fd(console[1])

static struct lf_process *process;
static struct lf_origin origin;
static int console[2];

static void start(void)
{
	cr_assert_eq(pipe(console), 0);
	process = host_start(console[1]);
	cr_assert_not_null(process);
	origin = lf_message_origin(process, __builtin_return_address(0),
	                           lf_method_code(LF_METHOD_fputs, LF_NO_FD));
	cr_assert_neq(origin.method, 0);
}

static void print_to(uintptr_t stream, const char *text)
{
	lf_lines_count(process, stream, origin, (struct lf_text){ text, strlen(text) }, false);
}

static void print(const char *text)
{
	print_to(STREAM, text);
}

Test(lines, each_line_of_one_text_counts_once, .init = start)
{
	print("alpha\nbeta\nalpha\n");
	cr_assert_eq(host_count("alpha", LF_PASSED), 2);
	cr_assert_eq(host_count("beta", LF_PASSED), 1);
	cr_assert_eq(host_total(LF_PASSED), 3);
}

Test(lines, a_line_that_differs_in_digits_alone_counts_as_the_one_before, .init = start)
{
	static const char *const lines[] = { "request 17 of alice took 25 ms\n",
		                             "request 93 of alice took 68 ms\n",
		                             "request 93 of brian took 68 ms\n",
		                             "request 931 of alice took 2 ms\n" };

	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
			print(lines[i]);
	cr_assert_eq(host_count("request <*> of alice took <*>", LF_PASSED), 9);
	cr_assert_eq(host_count("request <*> of brian took <*>", LF_PASSED), 3);
	cr_assert_eq(host_entries(), 2);
}

Test(lines, a_line_of_another_caller_is_another_entry_though_it_is_known, .init = start)
{
	struct lf_origin here = origin;

	print("request 17 of alice took 25 ms\n");
	origin = lf_message_origin(process, __builtin_return_address(0),
	                           lf_method_code(LF_METHOD_write, 2));
	print("request 93 of alice took 68 ms\n");
	print("request 18 of alice took 11 ms\n");
	origin = here;
	print("request 94 of alice took 12 ms\n");
	cr_assert_eq(host_entries(), 2);
	cr_assert_eq(host_total(LF_PASSED), 4);
}

Test(lines, more_lines_than_are_known_at_once_still_count_each_as_itself, .init = start)
{
	char line[80];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 2 * LF_KNOWN_LINES; i++) {
			(void)snprintf(line, sizeof(line), "worker %c%c%c finished share %d of the work\n",
			               'k' + i % 10, 'k' + i / 10 % 10, 'k' + i / 100, i);
			print(line);
		}
	cr_assert_eq(host_entries(), 2 * LF_KNOWN_LINES);
	cr_assert_eq(host_count("worker mkk finished share <*> of the work", LF_PASSED), 2);
}

Test(lines, a_line_in_pieces_counts_once_when_its_newline_comes, .init = start)
{
	print("user ali");
	print("ce logged");
	cr_assert_eq(host_total(LF_PASSED), 0);
	cr_assert(lf_lines_any_open(process));
	print(" in\nuser bob");
	cr_assert_eq(host_count("user alice logged in", LF_PASSED), 1);
	print(" logged in\n");
	cr_assert_eq(host_count("user bob logged in", LF_PASSED), 1);
	cr_assert_eq(host_total(LF_PASSED), 2);
	cr_assert_not(lf_lines_any_open(process));
}

Test(lines, a_newline_that_the_call_adds_ends_the_line, .init = start)
{
	lf_lines_count(process, STREAM, origin, (struct lf_text){ "alpha", 5 }, true);
	print("be");
	lf_lines_count(process, STREAM, origin, (struct lf_text){ "ta", 2 }, true);
	lf_lines_count(process, STREAM, origin, (struct lf_text){ "", 0 }, true);
	cr_assert_eq(host_count("alpha", LF_PASSED), 1);
	cr_assert_eq(host_count("beta", LF_PASSED), 1);
	cr_assert_eq(host_count("", LF_PASSED), 1);
	cr_assert_eq(host_total(LF_PASSED), 3);
}

Test(lines, two_streams_do_not_mix_their_unfinished_lines, .init = start)
{
	print("alpha");
	print_to(OTHER_STREAM, "beta\n");
	print(" omega\n");
	cr_assert_eq(host_count("alpha omega", LF_PASSED), 1);
	cr_assert_eq(host_count("beta", LF_PASSED), 1);
}

Test(lines, the_end_of_a_stream_ends_its_line, .init = start)
{
	print("alpha");
	lf_stream_end(process, STREAM);
	cr_assert_eq(host_count("alpha", LF_PASSED), 1);
	cr_assert_not(lf_lines_any_open(process));
}

Test(lines, a_line_of_any_length_is_one_line_known_by_its_beginning, .init = start)
{
	static char piece[1001];

	memset(piece, 'x', 1000);
	for (int i = 0; i < 20; i++)
		print(piece);
	print("\n");
	cr_assert_eq(host_total(LF_PASSED), 1);
	cr_assert_eq(host_entries(), 1);
}

Test(lines, a_stream_whose_tail_is_busy_still_counts_every_newline, .init = start)
{
	struct lf_tail *tail;

	print("alpha");
	tail = lf_map_tail(process->map, 0, false);
	atomic_fetch_or(&tail->state, LF_TAIL_BUSY);
	print("beta\ngamma\ndelta");
	cr_assert_eq(host_total(LF_PASSED), 2);
	atomic_fetch_and(&tail->state, ~(uint32_t)LF_TAIL_BUSY);
	print("\n");
	cr_assert_eq(host_total(LF_PASSED), 3);
}

Test(lines, more_streams_than_tails_still_count_every_newline, .init = start)
{
	for (uintptr_t i = 0; i < LF_TAILS + 3; i++)
		print_to(0x1001 + 2 * i, "unfinished ");
	for (uintptr_t i = 0; i < LF_TAILS + 3; i++)
		print_to(0x1001 + 2 * i, "line\n");
	cr_assert_eq(host_total(LF_PASSED), LF_TAILS + 3);
}

Test(lines, a_newline_after_a_counted_call_that_left_its_line_open_is_not_a_blank_line,
     .init = start)
{
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	print("\n");
	cr_assert_eq(host_total(LF_PASSED), 0);
	print("\n");
	cr_assert_eq(host_count("", LF_PASSED), 1);
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	print("alpha\n");
	cr_assert_eq(host_count("alpha", LF_PASSED), 1);
}

static char printed[256];

static const char *print_judged(const char *text)
{
	struct lf_console_out out = lf_stub_out(NULL, console[1]);
	ssize_t done = lf_lines_print_judged(process, origin, (struct lf_text){ text, strlen(text) }, &out);
	ssize_t got;

	cr_assert_eq(done, (ssize_t)strlen(text));
	cr_assert_eq(fcntl(console[0], F_SETFL, O_NONBLOCK), 0);
	got = read(console[0], printed, sizeof(printed) - 1);
	printed[got > 0 ? got : 0] = '\0';
	return printed;
}

Test(lines, muted_lines_are_cut_out_of_the_middle_of_a_text_and_still_counted, .init = start)
{
	print("noise\n");
	host_mute("noise");
	cr_assert_str_eq(print_judged("alpha\nnoise\nnoise\nbeta\nnoise\n"), "alpha\nbeta\n");
	cr_assert_eq(host_count("noise", LF_PASSED), 1);
	cr_assert_eq(host_count("noise", LF_MUTED), 3);
	cr_assert_eq(host_total(LF_PASSED), 3);
}

Test(lines, a_muted_text_without_newline_takes_the_newline_that_follows_at_once, .init = start)
{
	print("noise\n");
	host_mute("noise");
	cr_assert_str_eq(print_judged("noise"), "");
	cr_assert_str_eq(print_judged("\nalpha\n"), "alpha\n");
	cr_assert_eq(host_count("noise", LF_MUTED), 1);
	cr_assert_str_eq(print_judged("noise"), "");
	cr_assert_str_eq(print_judged("beta\n"), "beta\n");
	cr_assert_eq(host_count("noise", LF_MUTED), 2);
	cr_assert_eq(host_count("beta", LF_PASSED), 1);
}

Test(lines, what_has_begun_to_be_printed_is_printed_to_its_end, .init = start)
{
	print("noise and more\n");
	host_mute("noise and more");
	cr_assert_str_eq(print_judged("noise"), "noise");
	cr_assert_str_eq(print_judged(" and more\n"), " and more\n");
	cr_assert_eq(host_count("noise and more", LF_PASSED), 2);
	cr_assert_str_eq(print_judged("noise and more\n"), "");
}

Test(lines, text_behind_a_counted_call_that_left_its_line_open_is_printed_to_the_lines_end,
     .init = start)
{
	print("noise\n");
	host_mute("noise");
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	cr_assert_str_eq(print_judged("noise\nnoise\n"), "noise\n");
	cr_assert_eq(host_count("noise", LF_PASSED), 2);
	cr_assert_eq(host_count("noise", LF_MUTED), 1);
}

Test(lines, the_beginning_of_a_line_takes_no_room_in_the_map_but_obeys_its_rule, .init = start)
{
	unsigned before;

	print("noise\n");
	host_mute("noise");
	before = host_entries();
	cr_assert_str_eq(print_judged("part"), "part");
	cr_assert_eq(host_entries(), before);
	cr_assert_str_eq(print_judged("ial\n"), "ial\n");
	cr_assert_eq(host_entries(), before + 1);
	host_rule_unseen(process, origin, "never seen", lf_rule_make(LF_RULE_MUTE, 0, 0));
	cr_assert_str_eq(print_judged("never seen"), "");
	cr_assert_str_eq(print_judged("\n"), "");
	cr_assert_eq(host_count("never seen", LF_MUTED), 1);
}

Test(lines, the_default_rule_takes_no_beginning_of_a_line_for_a_message, .init = start)
{
	host_default_rule(lf_rule_make(LF_RULE_FOLD, 0, 3600000));
	for (int i = 0; i < 3; i++) {
		cr_assert_str_eq(print_judged("u"), "u");
		cr_assert_str_eq(print_judged("ser in\n"), "ser in\n");
	}
	cr_assert_eq(host_count("user in", LF_PASSED), 3);
	cr_assert_eq(host_entries(), 1);
}

Test(lines, a_line_that_went_out_in_pieces_is_the_first_of_its_period, .init = start)
{
	host_default_rule(lf_rule_make(LF_RULE_FOLD, 0, 3600000));
	cr_assert_str_eq(print_judged("noise"), "noise");
	cr_assert_str_eq(print_judged("\n"), "\n");
	for (int i = 0; i < 3; i++) {
		cr_assert_str_eq(print_judged("noise"), "");
		cr_assert_str_eq(print_judged("\n"), "");
	}
	cr_assert_eq(host_count("noise", LF_PASSED), 1);
	cr_assert_eq(host_count("noise", LF_FOLDED), 3);
}

Test(lines, unmuting_takes_effect_with_the_next_line, .init = start)
{
	print("noise\n");
	host_mute("noise");
	cr_assert_str_eq(print_judged("noise\n"), "");
	host_unmute_all();
	cr_assert_str_eq(print_judged("noise\n"), "noise\n");
}

Test(lines, a_stream_that_takes_half_gets_the_other_half_offered_again, .init = start)
{
	static char large[70000];
	struct lf_console_out out = lf_stub_out(NULL, console[1]);
	struct lf_text text = { large, sizeof(large) };
	ssize_t done;

	memset(large, 'x', sizeof(large));
	for (size_t i = 99; i < sizeof(large); i += 100)
		large[i] = '\n';
	cr_assert_eq(fcntl(console[1], F_SETFL, O_NONBLOCK), 0);
	done = lf_lines_print_judged(process, origin, text, &out);
	cr_assert(done > 0 && done < (ssize_t)sizeof(large), "%zd", done);
	cr_assert_eq(host_total(LF_PASSED), (uint64_t)done / 100);
}

Test(lines, the_newline_of_a_counted_call_is_not_a_blank_line_that_somebody_muted, .init = start)
{
	print("\n");
	host_mute("");
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	cr_assert_str_eq(print_judged("\n"), "\n");
	cr_assert_str_eq(print_judged("\n"), "");
	cr_assert_eq(host_count("", LF_MUTED), 1);
}

Test(lines, a_newline_behind_something_printed_stays_although_a_muted_call_came_before,
     .init = start)
{
	lf_lines_leave_open(process, STREAM, LF_MUTED);
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	cr_assert_str_eq(print_judged("\n"), "\n");
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	lf_lines_leave_open(process, STREAM, LF_MUTED);
	cr_assert_str_eq(print_judged("\n"), "\n");
	lf_lines_leave_open(process, STREAM, LF_MUTED);
	cr_assert_str_eq(print_judged("\n"), "");
	cr_assert_eq(host_total(LF_PASSED) + host_total(LF_MUTED), 0);
}

Test(lines, a_muted_text_that_a_printed_call_follows_is_counted_and_its_newline_stays, .init = start)
{
	print("noise\n");
	host_mute("noise");
	cr_assert_str_eq(print_judged("noise"), "");
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	cr_assert_eq(host_count("noise", LF_MUTED), 1);
	cr_assert_str_eq(print_judged("\n"), "\n");
}

Test(lines, a_line_over_4_KiB_is_one_entry_however_it_was_cut_into_calls, .init = start)
{
	static char line[6001];

	/* Two-byte characters on both sides of the limit, which falls between the bytes of one. */
	line[0] = 'x';
	for (size_t i = 1; i < sizeof(line) - 2; i += 2)
		memcpy(line + i, "é", 2);
	line[sizeof(line) - 2] = '\n';
	for (size_t cut = 4090; cut < 4102; cut++) {
		lf_lines_count(process, STREAM, origin, (struct lf_text){ line, cut }, false);
		lf_lines_count(process, STREAM, origin,
		               (struct lf_text){ line + cut, sizeof(line) - 1 - cut }, false);
	}
	lf_lines_count(process, STREAM, origin, (struct lf_text){ line, sizeof(line) - 1 }, false);
	cr_assert_eq(host_total(LF_PASSED), 13);
	cr_assert_eq(host_entries(), 1);
}

Test(lines, what_is_suppressed_is_counted_where_no_tail_is_left, .init = start)
{
	struct lf_console_out out = lf_stub_out(NULL, console[1]);

	print("noise\n");
	host_mute("noise");
	for (uintptr_t i = 0; i < LF_TAILS; i++)
		print_to(0x2001 + 2 * i, "unfinished");
	cr_assert_eq(lf_lines_print_judged(process, origin, (struct lf_text){ "noise", 5 }, &out), 5);
	cr_assert_eq(host_count("noise", LF_MUTED), 1);
}

Test(lines, a_stream_keeps_its_place_when_one_before_it_becomes_free, .init = start)
{
	print_to(OTHER_STREAM, "first");
	print("alpha ");
	lf_stream_end(process, OTHER_STREAM);
	lf_lines_leave_open(process, STREAM, LF_PASSED);
	print("omega\n");
	cr_assert_eq(host_count("alpha omega", LF_PASSED), 1);
	cr_assert_not(lf_lines_any_open(process));
}

Test(lines, a_line_that_has_begun_to_be_printed_is_known_to_have, .init = start)
{
	cr_assert_not(lf_lines_has_begun(process, STREAM));
	print("prefix: ");
	cr_assert(lf_lines_has_begun(process, STREAM));
	cr_assert_not(lf_lines_has_begun(process, OTHER_STREAM));
	print("\n");
	lf_lines_leave_open(process, STREAM, LF_MUTED);
	cr_assert_not(lf_lines_has_begun(process, STREAM));
}
