/* The agent's two caches.
 *
 * The *fleet's*: the tiered cache of agent.toml's [cache] (memory, cache.db, and Redis and MongoDB where they are
 * enabled).  In it is what the fleet's tiers said of entries that this agent's store does not have: a space of
 * type "entry", the namespace as organisation, the hash as id, the entry as agent/core/json.h writes it.  An
 * entry that is in there costs a lookup nanoseconds, is still there after a restart, is found by every agent of the
 * fleet, and when any of the tiers is gone.
 *
 * Its own: memory alone, of this agent's own rows (type "entry", too) and of the responses of its HTTP server.  The
 * store is the truth for what it has: whenever it changes, all copies of its rows are invalidated, and so are responses
 * with the tag "entries".
 *
 * Only the fleet's cache may have to wait for something, so it has a thread of its own: jobs are put there, and are
 * worked off in their order.  What is not there yet, or off, is not waited for.
 */
#ifndef LOGFOLD_CORE_CACHED_H
#define LOGFOLD_CORE_CACHED_H

#include "agent/config/config.h"
#include "agent/core/reporter.h"
#include "agent/store/store.h"
#include "logfold/cache.h"

#define LF_CACHED_TYPE "entry"
#define LF_CACHED_HTTP "http" /* the responses' organisation */
#define LF_CACHED_TAG "entries"

struct lf_cached;

/* Embedded in what is to be done.  `work` is called once, in the thread of the fleet's cache, or when that ends. */
struct lf_cached_job {
	void (*work)(struct lf_cached *cached, struct lf_cached_job *job);
	struct lf_cached_job *next;
};

struct lf_cached_options {
	const struct lf_config *config; /* outlives it */
	const char *store_path;
	struct lf_reporter reporter;    /* called from its thread, too */
	void (*wake)(void *arg);        /* from any thread: have lf_cached_follow() called */
	void *arg;
};

/* Opens its own cache; the fleet's is opened by its thread, and one that cannot be is told.  -ENOMEM. */
LF_MUST_CHECK int lf_cached_new(struct lf_cached **out, const struct lf_cached_options *options, struct lf_error *err);
/* Jobs that still wait are worked off as if the fleet's cache were off.  NULL is fine. */
void lf_cached_free(struct lf_cached *cached);

void lf_cached_put(struct lf_cached *cached, struct lf_cached_job *job); /* from any thread */

/* NULL: it is off, or not open (yet, or any more).  Good inside a job. */
struct lf_cache *lf_cached_fleet(struct lf_cached *cached);
int64_t lf_cached_ttl_ms(const struct lf_cached *cached); /* of what is kept there for LF_CACHE_TTL_CLASS; inside a job */
bool lf_cached_is_on(const struct lf_cached *cached); /* whether it is worth asking */
struct lf_cache *lf_cached_own(struct lf_cached *cached);

/* A copy of an entry; the value is to be released. */
LF_MUST_CHECK int lf_cached_get(struct lf_cache *cache, const char *namespace, const char *hash,
                                struct lf_cache_value *out);
/* For `ttl_ms`, or LF_CACHE_TTL_CLASS.  One that cannot be kept is as good as forgotten. */
void lf_cached_keep(struct lf_cache *cache, const char *namespace, const char *hash, struct lf_text json, int64_t ttl_ms);

/* --- The main thread's ----------------------------------------------------------------------------- */

/* The store has changed: all that its own cache has of it is gone when this returns. */
void lf_cached_store_changed(struct lf_cached *cached);

/* Flags of entries have changed in the store: the fleet's copies of those go, too.  How far it went is the tier
 * "cache" in the store, so that what changes while no agent runs is not missed. */
void lf_cached_follow(struct lf_cached *cached, struct lf_store *store);

/* --- How it is -------------------------------------------------------------------------------------- */

struct lf_cached_state {
	bool on;             /* by the configuration */
	bool open;
	char trouble[512];   /* why it is not, or not with its servers; empty, and not open: it is being opened */
	struct lf_cache_stats stats;
	struct lf_cache_health health;
};
/* May ask its tiers: not in the main thread. */
void lf_cached_look(struct lf_cached *cached, struct lf_cached_state *out);

#endif
