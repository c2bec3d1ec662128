/* Flags that change, told by pub/sub on a connection of its own.
 *
 * Messages may be lost with a connection, and a dead peer is silent; so what is there is asked from time
 * to time whether it lives, and every loss is told as such. */
#ifndef LOGFOLD_SINKS_REDIS_WATCH_H
#define LOGFOLD_SINKS_REDIS_WATCH_H

#include "sinks/redis/connection.h"

struct lf_redis_watch {
	struct lf_redis_connection *connection; /* NULL: not watching */
	int events; /* an epoll of the connection and the timer: what the agent polls; 0: none yet */
	int timer;
	char (*namespaces)[LF_NAMESPACE_MAX + 1];
	size_t count;
	bool missed; /* a message came while subscribing */
	bool asked, heard; /* since the timer last rang */
	bool probed, works;
};

enum lf_sink_result lf_redis_watch(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                   int timeout_ms, struct lf_error *err);
int lf_redis_watch_fd(const struct lf_sink *sink);
enum lf_sink_result lf_redis_changes(struct lf_sink *sink, lf_sink_changed changed, void *arg,
                                     struct lf_error *err);

/* Whether this user may subscribe: asked once, and again after a failure. */
LF_MUST_CHECK enum lf_sink_result lf_redis_watch_works(struct lf_sink *sink, bool *works,
                                                       int64_t end_ms, struct lf_error *err);
void lf_redis_watch_fini(struct lf_redis_watch *watch);

#endif
