/* What other processes changed: a thread listens to each tier that tells. */
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"
#include "sinks/cache/manager_internal.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/workers.h"

enum { LISTEN_MS = 10000 };

/* ---- What is done about a change ---- */

static void remove_from_memory(struct lf_cache *cache, const struct lf_tier_change *change)
{
	lf_memory_remove(cache->tier[LF_CACHE_MEMORY].tier, change->name, change->version);
}

static void distrust(struct lf_cache *cache, const struct lf_tier_change *change)
{
	struct lf_tier *sqlite = cache->tier[LF_CACHE_SQLITE].tier;
	int64_t end_ms = lf_clock_ms() + cache->tier[LF_CACHE_SQLITE].timeout_ms;
	struct lf_error err;

	/* Where that cannot be noted, nothing of SQLite's is trusted. */
	if (lf_sqlite_distrust(sqlite, change->name, change->version, end_ms, &err) != LF_TIER_DONE)
		lf_sqlite_new_session(sqlite);
}

/* From memory first and last.  First, so that who is about to put something older into SQLite finds its ticket
 * ended; last, as what SQLite had may have come to memory before it was distrusted. */
static void key_changed(struct lf_keeper *keeper, const struct lf_tier_change *change)
{
	struct lf_cache *cache = keeper->cache;

	lf_version_seen(cache, change->version.clock);
	lf_flights_touch(cache, change->name);
	remove_from_memory(cache, change);
	if (lf_is_shared(keeper->which) && lf_tier_is_on(cache, LF_CACHE_SQLITE)) {
		distrust(cache, change);
		remove_from_memory(cache, change);
	}
	lf_event_key(cache, LF_CACHE_INVALIDATE, keeper->which, change->name, true);
}

static void prefix_changed(struct lf_keeper *keeper, const struct lf_tier_change *change)
{
	struct lf_cache *cache = keeper->cache;
	int64_t end_ms = lf_stack_deadline(cache);
	uint64_t upto = change->version.clock;
	struct lf_error err;

	lf_stamps_heard(cache, change);
	(void)!lf_outbox_put_prefix(cache, change->name, upto, 0);
	if (lf_is_shared(keeper->which) && lf_tier_is_up(cache, LF_CACHE_SQLITE) &&
	    lf_call_drop(cache, LF_CACHE_SQLITE, change->name, upto, end_ms, &err) != LF_TIER_DONE)
		lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	if (lf_call_drop(cache, LF_CACHE_MEMORY, change->name, upto, end_ms, &err) != LF_TIER_DONE)
		lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
}

static void changed(void *arg, const struct lf_tier_change *change)
{
	struct lf_keeper *keeper = arg;

	switch (change->kind) {
	case LF_CHANGED_KEY:
		key_changed(keeper, change);
		break;
	case LF_CHANGED_STAMP:
		lf_version_seen(keeper->cache, change->version.clock);
		lf_stamps_heard(keeper->cache, change);
		break;
	case LF_CHANGED_PREFIX:
		lf_version_seen(keeper->cache, change->version.clock);
		prefix_changed(keeper, change);
		break;
	case LF_CHANGED_UNKNOWN:
		lf_manager_forget(keeper->cache);
		break;
	}
}

/* ---- The thread ---- */

static void drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

/* Whether to go on listening: nobody asks for more. */
static bool is_undisturbed(struct lf_keeper *keeper)
{
	bool undisturbed;

	(void)pthread_mutex_lock(&keeper->lock);
	undisturbed = !keeper->closing && keeper->watch_asked == keeper->watch_done;
	(void)pthread_mutex_unlock(&keeper->lock);
	return undisturbed;
}

static void listen_to(struct lf_keeper *keeper)
{
	const struct lf_tier_ops *ops = lf_keeper_ops(keeper);
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_error err;

	while (result == LF_TIER_DONE) {
		drain(keeper->wake_fd);
		if (!is_undisturbed(keeper))
			return;
		result = ops->changes(lf_keeper_tier(keeper), keeper->wake_fd, changed, keeper,
		                      lf_clock_ms() + LISTEN_MS, &err);
	}
	atomic_store(&keeper->channel, LF_CHANNEL_BROKEN);
	(void)pthread_mutex_lock(&keeper->lock);
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

/* Waits to be asked.  False: it is over. */
static bool wait_for_turn(struct lf_keeper *keeper, unsigned *turn)
{
	bool go_on;

	(void)pthread_mutex_lock(&keeper->lock);
	while (!keeper->closing && keeper->watch_asked == keeper->watch_done)
		(void)pthread_cond_wait(&keeper->changed, &keeper->lock);
	go_on = !keeper->closing;
	*turn = keeper->watch_asked;
	(void)pthread_mutex_unlock(&keeper->lock);
	return go_on;
}

static enum lf_channel_state watch(struct lf_keeper *keeper)
{
	struct lf_error err;

	switch (lf_keeper_ops(keeper)->watch(lf_keeper_tier(keeper), lf_clock_ms() + lf_keeper_ping_ms(keeper), &err)) {
	case LF_TIER_DONE:
		return LF_CHANNEL_WATCHED;
	case LF_TIER_REJECTED:
		return LF_CHANNEL_NONE;
	default:
		return LF_CHANNEL_BROKEN;
	}
}

void *lf_channel_run(void *arg)
{
	struct lf_keeper *keeper = arg;
	unsigned turn;

	while (wait_for_turn(keeper, &turn)) {
		enum lf_channel_state state = watch(keeper);

		atomic_store(&keeper->channel, state);
		(void)pthread_mutex_lock(&keeper->lock);
		keeper->watch_done = turn;
		(void)pthread_cond_broadcast(&keeper->changed);
		(void)pthread_mutex_unlock(&keeper->lock);
		if (state == LF_CHANNEL_WATCHED)
			listen_to(keeper);
	}
	return NULL;
}

/* ---- What others ask for ---- */

void lf_channel_watch(struct lf_keeper *keeper)
{
	const uint64_t one = 1;
	unsigned turn;

	if (keeper->wake_fd < 0)
		return;
	(void)pthread_mutex_lock(&keeper->lock);
	turn = ++keeper->watch_asked;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)!write(keeper->wake_fd, &one, sizeof(one));
	while (!keeper->closing && keeper->watch_done != turn)
		(void)pthread_cond_wait(&keeper->changed, &keeper->lock);
	(void)pthread_mutex_unlock(&keeper->lock);
}

bool lf_channel_is_open(struct lf_cache *cache, enum lf_cache_tier other_than)
{
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		enum lf_cache_tier which = (enum lf_cache_tier)i;

		if (lf_is_shared(which) && which != other_than && lf_tier_is_up(cache, which) &&
		    atomic_load(&cache->manager->keeper[i].channel) == LF_CHANNEL_WATCHED)
			return true;
	}
	return false;
}
