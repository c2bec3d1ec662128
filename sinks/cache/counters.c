#include "sinks/cache/counters.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"

enum { SLOTS = 16, BUCKETS = 160 /* up to 2^40 ns, four each */, SPANS = 6, SPAN_MS = 10000 };

struct slot {
	_Atomic uint64_t counts[LF_COUNTERS];
	_Atomic uint64_t of_tier[LF_CACHE_TIERS][LF_TIER_COUNTERS];
} __attribute__((aligned(64)));

/* Ten seconds.  Who is the first to come in new ones clears what was there; what is counted at that moment may be lost. */
struct span {
	_Atomic int64_t number;
	_Atomic uint64_t done, failures, ns;
};

struct lf_counters {
	struct slot slots[SLOTS];
	_Atomic uint64_t took[LF_CACHE_TIERS][LF_TIMED_KINDS][BUCKETS]; /* calls of tiers are rare enough for one of each */
	struct span spans[LF_CACHE_TIERS][SPANS];
};

struct lf_counters *lf_counters_new(void)
{
	struct lf_counters *counters = aligned_alloc(64, (sizeof(*counters) + 63) / 64 * 64);

	if (counters)
		memset(counters, 0, sizeof(*counters));
	return counters;
}

void lf_counters_free(struct lf_counters *counters)
{
	free(counters);
}

/* Threads take them in turn. */
static struct slot *own_slot(struct lf_counters *counters)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned own;

	if (own == 0)
		own = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SLOTS + 1;
	return &counters->slots[own - 1];
}

static void add(_Atomic uint64_t *counter, uint64_t by)
{
	(void)atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static uint64_t read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct span *span_of_now(struct lf_counters *counters, enum lf_cache_tier tier)
{
	int64_t number = lf_clock_ms() / SPAN_MS;
	struct span *span = &counters->spans[tier][number % SPANS];
	int64_t was = atomic_load_explicit(&span->number, memory_order_relaxed);

	if (was != number && atomic_compare_exchange_strong_explicit(&span->number, &was, number, memory_order_relaxed,
	                                                             memory_order_relaxed)) {
		atomic_store_explicit(&span->done, 0, memory_order_relaxed);
		atomic_store_explicit(&span->failures, 0, memory_order_relaxed);
		atomic_store_explicit(&span->ns, 0, memory_order_relaxed);
	}
	return span;
}

void lf_count(struct lf_counters *counters, enum lf_counter which, uint64_t by)
{
	add(&own_slot(counters)->counts[which], by);
}

void lf_count_tier(struct lf_counters *counters, enum lf_cache_tier tier, enum lf_tier_counter which, uint64_t by)
{
	add(&own_slot(counters)->of_tier[tier][which], by);
	if (which == LF_COUNT_TIER_FAILURES)
		add(&span_of_now(counters, tier)->failures, by);
}

uint64_t lf_counted(const struct lf_counters *counters, enum lf_counter which)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SLOTS; i++)
		sum += read(&counters->slots[i].counts[which]);
	return sum;
}

uint64_t lf_counted_tier(const struct lf_counters *counters, enum lf_cache_tier tier, enum lf_tier_counter which)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SLOTS; i++)
		sum += read(&counters->slots[i].of_tier[tier][which]);
	return sum;
}

/* --- how long -------------------------------------------------------------------------------------- */

/* The highest bit, and the two below it.  Buckets 0 to 3 are of one nanosecond each. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned bit, bucket;

	if (ns < 4)
		return (unsigned)ns;
	bit = 63 - (unsigned)__builtin_clzll(ns);
	bucket = 4 * (bit - 1) + (unsigned)(ns >> (bit - 2) & 3);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double lowest_of(unsigned bucket)
{
	return bucket < 4 ? bucket : (double)(UINT64_C(4) + bucket % 4) * (double)(UINT64_C(1) << (bucket / 4 - 1));
}

void lf_timed(struct lf_counters *counters, enum lf_cache_tier tier, enum lf_timed kind, int64_t ns)
{
	uint64_t took = ns > 0 ? (uint64_t)ns : 0;
	struct span *span = span_of_now(counters, tier);

	add(&counters->took[tier][kind][bucket_of(took)], 1);
	add(&span->done, 1);
	add(&span->ns, took);
}

void lf_counted_recent(const struct lf_counters *counters, enum lf_cache_tier tier, int64_t now_ms, struct lf_recent *out)
{
	uint64_t done = 0, ns = 0;

	*out = (struct lf_recent){ 0 };
	for (size_t i = 0; i < SPANS; i++) {
		const struct span *span = &counters->spans[tier][i];
		int64_t age = now_ms / SPAN_MS - atomic_load_explicit(&span->number, memory_order_relaxed);

		if (age < 0 || age >= SPANS)
			continue;
		done += read(&span->done);
		ns += read(&span->ns);
		out->failures += read(&span->failures);
	}
	out->calls = done + out->failures;
	out->mean_ms = done ? (double)ns / (double)done / 1e6 : 0;
}

/* Of the bucket that the call is in, the middle. */
double lf_timed_percentile_ms(const struct lf_counters *counters, enum lf_cache_tier tier, enum lf_timed kind, double percentile)
{
	uint64_t counts[BUCKETS], all = 0, wanted, seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		counts[i] = read(&counters->took[tier][kind][i]);
		all += counts[i];
	}
	if (all == 0)
		return 0;
	wanted = (uint64_t)(percentile / 100 * (double)all);
	if (wanted >= all)
		wanted = all - 1;
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += counts[i];
		if (seen > wanted)
			return (lowest_of(i) + lowest_of(i + 1)) / 2 / 1e6;
	}
	return 0;
}
