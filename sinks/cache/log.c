/* The log of invalidations: the last of this process in memory, and what SQLite keeps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"

enum { KEPT = 1000 };

struct kept {
	int64_t at_ms;
	const char *what;
	char *texts; /* org, then name; NULL: nothing is here */
	size_t org_len, name_len;
	bool elsewhere;
};

struct lf_invalidations {
	pthread_mutex_t lock;
	struct kept lines[KEPT]; /* a ring */
	size_t next;
};

int lf_invalidations_new(struct lf_cache *cache)
{
	struct lf_invalidations *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	(void)pthread_mutex_init(&log->lock, NULL);
	cache->invalidations = log;
	return 0;
}

static void free_lines(struct kept *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(lines[i].texts);
}

void lf_invalidations_free(struct lf_cache *cache)
{
	if (!cache->invalidations)
		return;
	free_lines(cache->invalidations->lines, KEPT);
	(void)pthread_mutex_destroy(&cache->invalidations->lock);
	free(cache->invalidations);
	cache->invalidations = NULL;
}

/* --- noting ---------------------------------------------------------------------------------------- */

/* The names of what is logged are these, and the caller's text need not live as long. */
static const char *known(const char *what)
{
	static const char *const all[] = { "tag", "prefix", "type", "org", "flush" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i], what) == 0)
			return all[i];
	return "";
}

/* False: no memory. */
static bool keep(const struct lf_cache_log_line *line, struct kept *out)
{
	char *texts = malloc(line->org.len + line->name.len + 1);

	if (!texts)
		return false;
	if (line->org.len)
		memcpy(texts, line->org.data, line->org.len);
	if (line->name.len)
		memcpy(texts + line->org.len, line->name.data, line->name.len);
	*out = (struct kept){ line->at_ms, known(line->what), texts, line->org.len, line->name.len, line->elsewhere };
	return true;
}

static void note_in_memory(struct lf_invalidations *log, const struct lf_cache_log_line *line)
{
	struct kept kept, old;

	if (!keep(line, &kept))
		return;
	(void)pthread_mutex_lock(&log->lock);
	old = log->lines[log->next];
	log->lines[log->next] = kept;
	log->next = (log->next + 1) % KEPT;
	(void)pthread_mutex_unlock(&log->lock);
	free(old.texts);
}

static int64_t sqlite_end(const struct lf_cache *cache)
{
	return lf_clock_ms() + cache->tier[LF_CACHE_SQLITE].timeout_ms;
}

/* What is not written into the log was done all the same. */
void lf_invalidations_note(struct lf_cache *cache, const struct lf_cache_log_line *line, int64_t end_ms)
{
	struct lf_error err;

	note_in_memory(cache->invalidations, line);
	if (lf_tier_is_up(cache, LF_CACHE_SQLITE) &&
	    lf_sqlite_log_add(cache->tier[LF_CACHE_SQLITE].tier, line, end_ms, &err) != LF_TIER_DONE)
		return;
}

/* --- reading --------------------------------------------------------------------------------------- */

/* A copy of the last `max`, newest first: who is told of them may use the cache.  False: no memory. */
static bool copy(struct lf_invalidations *log, size_t max, struct kept *out, size_t *count)
{
	bool enough = true;

	*count = 0;
	(void)pthread_mutex_lock(&log->lock);
	for (size_t i = 1; i <= KEPT && *count < max && enough; i++) {
		const struct kept *kept = &log->lines[(log->next + KEPT - i) % KEPT];
		struct lf_cache_log_line line = { kept->at_ms, kept->what, { kept->texts, kept->org_len },
		                                  { kept->texts + kept->org_len, kept->name_len }, kept->elsewhere };

		if (!kept->texts)
			break;
		enough = keep(&line, &out[*count]);
		*count += enough;
	}
	(void)pthread_mutex_unlock(&log->lock);
	return enough;
}

static int tell_all(struct lf_invalidations *log, size_t max, lf_cache_each_log each, void *arg, struct lf_error *err)
{
	struct kept *lines = calloc(KEPT, sizeof(*lines));
	size_t count = 0;
	int rc = 0;

	if (!lines || !copy(log, max, lines, &count))
		rc = lf_fail(err, -ENOMEM, "there is no memory to read the log of invalidations");
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct kept *kept = &lines[i];
		struct lf_cache_log_line line = { kept->at_ms, kept->what, { kept->texts, kept->org_len },
		                                  { kept->texts + kept->org_len, kept->name_len }, kept->elsewhere };

		if (each(arg, &line) != 0)
			break;
	}
	if (lines)
		free_lines(lines, count);
	free(lines);
	return rc;
}

int lf_cache_log(struct lf_cache *cache, size_t max, lf_cache_each_log each, void *arg, struct lf_error *err)
{
	struct lf_error why;

	if (lf_tier_is_up(cache, LF_CACHE_SQLITE) &&
	    lf_sqlite_log(cache->tier[LF_CACHE_SQLITE].tier, max, each, arg, sqlite_end(cache), &why) == LF_TIER_DONE)
		return 0;
	return tell_all(cache->invalidations, max, each, arg, err);
}
