/* What the parts of the cache's tier in Redis share, and its keys.  `app:env:` is the scope; what begins with % and
 * a small letter behind it is no record:
 *
 *   app:env:type:org:id        a record, as bytes; gone a second after it expires, for clocks differ
 *   app:env:%tag:…, %type:, %org:   stamps, in decimal
 *   {app:env:type:org:id}#lock the fleet's lock of a key, in the same slot: whose it is
 *   app:env:%fence             the last lock's number
 *   app:env:%epoch[:{tag}]     the mark of this server (mark.h)
 *   logfold-cache:app:env:     channel (cache_message.h)
 *
 * Any thread takes a session from the pool, which is a connection to each server with what is known of them.
 */
#ifndef LOGFOLD_SINKS_REDIS_CACHE_H
#define LOGFOLD_SINKS_REDIS_CACHE_H

#include "sinks/cache/key.h"
#include "sinks/cache/tier.h"
#include "sinks/pool.h"
#include "sinks/redis/account.h"
#include "sinks/redis/cache_message.h"
#include "sinks/redis/cache_script.h"
#include "sinks/redis/pipeline.h"

struct lf_redis_session {
	struct lf_tier *tier;
	struct lf_redis_nodes nodes;
	unsigned connections; /* as the tier counts them */
};

/* Who listens on the channel: cache_watch.c. */
struct lf_redis_cache_watch {
	struct lf_redis_connection *connection; /* NULL: nobody */
	int64_t ask_ms;     /* when it is to be asked whether it lives; lf_clock_ms() */
	bool asked, heard;  /* since the time before */
	bool missed;        /* a message came while subscribing */
};

struct lf_tier {
	char *scope, *channel;
	size_t scope_len, channel_len;
	struct lf_version self;
	size_t value_max, compress_min;
	int timeout_ms, connect_timeout_ms;
	struct lf_redis_account account;
	struct lf_pool *pool;
	_Atomic unsigned connections;
	_Atomic uint64_t reconnects;
	struct lf_redis_cache_watch watch;
};

enum {
	LF_REDIS_HEAD_BYTES = 2 + LF_REDIS_VERSION_BYTES, /* of a record: that it is one, and its version */
	LF_REDIS_BATCH = 256, /* commands that are sent at once */
};

/* --- cache.c --------------------------------------------------------------------------------------- */

/* NULL: all were in use until then, it is too late already, or no memory. */
LF_MUST_CHECK struct lf_redis_session *lf_redis_session_take(struct lf_tier *tier, int64_t end_ms,
                                                             struct lf_error *err);
void lf_redis_session_give(struct lf_tier *tier, struct lf_redis_session *session);

/* lf_fail() for those who return how it went. */
#define lf_redis_tier_fail(err, result, ...) ((enum lf_tier_result)lf_fail((err), (int)(result), __VA_ARGS__))

LF_MUST_CHECK enum lf_tier_result lf_redis_tier_result(enum lf_sink_result result);

/* What an error reply means here; LF_TIER_DONE for any other. */
LF_MUST_CHECK enum lf_tier_result lf_redis_tier_judge(const redisReply *reply, const struct lf_redis_place *place,
                                                      struct lf_error *err);

/* Runs it and judges it: LF_TIER_DONE comes with a reply to each command.  An error with the tolerated code is none. */
LF_MUST_CHECK enum lf_tier_result lf_redis_tier_run(struct lf_redis_session *session,
                                                    struct lf_redis_pipeline *pipeline, const char *tolerated,
                                                    int64_t end_ms, struct lf_error *err);
/* The same on a session of its own. */
LF_MUST_CHECK enum lf_tier_result lf_redis_tier_send(struct lf_tier *tier, struct lf_redis_pipeline *pipeline,
                                                     const char *tolerated, int64_t end_ms, struct lf_error *err);

/* EVALSHA's first four words; how many those are. */
size_t lf_redis_cache_call(struct lf_text *words, enum lf_redis_cache_script script, struct lf_text key);

/* --- the others ------------------------------------------------------------------------------------ */

/* The lock's key, and its value. */
struct lf_redis_lock {
	char key[LF_REDIS_NAME_MAX], value[64];
	size_t key_len, value_len;
};
void lf_redis_lock_make(struct lf_redis_lock *out, const struct lf_tier *tier, struct lf_text key, uint64_t token);

/* What an lf_tier_ops promises (tier.h). */
enum lf_tier_result lf_redis_cache_lock(struct lf_tier *tier, struct lf_text key, int ttl_ms, uint64_t *token,
                                        int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_unlock(struct lf_tier *tier, struct lf_text key, uint64_t token, int64_t end_ms,
                                          struct lf_error *err);
enum lf_tier_result lf_redis_cache_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                        struct lf_record **records, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count,
                                         int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX],
                                        size_t max, char ***keys, size_t *count, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err);
enum lf_tier_result lf_redis_cache_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count,
                                          uint64_t *out, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_redis_cache_changes(struct lf_tier *tier, int wake_fd,
                                           void (*changed)(void *arg, const struct lf_tier_change *change), void *arg,
                                           int64_t end_ms, struct lf_error *err);
void lf_redis_cache_watch_fini(struct lf_tier *tier);

#endif
