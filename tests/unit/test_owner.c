#include "agent/core/owner.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
	struct told told = { .pid = getpid() };
	struct lf_process_id self;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	lf_process_id_read(&self, 0);
	told.start_time = self.start_time;
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

/* ---- Watched ---- */

static struct lf_process_id id_of(pid_t pid)
{
	struct lf_process_id id;

	lf_process_id_read(&id, (uint32_t)pid);
	return id;
}

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pause();
		_exit(0);
	}
	return pid;
}

/* It is a zombie then. */
static void end(pid_t pid)
{
	siginfo_t info;

	(void)kill(pid, SIGKILL);
	(void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}

Test(owner, a_watched_process_lives_until_it_ends_reaped_or_not)
{
	pid_t pid = start_sleeper();
	struct lf_process_id owner = id_of(pid);
	struct lf_host host;
	int watch = -1;

	lf_host_read(&host);
	for (int i = 0; i < 3; i++)
		cr_assert_not(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	cr_assert_geq(watch, 0);
	end(pid);
	cr_assert(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	cr_assert_eq(watch, -1, "it is released");
	(void)waitpid(pid, NULL, 0);
	cr_assert(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	cr_assert_eq(watch, -1);
}

/* The descriptor is of whoever has the id now. */
Test(owner, a_process_that_got_the_id_of_a_dead_one_is_not_taken_for_it)
{
	pid_t pid = start_sleeper();
	struct lf_process_id owner = id_of(pid);
	struct lf_host host;
	int watch = -1;

	lf_host_read(&host);
	owner.start_time--;
	cr_assert(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	cr_assert_eq(watch, -1);
	end(pid);
	(void)waitpid(pid, NULL, 0);
}

Test(owner, watches_leave_half_of_the_descriptors_to_others)
{
	const struct rlimit few = { 40, 40 };
	pid_t pid = start_sleeper();
	struct lf_process_id owner = id_of(pid);
	int watch[40], watched = 0, dead = 0;
	struct lf_host host;

	lf_host_read(&host);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 40; i++) {
		watch[i] = -1;
		cr_assert_not(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch[i]));
		watched += watch[i] >= 0;
	}
	cr_assert(watched > 0 && watched <= 20, "%d are watched", watched);
	end(pid);
	for (int i = 0; i < 40; i++)
		dead += lf_owner_has_died(&host, &owner, host.pid_namespace, &watch[i]);
	cr_assert_eq(dead, 40, "the others are looked at as before");
	(void)waitpid(pid, NULL, 0);
}

static void *outlive(void *arg)
{
	(void)arg;
	(void)pause();
	return NULL;
}

static pid_t start_without_first_thread(void)
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pthread_create(&thread, NULL, outlive, NULL);
		pthread_exit(NULL);
	}
	return pid;
}

static bool is_zombie(pid_t pid)
{
	uint64_t threads, start_time;
	char state;

	return lf_process_stat((uint32_t)pid, &state, &threads, &start_time) && state == 'Z';
}

Test(owner, a_watched_process_lives_as_long_as_one_of_its_threads)
{
	pid_t pid = start_without_first_thread();
	struct lf_process_id owner = id_of(pid);
	struct lf_host host;
	int watch = -1;

	lf_host_read(&host);
	while (!is_zombie(pid)) /* ends with the suite's timeout */
		(void)usleep(1000);
	for (int i = 0; i < 3; i++)
		cr_assert_not(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	end(pid);
	cr_assert(lf_owner_has_died(&host, &owner, host.pid_namespace, &watch));
	(void)waitpid(pid, NULL, 0);
}
