/* What logfold writes into MongoDB, as BSON.  The collections and their fields:
 *
 * entries  _id "<namespace>:<hash>", the fields of include/logfold/entry.h by their names there.  Times
 *          are dates, counts are 64-bit integers, tags are an array of strings.
 * counts   _id "<namespace>:<hash>:<incarnation>": what that incarnation has counted.
 *          namespace, hash, incarnation, host, the counts, the times; dirty: true until a roll-up has
 *          taken notice of it.
 * leases   _id "<namespace>:rollup"                who sums (rollup.h)
 *          _id "<namespace>:epoch"                 the mark of this database: epoch, a UUID
 *          _id "<namespace>:writer:<incarnation>"  sequence: the highest that it sent; host, at
 */
#ifndef LOGFOLD_SINKS_MONGO_DOCUMENTS_H
#define LOGFOLD_SINKS_MONGO_DOCUMENTS_H

#include <bson/bson.h>

#include "sinks/sink.h"

/* "countPassed"…, in the order of enum lf_outcome. */
extern const char *const lf_mongo_count_names[LF_OUTCOME_COUNT];

int64_t lf_mongo_number(uint64_t count); /* what is too large for them is the largest */
int64_t lf_mongo_total(const uint64_t counts[LF_OUTCOME_COUNT]);
int64_t lf_mongo_now_ms(void);

/* Appends a text to an array that has `index` elements. */
void lf_mongo_append_element(bson_t *array, size_t index, const char *text, size_t len);

/* Each fills the document that is given, empty. */
void lf_mongo_selector(bson_t *out, const char *id);
/* The upsert of an entry: identity and flags if it is new; its times unless it is frozen. */
void lf_mongo_entry_update(bson_t *out, const struct lf_sink_record *record);
/* The flags, where the pair there is lower. */
void lf_mongo_flags_selector(bson_t *out, const char *id, const struct lf_entry *entry);
void lf_mongo_flags_update(bson_t *out, const struct lf_entry *entry);
/* The upsert of a share. */
void lf_mongo_share_update(bson_t *out, const struct lf_entry *entry, const struct lf_share *share,
                           const char *host);
/* $max of every count and of the total. */
void lf_mongo_append_max(bson_t *out, const uint64_t counts[LF_OUTCOME_COUNT], const char *time_name,
                         int64_t time_ms);

#endif
