/* Warming: as many at once as there are workers, some keys at a time each, so that refreshes come in between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/workers.h"

enum { SLICE = 16, TELL_MS = 100 };

struct lf_cache_warming {
	struct lf_cache_space *space;
	struct lf_cache_warm how;
	struct lf_text *ids;         /* ours, in one block with their bytes */
	struct lf_cache_scan *scan;
	pthread_mutex_t source;      /* held while an id is taken: `next` is called by one at a time */
	size_t at;
	bool exhausted;

	pthread_mutex_t lock;
	pthread_cond_t done;
	struct lf_cache_progress progress;
	int64_t told_ms;
	bool telling;
	unsigned lanes;              /* that go on */
	bool left;                   /* nobody waits for it any more, or ever did */
	int rc;
	struct lf_error err;
};

/* --- where the ids come from ----------------------------------------------------------------------- */

static int next_id(struct lf_cache_warming *warming, struct lf_text *id, struct lf_error *err)
{
	if (warming->ids) {
		if (warming->at == warming->how.count)
			return 0;
		*id = warming->ids[warming->at++];
		return 1;
	}
	if (warming->how.next)
		return warming->how.next(warming->how.arg, id);
	return lf_scan_on(warming->scan, id, err);
}

static int canceled(struct lf_error *err)
{
	return lf_fail(err, -ECANCELED, "the cache was closed before all was warm");
}

/* -ETIMEDOUT means to who waits that it goes on. */
static void fail(struct lf_cache_warming *warming, int rc, const struct lf_error *err)
{
	(void)pthread_mutex_lock(&warming->lock);
	warming->rc = rc == -ETIMEDOUT ? -EHOSTDOWN : rc;
	warming->err = *err;
	(void)pthread_mutex_unlock(&warming->lock);
}

/* Copies it: what `next` hands out is good until it is called again. */
static int take_id(struct lf_cache_warming *warming, char id[LF_CACHE_ID_MAX], size_t *len)
{
	struct lf_error err = { "" };
	struct lf_text text;
	int rc = 0;

	(void)pthread_mutex_lock(&warming->source);
	if (!warming->exhausted)
		rc = atomic_load(&warming->space->cache->closing) ? canceled(&err) : next_id(warming, &text, &err);
	warming->exhausted |= rc != 1;
	if (rc == 1) {
		*len = text.len <= LF_CACHE_ID_MAX ? text.len : 0; /* none that there can be: warming it fails */
		memcpy(id, text.data, *len);
	}
	(void)pthread_mutex_unlock(&warming->source);
	if (rc < 0)
		fail(warming, rc, &err);
	return rc == 1;
}

/* --- one of them ----------------------------------------------------------------------------------- */

static int warm_from_tiers(struct lf_cache_space *space, struct lf_text id)
{
	struct lf_record *record;
	enum lf_cache_tier from;
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, space->prefix, id, NULL);

	if (rc == 0)
		rc = lf_stack_find(space->cache, NULL, (struct lf_text){ key, len }, lf_stack_deadline(space->cache), &record,
		                   &from, NULL);
	if (rc == 1)
		lf_record_drop(record);
	return rc;
}

static int warm_by_loader(struct lf_cache_space *space, struct lf_text id)
{
	struct lf_cache_value value;
	int rc = lf_cache_fetch(space, id, &value, NULL);

	if (rc == 1)
		lf_cache_value_release(&value);
	return rc;
}

/* One thread tells at a time, so what is told only grows. */
static void tell(struct lf_cache_warming *warming, bool end)
{
	struct lf_cache_progress progress;
	int64_t now_ms = lf_clock_ms();

	(void)pthread_mutex_lock(&warming->lock);
	progress = warming->progress;
	if (!warming->how.progressed || warming->telling || (!end && now_ms - warming->told_ms < TELL_MS)) {
		(void)pthread_mutex_unlock(&warming->lock);
		return;
	}
	warming->telling = true;
	warming->told_ms = now_ms;
	(void)pthread_mutex_unlock(&warming->lock);
	warming->how.progressed(warming->how.arg, &progress);
	(void)pthread_mutex_lock(&warming->lock);
	warming->telling = false;
	(void)pthread_mutex_unlock(&warming->lock);
}

static void warm_one(struct lf_cache_warming *warming, struct lf_text id)
{
	int rc = warming->how.from == LF_CACHE_WARM_TIERS ? warm_from_tiers(warming->space, id) :
	                                                    warm_by_loader(warming->space, id);

	(void)pthread_mutex_lock(&warming->lock);
	warming->progress.done++;
	warming->progress.failed += rc < 0;
	(void)pthread_mutex_unlock(&warming->lock);
	tell(warming, false);
}

/* --- lanes ----------------------------------------------------------------------------------------- */

static void free_warming(struct lf_cache_warming *warming)
{
	(void)pthread_mutex_destroy(&warming->source);
	(void)pthread_mutex_destroy(&warming->lock);
	(void)pthread_cond_destroy(&warming->done);
	free(warming->ids);
	free(warming);
}

/* The last lane closes what the cache gave it, so a warming can be waited for even when the cache is closed. */
static void end_lane(struct lf_cache_warming *warming)
{
	bool last, left;

	(void)pthread_mutex_lock(&warming->lock);
	last = warming->lanes == 1;
	if (!last)
		warming->lanes--;
	(void)pthread_mutex_unlock(&warming->lock);
	if (!last)
		return;
	lf_cache_scan_close(warming->scan);
	tell(warming, true);
	(void)pthread_mutex_lock(&warming->lock);
	warming->lanes = 0;
	left = warming->left;
	(void)pthread_cond_broadcast(&warming->done);
	(void)pthread_mutex_unlock(&warming->lock);
	if (left)
		free_warming(warming);
}

static void run_lane(void *arg, bool given_up)
{
	struct lf_cache_warming *warming = arg;
	char id[LF_CACHE_ID_MAX];
	size_t len;

	do {
		for (int i = 0; i < SLICE && !given_up; i++) {
			if (!take_id(warming, id, &len)) {
				end_lane(warming);
				return;
			}
			warm_one(warming, (struct lf_text){ id, len });
		}
	} while (!given_up && lf_workers_run(warming->space->cache, run_lane, warming) < 0);
	if (given_up) {
		struct lf_error err;

		fail(warming, canceled(&err), &err);
		end_lane(warming);
	}
}

/* --- the calls ------------------------------------------------------------------------------------- */

static int copy_ids(struct lf_cache_warming *warming, const struct lf_cache_warm *warm)
{
	size_t bytes = 0, at = 0;
	char *texts;

	for (size_t i = 0; i < warm->count; i++)
		bytes += warm->ids[i].len;
	warming->ids = malloc((warm->count + 1) * sizeof(*warming->ids) + bytes);
	if (!warming->ids)
		return -ENOMEM;
	texts = (char *)(warming->ids + warm->count);
	for (size_t i = 0; i < warm->count; i++) {
		warming->ids[i] = (struct lf_text){ texts + at, warm->ids[i].len };
		memcpy(texts + at, warm->ids[i].data, warm->ids[i].len);
		at += warm->ids[i].len;
	}
	warming->progress.total = warm->count;
	return 0;
}

static struct lf_cache_warming *new_warming(struct lf_cache_space *space, const struct lf_cache_warm *warm)
{
	struct lf_cache_warming *warming = calloc(1, sizeof(*warming));
	pthread_condattr_t attributes;

	if (!warming)
		return NULL;
	warming->space = space;
	warming->how = *warm;
	warming->told_ms = lf_clock_ms();
	(void)pthread_mutex_init(&warming->source, NULL);
	(void)pthread_mutex_init(&warming->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&warming->done, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return warming;
}

/* Fewer lanes than were wanted is fine, none is not.  None of them ends before all are counted. */
static int start_lanes(struct lf_cache_warming *warming)
{
	struct lf_cache *cache = warming->space->cache;
	unsigned started = 0;

	(void)pthread_mutex_lock(&warming->source);
	while (started < cache->options.workers && lf_workers_run(cache, run_lane, warming) == 0)
		started++;
	warming->lanes = started;
	(void)pthread_mutex_unlock(&warming->source);
	return started ? 0 : -EAGAIN;
}

static int begin(struct lf_cache_warming *warming, const struct lf_cache_warm *warm, struct lf_error *err)
{
	int rc = 0;

	if (warm->ids)
		rc = copy_ids(warming, warm);
	else if (!warm->next)
		rc = lf_cache_scan_open(&warming->scan, warming->space, NULL, err);
	if (rc == -ENOMEM)
		return lf_fail(err, rc, "there is no memory for %zu ids to warm", warm->count);
	if (rc < 0)
		return rc;
	rc = start_lanes(warming);
	if (rc < 0)
		lf_cache_scan_close(warming->scan);
	return rc < 0 ? lf_fail(err, rc, "no worker has time for warming: see options.workers, or try again later") : 0;
}

int lf_cache_warm(struct lf_cache_warming **out, struct lf_cache_space *space, const struct lf_cache_warm *warm,
                  struct lf_error *err)
{
	struct lf_cache_warming *warming;
	int rc;

	if (warm->from == LF_CACHE_WARM_LOADER && !atomic_load_explicit(&space->loader, memory_order_acquire))
		return lf_fail(err, -EINVAL, "the space has no loader to warm it by: lf_cache_space_loader() comes first");
	warming = new_warming(space, warm);
	if (!warming)
		return lf_fail(err, -ENOMEM, "there is no memory for warming");
	warming->left = !out;
	rc = begin(warming, warm, err);
	if (rc < 0)
		free_warming(warming);
	else if (out)
		*out = warming;
	return rc;
}

int lf_cache_warm_wait(struct lf_cache_warming *warming, int timeout_ms, struct lf_cache_progress *out, struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct timespec end = { .tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000 };
	int rc = 0;
	bool ended;

	(void)pthread_mutex_lock(&warming->lock);
	while (warming->lanes && rc == 0)
		rc = timeout_ms < 0 ? -pthread_cond_wait(&warming->done, &warming->lock) :
		                      -pthread_cond_timedwait(&warming->done, &warming->lock, &end);
	ended = !warming->lanes;
	if (out)
		*out = warming->progress;
	(void)pthread_mutex_unlock(&warming->lock);
	if (!ended)
		return lf_fail(err, -ETIMEDOUT, "warming goes on");
	rc = warming->rc < 0 ? lf_fail(err, warming->rc, "%s", warming->err.text) : 1;
	free_warming(warming);
	return rc;
}
