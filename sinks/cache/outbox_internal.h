/* What the outbox's files share: what waits, by name and by tier. */
#ifndef LOGFOLD_SINKS_CACHE_OUTBOX_INTERNAL_H
#define LOGFOLD_SINKS_CACHE_OUTBOX_INTERNAL_H

#include "sinks/breaker.h"
#include "sinks/cache/outbox.h"

enum {
	LF_OUTBOX_KEYS_MAX = 65536,
	LF_OUTBOX_BYTES_MAX = 64 << 20,
	LF_OUTBOX_BUCKETS = 16384,
};

/* The newest that is known of a key, a stamp or a prefix.  In one bucket, and in the list of each tier that it is
 * owed to. */
struct lf_waiting {
	struct lf_waiting *next; /* of the bucket */
	uint64_t hash;
	enum lf_tier_change_kind kind;
	struct lf_version version;
	struct lf_record *record; /* of a key; with one user for the outbox */
	unsigned tiers;
	struct {
		struct lf_waiting *before, *after;
	} link[LF_CACHE_TIERS];
	size_t bytes, name_len;
	char name[];
};

struct lf_queue {
	struct lf_waiting *first, *last; /* oldest first */
	_Atomic uint64_t count;
	uint64_t lost_upto; /* it lost track of what is up to this clock; 0: of nothing */
	struct lf_breaker retry;
};

struct lf_outbox {
	struct lf_cache *cache;
	_Atomic size_t count; /* read without the lock: most of the time it is 0 */

	pthread_mutex_t lock; /* of what follows; nothing is called under it */
	pthread_cond_t changed;
	size_t bytes;
	bool closing;
	int64_t end_ms; /* closing: by when */
	struct lf_waiting *bucket[LF_OUTBOX_BUCKETS];
	struct lf_queue queue[LF_CACHE_TIERS];

	pthread_t thread;
	bool has_thread;
};

/* outbox.c; under the lock */

struct lf_waiting *lf_waiting_find(struct lf_outbox *outbox, enum lf_tier_change_kind kind, struct lf_text name);
/* It is owed to those no more; what nobody is owed is gone. */
void lf_waiting_paid(struct lf_outbox *outbox, struct lf_waiting *waiting, unsigned tiers);

/* It is behind all others that the tier is owed. */
void lf_waiting_again(struct lf_outbox *outbox, struct lf_waiting *waiting, int tier);

/* outbox_send.c */

void *lf_outbox_run(void *outbox);

#endif
