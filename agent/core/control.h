/* The control socket: how a command reaches the agent that holds a run directory.
 *
 * A Unix stream socket, `control` in the run directory: 0600, or 0666 in a directory for many users.  A
 * client sends one line, `verb args`, and gets one answer:
 *
 *   ok              done
 *   ok <text>       one line
 *   data <N>        and behind that line N bytes: many lines
 *   error <text>    not done; the sentence says why
 *
 * The verbs stand in agent/core/requests.c.  Those that change something are only for the agent's own
 * user and root: who asks, the kernel says (SO_PEERCRED).
 *
 * The server never blocks: a client that sends nothing, garbage, or does not read costs one of
 * LF_CONTROL_CLIENTS places, and loses it after LF_CONTROL_PATIENCE_MS.  A user that is neither the
 * agent's nor root has LF_CONTROL_CLIENTS_OF_A_USER of them at most, and all of these together leave some
 * to those two.
 */
#ifndef LOGFOLD_CORE_CONTROL_H
#define LOGFOLD_CORE_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "logfold/error.h"

#define LF_CONTROL_FILE "control"

enum {
	LF_CONTROL_CLIENTS = 32,
	LF_CONTROL_CLIENTS_OF_A_USER = 12,
	LF_CONTROL_CLIENTS_OF_STRANGERS = 24, /* all together */
	LF_CONTROL_LINE_MAX = 4608,         /* a path and a verb */
	LF_CONTROL_DATA_MAX = 64 * 1024 * 1024, /* of one answer */
	LF_CONTROL_PATIENCE_MS = 5000,      /* with a client that does not go on */
	LF_CONTROL_LATER_MS = 30000,        /* with an answer that was put off */
	LF_CONTROL_ANSWER_MS = 5000,        /* with an agent, for what it answers at once unless its disk is slow */
};

/* ---- Client ---- */

/* Sends one line (without its newline) to the agent of the directory and waits for the answer's
 * text, without `ok `; an answer that does not fit is cut.  -ECONNREFUSED or -ENOENT when no agent
 * is there, -ETIMEDOUT, -EREMOTEIO when the agent answered `error`, whose text is then the sentence.
 * An agent that a signal or a debugger has stopped is given up after a second, unless it is in another pid namespace
 * or /proc hides it; one that is frozen or hangs in the kernel is waited for to the end. */
LF_MUST_CHECK int lf_control_ask(int dirfd, const char *request, int timeout_ms, char *answer,
                                 size_t answer_size, struct lf_error *err);

/* The same for an answer of many lines: *out is the caller's to free, with a NUL behind its *bytes
 * bytes.  An answer of one line is handed out just so. */
LF_MUST_CHECK int lf_control_fetch(int dirfd, const char *request, int timeout_ms, char **out,
                                   size_t *bytes, struct lf_error *err);

/* ---- Server ---- */

struct lf_control;

/* A client that waits for its answer: names it to lf_control_reply(), also when it has gone away. */
struct lf_control_ticket {
	unsigned place;
	uint64_t number;
};

struct lf_control_request {
	const char *line; /* `verb args` */
	uid_t uid;        /* who asks */
	pid_t pid;        /* 0: in a pid namespace that we do not see */
	bool may_change;  /* it is the agent's own user, or root */
	struct lf_control_ticket ticket;
};

enum lf_control_answer {
	LF_CONTROL_OK,    /* what was written is the line's text; newlines in it become spaces */
	LF_CONTROL_DATA,  /* what was written is the data */
	LF_CONTROL_LATER, /* nothing was written: lf_control_reply() follows, within LF_CONTROL_LATER_MS */
};

/* Answers one request: writes to `reply`, which is in memory, and returns an enum lf_control_answer, or
 * a negative errno with the sentence in `err`. */
typedef int (*lf_control_handler)(void *arg, const struct lf_control_request *request, FILE *reply,
                                  struct lf_error *err);

/* Binds; a socket file that a dead agent left is replaced.  The caller holds the directory's lock.
 * `all_users`: any user may connect, as far as the directory lets them. */
LF_MUST_CHECK int lf_control_listen(struct lf_control **out, int dirfd, bool all_users,
                                    lf_control_handler handler, void *arg, struct lf_error *err);

/* Answers what was put off: `rc` is what the handler would have returned, and `text` what it would have
 * written, or for a negative rc the sentence.  False when the client has gone.  In the thread that
 * handles the control; not inside a handler. */
bool lf_control_reply(struct lf_control *control, struct lf_control_ticket ticket, int rc,
                      const char *text, size_t bytes);

/* Fills in what to poll for; at most 1 + LF_CONTROL_CLIENTS. */
size_t lf_control_fds(const struct lf_control *control, struct pollfd *fds);

/* Takes what poll() said of these fds, serves whoever can be served, and drops who is late. */
void lf_control_handle(struct lf_control *control, const struct pollfd *fds, size_t count);

/* Removes the socket file, too.  NULL is fine. */
void lf_control_close(struct lf_control *control);

#endif
