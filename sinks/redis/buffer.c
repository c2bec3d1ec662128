#include "sinks/redis/buffer.h"
#include "hashing/decimal.h"

#include <stdlib.h>
#include <string.h>

char *lf_redis_buffer_room(struct lf_redis_buffer *buffer, size_t bytes)
{
	if (buffer->size - buffer->len < bytes) {
		size_t size = buffer->size ? buffer->size : 4096;
		char *data;

		while (size - buffer->len < bytes)
			size *= 2;
		data = realloc(buffer->data, size);
		if (!data) {
			buffer->failed = true;
			return NULL;
		}
		buffer->data = data;
		buffer->size = size;
	}
	return buffer->data + buffer->len;
}

void lf_redis_buffer_add(struct lf_redis_buffer *buffer, const void *data, size_t len)
{
	char *room = len ? lf_redis_buffer_room(buffer, len) : NULL;

	if (!room)
		return;
	memcpy(room, data, len);
	buffer->len += len;
}

void lf_redis_buffer_taken(struct lf_redis_buffer *buffer, size_t bytes)
{
	enum { KEPT = 1 << 20 };

	buffer->start += bytes;
	if (buffer->start < buffer->len)
		return;
	buffer->start = buffer->len = 0;
	if (buffer->size > KEPT) /* one big batch is no reason to keep its memory */
		lf_redis_buffer_free(buffer);
}

void lf_redis_buffer_free(struct lf_redis_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct lf_redis_buffer){ 0 };
}

static void add_head(struct lf_redis_buffer *buffer, char kind, size_t number)
{
	char head[LF_DECIMAL_MAX + 3] = { kind }, *end = lf_decimal_put(head + 1, number);

	*end++ = '\r';
	*end++ = '\n';
	lf_redis_buffer_add(buffer, head, (size_t)(end - head));
}

void lf_redis_buffer_command(struct lf_redis_buffer *buffer, const struct lf_text *words,
                             size_t count)
{
	add_head(buffer, '*', count);
	for (size_t i = 0; i < count; i++) {
		add_head(buffer, '$', words[i].len);
		lf_redis_buffer_add(buffer, words[i].data, words[i].len);
		lf_redis_buffer_add(buffer, "\r\n", 2);
	}
}
