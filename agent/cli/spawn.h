/* Starting the command of `logfold run` as if its caller had: same group, fds, mask, dispositions. */
#ifndef LOGFOLD_CLI_SPAWN_H
#define LOGFOLD_CLI_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/cli/signals.h"
#include "logfold/error.h"

enum { LF_STREAMS_MAX = 96 };

/* "dev:ino[,dev:ino]": the files behind fds 1 and 2 that the command will inherit; "0:0", which no
 * file is, when it inherits neither. */
void lf_spawn_streams(char out[LF_STREAMS_MAX]);

struct lf_variable {
	const char *name;
	const char *value; /* NULL: stays as it is */
};

struct lf_spawn {
	char *const *argv;
	const struct lf_variable *variables; /* set in the command's environment; ends with a NULL name */
	const struct lf_signals *signals;
};

/* Starts it.  When it could not be run, *not_run (may not be NULL) is the errno of exec and the result
 * is negative; a negative result with *not_run = 0 is our own failure. */
LF_MUST_CHECK int lf_spawn(pid_t *out, const struct lf_spawn *how, int *not_run,
                           struct lf_error *err);

/* Becomes the command, without a trace of us.  Returns the errno of exec, and only then.  The signals
 * are not taken, or released again. */
int lf_spawn_in_place(char *const *argv, struct lf_signals *signals);

struct lf_child {
	pid_t pid;
	bool stopped;
};

/* Looks what became of the command since the last call: true when it has ended, with the status that
 * a shell would say.  When the terminal stopped it, logfold stops, too.  `continued` says that
 * logfold was told to go on: then the command is, too. */
bool lf_child_ended(struct lf_child *child, bool continued, int *status);

#endif
