#include "agent/core/owner.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(owner, .timeout = 60);

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	(void)close(fd);
	return written;
}

struct told {
	pid_t pid;
	uint64_t start_time;
};

/* What a process knows of itself whose clock is shifted by a day; then it lives on. */
static void tell(int fd)
{
	char text[1024], state;
	struct told told = { .pid = getpid() };
	uint64_t threads;
	int stat = open("/proc/self/stat", O_RDONLY);
	ssize_t len = read(stat, text, sizeof(text));

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (len > 0)
		(void)!lf_process_stat_parse((struct lf_text){ text, (size_t)len }, &state, &threads,
		                             &told.start_time);
	(void)!write(fd, &told, sizeof(told));
	(void)pause();
	_exit(0);
}

/* False where no time namespace can be made. */
static bool start_in_another_time(struct told *told, pid_t *maker)
{
	int ends[2];
	bool started;

	cr_assert_eq(pipe(ends), 0);
	*maker = fork();
	if (*maker == 0) {
		if (unshare(CLONE_NEWTIME) < 0 ||
		    !write_file("/proc/self/timens_offsets", "boottime 86400 0\n"))
			_exit(1);
		if (fork() == 0)
			tell(ends[1]);
		(void)close(ends[1]);
		(void)pause();
		_exit(0);
	}
	(void)close(ends[1]);
	started = read(ends[0], told, sizeof(*told)) == (ssize_t)sizeof(*told);
	(void)close(ends[0]);
	return started;
}

Test(owner, a_living_process_of_another_time_namespace_is_not_taken_for_dead)
{
	struct lf_process_id owner = { .pid = 0 };
	struct lf_host host;
	struct told told;
	pid_t maker;

	if (!start_in_another_time(&told, &maker))
		cr_skip_test("needs the right to make a time namespace");
	lf_host_read(&host);
	memcpy(owner.boot_id, host.boot_id, sizeof(owner.boot_id));
	owner.pid = (uint32_t)told.pid;
	owner.start_time = told.start_time;
	cr_assert_not(lf_owner_is_dead(&host, &owner, host.pid_namespace));
	owner.pid = (uint32_t)getpid();
	cr_assert(lf_owner_is_dead(&host, &owner, host.pid_namespace), "another one's start time");
	(void)kill(maker, SIGKILL);
	(void)kill(told.pid, SIGKILL);
	(void)waitpid(maker, NULL, 0);
}
