/* Connects to one host of a MongoDB uri within the deadline: name, address, TLS. */
#ifndef LOGFOLD_SINKS_MONGO_DIAL_H
#define LOGFOLD_SINKS_MONGO_DIAL_H

#include "sinks/mongo/stream.h"

struct lf_mongo_lookup;

struct lf_mongo_dial {
	struct lf_mongo_deadline *deadline;
	int connect_timeout_ms;
	const mongoc_ssl_opt_t *tls; /* NULL: plain */
	/* What went wrong last, as a part of a sentence; empty: nothing since it was emptied. */
	char failure[320];
	enum lf_sink_result result;
	struct lf_mongo_lookup *lookups; /* of names that the resolver has not answered in time */
};

/* As mongoc_client_set_stream_initiator() wants it; `dial` is the struct. */
mongoc_stream_t *lf_mongo_dial(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *dial,
                               bson_error_t *error);
void lf_mongo_dial_fini(struct lf_mongo_dial *dial);

#endif
