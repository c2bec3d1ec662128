/* Commands with one key each, sent together to whoever has the keys, redirected where a cluster says so.
 *
 *   lf_redis_pipeline_add(&pipeline, key, words, count);   …
 *   lf_redis_pipeline_run(&pipeline, nodes, end_ms, err);
 *   lf_redis_pipeline_reply(&pipeline, i)                  of the i-th, NULL: none came
 */
#ifndef LOGFOLD_SINKS_REDIS_PIPELINE_H
#define LOGFOLD_SINKS_REDIS_PIPELINE_H

#include "sinks/redis/nodes.h"

struct lf_redis_command;

/* All zero is an empty one. */
struct lf_redis_pipeline {
	struct lf_redis_buffer bytes;
	struct lf_redis_command *command;
	size_t count, size;
	bool failed; /* no memory */
};

void lf_redis_pipeline_add(struct lf_redis_pipeline *pipeline, struct lf_text key,
                           const struct lf_text *words, size_t count);

/* LF_SINK_DONE: every command has a reply, be it an error. */
LF_MUST_CHECK enum lf_sink_result lf_redis_pipeline_run(struct lf_redis_pipeline *pipeline,
                                                        struct lf_redis_nodes *nodes, int64_t end_ms,
                                                        struct lf_error *err);

/* The worst of its error replies, those with the tolerated code (NULL: none) left out. */
LF_MUST_CHECK enum lf_sink_result lf_redis_pipeline_judge(const struct lf_redis_pipeline *pipeline,
                                                          const char *tolerated,
                                                          struct lf_error *err);

const redisReply *lf_redis_pipeline_reply(const struct lf_redis_pipeline *pipeline, size_t i);
/* Who sent the i-th reply; good until the nodes learn something new. */
const struct lf_redis_place *lf_redis_pipeline_place(const struct lf_redis_pipeline *pipeline, size_t i);

/* Empty again; its memory is kept for the next. */
void lf_redis_pipeline_clear(struct lf_redis_pipeline *pipeline);
void lf_redis_pipeline_fini(struct lf_redis_pipeline *pipeline);

/* One command and its reply, of which LF_SINK_DONE says that it is no error. */
LF_MUST_CHECK enum lf_sink_result lf_redis_one(struct lf_redis_nodes *nodes, struct lf_text key,
                                               const struct lf_text *words, size_t count,
                                               int64_t end_ms, redisReply **reply,
                                               struct lf_error *err);

#endif
