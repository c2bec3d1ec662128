/* The signals that logfold gets while its command runs.
 *
 * They are blocked and read from an fd, never caught: no disposition but those of SIGCHLD and SIGXFSZ
 * is touched, so the command can be given all of them as logfold found them.
 *
 *   INT, QUIT from the terminal               dropped: it sends them to the whole group
 *     from a process of our group             dropped: `kill 0` does the same
 *     from any other                          passed on: `docker stop`, `kill PID` and their like send
 *                                             them to one process only, which is us
 *   HUP, WINCH from the terminal              dropped, for the same reason
 *   CHLD, CONT, TSTP, TTIN, TTOU, PIPE, URG, IO, XFSZ   never passed on
 *   TERM, HUP, USR1, USR2, ALRM, all others   passed on
 *
 * SIGXFSZ is ignored in every command, so that a limit on file sizes (ulimit -f) is an error code for
 * us and not our end; the command finds it as we did.
 *
 * An alarm that was set before exec is among what is passed on: bare, the command would have got it.
 */
#ifndef LOGFOLD_CLI_SIGNALS_H
#define LOGFOLD_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "logfold/error.h"

struct lf_signals {
	int fd;                  /* readable when a signal is waiting */
	sigset_t mask_before;    /* for the command, and for afterwards */
	struct sigaction chld_before; /* an ignored SIGCHLD would reap the command unseen */
};

/* Ignores SIGXFSZ.  Once, before anything is written. */
void lf_signals_outlive_file_limit(void);

/* As it was, for the command.  Async-signal-safe. */
void lf_signals_restore_file_limit(void);

/* Blocks SIGPIPE from here on: a reader of stderr that has gone away must end neither us nor, with us,
 * the command.  Before anything is said; the other calls here expect it. */
void lf_signals_outlive_pipes(struct lf_signals *out);

/* In the process that becomes the command itself: SIGPIPE as it was, and none of ours waiting. */
void lf_signals_restore_pipes(const struct lf_signals *signals);

/* Blocks what can be blocked. */
LF_MUST_CHECK int lf_signals_take(struct lf_signals *signals, struct lf_error *err);

/* In a forked child: everything as it was.  Async-signal-safe. */
void lf_signals_restore(const struct lf_signals *signals);

/* Forgets what is waiting and gives the signals back, all but SIGPIPE. */
void lf_signals_release(struct lf_signals *signals);

/* Takes what is waiting and passes on to the command what is meant for it.  True when SIGCONT was
 * among it. */
bool lf_signals_forward(const struct lf_signals *signals, pid_t command);

/* Stops logfold as `signal` stopped the command, until it is continued. */
void lf_signals_stop_self(int signal);

#endif
