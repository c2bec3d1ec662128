#include "agent/core/runs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lf_error why;
static struct lf_runs *runs;

static void set_up(void)
{
	cr_assert_eq(lf_runs_new(&runs, &why), 0);
}

static void tear_down(void)
{
	lf_runs_free(runs);
}

TestSuite(runs, .init = set_up, .fini = tear_down, .timeout = 60);

enum { STRANGER = 4321 };

Test(runs, an_id_is_sixteen_hex_digits_and_never_zero)
{
	char text[LF_RUN_ID_CHARS + 1];

	lf_run_id_format(0xabc, text);
	cr_assert_str_eq(text, "0000000000000abc");
	cr_assert_eq(lf_run_id_parse(text), 0xabc);
	cr_assert_eq(lf_run_id_parse("0000000000000000"), 0);
	cr_assert_eq(lf_run_id_parse("abc"), 0);
	cr_assert_eq(lf_run_id_parse("0000000000000ABC"), 0);
	cr_assert_eq(lf_run_id_parse("0000000000000abc0"), 0);
}

Test(runs, a_run_is_tallied_from_its_beginning_to_its_end_and_no_other_is)
{
	cr_assert_not(lf_runs_heard(runs, 7));
	cr_assert_eq(lf_runs_begin(runs, 7, STRANGER, getpid(), &why), 0, "%s", why.text);
	cr_assert_eq(lf_runs_begin(runs, 7, STRANGER, getpid(), &why), -EEXIST);
	cr_assert(lf_runs_heard(runs, 7));
	cr_assert_not(lf_runs_heard(runs, 8));
	cr_assert_not(lf_runs_heard(runs, 0));
	lf_runs_end(runs, 7);
	cr_assert_not(lf_runs_heard(runs, 7));
}

Test(runs, a_report_is_for_the_user_of_the_run_and_root)
{
	cr_assert_eq(lf_runs_begin(runs, 7, STRANGER, 0, &why), 0);
	cr_assert_eq(lf_runs_check(runs, 7, STRANGER, &why), 0);
	cr_assert_eq(lf_runs_check(runs, 7, 0, &why), 0);
	cr_assert_eq(lf_runs_check(runs, 7, STRANGER + 1, &why), -EPERM);
	cr_assert_eq(lf_runs_check(runs, 8, STRANGER, &why), -ENOENT);
	cr_assert_eq(lf_runs_check(runs, 0, STRANGER, &why), -ENOENT);
}

Test(runs, a_run_whose_process_has_died_is_lost_and_others_are_not)
{
	pid_t child = fork();

	if (child == 0)
		_exit(pause());
	cr_assert_eq(lf_runs_begin(runs, 7, STRANGER, child, &why), 0);
	cr_assert_eq(lf_runs_begin(runs, 8, STRANGER, 0, &why), 0);
	cr_assert_eq(lf_runs_lost(runs), 0);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	cr_assert_eq(lf_runs_lost(runs), 7);
	lf_runs_end(runs, 7);
	cr_assert_eq(lf_runs_lost(runs), 0);
}

Test(runs, one_user_cannot_take_all_places_and_all_together_have_an_end)
{
	uint64_t id = 1;

	for (int i = 0; i < LF_RUNS_OF_A_USER; i++)
		cr_assert_eq(lf_runs_begin(runs, id++, STRANGER, 0, &why), 0);
	cr_assert_eq(lf_runs_begin(runs, id, STRANGER, 0, &why), -EUSERS);
	while (id <= LF_RUNS_MAX)
		cr_assert_eq(lf_runs_begin(runs, id++, 0, 0, &why), 0);
	cr_assert_eq(lf_runs_begin(runs, id, 0, 0, &why), -EUSERS);
	lf_runs_end(runs, 1);
	cr_assert_eq(lf_runs_begin(runs, id, 0, 0, &why), 0);
}
