/* The table of stamps (stamps.h): by name, in shards, each with a lock.  What a space points to is read without. */
#ifndef LOGFOLD_SINKS_CACHE_STAMP_TABLE_H
#define LOGFOLD_SINKS_CACHE_STAMP_TABLE_H

#include "sinks/cache/prefixes.h"
#include "sinks/cache/stamps.h"

/* A bit of a stamp's value that makes it later than any that a record carries: so one comparison tells on the hot path
 * that it is known, and has not risen. */
#define LF_STAMP_UNKNOWN (UINT64_C(1) << 63)

enum { LF_STAMP_SHARDS = 16, LF_STAMP_BUCKETS = 1024 /* of a shard */ };

struct lf_stamp {
	_Atomic uint64_t value; /* only rises, apart from LF_STAMP_UNKNOWN; written with the shard's lock held */
	_Atomic uint64_t heard; /* which change it was that raised it last; written before `value` */
	_Atomic bool used;      /* since it was last looked at whether it may be forgotten */
	bool fixed;             /* of a type or organisation: a space points to it */
	bool kept_below;        /* a lower tier has this value, too */
	struct lf_stamp *next;
	size_t len;
	char name[];
};

struct lf_stamp_shard {
	pthread_rwlock_t lock;
	unsigned tags, hand; /* the hand: where was looked last for one to forget */
	struct lf_stamp *buckets[LF_STAMP_BUCKETS];
};

struct lf_stamps {
	_Atomic uint64_t heard; /* changes of stamps, by anybody */
	_Atomic uint64_t epoch; /* how often all became unknown */
	_Atomic uint64_t floor; /* of those that were forgotten and that no lower tier keeps, the highest */
	struct lf_prefixes *prefixes;
	struct lf_stamp_shard shards[LF_STAMP_SHARDS];
};

/* The stamp of that name, which is made where there is none, and then is unknown.  Only a fixed one stays where it is.
 * NULL: no memory. */
struct lf_stamp *lf_stamp_get(struct lf_cache *cache, struct lf_text name, bool fixed);

/* Its value, and which change raised it; unknown where there is none. */
void lf_stamp_now(const struct lf_stamp *stamp, uint64_t *value, uint64_t *heard);
void lf_stamp_look(struct lf_cache *cache, struct lf_text name, uint64_t *value, uint64_t *heard);

/* What the tiers below said, asked since `epoch` was read: known from now on, if no change was missed since.  Returns
 * what it is now; of one that was forgotten meanwhile, what was said. */
uint64_t lf_stamp_settle(struct lf_cache *cache, struct lf_text name, uint64_t said, uint64_t epoch, uint64_t *heard);

/* `below`: a lower tier has it.  -ENOMEM. */
LF_MUST_CHECK int lf_stamp_raise(struct lf_cache *cache, struct lf_text name, uint64_t to, bool below);

#endif
