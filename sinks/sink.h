/* A sink: where a tier receives the entry table.  The agent knows nothing of a tier but this.
 *
 * What is handed over is state, never an event: "incarnation I has counted N of entry E so far".  So
 * every call below may be repeated, reordered, cut off in the middle or raced by other agents, and the
 * tier still ends at the exact numbers:
 *
 *   counts   of one share merge by maximum, outcome by outcome.  The entry's counts are the sum of the
 *            shares that the tier was ever told.
 *   times    firstSeenAt by minimum, lastSeenAt by maximum
 *   flags    the higher pair (flagsVersion, then flagsWriter byte by byte) wins as a whole.  A person
 *            may set a field in the tier without touching the version: whoever reads it makes it a
 *            version of its own (agent/core/shipper.h), a sink never judges.
 *   identity is written once and never differs
 *
 * A sink is a module of its own, so that the agent starts without any client library:
 * `logfold-<name>.so` exports one object, `const struct lf_sink_ops lf_sink_module`.  sinks/memory.c is
 * the smallest complete one.
 *
 * A struct lf_sink belongs to one thread; two of one process do not share anything.  Every call that
 * reaches out ends within its timeout, whatever the server does, and fills `err` unless it is
 * LF_SINK_DONE: one sentence that names the server and the remedy, and never a password.  After a
 * failure the next call begins with a new connection where one is needed.
 */
#ifndef LOGFOLD_SINKS_SINK_H
#define LOGFOLD_SINKS_SINK_H

#include "logfold/entry.h"
#include "logfold/error.h"

struct lf_sink;

enum { LF_SINK_ABI = 1 };
#define LF_SINK_MODULE "lf_sink_module"

enum lf_sink_result {
	LF_SINK_DONE,     /* the tier has it */
	LF_SINK_RETRY,    /* not reached, too late, or nobody knows: the same again later */
	LF_SINK_REJECTED, /* the server answers and will not, until somebody changes something there or in
	                   * agent.toml: a wrong password, no permission, a bad certificate */
};

/* All a sink may be told; each takes what it has a use for.  Strings are the caller's, and live as
 * long as the sink.  NULL or 0: not given. */
struct lf_sink_options {
	const char *uri;      /* mongodb://…, redis://…, rediss://…, unix://… */
	const char *password; /* instead of the one in the uri */
	const char *database; /* mongo */
	const char *tls_ca_file, *tls_certificate_file, *tls_key_file;
	int connect_timeout_ms;
	int ttl_s;              /* of an entry that nobody renews */
	const char *host;       /* this machine, for people */
	const char *incarnation; /* who sends */
	const char *namespace;  /* the agent's own: where it keeps what is not of one entry */
	const char *collection; /* mongo: where read() finds the entries, instead of `entries` */
};

struct lf_sink_hello {
	/* The tier's own mark, made by whoever comes first, LF_UUID_CHARS: another one than last time means
	 * that the tier was emptied or is another server, and that it must be told all again. */
	char epoch[LF_UUID_CHARS + 1];
	/* The highest sequence that this incarnation ever sent; 0: none is known.  More than the store has
	 * committed means that the store was set back; less than it was told, that the tier was. */
	uint64_t sequence;
	bool notifies; /* watch() works here: found out by asking */
};

/* One entry to be merged. */
struct lf_sink_record {
	const struct lf_entry *entry; /* its counts are of no use: the shares are */
	bool flags_changed;           /* write the flags where the tier's pair is lower; in any case they are
	                               * written with an entry that the tier does not have yet */
	bool frozen;                  /* only identity and flags: counts and times there stay as they are */
	const struct lf_share *shares;
	size_t shares_count;
};

struct lf_sink_batch {
	const struct lf_sink_record *records;
	size_t count;
	uint64_t sequence; /* of the store, as of this batch; kept by maximum when all of it is in */
};

/* Receives an entry of the tier; its text lives until it returns.  flags_version -1 says that there is
 * no version, flags_writer may be empty.  `shares` is NULL unless asked for.  Another result than 0 ends
 * the reading, which is then LF_SINK_DONE. */
typedef int (*lf_sink_each)(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                            size_t shares_count);

enum lf_sink_what {
	LF_SINK_ALL,
	LF_SINK_FLAGGED, /* at least those with flags other than an entry is born with, or a version over 0 */
};

struct lf_sink_query {
	const char *namespace; /* never NULL */
	enum lf_sink_what what;
	const char *const *hashes; /* these only; NULL: all of the namespace */
	size_t hashes_count;
	bool with_shares;
};

/* A flag was changed, by whomever; hash NULL: nobody knows of which entry, or messages may have been
 * lost: read all again. */
typedef void (*lf_sink_changed)(void *arg, const char *namespace, const char *hash);

/* What the tier says of its own state.  -1: it does not say. */
struct lf_sink_state {
	int64_t used_bytes, limit_bytes;
};

struct lf_sink_ops {
	unsigned abi;     /* LF_SINK_ABI */
	const char *name; /* as in agent.toml */

	/* Takes the options apart and connects nothing.  -EINVAL: an option is wrong. */
	int (*open)(struct lf_sink **out, const struct lf_sink_options *options, struct lf_error *err);
	void (*close)(struct lf_sink *sink); /* NULL is fine */

	/* Reaches the server, by an operation that needs the permissions, and makes what the tier needs
	 * (indexes, its mark).  To be called before the others, and again after a failure. */
	enum lf_sink_result (*hello)(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
	                             struct lf_error *err);

	/* Merges; any part of the batch may already be there, and after a failure any part may be. */
	enum lf_sink_result (*flush)(struct lf_sink *sink, const struct lf_sink_batch *batch,
	                             int timeout_ms, struct lf_error *err);

	enum lf_sink_result (*read)(struct lf_sink *sink, const struct lf_sink_query *query,
	                            lf_sink_each each, void *arg, int timeout_ms, struct lf_error *err);

	/* Has lf_sink_record's that left the hot set go, but only those that no other incarnation counts
	 * in.  NULL: this tier keeps all. */
	enum lf_sink_result (*evict)(struct lf_sink *sink, const struct lf_sink_record *records,
	                             size_t count, int timeout_ms, struct lf_error *err);

	/* Work that the tier's documents need now and then (sums of shares).  *busy: there is more, or
	 * another agent is at it: call again within two seconds; false: nothing to do until the next flush,
	 * or the next hello(), since another agent may have died at work.  NULL: none. */
	enum lf_sink_result (*tend)(struct lf_sink *sink, const char *const *namespaces, size_t count,
	                            bool *busy, int timeout_ms, struct lf_error *err);

	/* From now on flags that change in these namespaces are told by changes().  NULL, like the next two,
	 * when the kind of tier cannot. */
	enum lf_sink_result (*watch)(struct lf_sink *sink, const char *const *namespaces, size_t count,
	                             int timeout_ms, struct lf_error *err);
	/* Readable when changes() has something; -1: it must be asked from time to time. */
	int (*watch_fd)(const struct lf_sink *sink);
	/* Tells what has come, without waiting.  A lost connection is LF_SINK_RETRY: watch again. */
	enum lf_sink_result (*changes)(struct lf_sink *sink, lf_sink_changed changed, void *arg,
	                               struct lf_error *err);

	/* NULL: the tier cannot say. */
	enum lf_sink_result (*state)(struct lf_sink *sink, struct lf_sink_state *out, int timeout_ms,
	                             struct lf_error *err);
};

#endif
