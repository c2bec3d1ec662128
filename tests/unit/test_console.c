#include "agent/hook/console.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int handed[2], inner[2];

static void start(void)
{
	char streams[64];
	struct stat st;

	cr_assert_eq(pipe(handed), 0);
	cr_assert_eq(pipe(inner), 0);
	cr_assert_eq(fstat(handed[1], &st), 0);
	(void)snprintf(streams, sizeof(streams), "%llu:%llu", (unsigned long long)st.st_dev,
	               (unsigned long long)st.st_ino);
	setenv("LOGFOLD_STREAMS", streams, 1);
	lf_console_start();
}

Test(console, the_file_that_was_handed_over_is_a_console_on_whatever_fd, .init = start)
{
	int copy = dup(handed[1]);

	cr_assert(lf_console_is(handed[1]));
	cr_assert(lf_console_is(copy));
}

Test(console, an_inner_pipe_and_a_file_are_none, .init = start)
{
	int file = open("/dev/null", O_WRONLY);

	cr_assert_not(lf_console_is(inner[1]));
	cr_assert_not(lf_console_is(file));
}

Test(console, the_reading_end_is_none, .init = start)
{
	cr_assert_not(lf_console_is(handed[0]));
}

Test(console, a_terminal_is_one_without_being_handed_over, .init = start)
{
	int leader = posix_openpt(O_RDWR | O_NOCTTY);
	int terminal;

	cr_assert_eq(grantpt(leader), 0);
	cr_assert_eq(unlockpt(leader), 0);
	terminal = open(ptsname(leader), O_RDWR | O_NOCTTY);
	cr_assert(lf_console_is(terminal));
}

Test(console, an_fd_is_asked_about_again_only_when_it_was_forgotten, .init = start)
{
	cr_assert(lf_console_is(handed[1]));
	cr_assert_eq(dup2(inner[1], handed[1]), handed[1]);
	cr_assert(lf_console_is(handed[1]), "nobody told");
	lf_console_forget(handed[1]);
	cr_assert_not(lf_console_is(handed[1]));
}

Test(console, an_fd_that_is_not_open_is_not_remembered, .init = start)
{
	int fd = dup(handed[1]);

	close(fd);
	cr_assert_not(lf_console_is(fd));
	cr_assert_eq(dup2(handed[1], fd), fd);
	cr_assert(lf_console_is(fd));
}

Test(console, fds_beyond_the_table_are_none, .init = start)
{
	cr_assert_not(lf_console_is(-1));
	cr_assert_not(lf_console_is(LF_CONSOLE_FDS));
	lf_console_forget(-1);
	lf_console_forget(LF_CONSOLE_FDS);
}

Test(console, without_LOGFOLD_STREAMS_fds_1_and_2_are_taken_and_handed_on)
{
	unsetenv("LOGFOLD_STREAMS");
	unsetenv("JOURNAL_STREAM");
	cr_assert_eq(pipe(handed), 0);
	cr_assert_eq(dup2(handed[1], 1), 1);
	lf_console_start();
	cr_assert(lf_console_is(handed[1]));
	cr_assert_neq(lf_console_streams_for_children()[0], '\0');
}
