#include "agent/core/cached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/cache_setup.h"
#include "agent/core/cached_internal.h"

enum { OWN_BYTES = 8 * 1024 * 1024 };

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

/* ---- Entries ---- */

int lf_cached_get(struct lf_cache *cache, const char *namespace, const char *hash, struct lf_cache_value *out)
{
	struct lf_cache_space *space;

	if (!cache || lf_cache_space(&space, cache, LF_CACHED_TYPE, namespace, NULL) < 0)
		return 0;
	return lf_cache_get(space, text_of(hash), out, NULL) == 1;
}

void lf_cached_keep(struct lf_cache *cache, const char *namespace, const char *hash, struct lf_text json, int64_t ttl_ms)
{
	struct lf_cache_set how = { .ttl_ms = ttl_ms };
	struct lf_cache_space *space;

	if (!cache || lf_cache_space(&space, cache, LF_CACHED_TYPE, namespace, NULL) < 0)
		return;
	/* What is not kept is looked for again the next time; why it is not, the cache's health says. */
	(void)!lf_cache_set(space, text_of(hash), json, &how, NULL);
}

/* ---- The fleet's, in its thread ---- */

static void note_trouble(struct lf_cached *cached, const struct lf_error *err)
{
	(void)pthread_mutex_lock(&cached->lock);
	(void)snprintf(cached->trouble, sizeof(cached->trouble), "%s", err->text);
	(void)pthread_mutex_unlock(&cached->lock);
}

/* An address that is wrong is told by the tier that sends entries there, so that here it is only noted. */
static int open_without_servers(struct lf_cached *cached, struct lf_cache_options *options, struct lf_cache **fleet,
                                struct lf_error *err)
{
	if (options->redis.off && options->mongo.off)
		return -EINVAL;
	note_trouble(cached, err);
	options->redis.off = options->mongo.off = true;
	return lf_cache_open(fleet, options, err);
}

static int open_fleet(struct lf_cached *cached, struct lf_error *err)
{
	struct lf_cache_setup setup;
	struct lf_cache *fleet = NULL;
	int rc = lf_cache_setup_init(&setup, cached->options.config, cached->options.store_path, err);

	if (rc == 0) {
		rc = lf_cache_open(&fleet, &setup.options, err);
		if (rc < 0)
			rc = open_without_servers(cached, &setup.options, &fleet, err);
	}
	for (size_t i = 0; i < setup.options.classes_count; i++)
		if (!setup.options.classes[i].type)
			cached->ttl_ms = setup.options.classes[i].ttl_ms;
	lf_cache_setup_fini(&setup);
	atomic_store_explicit(&cached->fleet, fleet, memory_order_release);
	return rc;
}

static void tell_trouble(struct lf_cached *cached, const struct lf_error *err)
{
	lf_say(&cached->options.reporter, "the cache cannot be opened: %s; the agent goes on without it", err->text);
	note_trouble(cached, err);
}

/* NULL: it is time to end. */
static struct lf_cached_job *next_job(struct lf_cached *cached)
{
	struct lf_cached_job *job;

	(void)pthread_mutex_lock(&cached->lock);
	while (!cached->first && !cached->stopping)
		(void)pthread_cond_wait(&cached->come, &cached->lock);
	job = cached->stopping ? NULL : cached->first;
	if (job) {
		cached->first = job->next;
		if (!cached->first)
			cached->last = &cached->first;
	}
	(void)pthread_mutex_unlock(&cached->lock);
	return job;
}

static void *work(void *arg)
{
	struct lf_cached *cached = arg;
	struct lf_cached_job *job;
	struct lf_error err = { "" };

	if (open_fleet(cached, &err) < 0)
		tell_trouble(cached, &err);
	while ((job = next_job(cached)))
		job->work(cached, job);
	return NULL;
}

void lf_cached_put(struct lf_cached *cached, struct lf_cached_job *job)
{
	bool too_late;

	job->next = NULL;
	(void)pthread_mutex_lock(&cached->lock);
	too_late = !cached->has_thread || cached->stopping;
	if (!too_late) {
		*cached->last = job;
		cached->last = &job->next;
		(void)pthread_cond_signal(&cached->come);
	}
	(void)pthread_mutex_unlock(&cached->lock);
	if (too_late)
		job->work(cached, job);
}

struct lf_cache *lf_cached_fleet(struct lf_cached *cached)
{
	return atomic_load_explicit(&cached->fleet, memory_order_acquire); /* pairs with open_fleet() */
}

int64_t lf_cached_ttl_ms(const struct lf_cached *cached)
{
	return cached->ttl_ms;
}

bool lf_cached_is_on(const struct lf_cached *cached)
{
	return cached->has_thread;
}

struct lf_cache *lf_cached_own(struct lf_cached *cached)
{
	return cached->own;
}

/* ---- Life cycle ---- */

static int open_own(struct lf_cached *cached, struct lf_error *err)
{
	struct lf_cache_options options;

	lf_cache_options_init(&options);
	options.app = "logfold";
	options.env = "agent";
	options.memory.max_bytes = OWN_BYTES;
	return lf_cache_open(&cached->own, &options, err);
}

static int start(struct lf_cached *cached, struct lf_error *err)
{
	int rc;

	if (!cached->options.config->cache.enabled)
		return 0;
	cached->following = calloc(1, sizeof(*cached->following));
	if (!cached->following)
		return lf_fail(err, -ENOMEM, "there is no memory for the cache");
	rc = pthread_create(&cached->thread, NULL, work, cached);
	if (rc != 0)
		return lf_fail(err, -rc, "the cache cannot be started: %s", strerror(rc));
	cached->has_thread = true;
	return 0;
}

int lf_cached_new(struct lf_cached **out, const struct lf_cached_options *options, struct lf_error *err)
{
	struct lf_cached *cached = calloc(1, sizeof(*cached));
	int rc;

	if (!cached)
		return lf_fail(err, -ENOMEM, "there is no memory for the cache");
	cached->options = *options;
	cached->last = &cached->first;
	(void)pthread_mutex_init(&cached->lock, NULL);
	(void)pthread_cond_init(&cached->come, NULL);
	rc = open_own(cached, err);
	if (rc == 0)
		rc = start(cached, err);
	if (rc < 0)
		lf_cached_free(cached);
	else
		*out = cached;
	return rc;
}

/* What still waits finds no cache. */
static void work_off(struct lf_cached *cached)
{
	struct lf_cached_job *job, *next;

	for (job = cached->first; job; job = next) {
		next = job->next;
		job->work(cached, job);
	}
	cached->first = NULL;
}

void lf_cached_free(struct lf_cached *cached)
{
	struct lf_cache *fleet;

	if (!cached)
		return;
	if (cached->has_thread) {
		(void)pthread_mutex_lock(&cached->lock);
		cached->stopping = true;
		(void)pthread_cond_signal(&cached->come);
		(void)pthread_mutex_unlock(&cached->lock);
		(void)pthread_join(cached->thread, NULL);
	}
	fleet = atomic_exchange(&cached->fleet, NULL);
	work_off(cached);
	lf_cache_close(fleet);
	lf_cache_close(cached->own);
	(void)pthread_cond_destroy(&cached->come);
	(void)pthread_mutex_destroy(&cached->lock);
	free(cached->following);
	free(cached);
}

/* ---- How it is ---- */

void lf_cached_look(struct lf_cached *cached, struct lf_cached_state *out)
{
	struct lf_cache *fleet = lf_cached_fleet(cached);

	*out = (struct lf_cached_state){ .on = cached->options.config->cache.enabled, .open = fleet != NULL };
	(void)pthread_mutex_lock(&cached->lock);
	(void)memcpy(out->trouble, cached->trouble, sizeof(out->trouble));
	(void)pthread_mutex_unlock(&cached->lock);
	if (!fleet)
		return;
	lf_cache_stats(fleet, &out->stats);
	lf_cache_health(fleet, &out->health);
}
