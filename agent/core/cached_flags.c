/* What the store's changes mean for the copies. */
#include <string.h>

#include "agent/core/cached_internal.h"

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

/* In memory alone that takes no time, and cannot fail but for the want of memory: then the copies are as old as the
 * response's TTL. */
void lf_cached_store_changed(struct lf_cached *cached)
{
	struct lf_error err;

	if (lf_cache_invalidate_type(cached->own, text_of(LF_CACHED_TYPE), &err) < 0 ||
	    lf_cache_invalidate_tag(cached->own, text_of(LF_CACHED_HTTP), text_of(LF_CACHED_TAG), &err) < 0)
		lf_say(&cached->options.reporter, "%s", err.text);
}

/* ---- In the thread ---- */

static bool is_ending(struct lf_cached *cached)
{
	bool ending;

	(void)pthread_mutex_lock(&cached->lock);
	ending = cached->stopping;
	(void)pthread_mutex_unlock(&cached->lock);
	return ending;
}

/* A tier that does not hear it now is told when it is there again. */
static void forget_one(struct lf_cache *fleet, const char *namespace, const char *hash)
{
	struct lf_cache_space *space;

	if (lf_cache_space(&space, fleet, LF_CACHED_TYPE, namespace, NULL) < 0 ||
	    lf_cache_del(space, text_of(hash), NULL) < 0)
		return;
}

/* One entry in each turn: where the servers are slow, who else waits for the thread shall not wait for all of them, and
 * an end does not at all: what is not forgotten by then is not marked, so it is after the next start. */
static void forget(struct lf_cached *cached, struct lf_cached_job *job)
{
	struct lf_following *following = (struct lf_following *)job;
	struct lf_cache *fleet = lf_cached_fleet(cached);

	if (is_ending(cached))
		return;
	if (fleet)
		forget_one(fleet, following->entry[following->at].namespace, following->entry[following->at].hash);
	if (fleet && ++following->at < following->count) {
		lf_cached_put(cached, job);
		return;
	}
	atomic_store_explicit(&following->done, true, memory_order_release);
	cached->options.wake(cached->options.arg);
}

/* ---- In the main thread ---- */

static int note(void *arg, const struct lf_store_change *change)
{
	struct lf_following *following = arg;
	const struct lf_entry *entry = &change->entry;

	following->mark = (struct lf_store_mark){ change->flags_changed, change->row };
	if (entry->namespace.len > LF_NAMESPACE_MAX || entry->hash.len > LF_HASH_CHARS)
		return 0;
	(void)snprintf(following->entry[following->count].namespace, LF_NAMESPACE_MAX + 1, "%.*s",
	               (int)entry->namespace.len, entry->namespace.data);
	(void)snprintf(following->entry[following->count].hash, LF_HASH_CHARS + 1, "%.*s", (int)entry->hash.len,
	               entry->hash.data);
	following->count++;
	return 0;
}

static bool put_mark(struct lf_following *following, struct lf_store *store)
{
	struct lf_incarnation incarnation;
	struct lf_tier_mark mark = { .sequence = following->mark.changed };

	if (lf_store_incarnation(store, &incarnation, NULL) < 0)
		return false;
	memcpy(mark.epoch, incarnation.uuid, sizeof(mark.epoch));
	return lf_store_put_tier(store, "cache", &mark, NULL) == 0;
}

/* Of a store that it never followed, nothing is in the cache yet: it begins with what changes from now on. */
static void find_mark(struct lf_following *following, struct lf_store *store)
{
	struct lf_incarnation incarnation;
	struct lf_tier_mark mark;

	if (lf_store_incarnation(store, &incarnation, NULL) < 0 || lf_store_get_tier(store, "cache", &mark, NULL) < 0)
		return;
	following->mark = (struct lf_store_mark){ .changed = mark.sequence };
	following->known = true;
	if (strcmp(mark.epoch, incarnation.uuid) == 0)
		return;
	following->mark.changed = incarnation.drain_sequence;
	following->known = put_mark(following, store);
}

void lf_cached_follow(struct lf_cached *cached, struct lf_store *store)
{
	struct lf_following *following = cached->following;

	if (!cached->has_thread)
		return;
	if (following->running) {
		if (!atomic_exchange_explicit(&following->done, false, memory_order_acquire))
			return;
		following->running = false;
		(void)put_mark(following, store); /* else they are forgotten once more, after the next start */
	}
	if (!following->known)
		find_mark(following, store);
	following->count = following->at = 0;
	if (!following->known ||
	    lf_store_each_flags_changed(store, &following->mark, LF_FOLLOW_MAX, note, following, NULL) < 0 ||
	    following->count == 0)
		return;
	following->running = true;
	following->job.work = forget;
	lf_cached_put(cached, &following->job);
}
