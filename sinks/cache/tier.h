/* A tier: where records are kept, by key.  The stack knows nothing of a tier but this, whether it is memory, SQLite or
 * a module (logfold-redis.so, logfold-mongo.so) that exports LF_TIER_MODULE.
 *
 * A tier compares versions, and never looks at what a record means: expired records, tombstones and those whose tags
 * were invalidated are handed out as any other, until it gets rid of what expired by itself.
 *
 * Threads: any may call, any number at once.  Every call ends by `end_ms` (lf_clock_ms()), or a little after.
 */
#ifndef LOGFOLD_SINKS_CACHE_TIER_H
#define LOGFOLD_SINKS_CACHE_TIER_H

#include "sinks/cache/record.h"

#define LF_TIER_MODULE "lf_tier_module" /* a const struct lf_tier_ops */

enum { LF_TIER_ABI = 1, LF_TIER_MARK_MAX = 128, LF_TIER_CURSOR_MAX = 4096, LF_TIER_PAGE_MAX = 1000 };

struct lf_tier; /* each tier's own */

enum lf_tier_result {
	LF_TIER_DONE,
	LF_TIER_AWAY,     /* not reached, too late, or nobody knows: what was to be changed may be changed */
	LF_TIER_REJECTED, /* it answers and will not, until somebody changes something there or here */
	LF_TIER_FULL,     /* nothing was stored: no room; SQLite: the disk */
};

struct lf_tier_options {
	const char *scope; /* `app:env:`, escaped: all keys begin with it */
	struct lf_version self; /* the clock is 0; `writer` tells our own changes from others' */
	size_t value_max;
	int64_t tombstone_ms;
	int64_t (*clock_ms)(void *arg); /* the cache's; never NULL */
	void *clock_arg;

	const struct lf_cache_memory_options *memory;
	const struct lf_cache_sqlite_options *sqlite;
	const struct lf_cache_server_options *server;

	/* Memory: a record went because its time was up or its room was needed.  Called with no lock held. */
	void (*left)(void *arg, struct lf_text key, const struct lf_record *record, enum lf_cache_event why);
	void *left_arg;
};

enum lf_tier_if {
	LF_IF_NEWER,   /* than what is there; nothing is older than anything */
	LF_IF_VERSION, /* what is there has `expected`; {0, 0}: nothing is there */
	LF_IF_LOCKED,  /* newer, and the lock of the key (lock()) is held under `token` */
};

enum lf_tier_stored { LF_STORED, LF_NOT_STORED /* the condition did not hold */ };

struct lf_tier_store {
	struct lf_text key;
	const struct lf_record *record;
	enum lf_tier_if condition;
	struct lf_version expected;
	uint64_t token;
	unsigned owed; /* SQLite: the tiers (1u << LF_CACHE_…) that are still to be told, noted in the same transaction */
	/* Out. */
	enum lf_tier_stored stored;
};

enum lf_tier_change_kind { LF_CHANGED_KEY, LF_CHANGED_STAMP, LF_CHANGED_PREFIX, LF_CHANGED_UNKNOWN /* messages were lost */ };

struct lf_tier_change {
	enum lf_tier_change_kind kind;
	struct lf_text name; /* the key, the stamp's name, the prefix */
	struct lf_version version; /* stamp: its clock is the stamp */
};

struct lf_tier_info {
	uint64_t items, bytes, limit_bytes; /* UINT64_MAX, UINT64_MAX, 0: it does not say */
	uint64_t reconnects;
	unsigned connections;
};

struct lf_tier_ops {
	unsigned abi;
	const char *name;

	/* Connects nothing.  -EINVAL: an option is wrong. */
	int (*open)(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err);
	void (*close)(struct lf_tier *tier);

	/* Reaches it by an operation that needs the permissions, and makes what is needed (tables, indexes, scripts).  The
	 * mark changes when the server was restarted or emptied: then it may have lost anything. */
	enum lf_tier_result (*ping)(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err);

	/* records[i]: the i-th key's with one user for the caller, or NULL.  What cannot be decoded is NULL, and gone. */
	enum lf_tier_result (*load)(struct lf_tier *tier, const struct lf_text *keys, size_t count, struct lf_record **records,
	                            int64_t end_ms, struct lf_error *err);
	/* Each by itself; where it fails, any of them may be stored.  Where others can be told they are, of every key. */
	enum lf_tier_result (*store)(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
	                             struct lf_error *err);
	/* Up to `max` keys with that prefix, each once or more; `cursor` is a NUL-terminated text, "" at first and when that
	 * was all.  keys: malloc()ed one by one, as is the list; the caller frees them. */
	enum lf_tier_result (*scan)(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
	                            char ***keys, size_t *count, int64_t end_ms, struct lf_error *err);
	/* Removes every record with that prefix whose version's clock is `upto` or less, and tells others.  The scope itself as
	 * a prefix means that somebody lost track, not that all is invalid: then what is critical stays (memory has copies, it
	 * may go there).  May take many round trips: a server that does not answer one of them in its timeout_ms is away. */
	enum lf_tier_result (*drop)(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms, struct lf_error *err);

	/* Stamps: named numbers that only ever rise.  A name that is not there is 0. */
	enum lf_tier_result (*stamps)(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out, int64_t end_ms,
	                              struct lf_error *err);
	/* Raises each to `to` and tells others; out[i] is what it is then: more than `to` where it was. */
	enum lf_tier_result (*raise)(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to, uint64_t *out,
	                             int64_t end_ms, struct lf_error *err);

	/* The fleet's lock of a key.  *token 0: somebody has it.  NULL: this tier has none. */
	enum lf_tier_result (*lock)(struct lf_tier *tier, struct lf_text key, int ttl_ms, uint64_t *token, int64_t end_ms, struct lf_error *err);
	enum lf_tier_result (*unlock)(struct lf_tier *tier, struct lf_text key, uint64_t token, int64_t end_ms, struct lf_error *err);

	/* From now on changes by others in the scope are told.  One thread at a time calls these three.  NULL: it cannot. */
	enum lf_tier_result (*watch)(struct lf_tier *tier, int64_t end_ms, struct lf_error *err);
	/* Waits for changes until `end_ms` or until `wake_fd` is readable.  AWAY: watch again; what came between is lost. */
	enum lf_tier_result (*changes)(struct lf_tier *tier, int wake_fd, void (*changed)(void *arg, const struct lf_tier_change *change),
	                               void *arg, int64_t end_ms, struct lf_error *err);

	/* A bounded step of what is to be done now and then: the expired, VACUUM.  *more: again soon.  NULL: nothing. */
	enum lf_tier_result (*tend)(struct lf_tier *tier, bool *more, int64_t end_ms, struct lf_error *err);
	enum lf_tier_result (*info)(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err);
};

#endif
