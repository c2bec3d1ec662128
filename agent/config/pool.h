/* Memory that is given back all at once, with the document or the configuration that lives in it. */
#ifndef LOGFOLD_CONFIG_POOL_H
#define LOGFOLD_CONFIG_POOL_H

#include <stddef.h>

#include "logfold/entry.h"

/* All zero is an empty pool. */
struct lf_pool {
	struct lf_pool_piece *last;
};

/* Zeroed; NULL where there is no memory. */
void *lf_pool_alloc(struct lf_pool *pool, size_t size);

/* A copy that ends in NUL. */
char *lf_pool_text(struct lf_pool *pool, struct lf_text text);

void lf_pool_fini(struct lf_pool *pool);

#endif
