/* The cache's tier in Redis: opening, sessions, what failures mean, and what the stack is handed. */
#include "sinks/redis/cache.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"
#include "sinks/redis/mark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- sessions -------------------------------------------------------------------------------------- */

static int session_make(void *arg, void **out, struct lf_error *err)
{
	struct lf_tier *tier = arg;
	struct lf_redis_session *session = calloc(1, sizeof(*session));

	if (!session || lf_redis_nodes_init(&session->nodes, &tier->account.place, &tier->account.login,
	                                    tier->connect_timeout_ms) < 0) {
		free(session);
		return lf_fail(err, -ENOMEM, "no memory for a connection to redis");
	}
	session->tier = tier;
	*out = session;
	return 0;
}

static void session_free(void *connection)
{
	struct lf_redis_session *session = connection;

	(void)atomic_fetch_sub_explicit(&session->tier->connections, session->connections, memory_order_relaxed);
	lf_redis_nodes_fini(&session->nodes);
	free(session);
}

struct lf_redis_session *lf_redis_session_take(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	void *session = NULL;

	/* A question whose answer nobody waits for costs the connection. */
	if (lf_redis_left_ms(end_ms) == 0) {
		(void)lf_fail(err, 0, "there is no time left to ask redis at %s", tier->account.place.text);
		return NULL;
	}
	return lf_pool_take(tier->pool, &session, end_ms, err) == 0 ? session : NULL;
}

/* What became of its connections is counted here, where nobody waits for it. */
void lf_redis_session_give(struct lf_tier *tier, struct lf_redis_session *session)
{
	unsigned connections = 0;

	for (size_t i = 0; i < session->nodes.count; i++)
		connections += session->nodes.node[i]->connection != NULL;
	if (connections != session->connections)
		(void)atomic_fetch_add_explicit(&tier->connections, connections - session->connections, memory_order_relaxed);
	session->connections = connections;
	if (session->nodes.reconnects > 0)
		(void)atomic_fetch_add_explicit(&tier->reconnects, session->nodes.reconnects, memory_order_relaxed);
	session->nodes.reconnects = 0;
	lf_pool_give(tier->pool, session);
}

/* --- what failures mean ---------------------------------------------------------------------------- */

enum lf_tier_result lf_redis_tier_result(enum lf_sink_result result)
{
	if (result == LF_SINK_DONE)
		return LF_TIER_DONE;
	return result == LF_SINK_REJECTED ? LF_TIER_REJECTED : LF_TIER_AWAY;
}

enum lf_tier_result lf_redis_tier_judge(const redisReply *reply, const struct lf_redis_place *place,
                                        struct lf_error *err)
{
	if (lf_redis_is_full(reply))
		return lf_redis_tier_fail(err, LF_TIER_FULL, "redis at %s is full: raise maxmemory there, or set a "
		                          "maxmemory-policy that evicts", place->text);
	return lf_redis_tier_result(lf_redis_judge(reply, place, err));
}

/* What needs a person comes before what is full, and that before what time may heal. */
static int weight(enum lf_tier_result result)
{
	static const int weights[] = { [LF_TIER_DONE] = 0, [LF_TIER_AWAY] = 1, [LF_TIER_FULL] = 2, [LF_TIER_REJECTED] = 3 };

	return weights[result];
}

static enum lf_tier_result judge_all(const struct lf_redis_pipeline *p, const char *tolerated, struct lf_error *err)
{
	enum lf_tier_result worst = LF_TIER_DONE;

	for (size_t i = 0; i < p->count; i++) {
		const redisReply *reply = lf_redis_pipeline_reply(p, i);
		struct lf_error why = { "" };
		enum lf_tier_result result;

		if (!reply || !lf_redis_is_error(reply) || (tolerated && lf_redis_error_is(reply, tolerated)))
			continue;
		result = lf_redis_tier_judge(reply, lf_redis_pipeline_place(p, i), &why);
		if (weight(result) <= weight(worst))
			continue;
		worst = result;
		if (err)
			*err = why;
	}
	return worst;
}

enum lf_tier_result lf_redis_tier_run(struct lf_redis_session *session, struct lf_redis_pipeline *p,
                                      const char *tolerated, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result = lf_redis_pipeline_run(p, &session->nodes, end_ms, err);

	if (result != LF_SINK_DONE)
		return lf_redis_tier_result(result);
	return judge_all(p, tolerated, err);
}

enum lf_tier_result lf_redis_tier_send(struct lf_tier *tier, struct lf_redis_pipeline *p, const char *tolerated,
                                       int64_t end_ms, struct lf_error *err)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, end_ms, err);
	enum lf_tier_result result;

	if (!session)
		return LF_TIER_AWAY;
	result = lf_redis_tier_run(session, p, tolerated, end_ms, err);
	lf_redis_session_give(tier, session);
	return result;
}

size_t lf_redis_cache_call(struct lf_text *words, enum lf_redis_cache_script script, struct lf_text key)
{
	words[0] = LF_REDIS_WORD("EVALSHA");
	words[1] = (struct lf_text){ lf_redis_cache_scripts()->sha[script], LF_REDIS_SHA_CHARS };
	words[2] = LF_REDIS_WORD("1");
	words[3] = key;
	return 4;
}

/* --- there, and how it is -------------------------------------------------------------------------- */

static enum lf_tier_result ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, end_ms, err);
	char key[LF_REDIS_MARK_KEY_MAX], found[LF_UUID_CHARS + 1];
	enum lf_sink_result result;
	bool full;

	if (!session)
		return LF_TIER_AWAY;
	(void)snprintf(key, sizeof(key), "%s%%epoch", tier->scope);
	result = lf_redis_nodes_learn(&session->nodes, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_mark(&session->nodes, lf_redis_text(key), found, &full, end_ms, err);
	lf_redis_session_give(tier, session);
	if (result == LF_SINK_DONE)
		(void)snprintf(mark, LF_TIER_MARK_MAX, "%s", found);
	return lf_redis_tier_result(result);
}

static uint64_t number_of(const redisReply *text, const char *name)
{
	const char *line = text->str ? strstr(text->str, name) : NULL;

	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

/* Of all masters together; one without a limit makes the sum none. */
static enum lf_sink_result add_limits(struct lf_redis_nodes *nodes, uint64_t *limit, int64_t end_ms,
                                      struct lf_error *err)
{
	static const struct lf_text memory[] = { { "INFO", 4 }, { "memory", 6 } };
	bool unlimited = false;

	for (size_t i = 0; i < nodes->count; i++) {
		enum lf_sink_result result;
		redisReply *reply;
		uint64_t one;

		if (!nodes->node[i]->master)
			continue;
		result = lf_redis_node_ask(nodes, nodes->node[i], memory, 2, end_ms, &reply, err);
		if (result != LF_SINK_DONE)
			return result;
		one = number_of(reply, "\nmaxmemory:");
		freeReplyObject(reply);
		*limit += one;
		unlimited = unlimited || one == 0;
	}
	if (unlimited)
		*limit = 0;
	return LF_SINK_DONE;
}

static enum lf_tier_result info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err)
{
	struct lf_redis_session *session;
	enum lf_sink_result result;

	*out = (struct lf_tier_info){
		.items = UINT64_MAX, .bytes = UINT64_MAX,
		.connections = atomic_load_explicit(&tier->connections, memory_order_relaxed),
		.reconnects = atomic_load_explicit(&tier->reconnects, memory_order_relaxed),
	};
	session = lf_redis_session_take(tier, end_ms, err);
	if (!session)
		return LF_TIER_AWAY;
	result = lf_redis_nodes_learn(&session->nodes, end_ms, err);
	if (result == LF_SINK_DONE)
		result = add_limits(&session->nodes, &out->limit_bytes, end_ms, err);
	lf_redis_session_give(tier, session);
	return lf_redis_tier_result(result);
}

/* --- beginning and end ----------------------------------------------------------------------------- */

static void close_tier(struct lf_tier *tier)
{
	if (!tier)
		return;
	lf_redis_cache_watch_fini(tier);
	lf_pool_free(tier->pool);
	lf_redis_account_fini(&tier->account);
	free(tier->scope);
	free(tier->channel);
	free(tier);
}

static int take_account(struct lf_tier *tier, const struct lf_cache_server_options *server, struct lf_error *err)
{
	char name[128];
	const struct lf_redis_account_options account = {
		.url = server->url,
		.password = server->password,
		.files = { server->tls_ca_file, server->tls_certificate_file, server->tls_key_file },
		.name = name,
		.scripts = lf_redis_cache_scripts(),
	};
	int rc;

	(void)snprintf(name, sizeof(name), "logfold-cache:%s", tier->scope);
	rc = lf_redis_account_init(&tier->account, &account, err);
	/* A value is there as it was received and as the reply that is made of it. */
	tier->account.login.replies_max = LF_REDIS_REPLIES_MAX;
	if (tier->value_max > LF_REDIS_REPLIES_MAX / 2)
		tier->account.login.replies_max = 2 * tier->value_max;
	return rc;
}

static int take_options(struct lf_tier *tier, const struct lf_tier_options *options, struct lf_error *err)
{
	const struct lf_cache_server_options *server = options->server;
	const struct lf_pool_kind kind = { session_make, session_free, tier };
	int len, rc;

	tier->self = options->self;
	tier->value_max = options->value_max;
	tier->compress_min = server->compress_min;
	tier->timeout_ms = server->timeout_ms;
	tier->connect_timeout_ms = server->connect_timeout_ms;
	tier->scope = strdup(options->scope);
	len = asprintf(&tier->channel, "logfold-cache:%s", options->scope);
	if (len < 0)
		tier->channel = NULL;
	if (!tier->scope || !tier->channel)
		return lf_fail(err, -ENOMEM, "no memory for the connection to redis");
	tier->scope_len = strlen(tier->scope);
	tier->channel_len = (size_t)len;
	rc = take_account(tier, server, err);
	return rc == 0 ? lf_pool_new(&tier->pool, &kind, server->pool_min, server->pool_max, err) : rc;
}

static int open_tier(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	struct lf_tier *tier = calloc(1, sizeof(*tier));
	int rc;

	if (!tier)
		return lf_fail(err, -ENOMEM, "no memory for the connection to redis");
	rc = take_options(tier, options, err);
	if (rc == 0)
		*out = tier;
	else
		close_tier(tier);
	return rc;
}

__attribute__((visibility("default"))) extern const struct lf_tier_ops lf_tier_module;

const struct lf_tier_ops lf_tier_module = {
	.abi = LF_TIER_ABI,
	.name = "redis",
	.open = open_tier,
	.close = close_tier,
	.ping = ping,
	.load = lf_redis_cache_load,
	.store = lf_redis_cache_store,
	.scan = lf_redis_cache_scan,
	.drop = lf_redis_cache_drop,
	.stamps = lf_redis_cache_stamps,
	.raise = lf_redis_cache_raise,
	.lock = lf_redis_cache_lock,
	.unlock = lf_redis_cache_unlock,
	.watch = lf_redis_cache_watch,
	.changes = lf_redis_cache_changes,
	.info = info,
};
