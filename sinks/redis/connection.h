/* One connection to one server: commands out, replies in, all by a deadline.
 *
 * hiredis parses; the socket is ours, since its own timeouts are those of single system calls, a write
 * to a closed peer would raise SIGPIPE, and not every version of it has TLS.  Where it parses RESP3,
 * that is asked for, else RESP2.
 *
 * What is received and not taken yet is bounded: who sends more is not to be trusted with our memory.
 *
 * A connection that failed, or whose replies came too late, stays broken: nobody knows to which command
 * the next reply would belong.  Whoever owns it closes it and opens another.
 */
#ifndef LOGFOLD_SINKS_REDIS_CONNECTION_H
#define LOGFOLD_SINKS_REDIS_CONNECTION_H

#include <hiredis/hiredis.h>

#include "sinks/redis/buffer.h"
#include "sinks/redis/place.h"
#include "sinks/redis/script.h"
#include "sinks/redis/tls.h"

struct lf_redis_connection;

/* What is read at once, some hundred entries of some thousand writers each, is less; whoever sends more is
 * to cost no more memory than that. */
enum { LF_REDIS_REPLIES_MAX = 128 << 20 };

/* Who we are there.  Lives longer than the connections. */
struct lf_redis_login {
	const char *user, *password; /* empty: none */
	int db;
	char name[128];  /* CLIENT LIST shows it */
	const struct lf_redis_tls_files *tls; /* NULL: plaintext */
	const struct lf_redis_scripts *scripts;
	size_t replies_max; /* what may be received and not taken yet; 0: LF_REDIS_REPLIES_MAX */
};

/* Connects only; lf_redis_login() says who we are. */
LF_MUST_CHECK enum lf_sink_result lf_redis_connection_open(struct lf_redis_connection **out,
                                                           const struct lf_redis_place *place,
                                                           const struct lf_redis_tls_files *tls,
                                                           int64_t end_ms, struct lf_error *err);
void lf_redis_connection_close(struct lf_redis_connection *connection); /* NULL is fine */

/* With `scripts` the server knows them afterwards. */
LF_MUST_CHECK enum lf_sink_result lf_redis_login(struct lf_redis_connection *connection,
                                                 const struct lf_redis_login *login, bool scripts,
                                                 int64_t end_ms, struct lf_error *err);

/* Puts the commands that load them; how many those are. */
size_t lf_redis_put_scripts(struct lf_redis_connection *connection, const struct lf_redis_scripts *scripts);

void lf_redis_connection_bound(struct lf_redis_connection *connection, size_t replies_max);
const struct lf_redis_place *lf_redis_connection_place(const struct lf_redis_connection *connection);
int lf_redis_connection_fd(const struct lf_redis_connection *connection);

/* Whether it may be used, as far as can be known without asking. */
bool lf_redis_connection_alive(struct lf_redis_connection *connection);

/* Commands to be sent by the next exchange; each is owed one reply. */
void lf_redis_put(struct lf_redis_connection *connection, const struct lf_text *words, size_t count);
void lf_redis_put_bytes(struct lf_redis_connection *connection, const char *bytes, size_t len);

/* Sends to all of them at once and receives what they owe.  Each then says for itself how it went; the
 * replies of a broken one that did arrive are there. */
void lf_redis_exchange(struct lf_redis_connection *const *list, size_t count, int64_t end_ms);
LF_MUST_CHECK enum lf_sink_result lf_redis_connection_result(
	const struct lf_redis_connection *connection, struct lf_error *err);

/* The next reply, for freeReplyObject(); NULL: no more. */
redisReply *lf_redis_take(struct lf_redis_connection *connection);

/* One command and its reply, which is not looked at. */
LF_MUST_CHECK enum lf_sink_result lf_redis_ask(struct lf_redis_connection *connection,
                                               const struct lf_text *words, size_t count,
                                               int64_t end_ms, redisReply **reply,
                                               struct lf_error *err);

/* From now on replies come that nobody asked for; lf_redis_receive() sends what was put and fetches what
 * is there, without waiting. */
void lf_redis_connection_listen(struct lf_redis_connection *connection);
LF_MUST_CHECK enum lf_sink_result lf_redis_receive(struct lf_redis_connection *connection,
                                                   struct lf_error *err);

/* Words of commands. */
#define LF_REDIS_WORD(literal) ((struct lf_text){ "" literal, sizeof(literal) - 1 })
struct lf_text lf_redis_text(const char *string);

#endif
