#include "sinks/breaker.h"

void lf_breaker_init(struct lf_breaker *breaker, unsigned failures_max, int64_t backoff_min_ms,
                     int64_t backoff_max_ms, uint64_t seed)
{
	*breaker = (struct lf_breaker){ .failures_max = failures_max,
		                        .backoff_min_ms = backoff_min_ms,
		                        .backoff_max_ms = backoff_max_ms,
		                        .random = seed | 1 };
}

bool lf_breaker_allows(const struct lf_breaker *breaker, int64_t now_ms)
{
	return now_ms >= breaker->retry_ms;
}

bool lf_breaker_is_open(const struct lf_breaker *breaker)
{
	return breaker->failures >= breaker->failures_max;
}

void lf_breaker_succeeded(struct lf_breaker *breaker)
{
	breaker->failures = 0;
	breaker->backoff_ms = 0;
	breaker->retry_ms = 0;
}

/* Marsaglia's xorshift64: enough to spread the agents. */
static uint64_t next_random(struct lf_breaker *breaker)
{
	uint64_t x = breaker->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return breaker->random = x;
}

/* Until it opens every failure costs the shortest pause; from then on the pause doubles.  The second
 * half of it is left to chance. */
void lf_breaker_failed(struct lf_breaker *breaker, int64_t now_ms)
{
	int64_t pause = breaker->backoff_min_ms;

	if (breaker->failures < breaker->failures_max)
		breaker->failures++;
	else
		pause = breaker->backoff_ms * 2;
	if (pause < breaker->backoff_min_ms)
		pause = breaker->backoff_min_ms;
	if (pause > breaker->backoff_max_ms)
		pause = breaker->backoff_max_ms;
	breaker->backoff_ms = pause;
	pause -= (int64_t)(next_random(breaker) % (uint64_t)(pause / 2 + 1));
	breaker->retry_ms = now_ms + pause;
}
