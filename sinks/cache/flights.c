#include "sinks/cache/flights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

enum { BUCKETS = 256 };

/* A thread. */
struct traveller {
	struct lf_flight *waits_for;
};

struct lf_flight {
	struct lf_flights *of;
	struct lf_flight *next; /* of its bucket */
	uint64_t hash, number;
	struct traveller *leader; /* it stays until it has ended it; NULL: planned, nobody leads it yet */
	unsigned users, waiting;
	bool ended, outdated;
	pthread_cond_t landed;
	struct lf_landing landing;
	size_t key_len;
	char key[];
};

struct lf_flights {
	_Atomic uint64_t begun, ended;
	_Atomic unsigned count;
	struct lf_flight *buckets[BUCKETS];
};

/* One for all caches of the process: the loader of one may wait for the flight of another, and a circle is looked for
 * across them.  It is held for some pointers' time, and only by who found nothing in the cache. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct traveller self;

int lf_flights_new(struct lf_cache *cache)
{
	cache->flights = calloc(1, sizeof(*cache->flights));
	return cache->flights ? 0 : -ENOMEM;
}

void lf_flights_free(struct lf_cache *cache)
{
	free(cache->flights); /* none is under way: no call is */
	cache->flights = NULL;
}

struct lf_flights_moment lf_flights_now(const struct lf_flights *flights)
{
	/* Pairs with the releases of take_off() and lf_flight_end(): who sees an end sees what it left in memory. */
	return (struct lf_flights_moment){ atomic_load_explicit(&flights->begun, memory_order_acquire),
		                               atomic_load_explicit(&flights->ended, memory_order_acquire) };
}

bool lf_flights_ended_after(const struct lf_flights *flights, const struct lf_flights_moment *moment)
{
	return atomic_load_explicit(&flights->ended, memory_order_acquire) != moment->ended;
}

bool lf_flight_began_after(const struct lf_flight *flight, const struct lf_flights_moment *moment)
{
	return flight->number > moment->begun;
}

/* --- under the lock -------------------------------------------------------------------------------- */

static struct lf_flight **place_of(struct lf_flights *flights, struct lf_text key, uint64_t hash)
{
	struct lf_flight **at = &flights->buckets[hash % BUCKETS];

	while (*at && ((*at)->hash != hash || (*at)->key_len != key.len || memcmp((*at)->key, key.data, key.len) != 0))
		at = &(*at)->next;
	return at;
}

static struct lf_flight *take_off(struct lf_flights *flights, struct lf_flight **at, struct lf_text key, uint64_t hash)
{
	struct lf_flight *flight = calloc(1, sizeof(*flight) + key.len);
	pthread_condattr_t attributes;

	if (!flight)
		return NULL;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&flight->landed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	flight->of = flights;
	flight->hash = hash;
	flight->users = 1;
	flight->key_len = key.len;
	memcpy(flight->key, key.data, key.len);
	flight->number = atomic_fetch_add_explicit(&flights->begun, 1, memory_order_release) + 1;
	(void)atomic_fetch_add(&flights->count, 1); /* before what the loader reads: lf_flights_touch() */
	*at = flight;
	return flight;
}

static void leave(struct lf_flight *flight)
{
	if (--flight->users)
		return;
	(void)pthread_cond_destroy(&flight->landed);
	lf_record_drop(flight->landing.record);
	free(flight);
}

/* Whether its leader waits, be it by way of others, for what this thread is making. */
static bool waits_for_us(const struct lf_flight *flight)
{
	while (flight && flight->leader != &self)
		flight = flight->leader ? flight->leader->waits_for : NULL;
	return flight != NULL;
}

/* --- in and out ------------------------------------------------------------------------------------ */

int lf_flight_join(struct lf_flights *flights, struct lf_text key, struct lf_flight **out, enum lf_flight_role *role)
{
	uint64_t hash = XXH3_64bits(key.data, key.len);
	struct lf_flight **at, *flight;
	int rc = 0;

	(void)pthread_mutex_lock(&lock);
	at = place_of(flights, key, hash);
	flight = *at;
	*role = flight && flight->leader ? LF_FLIGHT_FOLLOWS : LF_FLIGHT_LEADS;
	if (!flight)
		flight = take_off(flights, at, key, hash);
	else if (waits_for_us(flight))
		rc = -EDEADLK;
	else
		flight->users++;
	if (!flight)
		rc = -ENOMEM;
	if (rc == 0 && *role == LF_FLIGHT_LEADS)
		flight->leader = &self;
	else if (rc == 0)
		self.waits_for = flight; /* from here on, or two could begin to wait for each other */
	(void)pthread_mutex_unlock(&lock);
	*out = flight;
	return rc;
}

int lf_flight_plan(struct lf_flights *flights, struct lf_text key, struct lf_flight **out)
{
	uint64_t hash = XXH3_64bits(key.data, key.len);
	struct lf_flight **at;
	int rc = 0;

	(void)pthread_mutex_lock(&lock);
	at = place_of(flights, key, hash);
	if (!*at) {
		*out = take_off(flights, at, key, hash);
		rc = *out ? 1 : -ENOMEM;
	}
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

bool lf_flight_board(struct lf_flight *flight)
{
	bool ours;

	(void)pthread_mutex_lock(&lock);
	ours = !flight->leader && !flight->ended;
	if (ours)
		flight->leader = &self;
	else
		leave(flight);
	(void)pthread_mutex_unlock(&lock);
	return ours;
}

static int wait_landed(struct lf_flight *flight, int64_t end_ms)
{
	struct timespec end = { .tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000 };
	int rc = 0;

	flight->waiting++;
	while (!flight->ended && rc == 0)
		rc = -pthread_cond_timedwait(&flight->landed, &lock, &end);
	flight->waiting--;
	return flight->ended ? 0 : rc;
}

int lf_flight_wait(struct lf_flight *flight, int64_t end_ms, struct lf_landing *out)
{
	int rc;

	(void)pthread_mutex_lock(&lock);
	rc = wait_landed(flight, end_ms);
	if (rc == 0) {
		*out = flight->landing;
		(void)lf_record_keep(out->record);
	}
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

void lf_flight_leave(struct lf_flight *flight)
{
	(void)pthread_mutex_lock(&lock);
	if (self.waits_for == flight)
		self.waits_for = NULL;
	leave(flight);
	(void)pthread_mutex_unlock(&lock);
}

void lf_flight_end(struct lf_flight *flight, const struct lf_landing *landing)
{
	struct lf_flights *flights = flight->of;

	(void)pthread_mutex_lock(&lock);
	*place_of(flights, (struct lf_text){ flight->key, flight->key_len }, flight->hash) = flight->next;
	(void)atomic_fetch_sub(&flights->count, 1);
	(void)atomic_fetch_add_explicit(&flights->ended, 1, memory_order_release);
	if (landing && !flight->outdated)
		flight->landing = *landing;
	else
		flight->landing.again = true;
	(void)lf_record_keep(flight->landing.record);
	flight->leader = NULL;
	flight->ended = true;
	(void)pthread_cond_broadcast(&flight->landed);
	leave(flight);
	(void)pthread_mutex_unlock(&lock);
}

/* A flight that takes off after the count was read here reads what it makes after the change was asked for. */
void lf_flights_touch(struct lf_cache *cache, struct lf_text key)
{
	struct lf_flights *flights = cache->flights;
	struct lf_flight *flight;

	if (!atomic_load(&flights->count))
		return;
	(void)pthread_mutex_lock(&lock);
	flight = *place_of(flights, key, XXH3_64bits(key.data, key.len));
	if (flight && flight->leader)
		flight->outdated = true;
	(void)pthread_mutex_unlock(&lock);
}

unsigned lf_flights_waiting(struct lf_flights *flights, struct lf_text key)
{
	struct lf_flight *flight;
	unsigned waiting;

	(void)pthread_mutex_lock(&lock);
	flight = *place_of(flights, key, XXH3_64bits(key.data, key.len));
	waiting = flight ? flight->waiting : 0;
	(void)pthread_mutex_unlock(&lock);
	return waiting;
}
