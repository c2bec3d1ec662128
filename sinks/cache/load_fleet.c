/* The fleet's lock: of the processes that share a Redis, one makes the value. */
#include <poll.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/load.h"

enum { PAUSE_MIN_MS = 5, PAUSE_MAX_MS = 50 };

enum lf_fleet lf_fleet_try(const struct lf_loading *loading, uint64_t *token)
{
	struct lf_cache *cache = loading->space->cache;

	*token = 0;
	if (!lf_tier_is_up(cache, LF_CACHE_REDIS) ||
	    lf_call_lock(cache, loading->key, cache->options.lock_ttl_ms, token, lf_stack_deadline(cache), NULL) !=
		    LF_TIER_DONE)
		return LF_FLEET_NONE;
	return *token ? LF_FLEET_OURS : LF_FLEET_BUSY;
}

/* Half of it at random: those that began at once do not come again at once. */
static int64_t pause_of(int64_t ms)
{
	return ms / 2 + (int64_t)((double)(ms - ms / 2) * lf_refresh_chance());
}

static void rest(int64_t ms, int64_t end_ms)
{
	int64_t left_ms = end_ms - lf_clock_ms();

	ms = pause_of(ms);
	if (left_ms > 0)
		(void)poll(NULL, 0, (int)(ms < left_ms ? ms : left_ms));
}

/* Who had the lock before us may have made it after we looked. */
static enum lf_fleet look_again(const struct lf_loading *loading, enum lf_fleet fleet, uint64_t *token,
                                struct lf_landing *out)
{
	if (fleet == LF_FLEET_NONE || loading->replaces || !lf_load_look(loading, false, out))
		return fleet;
	lf_fleet_leave(loading, *token);
	*token = 0;
	return LF_FLEET_FOUND;
}

enum lf_fleet lf_fleet_enter(const struct lf_loading *loading, uint64_t *token, struct lf_landing *out)
{
	struct lf_cache *cache = loading->space->cache;
	int64_t pause_ms = PAUSE_MIN_MS;

	for (;;) {
		enum lf_fleet fleet = lf_fleet_try(loading, token);

		fleet = look_again(loading, fleet, token, out);
		if (fleet != LF_FLEET_BUSY || lf_clock_ms() >= loading->end_ms || atomic_load(&cache->closing))
			return fleet;
		rest(pause_ms, loading->end_ms);
		pause_ms = 2 * pause_ms < PAUSE_MAX_MS ? 2 * pause_ms : PAUSE_MAX_MS;
	}
}

void lf_fleet_leave(const struct lf_loading *loading, uint64_t token)
{
	struct lf_cache *cache = loading->space->cache;

	if (token) /* else its TTL ends it */
		(void)lf_call_unlock(cache, loading->key, token, lf_stack_deadline(cache), NULL);
}
