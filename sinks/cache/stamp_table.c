#include "sinks/cache/stamp_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Tags of a shard, beyond which those that were not used of late are forgotten. */
enum { KNOWN = 65536 / LF_STAMP_SHARDS };

static uint64_t hash_of(struct lf_text name)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.data[i]) * UINT64_C(1099511628211);
	return hash ^ hash >> 29;
}

static struct lf_stamp *find(const struct lf_stamp_shard *shard, uint64_t hash, struct lf_text name)
{
	struct lf_stamp *stamp = shard->buckets[hash / LF_STAMP_SHARDS % LF_STAMP_BUCKETS];

	while (stamp && (stamp->len != name.len || memcmp(stamp->name, name.data, name.len) != 0))
		stamp = stamp->next;
	return stamp;
}

static void raise_to(_Atomic uint64_t *number, uint64_t to)
{
	uint64_t now = atomic_load_explicit(number, memory_order_relaxed);

	while (now < to && !atomic_compare_exchange_weak_explicit(number, &now, to, memory_order_release,
	                                                          memory_order_relaxed))
		;
}

/* Forgets one tag that was not used since the hand came by last. */
static void forget_one(struct lf_stamps *stamps, struct lf_stamp_shard *shard)
{
	for (unsigned tries = 0; tries < 2 * LF_STAMP_BUCKETS; tries++) {
		struct lf_stamp **at = &shard->buckets[shard->hand++ % LF_STAMP_BUCKETS], *stamp;

		for (; (stamp = *at); at = &stamp->next) {
			if (stamp->fixed || atomic_exchange_explicit(&stamp->used, false, memory_order_relaxed))
				continue;
			if (!stamp->kept_below)
				raise_to(&stamps->floor, atomic_load_explicit(&stamp->value, memory_order_relaxed) & ~LF_STAMP_UNKNOWN);
			*at = stamp->next;
			shard->tags--;
			free(stamp);
			return;
		}
	}
}

/* With the shard's lock held for writing.  It is unknown, and at least the floor.  NULL: no memory. */
static struct lf_stamp *add(struct lf_stamps *stamps, struct lf_stamp_shard *shard, uint64_t hash, struct lf_text name, bool fixed)
{
	struct lf_stamp **bucket = &shard->buckets[hash / LF_STAMP_SHARDS % LF_STAMP_BUCKETS];
	struct lf_stamp *stamp;

	if (!fixed && shard->tags >= KNOWN)
		forget_one(stamps, shard);
	stamp = calloc(1, sizeof(*stamp) + name.len);
	if (!stamp)
		return NULL;
	memcpy(stamp->name, name.data, name.len);
	stamp->len = name.len;
	stamp->fixed = fixed;
	stamp->kept_below = true;
	atomic_init(&stamp->value, LF_STAMP_UNKNOWN | atomic_load_explicit(&stamps->floor, memory_order_relaxed));
	atomic_init(&stamp->used, true);
	stamp->next = *bucket;
	*bucket = stamp;
	shard->tags += !fixed;
	return stamp;
}

static struct lf_stamp_shard *lock(struct lf_cache *cache, uint64_t hash)
{
	struct lf_stamp_shard *shard = &cache->stamps->shards[hash % LF_STAMP_SHARDS];

	(void)pthread_rwlock_wrlock(&shard->lock);
	return shard;
}

static void unlock(struct lf_stamp_shard *shard)
{
	(void)pthread_rwlock_unlock(&shard->lock);
}

struct lf_stamp *lf_stamp_get(struct lf_cache *cache, struct lf_text name, bool fixed)
{
	uint64_t hash = hash_of(name);
	struct lf_stamp_shard *shard = lock(cache, hash);
	struct lf_stamp *stamp = find(shard, hash, name);

	if (!stamp)
		stamp = add(cache->stamps, shard, hash, name, fixed);
	unlock(shard);
	return stamp;
}

/* With the lock held for writing.  Whether it has risen. */
static bool raise_one(struct lf_cache *cache, struct lf_stamp *stamp, uint64_t to)
{
	uint64_t was = atomic_load_explicit(&stamp->value, memory_order_relaxed);

	if ((was & ~LF_STAMP_UNKNOWN) >= to)
		return false;
	/* Pairs with the acquire in lf_begin(): who has counted this change began after it was made. */
	atomic_store_explicit(&stamp->heard, atomic_fetch_add_explicit(&cache->stamps->heard, 1, memory_order_acq_rel) + 1,
	                      memory_order_relaxed);
	/* Pairs with the acquire of who reads the value, and then `heard`. */
	atomic_store_explicit(&stamp->value, (was & LF_STAMP_UNKNOWN) | to, memory_order_release);
	return true;
}

int lf_stamp_raise(struct lf_cache *cache, struct lf_text name, uint64_t to, bool below)
{
	uint64_t hash = hash_of(name);
	struct lf_stamp *stamp;
	struct lf_stamp_shard *shard;

	lf_version_seen(cache, to);
	shard = lock(cache, hash);
	stamp = find(shard, hash, name);
	if (!stamp)
		stamp = add(cache->stamps, shard, hash, name, false);
	/* No memory for the name: then no name that is not known here is good. */
	if (!stamp)
		raise_to(&cache->stamps->floor, to);
	else if (raise_one(cache, stamp, to))
		stamp->kept_below = below;
	unlock(shard);
	return stamp ? 0 : -ENOMEM;
}

void lf_stamp_now(const struct lf_stamp *stamp, uint64_t *value, uint64_t *heard)
{
	*value = atomic_load_explicit(&stamp->value, memory_order_acquire);
	*heard = atomic_load_explicit(&stamp->heard, memory_order_relaxed);
}

void lf_stamp_look(struct lf_cache *cache, struct lf_text name, uint64_t *value, uint64_t *heard)
{
	uint64_t hash = hash_of(name);
	struct lf_stamp_shard *shard = &cache->stamps->shards[hash % LF_STAMP_SHARDS];
	struct lf_stamp *stamp;

	*value = LF_STAMP_UNKNOWN;
	*heard = 0;
	(void)pthread_rwlock_rdlock(&shard->lock);
	stamp = find(shard, hash, name);
	if (stamp) {
		lf_stamp_now(stamp, value, heard);
		if (!atomic_load_explicit(&stamp->used, memory_order_relaxed))
			atomic_store_explicit(&stamp->used, true, memory_order_relaxed);
	}
	unlock(shard);
}

uint64_t lf_stamp_settle(struct lf_cache *cache, struct lf_text name, uint64_t said, uint64_t epoch, uint64_t *heard)
{
	uint64_t hash = hash_of(name), value = atomic_load_explicit(&cache->stamps->floor, memory_order_relaxed);
	struct lf_stamp *stamp;
	struct lf_stamp_shard *shard;

	if (value < said)
		value = said;
	lf_version_seen(cache, said);
	shard = lock(cache, hash);
	stamp = find(shard, hash, name);
	if (stamp) {
		if (raise_one(cache, stamp, said))
			stamp->kept_below = true;
		/* Read with the lock held: lf_stamps_forget() comes here after it has raised the epoch. */
		if (atomic_load_explicit(&cache->stamps->epoch, memory_order_acquire) == epoch)
			(void)atomic_fetch_and_explicit(&stamp->value, ~LF_STAMP_UNKNOWN, memory_order_release);
		value = atomic_load_explicit(&stamp->value, memory_order_relaxed) & ~LF_STAMP_UNKNOWN;
		*heard = atomic_load_explicit(&stamp->heard, memory_order_relaxed);
	}
	unlock(shard);
	return value;
}

void lf_stamps_kept_below(struct lf_cache *cache, struct lf_text name, uint64_t stamp)
{
	uint64_t hash = hash_of(name);
	struct lf_stamp_shard *shard = lock(cache, hash);
	struct lf_stamp *found = find(shard, hash, name);

	if (found && (atomic_load_explicit(&found->value, memory_order_relaxed) & ~LF_STAMP_UNKNOWN) <= stamp)
		found->kept_below = true;
	unlock(shard);
}

void lf_stamps_forget(struct lf_cache *cache)
{
	struct lf_stamps *stamps = cache->stamps;

	/* First: an answer that was asked for before no longer makes a stamp known (settle()). */
	(void)atomic_fetch_add_explicit(&stamps->epoch, 1, memory_order_acq_rel);
	for (int i = 0; i < LF_STAMP_SHARDS; i++) {
		struct lf_stamp_shard *shard = &stamps->shards[i];

		(void)pthread_rwlock_wrlock(&shard->lock);
		for (unsigned bucket = 0; bucket < LF_STAMP_BUCKETS; bucket++)
			for (struct lf_stamp *stamp = shard->buckets[bucket]; stamp; stamp = stamp->next)
				(void)atomic_fetch_or_explicit(&stamp->value, LF_STAMP_UNKNOWN, memory_order_release);
		(void)pthread_rwlock_unlock(&shard->lock);
	}
}

/* --- life ------------------------------------------------------------------------------------------ */

int lf_stamps_new(struct lf_cache *cache)
{
	struct lf_stamps *stamps = calloc(1, sizeof(*stamps));

	if (!stamps)
		return -ENOMEM;
	for (int i = 0; i < LF_STAMP_SHARDS; i++)
		(void)pthread_rwlock_init(&stamps->shards[i].lock, NULL);
	stamps->prefixes = lf_prefixes_new(cache->scope.len);
	cache->stamps = stamps;
	return stamps->prefixes ? 0 : -ENOMEM;
}

void lf_stamps_free(struct lf_cache *cache)
{
	struct lf_stamps *stamps = cache->stamps;

	if (!stamps)
		return;
	for (int i = 0; i < LF_STAMP_SHARDS; i++) {
		for (unsigned bucket = 0; bucket < LF_STAMP_BUCKETS; bucket++)
			for (struct lf_stamp *stamp = stamps->shards[i].buckets[bucket], *next; stamp; stamp = next) {
				next = stamp->next;
				free(stamp);
			}
		(void)pthread_rwlock_destroy(&stamps->shards[i].lock);
	}
	lf_prefixes_free(stamps->prefixes);
	free(stamps);
	cache->stamps = NULL;
}
