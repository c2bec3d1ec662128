/* Where a Redis is and who we are there, as a URL says it:
 *
 *   redis://[[user]:password@]host[:port][/db]     also [::1] for the host
 *   rediss://…                                     the same over TLS
 *   unix:///path/of/socket[?db=N]                  also unix://user:password@/path
 *
 * User, password and path may be percent-encoded.  One of a cluster's nodes is enough: whether it is
 * one is found out by asking.
 */
#ifndef LOGFOLD_SINKS_REDIS_URL_H
#define LOGFOLD_SINKS_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "logfold/error.h"

enum { LF_REDIS_PORT = 6379 };

struct lf_redis_url {
	char name[256]; /* host, without brackets, or the socket's path */
	uint16_t port;
	bool local; /* a Unix socket */
	bool tls;
	char user[128], password[512]; /* empty: none */
	int db;
};

/* -EINVAL: it is no such URL; the sentence does not repeat it, for it may hold a password. */
LF_MUST_CHECK int lf_redis_url_parse(struct lf_redis_url *out, const char *text,
                                     struct lf_error *err);

#endif
