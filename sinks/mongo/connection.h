/* One connection to a MongoDB server: made when it is needed, dropped when it failed, every call on it
 * over in time, and every failure one sentence and one verdict.
 *
 * A call begins with lf_mongo_begin(), which sets the deadline for all that follows.  One thread.
 */
#ifndef LOGFOLD_SINKS_MONGO_CONNECTION_H
#define LOGFOLD_SINKS_MONGO_CONNECTION_H

#include <mongoc/mongoc.h>

#include "sinks/sink.h"

struct lf_mongo;

enum lf_mongo_collection {
	LF_MONGO_ENTRIES,
	LF_MONGO_COUNTS,
	LF_MONGO_LEASES,
	LF_MONGO_CACHE,  /* the cache tier's (cache.h), as is the next */
	LF_MONGO_STAMPS,
	LF_MONGO_COLLECTIONS
};

/* Takes the options apart and connects nothing. */
LF_MUST_CHECK int lf_mongo_open(struct lf_mongo **out, const struct lf_sink_options *options,
                                struct lf_error *err);
void lf_mongo_close(struct lf_mongo *mongo);

/* What is called before a client goes, since all that was made with it must go first. */
void lf_mongo_on_drop(struct lf_mongo *mongo, void (*drop)(void *arg), void *arg);

LF_MUST_CHECK enum lf_sink_result lf_mongo_begin(struct lf_mongo *mongo, int timeout_ms,
                                                 struct lf_error *err);
int lf_mongo_left_ms(const struct lf_mongo *mongo);
bool lf_mongo_connected(const struct lf_mongo *mongo); /* there is a client that nothing was wrong with */

/* At the end of a call: it is the first that went well after one that did not.  Once. */
bool lf_mongo_came_back(struct lf_mongo *mongo);

/* Between begin and the next begin; the collection and its name are the connection's. */
mongoc_collection_t *lf_mongo_collection(struct lf_mongo *mongo, enum lf_mongo_collection which);
const char *lf_mongo_collection_name(enum lf_mongo_collection which);

/* A command of ours that writes, to the database.  The reply is the caller's to destroy in any case. */
bool lf_mongo_command(struct lf_mongo *mongo, const bson_t *command, bson_t *reply, bson_error_t *error);

/* The same for one that reads, of the primary. */
bool lf_mongo_read_command(struct lf_mongo *mongo, const bson_t *command, bson_t *reply,
                           bson_error_t *error);

/* Says what failed while `doing` ("writing entries"), and how it is to be taken. */
enum lf_sink_result lf_mongo_failed(struct lf_mongo *mongo, const char *doing, const bson_error_t *error,
                                    struct lf_error *err);
/* The deadline came between two operations: nothing is wrong but the time. */
enum lf_sink_result lf_mongo_too_late(struct lf_mongo *mongo, const char *doing, struct lf_error *err);

/* The server answered that it does not do such a thing. */
bool lf_mongo_not_offered(const bson_error_t *error);

#endif
