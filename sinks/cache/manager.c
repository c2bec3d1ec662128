/* Which tiers are there: their states, and who may change them. */
#include "sinks/cache/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager_internal.h"
#include "sinks/cache/stamps.h"

static struct lf_keeper *keeper_of(const struct lf_cache *cache, enum lf_cache_tier which)
{
	return &cache->manager->keeper[which];
}

static void set_state(struct lf_keeper *keeper, enum lf_cache_tier_state state)
{
	atomic_store(&keeper->cache->tier[keeper->which].state, state);
}

/* ---- How a tier changes its state ---- */

static void keep_trouble(struct lf_keeper *keeper, const struct lf_error *err)
{
	if (err && err->text[0])
		(void)snprintf(keeper->trouble, sizeof(keeper->trouble), "%.255s", err->text);
}

void lf_keeper_trouble(struct lf_keeper *keeper, const struct lf_error *err)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keep_trouble(keeper, err);
	(void)pthread_mutex_unlock(&keeper->lock);
}

bool lf_keeper_closing(struct lf_keeper *keeper)
{
	bool closing;

	(void)pthread_mutex_lock(&keeper->lock);
	closing = keeper->closing;
	(void)pthread_mutex_unlock(&keeper->lock);
	return closing;
}

void lf_keeper_lost(struct lf_keeper *keeper, const struct lf_error *err)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keep_trouble(keeper, err);
	if (lf_keeper_state(keeper) == LF_CACHE_TIER_UP) {
		set_state(keeper, LF_CACHE_TIER_AWAY);
		keeper->failovers++;
		keeper->lost = true;
		(void)pthread_cond_broadcast(&keeper->changed);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
}

bool lf_keeper_returned(struct lf_keeper *keeper)
{
	bool up;

	(void)pthread_mutex_lock(&keeper->lock);
	up = lf_keeper_state(keeper) == LF_CACHE_TIER_AWAY;
	if (up) {
		atomic_store(&keeper->failures, 0);
		keeper->ask = false;
		keeper->trouble[0] = '\0';
		set_state(keeper, LF_CACHE_TIER_UP);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
	return up;
}

/* Last of all memory: until then it is filled from what is not to be trusted. */
void lf_manager_forget(struct lf_cache *cache)
{
	if (lf_tier_is_on(cache, LF_CACHE_SQLITE))
		lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	lf_stamps_forget(cache);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
}

int lf_keeper_ping_ms(const struct lf_keeper *keeper)
{
	const struct lf_cache_options *options = &keeper->cache->options;
	int connect_ms = 0;

	if (lf_keeper_state(keeper) == LF_CACHE_TIER_UP)
		return keeper->cache->tier[keeper->which].timeout_ms;
	if (keeper->which == LF_CACHE_REDIS)
		connect_ms = options->redis.connect_timeout_ms;
	if (keeper->which == LF_CACHE_MONGO)
		connect_ms = options->mongo.connect_timeout_ms;
	return connect_ms + keeper->cache->tier[keeper->which].timeout_ms;
}

/* ---- What calls say ---- */

void lf_manager_succeeded(struct lf_cache *cache, enum lf_cache_tier which)
{
	struct lf_keeper *keeper = keeper_of(cache, which);

	if (atomic_load_explicit(&keeper->failures, memory_order_relaxed))
		atomic_store_explicit(&keeper->failures, 0, memory_order_relaxed);
}

/* That SQLite is late to some says that many write, and no other tier can take its place for what is critical: whether it
 * is away only asking it says. */
static bool is_one_too_many(struct lf_keeper *keeper, enum lf_tier_fault fault)
{
	if (keeper->which == LF_CACHE_SQLITE || (fault != LF_FAULT_BROKEN && fault != LF_FAULT_LATE))
		return false;
	return atomic_fetch_add(&keeper->failures, 1) + 1 >= keeper->cache->options.failures;
}

/* Whatever the failure, the tier is asked; that a server is gone is known a moment after the first call. */
void lf_manager_failed(struct lf_cache *cache, enum lf_cache_tier which, enum lf_tier_fault fault,
                       const struct lf_error *err)
{
	struct lf_keeper *keeper = keeper_of(cache, which);

	if (which == LF_CACHE_MEMORY || lf_keeper_state(keeper) != LF_CACHE_TIER_UP)
		return;
	if (is_one_too_many(keeper, fault))
		lf_keeper_lost(keeper, err);
	(void)pthread_mutex_lock(&keeper->lock);
	keep_trouble(keeper, err);
	keeper->ask = true;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

void lf_manager_poke(struct lf_cache *cache)
{
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		struct lf_keeper *keeper = keeper_of(cache, (enum lf_cache_tier)i);

		if (!lf_is_shared(keeper->which) || !lf_tier_is_on(cache, keeper->which))
			continue;
		(void)pthread_mutex_lock(&keeper->lock);
		keeper->poked = true;
		(void)pthread_cond_broadcast(&keeper->changed);
		(void)pthread_mutex_unlock(&keeper->lock);
	}
}

void lf_manager_stats(struct lf_cache *cache, enum lf_cache_tier which, struct lf_manager_stats *out)
{
	struct lf_keeper *keeper = keeper_of(cache, which);

	(void)pthread_mutex_lock(&keeper->lock);
	*out = (struct lf_manager_stats){ .failovers = keeper->failovers,
		                          .recoveries = keeper->recoveries,
		                          .pings = keeper->pings };
	if (lf_keeper_state(keeper) != LF_CACHE_TIER_UP)
		(void)memcpy(out->trouble, keeper->trouble, sizeof(out->trouble));
	(void)pthread_mutex_unlock(&keeper->lock);
}

/* ---- Switching by hand ---- */

/* Off, it is not tried.  Up, it may still be: what was read before is forgotten once more, and that must not take what
 * the caller writes next. */
static bool is_being_tried(const struct lf_keeper *keeper, unsigned tries)
{
	int state = lf_keeper_state(keeper);

	return keeper->tries == tries && (state == LF_CACHE_TIER_AWAY || state == LF_CACHE_TIER_UP);
}

/* Until the tier has been tried once, or the time is over. */
static void wait_for_try(struct lf_keeper *keeper, unsigned tries, int64_t end_ms)
{
	struct timespec end = { .tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000 };

	(void)pthread_mutex_lock(&keeper->lock);
	while (is_being_tried(keeper, tries))
		if (pthread_cond_clockwait(&keeper->changed, &keeper->lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT)
			break;
	(void)pthread_mutex_unlock(&keeper->lock);
}

static void switch_off(struct lf_keeper *keeper)
{
	(void)pthread_mutex_lock(&keeper->lock);
	set_state(keeper, LF_CACHE_TIER_SWITCHED_OFF);
	keeper->lost = false;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

/* Memory has missed what was written, and once more what was while it said that it is there. */
static void switch_memory_on(struct lf_keeper *keeper)
{
	lf_memory_forget(lf_keeper_tier(keeper));
	(void)pthread_mutex_lock(&keeper->lock);
	set_state(keeper, LF_CACHE_TIER_UP);
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	lf_memory_forget(lf_keeper_tier(keeper));
}

static void switch_on(struct lf_keeper *keeper)
{
	int64_t end_ms = lf_clock_ms() + lf_keeper_ping_ms(keeper); /* of a tier that is not up: it connects, too */
	unsigned tries;

	(void)pthread_mutex_lock(&keeper->lock);
	tries = keeper->tries;
	set_state(keeper, LF_CACHE_TIER_AWAY);
	keeper->ask = true;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	wait_for_try(keeper, tries, end_ms);
}

int lf_cache_switch(struct lf_cache *cache, enum lf_cache_tier tier, bool on, struct lf_error *err)
{
	struct lf_keeper *keeper;

	if ((unsigned)tier >= LF_CACHE_TIERS)
		return lf_fail(err, -EINVAL, "there is no tier %d: memory is 0, mongo is %d", (int)tier,
		               LF_CACHE_TIERS - 1);
	if (!lf_tier_is_on(cache, tier))
		return lf_fail(err, -EINVAL, "the %s tier is off: only one that was opened can be switched",
		               lf_cache_tier_name(tier));
	keeper = keeper_of(cache, tier);
	if (!on)
		switch_off(keeper);
	else if (lf_keeper_state(keeper) != LF_CACHE_TIER_SWITCHED_OFF)
		return 0;
	else if (tier == LF_CACHE_MEMORY)
		switch_memory_on(keeper);
	else
		switch_on(keeper);
	return 0;
}

/* ---- Birth and death ---- */

static int init_keeper(struct lf_keeper *keeper, struct lf_cache *cache, enum lf_cache_tier which, struct lf_error *err)
{
	const struct lf_cache_options *options = &cache->options;
	bool on = lf_tier_is_on(cache, which);
	enum lf_cache_tier_state state = which == LF_CACHE_MEMORY ? LF_CACHE_TIER_UP : LF_CACHE_TIER_AWAY;

	keeper->cache = cache;
	keeper->which = which;
	keeper->wake_fd = -1;
	(void)pthread_mutex_init(&keeper->lock, NULL);
	(void)pthread_cond_init(&keeper->changed, NULL);
	set_state(keeper, on ? state : LF_CACHE_TIER_OFF);
	lf_breaker_init(&keeper->retry, 1, options->backoff_min_ms, options->backoff_max_ms, cache->writer + which);
	lf_breaker_init(&keeper->rewatch, 1, options->backoff_min_ms, options->backoff_max_ms, ~cache->writer + which);
	if (!on || !cache->tier[which].ops->watch || (which == LF_CACHE_SQLITE && options->sqlite.watch_ms == 0))
		return 0;
	keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (keeper->wake_fd < 0)
		return lf_fail(err, -errno, "no event to wake a thread of the cache: %m");
	atomic_store(&keeper->channel, LF_CHANNEL_BROKEN);
	return 0;
}

static int start_keeper(struct lf_keeper *keeper, struct lf_error *err)
{
	int rc = 0;

	if (!lf_tier_is_on(keeper->cache, keeper->which))
		return 0;
	if (keeper->wake_fd >= 0) {
		rc = pthread_create(&keeper->listener, NULL, lf_channel_run, keeper);
		keeper->has_listener = rc == 0;
	}
	if (rc == 0) {
		rc = pthread_create(&keeper->thread, NULL, lf_keeper_run, keeper);
		keeper->has_thread = rc == 0;
	}
	if (rc)
		(void)lf_fail(err, -rc, "no thread for the %s tier: %s", lf_cache_tier_name(keeper->which), strerror(rc));
	return -rc;
}

static void close_keeper(struct lf_keeper *keeper)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&keeper->lock);
	keeper->closing = true;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	if (keeper->wake_fd >= 0)
		(void)!write(keeper->wake_fd, &one, sizeof(one));
	if (keeper->has_thread)
		(void)pthread_join(keeper->thread, NULL);
	if (keeper->has_listener)
		(void)pthread_join(keeper->listener, NULL);
	if (keeper->wake_fd >= 0)
		(void)close(keeper->wake_fd);
	(void)pthread_cond_destroy(&keeper->changed);
	(void)pthread_mutex_destroy(&keeper->lock);
}

/* SQLite first: it knows what the others are owed. */
static int start(struct lf_cache *cache, struct lf_error *err)
{
	int64_t begun = lf_clock_ms();
	static const enum lf_cache_tier order[] = { LF_CACHE_SQLITE, LF_CACHE_MEMORY, LF_CACHE_REDIS, LF_CACHE_MONGO };

	for (size_t i = 0; i < LF_CACHE_TIERS; i++) {
		struct lf_keeper *keeper = keeper_of(cache, order[i]);
		int rc = start_keeper(keeper, err);

		if (rc)
			return rc;
		if (order[i] == LF_CACHE_SQLITE)
			wait_for_try(keeper, 0, begun + lf_keeper_ping_ms(keeper));
	}
	if (lf_tier_is_on(cache, LF_CACHE_REDIS))
		wait_for_try(keeper_of(cache, LF_CACHE_REDIS), 0, begun + cache->options.redis.connect_timeout_ms);
	if (lf_tier_is_on(cache, LF_CACHE_MONGO))
		wait_for_try(keeper_of(cache, LF_CACHE_MONGO), 0, begun + cache->options.mongo.connect_timeout_ms);
	return 0;
}

int lf_manager_new(struct lf_cache *cache, struct lf_error *err)
{
	int rc = 0;

	cache->manager = calloc(1, sizeof(*cache->manager));
	if (!cache->manager)
		return lf_fail(err, -ENOMEM, "no memory for the cache's manager");
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		int failed = init_keeper(keeper_of(cache, (enum lf_cache_tier)i), cache, (enum lf_cache_tier)i, err);

		rc = rc ? rc : failed;
	}
	rc = rc ? rc : start(cache, err);
	if (rc)
		lf_manager_close(cache);
	return rc;
}

void lf_manager_close(struct lf_cache *cache)
{
	if (!cache->manager)
		return;
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		close_keeper(keeper_of(cache, (enum lf_cache_tier)i));
	free(cache->manager);
	cache->manager = NULL;
}
