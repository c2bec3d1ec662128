/* The control socket: how a command reaches the agent that holds a run directory.
 *
 * A Unix stream socket, `control` in the run directory, 0600.  A client sends one line, `verb args`,
 * and gets one line back: `ok`, `ok text` or `error text`.
 *
 *   drain                      drain now; answers when it is committed
 *   mute <namespace> <hash>    from now on it prints nothing; all processes of the directory obey
 *   unmute <namespace> <hash>
 *   store                      the path of the agent's store
 *   status                     one line of key=value
 *
 * The server never blocks: a client that sends nothing, garbage, or does not read costs one of
 * LF_CONTROL_CLIENTS places, and loses it after LF_CONTROL_PATIENCE_MS.
 */
#ifndef LOGFOLD_CORE_CONTROL_H
#define LOGFOLD_CORE_CONTROL_H

#include <poll.h>
#include <stddef.h>

#include "logfold/error.h"

#define LF_CONTROL_FILE "control"

enum {
	LF_CONTROL_CLIENTS = 16,
	LF_CONTROL_LINE_MAX = 4608, /* a path and a verb */
	LF_CONTROL_PATIENCE_MS = 5000,
};

/* ---- Client ---- */

/* Sends one line (without its newline) to the agent of the directory and waits for the answer's
 * text, without `ok `; an answer that does not fit is cut.  -ECONNREFUSED or -ENOENT when no agent
 * is there, -ETIMEDOUT, -EREMOTEIO when the agent answered `error`, whose text is then the sentence. */
LF_MUST_CHECK int lf_control_ask(int dirfd, const char *request, int timeout_ms, char *answer,
                                 size_t answer_size, struct lf_error *err);

/* ---- Server ---- */

struct lf_control;

/* Answers one request: writes the whole reply line, without a newline, into `reply`. */
typedef void (*lf_control_handler)(void *arg, const char *request, char *reply, size_t reply_size);

/* Binds; a socket file that a dead agent left is replaced.  The caller holds the directory's lock. */
LF_MUST_CHECK int lf_control_listen(struct lf_control **out, int dirfd, lf_control_handler handler,
                                    void *arg, struct lf_error *err);

/* Fills in what to poll for; at most 1 + LF_CONTROL_CLIENTS. */
size_t lf_control_fds(const struct lf_control *control, struct pollfd *fds);

/* Takes what poll() said of these fds, serves whoever can be served, and drops who is late. */
void lf_control_handle(struct lf_control *control, const struct pollfd *fds, size_t count);

/* Removes the socket file, too.  NULL is fine. */
void lf_control_close(struct lf_control *control);

#endif
