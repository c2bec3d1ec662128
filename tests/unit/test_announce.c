#include "agent/core/announce.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/segment_fixture.h"

enum { NOON = 43200 };

static char said[16384];

static void collect(void *arg, const char *sentence)
{
	size_t len = strlen(said);

	(void)arg;
	(void)snprintf(said + len, sizeof(said) - len, "%s\n", sentence);
}

static struct lf_announcer *announcer;
static struct lf_flags *flags;
static uint64_t now_s;
static struct lf_error why;

static struct lf_announced message(unsigned number, enum lf_outcome outcome)
{
	struct lf_announced what = { lf_flags_namespace_key("shop"), { { 0 } }, outcome };

	memcpy(what.id.bytes + 1, &number, sizeof(number));
	what.id.bytes[0] = 0xab;
	return what;
}

static void set_up(void)
{
	const struct lf_reporter reporter = { collect, NULL };
	int rc;

	(void)setenv("TZ", "UTC0", 1);
	flags = lf_flags_map(open(fixture_dir(), O_RDONLY | O_DIRECTORY), 1, &rc);
	cr_assert_not_null(flags);
	now_s = NOON;
	cr_assert_eq(lf_announcer_new(&announcer, &reporter, 60, now_s * 1000, &why), 0);
}

static void tear_down(void)
{
	lf_announcer_free(announcer);
	lf_flags_unmap(flags);
	fixture_remove();
}

TestSuite(announce, .init = set_up, .fini = tear_down, .timeout = 60);

/* The rule of the messages from 0 to the count. */
static void rule(unsigned count, uint64_t rule)
{
	struct lf_flags_row *rows = calloc(count + 1, sizeof(*rows));

	for (unsigned i = 0; i < count; i++) {
		struct lf_announced what = message(i, LF_MUTED);

		rows[i] = (struct lf_flags_row){ what.id, what.namespace_key, rule };
	}
	cr_assert_eq(lf_flags_publish(flags, rows, count), 0);
	free(rows);
}

static void add(unsigned number, enum lf_outcome outcome, uint64_t calls)
{
	struct lf_announced what = message(number, outcome);

	if (lf_announcer_add(announcer, &what, calls))
		lf_announcer_name(announcer, &what, (struct lf_text){ "user %s in\n", 11 });
}

/* What is said at a look so many seconds later, in one line. */
static const char *look(unsigned later_s)
{
	now_s += later_s;
	said[0] = '\0';
	lf_announcer_look(announcer, flags, now_s * 1000);
	return said;
}

static void expect(const char *found, const char *expected)
{
	cr_assert_str_eq(found, expected, "\"%s\", expected \"%s\"", found, expected);
}

#define NAME "ab00000000…  user %s in: "

Test(announce, a_message_is_told_when_it_begins_from_time_to_time_and_when_it_is_over)
{
	rule(1, lf_rule_make(LF_RULE_MUTE, 0, 0));
	expect(look(1), "");
	add(0, LF_MUTED, 1);
	expect(look(1), "muted: " NAME "1 call since 12:00:01\n");
	add(0, LF_MUTED, 5);
	expect(look(1), "");
	add(0, LF_MUTED, 6);
	expect(look(58), "muted: " NAME "11 calls since 12:00:02\n");
	expect(look(60), "");
	add(0, LF_MUTED, 7);
	rule(0, 0);
	expect(look(1), "");
	add(0, LF_MUTED, 2);
	expect(look(1), "muted no more: " NAME "21 calls in all since 12:00:01\n");
	expect(look(600), "");
}

Test(announce, another_rule_is_an_end_and_a_beginning)
{
	rule(1, lf_rule_make(LF_RULE_SAMPLE, 3, 0));
	add(0, LF_SAMPLED, 2);
	expect(look(1), "sampled out: " NAME "2 calls since 12:00:00\n");
	rule(1, lf_rule_make(LF_RULE_LIMIT, 3, 1000));
	add(0, LF_LIMITED, 1);
	expect(look(1), "rate limited: " NAME "1 call since 12:00:01\n");
	expect(look(1), "sampled out no more: " NAME "2 calls in all since 12:00:00\n");
}

Test(announce, a_rule_that_comes_back_at_once_is_no_end)
{
	rule(1, lf_rule_make(LF_RULE_MUTE, 0, 0));
	add(0, LF_MUTED, 2);
	expect(look(1), "muted: " NAME "2 calls since 12:00:00\n");
	rule(0, 0);
	expect(look(1), "");
	rule(1, lf_rule_make(LF_RULE_MUTE, 0, 0));
	expect(look(1), "");
	expect(look(1), "");
}

Test(announce, without_an_interval_only_beginning_and_end_are_told)
{
	lf_announcer_set_interval(announcer, 0);
	rule(1, lf_rule_make(LF_RULE_MUTE, 0, 0));
	add(0, LF_MUTED, 2);
	expect(look(1), "muted: " NAME "2 calls since 12:00:00\n");
	add(0, LF_MUTED, 2);
	expect(look(100000), "");
	said[0] = '\0';
	lf_announcer_end(announcer);
	expect(said, "muted until now: " NAME "4 calls in all since 1970-01-01 12:00:00\n");
}

Test(announce, a_clock_that_is_set_back_silences_nobody_for_longer_than_the_interval)
{
	rule(1, lf_rule_make(LF_RULE_MUTE, 0, 0));
	add(0, LF_MUTED, 2);
	expect(look(1), "muted: " NAME "2 calls since 12:00:00\n");
	now_s -= 3600;
	add(0, LF_MUTED, 3);
	expect(look(0), "");
	add(0, LF_MUTED, 4);
	(void)look(60);
	cr_assert_not_null(strstr(said, NAME "7 calls since"), "%s", said);
}

static unsigned lines(void)
{
	unsigned count = 0;

	for (const char *at = said; *at; at++)
		count += *at == '\n';
	return count;
}

Test(announce, of_many_messages_those_with_the_most_calls_are_told_and_the_rest_in_one_line)
{
	rule(300, lf_rule_make(LF_RULE_MUTE, 0, 0));
	for (unsigned i = 0; i < 300; i++)
		add(i, LF_MUTED, 1 + i % 150);
	(void)look(1);
	cr_assert_eq(lines(), LF_ANNOUNCE_LINES + 1, "%s", said);
	cr_assert_not_null(strstr(said, ": 150 calls since"), "%s", said);
	cr_assert_not_null(strstr(said, ": 141 calls since"), "%s", said);
	cr_assert_null(strstr(said, ": 140 calls since"), "%s", said);
	/* 300 messages have 2 * 11325 calls, the 20 heaviest 2 * 1455. */
	cr_assert_not_null(strstr(said, "\nand 280 more messages: 19740 calls\n"), "%s", said);
	rule(0, 0);
	(void)look(1);
	(void)look(1);
	cr_assert_eq(lines(), LF_ANNOUNCE_LINES + 1, "%s", said);
	cr_assert_not_null(strstr(said, "\nand 280 more messages no more: 19740 calls\n"), "%s", said);
	expect(look(1), "");
}

Test(announce, memory_is_bounded_and_what_is_beyond_is_told_without_a_name)
{
	for (unsigned i = 0; i < LF_ANNOUNCE_MESSAGES + 10; i++)
		add(i, LF_MUTED, 2);
	cr_assert_not_null(strstr(look(60), "not printed: 20 calls of messages beyond 4096"), "%s",
	                   said);
}

Test(announce, the_repeats_of_folds_are_told_at_once_and_those_of_too_many_in_one_line)
{
	struct lf_announced what = message(0, LF_FOLDED);
	struct lf_text name = { "a\x1b%s\n", 5 };

	lf_announcer_fold(announcer, &what.id, name, 12, 30000);
	expect(said, "folded: ab00000000…  a\\x1b%s … repeated 12 times in 30.0 s\n");
	for (int i = 0; i < 30; i++)
		lf_announcer_fold(announcer, &what.id, name, 2, 500);
	said[0] = '\0';
	lf_announcer_end_folds(announcer);
	expect(said, "and 11 more messages, repeated 22 times\n");
	said[0] = '\0';
	lf_announcer_end_folds(announcer);
	expect(said, "");
}
