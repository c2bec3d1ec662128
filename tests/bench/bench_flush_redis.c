/* How many entries a second the Redis module flushes, beside a bare hiredis that sends the very same
 * commands as one pipeline: EVALSHA of the same script with the same arguments, ready made.
 *
 * usage: bench_flush_redis PORT     of a redis-server on 127.0.0.1 without password
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "sinks/redis/pipeline.h"
#include "sinks/redis/room.h"
#include "tests/bench/flush_pairs.h"

enum { ENTRIES = 20000, BATCH = 1000, TTL_S = 3600 };

struct bare {
	redisContext *redis;
	struct lf_redis_pipeline pipeline; /* only its bytes are sent */
};

static bool prepare(void *arg, const struct lf_sink_batch *batch)
{
	struct bare *bare = arg;

	lf_redis_pipeline_clear(&bare->pipeline);
	lf_redis_flush_commands(&bare->pipeline, batch, TTL_S);
	return !bare->pipeline.failed && !bare->pipeline.bytes.failed;
}

static bool send_all(void *arg)
{
	struct bare *bare = arg;
	redisContext *redis = bare->redis;
	const struct lf_redis_buffer *bytes = &bare->pipeline.bytes;

	if (redisAppendFormattedCommand(redis, bytes->data + bytes->start,
	                                lf_redis_buffer_waiting(bytes)) != REDIS_OK)
		return false;
	for (size_t i = 0; i < bare->pipeline.count; i++) {
		void *got = NULL;
		redisReply *reply;
		bool fine = redisGetReply(redis, &got) == REDIS_OK;

		reply = got;
		fine = fine && reply->type == REDIS_REPLY_INTEGER;
		if (!fine)
			(void)fprintf(stderr, "bench_flush_redis: %s\n", reply ? reply->str : redis->errstr);
		freeReplyObject(reply);
		if (!fine)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct bare bare = { .redis = argc > 1 ? redisConnect("127.0.0.1", atoi(argv[1])) : NULL };
	char uri[64];
	struct flush_bench bench = {
		.tier = "redis",
		.options = { .uri = uri, .connect_timeout_ms = 5000, .ttl_s = TTL_S, .host = "bench",
		             .incarnation = "00000000-0000-4000-8000-000000000001", .namespace = "bench" },
		.entries = ENTRIES, .batch = BATCH, .budget_s = 10, .prepare = prepare, .send = send_all, .arg = &bare,
	};
	int rc;

	if (!bare.redis || bare.redis->err) {
		(void)fprintf(stderr, "bench_flush_redis: %s\n", bare.redis ? bare.redis->errstr : "say PORT");
		return 64;
	}
	(void)snprintf(uri, sizeof(uri), "redis://127.0.0.1:%d", atoi(argv[1]));
	rc = flush_bench_run(&bench);
	lf_redis_pipeline_fini(&bare.pipeline);
	redisFree(bare.redis);
	return rc;
}
