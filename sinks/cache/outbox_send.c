/* What waits is told: by one thread while the tier is up, by the manager's before it is up again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/outbox_internal.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/tell.h"

enum {
	BATCH_BYTES = 4 << 20,
	BATCH_MS = 60000, /* of one batch, each round trip of which has its own timeout */
};

struct batch {
	size_t count;
	struct lf_telling what[LF_TELL_MAX];
	struct lf_record *record[LF_TELL_MAX];
	char *name[LF_TELL_MAX];
};

/* ---- A batch ---- */

/* What SQLite takes on itself: those that cannot be told now. */
static unsigned owed_besides(const struct lf_cache *cache, enum lf_cache_tier to, unsigned tiers)
{
	unsigned owed = 0;

	if (to != LF_CACHE_SQLITE)
		return 0;
	for (int i = LF_CACHE_REDIS; i <= LF_CACHE_MONGO; i++)
		if (tiers & (1u << i) && !lf_tier_is_up(cache, (enum lf_cache_tier)i))
			owed |= 1u << i;
	return owed;
}

static bool take(struct lf_outbox *outbox, enum lf_cache_tier to, struct batch *batch, const struct lf_waiting *waiting)
{
	size_t at = batch->count;

	batch->name[at] = malloc(waiting->name_len);
	if (!batch->name[at])
		return false;
	(void)memcpy(batch->name[at], waiting->name, waiting->name_len);
	batch->record[at] = lf_record_keep(waiting->record);
	batch->what[at] = (struct lf_telling){ .kind = waiting->kind,
		                               .name = { batch->name[at], waiting->name_len },
		                               .version = waiting->version,
		                               .record = batch->record[at] };
	if (waiting->kind == LF_CHANGED_KEY)
		batch->what[at].owed = owed_besides(outbox->cache, to, waiting->tiers);
	batch->count++;
	return true;
}

/* The oldest that wait for the tier; they go on waiting until it has confirmed them. */
static struct batch *collect(struct lf_outbox *outbox, enum lf_cache_tier to)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	size_t bytes = 0;

	if (!batch)
		return NULL;
	(void)pthread_mutex_lock(&outbox->lock);
	for (const struct lf_waiting *waiting = outbox->queue[to].first; waiting; waiting = waiting->link[to].after) {
		bytes += waiting->bytes;
		if (batch->count == LF_TELL_MAX || (batch->count && bytes > BATCH_BYTES))
			break;
		if (!take(outbox, to, batch, waiting))
			break;
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return batch;
}

/* What was renewed meanwhile goes on waiting, behind the others: it may be renewed as fast as it is told. */
static void pay(struct lf_outbox *outbox, enum lf_cache_tier to, const struct batch *batch)
{
	(void)pthread_mutex_lock(&outbox->lock);
	for (size_t i = 0; i < batch->count; i++) {
		const struct lf_telling *what = &batch->what[i];
		struct lf_waiting *waiting = what->told ? lf_waiting_find(outbox, what->kind, what->name) : NULL;

		if (waiting && lf_version_compare(waiting->version, what->version) == 0)
			lf_waiting_paid(outbox, waiting, 1u << to | what->owed);
		else if (waiting && waiting->tiers & 1u << to)
			lf_waiting_again(outbox, waiting, (int)to);
	}
	(void)pthread_mutex_unlock(&outbox->lock);
}

/* While a record was on its way its prefix may have been dropped there: then it must go again. */
static void bury_dropped(struct lf_cache *cache, enum lf_cache_tier to, const struct batch *batch, int64_t end_ms)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct lf_telling *what = &batch->what[i];
		struct lf_record gone = { .type = LF_RECORD_GONE };
		struct lf_tier_store store = { .key = what->name, .record = &gone, .condition = LF_IF_VERSION };

		if (!what->told || !what->record || lf_stamps_allow(cache, what->name, what->record))
			continue;
		gone.version = lf_version_next(cache);
		gone.expires_ms = lf_cache_now(cache) + cache->options.tombstone_ms;
		store.expected = what->record->version;
		(void)lf_call_store_anyway(cache, to, &store, 1, end_ms, NULL);
	}
}

static void free_batch(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		lf_record_drop(batch->record[i]);
		free(batch->name[i]);
	}
	free(batch);
}

static enum lf_tier_result send_batch(struct lf_outbox *outbox, enum lf_cache_tier to, uint64_t *sent, int64_t end_ms,
                                      struct lf_error *err)
{
	struct batch *batch = collect(outbox, to);
	enum lf_tier_result result;

	if (!batch) {
		(void)lf_fail(err, -ENOMEM, "no memory to send what waits for the %s tier", lf_cache_tier_name(to));
		return LF_TIER_AWAY;
	}
	result = lf_tell(outbox->cache, to, batch->what, batch->count, end_ms, err);
	bury_dropped(outbox->cache, to, batch, end_ms);
	pay(outbox, to, batch);
	*sent += batch->count;
	free_batch(batch);
	return result;
}

/* ---- Coming back ---- */

/* Which of the old is no longer so is not known: all of it goes. */
enum lf_tier_result lf_outbox_drop_lost(struct lf_cache *cache, enum lf_cache_tier to, bool *dropped,
                                        struct lf_error *err)
{
	struct lf_outbox *outbox = cache->outbox;
	struct lf_queue *queue = &outbox->queue[to];
	enum lf_tier_result result;
	uint64_t upto;

	*dropped = false;
	(void)pthread_mutex_lock(&outbox->lock);
	upto = queue->lost_upto;
	(void)pthread_mutex_unlock(&outbox->lock);
	if (upto == 0)
		return LF_TIER_DONE;
	result = lf_call_drop_anyway(cache, to, cache->scope, upto, lf_clock_ms() + BATCH_MS, err);
	*dropped = result == LF_TIER_DONE;
	(void)pthread_mutex_lock(&outbox->lock);
	if (*dropped && queue->lost_upto == upto)
		queue->lost_upto = 0;
	(void)pthread_mutex_unlock(&outbox->lock);
	return result;
}

bool lf_outbox_has_lost(struct lf_cache *cache, enum lf_cache_tier to)
{
	struct lf_outbox *outbox = cache->outbox;
	bool lost;

	(void)pthread_mutex_lock(&outbox->lock);
	lost = outbox->queue[to].lost_upto != 0;
	(void)pthread_mutex_unlock(&outbox->lock);
	return lost;
}

/* What is put in meanwhile can wait until the tier is up, for readers find it here: else a load that goes on would keep
 * the tier away. */
enum lf_tier_result lf_outbox_catch_up(struct lf_cache *cache, enum lf_cache_tier to, struct lf_error *err)
{
	struct lf_outbox *outbox = cache->outbox;
	enum lf_tier_result result = LF_TIER_DONE;
	uint64_t waited = lf_outbox_count(cache, to), sent = 0;

	while (result == LF_TIER_DONE && sent < waited && lf_outbox_count(cache, to)) {
		if (atomic_load_explicit(&cache->closing, memory_order_acquire))
			return (enum lf_tier_result)lf_fail(err, LF_TIER_AWAY, "the cache is being closed");
		result = send_batch(outbox, to, &sent, lf_clock_ms() + BATCH_MS, err);
	}
	return result;
}

/* ---- The thread ---- */

static bool is_due(struct lf_outbox *outbox, int tier, int64_t now)
{
	struct lf_queue *queue = &outbox->queue[tier];

	return queue->first && lf_tier_is_up(outbox->cache, (enum lf_cache_tier)tier) &&
	       lf_breaker_allows(&queue->retry, now);
}

/* The tiers, or 0 where time is over or there is nothing to be done any more.  A tier that is up again, or may be
 * tried again, is noticed at the next look. */
enum { LOOK_MS = 20, IDLE_MS = 60000 };

static unsigned due_tiers(struct lf_outbox *outbox, bool *waits)
{
	int64_t now = lf_clock_ms();
	unsigned due = 0;

	*waits = false;
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		if (is_due(outbox, i, now))
			due |= 1u << i;
		*waits = *waits || (outbox->queue[i].first && lf_tier_is_up(outbox->cache, (enum lf_cache_tier)i));
	}
	return due;
}

static void wait_until(struct lf_outbox *outbox, int64_t at_ms)
{
	const struct timespec at = { .tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000 };

	(void)pthread_cond_clockwait(&outbox->changed, &outbox->lock, CLOCK_MONOTONIC, &at);
}

static unsigned wait_for_work(struct lf_outbox *outbox, int64_t *end_ms)
{
	unsigned due;
	bool waits;

	(void)pthread_mutex_lock(&outbox->lock);
	for (;;) {
		int64_t now = lf_clock_ms();

		due = due_tiers(outbox, &waits);
		*end_ms = outbox->closing ? outbox->end_ms : now + BATCH_MS;
		if (outbox->closing && (!waits || now >= outbox->end_ms))
			due = 0;
		if (due || (outbox->closing && (!waits || now >= outbox->end_ms)))
			break;
		wait_until(outbox, now + (atomic_load(&outbox->count) ? LOOK_MS : IDLE_MS));
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return due;
}

static void took(struct lf_outbox *outbox, int tier, enum lf_tier_result result)
{
	struct lf_breaker *retry = &outbox->queue[tier].retry;

	if (result == LF_TIER_DONE)
		lf_breaker_succeeded(retry);
	else
		lf_breaker_failed(retry, lf_clock_ms());
}

void *lf_outbox_run(void *arg)
{
	struct lf_outbox *outbox = arg;
	uint64_t sent = 0;
	int64_t end_ms;
	unsigned due;

	while ((due = wait_for_work(outbox, &end_ms)) != 0)
		for (int i = 0; i < LF_CACHE_TIERS; i++) {
			struct lf_error err = { "" };

			if (due & (1u << i))
				took(outbox, i, send_batch(outbox, (enum lf_cache_tier)i, &sent, end_ms, &err));
		}
	return NULL;
}

/* ---- Waiting until it is told ---- */

static bool is_settled(struct lf_outbox *outbox)
{
	bool waits;

	(void)due_tiers(outbox, &waits);
	return !waits;
}

int lf_outbox_settle(struct lf_cache *cache, int64_t end_ms)
{
	struct lf_outbox *outbox = cache->outbox;
	int rc = 0;

	(void)pthread_mutex_lock(&outbox->lock);
	while (!is_settled(outbox)) {
		int64_t now = lf_clock_ms();

		if (now >= end_ms) {
			rc = -ETIMEDOUT;
			break;
		}
		wait_until(outbox, end_ms < now + LOOK_MS ? end_ms : now + LOOK_MS);
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return rc;
}
