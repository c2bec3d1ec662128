/* The servers behind one URL: a single one, or the masters of a cluster, each with its slots.
 *
 * Which of the two it is, and who has which slot, is asked for (CLUSTER SLOTS) when it is not known or
 * was found to be old: at the beginning of a call only, so that a node is good until the call ends.
 */
#ifndef LOGFOLD_SINKS_REDIS_NODES_H
#define LOGFOLD_SINKS_REDIS_NODES_H

#include "sinks/redis/connection.h"
#include "sinks/redis/slot.h"

struct lf_redis_node {
	struct lf_redis_place place;
	struct lf_redis_connection *connection; /* NULL: none now */
	bool master; /* or the only one */
	bool listed;
	bool forgot; /* the scripts: it was restarted */
	bool lost;   /* a connection, and has no other yet */
	bool failed; /* in this round of a pipeline; so are the next two */
	bool used;
	size_t skip; /* replies that belong to no command */
};

struct lf_redis_nodes {
	const struct lf_redis_login *login;
	int connect_timeout_ms;
	struct lf_redis_node **node; /* [0] is the one of the URL, which always stays */
	size_t count;
	bool known, cluster, stale;
	unsigned reconnects; /* connections in the place of lost ones */
	struct lf_redis_node *owner[LF_REDIS_SLOTS]; /* of a cluster */
};

LF_MUST_CHECK int lf_redis_nodes_init(struct lf_redis_nodes *nodes,
                                      const struct lf_redis_place *place,
                                      const struct lf_redis_login *login, int connect_timeout_ms);
void lf_redis_nodes_fini(struct lf_redis_nodes *nodes);

/* Knows afterwards whether it is a cluster, and its masters. */
LF_MUST_CHECK enum lf_sink_result lf_redis_nodes_learn(struct lf_redis_nodes *nodes, int64_t end_ms,
                                                       struct lf_error *err);

/* Has a connection afterwards. */
LF_MUST_CHECK enum lf_sink_result lf_redis_node_connect(struct lf_redis_nodes *nodes,
                                                        struct lf_redis_node *node, int64_t end_ms,
                                                        struct lf_error *err);

/* After an exchange: closes what broke, and says how. */
LF_MUST_CHECK enum lf_sink_result lf_redis_node_settle(struct lf_redis_nodes *nodes,
                                                       struct lf_redis_node *node,
                                                       struct lf_error *err);

/* Connects, asks, and judges: LF_SINK_DONE comes with a reply that is no error. */
LF_MUST_CHECK enum lf_sink_result lf_redis_node_ask(struct lf_redis_nodes *nodes,
                                                    struct lf_redis_node *node,
                                                    const struct lf_text *words, size_t count,
                                                    int64_t end_ms, redisReply **reply,
                                                    struct lf_error *err);

/* NULL: nobody has that slot. */
struct lf_redis_node *lf_redis_node_of(const struct lf_redis_nodes *nodes, uint16_t slot);

/* The node that a redirection names, "MOVED 3999 host:port" say, known from now on; NULL: no memory, or
 * it cannot be read.  `from` is who said so. */
struct lf_redis_node *lf_redis_node_named(struct lf_redis_nodes *nodes,
                                          const struct lf_redis_node *from, const redisReply *reply);

#endif
