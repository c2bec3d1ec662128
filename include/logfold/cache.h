/* The tiered cache: memory, SQLite, Redis and MongoDB behind one API.  Link with -llogfold-cache, or by
 * `pkg-config --cflags --libs logfold-cache`.
 *
 *   struct lf_cache_options options;
 *   lf_cache_options_init(&options);
 *   options.app = "shop";
 *   options.redis.url = "redis://127.0.0.1";
 *   lf_cache_open(&cache, &options, &err);
 *   lf_cache_space(&users, cache, "user", "acme", &err);
 *
 *   lf_cache_set(users, id, value, NULL, &err);
 *   if (lf_cache_get(users, id, &found, &err) == 1) {
 *           use(found.data, found.len);
 *           lf_cache_value_release(&found);
 *   }
 *   lf_cache_close(cache);
 *
 * Where what is.  What is kept under a key is a *record*: type, bytes, expiry, version, tags.  Every tier
 * keeps records and merges them by version, so that a late or repeated write changes nothing.  Reads go
 * down the tiers, and fill those above with what they find.  Commands that change what is there (incr,
 * hset, expire…) are done at the *home*: Redis, where it is off or away MongoDB, then SQLite, then memory;
 * the other tiers are then given the outcome.  While a home is away, two processes that do not share the
 * next one may each change a key: the later change stays.
 *
 * Keys.  A space is one type of one organisation of one app and environment; `app:env:type:org:id` is the
 * key that is kept, every part escaped, so that no bytes of one part can reach another's keys.
 *
 * Results.  1: there was something; 0: there was nothing, or it is done (each function says); a negative
 * errno is a failure, with one sentence in `err`:
 *
 *   -EINVAL      an argument is wrong: an empty or too long id, a name that is none, an unknown class
 *   -EPROTOTYPE  the key holds a value of the other type
 *   -EBADMSG     the value, or the field, is no integer
 *   -ERANGE      the result would be no 64-bit integer
 *   -EFBIG       the value is over value_max
 *   -ENOSPC      the memory tier is full, its policy is none, and no other tier could take it
 *   -ETIMEDOUT   it was not done by its deadline; a change may have been made, or may be made still
 *                of what is critical: nobody said in time what is there, or whether it was invalidated
 *   -EDEADLK     a loader waits for itself: it asked for its own key, or for one whose loader waits for it
 *   -EHOSTDOWN   no tier that could have done it is there
 *   -ECANCELED   the cache is disabled and the call has no loader, or it is being closed
 *   -ENOMEM
 *
 * Bytes.  Ids, values and fields are any bytes, NUL and what is not UTF-8 included; a value and a field
 * may be empty, an id may not.  Names (app, environment, type, organisation, tag) are any bytes, too.
 *
 * Times are milliseconds.  Expiry goes by options.clock_ms, deadlines by the monotonic clock.
 *
 * Threads: any number of threads may use one cache.  Not from signal handlers.  After fork() the child opens
 * its own and leaves its parent's alone; closing that one there is a mistake.
 */
#ifndef LOGFOLD_CACHE_H
#define LOGFOLD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/error.h"
#include "logfold/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
	LF_CACHE_ID_MAX = 1024,  /* bytes of an id, from 1 on */
	LF_CACHE_NAME_MAX = 128, /* bytes of a name, from 1 on */
	LF_CACHE_TAGS_MAX = 32,  /* of one value */
};

/* --- opening --------------------------------------------------------------------------------------- */

enum lf_cache_tier { LF_CACHE_MEMORY, LF_CACHE_SQLITE, LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_TIERS };

enum lf_cache_policy {
	LF_CACHE_LRU,
	LF_CACHE_LFU,
	LF_CACHE_FIFO,
	LF_CACHE_S3FIFO, /* Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023 */
	LF_CACHE_NONE,   /* never evicts: at its limit it refuses */
};

enum lf_cache_mode {
	LF_CACHE_THROUGH, /* a write returns when the tier has it, or is known to be away */
	LF_CACHE_BEHIND,  /* the tier gets it soon after; of several changes of one key, the last */
};

struct lf_cache_memory_options {
	bool off;
	enum lf_cache_policy policy;
	uint64_t max_entries; /* 0: no limit */
	uint64_t max_bytes;   /* keys, values and all that is needed to keep them; 0: no limit */
	unsigned shards;      /* a power of two; 0: chosen */
};

struct lf_cache_sqlite_options {
	bool off;
	const char *file; /* NULL or "": off, too */
	enum lf_cache_mode mode;
	size_t compress_min; /* values from this size on are compressed, where that helps; 0: none */
	int timeout_ms;
	int watch_ms;       /* how often it is looked for changes by other processes of this host; 0: not */
	int64_t care_ms;    /* how often ANALYZE and VACUUM are due; 0: never */
};

/* Redis or MongoDB.  `url` NULL or "": off. */
struct lf_cache_server_options {
	bool off;
	const char *url;      /* redis:// rediss:// unix://, or mongodb:// */
	const char *password; /* instead of the one in the url */
	const char *database; /* MongoDB */
	const char *tls_ca_file, *tls_certificate_file, *tls_key_file;
	enum lf_cache_mode mode;
	int timeout_ms, connect_timeout_ms; /* of one round trip, of connecting */
	unsigned pool_min, pool_max;
	size_t compress_min;
};

/* What holds for a type of values.  The type's name as in lf_cache_space(), NULL in the one that holds for
 * all others. */
struct lf_cache_class {
	const char *type;
	int64_t ttl_ms;      /* of values that are set without one; 0: they do not expire */
	unsigned jitter_pct; /* a TTL of this class is up to so much shorter, at random, 0 to 50 */
	int64_t stale_ms;    /* get_or_set: this long before its end a value is old: it is handed out, and loaded
	                      * anew in the background (stale while revalidate); 0: never */
	double early;        /* get_or_set: how eagerly a value is loaded anew before its end, 1.0 is usual, 0: not
	                      * (XFetch; Vattani, Chierichetti, Lowenstein: Optimal probabilistic cache stampede
	                      * prevention, VLDB 2015) */
	int64_t negative_ms; /* get_or_set: how long it is remembered that there is none; 0: not at all */
};

struct lf_cache_options {
	const char *app, *env; /* "default", "production" */
	struct lf_cache_memory_options memory;
	struct lf_cache_sqlite_options sqlite;
	struct lf_cache_server_options redis, mongo;

	const struct lf_cache_class *classes;
	size_t classes_count;
	/* Patterns (lf_cache_scan) of `type:org:id`, unescaped: what is set under such a key is critical. */
	const char *const *critical;
	size_t critical_count;
	size_t value_max; /* of a value, and of all fields of a hash */

	int deadline_ms;        /* of every call, loaders apart */
	int load_deadline_ms;   /* how long get_or_set waits for somebody else's loader */
	int lock_ttl_ms;        /* how long a loader has the fleet's lock; longer loads lose it */
	unsigned workers;       /* threads that refresh and warm */

	int health_interval_ms; /* how often a tier that is away is tried, and one that is there is asked */
	unsigned failures;      /* in a row, until a tier counts as away; a refused connection is enough */
	int backoff_min_ms, backoff_max_ms;
	int64_t unwatched_ms;   /* where other processes' changes are not told: how long memory is trusted */
	int64_t tombstone_ms;   /* how long it is remembered that a key was deleted */

	/* From when on lf_cache_health() is not content; as [health] in agent.toml. */
	unsigned hit_rate_degraded_pct, hit_rate_critical_pct;
	unsigned error_rate_degraded_pct, error_rate_critical_pct;
	int latency_degraded_ms, latency_critical_ms;
	unsigned memory_degraded_pct, memory_critical_pct;

	int64_t (*clock_ms)(void *arg); /* NULL: CLOCK_REALTIME.  Called by any thread */
	void *clock_arg;
};

/* The defaults: memory of 256 MiB under LRU, all else off. */
void lf_cache_options_init(struct lf_cache_options *options);

/* What the environment says comes before what is there: REDIS_HOST REDIS_PORT REDIS_USERNAME REDIS_PASSWORD
 * REDIS_DB REDIS_TLS, CACHE_DEFAULT_TTL (seconds), CACHE_HEALTH_CHECK_INTERVAL (seconds), and
 * LOGFOLD_CACHE_…, each of which the README lists; LOGFOLD_CACHE_ENV names the set of defaults, production or
 * development.  The texts are `*keep`'s, which the caller frees with lf_cache_environment_free() after
 * lf_cache_open().  -EINVAL: `err` names the variable. */
struct lf_cache_environment;
LF_MUST_CHECK int lf_cache_options_environment(struct lf_cache_options *options,
                                               struct lf_cache_environment **keep, struct lf_error *err);
void lf_cache_environment_free(struct lf_cache_environment *keep); /* NULL is fine */

struct lf_cache;
struct lf_cache_space;

/* Opens the tiers that are here (memory, SQLite) and begins to reach the others, without waiting for them
 * longer than their connect_timeout_ms: one that is away is no failure.  The options are copied. */
LF_MUST_CHECK int lf_cache_open(struct lf_cache **out, const struct lf_cache_options *options, struct lf_error *err);

/* Writes what is still to be written behind, within deadline_ms; ends its threads; frees all spaces.  Values
 * that were not released stay good.  NULL is fine.  No other call may be under way. */
void lf_cache_close(struct lf_cache *cache);

/* The same handle each time; it lives as long as the cache. */
LF_MUST_CHECK int lf_cache_space(struct lf_cache_space **out, struct lf_cache *cache, const char *type,
                                 const char *org, struct lf_error *err);
LF_MUST_CHECK int lf_cache_space_bytes(struct lf_cache_space **out, struct lf_cache *cache, struct lf_text type,
                                       struct lf_text org, struct lf_error *err);

/* --- strings --------------------------------------------------------------------------------------- */

/* A value that was read: it stays as it is until it is released, whatever becomes of its key. */
struct lf_cache_value {
	const char *data;
	size_t len;
	int64_t expires_ms;       /* by the cache's clock; 0: never */
	uint64_t version;         /* grows with every change of the key */
	uint64_t revision;        /* what lf_cache_set_if_newer() was given; else 0 */
	enum lf_cache_tier tier;  /* which one answered; LF_CACHE_TIERS: a loader */
	bool stale;               /* it is being loaded anew */
	void *record;             /* the cache's; NULL: nothing to release */
};
void lf_cache_value_release(struct lf_cache_value *value); /* may be done twice */

#define LF_CACHE_TTL_CLASS INT64_C(0)  /* that of the type's class */
#define LF_CACHE_TTL_NONE INT64_C(-1)  /* it does not expire */
#define LF_CACHE_TTL_KEEP INT64_C(-2)  /* that of the value before */

enum lf_cache_when { LF_CACHE_ALWAYS, LF_CACHE_IF_ABSENT, LF_CACHE_IF_PRESENT };

struct lf_cache_set {
	int64_t ttl_ms; /* over 0, or one of the three above */
	int64_t expires_ms; /* instead of it, where not 0: that point in time.  One that has passed deletes */
	enum lf_cache_when when;
	bool critical; /* even if no pattern says so */
	const struct lf_text *tags;
	size_t tags_count;
};

/* 1 and the value, or 0. */
LF_MUST_CHECK int lf_cache_get(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out,
                               struct lf_error *err);
/* 1: it is set, 0: `how->when` was against it.  `how` NULL: all zero.  What was there before, its type, TTL
 * and tags are gone.  A critical value is committed in the SQLite tier when this returns; without that
 * tier it is -EHOSTDOWN. */
LF_MUST_CHECK int lf_cache_set(struct lf_cache_space *space, struct lf_text id, struct lf_text value,
                               const struct lf_cache_set *how, struct lf_error *err);
/* 1 if it is newer than what is there by a number of the caller's own, a row's `updated_at` say; else 0.
 * Under a key that was not set so, any revision over 0 is newer. */
LF_MUST_CHECK int lf_cache_set_if_newer(struct lf_cache_space *space, struct lf_text id, struct lf_text value,
                                        uint64_t revision, const struct lf_cache_set *how, struct lf_error *err);
LF_MUST_CHECK int lf_cache_del(struct lf_cache_space *space, struct lf_text id, struct lf_error *err); /* 1: it was there */
LF_MUST_CHECK int lf_cache_exists(struct lf_cache_space *space, struct lf_text id, struct lf_error *err);

/* out[i].record is NULL where there is none, or a hash.  How many were there. */
LF_MUST_CHECK int lf_cache_mget(struct lf_cache_space *space, const struct lf_text *ids, size_t count,
                                struct lf_cache_value *out, struct lf_error *err);
/* All of them, or an error: then any part of them may be set.  0. */
LF_MUST_CHECK int lf_cache_mset(struct lf_cache_space *space, const struct lf_text *ids, const struct lf_text *values,
                                size_t count, const struct lf_cache_set *how, struct lf_error *err);

/* 0 and the number afterwards; a key that was not there counts as 0.  TTL and tags stay. */
LF_MUST_CHECK int lf_cache_incrby(struct lf_cache_space *space, struct lf_text id, int64_t by, int64_t *out, struct lf_error *err);
LF_MUST_CHECK int lf_cache_incr(struct lf_cache_space *space, struct lf_text id, int64_t *out, struct lf_error *err);
LF_MUST_CHECK int lf_cache_decr(struct lf_cache_space *space, struct lf_text id, int64_t *out, struct lf_error *err);
/* -ERANGE for INT64_MIN, as Redis has it. */
LF_MUST_CHECK int lf_cache_decrby(struct lf_cache_space *space, struct lf_text id, int64_t by, int64_t *out, struct lf_error *err);

/* --- expiry ---------------------------------------------------------------------------------------- */

/* 1, or 0: there is no such key.  A time that has passed deletes it. */
LF_MUST_CHECK int lf_cache_expire(struct lf_cache_space *space, struct lf_text id, int64_t ttl_ms, struct lf_error *err);
LF_MUST_CHECK int lf_cache_expire_at(struct lf_cache_space *space, struct lf_text id, int64_t at_ms, struct lf_error *err);
/* 1 and what is left, or LF_CACHE_TTL_NONE; 0: there is no such key. */
LF_MUST_CHECK int lf_cache_ttl(struct lf_cache_space *space, struct lf_text id, int64_t *ttl_ms, struct lf_error *err);
/* 1: it had a TTL. */
LF_MUST_CHECK int lf_cache_persist(struct lf_cache_space *space, struct lf_text id, struct lf_error *err);

/* --- hashes ---------------------------------------------------------------------------------------- */

struct lf_cache_field {
	struct lf_text name, value;
};

LF_MUST_CHECK int lf_cache_hget(struct lf_cache_space *space, struct lf_text id, struct lf_text field,
                                struct lf_cache_value *out, struct lf_error *err);
/* How many of the fields are new.  TTL and tags stay. */
LF_MUST_CHECK int lf_cache_hset(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_field *fields,
                                size_t count, struct lf_error *err);
/* How many there were.  Without a field the key is gone. */
LF_MUST_CHECK int lf_cache_hdel(struct lf_cache_space *space, struct lf_text id, const struct lf_text *fields,
                                size_t count, struct lf_error *err);
LF_MUST_CHECK int lf_cache_hexists(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_error *err);
/* 1 and all fields, for lf_cache_next_field(), or 0. */
LF_MUST_CHECK int lf_cache_hgetall(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out, struct lf_error *err);
/* `*at` is 0 at first.  The field is the value's. */
bool lf_cache_next_field(const struct lf_cache_value *hash, size_t *at, struct lf_cache_field *out);

/* --- all of a space -------------------------------------------------------------------------------- */

/* Ids that match a pattern of Redis's: * ? [a-z] [^a-z] \x; NULL: all.  A key that is there from beginning to
 * end comes at least once, others may or may not. */
struct lf_cache_scan;
LF_MUST_CHECK int lf_cache_scan_open(struct lf_cache_scan **out, struct lf_cache_space *space, const char *pattern, struct lf_error *err);
/* 1 and an id, good until the next call; 0: that was all.  -ETIMEDOUT: none was found in the time of a call; another
 * goes on from there. */
LF_MUST_CHECK int lf_cache_scan_next(struct lf_cache_scan *scan, struct lf_text *id, struct lf_error *err);
void lf_cache_scan_close(struct lf_cache_scan *scan); /* NULL is fine */

/* Nothing of this space is there when it returns. */
LF_MUST_CHECK int lf_cache_flush(struct lf_cache_space *space, struct lf_error *err);

/* --- tags and invalidation ------------------------------------------------------------------------- */

/* Values whose making began before the call are not handed out any more: in this process from its return on, in
 * others when they are told.  Tags are of one organisation.  0.  With a shared tier away it is kept in the
 * SQLite tier and sent later; -ETIMEDOUT, -EHOSTDOWN: that tier did not take it, so that it holds here, and elsewhere only
 * if this process lives to tell it.  A value that another process sets in the instant after, before it was told, may
 * be lost: to it, its tags are old. */
LF_MUST_CHECK int lf_cache_invalidate_tag(struct lf_cache *cache, struct lf_text org, struct lf_text tag, struct lf_error *err);
LF_MUST_CHECK int lf_cache_invalidate_tags(struct lf_cache *cache, struct lf_text org, const struct lf_text *tags, size_t count, struct lf_error *err);
LF_MUST_CHECK int lf_cache_invalidate_prefix(struct lf_cache_space *space, struct lf_text id_prefix, struct lf_error *err);
LF_MUST_CHECK int lf_cache_invalidate_type(struct lf_cache *cache, struct lf_text type, struct lf_error *err);
LF_MUST_CHECK int lf_cache_invalidate_org(struct lf_cache *cache, struct lf_text org, struct lf_error *err);

enum lf_cache_event {
	LF_CACHE_HIT, LF_CACHE_MISS, LF_CACHE_SET, LF_CACHE_DELETE, LF_CACHE_EXPIRE, LF_CACHE_EVICT,
	LF_CACHE_INVALIDATE, LF_CACHE_FAILOVER, LF_CACHE_RECOVER, LF_CACHE_EVENTS
};

struct lf_cache_notice {
	enum lf_cache_event event;
	enum lf_cache_tier tier;     /* that answered, evicted, was lost or came back */
	struct lf_cache_space *space; /* NULL: of none, or of one that this process does not use */
	struct lf_text id;           /* or the tag, prefix, type, organisation; empty: none */
	bool elsewhere;              /* another process did it */
};

/* Called in the thread where it happened, with no lock held: it may use the cache, should be quick, and must
 * not close it.  `events` is a sum of 1u << LF_CACHE_….  What is listened to costs time; what is not does not.
 * A number for lf_cache_unlisten(), or a negative errno. */
LF_MUST_CHECK int lf_cache_listen(struct lf_cache *cache, unsigned events,
                                  void (*told)(void *arg, const struct lf_cache_notice *notice), void *arg,
                                  struct lf_error *err);
void lf_cache_unlisten(struct lf_cache *cache, int number); /* it is not being called when this returns, unless by it */

/* The last invalidations, newest first: the SQLite tier keeps 10 000, memory alone 1000. */
struct lf_cache_log_line {
	int64_t at_ms;
	const char *what; /* "tag", "prefix", "type", "org", "flush" */
	struct lf_text org, name;
	bool elsewhere;
};
typedef int (*lf_cache_each_log)(void *arg, const struct lf_cache_log_line *line); /* not 0: enough */
LF_MUST_CHECK int lf_cache_log(struct lf_cache *cache, size_t max, lf_cache_each_log each, void *arg, struct lf_error *err);

/* --- get_or_set ------------------------------------------------------------------------------------ */

/* What a loader made.  Its value is copied when the loader returns, then `release` is called where there is one. */
struct lf_cache_loaded {
	struct lf_text value;
	struct lf_cache_set how; /* all zero before the call; `when` is of no use */
	void (*release)(struct lf_cache_loaded *loaded);
	void *data; /* the loader's */
};

/* Makes the value.  1: there is one; 0: there is none; a negative errno: it failed, with a sentence in `err`.
 * Runs in the thread of a caller, or for a refresh in one of the cache's, at times in several for different keys.
 * What it reads must be read after it was called, else an invalidation can be missed. */
typedef int (*lf_cache_loader)(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err);

struct lf_cache_load {
	lf_cache_loader load;
	void *arg; /* as long as the cache lives, if values may be loaded anew in the background */
	int wait_ms;       /* for somebody else's loader; 0: load_deadline_ms */
	bool fresh;        /* do not look, load */
};

/* The value, loaded where there is none: by one thread of this process, and by one process where Redis is there,
 * the others wait (-ETIMEDOUT).  1, or 0: the loader says there is none.  The loader's failure, with its sentence, is
 * that of all who waited for it, and nothing is kept.  A tier that fails does not: then the loader answers.  A key that
 * was changed, or a tag that was invalidated, while its value was made: only the caller whose loader it was gets that
 * value, it is not kept, and who waited starts over.  Disabled, each call runs its own loader.
 *
 * A loader may use the cache, get_or_set of other keys included; not in a circle: -EDEADLK, or where it goes by way of
 * other processes -ETIMEDOUT.  A class's `stale_ms` and `early` load in the background; where that fails the old value
 * stays until its end. */
LF_MUST_CHECK int lf_cache_get_or_set(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_load *load,
                                      struct lf_cache_value *out, struct lf_error *err);

/* The space's own loader, for lf_cache_fetch(), warming and rules.  To be set before they are used. */
void lf_cache_space_loader(struct lf_cache_space *space, lf_cache_loader load, void *arg);
LF_MUST_CHECK int lf_cache_fetch(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out, struct lf_error *err);

/* --- rules ----------------------------------------------------------------------------------------- */

/* "event user.changed with id N invalidates tag user:N and warms profile N".  In `tag` and `warm`, {id} stands for
 * the id.  Either may be NULL. */
struct lf_cache_rule {
	const char *event;
	const char *tag;
	struct lf_cache_space *space; /* whose organisation the tag is of, and whose loader warms */
	const char *warm;             /* an id of that space; loaded in the background */
};
LF_MUST_CHECK int lf_cache_rule(struct lf_cache *cache, const struct lf_cache_rule *rule, struct lf_error *err);
/* How many rules it set off.  Warming goes on after it returns. */
LF_MUST_CHECK int lf_cache_emit(struct lf_cache *cache, const char *event, struct lf_text id, struct lf_error *err);

/* --- warming, moving in and out --------------------------------------------------------------------- */

struct lf_cache_progress {
	uint64_t done, failed, total; /* done: with the failed; total 0: not known */
};
typedef void (*lf_cache_progressed)(void *arg, const struct lf_cache_progress *progress);

enum lf_cache_warm_from { LF_CACHE_WARM_LOADER, LF_CACHE_WARM_TIERS /* into memory, what a tier below it has */ };

struct lf_cache_warm {
	enum lf_cache_warm_from from;
	const struct lf_text *ids; /* copied */
	size_t count;
	/* Or, where `ids` is NULL: called until it returns 0, 1 comes with an id; NULL, too: all ids that the
	 * tiers have of the space. */
	int (*next)(void *arg, struct lf_text *id); /* by threads of the cache, one at a time; a negative errno ends it */
	lf_cache_progressed progressed; /* at times, and at the end; as `next`.  NULL is fine */
	void *arg;
};
struct lf_cache_warming;
/* Goes on in the background, in all of options.workers, between refreshes.  `out` NULL: nobody waits for it.  Closing the
 * cache ends it; a handle that was not waited for yet is still to be.  -EAGAIN: no worker has time. */
LF_MUST_CHECK int lf_cache_warm(struct lf_cache_warming **out, struct lf_cache_space *space,
                                const struct lf_cache_warm *warm, struct lf_error *err);
/* Waits (-1: until it is done) and says how far it is.  1: done, and `warming` is gone; -ETIMEDOUT: it goes on; another
 * errno: it ended before all was warm (what `next` said, -ECANCELED: the cache was closed), and is gone. */
LF_MUST_CHECK int lf_cache_warm_wait(struct lf_cache_warming *warming, int timeout_ms, struct lf_cache_progress *out, struct lf_error *err);

/* A space as lines of JSON, one record each:
 *   {"id": TEXT, "type": "string", "value": TEXT, "ttlMs": N, "tags": [TEXT…], "revision": N}
 *   {"id": TEXT, "type": "hash", "fields": [[TEXT, TEXT]…], …}
 * TEXT is a string, or {"base64": "…"} where the bytes are no UTF-8, or hold a NUL.  ttlMs is what is left; it is not
 * there in what does not expire.  What is critical has "critical": true.  A key that is changed meanwhile may come twice,
 * or not.  How many in *count, NULL is fine. */
LF_MUST_CHECK int lf_cache_export(struct lf_cache_space *space, void (*line)(void *arg, struct lf_text line), void *arg,
                                  uint64_t *count, struct lf_error *err);
/* One such line.  1, or 0: a newer revision is there.  -EINVAL says what is wrong with it.  What it does not name is as
 * lf_cache_set() would have it, but without `ttlMs` it does not expire; members of other names are ignored. */
LF_MUST_CHECK int lf_cache_import(struct lf_cache_space *space, struct lf_text line, struct lf_error *err);

/* Moves a table of the caller's own into the space: `next` gives key, value and remaining TTL (LF_CACHE_TTL_…)
 * until it returns 0.  Values that the cache has already, and what is changed or deleted there meanwhile, are newer
 * and stay.  Until all is in, what a read does not find it asks `lookup` for (1 and a value, as a loader): what is to be
 * deleted meanwhile goes from the table first.  Returns when the table is moved, and nobody looks into it any more.
 * How many were moved in *moved.  -EBUSY: another table is being moved there; what `next` or a value's set fails
 * with: the rest is not moved, and may be by another call. */
struct lf_cache_table {
	int (*next)(void *arg, struct lf_text *id, struct lf_text *value, int64_t *ttl_ms);
	lf_cache_loader lookup;
	void *arg;
};
LF_MUST_CHECK int lf_cache_adopt(struct lf_cache_space *space, const struct lf_cache_table *table, uint64_t *moved, struct lf_error *err);

/* --- how it is ------------------------------------------------------------------------------------- */

enum lf_cache_tier_state { LF_CACHE_TIER_OFF, LF_CACHE_TIER_UP, LF_CACHE_TIER_AWAY, LF_CACHE_TIER_SWITCHED_OFF };
enum lf_cache_health_state { LF_CACHE_HEALTHY, LF_CACHE_DEGRADED, LF_CACHE_CRITICAL };

struct lf_cache_tier_stats {
	enum lf_cache_tier_state state;
	uint64_t hits, misses;       /* of lookups that reached this tier */
	uint64_t stores, failures;   /* calls */
	uint64_t items, bytes;       /* that it holds of this app and environment; UINT64_MAX: it does not say */
	uint64_t limit_bytes;        /* 0: none known */
	uint64_t failovers, recoveries, reconnects, pings;
	uint64_t behind;             /* writes that wait */
	double load_p50_ms, load_p99_ms, store_p50_ms, store_p99_ms; /* since it was opened; memory: of one call in 64 */
	char trouble[256];           /* of its last failure; empty while it is up */
};

struct lf_cache_stats {
	bool enabled;
	uint64_t hits, misses, sets, deletes, expirations, evictions, invalidations;
	uint64_t loads, load_failures, load_waits, refreshes, negative_hits, stale_hits;
	uint64_t items, bytes;       /* of the memory tier */
	uint64_t pending;            /* critical writes and invalidations that a shared tier has yet to be told */
	uint64_t synced, sync_batches, sync_retries;
	double hit_rate_pct;         /* of hits and misses; 0 where there were none */
	struct lf_cache_tier_stats tier[LF_CACHE_TIERS];
};

void lf_cache_stats(struct lf_cache *cache, struct lf_cache_stats *out);

struct lf_cache_health {
	enum lf_cache_health_state state; /* as bad as the worst of the parts */
	enum lf_cache_health_state hit_rate, memory, tier[LF_CACHE_TIERS];
	char reason[256]; /* of the worst; empty: all is well */
};
void lf_cache_health(struct lf_cache *cache, struct lf_cache_health *out);

const char *lf_cache_tier_name(enum lf_cache_tier tier);   /* memory sqlite redis mongo */
const char *lf_cache_event_name(enum lf_cache_event event);
const char *lf_cache_health_name(enum lf_cache_health_state state);
const char *lf_cache_tier_state_name(enum lf_cache_tier_state state);

/* At once, for all threads.  Disabled, every lookup is a miss that asks no tier, and nothing is kept; what loaders
 * make is handed out.  Invalidations are kept all the same; a set or a delete changes nothing, so what the tiers had of
 * that key is there again when the cache is enabled. */
void lf_cache_enable(struct lf_cache *cache, bool on);

/* Switches a tier off, or on again: not away, but not used.  Switching on waits until the tier has been tried, for no
 * longer than its timeouts. */
LF_MUST_CHECK int lf_cache_switch(struct lf_cache *cache, enum lf_cache_tier tier, bool on, struct lf_error *err);

/* Waits until what is written behind is written, and what is pending is sent. */
LF_MUST_CHECK int lf_cache_settle(struct lf_cache *cache, int timeout_ms, struct lf_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
