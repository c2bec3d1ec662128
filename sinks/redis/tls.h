/* TLS between memory and memory: the connection carries the bytes, so that its deadline holds for the
 * handshake, too, and no thread is needed.  Peer and host are always verified. */
#ifndef LOGFOLD_SINKS_REDIS_TLS_H
#define LOGFOLD_SINKS_REDIS_TLS_H

#include "sinks/redis/buffer.h"
#include "sinks/redis/place.h"

struct lf_redis_tls;

struct lf_redis_tls_files {
	const char *ca;               /* NULL: those that the system trusts */
	const char *certificate, *key; /* of ours; NULL: none */
};

/* The files are read here, anew for each connection: who renews them starts nothing again. */
LF_MUST_CHECK enum lf_sink_result lf_redis_tls_new(struct lf_redis_tls **out,
                                                   const struct lf_redis_tls_files *files,
                                                   const struct lf_redis_place *place,
                                                   struct lf_error *err);
void lf_redis_tls_free(struct lf_redis_tls *tls); /* NULL is fine */

/* What came from the socket; -ENOMEM. */
LF_MUST_CHECK int lf_redis_tls_received(struct lf_redis_tls *tls, const void *data, size_t len);

/* Each of these leaves in `raw` what the socket is to send. */

/* Goes on with the handshake as far as what was received allows. */
LF_MUST_CHECK enum lf_sink_result lf_redis_tls_shake(struct lf_redis_tls *tls, bool *done,
                                                     struct lf_redis_buffer *raw,
                                                     struct lf_error *err);
/* Takes all of `plain`. */
LF_MUST_CHECK enum lf_sink_result lf_redis_tls_write(struct lf_redis_tls *tls,
                                                     struct lf_redis_buffer *plain,
                                                     struct lf_redis_buffer *raw,
                                                     struct lf_error *err);
/* *len 0: all that was received is read. */
LF_MUST_CHECK enum lf_sink_result lf_redis_tls_read(struct lf_redis_tls *tls, char *out, size_t size,
                                                    size_t *len, struct lf_redis_buffer *raw,
                                                    struct lf_error *err);

#endif
