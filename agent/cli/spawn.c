#include "agent/cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void lf_spawn_streams(char out[LF_STREAMS_MAX])
{
	size_t len = 0;
	struct stat st;
	int fd;

	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		int flags = fcntl(fd, F_GETFD);

		/* A standard fd with close-on-exec is the place holder of main(), not the caller's. */
		if (flags < 0 || (flags & FD_CLOEXEC) || fstat(fd, &st) < 0)
			continue;
		len += (size_t)snprintf(out + len, LF_STREAMS_MAX - len, "%s%" PRIu64 ":%" PRIu64,
					len ? "," : "", (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	}
	if (len == 0)
		memcpy(out, "0:0", sizeof("0:0"));
}

/* In the child, which has one thread as its parent has: setenv is safe.  Never returns. */
static void become(const struct lf_spawn *how, int report_fd)
{
	const struct lf_variable *variable;
	int error;

	for (variable = how->variables; variable->name; variable++) {
		if (variable->value && setenv(variable->name, variable->value, 1) < 0) {
			error = errno;
			goto report;
		}
	}
	lf_signals_restore(how->signals);
	lf_signals_restore_file_limit();
	(void)execvp(how->argv[0], how->argv);
	error = errno;
report:
	/* The pipe is empty and ours: four bytes always fit. */
	(void)!write(report_fd, &error, sizeof(error));
	_exit(127);
}

/* What exec had to say: 0 when it succeeded, for then the pipe just closed. */
static int read_report(int fd)
{
	int error = 0;
	ssize_t len;

	do
		len = read(fd, &error, sizeof(error));
	while (len < 0 && errno == EINTR);
	return len == (ssize_t)sizeof(error) ? error : 0;
}

int lf_spawn(pid_t *out, const struct lf_spawn *how, int *not_run, struct lf_error *err)
{
	int report[2], rc;
	pid_t pid;

	*not_run = 0;
	if (pipe2(report, O_CLOEXEC) < 0)
		return lf_fail(err, -errno, "no pipe can be had: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become(how, report[1]);
	rc = pid < 0 ? lf_fail(err, -errno, "no process can be started: %s", strerror(errno)) : 0;
	(void)close(report[1]);
	if (pid > 0)
		*not_run = read_report(report[0]);
	(void)close(report[0]);
	if (*not_run) {
		(void)waitpid(pid, NULL, 0);
		return lf_fail(err, -*not_run, "'%.200s' cannot be run: %s", how->argv[0],
			       strerror(*not_run));
	}
	*out = pid;
	return rc;
}

int lf_spawn_in_place(char *const *argv, struct lf_signals *signals)
{
	int error;

	lf_signals_restore_file_limit();
	lf_signals_restore_pipes(signals);
	(void)execvp(argv[0], argv);
	error = errno;
	lf_signals_outlive_pipes(signals);
	return error;
}

/* Stop signals of the terminal reach the whole group, and the shell waits for logfold to stop.
 * SIGSTOP is not among them: whoever sends that to the command alone continues it alone. */
static bool is_of_the_terminal(int signal)
{
	return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

bool lf_child_ended(struct lf_child *child, bool continued, int *status)
{
	int what;

	while (waitpid(child->pid, &what, WNOHANG | WUNTRACED | WCONTINUED) == child->pid) {
		if (WIFEXITED(what) || WIFSIGNALED(what)) {
			*status = WIFEXITED(what) ? WEXITSTATUS(what) : 128 + WTERMSIG(what);
			return true;
		}
		child->stopped = WIFSTOPPED(what);
		if (child->stopped && is_of_the_terminal(WSTOPSIG(what)))
			lf_signals_stop_self(WSTOPSIG(what));
	}
	if (continued && child->stopped)
		(void)kill(child->pid, SIGCONT);
	return false;
}
