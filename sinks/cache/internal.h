/* What the files of the stack share.  The parts, from below:
 *
 *   call      one call of one tier: whether it may be made, by when, how long it took, what a failure means
 *   stamps    what is known of tags, types, organisations and prefixes, and so whether a record is valid
 *   read      down the tiers, and up again with what was found
 *   change    a command at the home, its outcome to the others
 *   outbox    what tiers are still to be told, where SQLite does not keep it
 *   manager   which tiers are there: health checks, failover, recovery, sync, changes told by others
 *   load      get_or_set: flights, the fleet's lock, refreshing
 */
#ifndef LOGFOLD_SINKS_CACHE_INTERNAL_H
#define LOGFOLD_SINKS_CACHE_INTERNAL_H

#include <pthread.h>

#include "sinks/cache/counters.h"
#include "sinks/cache/key.h"
#include "sinks/cache/memory.h"
#include "sinks/cache/sqlite.h"

struct lf_stamp; /* stamps.h */

struct lf_cache_space {
	struct lf_cache *cache;
	struct lf_cache_space *next;
	struct lf_text type, org;     /* as given */
	struct lf_text prefix;        /* `app:env:type:org:`, escaped */
	struct lf_cache_class class;
	struct lf_stamp *type_stamp, *org_stamp; /* live as long as the cache */
	_Atomic(lf_cache_loader) loader;
	void *loader_arg;
	/* Who looks into the table counts itself in `adopting_users` before it loads `adopting`, and out afterwards; who
	 * moved it in sets it NULL and waits for 0 (both sequentially consistent), before the table may go. */
	_Atomic(const struct lf_cache_table *) adopting; /* NULL: nothing is moved in */
	_Atomic unsigned adopting_users;
	struct lf_cache_space *in_bucket;
};

/* One tier of the stack.  `ops` NULL: it is off.  Memory's `tier` is open even then: its tickets are what keeps late
 * writes out of SQLite, too.
 *
 * A key that was changed elsewhere is first taken from memory (lf_memory_remove, which ends its tickets), and then no
 * longer trusted in SQLite (lf_sqlite_distrust): a reader or writer puts its record into SQLite first and looks at its
 * ticket afterwards, so one of the two notices. */
struct lf_stack_tier {
	const struct lf_tier_ops *ops;
	struct lf_tier *tier;
	enum lf_cache_mode mode;
	int timeout_ms;
	_Atomic int state; /* enum lf_cache_tier_state; the manager's to set */
};

enum { LF_SPACE_BUCKETS = 1024 };

struct lf_cache {
	struct lf_cache_options options; /* every text is the cache's own */
	uint64_t writer;
	_Atomic uint64_t clock;          /* of the last version given or seen */
	_Atomic bool enabled, closing;
	_Atomic unsigned losses;         /* how often a shared tier was found to have lost what it had */
	struct lf_stack_tier tier[LF_CACHE_TIERS];
	struct lf_text scope;            /* `app:env:`, escaped */

	pthread_mutex_t spreading_lock;
	struct lf_spread *_Atomic spreading; /* spread.c; changed and gone through under the lock */

	pthread_mutex_t spaces_lock;
	struct lf_cache_space *_Atomic spaces; /* all, by `next`; they only become more */
	struct lf_cache_space *_Atomic buckets[LF_SPACE_BUCKETS];

	struct lf_stamps *stamps;
	struct lf_outbox *outbox;
	struct lf_manager *manager;
	struct lf_workers *workers;
	struct lf_flights *flights;
	struct lf_listeners *listeners;
	struct lf_rules *rules;
	struct lf_invalidations *invalidations; /* the log in memory */
	struct lf_counters *counters;
	_Atomic(struct lf_line_reader *) line_reader; /* transfer.c; NULL: none was needed, or it is in use */
};

static inline int64_t lf_cache_now(const struct lf_cache *cache)
{
	return cache->options.clock_ms(cache->options.clock_arg);
}

/* --- cache.c --------------------------------------------------------------------------------------- */

/* lf_cache_open() with a Redis and a MongoDB of the caller's: where ops[i] is NULL it is the usual one. */
LF_MUST_CHECK int lf_cache_open_with(struct lf_cache **out, const struct lf_cache_options *options,
                                     const struct lf_tier_ops *const ops[LF_CACHE_TIERS], struct lf_error *err);

/* --- spaces.c -------------------------------------------------------------------------------------- */

/* The space that the key is of: NULL where this process does not use it. */
struct lf_cache_space *lf_space_of_key(const struct lf_cache *cache, struct lf_text key);
/* The id in a key of that space, into `out`, which has room for LF_CACHE_ID_MAX.  False: it is none. */
bool lf_space_id(const struct lf_cache_space *space, struct lf_text key, char *out, size_t *len);

/* --- scan.c ---------------------------------------------------------------------------------------- */

/* lf_cache_scan_next() for who goes through all: where nothing is found for longer than a call may take it goes on, as
 * long as it gets ahead. */
LF_MUST_CHECK int lf_scan_on(struct lf_cache_scan *scan, struct lf_text *id, struct lf_error *err);

/* --- clock.c --------------------------------------------------------------------------------------- */

struct lf_version lf_version_next(struct lf_cache *cache);
void lf_version_seen(struct lf_cache *cache, uint64_t clock); /* the next one is later */

/* --- read.c ---------------------------------------------------------------------------------------- */

/* What is there under a full key and valid: a string, a hash or a negative, not expired.  1 with one user for the caller,
 * 0, or a negative errno.  `space` NULL: no events, no counts, and a table that is being moved in is not
 * asked.  A negative counts as a hit. */
LF_MUST_CHECK int lf_stack_find(struct lf_cache *cache, struct lf_cache_space *space, struct lf_text key, int64_t end_ms,
                                struct lf_record **out, enum lf_cache_tier *from, struct lf_error *err);

/* --- change.c -------------------------------------------------------------------------------------- */

/* Where read-modify-write happens now: Redis, MongoDB, SQLite, memory, the first that is up; LF_CACHE_TIERS: none. */
enum lf_cache_tier lf_stack_home(struct lf_cache *cache);

/* Runs the command at the home, tries again where somebody else was faster, tells the others. */
struct lf_command;
struct lf_command_result;
LF_MUST_CHECK int lf_stack_change(struct lf_cache_space *space, struct lf_text key, const struct lf_command *command,
                                  int64_t end_ms, struct lf_command_result *out, struct lf_error *err);

/* Stores a record that was made elsewhere (a loader, an import) in all tiers, if it is newer; with a token, if the fleet's
 * lock is still held.  With `begun` (NULL is fine) memory, which keeps no tombstones, takes it only if the key was not
 * changed since; a loader's record has begun->version.  1: it is stored, 0: something newer is there, or the lock is lost. */
struct lf_begun;
LF_MUST_CHECK int lf_stack_store(struct lf_cache_space *space, struct lf_text key, const struct lf_record *record, uint64_t token,
                                 const struct lf_begun *begun, int64_t end_ms, struct lf_error *err);

/* A command of SET from what a user gave: class TTL with jitter, critical patterns, stamps of tags.  `tags` has room for
 * LF_CACHE_TAGS_MAX and must live as long as the command.  `begun` NULL: the value's making begins now. */
LF_MUST_CHECK int lf_stack_prepare(struct lf_cache_space *space, struct lf_text id, struct lf_text value,
                                   const struct lf_cache_set *how, const struct lf_begun *begun, int64_t end_ms,
                                   struct lf_record_tag *tags, struct lf_command *out, struct lf_error *err);

/* Whether a pattern of options.critical says so. */
bool lf_stack_is_critical(const struct lf_cache_space *space, struct lf_text id);

/* The value as the caller gets it; takes the record over. */
void lf_stack_hand_out(struct lf_record *record, struct lf_text value, enum lf_cache_tier from, struct lf_cache_value *out);

/* By when a call has to be over (lf_clock_ms()). */
int64_t lf_stack_deadline(const struct lf_cache *cache);

#endif
