/* Children of every kind that print: fork, _Fork, clone without libc, vfork with exec, posix_spawn.
 * Each prints once what it is, and "parent" is printed before and after each. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what)
{
	printf("%s prints\n", what); /* one message, whoever says it */
	fflush(stdout);
}

static void child(const char *what)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%s child prints\n", what);

	say(what);
	if (write(1, line, (size_t)len) != len)
		abort();
	_exit(0);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
	say("parent");
}

int main(int argc, char **argv)
{
	char *const again[] = { argv[0], "executed", NULL };
	pid_t pid;

	if (argc > 1) {
		say(argv[1]);
		return 0;
	}
	say("parent");
	pid = fork();
	if (pid == 0)
		child("forked");
	wait_for(pid);
	pid = _Fork();
	if (pid == 0)
		child("_Forked");
	wait_for(pid);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		child("cloned");
	wait_for(pid);
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			child("grand");
		wait_for(pid);
		_exit(0);
	}
	wait_for(pid);
	pid = vfork();
	if (pid == 0) {
		execv(argv[0], again);
		_exit(1);
	}
	wait_for(pid);
	/* In its parent's memory, with fds of its own: what it does to them is not the parent's. */
	pid = vfork();
	if (pid == 0) {
		int null = open("/dev/zero", O_WRONLY);

		if (dup2(null, 1) != 1 || write(1, "hidden\n", 7) != 7 || close(1) < 0)
			_exit(1);
		_exit(0);
	}
	wait_for(pid);
	if (posix_spawn(&pid, argv[0], NULL, NULL, again, environ))
		abort();
	wait_for(pid);
	return 0;
}
