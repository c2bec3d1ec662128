/* Entries read back: those named, or all of a namespace, found in bounded steps. */
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"
#include "sinks/redis/fields.h"
#include "sinks/redis/pipeline.h"
#include "sinks/redis/room.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 256 };

struct hashes {
	char (*item)[LF_HASH_CHARS];
	size_t count, size;
};

static bool add_hash(struct hashes *hashes, struct lf_text hash)
{
	if (hashes->count == hashes->size) {
		size_t size = hashes->size ? 2 * hashes->size : 1024;
		void *item = realloc(hashes->item, size * sizeof(*hashes->item));

		if (!item)
			return false;
		hashes->item = item;
		hashes->size = size;
	}
	memcpy(hashes->item[hashes->count++], hash.data, LF_HASH_CHARS);
	return true;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, LF_HASH_CHARS);
}

/* A scan may tell a key twice, and so may two masters between which it moves. */
static void make_unique(struct hashes *hashes)
{
	size_t kept = 0;

	if (hashes->count == 0)
		return;
	qsort(hashes->item, hashes->count, sizeof(*hashes->item), by_bytes);
	for (size_t i = 0; i < hashes->count; i++)
		if (kept == 0 || by_bytes(hashes->item[kept - 1], hashes->item[i]) != 0)
			memmove(hashes->item[kept++], hashes->item[i], LF_HASH_CHARS);
	hashes->count = kept;
}

/* [cursor, [key, …]] */
static bool take_keys(struct hashes *hashes, const redisReply *reply, struct lf_text namespace,
                      char cursor[24])
{
	const redisReply *keys = reply->elements == 2 ? reply->element[1] : NULL;

	if (!keys || !reply->element[0]->str)
		return false;
	(void)snprintf(cursor, 24, "%s", reply->element[0]->str);
	for (size_t i = 0; i < keys->elements; i++) {
		struct lf_text key = { keys->element[i]->str, keys->element[i]->len }, hash;

		if (key.data && lf_redis_key_hash(key, namespace, &hash) && !add_hash(hashes, hash))
			return false;
	}
	return true;
}

static enum lf_sink_result scan_node(struct lf_sink *sink, struct lf_redis_node *node,
                                     struct lf_text namespace, struct hashes *hashes, int64_t end_ms,
                                     struct lf_error *err)
{
	struct lf_text words[6] = { LF_REDIS_WORD("SCAN"), { NULL, 0 }, LF_REDIS_WORD("MATCH"),
		                        { NULL, 0 }, LF_REDIS_WORD("COUNT"), LF_REDIS_WORD("1000") };
	struct lf_redis_key pattern;
	char cursor[24] = "0";

	/* A namespace has no character that a pattern would take for another. */
	lf_redis_key_make(&pattern, (const struct lf_text[]){ LF_REDIS_WORD("logfold:"), namespace,
	                                                      LF_REDIS_WORD(":entry:*") }, 3);
	words[3] = lf_redis_key_text(&pattern);
	do {
		redisReply *reply;
		enum lf_sink_result result;
		bool taken;

		words[1] = lf_redis_text(cursor);
		result = lf_redis_node_ask(&sink->nodes, node, words, 6, end_ms, &reply, err);
		if (result != LF_SINK_DONE)
			return result;
		taken = take_keys(hashes, reply, namespace, cursor);
		freeReplyObject(reply);
		if (!taken)
			return lf_redis_fail(err, LF_SINK_RETRY, "no memory for the keys of redis at %s",
			                     node->place.text);
	} while (strcmp(cursor, "0") != 0);
	return LF_SINK_DONE;
}

static enum lf_sink_result find_all(struct lf_sink *sink, struct lf_text namespace,
                                    struct hashes *hashes, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result = lf_redis_nodes_learn(&sink->nodes, end_ms, err);

	for (size_t i = 0; i < sink->nodes.count && result == LF_SINK_DONE; i++)
		if (sink->nodes.node[i]->master)
			result = scan_node(sink, sink->nodes.node[i], namespace, hashes, end_ms, err);
	make_unique(hashes);
	return result;
}

static enum lf_sink_result take_named(const struct lf_sink_query *query, struct hashes *hashes,
                                      struct lf_error *err)
{
	for (size_t i = 0; i < query->hashes_count; i++) {
		struct lf_text hash = lf_redis_text(query->hashes[i]);

		if (lf_redis_is_hash(hash) && !add_hash(hashes, hash))
			return lf_redis_fail(err, LF_SINK_RETRY, "no memory for what is read from redis");
	}
	return LF_SINK_DONE;
}

/* ---- What they hold ---- */

struct reading {
	const struct lf_sink_query *query;
	lf_sink_each each;
	void *arg;
	bool ended;
};

/* Whether it is anything else than an entry is born as. */
static bool is_flagged(const struct lf_entry *entry)
{
	return !entry->enabled || !entry->persist_to_cache || !entry->persist_to_db ||
	       entry->flags_version > 0 || entry->policy.len > 0 ||
	       entry->tags.len != 2 || memcmp(entry->tags.data, "[]", 2) != 0;
}

static enum lf_sink_result hand_on(struct reading *r, const redisReply *reply, const char *hash,
                                   struct lf_error *err)
{
	struct lf_share *shares = NULL;
	struct lf_entry entry;
	size_t count = 0;

	if (lf_redis_is_error(reply) || reply->elements == 0) /* no hash, or gone */
		return LF_SINK_DONE;
	lf_redis_fields_read(reply, lf_redis_text(r->query->namespace),
	                     (struct lf_text){ hash, LF_HASH_CHARS }, &entry);
	if (r->query->what == LF_SINK_FLAGGED && !is_flagged(&entry))
		return LF_SINK_DONE;
	if (r->query->with_shares)
		shares = lf_redis_shares_read(reply, &count);
	if (!shares && count > 0)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for what is read from redis");
	r->ended = r->each(r->arg, &entry, shares, count) != 0;
	free(shares);
	return LF_SINK_DONE;
}

static void ask_for(struct lf_redis_pipeline *p, const struct reading *r,
                    char (*hashes)[LF_HASH_CHARS], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lf_text words[2] = { LF_REDIS_WORD("HGETALL") };
		struct lf_redis_key key;

		lf_redis_key_entry(&key, lf_redis_text(r->query->namespace),
		                   (struct lf_text){ hashes[i], LF_HASH_CHARS });
		words[1] = lf_redis_key_text(&key);
		lf_redis_pipeline_add(p, words[1], words, 2);
	}
}

static enum lf_sink_result read_some(struct lf_sink *sink, struct reading *r,
                                     struct lf_redis_pipeline *p, char (*hashes)[LF_HASH_CHARS],
                                     size_t count, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result;

	ask_for(p, r, hashes, count);
	result = lf_redis_pipeline_run(p, &sink->nodes, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_pipeline_judge(p, "WRONGTYPE", err);
	for (size_t i = 0; i < count && result == LF_SINK_DONE && !r->ended; i++)
		result = hand_on(r, lf_redis_pipeline_reply(p, i), hashes[i], err);
	lf_redis_pipeline_clear(p);
	return result;
}

enum lf_sink_result lf_redis_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                  lf_sink_each each, void *arg, int timeout_ms, struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct reading r = { .query = query, .each = each, .arg = arg };
	struct lf_redis_pipeline p = { 0 };
	struct hashes hashes = { 0 };
	enum lf_sink_result result;

	if (query->hashes)
		result = take_named(query, &hashes, err);
	else
		result = find_all(sink, lf_redis_text(query->namespace), &hashes, end_ms, err);
	for (size_t at = 0; at < hashes.count && result == LF_SINK_DONE && !r.ended; at += AT_ONCE) {
		size_t left = hashes.count - at;

		result = read_some(sink, &r, &p, hashes.item + at, left < AT_ONCE ? left : AT_ONCE, end_ms,
		                   err);
	}
	lf_redis_pipeline_fini(&p);
	free(hashes.item);
	return result;
}
