/* Loading anew, in the background, what is still good. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hashing/clock.h"
#include "sinks/cache/load.h"

enum lf_refresh lf_refresh_due(const struct lf_cache_class *of, const struct lf_record *record, int64_t now_ms,
                               double chance)
{
	int64_t end_ms = record->fresh_until_ms ? record->fresh_until_ms : record->expires_ms;

	if (record->fresh_until_ms && now_ms >= record->fresh_until_ms)
		return LF_REFRESH_STALE;
	if (!end_ms || !record->load_ms || !(of->early > 0))
		return LF_REFRESH_NOT;
	return (double)(end_ms - now_ms) <= record->load_ms * of->early * -log(chance) ? LF_REFRESH_EARLY : LF_REFRESH_NOT;
}

/* splitmix64 (Steele, Lea, Flood 2014), of each thread's own. */
double lf_refresh_chance(void)
{
	static _Thread_local uint64_t state;
	uint64_t mixed;

	if (!state && getrandom(&state, sizeof(state), GRND_NONBLOCK) != sizeof(state))
		state = (uint64_t)lf_clock_ms() ^ (uintptr_t)&state;
	state += UINT64_C(0x9e3779b97f4a7c15);
	mixed = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	mixed ^= mixed >> 31;
	return (double)((mixed >> 11) + 1) * 0x1p-53;
}

struct refresh {
	struct lf_loading loading;
	struct lf_flight *flight;
	struct lf_version old;
	char texts[]; /* key and id */
};

/* Another process may have been faster, and so the lock was free. */
static bool is_new_already(const struct refresh *refresh)
{
	struct lf_landing landing;
	bool newer;

	if (!lf_load_look(&refresh->loading, false, &landing))
		return false;
	newer = !landing.record || lf_version_compare(landing.record->version, refresh->old) > 0;
	lf_record_drop(landing.record);
	return newer;
}

static void load_anew(struct refresh *refresh)
{
	struct lf_landing landing;
	uint64_t token;
	enum lf_fleet fleet = lf_fleet_try(&refresh->loading, &token);
	bool shared = false;

	if (fleet != LF_FLEET_BUSY && !(fleet == LF_FLEET_OURS && is_new_already(refresh))) {
		lf_count(refresh->loading.space->cache->counters, LF_COUNT_REFRESHES, 1);
		shared = lf_load_make(&refresh->loading, true, token, &landing);
		lf_flight_end(refresh->flight, shared ? &landing : NULL);
		lf_record_drop(landing.record);
	} else {
		lf_flight_end(refresh->flight, NULL);
	}
	lf_fleet_leave(&refresh->loading, token);
}

static void run(void *arg, bool given_up)
{
	struct refresh *refresh = arg;

	if (lf_flight_board(refresh->flight)) {
		if (given_up)
			lf_flight_end(refresh->flight, NULL);
		else
			load_anew(refresh);
	}
	free(refresh);
}

void lf_refresh_start(const struct lf_loading *loading, const struct lf_record *old)
{
	struct lf_cache *cache = loading->space->cache;
	struct refresh *refresh;
	struct lf_flight *flight;

	if (lf_flight_plan(cache->flights, loading->key, &flight) != 1)
		return;
	refresh = malloc(sizeof(*refresh) + loading->key.len + loading->id.len);
	if (!refresh) {
		if (lf_flight_board(flight))
			lf_flight_end(flight, NULL);
		return;
	}
	*refresh = (struct refresh){ .loading = *loading, .flight = flight, .old = old->version };
	memcpy(refresh->texts, loading->key.data, loading->key.len);
	memcpy(refresh->texts + loading->key.len, loading->id.data, loading->id.len);
	refresh->loading.key.data = refresh->texts;
	refresh->loading.id.data = refresh->texts + loading->key.len;
	refresh->loading.replaces = true;
	if (lf_workers_run(cache, run, refresh) < 0)
		run(refresh, true);
}
