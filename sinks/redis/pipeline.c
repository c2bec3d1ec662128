#include "sinks/redis/pipeline.h"
#include "sinks/redis/complaint.h"

#include <stdlib.h>

enum { ROUNDS = 8 }; /* a key that moves more often than this within one call can wait for the next */

struct lf_redis_command {
	size_t at, len; /* in the pipeline's bytes */
	uint16_t slot;
	bool asking; /* it is to go to `node`, once, and not to the slot's owner */
	bool sent;
	struct lf_redis_node *node; /* who was asked; good until the next run */
	redisReply *reply;
};

void lf_redis_pipeline_add(struct lf_redis_pipeline *p, struct lf_text key,
                           const struct lf_text *words, size_t count)
{
	size_t at = p->bytes.len;

	if (p->count == p->size) {
		size_t size = p->size ? 2 * p->size : 16;
		struct lf_redis_command *grown = realloc(p->command, size * sizeof(*grown));

		if (!grown) {
			p->failed = true;
			return;
		}
		p->command = grown;
		p->size = size;
	}
	lf_redis_buffer_command(&p->bytes, words, count);
	p->command[p->count++] = (struct lf_redis_command){
		.at = at, .len = p->bytes.len - at, .slot = lf_redis_slot(key.data, key.len) };
}

const redisReply *lf_redis_pipeline_reply(const struct lf_redis_pipeline *p, size_t i)
{
	return p->command[i].reply;
}

const struct lf_redis_place *lf_redis_pipeline_place(const struct lf_redis_pipeline *p, size_t i)
{
	return &p->command[i].node->place;
}

void lf_redis_pipeline_clear(struct lf_redis_pipeline *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->command[i].reply)
			freeReplyObject(p->command[i].reply);
	p->count = 0;
	lf_redis_buffer_taken(&p->bytes, lf_redis_buffer_waiting(&p->bytes));
}

void lf_redis_pipeline_fini(struct lf_redis_pipeline *p)
{
	lf_redis_pipeline_clear(p);
	lf_redis_buffer_free(&p->bytes);
	free(p->command);
	*p = (struct lf_redis_pipeline){ 0 };
}

/* ---- One round: send, receive, see who must go elsewhere ---- */

struct round {
	struct lf_redis_pipeline *p;
	struct lf_redis_nodes *nodes;
	int64_t end_ms;
	enum lf_sink_result result; /* the worst so far */
	struct lf_error *err;
};

/* The first sentence of the worst kind is the one that is told. */
static void note(struct round *r, enum lf_sink_result result, const struct lf_error *why)
{
	if (result <= r->result)
		return;
	r->result = result;
	if (r->err)
		*r->err = *why;
}

static void load_scripts(struct round *r, struct lf_redis_node *node)
{
	node->skip += lf_redis_put_scripts(node->connection, r->nodes->login->scripts);
	node->forgot = false;
}

/* Whether commands can be sent there in this round. */
static bool make_ready(struct round *r, struct lf_redis_node *node)
{
	struct lf_error why = { "" };
	enum lf_sink_result result;

	if (node->used || node->failed)
		return node->used;
	result = lf_redis_node_connect(r->nodes, node, r->end_ms, &why);
	note(r, result, &why);
	node->failed = result != LF_SINK_DONE;
	node->used = !node->failed;
	if (node->used && node->forgot)
		load_scripts(r, node);
	return node->used;
}

static void send_command(struct round *r, struct lf_redis_command *command)
{
	static const struct lf_text asking = { "ASKING", 6 };
	struct lf_error why;

	if (!command->asking)
		command->node = lf_redis_node_of(r->nodes, command->slot);
	if (!command->node) {
		r->nodes->stale = true;
		note(r, lf_redis_fail(&why, LF_SINK_RETRY,
		                      "redis cluster at %s: no node has slot %u; CLUSTER INFO tells more",
		                      r->nodes->node[0]->place.text, command->slot), &why);
		return;
	}
	if (!make_ready(r, command->node))
		return;
	if (command->asking)
		lf_redis_put(command->node->connection, &asking, 1);
	lf_redis_put_bytes(command->node->connection, r->p->bytes.data + command->at, command->len);
	command->sent = true;
}

static void exchange(struct round *r)
{
	struct lf_redis_connection **list = calloc(r->nodes->count, sizeof(*list));
	struct lf_error why;
	size_t count = 0;

	if (!list) {
		note(r, lf_redis_fail(&why, LF_SINK_RETRY, "no memory to talk to redis"), &why);
		return;
	}
	for (size_t i = 0; i < r->nodes->count; i++)
		if (r->nodes->node[i]->used)
			list[count++] = r->nodes->node[i]->connection;
	lf_redis_exchange(list, count, r->end_ms);
	free(list);
}

static void skip(struct lf_redis_node *node)
{
	for (; node->skip > 0; node->skip--) {
		redisReply *reply = lf_redis_take(node->connection);

		if (reply)
			freeReplyObject(reply);
	}
}

/* Takes the reply; true: the command must be sent again. */
static bool redirected(struct round *r, struct lf_redis_command *command, redisReply *reply)
{
	struct lf_redis_node *from = command->node, *to;

	command->asking = false;
	if (lf_redis_error_is(reply, "NOSCRIPT")) {
		from->forgot = true;
		return true;
	}
	if (lf_redis_error_is(reply, "CLUSTERDOWN"))
		r->nodes->stale = true;
	if (!r->nodes->cluster || !(lf_redis_error_is(reply, "MOVED") || lf_redis_error_is(reply, "ASK")))
		return false;
	to = lf_redis_node_named(r->nodes, from, reply);
	if (!to)
		return false;
	if (lf_redis_error_is(reply, "ASK")) {
		command->asking = true;
		command->node = to;
	} else {
		r->nodes->owner[command->slot] = to;
		r->nodes->stale = true;
	}
	return true;
}

/* Returns how many are to be sent again. */
static size_t collect(struct round *r)
{
	size_t again = 0;

	for (size_t i = 0; i < r->nodes->count; i++)
		if (r->nodes->node[i]->used)
			skip(r->nodes->node[i]);
	for (size_t i = 0; i < r->p->count; i++) {
		struct lf_redis_command *command = &r->p->command[i];
		redisReply *asked, *reply;

		if (!command->sent)
			continue;
		command->sent = false;
		asked = command->asking ? lf_redis_take(command->node->connection) : NULL;
		if (asked)
			freeReplyObject(asked);
		reply = lf_redis_take(command->node->connection);
		if (!reply)
			continue;
		if (redirected(r, command, reply)) {
			freeReplyObject(reply);
			again++;
			continue;
		}
		command->reply = reply;
	}
	return again;
}

static void settle(struct round *r)
{
	for (size_t i = 0; i < r->nodes->count; i++) {
		struct lf_redis_node *node = r->nodes->node[i];
		struct lf_error why = { "" };

		if (!node->used)
			continue;
		node->used = false;
		note(r, lf_redis_node_settle(r->nodes, node, &why), &why);
		node->failed = !node->connection;
	}
}

/* Without a reply a command is sent again only where that was asked for: what a broken connection took
 * with it is the next call's. */
static size_t run_round(struct round *r)
{
	size_t again;

	for (size_t i = 0; i < r->p->count; i++)
		if (!r->p->command[i].reply)
			send_command(r, &r->p->command[i]);
	exchange(r);
	again = collect(r);
	settle(r);
	return again;
}

enum lf_sink_result lf_redis_pipeline_run(struct lf_redis_pipeline *p, struct lf_redis_nodes *nodes,
                                          int64_t end_ms, struct lf_error *err)
{
	struct round round = { .p = p, .nodes = nodes, .end_ms = end_ms, .err = err };
	enum lf_sink_result result;
	size_t again = p->count;

	if (p->failed || p->bytes.failed)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for what is sent to redis");
	result = lf_redis_nodes_learn(nodes, end_ms, err);
	if (result != LF_SINK_DONE)
		return result;
	for (size_t i = 0; i < nodes->count; i++)
		nodes->node[i]->failed = nodes->node[i]->used = false;
	for (int i = 0; i < ROUNDS && again > 0; i++)
		again = run_round(&round);
	if (round.result == LF_SINK_DONE && again > 0)
		return lf_redis_fail(err, LF_SINK_RETRY, "the nodes of the redis cluster at %s send each "
		                     "other's clients around: is it being rebuilt?",
		                     nodes->node[0]->place.text);
	return round.result;
}

enum lf_sink_result lf_redis_pipeline_judge(const struct lf_redis_pipeline *p, const char *tolerated,
                                            struct lf_error *err)
{
	enum lf_sink_result worst = LF_SINK_DONE;

	for (size_t i = 0; i < p->count; i++) {
		const struct lf_redis_command *command = &p->command[i];
		struct lf_error why = { "" };
		enum lf_sink_result result;

		if (!command->reply || (tolerated && lf_redis_error_is(command->reply, tolerated)))
			continue;
		result = lf_redis_judge(command->reply, &command->node->place, &why);
		if (result > worst && err)
			*err = why;
		worst = lf_redis_worse(worst, result);
	}
	return worst;
}

enum lf_sink_result lf_redis_one(struct lf_redis_nodes *nodes, struct lf_text key,
                                 const struct lf_text *words, size_t count, int64_t end_ms,
                                 redisReply **reply, struct lf_error *err)
{
	struct lf_redis_pipeline p = { 0 };
	enum lf_sink_result result;

	lf_redis_pipeline_add(&p, key, words, count);
	result = lf_redis_pipeline_run(&p, nodes, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_pipeline_judge(&p, NULL, err);
	if (result == LF_SINK_DONE) {
		*reply = p.command[0].reply;
		p.command[0].reply = NULL;
	}
	lf_redis_pipeline_fini(&p);
	return result;
}
