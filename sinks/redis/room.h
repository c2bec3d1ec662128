/* What the parts of the Redis sink share: one struct lf_sink, and the keys.
 *
 *   logfold:<namespace>:entry:{<hash>}       an entry (fields.h)
 *   logfold:<namespace>:flags                channel: the hash of an entry whose flags were written
 *   logfold:<namespace>:epoch[:{<tag>}]      the mark of this server; in a cluster one on each master
 *   logfold:<namespace>:writer:<incarnation> how far that one has sent
 */
#ifndef LOGFOLD_SINKS_REDIS_ROOM_H
#define LOGFOLD_SINKS_REDIS_ROOM_H

#include "sinks/redis/account.h"
#include "sinks/redis/nodes.h"
#include "sinks/redis/watch.h"

struct lf_sink {
	struct lf_sink_options options;
	struct lf_redis_account account;
	struct lf_redis_nodes nodes;
	struct lf_redis_watch watch;
};

enum { LF_REDIS_KEY_MAX = 192 };

struct lf_redis_key {
	char text[LF_REDIS_KEY_MAX];
	size_t len;
};

static inline struct lf_text lf_redis_key_text(const struct lf_redis_key *key)
{
	return (struct lf_text){ key->text, key->len };
}

/* Joins the parts; too long ones are cut. */
void lf_redis_key_make(struct lf_redis_key *key, const struct lf_text *parts, size_t count);
void lf_redis_key_entry(struct lf_redis_key *key, struct lf_text namespace, struct lf_text hash);
void lf_redis_key_flags(struct lf_redis_key *key, struct lf_text namespace);
void lf_redis_key_writer(struct lf_redis_key *key, const struct lf_sink_options *options);

/* The hash in the key of an entry of that namespace; false: it is another key. */
bool lf_redis_key_hash(struct lf_text key, struct lf_text namespace, struct lf_text *hash);
bool lf_redis_is_hash(struct lf_text text);

enum lf_sink_result lf_redis_hello(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
                                   struct lf_error *err);
enum lf_sink_result lf_redis_flush(struct lf_sink *sink, const struct lf_sink_batch *batch,
                                   int timeout_ms, struct lf_error *err);
enum lf_sink_result lf_redis_evict(struct lf_sink *sink, const struct lf_sink_record *records,
                                   size_t count, int timeout_ms, struct lf_error *err);
enum lf_sink_result lf_redis_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                  lf_sink_each each, void *arg, int timeout_ms,
                                  struct lf_error *err);
enum lf_sink_result lf_redis_state(struct lf_sink *sink, struct lf_sink_state *out, int timeout_ms,
                                   struct lf_error *err);

/* The commands that a flush sends, appended. */
struct lf_redis_pipeline;
void lf_redis_flush_commands(struct lf_redis_pipeline *pipeline, const struct lf_sink_batch *batch, int ttl_s);

/* How far this incarnation has sent: raised, never lowered. */
LF_MUST_CHECK enum lf_sink_result lf_redis_sequence_raise(struct lf_sink *sink, uint64_t sequence,
                                                          int64_t end_ms, struct lf_error *err);

#endif
