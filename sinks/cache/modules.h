/* Finding the tiers that are modules: logfold-redis.so, logfold-mongo.so. */
#ifndef LOGFOLD_SINKS_CACHE_MODULES_H
#define LOGFOLD_SINKS_CACHE_MODULES_H

#include "sinks/cache/tier.h"

/* The module stays loaded.  -ENOENT: there is none; -ENOEXEC: it is of another version, or cannot be loaded. */
LF_MUST_CHECK int lf_tier_find(enum lf_cache_tier which, const struct lf_tier_ops **out, struct lf_error *err);

#endif
