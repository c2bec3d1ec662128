#include "sinks/redis/nodes.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 1000 }; /* as many as a Redis Cluster may have */

static struct lf_redis_node *add_node(struct lf_redis_nodes *nodes,
                                      const struct lf_redis_place *place)
{
	struct lf_redis_node *node = calloc(1, sizeof(*node)), **list;

	list = realloc(nodes->node, (nodes->count + 1) * sizeof(*list));
	if (list)
		nodes->node = list;
	if (!node || !list || nodes->count >= MAX_NODES) {
		free(node);
		return NULL;
	}
	node->place = *place;
	nodes->node[nodes->count++] = node;
	return node;
}

static struct lf_redis_node *node_at(struct lf_redis_nodes *nodes, const char *host, uint16_t port)
{
	struct lf_redis_place place;

	lf_redis_place_set(&place, false, host, port);
	for (size_t i = 0; i < nodes->count; i++)
		if (!nodes->node[i]->place.local && nodes->node[i]->place.port == port &&
		    strcmp(nodes->node[i]->place.name, place.name) == 0)
			return nodes->node[i];
	return add_node(nodes, &place);
}

int lf_redis_nodes_init(struct lf_redis_nodes *nodes, const struct lf_redis_place *place,
                        const struct lf_redis_login *login, int connect_timeout_ms)
{
	nodes->login = login;
	nodes->connect_timeout_ms = connect_timeout_ms;
	return add_node(nodes, place) ? 0 : -ENOMEM;
}

static void disconnect(struct lf_redis_node *node)
{
	lf_redis_connection_close(node->connection);
	node->connection = NULL;
}

void lf_redis_nodes_fini(struct lf_redis_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++) {
		disconnect(nodes->node[i]);
		free(nodes->node[i]);
	}
	free(nodes->node);
	nodes->node = NULL;
	nodes->count = 0;
}

static enum lf_sink_result connect_anew(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                                        int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result;

	result = lf_redis_connection_open(&node->connection, &node->place, nodes->login->tls, end_ms,
	                                  err);
	if (result == LF_SINK_DONE)
		result = lf_redis_login(node->connection, nodes->login, true, end_ms, err);
	if (result != LF_SINK_DONE) {
		disconnect(node);
		return result;
	}
	nodes->reconnects += node->lost;
	node->lost = false;
	return result;
}

enum lf_sink_result lf_redis_node_connect(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                                          int64_t end_ms, struct lf_error *err)
{
	/* One of many that does not answer must not use up the time of all. */
	int left = lf_redis_left_ms(end_ms), part = nodes->cluster ? left / 2 : left;
	enum lf_sink_result result;

	if (node->connection && lf_redis_connection_alive(node->connection))
		return LF_SINK_DONE;
	node->lost = node->lost || node->connection;
	disconnect(node);
	if (nodes->connect_timeout_ms > 0 && nodes->connect_timeout_ms < part)
		part = nodes->connect_timeout_ms;
	result = connect_anew(nodes, node, lf_redis_sooner_ms(end_ms, part), err);
	nodes->stale = true; /* whoever is there now may be something else than before */
	node->forgot = false;
	return result;
}

enum lf_sink_result lf_redis_node_settle(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                                         struct lf_error *err)
{
	enum lf_sink_result result = lf_redis_connection_result(node->connection, err);

	if (result != LF_SINK_DONE) {
		disconnect(node);
		node->lost = true;
		nodes->stale = true;
	}
	return result;
}

/* The reply may be an error. */
static enum lf_sink_result ask(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                               const struct lf_text *words, size_t count, int64_t end_ms,
                               redisReply **reply, struct lf_error *err)
{
	enum lf_sink_result result = lf_redis_node_connect(nodes, node, end_ms, err);

	if (result != LF_SINK_DONE)
		return result;
	result = lf_redis_ask(node->connection, words, count, end_ms, reply, err);
	if (result != LF_SINK_DONE)
		return lf_redis_node_settle(nodes, node, err);
	return result;
}

enum lf_sink_result lf_redis_node_ask(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                                      const struct lf_text *words, size_t count, int64_t end_ms,
                                      redisReply **reply, struct lf_error *err)
{
	enum lf_sink_result result = ask(nodes, node, words, count, end_ms, reply, err);

	if (result != LF_SINK_DONE)
		return result;
	result = lf_redis_judge(*reply, &node->place, err);
	if (result != LF_SINK_DONE)
		freeReplyObject(*reply);
	return result;
}

struct lf_redis_node *lf_redis_node_of(const struct lf_redis_nodes *nodes, uint16_t slot)
{
	return nodes->cluster ? nodes->owner[slot] : nodes->node[0];
}

struct lf_redis_node *lf_redis_node_named(struct lf_redis_nodes *nodes,
                                          const struct lf_redis_node *from, const redisReply *reply)
{
	const char *place = strrchr(reply->str, ' '), *colon = place ? strrchr(place, ':') : NULL;
	char host[256];
	long port;

	if (!colon || colon - place > (ptrdiff_t)sizeof(host))
		return NULL;
	port = strtol(colon + 1, NULL, 10);
	if (port <= 0 || port > UINT16_MAX)
		return NULL;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - place - 1), place + 1);
	/* A node that does not know its own name leaves it out: it is the one that was asked. */
	return node_at(nodes, *host ? host : from->place.name, (uint16_t)port);
}

/* ---- Who has which slot ---- */

static bool is_number(const redisReply *reply, long long max)
{
	return reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 && reply->integer <= max;
}

/* [first, last, [host, port, …], replicas…] */
static bool note_range(struct lf_redis_nodes *nodes, const struct lf_redis_node *from,
                       const redisReply *range)
{
	const redisReply *master = range->elements >= 3 ? range->element[2] : NULL;
	struct lf_redis_node *node;
	const char *host;

	if (!master || master->elements < 2 || !is_number(range->element[0], LF_REDIS_SLOTS - 1) ||
	    !is_number(range->element[1], LF_REDIS_SLOTS - 1) ||
	    !is_number(master->element[1], UINT16_MAX))
		return false;
	host = master->element[0]->str;
	if (!host || !*host || strcmp(host, "?") == 0)
		host = from->place.name;
	node = node_at(nodes, host, (uint16_t)master->element[1]->integer);
	if (!node)
		return false;
	node->master = node->listed = true;
	for (long long slot = range->element[0]->integer; slot <= range->element[1]->integer; slot++)
		nodes->owner[slot] = node;
	return true;
}

static void forget_unlisted(struct lf_redis_nodes *nodes)
{
	size_t kept = 1;

	for (size_t i = 1; i < nodes->count; i++) {
		struct lf_redis_node *node = nodes->node[i];

		if (node->listed) {
			nodes->node[kept++] = node;
		} else {
			disconnect(node);
			free(node);
		}
	}
	nodes->count = kept;
}

static void begin_list(struct lf_redis_nodes *nodes)
{
	memset(nodes->owner, 0, sizeof(nodes->owner));
	for (size_t i = 0; i < nodes->count; i++)
		nodes->node[i]->master = nodes->node[i]->listed = false;
}

static enum lf_sink_result note_slots(struct lf_redis_nodes *nodes, const struct lf_redis_node *from,
                                      const redisReply *reply, struct lf_error *err)
{
	/* Another may know more of the cluster than one that was just set up anew. */
	if (reply->elements == 0)
		return lf_redis_fail(err, LF_SINK_RETRY,
		                     "redis at %s belongs to a cluster that has no slots yet",
		                     from->place.text);
	begin_list(nodes);
	for (size_t i = 0; i < reply->elements; i++)
		if (!note_range(nodes, from, reply->element[i]))
			return lf_redis_fail(err, LF_SINK_RETRY,
			                     "redis at %s tells nothing of use about its cluster's slots",
			                     from->place.text);
	nodes->cluster = true;
	forget_unlisted(nodes);
	return LF_SINK_DONE;
}

static void note_single(struct lf_redis_nodes *nodes)
{
	begin_list(nodes);
	nodes->cluster = false;
	nodes->node[0]->master = true;
	forget_unlisted(nodes);
}

static enum lf_sink_result ask_node(struct lf_redis_nodes *nodes, struct lf_redis_node *node,
                                    int64_t end_ms, struct lf_error *err)
{
	static const struct lf_text slots[] = { { "CLUSTER", 7 }, { "SLOTS", 5 } };
	redisReply *reply;
	enum lf_sink_result result = ask(nodes, node, slots, 2, end_ms, &reply, err);

	if (result != LF_SINK_DONE)
		return result;
	/* A single server refuses; a user who may not ask finds out at the first key. */
	if (lf_redis_error_is(reply, "ERR") || lf_redis_error_is(reply, "NOPERM"))
		note_single(nodes);
	else if (lf_redis_is_error(reply))
		result = lf_redis_judge(reply, &node->place, err);
	else
		result = note_slots(nodes, node, reply, err);
	freeReplyObject(reply);
	nodes->known = result == LF_SINK_DONE;
	nodes->stale = !nodes->known;
	return result;
}

enum lf_sink_result lf_redis_nodes_learn(struct lf_redis_nodes *nodes, int64_t end_ms,
                                         struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_RETRY;

	if (nodes->known && !nodes->stale && (nodes->cluster || nodes->node[0]->connection))
		return LF_SINK_DONE;
	/* Those with a connection answer at once. */
	for (int connected = 1; connected >= 0; connected--)
		for (size_t i = 0; i < nodes->count; i++) {
			struct lf_redis_node *node = nodes->node[i];
			int left = lf_redis_left_ms(end_ms);

			if ((node->connection != NULL) != connected)
				continue;
			result = ask_node(nodes, node,
			                  lf_redis_sooner_ms(end_ms, nodes->count > 1 ? left / 2 : left), err);
			if (result == LF_SINK_DONE)
				return result;
		}
	return result;
}
