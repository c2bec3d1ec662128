/* What of an HTTP request matters here, without any library's types: pure functions. */
#ifndef LOGFOLD_HTTP_REQUEST_H
#define LOGFOLD_HTTP_REQUEST_H

#include <stdbool.h>

#include "logfold/cache.h"

enum {
	LF_HTTP_PAIRS_MAX = 8,
	LF_HTTP_KEY_MAX = LF_CACHE_ID_MAX, /* of a canonical request */
	LF_HTTP_ETAG_MAX = 40,
};

struct lf_http_pair {
	struct lf_text name, value; /* unescaped */
};

/* Of a GET, or of a HEAD, which is one without a body. */
struct lf_http_request {
	const char *path;
	struct lf_http_pair pair[LF_HTTP_PAIRS_MAX]; /* sorted by name, each name once */
	size_t pairs;
};

/* -EINVAL: too many, or a name that was there already. */
LF_MUST_CHECK int lf_http_add(struct lf_http_request *request, struct lf_text name, struct lf_text value,
                              struct lf_error *err);

/* NULL: it was not given. */
const struct lf_text *lf_http_value(const struct lf_http_request *request, const char *name);

/* `GET /path?a=1&b=2`: one text for all spellings of one request.  -EMSGSIZE: longer than LF_HTTP_KEY_MAX. */
LF_MUST_CHECK int lf_http_key(const struct lf_http_request *request, char out[LF_HTTP_KEY_MAX], size_t *len,
                              struct lf_error *err);

/* Whether the host that somebody believes to talk to is this machine's loopback, at that port, so that no page of
 * another name that is made to point here can read it (DNS rebinding).  NULL: none was said. */
bool lf_http_is_our_host(const char *host, unsigned port);

/* Whether a list of If-None-Match names the tag ("…", with its quotes), or anything. */
bool lf_http_names_etag(const char *list, const char *etag);

#endif
