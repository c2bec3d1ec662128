/* Responses out of the cache, as anybody could write it on logfold/cache.h: the key is the request (method, path,
 * canonical query), the response has the TTL and the tag of its route, is made by one caller at a time, and carries a
 * strong ETag.
 */
#ifndef LOGFOLD_HTTP_MIDDLEWARE_H
#define LOGFOLD_HTTP_MIDDLEWARE_H

#include <stdio.h>

#include "agent/http/request.h"

struct lf_http_route {
	const char *path;
	const char *const *names; /* that its query may have; ends with NULL */
	/* NULL: nothing can be wrong.  -EINVAL: a value is. */
	int (*check)(const struct lf_http_request *request, struct lf_error *err);
	/* Writes the body and returns the status, or a negative errno: then nothing is kept. */
	int (*make)(void *arg, const struct lf_http_request *request, FILE *body, struct lf_error *err);
	int64_t ttl_max_ms; /* 0: as long as any */
	const char *tag;    /* NULL: none */
};

struct lf_http_answer {
	unsigned status;
	char etag[LF_HTTP_ETAG_MAX];
	struct lf_text body;
	bool made; /* for this call */
	struct lf_cache_value value;
};

/* -EMSGSIZE, or what `make` returned.  To be released, then. */
LF_MUST_CHECK int lf_http_answer(struct lf_cache_space *space, const struct lf_http_route *route, int64_t ttl_ms,
                                 const struct lf_http_request *request, void *arg, struct lf_http_answer *out,
                                 struct lf_error *err);
void lf_http_release(struct lf_http_answer *answer);

#endif
