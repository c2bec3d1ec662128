/* What the files of the memory tier share. */
#ifndef LOGFOLD_SINKS_CACHE_MEMORY_INTERNAL_H
#define LOGFOLD_SINKS_CACHE_MEMORY_INTERNAL_H

#include <errno.h>
#include <pthread.h>

#include "sinks/cache/memory.h"
#include "sinks/cache/policy.h"

enum { LF_EXPIRY_LEVELS = 64, LF_MEMORY_STEP = 256 };

/* By when nodes expire.  A node that expires after `base` is in the list of the highest bit in which the two differ, so that
 * when `base` moves on, the lists below its highest changed bit have expired, that bit's is to be sorted, and all others
 * stay as they are. */
struct lf_expiry {
	uint64_t base;
	struct lf_links due; /* expired by `base`, or to be sorted anew */
	struct lf_links level[LF_EXPIRY_LEVELS];
};

/* What is known of the keys of one hash slot: how often any of them changed, and the version up to which one of them was
 * here and went.  A store that came late does not bring it back. */
struct lf_slot {
	uint32_t changes;
	uint64_t floor;
};

struct lf_shard {
	pthread_mutex_t lock;
	struct lf_table table;
	struct lf_policy policy;
	struct lf_slot *slots;
	_Atomic uint64_t entries, bytes; /* changed under the lock; others read them to see who has more */
	uint32_t swept, sweeping;        /* generations: no node is older; the one that is being swept */
	uint64_t sweep_at;               /* position in the table */
	struct lf_expiry expiry;
} __attribute__((aligned(64)));

struct lf_tier {
	uint64_t seed;
	unsigned shift, shards; /* the highest bits of the hash are the shard's number */
	uint32_t slots_mask;
	uint64_t max_entries, max_bytes; /* UINT64_MAX: no limit */
	int64_t (*clock_ms)(void *arg);
	void *clock_arg;
	void (*left)(void *arg, struct lf_text key, const struct lf_record *record, enum lf_cache_event why);
	void *left_arg;
	struct lf_shard *shard;
	_Atomic uint32_t generation; /* nodes of earlier ones are forgotten */
	_Atomic uint32_t tended;     /* the shard whose turn is next */

	/* Of all shards, and never over the limits: taken before a node is put in, given back when it was taken out. */
	_Atomic uint64_t entries __attribute__((aligned(64)));
	_Atomic uint64_t bytes;
};

static inline struct lf_shard *lf_memory_shard(const struct lf_tier *tier, uint64_t hash)
{
	return &tier->shard[tier->shards == 1 ? 0 : hash >> tier->shift];
}
static inline struct lf_slot *lf_memory_slot(const struct lf_tier *tier, struct lf_shard *shard, uint64_t hash)
{
	return &shard->slots[hash >> 20 & tier->slots_mask];
}
static inline int64_t lf_memory_now(const struct lf_tier *tier)
{
	return tier->clock_ms(tier->clock_arg);
}
static inline bool lf_memory_forgotten(const struct lf_tier *tier, const struct lf_node *node)
{
	return node->generation != atomic_load_explicit(&tier->generation, memory_order_acquire);
}

/* --- memory_room.c: under the shard's lock ------------------------------------------------------------ */

enum { LF_LEFT_SILENTLY = LF_CACHE_EVENTS }; /* or LF_CACHE_EVICT, LF_CACHE_EXPIRE */

/* Takes it out of everything.  It is in the list `dead` then, to be buried when no lock is held. */
void lf_memory_leave(struct lf_tier *tier, struct lf_shard *shard, struct lf_node *node, unsigned why, struct lf_node **dead);
void lf_memory_bury(struct lf_tier *tier, struct lf_node *dead);

/* Puts the record under the key, `node` being what is there now or NULL, and makes room for it.  The lock is let go at
 * times: LF_ROOM_AGAIN, and everything may be different.  `*node` NULL then, too, where what was there had to go for it. */
enum lf_room { LF_ROOM_PUT, LF_ROOM_AGAIN, LF_ROOM_NONE };
struct lf_room_wish {
	uint64_t hash;
	struct lf_text key;
	const struct lf_record *record;
	uint32_t generation;
	unsigned in_vain; /* how often nobody was found who could go */
};
enum lf_room lf_memory_insert(struct lf_tier *tier, struct lf_shard *shard, struct lf_room_wish *wish, struct lf_node **node,
                              struct lf_node **dead);

/* --- memory_expire.c: under the shard's lock ---------------------------------------------------------- */

void lf_expiry_init(struct lf_expiry *expiry);
void lf_expiry_add(struct lf_expiry *expiry, struct lf_node *node);

/* Removes up to `max` nodes that expired or were forgotten.  How many; `*more`: there may be others. */
unsigned lf_memory_clean(struct lf_tier *tier, struct lf_shard *shard, unsigned max, bool *more, struct lf_node **dead);

enum lf_tier_result lf_memory_tend(struct lf_tier *tier, bool *more, int64_t end_ms, struct lf_error *err);

/* --- memory_scan.c ------------------------------------------------------------------------------------ */

enum lf_tier_result lf_memory_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                   char ***keys, size_t *count, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_memory_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                   struct lf_error *err);

#endif
