/* How a cache is, as JSON: what `logfold cache stats`, `GET /api/cache/stats` and the part "cache" of `logfold
 * health` say. */
#ifndef LOGFOLD_CORE_CACHE_JSON_H
#define LOGFOLD_CORE_CACHE_JSON_H

#include <stdio.h>

#include "logfold/cache.h"

/* One object, without a newline. */
void lf_cache_stats_write(FILE *out, const struct lf_cache_stats *stats);
void lf_cache_health_write(FILE *out, const struct lf_cache_health *health, const struct lf_cache_stats *stats);

#endif
