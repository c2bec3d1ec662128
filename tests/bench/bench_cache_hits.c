/* How often each policy has what is asked for: the memory tier itself, over requests of keys by Zipf's law, and of the same
 * with scans between them, which read many keys once and never again.
 *
 *   zipf 0.8, 1 %: lru 41.23 lfu 44.10 fifo 37.00 s3fifo 44.98
 *
 * The room is for so many of the keys that there are.  The same requests each time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/memory.h"

enum { KEYS = 100000, REQUESTS = 600000, SCAN_EVERY = 10000, SCAN = 5000 };

static const struct {
	const char *name;
	enum lf_cache_policy policy;
} policies[] = { { "lru", LF_CACHE_LRU }, { "lfu", LF_CACHE_LFU }, { "fifo", LF_CACHE_FIFO }, { "s3fifo", LF_CACHE_S3FIFO } };

static uint32_t requests[REQUESTS];
static double share[KEYS]; /* of this key and all before it */
static struct lf_record *record;

static int64_t no_clock(void *arg)
{
	(void)arg;
	return 1;
}

static uint32_t key_of(double at)
{
	uint32_t low = 0, high = KEYS - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (share[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void make_requests(double skew, bool scans)
{
	uint32_t once = KEYS;
	double sum = 0;

	srand48(42);
	for (uint32_t i = 0; i < KEYS; i++)
		share[i] = sum += 1 / pow(i + 1, skew);
	for (uint32_t i = 0; i < REQUESTS; i++)
		requests[i] = scans && i % SCAN_EVERY >= SCAN_EVERY - SCAN ? once++ : key_of(drand48() * sum);
}

static double hit_pct(enum lf_cache_policy policy, uint64_t room)
{
	struct lf_cache_memory_options memory = { .policy = policy, .max_entries = room, .shards = 1 };
	struct lf_tier_options options = { .memory = &memory, .clock_ms = no_clock };
	struct lf_tier *tier;
	unsigned hits = 0;

	if (lf_tier_memory.open(&tier, &options, NULL) < 0)
		exit(1);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct lf_text key = { (const char *)&requests[i], sizeof(requests[i]) };
		struct lf_tier_store store = { .key = key, .record = record, .condition = LF_IF_VERSION };
		struct lf_record *found = lf_memory_get(tier, key);

		hits += found != NULL;
		if (!found && lf_tier_memory.store(tier, &store, 1, 0, NULL) != LF_TIER_DONE)
			exit(1);
		lf_record_drop(found);
	}
	lf_tier_memory.close(tier);
	return 100.0 * hits / REQUESTS;
}

static void compare(const char *name, double skew, bool scans)
{
	make_requests(skew, scans);
	for (unsigned room_pct = 1; room_pct <= 10; room_pct *= 10) {
		printf("%s, %u %%:", name, room_pct);
		for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
			printf(" %s %.2f", policies[i].name, hit_pct(policies[i].policy, (uint64_t)KEYS * room_pct / 100));
		printf("\n");
	}
}

int main(void)
{
	const struct lf_record from = { .type = LF_RECORD_STRING, .version = { 1, 1 }, .value = { "value", 5 } };

	record = lf_record_new(&from);
	if (!record)
		return 1;
	compare("zipf 0.8", 0.8, false);
	compare("zipf 1.0", 1.0, false);
	compare("zipf 1.0 with scans", 1.0, true);
	lf_record_drop(record);
	return 0;
}
