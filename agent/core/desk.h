/* Where other threads ask what only the main thread can say: how the agent is.
 *
 * How the cache is, is asked first: by its own thread, or by the thread that asks, as it may have to wait for tiers.  Then
 * the main thread writes the answer, for a client of the control socket, or for a thread that waits.
 */
#ifndef LOGFOLD_CORE_DESK_H
#define LOGFOLD_CORE_DESK_H

#include "agent/core/cached.h"
#include "agent/core/control.h"

struct lf_desk;

enum lf_question { LF_ASKED_HEALTH, LF_ASKED_CACHE };

struct lf_desk_options {
	void (*wake)(void *arg); /* from any thread: have lf_desk_serve() called */
	/* In the main thread. */
	void (*write)(void *arg, enum lf_question question, const struct lf_cached_state *state, FILE *out);
	void (*reply)(void *arg, struct lf_control_ticket ticket, const char *text, size_t bytes);
	void *arg;
};

LF_MUST_CHECK int lf_desk_new(struct lf_desk **out, const struct lf_desk_options *options, struct lf_error *err);
/* After the cache has ended, and when nobody waits.  NULL is fine. */
void lf_desk_free(struct lf_desk *desk);

/* For a client, in the main thread.  -ENOMEM. */
LF_MUST_CHECK int lf_desk_ask_for(struct lf_desk *desk, struct lf_cached *cached, enum lf_question question,
                                  struct lf_control_ticket ticket, struct lf_error *err);

/* In any other thread: waits.  *out is the caller's to free.  -ETIMEDOUT, or -ECANCELED when the desk shuts. */
LF_MUST_CHECK int lf_desk_ask(struct lf_desk *desk, struct lf_cached *cached, enum lf_question question, int timeout_ms,
                              char **out, size_t *len, struct lf_error *err);

/* In the main thread: answers what has come. */
void lf_desk_serve(struct lf_desk *desk);

/* From now on nobody waits; until it opens again. */
void lf_desk_shut(struct lf_desk *desk, bool shut);

#endif
