/* Records in and out of Redis. */
#include "sinks/redis/cache.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	GRACE_MS = 1000, /* Redis's clock may be ahead of that of the cache */
	OVERHEAD = 8192, /* of a record's bytes beside its value, at most */
	BYTES_AT_ONCE = 16 << 20,
};

/* --- load ------------------------------------------------------------------------------------------ */

/* What it could not be read from is in the way of those who store if nothing is there. */
static void discard(struct lf_tier *tier, struct lf_text key, const redisReply *reply, int64_t end_ms)
{
	struct lf_redis_pipeline p = { 0 };
	struct lf_text words[5];
	size_t used = lf_redis_cache_call(words, LF_REDIS_CACHE_DISCARD, key);

	words[used++] = (struct lf_text){ reply->str, reply->len < LF_REDIS_HEAD_BYTES ? reply->len : LF_REDIS_HEAD_BYTES };
	lf_redis_pipeline_add(&p, key, words, used);
	(void)!lf_redis_tier_send(tier, &p, "WRONGTYPE", end_ms, NULL); /* whoever loads it next tries again */
	lf_redis_pipeline_fini(&p);
}

/* Of a reply that is no error but for a key of another type. */
static enum lf_tier_result take_record(struct lf_tier *tier, struct lf_text key, const redisReply *reply,
                                       struct lf_record **out, int64_t end_ms, struct lf_error *err)
{
	int rc;

	*out = NULL;
	if (reply->type != REDIS_REPLY_STRING)
		return LF_TIER_DONE;
	rc = lf_record_decode((struct lf_text){ reply->str, reply->len }, tier->value_max, out, NULL);
	if (rc == -ENOMEM)
		return lf_redis_tier_fail(err, LF_TIER_AWAY, "no memory for what is read from redis");
	if (rc < 0)
		discard(tier, key, reply, end_ms);
	return LF_TIER_DONE;
}

/* One command to a server whose connection is there; NULL: that was not all there is to it. */
static redisReply *ask_at_once(struct lf_redis_nodes *nodes, const struct lf_text words[2], int64_t end_ms,
                               struct lf_error *err)
{
	struct lf_redis_node *node;
	redisReply *reply = NULL;

	if (!nodes->known || nodes->stale)
		return NULL;
	node = lf_redis_node_of(nodes, nodes->cluster ? lf_redis_slot(words[1].data, words[1].len) : 0);
	if (!node || !node->connection)
		return NULL;
	if (lf_redis_ask(node->connection, words, 2, end_ms, &reply, err) != LF_SINK_DONE)
		(void)!lf_redis_node_settle(nodes, node, err);
	if (reply && lf_redis_is_error(reply)) {
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

/* The short way first: nothing is looked at beforehand, for a GET that failed with an old connection can be
 * repeated. */
static enum lf_tier_result load_one(struct lf_tier *tier, struct lf_text key, struct lf_record **out, int64_t end_ms,
                                    struct lf_error *err)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, end_ms, err);
	const struct lf_text words[2] = { LF_REDIS_WORD("GET"), key };
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_redis_pipeline p = { 0 };
	const redisReply *reply;
	redisReply *quick;

	if (!session)
		return LF_TIER_AWAY;
	quick = ask_at_once(&session->nodes, words, end_ms, err);
	reply = quick;
	if (!quick) {
		lf_redis_pipeline_add(&p, key, words, 2);
		result = lf_redis_tier_run(session, &p, "WRONGTYPE", end_ms, err);
		reply = result == LF_TIER_DONE ? lf_redis_pipeline_reply(&p, 0) : NULL;
	}
	lf_redis_session_give(tier, session);
	if (result == LF_TIER_DONE)
		result = take_record(tier, key, reply, out, end_ms, err);
	if (quick)
		freeReplyObject(quick);
	lf_redis_pipeline_fini(&p);
	return result;
}

static enum lf_tier_result load_some(struct lf_tier *tier, struct lf_redis_pipeline *p, const struct lf_text *keys,
                                     size_t count, struct lf_record **records, int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result;

	for (size_t i = 0; i < count; i++) {
		const struct lf_text words[2] = { LF_REDIS_WORD("GET"), keys[i] };

		lf_redis_pipeline_add(p, keys[i], words, 2);
	}
	result = lf_redis_tier_send(tier, p, "WRONGTYPE", end_ms, err);
	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++)
		result = take_record(tier, keys[i], lf_redis_pipeline_reply(p, i), &records[i], end_ms, err);
	lf_redis_pipeline_clear(p);
	return result;
}

/* As many as may be received together. */
static size_t at_once(const struct lf_tier *tier)
{
	size_t most = tier->account.login.replies_max / 2 / (tier->value_max + OVERHEAD);

	if (most > LF_REDIS_BATCH)
		return LF_REDIS_BATCH;
	return most ? most : 1;
}

enum lf_tier_result lf_redis_cache_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                        struct lf_record **records, int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_redis_pipeline p = { 0 };
	size_t step = at_once(tier);

	if (count == 1)
		return load_one(tier, keys[0], records, end_ms, err);
	memset(records, 0, count * sizeof(*records));
	for (size_t at = 0; at < count && result == LF_TIER_DONE; at += step)
		result = load_some(tier, &p, keys + at, count - at < step ? count - at : step, records + at, end_ms, err);
	lf_redis_pipeline_fini(&p);
	for (size_t i = 0; i < count && result != LF_TIER_DONE; i++) {
		lf_record_drop(records[i]);
		records[i] = NULL;
	}
	return result;
}

/* --- store ----------------------------------------------------------------------------------------- */

struct storing {
	struct lf_text words[11];
	struct lf_redis_message message;
	struct lf_redis_lock lock;
	char when[24], expected[LF_REDIS_VERSION_BYTES];
};

static struct lf_text condition_of(struct storing *s, const struct lf_tier_store *store)
{
	if (store->condition == LF_IF_LOCKED)
		return (struct lf_text){ s->lock.value, s->lock.value_len };
	if (store->condition != LF_IF_VERSION || lf_version_is_none(store->expected))
		return LF_REDIS_WORD("");
	lf_redis_put_version(s->expected, store->expected);
	return (struct lf_text){ s->expected, sizeof(s->expected) };
}

static struct lf_text when_of(struct storing *s, int64_t expires_ms)
{
	int64_t when = expires_ms < INT64_MAX - GRACE_MS ? expires_ms + GRACE_MS : expires_ms;

	*s->when = '\0';
	if (expires_ms != 0)
		(void)snprintf(s->when, sizeof(s->when), "%lld", (long long)when);
	return lf_redis_text(s->when);
}

static void put_store(struct lf_tier *tier, struct lf_redis_pipeline *p, const struct lf_tier_store *store,
                      struct lf_text bytes)
{
	static const struct lf_text modes[] = { [LF_IF_NEWER] = { "n", 1 }, [LF_IF_VERSION] = { "v", 1 },
		                                    [LF_IF_LOCKED] = { "l", 1 } };
	struct storing s;
	size_t used = lf_redis_cache_call(s.words, LF_REDIS_CACHE_STORE, store->key);

	if (store->condition == LF_IF_LOCKED) {
		lf_redis_lock_make(&s.lock, tier, store->key, store->token);
		s.words[2] = LF_REDIS_WORD("2");
		s.words[used++] = (struct lf_text){ s.lock.key, s.lock.key_len };
	}
	lf_redis_message_make(&s.message, tier->self.writer, LF_CHANGED_KEY, store->record->version, store->key);
	s.words[used++] = modes[store->condition];
	s.words[used++] = bytes;
	s.words[used++] = when_of(&s, store->record->expires_ms);
	s.words[used++] = condition_of(&s, store);
	s.words[used++] = (struct lf_text){ tier->channel, tier->channel_len };
	s.words[used++] = (struct lf_text){ s.message.bytes, s.message.len };
	lf_redis_pipeline_add(p, store->key, s.words, used);
}

static enum lf_tier_result encode_and_put(struct lf_tier *tier, struct lf_redis_pipeline *p,
                                          const struct lf_tier_store *store, struct lf_error *err)
{
	struct lf_text bytes;
	char *encoded;
	int rc = lf_record_encode(store->record, tier->compress_min, &encoded, &bytes.len);

	if (rc == -ENOMEM)
		return lf_redis_tier_fail(err, LF_TIER_AWAY, "no memory for what is sent to redis");
	if (rc < 0)
		return lf_redis_tier_fail(err, LF_TIER_REJECTED, "a record of %zu bytes is too large to be sent to redis",
		                          store->record->value.len);
	bytes.data = encoded;
	put_store(tier, p, store, bytes);
	free(encoded);
	return LF_TIER_DONE;
}

static enum lf_tier_result store_some(struct lf_tier *tier, struct lf_redis_pipeline *p, struct lf_tier_store *stores,
                                      size_t count, int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = lf_redis_tier_send(tier, p, NULL, end_ms, err);

	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++)
		stores[i].stored = lf_redis_pipeline_reply(p, i)->integer == 1 ? LF_STORED : LF_NOT_STORED;
	lf_redis_pipeline_clear(p);
	return result;
}

enum lf_tier_result lf_redis_cache_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count,
                                         int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_redis_pipeline p = { 0 };
	size_t sent = 0;

	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++) {
		result = encode_and_put(tier, &p, &stores[i], err);
		if (result == LF_TIER_DONE &&
		    (i + 1 == count || p.count == LF_REDIS_BATCH || lf_redis_buffer_waiting(&p.bytes) > BYTES_AT_ONCE)) {
			result = store_some(tier, &p, stores + sent, i + 1 - sent, end_ms, err);
			sent = i + 1;
		}
	}
	lf_redis_pipeline_fini(&p);
	return result;
}
