#include "agent/cli/signals.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Our own faults must end us as ever, whoever else has them blocked. */
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
static const int never_passed_on[] = { SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU,
	                               SIGPIPE, SIGURG,  SIGIO,   SIGXFSZ };
static const int of_the_keyboard[] = { SIGINT, SIGQUIT };
static const int of_the_terminal[] = { SIGHUP, SIGWINCH };

static bool is_one_of(int signal, const int *list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (list[i] == signal)
			return true;
	return false;
}

#define IS_ONE_OF(signal, list) is_one_of((signal), (list), sizeof(list) / sizeof(*(list)))

static struct sigaction file_limit_before;

void lf_signals_outlive_file_limit(void)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGXFSZ, &ignored, &file_limit_before);
}

void lf_signals_restore_file_limit(void)
{
	(void)sigaction(SIGXFSZ, &file_limit_before, NULL);
}

static void block_pipe(sigset_t *before)
{
	sigset_t pipe;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &pipe, before);
}

void lf_signals_outlive_pipes(struct lf_signals *out)
{
	block_pipe(&out->mask_before);
}

void lf_signals_restore_pipes(const struct lf_signals *signals)
{
	static const struct timespec at_once = { 0, 0 };
	sigset_t pipe;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	if (!sigismember(&signals->mask_before, SIGPIPE))
		(void)sigtimedwait(&pipe, NULL, &at_once);
	(void)sigprocmask(SIG_SETMASK, &signals->mask_before, NULL);
}

int lf_signals_take(struct lf_signals *signals, struct lf_error *err)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t all;
	size_t i;

	(void)sigfillset(&all);
	for (i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		(void)sigdelset(&all, faults[i]);
	signals->fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0)
		return lf_fail(err, -errno, "signals cannot be read: %s", strerror(errno));
	(void)sigaction(SIGCHLD, &by_default, &signals->chld_before);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	return 0;
}

void lf_signals_restore(const struct lf_signals *signals)
{
	(void)sigaction(SIGCHLD, &signals->chld_before, NULL);
	(void)sigprocmask(SIG_SETMASK, &signals->mask_before, NULL);
}

static bool next_signal(const struct lf_signals *signals, struct signalfd_siginfo *info)
{
	ssize_t len;

	do
		len = read(signals->fd, info, sizeof(*info));
	while (len < 0 && errno == EINTR);
	return len == (ssize_t)sizeof(*info);
}

void lf_signals_release(struct lf_signals *signals)
{
	struct signalfd_siginfo info;
	sigset_t mask = signals->mask_before;

	while (next_signal(signals, &info))
		;
	(void)sigaddset(&mask, SIGPIPE);
	(void)sigaction(SIGCHLD, &signals->chld_before, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)close(signals->fd);
	signals->fd = -1;
}

/* The kernel's own, or a process of our group, which has sent it to all of the group.  A sender whom
 * we cannot see or who has ended is taken for a stranger: rather twice than never. */
static bool is_of_the_group(const struct signalfd_siginfo *info)
{
	return info->ssi_code > 0 ||
	       (info->ssi_pid != 0 && getpgid((pid_t)info->ssi_pid) == getpgrp());
}

static bool is_for(pid_t command, const struct signalfd_siginfo *info)
{
	int signal = (int)info->ssi_signo;
	bool by_process = info->ssi_code <= 0; /* SI_USER, SI_QUEUE, SI_TKILL; the kernel's are above */

	if (IS_ONE_OF(signal, never_passed_on))
		return false;
	if (by_process && (pid_t)info->ssi_pid == command)
		return false; /* it signals its group, itself included, or its parent */
	if (IS_ONE_OF(signal, of_the_keyboard))
		return !is_of_the_group(info);
	return by_process || !IS_ONE_OF(signal, of_the_terminal);
}

bool lf_signals_forward(const struct lf_signals *signals, pid_t command)
{
	struct signalfd_siginfo info;
	bool continued = false;

	while (next_signal(signals, &info)) {
		if (info.ssi_signo == SIGCONT)
			continued = true;
		else if (is_for(command, &info))
			(void)kill(command, (int)info.ssi_signo);
	}
	return continued;
}

void lf_signals_stop_self(int signal)
{
	struct sigaction action;
	sigset_t one;

	/* Where we were started with it ignored, only SIGSTOP stops us. */
	if (sigaction(signal, NULL, &action) < 0 || action.sa_handler == SIG_IGN) {
		(void)raise(SIGSTOP);
		return;
	}
	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal);
	(void)raise(signal);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stand still */
	(void)sigprocmask(SIG_BLOCK, &one, NULL);
}
