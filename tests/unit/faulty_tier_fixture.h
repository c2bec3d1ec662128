/* Tiers that fail when they are told to, in the places of Redis and MongoDB: lf_cache_open_with() takes faulty_ops.
 *
 * What they hold outlasts the cache.  One process has one of each; Criterion gives every test a process of its own.
 */
#ifndef LOGFOLD_TESTS_UNIT_FAULTY_TIER_FIXTURE_H
#define LOGFOLD_TESTS_UNIT_FAULTY_TIER_FIXTURE_H

#include "sinks/cache/internal.h"

enum faulty_how {
	FAULTY_FINE,
	FAULTY_BROKEN,   /* no connection: fails at once */
	FAULTY_SILENT,   /* answers nothing: every call takes its time and fails */
	FAULTY_REFUSING, /* answers, and will not */
	FAULTY_FULL,
	FAULTY_PICKY, /* will not have records over FAULTY_PICKY_MAX bytes, alone or among others */
};
enum { FAULTY_PICKY_MAX = 1000 };

extern const struct lf_tier_ops *const faulty_ops[LF_CACHE_TIERS];

void faulty_be(enum lf_cache_tier which, enum faulty_how how);
/* From the n-th store call on it is `how`. */
void faulty_be_after(enum lf_cache_tier which, unsigned stores, enum faulty_how how);
/* A prefix takes so long there. */
void faulty_be_slow_to_drop(enum lf_cache_tier which, int ms);
/* Holds nothing, and has another mark. */
void faulty_restart(enum lf_cache_tier which);
/* Whether it tells of changes; FAULTY_REFUSING: it does not offer that. */
void faulty_be_watched(enum lf_cache_tier which, enum faulty_how how);
/* Waits until somebody listens. */
void faulty_tell(enum lf_cache_tier which, const struct lf_tier_change *change);
/* Whoever listens is told no more. */
void faulty_break_channel(enum lf_cache_tier which);

/* As somebody else would. */
void faulty_put(enum lf_cache_tier which, struct lf_text key, const struct lf_record *record);
/* With one user for the caller, or NULL. */
struct lf_record *faulty_get(enum lf_cache_tier which, struct lf_text key);
uint64_t faulty_stamp(enum lf_cache_tier which, struct lf_text name);

struct faulty_counts {
	unsigned pings, loads, stores, stored_keys, drops, raises, watches;
	unsigned largest_store; /* keys of one call */
	char dropped[LF_KEY_MAX + 1]; /* the last prefix */
	uint64_t dropped_upto;
};
struct faulty_counts faulty_counts(enum lf_cache_tier which);

#endif
