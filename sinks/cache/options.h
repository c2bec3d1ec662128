/* What a cache is opened with: checked, and copied so that nothing in it is the caller's. */
#ifndef LOGFOLD_SINKS_CACHE_OPTIONS_H
#define LOGFOLD_SINKS_CACHE_OPTIONS_H

#include "logfold/cache.h"

/* -EINVAL: `err` names the option and what it takes. */
LF_MUST_CHECK int lf_options_check(const struct lf_cache_options *options, struct lf_error *err);

/* -ENOMEM.  *out is to be freed even then. */
LF_MUST_CHECK int lf_options_copy(struct lf_cache_options *out, const struct lf_cache_options *from);
void lf_options_free(struct lf_cache_options *copy);

/* A tier that is named by a text: on where that is there, and not empty. */
static inline bool lf_options_given(bool off, const char *where)
{
	return !off && where && *where;
}

#endif
