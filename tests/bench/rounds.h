/* How long a call takes, for the programs that are measured beside each other, in nanoseconds, to the file
 * $BENCH_RESULT: of many short rounds the lower quartile, which is what it takes while nothing else has the
 * processor.  Of C and of C++. */
#ifndef LOGFOLD_BENCH_ROUNDS_H
#define LOGFOLD_BENCH_ROUNDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 60, WARM = 2000 };

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void tell(double ns[ROUNDS])
{
	const char *path = getenv("BENCH_RESULT");
	FILE *result = fopen(path ? path : "/dev/null", "w");

	if (!result)
		exit(1);
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	fprintf(result, "%.3f\n", ns[ROUNDS / 4]);
	fclose(result);
}

/* An argument that takes its time: what a name, a peer or a digest is printed by. */
__attribute__((noinline)) static const char *described(long i)
{
	static char text[64];

	snprintf(text, sizeof(text), "%08lx-%04lx", i * 2654435761L & 0xffffffffL, i & 0xffff);
	return text;
}

/* `call` stands in the loop itself: some take less than a call through a pointer.  `before` is done
 * before each round and is not timed. */
#define TIME_CALLS(count, before, call) \
	do { \
		double ns_[ROUNDS]; \
		long calls_ = (count) / ROUNDS; \
\
		for (long i = 0; i < WARM; i++) { \
			call; \
		} \
		for (int round_ = 0; round_ < ROUNDS; round_++) { \
			uint64_t start_; \
\
			before; \
			start_ = now_ns(); \
			for (long i = 0; i < calls_; i++) { \
				call; \
			} \
			ns_[round_] = (double)(now_ns() - start_) / (double)calls_; \
		} \
		tell(ns_); \
	} while (0)

#endif
