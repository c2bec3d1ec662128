/* The circuit breaker of a tier: after some failures in a row the tier is left alone for a while, which
 * doubles each time and is jittered, so that the agents of a fleet do not come back in step.  Then one
 * call may try.
 *
 * One thread.  Times are lf_clock_ms().
 */
#ifndef LOGFOLD_SINKS_BREAKER_H
#define LOGFOLD_SINKS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct lf_breaker {
	unsigned failures_max;          /* in a row, until it opens */
	int64_t backoff_min_ms, backoff_max_ms;
	uint64_t random;                /* state of the jitter; any value */
	unsigned failures;              /* in a row */
	int64_t backoff_ms;             /* the last pause; 0: none since the last success */
	int64_t retry_ms;               /* before it nothing is tried */
};

void lf_breaker_init(struct lf_breaker *breaker, unsigned failures_max, int64_t backoff_min_ms,
                     int64_t backoff_max_ms, uint64_t seed);

/* Whether a call may be made now. */
bool lf_breaker_allows(const struct lf_breaker *breaker, int64_t now_ms);

/* Whether it has opened: the tier counts as down, until a call succeeds. */
bool lf_breaker_is_open(const struct lf_breaker *breaker);

void lf_breaker_succeeded(struct lf_breaker *breaker);
void lf_breaker_failed(struct lf_breaker *breaker, int64_t now_ms);

#endif
