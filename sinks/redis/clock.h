/* Deadlines of this sink: a point of CLOCK_MONOTONIC, in milliseconds, by which a whole call ends. */
#ifndef LOGFOLD_SINKS_REDIS_CLOCK_H
#define LOGFOLD_SINKS_REDIS_CLOCK_H

#include <stdint.h>

#include "hashing/clock.h"

/* What is left, as poll() takes it; 0: too late. */
static inline int lf_redis_left_ms(int64_t end_ms)
{
	int64_t left = end_ms - lf_clock_ms();

	if (left <= 0)
		return 0;
	return left < INT32_MAX ? (int)left : INT32_MAX;
}

/* A part of a call may take so long, and never longer than the call. */
static inline int64_t lf_redis_sooner_ms(int64_t end_ms, int64_t part_ms)
{
	int64_t part_end = lf_clock_ms() + part_ms;

	return part_end < end_ms ? part_end : end_ms;
}

#endif
