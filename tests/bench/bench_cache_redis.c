/* How long the cache's tier takes for one GET, beside a bare hiredis that asks for the same key on one connection: in
 * turns, round by round.
 *
 * usage: bench_cache_redis PORT [VALUE_BYTES]     of a redis-server on 127.0.0.1 without password
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/modules.h"

enum { PAIRS = 101, CALLS = 300, DEADLINE_MS = 1000 };

static const struct lf_text key = { "bench:bench:user:acme:7", 23 };

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

static int64_t now(void *arg)
{
	(void)arg;
	return lf_clock_ms();
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "bench_cache_redis: %s\n", what);
	exit(1);
}

static uint64_t bare_round(redisContext *redis)
{
	const char *words[] = { "GET", key.data };
	const size_t sizes[] = { 3, key.len };
	uint64_t start = now_ns();

	for (int i = 0; i < CALLS; i++) {
		redisReply *reply = redisCommandArgv(redis, 2, (const char **)words, sizes);

		must(reply && reply->type == REDIS_REPLY_STRING, "the bare client found nothing");
		freeReplyObject(reply);
	}
	return now_ns() - start;
}

static uint64_t our_round(const struct lf_tier_ops *ops, struct lf_tier *tier)
{
	struct lf_error why = { "no record" };
	uint64_t start = now_ns();

	for (int i = 0; i < CALLS; i++) {
		struct lf_record *record = NULL;

		must(ops->load(tier, &key, 1, &record, lf_clock_ms() + DEADLINE_MS, &why) == LF_TIER_DONE && record,
		     why.text);
		lf_record_drop(record);
	}
	return now_ns() - start;
}

static struct lf_tier *open_tier(const struct lf_tier_ops **ops, const char *port)
{
	char url[64];
	const struct lf_cache_server_options server = { .url = url, .timeout_ms = DEADLINE_MS,
		                                            .connect_timeout_ms = DEADLINE_MS, .pool_min = 1, .pool_max = 4 };
	const struct lf_tier_options options = { .scope = "bench:bench:", .self = { 0, 1 }, .value_max = 16 << 20,
		                                     .clock_ms = now, .server = &server };
	struct lf_tier *tier = NULL;
	struct lf_error why = { "" };

	(void)snprintf(url, sizeof(url), "redis://127.0.0.1:%s", port);
	must(lf_tier_find(LF_CACHE_REDIS, ops, &why) == 0 && (*ops)->open(&tier, &options, &why) == 0, why.text);
	return tier;
}

static void fill(const struct lf_tier_ops *ops, struct lf_tier *tier, size_t bytes)
{
	const struct lf_record record = { .type = LF_RECORD_STRING, .version = { now_ns(), 1 },
		                              .value = { calloc(1, bytes), bytes } };
	struct lf_tier_store store = { .key = key, .record = &record };
	struct lf_error why = { "" };

	must(record.value.data && ops->store(tier, &store, 1, lf_clock_ms() + DEADLINE_MS, &why) == LF_TIER_DONE &&
	     store.stored == LF_STORED, why.text);
	free((void *)(uintptr_t)record.value.data);
}

int main(int argc, char **argv)
{
	redisContext *redis = argc > 1 ? redisConnect("127.0.0.1", atoi(argv[1])) : NULL;
	double ratios[PAIRS], bare_ns[PAIRS], our_ns[PAIRS];
	const struct lf_tier_ops *ops;
	struct lf_tier *tier;

	must(redis && !redis->err, "say PORT of a redis-server");
	tier = open_tier(&ops, argv[1]);
	fill(ops, tier, argc > 2 ? strtoull(argv[2], NULL, 10) : 100);
	for (int i = 0; i < PAIRS; i++) {
		/* Neither is always the first. */
		if (i % 2)
			bare_ns[i] = (double)bare_round(redis);
		our_ns[i] = (double)our_round(ops, tier);
		if (i % 2 == 0)
			bare_ns[i] = (double)bare_round(redis);
		ratios[i] = our_ns[i] / bare_ns[i];
	}
	qsort(ratios, PAIRS, sizeof(*ratios), by_value);
	qsort(bare_ns, PAIRS, sizeof(*bare_ns), by_value);
	qsort(our_ns, PAIRS, sizeof(*our_ns), by_value);
	(void)printf("get %.2f us, bare %.2f us, ratio %.3f\n", our_ns[PAIRS / 2] / CALLS / 1000,
	             bare_ns[PAIRS / 2] / CALLS / 1000, ratios[PAIRS / 2]);
	ops->close(tier);
	redisFree(redis);
	return 0;
}
