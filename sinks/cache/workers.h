/* Threads that load in the background: refreshing and warming.  Started when they are first needed. */
#ifndef LOGFOLD_SINKS_CACHE_WORKERS_H
#define LOGFOLD_SINKS_CACHE_WORKERS_H

#include "sinks/cache/internal.h"

LF_MUST_CHECK int lf_workers_new(struct lf_cache *cache);
/* What runs is waited for, what waits is given up: `run` is called with `given_up`.  From then on all is refused. */
void lf_workers_close(struct lf_cache *cache);
void lf_workers_free(struct lf_cache *cache); /* after that, or where there are none */

/* -EAGAIN: 1024 wait already, it is being closed, or no thread can be had. */
LF_MUST_CHECK int lf_workers_run(struct lf_cache *cache, void (*run)(void *arg, bool given_up), void *arg);

/* flights.c */
LF_MUST_CHECK int lf_flights_new(struct lf_cache *cache);
void lf_flights_free(struct lf_cache *cache);

/* The key is going to be changed, or was elsewhere: what is being made for it may be older.  Where nothing is being
 * made it is one load. */
void lf_flights_touch(struct lf_cache *cache, struct lf_text key);

#endif
