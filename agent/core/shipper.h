/* A shipper: the thread that keeps one tier up to date with the store, and the store with the tier's
 * flags.
 *
 * Numbers go out: what changed in the store behind the sequence that the tier was told last is sent as
 * absolute state (sinks/sink.h), batch by batch; a tier that was emptied or replaced (another epoch), or that
 * has less than it was told, is told all again.  Nothing is queued: while the tier is away, what waits is the store itself.  A hot tier
 * (max_entries > 0) holds only the entries that changed last, among equals the most frequent; they are
 * renewed at half their time to live, and what leaves the set is evicted.
 *
 * Flags go both ways.  They are read again when the tier tells of a change, at every connection and at
 * every poll; what is newer there is adopted by the store, and the agent is told, so that it publishes.
 * What was set by hand, a changed value under an unchanged version, becomes a version of our own
 * (lf_store_adopt_flags()).  The store's flags, when newer, are sent like any other change.
 *
 * A store that the tier has been told more of than it holds was set back: a new incarnation begins.
 *
 * Every call has a deadline, and a circuit breaker stands between.  The thread has its own connection to
 * the store; a store that was replaced is opened anew.  What goes wrong is told once, when it begins, and
 * again when it is over.
 */
#ifndef LOGFOLD_CORE_SHIPPER_H
#define LOGFOLD_CORE_SHIPPER_H

#include "agent/config/config.h"
#include "agent/core/reporter.h"
#include "agent/core/vitals.h"
#include "agent/store/store.h"
#include "sinks/sink.h"

struct lf_shipper;

/* An entry to be looked up in the tier.  It belongs to the caller, and to the shipper between find() and
 * done(). */
struct lf_lookup {
	char namespace[LF_NAMESPACE_MAX + 1];
	char hash[LF_HASH_CHARS + 1];
	/* Called from the shipper's thread; entry NULL: it is not there, or the tier is not. */
	void (*done)(struct lf_lookup *lookup, const struct lf_entry *entry);
	struct lf_lookup *next;
};

struct lf_shipper_options {
	const char *name; /* "mongo", "redis": which sink, and what it is called in sentences */
	const struct lf_sink_ops *ops;
	const struct lf_config *config; /* outlives the shipper */
	const struct lf_tier_config *tier; /* of that config */
	const char *store_path;
	struct lf_reporter reporter; /* called from the thread */
	void (*adopted)(void *arg);  /* flags in the store have changed; called from the thread */
	void *arg;
};

/* -EINVAL: an option or a password file is wrong. */
LF_MUST_CHECK int lf_shipper_new(struct lf_shipper **out, const struct lf_shipper_options *options,
                                 struct lf_error *err);

/* Starts the thread; once, and when that fails the shipper only knows to tell its status. */
LF_MUST_CHECK int lf_shipper_start(struct lf_shipper *shipper, struct lf_error *err);

/* From any thread: the store has changed.  Flags go at once, numbers at the next flush. */
void lf_shipper_wake(struct lf_shipper *shipper);

/* From any thread.  Answers at once when the tier is down. */
void lf_shipper_find(struct lf_shipper *shipper, struct lf_lookup *lookup);

/* Stopping has three steps, as shippers wake each other: all are asked, all threads end, and then nobody
 * calls them any more.  The last changes are sent as far as that can be done before the deadline
 * (lf_clock_ms()).  NULL is fine. */
void lf_shipper_ask_to_stop(struct lf_shipper *shipper, int64_t deadline_ms);
void lf_shipper_join(struct lf_shipper *shipper);
void lf_shipper_free(struct lf_shipper *shipper);

/* How the tier fares.  The texts are copies. */
struct lf_tier_status {
	const char *name;
	bool connected;
	bool open;                       /* the breaker: the tier is down */
	struct lf_vitals vitals;
	uint64_t waiting;                /* entries that it was not told of yet */
	int64_t since_success_ms;        /* -1: never */
	int64_t used_bytes, limit_bytes; /* -1: not known */
	char trouble[512];               /* the last failure; empty: it works */
};
void lf_shipper_status(struct lf_shipper *shipper, struct lf_tier_status *out);

#endif
