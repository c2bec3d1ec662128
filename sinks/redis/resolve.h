/* Host names into addresses by a deadline, which getaddrinfo() does not know. */
#ifndef LOGFOLD_SINKS_REDIS_RESOLVE_H
#define LOGFOLD_SINKS_REDIS_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "logfold/error.h"

/* 0, or one of EAI_…; EAI_AGAIN also when the deadline comes first.  *out is for freeaddrinfo(). */
LF_MUST_CHECK int lf_redis_resolve(const char *host, uint16_t port, int64_t end_ms,
                                   struct addrinfo **out);

#endif
