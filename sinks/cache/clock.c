/* The cache's hybrid logical clock (record.h): each version is later than any that was given out or seen before. */
#include "sinks/cache/internal.h"

/* A clock beyond this is none: 278 years from 1970 on are less.  Bits above are the stamps' own (stamps.c). */
#define LAST_CLOCK (UINT64_C(1) << 62)

struct lf_version lf_version_next(struct lf_cache *cache)
{
	int64_t now = lf_cache_now(cache);
	uint64_t least = now > 0 ? (uint64_t)now << 16 : 0;
	uint64_t last = atomic_load_explicit(&cache->clock, memory_order_relaxed), next;

	do
		next = last + 1 > least ? last + 1 : least;
	while (!atomic_compare_exchange_weak_explicit(&cache->clock, &last, next, memory_order_relaxed,
	                                              memory_order_relaxed));
	return (struct lf_version){ next, cache->writer };
}

void lf_version_seen(struct lf_cache *cache, uint64_t clock)
{
	uint64_t last = atomic_load_explicit(&cache->clock, memory_order_relaxed);

	if (clock >= LAST_CLOCK)
		return;
	while (last < clock && !atomic_compare_exchange_weak_explicit(&cache->clock, &last, clock,
	                                                              memory_order_relaxed, memory_order_relaxed))
		;
}
