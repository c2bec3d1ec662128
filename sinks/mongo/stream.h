/* A stream to the server whose every wait ends at the deadline of the call that is under way.
 *
 * The client library's own timeouts are fixed when a client is made, hold for one read each, and add up;
 * here a call ends in time whatever the server does, even where it sends a byte a second.
 *
 * Under TLS there is one more below it: a handshake reads a record to its end, and asks nobody how long.
 */
#ifndef LOGFOLD_SINKS_MONGO_STREAM_H
#define LOGFOLD_SINKS_MONGO_STREAM_H

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "sinks/sink.h"

/* Of one connection to a server; lives longer than its streams. */
struct lf_mongo_deadline {
	uint64_t at_ms;   /* CLOCK_MONOTONIC */
	bool passed;      /* somebody waited in vain since it was set */
	bool answered;    /* something was read */
	bool foreign_tls; /* the other end spoke TLS where we did not */
};

void lf_mongo_deadline_set(struct lf_mongo_deadline *deadline, int timeout_ms);
int lf_mongo_deadline_left_ms(const struct lf_mongo_deadline *deadline); /* 0: it has passed */

enum lf_mongo_stream_kind {
	LF_MONGO_STREAM_OF_SERVER, /* what is read is the server's answer */
	LF_MONGO_STREAM_BELOW_TLS, /* it only keeps the time */
};

/* Takes the base stream over. */
mongoc_stream_t *lf_mongo_stream_new(mongoc_stream_t *base, enum lf_mongo_stream_kind kind,
                                     struct lf_mongo_deadline *deadline);

#endif
