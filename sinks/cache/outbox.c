/* What waits to be told: putting it in, finding it, forgetting it. */
#include "sinks/cache/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/outbox_internal.h"

/* ---- Lists ---- */

static void enlist(struct lf_outbox *outbox, struct lf_waiting *waiting, int tier)
{
	struct lf_queue *queue = &outbox->queue[tier];

	waiting->tiers |= 1u << tier;
	waiting->link[tier].before = queue->last;
	waiting->link[tier].after = NULL;
	if (queue->last)
		queue->last->link[tier].after = waiting;
	else
		queue->first = waiting;
	queue->last = waiting;
	(void)atomic_fetch_add(&queue->count, 1);
}

static void delist(struct lf_outbox *outbox, struct lf_waiting *waiting, int tier)
{
	struct lf_queue *queue = &outbox->queue[tier];
	struct lf_waiting *before = waiting->link[tier].before, *after = waiting->link[tier].after;

	waiting->tiers &= ~(1u << tier);
	if (before)
		before->link[tier].after = after;
	else
		queue->first = after;
	if (after)
		after->link[tier].before = before;
	else
		queue->last = before;
	(void)atomic_fetch_sub(&queue->count, 1);
}

static struct lf_waiting **bucket_of(struct lf_outbox *outbox, uint64_t hash)
{
	return &outbox->bucket[hash % LF_OUTBOX_BUCKETS];
}

static uint64_t hash_of(enum lf_tier_change_kind kind, struct lf_text name)
{
	return XXH3_64bits_withSeed(name.data, name.len, (uint64_t)kind);
}

struct lf_waiting *lf_waiting_find(struct lf_outbox *outbox, enum lf_tier_change_kind kind, struct lf_text name)
{
	uint64_t hash = hash_of(kind, name);

	for (struct lf_waiting *waiting = *bucket_of(outbox, hash); waiting; waiting = waiting->next)
		if (waiting->hash == hash && waiting->kind == kind && waiting->name_len == name.len &&
		    memcmp(waiting->name, name.data, name.len) == 0)
			return waiting;
	return NULL;
}

static void forget(struct lf_outbox *outbox, struct lf_waiting *waiting)
{
	struct lf_waiting **at = bucket_of(outbox, waiting->hash);

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	outbox->bytes -= waiting->bytes;
	(void)atomic_fetch_sub(&outbox->count, 1);
	lf_record_drop(waiting->record);
	free(waiting);
}

void lf_waiting_paid(struct lf_outbox *outbox, struct lf_waiting *waiting, unsigned tiers)
{
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		if (waiting->tiers & tiers & (1u << i))
			delist(outbox, waiting, i);
	if (waiting->tiers == 0)
		forget(outbox, waiting);
	(void)pthread_cond_broadcast(&outbox->changed);
}

void lf_waiting_again(struct lf_outbox *outbox, struct lf_waiting *waiting, int tier)
{
	delist(outbox, waiting, tier);
	enlist(outbox, waiting, tier);
}

/* ---- Putting in ---- */

/* What there is to put. */
struct put {
	enum lf_tier_change_kind kind;
	struct lf_text name;
	struct lf_version version;
	const struct lf_record *record;
	unsigned tiers;
};

static size_t bytes_of(const struct put *put)
{
	return sizeof(struct lf_waiting) + put->name.len + (put->record ? put->record->size : 0);
}

static bool has_room(const struct lf_outbox *outbox, const struct put *put, const struct lf_waiting *instead_of)
{
	size_t bytes = outbox->bytes - (instead_of ? instead_of->bytes : 0);

	return bytes + bytes_of(put) <= LF_OUTBOX_BYTES_MAX &&
	       (instead_of || atomic_load(&outbox->count) < LF_OUTBOX_KEYS_MAX);
}

/* A tier that is up is told by the caller; one that is not has lost track.  What waited of the same key must not be
 * found any more: it is older. */
static int lose(struct lf_outbox *outbox, const struct put *put, struct lf_waiting *older)
{
	unsigned tiers = put->tiers | (older ? older->tiers : 0);

	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		struct lf_queue *queue = &outbox->queue[i];

		if (tiers & (1u << i) && !lf_tier_is_up(outbox->cache, (enum lf_cache_tier)i) &&
		    queue->lost_upto < put->version.clock)
			queue->lost_upto = put->version.clock;
	}
	if (older)
		lf_waiting_paid(outbox, older, older->tiers);
	return -ENOSPC;
}

static struct lf_waiting *add(struct lf_outbox *outbox, const struct put *put)
{
	struct lf_waiting *waiting = calloc(1, sizeof(*waiting) + put->name.len);
	struct lf_waiting **bucket;

	if (!waiting)
		return NULL;
	waiting->hash = hash_of(put->kind, put->name);
	waiting->kind = put->kind;
	waiting->name_len = put->name.len;
	(void)memcpy(waiting->name, put->name.data, put->name.len);
	bucket = bucket_of(outbox, waiting->hash);
	waiting->next = *bucket;
	*bucket = waiting;
	(void)atomic_fetch_add(&outbox->count, 1);
	return waiting;
}

static void renew(struct lf_outbox *outbox, struct lf_waiting *waiting, const struct put *put)
{
	struct lf_record *record = lf_record_keep(put->record);

	lf_record_drop(waiting->record);
	waiting->record = record;
	waiting->version = put->version;
	outbox->bytes += bytes_of(put) - waiting->bytes;
	waiting->bytes = bytes_of(put);
}

static int put_locked(struct lf_outbox *outbox, const struct put *put)
{
	struct lf_waiting *waiting = lf_waiting_find(outbox, put->kind, put->name);
	bool newer = !waiting || lf_version_compare(put->version, waiting->version) > 0;

	if (newer && !has_room(outbox, put, waiting))
		return lose(outbox, put, waiting);
	if (!waiting)
		waiting = add(outbox, put);
	if (!waiting)
		return lose(outbox, put, NULL);
	if (newer)
		renew(outbox, waiting, put);
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		if (put->tiers & ~waiting->tiers & (1u << i))
			enlist(outbox, waiting, i);
	(void)pthread_cond_broadcast(&outbox->changed);
	return 0;
}

static bool is_below(const struct lf_outbox *outbox, const struct lf_waiting *waiting, const struct put *prefix)
{
	return waiting->kind == LF_CHANGED_KEY && waiting->version.clock <= prefix->version.clock &&
	       waiting->name_len >= prefix->name.len &&
	       memcmp(waiting->name, prefix->name.data, prefix->name.len) == 0 &&
	       (prefix->name.len != outbox->cache->scope.len || !(waiting->record->flags & LF_RECORD_CRITICAL));
}

/* Told after the prefix, what it took away would be back. */
static void take_off_below(struct lf_outbox *outbox, const struct put *prefix)
{
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		struct lf_waiting *waiting = outbox->queue[i].first, *next;

		for (; waiting; waiting = next) {
			next = waiting->link[i].after;
			if (is_below(outbox, waiting, prefix))
				lf_waiting_paid(outbox, waiting, waiting->tiers);
		}
	}
}

static int put_in(struct lf_cache *cache, const struct put *put)
{
	int rc = 0;

	if (put->tiers == 0 && put->kind != LF_CHANGED_PREFIX)
		return 0;
	(void)pthread_mutex_lock(&cache->outbox->lock);
	if (put->kind == LF_CHANGED_PREFIX)
		take_off_below(cache->outbox, put);
	if (put->tiers)
		rc = put_locked(cache->outbox, put);
	(void)pthread_mutex_unlock(&cache->outbox->lock);
	return rc;
}

int lf_outbox_put(struct lf_cache *cache, struct lf_text key, const struct lf_record *record, unsigned tiers)
{
	const struct put put = { LF_CHANGED_KEY, key, record->version, record, tiers };

	return put_in(cache, &put);
}

int lf_outbox_put_stamp(struct lf_cache *cache, struct lf_text name, uint64_t stamp, unsigned tiers)
{
	const struct put put = { LF_CHANGED_STAMP, name, { .clock = stamp }, NULL, tiers };

	return put_in(cache, &put);
}

static bool is_dropped(const struct lf_waiting *waiting, struct lf_text prefix, uint64_t upto)
{
	return waiting->kind == LF_CHANGED_KEY && waiting->version.clock <= upto && waiting->name_len >= prefix.len &&
	       memcmp(waiting->name, prefix.data, prefix.len) == 0;
}

/* Told after the prefix, it would be there again. */
static void drop(struct lf_outbox *outbox, struct lf_text prefix, uint64_t upto)
{
	if (atomic_load(&outbox->count) == 0)
		return;
	(void)pthread_mutex_lock(&outbox->lock);
	for (size_t i = 0; i < LF_OUTBOX_BUCKETS; i++)
		for (struct lf_waiting *waiting = outbox->bucket[i], *next; waiting; waiting = next) {
			next = waiting->next;
			if (is_dropped(waiting, prefix, upto))
				lf_waiting_paid(outbox, waiting, waiting->tiers);
		}
	(void)pthread_mutex_unlock(&outbox->lock);
}

int lf_outbox_put_prefix(struct lf_cache *cache, struct lf_text prefix, uint64_t upto, unsigned tiers)
{
	const struct put put = { LF_CHANGED_PREFIX, prefix, { .clock = upto }, NULL, tiers };

	drop(cache->outbox, prefix, upto);
	return put_in(cache, &put);
}

/* ---- Looking ---- */

struct lf_record *lf_outbox_find(struct lf_cache *cache, struct lf_text key)
{
	struct lf_outbox *outbox = cache->outbox;
	struct lf_waiting *waiting;
	struct lf_record *record = NULL;

	if (atomic_load(&outbox->count) == 0)
		return NULL;
	(void)pthread_mutex_lock(&outbox->lock);
	waiting = lf_waiting_find(outbox, LF_CHANGED_KEY, key);
	if (waiting)
		record = lf_record_keep(waiting->record);
	(void)pthread_mutex_unlock(&outbox->lock);
	return record;
}

uint64_t lf_outbox_count(struct lf_cache *cache, enum lf_cache_tier to)
{
	return atomic_load(&cache->outbox->queue[to].count);
}

/* ---- Birth and death ---- */

static bool has_lower_tiers(const struct lf_cache *cache)
{
	return lf_tier_is_on(cache, LF_CACHE_SQLITE) || lf_tier_is_on(cache, LF_CACHE_REDIS) ||
	       lf_tier_is_on(cache, LF_CACHE_MONGO);
}

int lf_outbox_new(struct lf_cache *cache, struct lf_error *err)
{
	struct lf_outbox *outbox = calloc(1, sizeof(*outbox));
	int rc;

	if (!outbox)
		return lf_fail(err, -ENOMEM, "no memory for what the cache writes behind");
	outbox->cache = cache;
	(void)pthread_mutex_init(&outbox->lock, NULL);
	(void)pthread_cond_init(&outbox->changed, NULL);
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		lf_breaker_init(&outbox->queue[i].retry, 1, cache->options.backoff_min_ms,
		                cache->options.backoff_max_ms, cache->writer ^ (uint64_t)i);
	cache->outbox = outbox;
	if (!has_lower_tiers(cache))
		return 0;
	rc = pthread_create(&outbox->thread, NULL, lf_outbox_run, outbox);
	outbox->has_thread = rc == 0;
	if (rc == 0)
		return 0;
	lf_outbox_free(cache);
	return lf_fail(err, -rc, "no thread for what the cache writes behind: %s", strerror(rc));
}

void lf_outbox_close(struct lf_cache *cache, int64_t end_ms)
{
	struct lf_outbox *outbox = cache->outbox;

	if (!outbox)
		return;
	(void)pthread_mutex_lock(&outbox->lock);
	outbox->closing = true;
	outbox->end_ms = end_ms;
	(void)pthread_cond_broadcast(&outbox->changed);
	(void)pthread_mutex_unlock(&outbox->lock);
	if (outbox->has_thread)
		(void)pthread_join(outbox->thread, NULL);
	outbox->has_thread = false;
}

void lf_outbox_free(struct lf_cache *cache)
{
	struct lf_outbox *outbox = cache->outbox;

	if (!outbox)
		return;
	lf_outbox_close(cache, 0);
	for (size_t i = 0; i < LF_OUTBOX_BUCKETS; i++)
		while (outbox->bucket[i])
			lf_waiting_paid(outbox, outbox->bucket[i], outbox->bucket[i]->tiers);
	(void)pthread_cond_destroy(&outbox->changed);
	(void)pthread_mutex_destroy(&outbox->lock);
	free(outbox);
	cache->outbox = NULL;
}
