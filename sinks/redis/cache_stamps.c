/* Stamps in Redis: decimal numbers that only rise. */
#include "sinks/redis/cache.h"
#include "sinks/redis/fields.h"

#include <stdlib.h>

/* What is no number was not written by us: nothing was ever raised there. */
static uint64_t number_in(const redisReply *reply)
{
	const char *end;
	uint64_t number;

	if (reply->type != REDIS_REPLY_STRING)
		return 0;
	end = lf_decimal_read(reply->str, UINT64_MAX, &number);
	return end && *end == '\0' ? number : 0;
}

static enum lf_tier_result take_numbers(struct lf_tier *tier, struct lf_redis_pipeline *p, uint64_t *out,
                                        int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = lf_redis_tier_send(tier, p, "WRONGTYPE", end_ms, err);

	for (size_t i = 0; i < p->count && result == LF_TIER_DONE; i++)
		out[i] = number_in(lf_redis_pipeline_reply(p, i));
	lf_redis_pipeline_clear(p);
	return result;
}

static void put_get(struct lf_redis_pipeline *p, struct lf_text name)
{
	const struct lf_text words[2] = { LF_REDIS_WORD("GET"), name };

	lf_redis_pipeline_add(p, name, words, 2);
}

enum lf_tier_result lf_redis_cache_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count,
                                          uint64_t *out, int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_redis_pipeline p = { 0 };
	size_t sent = 0;

	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++) {
		put_get(&p, names[i]);
		if (p.count == LF_REDIS_BATCH || i + 1 == count) {
			result = take_numbers(tier, &p, out + sent, end_ms, err);
			sent = i + 1;
		}
	}
	lf_redis_pipeline_fini(&p);
	return result;
}

static void put_raise(struct lf_tier *tier, struct lf_redis_pipeline *p, struct lf_text name, uint64_t to)
{
	const struct lf_version version = { .clock = to, .writer = tier->self.writer };
	struct lf_redis_message message;
	char digits[LF_DECIMAL_MAX];
	struct lf_text words[7];
	size_t used = lf_redis_cache_call(words, LF_REDIS_CACHE_RAISE, name);

	lf_redis_message_make(&message, tier->self.writer, LF_CHANGED_STAMP, version, name);
	words[used++] = lf_redis_number(to, digits);
	words[used++] = (struct lf_text){ tier->channel, tier->channel_len };
	words[used++] = (struct lf_text){ message.bytes, message.len };
	lf_redis_pipeline_add(p, name, words, used);
}

enum lf_tier_result lf_redis_cache_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_redis_pipeline p = { 0 };
	size_t sent = 0;

	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++) {
		put_raise(tier, &p, names[i], to);
		if (p.count == LF_REDIS_BATCH || i + 1 == count) {
			result = take_numbers(tier, &p, out + sent, end_ms, err);
			sent = i + 1;
		}
	}
	lf_redis_pipeline_fini(&p);
	return result;
}
