/* The fields of an entry's hash, all of them text, named as in include/logfold/entry.h; besides them,
 * for each writer, n:<incarnation> is all that it counted, and o:<incarnation> the same by outcome:
 * "passed muted sampled limited folded". */
#ifndef LOGFOLD_SINKS_REDIS_FIELDS_H
#define LOGFOLD_SINKS_REDIS_FIELDS_H

#include <hiredis/hiredis.h>

#include "hashing/decimal.h"
#include "sinks/redis/script.h"
#include "sinks/sink.h"

enum lf_redis_field {
	/* As the merge script takes them. */
	LF_REDIS_HASH,
	LF_REDIS_NAMESPACE,
	LF_REDIS_METHOD,
	LF_REDIS_TEMPLATE,
	LF_REDIS_KIND,
	LF_REDIS_FRAME,
	LF_REDIS_SOURCE_FILE,
	LF_REDIS_SOURCE_LINE,
	LF_REDIS_FAMILY,
	LF_REDIS_ENABLED, /* from here on flags */
	LF_REDIS_TO_CACHE,
	LF_REDIS_TO_DB,
	LF_REDIS_TAGS,
	LF_REDIS_POLICY,
	LF_REDIS_VERSION,
	LF_REDIS_WRITER,
	LF_REDIS_WRITTEN, /* how many those are */
	/* What the script makes itself. */
	LF_REDIS_FIRST_SEEN = LF_REDIS_WRITTEN,
	LF_REDIS_LAST_SEEN,
	LF_REDIS_TOTAL,
	LF_REDIS_COUNTS, /* by outcome */
	LF_REDIS_FIELDS = LF_REDIS_COUNTS + LF_OUTCOME_COUNT
};

/* Numbers of one entry as text: what the values point to. */
struct lf_redis_digits {
	char line[LF_DECIMAL_MAX], version[LF_DECIMAL_MAX];
};

/* The values for the merge script, in the order above. */
void lf_redis_fields_write(const struct lf_entry *entry, struct lf_redis_digits *digits,
                           struct lf_text values[LF_REDIS_WRITTEN]);

struct lf_text lf_redis_number(uint64_t number, char digits[LF_DECIMAL_MAX]);

/* "passed muted sampled limited folded" */
enum { LF_REDIS_OUTCOMES_MAX = LF_OUTCOME_COUNT * (LF_DECIMAL_MAX + 1) };
struct lf_text lf_redis_outcomes(const uint64_t counts[LF_OUTCOME_COUNT],
                                 char text[LF_REDIS_OUTCOMES_MAX]);

/* Reads the reply to HGETALL.  People write there, too: what is no good value counts as not set.  The
 * hash and the namespace are those of the key.  The text lives as long as the reply. */
void lf_redis_fields_read(const redisReply *reply, struct lf_text namespace, struct lf_text hash,
                          struct lf_entry *entry);

/* What each writer counted, into an array for free(); NULL with *count 0 where there is none, with
 * *count 1 where there is no memory. */
struct lf_share *lf_redis_shares_read(const redisReply *reply, size_t *count);

#endif
