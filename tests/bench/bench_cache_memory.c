/* A hit in memory, through the tier and through the whole of lf_cache_get(), beside a bare lookup in uthash (hash and
 * compare: no lock, no policy, nothing counted, nobody else), in turns, over the same keys in the same random order:
 *
 *   bench_cache_memory KEYS
 *   get of KEYS keys: uthash NS ns, lf_memory_get NS ns, lf_cache_get NS ns
 *
 * Of batches of calls, the median. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "sinks/cache/memory.h"

#define PREFIX "shop:production:user:acme:"

enum { BATCH = 64, BATCHES = 20000, VALUE = 100, KEY = 48, TURNS = 20 };

struct item {
	UT_hash_handle hh;
	unsigned len;
	char key[KEY];
	char value[VALUE];
};

static struct item *items, *table;
static struct lf_tier *tier;
static struct lf_cache *cache;
static struct lf_cache_space *space;
static unsigned *order, keys;
static double took[3][BATCHES];

static double now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void open_tier(void)
{
	struct lf_cache_memory_options memory = { .policy = LF_CACHE_LRU, .max_bytes = UINT64_C(4) << 30 };
	struct lf_tier_options options = { .memory = &memory, .clock_ms = lf_memory_real_ms };

	if (lf_tier_memory.open(&tier, &options, NULL) < 0)
		exit(1);
}

static void open_cache(void)
{
	struct lf_cache_options options;
	struct lf_error err = { "" };

	lf_cache_options_init(&options);
	options.app = "shop";
	options.memory.max_bytes = UINT64_C(4) << 30;
	if (lf_cache_open(&cache, &options, &err) == 0 && lf_cache_space(&space, cache, "user", "acme", &err) == 0)
		return;
	(void)fprintf(stderr, "bench_cache_memory: %s\n", err.text);
	exit(1);
}

static struct lf_text id_of(const struct item *item)
{
	return (struct lf_text){ item->key + sizeof(PREFIX) - 1, item->len - (sizeof(PREFIX) - 1) };
}

static void put(struct item *item)
{
	struct lf_record from = { .type = LF_RECORD_STRING, .version = { 1, 1 }, .expires_ms = lf_memory_real_ms(NULL) + 3600000,
		                  .value = { item->value, VALUE } };
	struct lf_tier_store store = { .key = { item->key, item->len }, .record = lf_record_new(&from) };

	HASH_ADD(hh, table, key, item->len, item);
	if (!store.record || lf_tier_memory.store(tier, &store, 1, 0, NULL) != LF_TIER_DONE ||
	    lf_cache_set(space, id_of(item), from.value, &(struct lf_cache_set){ .ttl_ms = 3600000 }, NULL) != 1)
		exit(1);
	lf_record_drop(store.record);
}

static size_t ask_table(const struct item *item)
{
	struct item *found;

	HASH_FIND(hh, table, item->key, item->len, found);
	return found ? (size_t)found->value[0] + 1 : 0;
}

static size_t ask_tier(const struct item *item)
{
	struct lf_record *record = lf_memory_get(tier, (struct lf_text){ item->key, item->len });
	size_t found = record ? (size_t)record->value.data[0] + 1 : 0;

	lf_record_drop(record);
	return found;
}

static size_t ask_cache(const struct item *item)
{
	struct lf_cache_value value;
	size_t found = 0;

	if (lf_cache_get(space, id_of(item), &value, NULL) == 1)
		found = (size_t)value.data[0] + 1;
	lf_cache_value_release(&value);
	return found;
}

static void ask_in_batches(size_t (*ask)(const struct item *item), double *out, unsigned batches, unsigned *at)
{
	for (unsigned i = 0; i < batches; i++) {
		double start = now_ns();
		size_t found = 0;

		for (unsigned k = 0; k < BATCH; k++, *at = (*at + 1) % keys)
			found += ask(&items[order[*at]]);
		out[i] = (now_ns() - start) / BATCH;
		if (found != BATCH)
			exit(2);
	}
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *ns)
{
	qsort(ns, BATCHES, sizeof(*ns), by_value);
	return ns[BATCHES / 2];
}

int main(int argc, char **argv)
{
	unsigned at[3] = { 0, 0, 0 };

	keys = argc > 1 ? (unsigned)atoi(argv[1]) : 10000;
	items = calloc(keys, sizeof(*items));
	order = calloc(keys, sizeof(*order));
	open_tier();
	open_cache();
	for (unsigned i = 0; i < keys; i++) {
		unsigned other = (unsigned)(random() % (i + 1));

		items[i].len = (unsigned)snprintf(items[i].key, KEY, PREFIX "%08u", i * 2654435761u);
		put(&items[i]);
		order[i] = order[other];
		order[other] = i;
	}
	for (unsigned turn = 0; turn < TURNS; turn++) {
		unsigned first = turn * (BATCHES / TURNS);

		ask_in_batches(ask_table, took[0] + first, BATCHES / TURNS, &at[0]);
		ask_in_batches(ask_tier, took[1] + first, BATCHES / TURNS, &at[1]);
		ask_in_batches(ask_cache, took[2] + first, BATCHES / TURNS, &at[2]);
	}
	printf("get of %u keys: uthash %.1f ns, lf_memory_get %.1f ns, lf_cache_get %.1f ns\n", keys, median(took[0]),
	       median(took[1]), median(took[2]));
	lf_cache_close(cache);
	lf_tier_memory.close(tier);
	return 0;
}
