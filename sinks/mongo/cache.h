/* MongoDB as a tier of the cache (sinks/cache/tier.h), on the connections of the entry sink's room.
 *
 *   cache         {_id: KEY, kept: {version: 32 hex digits, expiresAt: DATE or null, record: BINARY, critical: true}}
 *   cache_stamps  {_id: NAME, stamp: NUMBER}, and {_id: "app:env:%epoch", epoch: UUID}, the mark
 *
 * A version in hex compares as text as it does as a number, and documents compare by their first field: so $max keeps the
 * newer record, whoever comes first, and takes no more of a filter than the _id.  What expires goes by a TTL index, where
 * the server has those.  Nobody is told of changes: not every server could.
 */
#ifndef LOGFOLD_SINKS_MONGO_CACHE_H
#define LOGFOLD_SINKS_MONGO_CACHE_H

#include "sinks/cache/tier.h"
#include "sinks/mongo/connection.h"
#include "sinks/pool.h"

enum { LF_MONGO_VERSION_CHARS = 32 };

struct lf_tier {
	struct lf_pool *pool; /* of struct lf_mongo */
	struct lf_sink_options connection; /* its texts are ours */
	char *scope;
	size_t value_max, compress_min;
	int64_t (*clock_ms)(void *arg);
	void *clock_arg;
	_Atomic bool prepared;
	_Atomic uint64_t reconnects;
};

/* One call: a connection, with its deadline set; to be given back. */
LF_MUST_CHECK enum lf_tier_result lf_mongo_tier_begin(struct lf_tier *tier, struct lf_mongo **out, int64_t end_ms,
                                                      struct lf_error *err);
void lf_mongo_tier_end(struct lf_tier *tier, struct lf_mongo *mongo);
enum lf_tier_result lf_mongo_tier_result(enum lf_sink_result result);

LF_MUST_CHECK enum lf_tier_result lf_mongo_tier_no_memory(struct lf_error *err);

/* In hex, as it is compared. */
void lf_mongo_tier_version(char out[LF_MONGO_VERSION_CHARS + 1], struct lf_version version);

/* _id is one of these. */
void lf_mongo_tier_ids(bson_t *filter, const struct lf_text *ids, size_t count);

/* What became of a command that writes. */
struct lf_mongo_written {
	int64_t found;   /* documents that it was about, or made */
	int64_t changed; /* or made */
	bool refused;    /* one at least, since its _id is there already; on some servers all that came after it, too */
};

/* Sends `updates`, `documents` or `deletes` as one command, whatever the order. */
LF_MUST_CHECK enum lf_sink_result lf_mongo_tier_write(struct lf_mongo *mongo, enum lf_mongo_collection where, const char *verb,
                                                      const char *list_name, const bson_t *list, struct lf_mongo_written *out,
                                                      struct lf_error *err);

enum lf_tier_result lf_mongo_cache_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                        struct lf_record **records, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_mongo_cache_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                         struct lf_error *err);
enum lf_tier_result lf_mongo_cache_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                        char ***keys, size_t *count, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_mongo_cache_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err);
enum lf_tier_result lf_mongo_cache_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                          int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_mongo_cache_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err);

#endif
