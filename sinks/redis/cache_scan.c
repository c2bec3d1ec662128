/* Keys by prefix: a SCAN of one master after the other, in the order of their addresses, so that each call may use
 * another session.  The cursor: whom to ask next, how, and keys that were found and are still to be handed out, a
 * line each. */
#include "sinks/redis/cache.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"

#include <stdlib.h>
#include <string.h>

enum { SCANS_AT_ONCE = 16 }; /* of those that find nothing: many keys may be other people's */

struct found {
	char **key;
	size_t count, size;
	bool failed; /* no memory */
};

static void found_free(struct found *found)
{
	for (size_t i = 0; i < found->count; i++)
		free(found->key[i]);
	free(found->key);
	*found = (struct found){ NULL };
}

static void found_add(struct found *found, const char *key, size_t len)
{
	char **grown = found->key, *copy;

	if (found->count == found->size) {
		grown = realloc(found->key, (found->size ? 2 * found->size : 64) * sizeof(*grown));
		if (grown) {
			found->size = found->size ? 2 * found->size : 64;
			found->key = grown;
		}
	}
	copy = grown ? strndup(key, len) : NULL;
	if (copy)
		found->key[found->count++] = copy;
	else
		found->failed = true;
}

/* --- the cursor ------------------------------------------------------------------------------------ */

struct position {
	char place[sizeof(((struct lf_redis_place *)NULL)->text)]; /* empty: nobody is left */
	char cursor[24];
};

static const char *take_line(const char *text, char *out, size_t size)
{
	size_t len = strcspn(text, "\n");

	(void)snprintf(out, size, "%.*s", (int)len, text);
	return text + len + (text[len] == '\n');
}

static void read_cursor(const char *text, struct position *position, struct found *left)
{
	text = take_line(text, position->place, sizeof(position->place));
	text = take_line(text, position->cursor, sizeof(position->cursor));
	while (*text) {
		size_t len = strcspn(text, "\n");

		found_add(left, text, len);
		text += len + (text[len] == '\n');
	}
}

/* Hands out `max` of what was found, and puts off the rest; where the cursor has no room for that, it hands out all. */
static void write_cursor(char cursor[LF_TIER_CURSOR_MAX], const struct position *position, struct found *found,
                         size_t max)
{
	size_t rest = found->count > max ? max : found->count;
	int used = snprintf(cursor, LF_TIER_CURSOR_MAX, "%s\n%s", position->place, position->cursor);
	size_t at = (size_t)used;

	if (rest == found->count) {
		if (!*position->place)
			*cursor = '\0';
		return;
	}
	for (size_t i = rest; i < found->count; i++) {
		int len = snprintf(cursor + at, LF_TIER_CURSOR_MAX - at, "\n%s", found->key[i]);

		if ((size_t)len >= LF_TIER_CURSOR_MAX - at) {
			cursor[*position->place ? used : 0] = '\0';
			return;
		}
		at += (size_t)len;
	}
	while (found->count > rest)
		free(found->key[--found->count]);
}

/* --- asking ---------------------------------------------------------------------------------------- */

/* The master whose address comes next behind that one. */
static struct lf_redis_node *next_master(const struct lf_redis_nodes *nodes, const char *place)
{
	struct lf_redis_node *next = NULL;

	for (size_t i = 0; i < nodes->count; i++) {
		struct lf_redis_node *node = nodes->node[i];

		if (node->master && strcmp(node->place.text, place) > 0 &&
		    (!next || strcmp(node->place.text, next->place.text) < 0))
			next = node;
	}
	return next;
}

static struct lf_redis_node *master_at(const struct lf_redis_nodes *nodes, const char *place)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->node[i]->master && strcmp(nodes->node[i]->place.text, place) == 0)
			return nodes->node[i];
	return NULL;
}

static void begin_at(struct position *position, const struct lf_redis_node *node)
{
	(void)snprintf(position->place, sizeof(position->place), "%s", node ? node->place.text : "");
	(void)snprintf(position->cursor, sizeof(position->cursor), "0");
}

/* Stamps and what else is ours are named with a % and a small letter, which no escaped text has. */
static bool is_record(const struct lf_tier *tier, const redisReply *key)
{
	const char *rest = key->str ? key->str + tier->scope_len : NULL;

	if (!rest || key->len <= tier->scope_len || memcmp(key->str, tier->scope, tier->scope_len) != 0)
		return false;
	return !(rest[0] == '%' && rest[1] >= 'a' && rest[1] <= 'z') && !memchr(key->str, '\n', key->len) &&
	       !memchr(key->str, '\0', key->len);
}

/* [cursor, [key…]] */
static enum lf_tier_result take_page(const struct lf_tier *tier, const redisReply *reply, struct position *position,
                                     struct found *found, struct lf_error *err)
{
	const redisReply *keys = reply->elements == 2 ? reply->element[1] : NULL;

	if (!keys || !reply->element[0]->str)
		return lf_redis_tier_fail(err, LF_TIER_AWAY, "redis at %s answers a SCAN as none does", position->place);
	(void)snprintf(position->cursor, sizeof(position->cursor), "%s", reply->element[0]->str);
	for (size_t i = 0; i < keys->elements; i++)
		if (is_record(tier, keys->element[i]))
			found_add(found, keys->element[i]->str, keys->element[i]->len);
	return found->failed ? lf_redis_tier_fail(err, LF_TIER_AWAY, "no memory for what is read from redis") : LF_TIER_DONE;
}

struct scan {
	const struct lf_tier *tier;
	struct lf_redis_nodes *nodes;
	struct lf_text prefix;
	size_t max;
	int64_t end_ms;
	struct lf_error *err;
};

static enum lf_tier_result scan_once(const struct scan *scan, struct position *position, struct found *found)
{
	struct lf_redis_node *node = master_at(scan->nodes, position->place);
	char pattern[LF_REDIS_NAME_MAX], count[24];
	struct lf_text words[] = { LF_REDIS_WORD("SCAN"), lf_redis_text(position->cursor), LF_REDIS_WORD("MATCH"),
		                       { pattern, 0 }, LF_REDIS_WORD("COUNT"), { count, 0 } };
	enum lf_tier_result result;
	redisReply *reply;

	if (!node)
		return lf_redis_tier_fail(scan->err, LF_TIER_AWAY, "the redis cluster at %s was changed while its keys were "
		                          "read: begin again", scan->nodes->node[0]->place.text);
	words[3].len = (size_t)snprintf(pattern, sizeof(pattern), "%.*s*", (int)scan->prefix.len, scan->prefix.data);
	words[5].len = (size_t)snprintf(count, sizeof(count), "%zu", scan->max);
	result = lf_redis_tier_result(lf_redis_node_ask(scan->nodes, node, words, 6, scan->end_ms, &reply, scan->err));
	if (result != LF_TIER_DONE)
		return result;
	result = take_page(scan->tier, reply, position, found, scan->err);
	freeReplyObject(reply);
	if (result == LF_TIER_DONE && strcmp(position->cursor, "0") == 0)
		begin_at(position, next_master(scan->nodes, position->place));
	return result;
}

static enum lf_tier_result find_more(struct lf_tier *tier, struct scan *scan, bool first, struct position *position,
                                     struct found *found)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, scan->end_ms, scan->err);
	/* A page without keys is an answer, too: better than none in time. */
	int64_t enough_ms = lf_clock_ms() + lf_redis_left_ms(scan->end_ms) / 2;
	enum lf_tier_result result;

	if (!session)
		return LF_TIER_AWAY;
	scan->nodes = &session->nodes;
	result = lf_redis_tier_result(lf_redis_nodes_learn(scan->nodes, scan->end_ms, scan->err));
	if (result == LF_TIER_DONE && first)
		begin_at(position, next_master(scan->nodes, ""));
	for (int i = 0; result == LF_TIER_DONE && *position->place && found->count == 0; i++) {
		if (i == SCANS_AT_ONCE || (i > 0 && lf_clock_ms() >= enough_ms))
			break;
		result = scan_once(scan, position, found);
	}
	lf_redis_session_give(tier, session);
	return result;
}

enum lf_tier_result lf_redis_cache_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX],
                                        size_t max, char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct scan scan = { .tier = tier, .prefix = prefix, .max = max ? max : 1, .end_ms = end_ms, .err = err };
	struct position position;
	struct found found = { NULL };
	enum lf_tier_result result = LF_TIER_DONE;

	read_cursor(cursor, &position, &found);
	if (found.failed)
		result = lf_redis_tier_fail(err, LF_TIER_AWAY, "no memory for what is read from redis");
	else if (found.count == 0)
		result = find_more(tier, &scan, *cursor == '\0', &position, &found);
	if (result != LF_TIER_DONE) {
		found_free(&found);
		return result;
	}
	write_cursor(cursor, &position, &found, scan.max);
	*keys = found.key;
	*count = found.count;
	return LF_TIER_DONE;
}

/* --- drop ------------------------------------------------------------------------------------------ */

static enum lf_tier_result tell(struct lf_tier *tier, struct lf_text prefix, struct lf_version upto, int64_t end_ms,
                                struct lf_error *err)
{
	const struct lf_text channel = { tier->channel, tier->channel_len };
	struct lf_redis_pipeline p = { 0 };
	struct lf_redis_message message;
	struct lf_text words[] = { LF_REDIS_WORD("PUBLISH"), channel, { message.bytes, 0 } };
	enum lf_tier_result result;

	lf_redis_message_make(&message, tier->self.writer, LF_CHANGED_PREFIX, upto, prefix);
	words[2].len = message.len;
	lf_redis_pipeline_add(&p, channel, words, 3);
	result = lf_redis_tier_send(tier, &p, NULL, end_ms, err);
	lf_redis_pipeline_fini(&p);
	return result;
}

static enum lf_tier_result drop_keys(struct lf_tier *tier, struct lf_redis_pipeline *p, char **keys, size_t count,
                                     bool but_critical, struct lf_version upto, int64_t end_ms, struct lf_error *err)
{
	char version[LF_REDIS_VERSION_BYTES];
	enum lf_tier_result result;

	lf_redis_put_version(version, upto);
	for (size_t i = 0; i < count; i++) {
		struct lf_text words[6], key = lf_redis_text(keys[i]);
		size_t used = lf_redis_cache_call(words, LF_REDIS_CACHE_DROP, key);

		words[used++] = (struct lf_text){ version, 8 };
		words[used++] = but_critical ? LF_REDIS_WORD("c") : LF_REDIS_WORD("");
		lf_redis_pipeline_add(p, key, words, used);
	}
	result = count > 0 ? lf_redis_tier_send(tier, p, NULL, end_ms, err) : LF_TIER_DONE;
	lf_redis_pipeline_clear(p);
	return result;
}

/* By when one round trip of many has to be over. */
static int64_t step_end(const struct lf_tier *tier, int64_t end_ms)
{
	return tier->timeout_ms > 0 ? lf_redis_sooner_ms(end_ms, tier->timeout_ms) : end_ms;
}

/* Others are told first: from then on what they read of those keys is too old for them, removed or not. */
enum lf_tier_result lf_redis_cache_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err)
{
	const struct lf_version version = { .clock = upto, .writer = tier->self.writer };
	enum lf_tier_result result = tell(tier, prefix, version, step_end(tier, end_ms), err);
	char cursor[LF_TIER_CURSOR_MAX] = "";
	struct lf_redis_pipeline p = { 0 };

	while (result == LF_TIER_DONE) {
		struct found found = { NULL };

		result = lf_redis_cache_scan(tier, prefix, cursor, LF_TIER_PAGE_MAX, &found.key, &found.count,
		                             step_end(tier, end_ms), err);
		if (result == LF_TIER_DONE)
			result = drop_keys(tier, &p, found.key, found.count, prefix.len == tier->scope_len, version,
			                   step_end(tier, end_ms), err);
		found_free(&found);
		if (*cursor == '\0')
			break;
	}
	lf_redis_pipeline_fini(&p);
	return result;
}
