/* What the files that read the environment share. */
#ifndef LOGFOLD_SINKS_CACHE_ENVIRONMENT_H
#define LOGFOLD_SINKS_CACHE_ENVIRONMENT_H

#include "logfold/cache.h"

/* NULL where it is not set, or empty. */
const char *lf_environment_get(const char *name);

/* A url of REDIS_HOST and its like, malloc()ed; NULL where there is no REDIS_HOST.  -EINVAL names the variable. */
LF_MUST_CHECK int lf_environment_redis(char **url, struct lf_error *err);

#endif
