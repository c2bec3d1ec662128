/* What a server's error reply means for the caller, and for a person. */
#ifndef LOGFOLD_SINKS_REDIS_COMPLAINT_H
#define LOGFOLD_SINKS_REDIS_COMPLAINT_H

#include <hiredis/hiredis.h>

#include "sinks/redis/place.h"

/* lf_fail() for those who return how it went. */
#define lf_redis_fail(err, result, ...) ((enum lf_sink_result)lf_fail((err), (int)(result), __VA_ARGS__))

static inline bool lf_redis_is_error(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR;
}

/* Whether the error's text begins with that code, MOVED for example. */
bool lf_redis_error_is(const redisReply *reply, const char *code);

/* Whether it is the refusal of a server that has no memory left. */
bool lf_redis_is_full(const redisReply *reply);

/* LF_SINK_DONE unless it is an error. */
LF_MUST_CHECK enum lf_sink_result lf_redis_judge(const redisReply *reply,
                                                 const struct lf_redis_place *place,
                                                 struct lf_error *err);

/* The same of the commands that carry a password: a server may repeat what it was sent, so of its words
 * nothing but the code is handed on. */
LF_MUST_CHECK enum lf_sink_result lf_redis_judge_login(const redisReply *reply,
                                                       const struct lf_redis_place *place,
                                                       struct lf_error *err);

/* The worse of two: what needs a person, before what time may heal. */
static inline enum lf_sink_result lf_redis_worse(enum lf_sink_result a, enum lf_sink_result b)
{
	return a > b ? a : b;
}

#endif
