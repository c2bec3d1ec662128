/* What is told on the cache's channel: 8 bytes whose change it is, its kind (k key, s stamp, p prefix), 16 bytes
 * version, the name; numbers are big-endian, as in a record. */
#ifndef LOGFOLD_SINKS_REDIS_CACHE_MESSAGE_H
#define LOGFOLD_SINKS_REDIS_CACHE_MESSAGE_H

#include "sinks/cache/key.h"
#include "sinks/cache/tier.h"

enum { LF_REDIS_VERSION_BYTES = 16, LF_REDIS_NAME_MAX = LF_KEY_MAX + 32 };

void lf_redis_put_version(char out[LF_REDIS_VERSION_BYTES], struct lf_version version);

struct lf_redis_message {
	char bytes[8 + 1 + LF_REDIS_VERSION_BYTES + LF_REDIS_NAME_MAX];
	size_t len;
};

/* Of a kind that is known, and a name of LF_REDIS_NAME_MAX bytes at most. */
void lf_redis_message_make(struct lf_redis_message *out, uint64_t writer, enum lf_tier_change_kind kind,
                           struct lf_version version, struct lf_text name);

/* False: it is none.  The name is in `bytes`. */
LF_MUST_CHECK bool lf_redis_message_read(struct lf_text bytes, uint64_t *writer, struct lf_tier_change *out);

#endif
