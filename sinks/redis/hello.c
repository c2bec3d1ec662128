/* Whether this is still the server that we know: its epoch, and how far it was sent. */
#include "sinks/redis/clock.h"
#include "sinks/redis/fields.h"
#include "sinks/redis/mark.h"
#include "sinks/redis/pipeline.h"
#include "sinks/redis/room.h"

static enum lf_sink_result read_epoch(struct lf_sink *sink, char epoch[LF_UUID_CHARS + 1], int64_t end_ms,
                                      struct lf_error *err)
{
	const struct lf_text parts[3] = { LF_REDIS_WORD("logfold:"), lf_redis_text(sink->options.namespace),
		                              LF_REDIS_WORD(":epoch") };
	enum lf_sink_result result;
	struct lf_redis_key key;
	bool full;

	lf_redis_key_make(&key, parts, 3);
	result = lf_redis_mark(&sink->nodes, lf_redis_key_text(&key), epoch, &full, end_ms, err);
	return result == LF_SINK_DONE && full ? LF_SINK_RETRY : result;
}

static enum lf_sink_result read_sequence(struct lf_sink *sink, uint64_t *sequence, int64_t end_ms,
                                         struct lf_error *err)
{
	struct lf_text words[2] = { LF_REDIS_WORD("GET") };
	enum lf_sink_result result;
	struct lf_redis_key key;
	redisReply *reply;

	lf_redis_key_writer(&key, &sink->options);
	words[1] = lf_redis_key_text(&key);
	result = lf_redis_one(&sink->nodes, words[1], words, 2, end_ms, &reply, err);
	if (result != LF_SINK_DONE)
		return result;
	*sequence = 0;
	if (reply->str && !lf_decimal_read(reply->str, UINT64_MAX, sequence))
		*sequence = 0;
	freeReplyObject(reply);
	return result;
}

enum lf_sink_result lf_redis_hello(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
                                   struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct lf_sink_hello hello = { .notifies = false };
	enum lf_sink_result result = lf_redis_nodes_learn(&sink->nodes, end_ms, err);

	if (result == LF_SINK_DONE)
		result = read_epoch(sink, hello.epoch, end_ms, err);
	if (result == LF_SINK_DONE)
		result = read_sequence(sink, &hello.sequence, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_watch_works(sink, &hello.notifies, end_ms, err);
	if (result == LF_SINK_DONE)
		*out = hello;
	return result;
}
