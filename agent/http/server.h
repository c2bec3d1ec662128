/* The agent's HTTP server, by libmicrohttpd: in threads of its own, on the loopback or a Unix socket (0660).
 *
 * GET and HEAD only, no bodies; each response is JSON out of the middleware (middleware.h), errors are {"error": TEXT}.
 * On the loopback the Host header must name it.  Where the agent serves all users, what programs print is told by the
 * Unix socket alone: any user can reach the loopback.
 */
#ifndef LOGFOLD_HTTP_SERVER_H
#define LOGFOLD_HTTP_SERVER_H

#include "agent/core/serving.h"

extern const struct lf_server_ops lf_http_server;

#endif
