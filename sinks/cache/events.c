/* Who listens to what.
 *
 * Listeners are walked with no lock held while one of them is called: each that is being called counts that, and none
 * is freed while anybody walks.  unlisten() marks a listener as gone and waits for its calls, unless it is called from one
 * of them.
 */
#include "sinks/cache/events.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct listener {
	struct listener *next;
	int number;
	unsigned events;
	void (*told)(void *arg, const struct lf_cache_notice *notice);
	void *arg;
	unsigned calls; /* under way */
	bool gone;
};

struct lf_listeners {
	_Atomic unsigned heard; /* what anybody listens to */
	pthread_mutex_t lock;
	pthread_cond_t returned; /* a call of one that is gone */
	struct listener *first;
	unsigned walks; /* under way */
	int last_number;
};

/* The calls that a thread is in, the innermost first: one listener may make another one hear something. */
struct call {
	const struct listener *of;
	const struct call *outer;
};
static _Thread_local const struct call *calling;

int lf_events_new(struct lf_cache *cache)
{
	struct lf_listeners *listeners = calloc(1, sizeof(*listeners));

	if (!listeners)
		return -ENOMEM;
	(void)pthread_mutex_init(&listeners->lock, NULL);
	(void)pthread_cond_init(&listeners->returned, NULL);
	cache->listeners = listeners;
	return 0;
}

void lf_events_free(struct lf_cache *cache)
{
	struct lf_listeners *listeners = cache->listeners;
	struct listener *listener, *next;

	if (!listeners)
		return;
	for (listener = listeners->first; listener; listener = next) {
		next = listener->next;
		free(listener);
	}
	(void)pthread_mutex_destroy(&listeners->lock);
	(void)pthread_cond_destroy(&listeners->returned);
	free(listeners);
	cache->listeners = NULL;
}

/* --- telling --------------------------------------------------------------------------------------- */

static bool is_heard(const struct lf_listeners *listeners, unsigned events)
{
	/* Who begins to listen while something happens may miss it. */
	return listeners && atomic_load_explicit(&listeners->heard, memory_order_relaxed) & events;
}

bool lf_event_heard(const struct lf_cache *cache, enum lf_cache_event event)
{
	return is_heard(cache->listeners, 1u << event);
}

/* With the lock held, which is let go meanwhile. */
static void call_one(struct lf_listeners *listeners, struct listener *listener, const struct lf_cache_notice *notice)
{
	struct call call = { listener, calling };

	listener->calls++;
	(void)pthread_mutex_unlock(&listeners->lock);
	calling = &call;
	listener->told(listener->arg, notice);
	calling = call.outer;
	(void)pthread_mutex_lock(&listeners->lock);
	listener->calls--;
	if (listener->gone)
		(void)pthread_cond_broadcast(&listeners->returned);
}

/* With the lock held, and nobody walking. */
static void free_gone(struct lf_listeners *listeners)
{
	struct listener **at = &listeners->first, *listener;

	while ((listener = *at) != NULL) {
		if (!listener->gone) {
			at = &listener->next;
			continue;
		}
		*at = listener->next;
		free(listener);
	}
}

static void tell(struct lf_listeners *listeners, const struct lf_cache_notice *notice)
{
	(void)pthread_mutex_lock(&listeners->lock);
	listeners->walks++;
	for (struct listener *listener = listeners->first; listener; listener = listener->next)
		if (!listener->gone && listener->events & 1u << notice->event)
			call_one(listeners, listener, notice);
	if (--listeners->walks == 0)
		free_gone(listeners);
	(void)pthread_mutex_unlock(&listeners->lock);
}

/* What happened elsewhere is counted there. */
static void count(struct lf_cache *cache, enum lf_cache_event event)
{
	static const enum lf_counter counters[LF_CACHE_EVENTS] = {
		[LF_CACHE_HIT] = LF_COUNT_HITS,
		[LF_CACHE_MISS] = LF_COUNT_MISSES,
		[LF_CACHE_SET] = LF_COUNT_SETS,
		[LF_CACHE_DELETE] = LF_COUNT_DELETES,
		[LF_CACHE_EXPIRE] = LF_COUNT_EXPIRATIONS,
		[LF_CACHE_EVICT] = LF_COUNT_EVICTIONS,
		[LF_CACHE_INVALIDATE] = LF_COUNT_INVALIDATIONS,
		[LF_CACHE_FAILOVER] = LF_COUNTERS,
		[LF_CACHE_RECOVER] = LF_COUNTERS, /* the manager's */
	};

	if (counters[event] != LF_COUNTERS)
		lf_count(cache->counters, counters[event], 1);
}

void lf_event(struct lf_cache *cache, const struct lf_cache_notice *notice)
{
	if (!notice->elsewhere)
		count(cache, notice->event);
	if (lf_event_heard(cache, notice->event))
		tell(cache->listeners, notice);
}

/* The id in a key, be it of a space that this process does not use: `out` has room for LF_CACHE_ID_MAX.  What is no key is
 * told as it is. */
static struct lf_text id_of(struct lf_text key, char *out)
{
	struct lf_text parts[5];
	size_t len;

	if (!lf_key_split(key, parts) || !lf_key_unescape(out, &len, parts[4]))
		return key;
	return (struct lf_text){ out, len };
}

void lf_event_key(struct lf_cache *cache, enum lf_cache_event event, enum lf_cache_tier tier, struct lf_text key, bool elsewhere)
{
	struct lf_cache_notice notice = { .event = event, .tier = tier, .elsewhere = elsewhere };
	char id[LF_CACHE_ID_MAX];

	if (!elsewhere)
		count(cache, event);
	if (!lf_event_heard(cache, event))
		return;
	notice.space = lf_space_of_key(cache, key);
	notice.id = id_of(key, id);
	tell(cache->listeners, &notice);
}

/* --- listening ------------------------------------------------------------------------------------- */

/* With the lock held. */
static void sum_up(struct lf_listeners *listeners)
{
	unsigned heard = 0;

	for (const struct listener *listener = listeners->first; listener; listener = listener->next)
		heard |= listener->gone ? 0 : listener->events;
	atomic_store_explicit(&listeners->heard, heard, memory_order_relaxed);
}

int lf_cache_listen(struct lf_cache *cache, unsigned events, void (*told)(void *arg, const struct lf_cache_notice *notice),
                    void *arg, struct lf_error *err)
{
	struct lf_listeners *listeners = cache->listeners;
	struct listener *listener;
	int number;

	if (!told || !events || events >> LF_CACHE_EVENTS)
		return lf_fail(err, -EINVAL, "who listens names a function and events: a sum of 1u << LF_CACHE_HIT and so on");
	listener = malloc(sizeof(*listener));
	if (!listener)
		return lf_fail(err, -ENOMEM, "there is no memory for a listener");
	*listener = (struct listener){ .events = events, .told = told, .arg = arg };
	(void)pthread_mutex_lock(&listeners->lock);
	number = listeners->last_number < INT_MAX ? ++listeners->last_number : -EOVERFLOW;
	listener->number = number;
	if (number > 0) {
		listener->next = listeners->first;
		listeners->first = listener;
		sum_up(listeners);
	}
	(void)pthread_mutex_unlock(&listeners->lock);
	if (number < 0) {
		free(listener);
		return lf_fail(err, number, "too many have listened to this cache: open it anew");
	}
	return number;
}

static bool is_called_from(const struct listener *listener)
{
	for (const struct call *call = calling; call; call = call->outer)
		if (call->of == listener)
			return true;
	return false;
}

static struct listener *find(const struct lf_listeners *listeners, int number)
{
	struct listener *listener = listeners->first;

	while (listener && (listener->number != number || listener->gone))
		listener = listener->next;
	return listener;
}

void lf_cache_unlisten(struct lf_cache *cache, int number)
{
	struct lf_listeners *listeners = cache->listeners;
	struct listener *listener;

	(void)pthread_mutex_lock(&listeners->lock);
	listener = find(listeners, number);
	if (listener) {
		listener->gone = true;
		sum_up(listeners);
		/* Counted as a walk, so that it is not freed before it is looked at again. */
		listeners->walks++;
		while (listener->calls && !is_called_from(listener))
			(void)pthread_cond_wait(&listeners->returned, &listeners->lock);
		if (--listeners->walks == 0)
			free_gone(listeners);
	}
	(void)pthread_mutex_unlock(&listeners->lock);
}
