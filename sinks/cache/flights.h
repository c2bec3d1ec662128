/* Who is making which value right now: of the callers of one key, one makes it (it leads the flight), the others wait
 * for it and share the outcome.
 *
 * A caller who looked in vain says when it had begun to look (lf_flights_now()), and joins.  It then knows whether
 * another flight ended since (look again: it may have brought the value), and whether the flight that it follows had
 * taken off before (what it brings was read before the caller asked).
 *
 * A flight is outdated when its key was changed after it took off: what it brings may be older than the change.  Its
 * leader keeps it for itself, and whoever waits for it starts over.
 *
 * Threads: any.  A thread that would wait for itself, by way of whatever threads and caches, is told so.
 */
#ifndef LOGFOLD_SINKS_CACHE_FLIGHTS_H
#define LOGFOLD_SINKS_CACHE_FLIGHTS_H

#include "sinks/cache/workers.h"

struct lf_flight;

struct lf_flights_moment {
	uint64_t begun, ended; /* how many flights had */
};
struct lf_flights_moment lf_flights_now(const struct lf_flights *flights);

/* What a flight brings: 1 and a record, 0 and a record (that says that there is none), or what failed. */
struct lf_landing {
	int rc;
	bool again; /* nothing that others may have: they start over */
	enum lf_cache_tier from;
	struct lf_record *record;
	struct lf_error err;
};

enum lf_flight_role { LF_FLIGHT_LEADS, LF_FLIGHT_FOLLOWS };

/* A handle of the caller's, to be given to lf_flight_end() or lf_flight_leave().  -ENOMEM; -EDEADLK: the caller is
 * inside the loader that it would wait for. */
LF_MUST_CHECK int lf_flight_join(struct lf_flights *flights, struct lf_text key, struct lf_flight **out,
                                 enum lf_flight_role *role);

/* One that a thread of the cache is going to lead.  0: somebody is making it already; 1: begun; -ENOMEM. */
LF_MUST_CHECK int lf_flight_plan(struct lf_flights *flights, struct lf_text key, struct lf_flight **out);
/* False: a caller could not wait and leads it; the handle is gone.  True: the caller leads it. */
bool lf_flight_board(struct lf_flight *flight);

/* Whether a flight took off, or another one ended, after that moment. */
bool lf_flight_began_after(const struct lf_flight *flight, const struct lf_flights_moment *moment);
bool lf_flights_ended_after(const struct lf_flights *flights, const struct lf_flights_moment *moment);

/* Waits.  -ETIMEDOUT.  With 0 `*out` is what it brings, the record with one user for the caller. */
LF_MUST_CHECK int lf_flight_wait(struct lf_flight *flight, int64_t end_ms, struct lf_landing *out);
void lf_flight_leave(struct lf_flight *flight); /* who follows; waited or not */
/* Its leader is done.  The record stays the caller's.  NULL: it brings nothing that others may have. */
void lf_flight_end(struct lf_flight *flight, const struct lf_landing *landing);

/* For tests: how many wait for the flight of that key. */
unsigned lf_flights_waiting(struct lf_flights *flights, struct lf_text key);

#endif
