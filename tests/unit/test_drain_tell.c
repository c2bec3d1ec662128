#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/core/announce.h"
#include "agent/map/verdict.h"
#include "hashing/clock.h"
#include "tests/unit/segment_fixture.h"

/* A process has so long to tell its fold that no disk takes it from it. */
enum { PERIOD_MS = 5000, GRACE_MS = 30000, LATER_MS = 60000 };

static struct lf_announcer *announcer;
static struct lf_rundir *dir;
static struct lf_store *store;
static struct lf_drain *drain;
static struct fixture_segment segment;
static struct lf_slot *slot;
static struct lf_error why;

static void open_drain(void)
{
	struct lf_drain_options options = { .announcer = announcer };

	cr_assert_eq(lf_drain_open(&drain, dir, store, &options, &why), 0, "%s", why.text);
}

static void fold_all(uint64_t rule, uint32_t grace_ms)
{
	const struct lf_flags_defaults defaults = { .namespace = "", .rule = rule, .fold_grace_ms = grace_ms };
	int rc;
	struct lf_flags *flags = lf_flags_map(lf_rundir_fd(dir), 1, &rc);

	cr_assert_not_null(flags);
	lf_flags_set_defaults(flags, &defaults);
	lf_flags_unmap(flags);
}

static void set_up(void)
{
	struct lf_reporter reporter = fixture_reporter();

	store = fixture_store(fixture_path("entries.db"));
	cr_assert_eq(lf_announcer_new(&announcer, &reporter, 0, 1000, &why), 0);
	cr_assert_eq(lf_rundir_open(&dir, fixture_path("run"), LF_RUNDIR_CREATE, &why), 0);
	cr_assert_eq(lf_rundir_lock(dir, &why), 0);
	fixture_segment(&segment, fixture_path("run"), OWNER_LIVES);
	slot = fixture_slot(&segment, "printf", "user %s in\n", "p!f", LF_KIND_FORMAT);
	slot->counts[LF_PASSED] = 1;
	fold_all(lf_rule_make(LF_RULE_FOLD, 0, PERIOD_MS), GRACE_MS);
	open_drain();
}

static void tear_down(void)
{
	lf_drain_close(drain);
	lf_announcer_free(announcer);
	lf_rundir_close(dir);
	lf_store_close(store);
	fixture_remove();
}

TestSuite(drain_tell, .init = set_up, .fini = tear_down, .timeout = 60);

static uint64_t word(uint32_t count, uint64_t ago_ms)
{
	uint64_t since_ms = (uint64_t)lf_clock_ms() - ago_ms;

	return LF_RULE_FOLD | (uint64_t)count << LF_POLICED_COUNT_SHIFT | since_ms << LF_POLICED_SINCE_SHIFT;
}

static void drain_once(void)
{
	cr_assert_eq(lf_drain_run(drain, store, &why), 0, "%s", why.text);
	lf_announcer_end_folds(announcer);
}

/* So often, over no more than the time since then: how much of that it was the machine decides. */
static void expect_told_over(const char *repeated, int64_t since_ms)
{
	const char *told = strstr(fixture_all_said(), repeated);
	long seconds = 0, tenths = 0;

	cr_assert_not_null(told, "%s", fixture_all_said());
	cr_assert_eq(sscanf(told + strlen(repeated), " in %ld.%1ld s", &seconds, &tenths), 2, "%s", told);
	cr_assert_leq(seconds * 10 + tenths, (lf_clock_ms() - since_ms) / 100, "%s", told);
}

#define REPEATED(times) "  user %s in … repeated " times " in 5.0 s"

Test(drain_tell, a_fold_that_its_process_has_not_told_in_time_is_told_once)
{
	slot->policed = word(3, PERIOD_MS + GRACE_MS / 2);
	drain_once();
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	slot->policed = word(3, LATER_MS);
	drain_once();
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert(fixture_said(REPEATED("3 times")), "%s", fixture_all_said());
	slot->policed = word(1, LATER_MS - 1);
	drain_once();
	cr_assert_eq(fixture_sentences(), 2, "another period: %s", fixture_all_said());
	cr_assert(fixture_said(REPEATED("1 time")), "%s", fixture_all_said());
	slot->policed = word(0, LATER_MS);
	drain_once();
	cr_assert_eq(fixture_sentences(), 2, "%s", fixture_all_said());
}

Test(drain_tell, a_process_that_goes_on_between_its_time_and_our_look_is_spoken_for)
{
	int64_t since_ms;

	slot->policed = word(4, PERIOD_MS + LF_FOLD_GRACE_MS + 50);
	drain_once();
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	fold_all(lf_rule_make(LF_RULE_FOLD, 0, PERIOD_MS), LF_FOLD_GRACE_MS); /* now it is over */
	since_ms = lf_clock_ms() - 10;
	slot->policed = word(2, 10);
	drain_once();
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert(fixture_said(REPEATED("4 times")), "%s", fixture_all_said());
	/* Another rule begins anew, and forgets. */
	slot->policed = LF_RULE_LIMIT;
	drain_once();
	drain_once();
	cr_assert_eq(fixture_sentences(), 2, "%s", fixture_all_said());
	expect_told_over("repeated 2 times", since_ms);
}

Test(drain_tell, what_a_process_told_itself_is_not_told_again_when_it_goes_on)
{
	slot->policed = word(4, PERIOD_MS + 10);
	drain_once();
	slot->policed = word(1, 0); /* it was in time */
	drain_once();
	slot->policed = word(0, PERIOD_MS + 10); /* on another call of its stream */
	drain_once();
	slot->policed = word(0, 0);
	drain_once();
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	slot->policed = word(4, LATER_MS); /* we have */
	drain_once();
	slot->policed = word(0, 0);
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
}

Test(drain_tell, a_process_that_ends_with_repeats_untold_is_spoken_for)
{
	int64_t since_ms = lf_clock_ms() - 10;

	slot->policed = word(7, 10);
	drain_once();
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	fixture_kill(&segment, fixture_path("run"));
	drain_once();
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	expect_told_over("repeated 7 times", since_ms);
}

Test(drain_tell, a_fold_that_is_no_more_is_told_at_once)
{
	int64_t since_ms = lf_clock_ms() - 10;

	slot->policed = word(7, 10);
	drain_once();
	fold_all(0, GRACE_MS);
	drain_once();
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	expect_told_over("repeated 7 times", since_ms);
}

Test(drain_tell, what_an_earlier_agent_has_told_is_not_told_again)
{
	slot->policed = word(3, LATER_MS);
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	lf_drain_close(drain);
	open_drain();
	drain_once();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
}

Test(drain_tell, calls_that_were_left_out_are_told_by_outcome_as_they_are_drained)
{
	slot->counts[LF_MUTED] = 4;
	slot->counts[LF_SAMPLED] = 5;
	slot->counts[LF_FOLDED] = 9;
	drain_once();
	slot->counts[LF_MUTED] = 6;
	drain_once();
	lf_announcer_look(announcer, NULL, 2000);
	cr_assert_eq(fixture_sentences(), 2, "%s", fixture_all_said());
	cr_assert(fixture_said("muted: ") && fixture_said("user %s in: 6 calls"), "%s", fixture_all_said());
	cr_assert(fixture_said("sampled out: ") && fixture_said("user %s in: 5 calls"), "%s",
	          fixture_all_said());
}
