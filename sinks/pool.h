/* Connections to one server, for any number of threads: each is one thread's from take() to give().
 *
 * At least `min` are kept once they were made, at most `max` are there; one beyond `min` goes after a minute that nobody
 * needed it.  What was used last is used next, so that those go.
 */
#ifndef LOGFOLD_SINKS_POOL_H
#define LOGFOLD_SINKS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/error.h"

struct lf_pool;

struct lf_pool_kind {
	int (*make)(void *arg, void **out, struct lf_error *err); /* connects nothing yet */
	void (*unmake)(void *connection);
	void *arg;
};

LF_MUST_CHECK int lf_pool_new(struct lf_pool **out, const struct lf_pool_kind *kind, unsigned min, unsigned max,
                              struct lf_error *err);
void lf_pool_free(struct lf_pool *pool); /* all were given back; NULL is fine */

/* -ETIMEDOUT: all were in use until end_ms (lf_clock_ms()); or what make() says. */
LF_MUST_CHECK int lf_pool_take(struct lf_pool *pool, void **out, int64_t end_ms, struct lf_error *err);
void lf_pool_give(struct lf_pool *pool, void *connection);
unsigned lf_pool_count(struct lf_pool *pool); /* in use or idle */

#endif
