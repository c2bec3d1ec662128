/* Where a Redis server listens, and the socket to it: connected by a deadline, never blocking. */
#ifndef LOGFOLD_SINKS_REDIS_PLACE_H
#define LOGFOLD_SINKS_REDIS_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/sink.h"

struct lf_redis_place {
	bool local;
	uint16_t port;
	char name[256]; /* host or path */
	char text[272]; /* for people: host:port, [v6]:port or the path */
};

void lf_redis_place_set(struct lf_redis_place *place, bool local, const char *name, uint16_t port);

/* On LF_SINK_DONE *out is a non-blocking socket of the caller's. */
LF_MUST_CHECK enum lf_sink_result lf_redis_place_connect(int *out,
                                                         const struct lf_redis_place *place,
                                                         int64_t end_ms, struct lf_error *err);

#endif
