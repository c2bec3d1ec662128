/* get_or_set: look, else make it, or wait for who does. */
#include "sinks/cache/load.h"

#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/stamps.h"

bool lf_load_look(const struct lf_loading *loading, bool counted, struct lf_landing *out)
{
	struct lf_cache_space *space = loading->space;
	int rc;

	*out = (struct lf_landing){ .from = LF_CACHE_TIERS };
	rc = lf_stack_find(space->cache, counted ? space : NULL, loading->key, 0, &out->record, &out->from,
	                   NULL);
	if (rc != 1)
		return false;
	if (out->record->type == LF_RECORD_STRING) {
		out->rc = 1;
	} else if (out->record->type == LF_RECORD_HASH) {
		lf_record_drop(out->record);
		out->record = NULL;
		out->rc = lf_fail(&out->err, -EPROTOTYPE,
		                  "a hash is kept under '%.*s', which a loader cannot replace: delete it",
		                  (int)loading->key.len, loading->key.data);
	}
	return true;
}

/* Takes the record over. */
static int hand_out(struct lf_landing *landing, struct lf_cache_value *out, struct lf_error *err)
{
	if (landing->rc == 1) {
		lf_stack_hand_out(landing->record, landing->record->value, landing->from, out);
		return 1;
	}
	lf_record_drop(landing->record);
	if (landing->rc < 0 && err)
		*err = landing->err;
	return landing->rc;
}

/* --- one makes it, others wait --------------------------------------------------------------------- */

static int load_alone(const struct lf_loading *loading, struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_landing landing;

	(void)lf_load_make(loading, false, 0, &landing);
	return hand_out(&landing, out, err);
}

static bool make_in_fleet(const struct lf_loading *loading, struct lf_landing *out)
{
	uint64_t token = 0;
	bool shared;

	switch (lf_fleet_enter(loading, &token, out)) {
	case LF_FLEET_FOUND:
		return true;
	case LF_FLEET_BUSY: /* who waits for us may have more time */
		out->rc = lf_fail(&out->err, -ETIMEDOUT,
		                  "another process has not made '%.*s' in time: wait_ms and lock_ttl_ms say how long it is waited for",
		                  (int)loading->key.len, loading->key.data);
		return false;
	case LF_FLEET_OURS:
	case LF_FLEET_NONE:
		break;
	}
	shared = lf_load_make(loading, true, token, out);
	lf_fleet_leave(loading, token);
	return shared;
}

static int lead(const struct lf_loading *loading, const struct lf_flights_moment *looked, struct lf_flight *flight,
                struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_landing landing;
	bool shared = true;

	/* Between our look and now another flight may have brought it. */
	if (loading->replaces || !lf_flights_ended_after(loading->space->cache->flights, looked) ||
	    !lf_load_look(loading, false, &landing))
		shared = make_in_fleet(loading, &landing);
	lf_flight_end(flight, shared ? &landing : NULL);
	return hand_out(&landing, out, err);
}

/* -EAGAIN: what it brought is not for us. */
static int follow(const struct lf_loading *loading, const struct lf_flights_moment *asked, struct lf_flight *flight,
                  struct lf_landing *out, struct lf_error *err)
{
	struct lf_cache_space *space = loading->space;
	bool ours = !loading->replaces || lf_flight_began_after(flight, asked);
	int rc;

	lf_count(space->cache->counters, LF_COUNT_LOAD_WAITS, 1);
	rc = lf_flight_wait(flight, loading->end_ms, out);
	lf_flight_leave(flight);
	if (rc < 0)
		return lf_fail(err, rc,
		               "nobody has made '%.*s' in time: its loader takes longer than wait_ms or load_deadline_ms",
		               (int)loading->key.len, loading->key.data);
	if (!out->again && ours &&
	    (!out->record || lf_stamps_valid(space, loading->key, out->record, lf_stack_deadline(space->cache)) == 1))
		return 0;
	lf_record_drop(out->record);
	return -EAGAIN;
}

static int deadlock(const struct lf_loading *loading, struct lf_error *err)
{
	return lf_fail(err, -EDEADLK,
	               "the loader of '%.*s' waits for itself: it asks for its own key, or for one whose loader does",
	               (int)loading->key.len, loading->key.data);
}

static int load_together(const struct lf_loading *loading, struct lf_flights_moment asked, struct lf_cache_value *out,
                         struct lf_error *err)
{
	struct lf_flights *flights = loading->space->cache->flights;
	struct lf_flights_moment looked = asked;
	struct lf_landing landing;
	enum lf_flight_role role;
	struct lf_flight *flight;
	int rc;

	for (;;) {
		rc = lf_flight_join(flights, loading->key, &flight, &role);
		if (rc < 0)
			return rc == -EDEADLK ? deadlock(loading, err) : load_alone(loading, out, err);
		if (role == LF_FLIGHT_LEADS)
			return lead(loading, &looked, flight, out, err);
		rc = follow(loading, &asked, flight, &landing, err);
		if (rc == 0)
			return hand_out(&landing, out, err);
		if (rc != -EAGAIN)
			return rc;
		looked = lf_flights_now(flights);
		if (!loading->replaces && lf_load_look(loading, false, &landing))
			return hand_out(&landing, out, err);
	}
}

/* --- the calls ------------------------------------------------------------------------------------- */

/* It is there.  It may be time to load it anew. */
static int hit(const struct lf_loading *loading, struct lf_landing *landing, struct lf_cache_value *out,
               struct lf_error *err)
{
	struct lf_cache *cache = loading->space->cache;
	const struct lf_cache_class *of = &loading->space->class;
	enum lf_refresh due = LF_REFRESH_NOT;

	if (landing->rc == 0)
		lf_count(cache->counters, LF_COUNT_NEGATIVE_HITS, 1);
	if (landing->rc == 1 && landing->record->expires_ms)
		due = lf_refresh_due(of, landing->record, lf_cache_now(cache), of->early > 0 ? lf_refresh_chance() : 1);
	if (due != LF_REFRESH_NOT)
		lf_refresh_start(loading, landing->record);
	if (hand_out(landing, out, err) == 1 && due == LF_REFRESH_STALE) {
		lf_count(cache->counters, LF_COUNT_STALE_HITS, 1);
		out->stale = true;
	}
	return landing->rc;
}

int lf_cache_get_or_set(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_load *load,
                        struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_cache *cache = space->cache;
	struct lf_flights_moment asked;
	struct lf_landing landing;
	char key[LF_KEY_MAX];
	size_t key_len;
	int wait_ms = load->wait_ms > 0 ? load->wait_ms : cache->options.load_deadline_ms;
	struct lf_loading loading = {
		.space = space, .id = id, .load = load->load, .arg = load->arg, .replaces = load->fresh
	};
	int rc = lf_key_make(key, &key_len, space->prefix, id, err);

	*out = (struct lf_cache_value){ 0 };
	if (rc < 0)
		return rc;
	if (!load->load)
		return lf_fail(err, -EINVAL, "there is no loader for '%.*s'", (int)key_len, key);
	loading.key = (struct lf_text){ key, key_len };
	if (!atomic_load_explicit(&cache->enabled, memory_order_acquire))
		return load_alone(&loading, out, err);
	asked = lf_flights_now(cache->flights);
	if (!load->fresh && lf_load_look(&loading, true, &landing))
		return hit(&loading, &landing, out, err);
	loading.end_ms = lf_clock_ms() + wait_ms;
	return load_together(&loading, asked, out, err);
}

void lf_cache_space_loader(struct lf_cache_space *space, lf_cache_loader load, void *arg)
{
	space->loader_arg = arg;
	/* Pairs with the acquire in lf_cache_fetch(): who sees the loader sees its argument. */
	atomic_store_explicit(&space->loader, load, memory_order_release);
}

int lf_cache_fetch(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_cache_load load = { .load = atomic_load_explicit(&space->loader, memory_order_acquire) };

	load.arg = space->loader_arg;
	return lf_cache_get_or_set(space, id, &load, out, err);
}
