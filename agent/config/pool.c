#include "agent/config/pool.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct lf_pool_piece {
	struct lf_pool_piece *before;
	alignas(max_align_t) char data[];
};

void *lf_pool_alloc(struct lf_pool *pool, size_t size)
{
	struct lf_pool_piece *piece = calloc(1, sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->before = pool->last;
	pool->last = piece;
	return piece->data;
}

char *lf_pool_text(struct lf_pool *pool, struct lf_text text)
{
	char *copy = lf_pool_alloc(pool, text.len + 1);

	if (copy && text.len > 0)
		memcpy(copy, text.data, text.len);
	return copy;
}

void lf_pool_fini(struct lf_pool *pool)
{
	while (pool->last) {
		struct lf_pool_piece *piece = pool->last;

		pool->last = piece->before;
		free(piece);
	}
}
