/* Draining: what the segments of one run directory have counted goes into the store, exactly once.
 *
 * A drain reads every segment, compares it with its watermark (what was drained before), and commits
 * the differences and the new watermarks in one transaction.  A segment whose owner is dead goes
 * through these steps, each of which may be the last thing that this agent ever does:
 *
 *   1. dead, then read to the end   nothing happened yet: the next agent does the same
 *   2. committed, as retired        counts are in: the next agent only removes the file
 *   3. stamp written
 *   4. file unlinked                a row without a file: the next agent drops it
 *   5. row dropped
 *
 * What cannot be trusted goes to quarantine/ and is told; what was drained of it before stays.
 * The caller holds the directory's lock.  One thread.
 */
#ifndef LOGFOLD_CORE_DRAIN_H
#define LOGFOLD_CORE_DRAIN_H

#include <sys/types.h>

#include "agent/core/announce.h"
#include "agent/core/reporter.h"
#include "agent/core/rundir.h"
#include "agent/core/runs.h"
#include "agent/store/store.h"

struct lf_drain;

/* Where a test may step in, or end the world. */
enum lf_drain_point {
	LF_DRAIN_FOUND_DEAD, /* an owner is dead; its segment is not read to the end yet */
	LF_DRAIN_ADDED,      /* all is in the transaction */
	LF_DRAIN_COMMITTED,
	LF_DRAIN_STAMPED,
	LF_DRAIN_UNLINKED,
	LF_DRAIN_DROPPED,
};

/* For tests. */
struct lf_drain_hooks {
	uint64_t (*now_ms)(void *arg);
	void (*at)(void *arg, enum lf_drain_point point);
	void *arg;
};

/* In a directory for many users: what one of them, and all of them together, may have there.  What is
 * more waits, uncounted, until there is less.  The agent's own user and root are not bounded. */
enum {
	LF_DRAIN_USER_SEGMENTS = 4096,
	LF_DRAIN_USER_BYTES = 256 * 1024 * 1024, /* the agent's memory is up to 1.6 times that */
	LF_DRAIN_ALL_SEGMENTS = 16384,
	LF_DRAIN_ALL_BYTES = 1024 * 1024 * 1024,
	LF_DRAIN_USER_QUARANTINED = 16, /* what is worse than these goes without a word */
};

struct lf_drain_options {
	struct lf_reporter reporter;
	/* Whether what this user counts in this namespace is counted; NULL: all is.  What is not is told
	 * once, left alone, and removed when its owner is dead. */
	bool (*accepts)(void *arg, uid_t uid, const char *namespace);
	void *accepts_arg;
	bool tally;                         /* LF_ADD_TALLY */
	struct lf_runs *runs;               /* tallied run by run, when they have begun; NULL: none */
	struct lf_announcer *announcer;     /* is fed with what was not printed; NULL: none */
	const char *observe_for;            /* not NULL: the store is only in memory, and this is the path of
	                                     * the one that a later agent shall drain into.  Nothing is
	                                     * retired, unlinked or moved */
	const struct lf_drain_hooks *hooks; /* NULL: the real clock */
};

/* Takes the directory for the store: compares its stamp with the store's history, mints a new
 * incarnation where the store has been set back, tells the gap, loads the watermarks, and stamps the
 * directory.  `dir` stays the caller's and must outlive the drain. */
LF_MUST_CHECK int lf_drain_open(struct lf_drain **out, struct lf_rundir *dir,
                                struct lf_store *store, const struct lf_drain_options *options,
                                struct lf_error *err);
void lf_drain_close(struct lf_drain *drain); /* NULL is fine */

/* The same again, for a store that was opened in the place of the one that this drain knew. */
LF_MUST_CHECK int lf_drain_rebase(struct lf_drain *drain, struct lf_store *store,
                                  struct lf_error *err);

/* Drains all that is there.  When it fails, the counts that are not in the store wait in their
 * segments.  What concerns one segment alone is told to the reporter and is no failure. */
LF_MUST_CHECK int lf_drain_run(struct lf_drain *drain, struct lf_store *store,
                               struct lf_error *err);

/* options.accepts may say something else from now on. */
void lf_drain_accept_anew(struct lf_drain *drain);

/* The store's drain sequence after the last commit of this drain. */
uint64_t lf_drain_sequence(const struct lf_drain *drain);

/* How many processes of this run have not ended, as of the last run of the drain. */
unsigned lf_drain_living(const struct lf_drain *drain, uint64_t run_id);

/* What it has drained since it was opened. */
struct lf_drain_tally {
	uint64_t calls;
	uint64_t first_sights; /* entries, each counted once for every process that met it */
	uint64_t overflow;     /* of the calls: those that a full map had no room for */
};
const struct lf_drain_tally *lf_drain_tally(const struct lf_drain *drain);

/* How many segments lie in the directory, as of the last run. */
size_t lf_drain_segments(const struct lf_drain *drain);

#endif
