/* Which server this is: another mark than last time means that it was emptied, started anew, or is another one. */
#ifndef LOGFOLD_SINKS_REDIS_MARK_H
#define LOGFOLD_SINKS_REDIS_MARK_H

#include "sinks/redis/nodes.h"

enum { LF_REDIS_MARK_KEY_MAX = 1024 };

/* Of nodes that are known (lf_redis_nodes_learn()).  `key` is where the mark is kept; in a cluster with a tag behind
 * it.  *full: it can be read, but no memory is left there to write; `err` says so. */
LF_MUST_CHECK enum lf_sink_result lf_redis_mark(struct lf_redis_nodes *nodes, struct lf_text key,
                                                char mark[LF_UUID_CHARS + 1], bool *full, int64_t end_ms,
                                                struct lf_error *err);

#endif
