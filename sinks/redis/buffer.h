/* Bytes on their way out: appended at the end, taken from the front. */
#ifndef LOGFOLD_SINKS_REDIS_BUFFER_H
#define LOGFOLD_SINKS_REDIS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "logfold/entry.h"

struct lf_redis_buffer {
	char *data;
	size_t start, len, size; /* data[start..len) waits */
	bool failed;             /* no memory: what was appended since is missing */
};

/* Room for that many more bytes; NULL and `failed` when there is none. */
char *lf_redis_buffer_room(struct lf_redis_buffer *buffer, size_t bytes);
void lf_redis_buffer_add(struct lf_redis_buffer *buffer, const void *data, size_t len);
void lf_redis_buffer_taken(struct lf_redis_buffer *buffer, size_t bytes);
void lf_redis_buffer_free(struct lf_redis_buffer *buffer);

static inline size_t lf_redis_buffer_waiting(const struct lf_redis_buffer *buffer)
{
	return buffer->len - buffer->start;
}

/* A command as the protocol has it. */
void lf_redis_buffer_command(struct lf_redis_buffer *buffer, const struct lf_text *words,
                             size_t count);

#endif
