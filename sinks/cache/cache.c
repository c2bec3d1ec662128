/* Opening and closing: the parts, in an order in which each finds those that it uses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"
#include "sinks/cache/lines.h"
#include "sinks/cache/manager.h"
#include "sinks/cache/modules.h"
#include "sinks/cache/options.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/workers.h"

/* --- what the tiers are given ----------------------------------------------------------------------- */

/* A record of memory went by itself. */
static void left(void *arg, struct lf_text key, const struct lf_record *record, enum lf_cache_event why)
{
	(void)record;
	lf_event_key(arg, why, LF_CACHE_MEMORY, key, false);
}

static bool is_given(const struct lf_cache_options *options, enum lf_cache_tier which)
{
	switch (which) {
	case LF_CACHE_MEMORY:
		return !options->memory.off;
	case LF_CACHE_SQLITE:
		return lf_options_given(options->sqlite.off, options->sqlite.file);
	case LF_CACHE_REDIS:
		return lf_options_given(options->redis.off, options->redis.url);
	case LF_CACHE_MONGO:
		return lf_options_given(options->mongo.off, options->mongo.url);
	default:
		return false;
	}
}

static const struct lf_cache_server_options *server_options(const struct lf_cache_options *options,
                                                            enum lf_cache_tier which)
{
	return which == LF_CACHE_MONGO ? &options->mongo : &options->redis;
}

/* What memory and SQLite are is here; the others are modules. */
static int find_ops(enum lf_cache_tier which, const struct lf_tier_ops **out, struct lf_error *err)
{
	int rc;

	if (which == LF_CACHE_MEMORY) {
		*out = &lf_tier_memory;
		return 0;
	}
	if (which == LF_CACHE_SQLITE) {
		*out = &lf_tier_sqlite;
		return 0;
	}
	rc = lf_tier_find(which, out, err);
	if (rc)
		return rc;
	return (*out)->abi == LF_TIER_ABI ? 0 : lf_fail(err, -ENOEXEC, "the module of the %s tier is of another version",
	                                               lf_cache_tier_name(which));
}

static void describe(struct lf_stack_tier *tier, const struct lf_cache_options *options, enum lf_cache_tier which)
{
	tier->mode = LF_CACHE_THROUGH;
	tier->timeout_ms = 0;
	if (which == LF_CACHE_SQLITE) {
		tier->mode = options->sqlite.mode;
		tier->timeout_ms = options->sqlite.timeout_ms;
	} else if (which != LF_CACHE_MEMORY) {
		tier->mode = server_options(options, which)->mode;
		tier->timeout_ms = server_options(options, which)->timeout_ms;
	}
}

static int open_tier(struct lf_cache *cache, enum lf_cache_tier which, const struct lf_tier_ops *ops, struct lf_error *err)
{
	const struct lf_cache_options *options = &cache->options;
	struct lf_tier_options given = {
		.scope = cache->scope.data,
		.self = { 0, cache->writer },
		.value_max = options->value_max,
		.tombstone_ms = options->tombstone_ms,
		.clock_ms = options->clock_ms,
		.clock_arg = options->clock_arg,
		.memory = &options->memory,
		.sqlite = &options->sqlite,
		.server = server_options(options, which),
		.left = left,
		.left_arg = cache,
	};
	struct lf_stack_tier *tier = &cache->tier[which];
	bool on = is_given(options, which);
	int rc = 0;

	if (!on && which != LF_CACHE_MEMORY)
		return 0;
	if (!ops || which < LF_CACHE_REDIS)
		rc = find_ops(which, &ops, err);
	if (!rc)
		rc = ops->open(&tier->tier, &given, err);
	if (rc)
		return rc;
	describe(tier, options, which);
	if (on)
		tier->ops = ops;
	/* The others are up once they have answered: that is the manager's to say. */
	atomic_store_explicit(&tier->state,
	                      !on ? LF_CACHE_TIER_OFF : which == LF_CACHE_MEMORY ? LF_CACHE_TIER_UP : LF_CACHE_TIER_AWAY,
	                      memory_order_release);
	return 0;
}

/* --- opening --------------------------------------------------------------------------------------- */

static int make_scope(struct lf_cache *cache, struct lf_error *err)
{
	const struct lf_text names[] = { { cache->options.app, strlen(cache->options.app) },
		                         { cache->options.env, strlen(cache->options.env) } };
	char scope[LF_KEY_PREFIX_MAX];
	size_t len = 0;
	int rc = lf_key_prefix(scope, &len, names, 2, err);

	if (rc)
		return rc;
	cache->scope.data = strndup(scope, len);
	cache->scope.len = len;
	return cache->scope.data ? 0 : -ENOMEM;
}

/* No two opened caches have one: a version is of exactly one change. */
static uint64_t random_writer(void)
{
	uint64_t writer = 0;

	while (!writer)
		if (getrandom(&writer, sizeof(writer), 0) != sizeof(writer))
			writer = (uint64_t)lf_clock_ms() << 20 ^ (uint64_t)getpid() ^ (uint64_t)(uintptr_t)&writer;
	return writer;
}

/* What knows of no tier. */
static int make_parts(struct lf_cache *cache)
{
	cache->counters = lf_counters_new();
	if (!cache->counters || lf_stamps_new(cache) || lf_events_new(cache) || lf_rules_new(cache) ||
	    lf_invalidations_new(cache))
		return -ENOMEM;
	return 0;
}

static int make_threads(struct lf_cache *cache, struct lf_error *err)
{
	int rc = lf_outbox_new(cache, err);

	if (!rc)
		rc = lf_workers_new(cache);
	if (!rc)
		rc = lf_flights_new(cache);
	return rc ? rc : lf_manager_new(cache, err);
}

static int open_parts(struct lf_cache *cache, const struct lf_tier_ops *const ops[LF_CACHE_TIERS], struct lf_error *err)
{
	int rc = make_scope(cache, err);

	if (!rc)
		rc = make_parts(cache);
	for (int i = 0; !rc && i < LF_CACHE_TIERS; i++)
		rc = open_tier(cache, (enum lf_cache_tier)i, ops ? ops[i] : NULL, err);
	return rc ? rc : make_threads(cache, err);
}

int lf_cache_open_with(struct lf_cache **out, const struct lf_cache_options *options,
                       const struct lf_tier_ops *const ops[LF_CACHE_TIERS], struct lf_error *err)
{
	struct lf_cache *cache;
	int rc = lf_options_check(options, err);

	if (rc)
		return rc;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return lf_fail(err, -ENOMEM, "no memory for a cache");
	(void)pthread_mutex_init(&cache->spaces_lock, NULL);
	(void)pthread_mutex_init(&cache->spreading_lock, NULL);
	rc = lf_options_copy(&cache->options, options);
	if (!cache->options.clock_ms)
		cache->options.clock_ms = lf_memory_real_ms;
	cache->writer = random_writer();
	atomic_init(&cache->enabled, true);
	if (!rc)
		rc = open_parts(cache, ops, err);
	if (rc) {
		lf_cache_close(cache);
		return rc == -ENOMEM ? lf_fail(err, rc, "no memory for a cache") : rc;
	}
	*out = cache;
	return 0;
}

int lf_cache_open(struct lf_cache **out, const struct lf_cache_options *options, struct lf_error *err)
{
	return lf_cache_open_with(out, options, NULL, err);
}

/* --- closing --------------------------------------------------------------------------------------- */

/* Who makes work ends before who does it.  What the outbox still sends tells the manager how it went, whose threads in turn
 * look into the outbox: it ends first and is freed last. */
static void end_threads(struct lf_cache *cache)
{
	if (cache->workers)
		lf_workers_close(cache);
	if (cache->outbox)
		lf_outbox_close(cache, lf_clock_ms() + cache->options.deadline_ms);
	if (cache->manager)
		lf_manager_close(cache);
	/* Until then changes may be told, which look for flights, and whose listeners may want to warm. */
	lf_workers_free(cache);
	lf_flights_free(cache);
	lf_outbox_free(cache);
}

static void close_tiers(struct lf_cache *cache)
{
	for (int i = LF_CACHE_TIERS; i-- > 0;) {
		struct lf_stack_tier *tier = &cache->tier[i];

		if (i == LF_CACHE_MEMORY && tier->tier)
			lf_tier_memory.close(tier->tier);
		else if (tier->ops)
			tier->ops->close(tier->tier);
		tier->ops = NULL;
	}
}

static void free_spaces(struct lf_cache *cache)
{
	struct lf_cache_space *space = atomic_load_explicit(&cache->spaces, memory_order_relaxed), *next;

	for (; space; space = next) {
		next = space->next;
		free(space);
	}
}

void lf_cache_close(struct lf_cache *cache)
{
	if (!cache)
		return;
	atomic_store_explicit(&cache->closing, true, memory_order_release);
	end_threads(cache);
	close_tiers(cache);
	lf_invalidations_free(cache);
	lf_rules_free(cache);
	lf_events_free(cache);
	free_spaces(cache);
	lf_stamps_free(cache);
	lf_counters_free(cache->counters);
	lf_line_reader_free(atomic_load_explicit(&cache->line_reader, memory_order_relaxed));
	(void)pthread_mutex_destroy(&cache->spaces_lock);
	(void)pthread_mutex_destroy(&cache->spreading_lock);
	free((void *)(uintptr_t)cache->scope.data);
	lf_options_free(&cache->options);
	free(cache);
}

/* --- the rest -------------------------------------------------------------------------------------- */

void lf_cache_enable(struct lf_cache *cache, bool on)
{
	atomic_store_explicit(&cache->enabled, on, memory_order_release);
}

static bool is_owed(struct lf_cache *cache, enum lf_cache_tier which, int64_t end_ms)
{
	struct lf_owed *owed = NULL;
	size_t count = 0;

	if (!lf_tier_is_on(cache, which))
		return false;
	if (lf_sqlite_owed(cache->tier[LF_CACHE_SQLITE].tier, which, 1, &owed, &count, end_ms, NULL) != LF_TIER_DONE)
		return true;
	lf_owed_free(owed, count);
	return count > 0;
}

/* Whether something is owed to a tier of this cache: what is owed to one that is off now waits until it is on again. */
static bool is_pending(struct lf_cache *cache, int64_t end_ms)
{
	return lf_tier_is_on(cache, LF_CACHE_SQLITE) && lf_sqlite_owed_count(cache->tier[LF_CACHE_SQLITE].tier) > 0 &&
	       (is_owed(cache, LF_CACHE_REDIS, end_ms) || is_owed(cache, LF_CACHE_MONGO, end_ms));
}

int lf_cache_settle(struct lf_cache *cache, int timeout_ms, struct lf_error *err)
{
	static const struct timespec pause = { 0, 2000000 };
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	int rc = lf_outbox_settle(cache, end_ms);

	while (!rc && is_pending(cache, end_ms)) {
		if (lf_clock_ms() >= end_ms)
			rc = -ETIMEDOUT;
		lf_manager_poke(cache);
		(void)nanosleep(&pause, NULL);
	}
	return rc ? lf_fail(err, rc, "not all is told to the shared tiers after %d ms: lf_cache_stats() says which is away",
	                    timeout_ms) : 0;
}
