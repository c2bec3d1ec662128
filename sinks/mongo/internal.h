/* What the files of this folder share: one sink on one connection. */
#ifndef LOGFOLD_SINKS_MONGO_INTERNAL_H
#define LOGFOLD_SINKS_MONGO_INTERNAL_H

#include "sinks/mongo/connection.h"
#include "sinks/mongo/rollup.h"

enum {
	LF_MONGO_CHUNK = 1000, /* of operations in one bulk, of hashes in one $in */
	LF_MONGO_ID_MAX = LF_NAMESPACE_MAX + 1 + LF_HASH_CHARS + 1 + LF_UUID_CHARS + 1,
};

struct lf_sink {
	struct lf_mongo *mongo;
	char *host, *incarnation, *namespace;
	struct lf_mongo_rollup *rollups; /* one of each namespace that was tended */
	bool sums_here;                  /* the server cannot sum */
	/* What hello() found on this connection, and made in the database of that epoch; empty: nothing. */
	char prepared[LF_UUID_CHARS + 1];
	bool notifies;
	mongoc_change_stream_t *stream;  /* NULL: nobody watches */
};

enum lf_sink_result lf_mongo_hello(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
                                   struct lf_error *err);
enum lf_sink_result lf_mongo_flush(struct lf_sink *sink, const struct lf_sink_batch *batch, int timeout_ms,
                                   struct lf_error *err);
enum lf_sink_result lf_mongo_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                  lf_sink_each each, void *arg, int timeout_ms, struct lf_error *err);
enum lf_sink_result lf_mongo_tend(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                  bool *busy, int timeout_ms, struct lf_error *err);
enum lf_sink_result lf_mongo_watch(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                   int timeout_ms, struct lf_error *err);
enum lf_sink_result lf_mongo_changes(struct lf_sink *sink, lf_sink_changed changed, void *arg,
                                     struct lf_error *err);

/* Whether the server tells of changes; false as an answer is no failure. */
enum lf_sink_result lf_mongo_can_watch(struct lf_sink *sink, bool *out, struct lf_error *err);
void lf_mongo_watch_drop(struct lf_sink *sink);

/* Frees what is remembered.  A lease that is held stays: what it was taken for is not done. */
void lf_mongo_tend_fini(struct lf_sink *sink);

#endif
