/* What the agent's HTTP server answers.
 *
 *   GET /api/health                                    as `logfold health --json`; 503 where it is critical
 *   GET /api/cache/stats                               of the fleet's cache
 *   GET /api/entries?namespace=NAME&limit=N&offset=N   {"total", "entries"}: most frequent first
 */
#ifndef LOGFOLD_HTTP_ROUTES_H
#define LOGFOLD_HTTP_ROUTES_H

#include "agent/core/serving.h"
#include "agent/http/middleware.h"

/* NULL: there is no such path.  `make` takes a const struct lf_serving. */
const struct lf_http_route *lf_http_route(const char *path);

/* Whether it tells what programs have printed: not everybody's business. */
bool lf_http_is_private(const struct lf_http_route *route);

/* -EINVAL: a parameter that is unknown, given twice, or wrong. */
LF_MUST_CHECK int lf_http_check(const struct lf_http_route *route, const struct lf_http_request *request,
                                struct lf_error *err);

#endif
