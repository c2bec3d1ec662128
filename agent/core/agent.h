/* The agent: drains the segments of a run directory into a store, and publishes the store's flags.
 *
 * `logfold run` embeds one for one command, on a directory of its own; `logfold agent` is one for
 * the base directory.  It is one thread; all it does happens inside the calls below:
 *
 *   lf_agent_open(&agent, &options, &err);    directory locked and stamped, flags published
 *   ... start the command with LOGFOLD_RUN_DIR = lf_agent_run_dir(agent) ...
 *   while (lf_agent_serve(agent, child_fd, -1) == 0)
 *           ;                                 drains, answers, until child_fd is readable
 *   lf_agent_drain(agent);                    all that was counted is in the store
 *   lf_store_each(lf_agent_store(agent), &(struct lf_query){ .this_run = true }, ...);
 *   lf_agent_close(agent);                    the last drain; an empty own directory is removed
 *
 * What is not printed is told while it serves (agent/core/announce.h); at its end only by an agent of the
 * base directory, as who runs one for a command prints a summary.
 *
 * What goes wrong later than lf_agent_open() is told to the reporter, one sentence for each failure
 * and not again at each interval, and never ends the agent: what cannot be drained now is drained
 * later, by this agent or the next.  While it serves, a store that another program has locked is not
 * waited for; lf_agent_drain() and lf_agent_close() wait, as the store does.
 */
#ifndef LOGFOLD_CORE_AGENT_H
#define LOGFOLD_CORE_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/core/control.h"
#include "agent/core/reporter.h"
#include "agent/map/flags.h"
#include "agent/store/store.h"
#include "logfold/error.h"

struct lf_agent;

enum { LF_DRAIN_INTERVAL_MS = 1000 };

enum lf_agent_place {
	LF_AGENT_OWN_DIRECTORY,  /* makes `<base>/run-<16 hex>` */
	LF_AGENT_BASE_DIRECTORY, /* the base itself: the daemon */
};

struct lf_agent_options {
	const char *store_path; /* NULL: lf_store_default_path() */
	const char *base_dir;   /* NULL: lf_rundir_base() */
	enum lf_agent_place place;
	bool observe;           /* the store cannot be used: count in memory, leave all on disk for a later
	                         * agent of that store */
	unsigned interval_ms;   /* 0: LF_DRAIN_INTERVAL_MS */
	struct lf_reporter reporter;
	bool all_users;         /* the base directory is for the processes of every user */
	/* lf_drain_options.accepts */
	bool (*accepts)(void *arg, uid_t uid, const char *namespace);
	void *accepts_arg;
	/* Answers the requests that the agent does not know itself; NULL: there are none. */
	lf_control_handler request;
	void *request_arg;
	/* Called when entries or flags have changed in the store; NULL: nobody cares. */
	void (*changed)(void *arg);
	void *changed_arg;
	/* How often it is told what is not printed, as long as that lasts; 0: when it begins and ends. */
	unsigned announce_interval_s;
	/* Told to the processes through the flags table; 0 and NULL: the hook's defaults. */
	struct lf_flags_defaults defaults;
};

/* On failure *out is left alone; -EBUSY when another agent has the directory.  When the store is
 * what failed, *store_failed (may be NULL) is true and a second try with `observe` may work. */
LF_MUST_CHECK int lf_agent_open(struct lf_agent **out, const struct lf_agent_options *options,
                                bool *store_failed, struct lf_error *err);

/* The directory that the processes must find in LOGFOLD_RUN_DIR. */
const char *lf_agent_run_dir(const struct lf_agent *agent);

const char *lf_agent_store_path(const struct lf_agent *agent);

/* The agent's own connection: for queries between two calls of the agent. */
struct lf_store *lf_agent_store(struct lf_agent *agent);

/* From now on options.accepts, with this argument, decides anew whom the agent counts. */
void lf_agent_accept_anew(struct lf_agent *agent, void *accepts_arg);

/* Answers a request that options.request put off (LF_CONTROL_LATER), as lf_control_reply() does. */
bool lf_agent_reply(struct lf_agent *agent, struct lf_control_ticket ticket, int rc,
                    const char *text, size_t bytes);

/* Works until `fd` is readable or hung up (returns 1) or `timeout_ms` is over (returns 0).  Without an
 * fd (-1) only the time ends it; without a time (-1) only the fd.  A signal returns -EINTR. */
LF_MUST_CHECK int lf_agent_serve(struct lf_agent *agent, int fd, int timeout_ms);

/* Changes what may change while it works; 0 as in lf_agent_options. */
void lf_agent_configure(struct lf_agent *agent, unsigned interval_ms,
                        const struct lf_flags_defaults *defaults);
void lf_agent_announce_every(struct lf_agent *agent, unsigned interval_s);

/* Publishes the store's flags now: somebody else has changed them. */
void lf_agent_publish(struct lf_agent *agent);

/* How well the processes' maps know what is printed, since the agent began. */
struct lf_agent_tally {
	uint64_t calls;        /* drained */
	uint64_t first_sights; /* entries that a process met for the first time */
	uint64_t overflow;     /* calls that a full map had no room for */
	size_t segments;
};
void lf_agent_tally(const struct lf_agent *agent, struct lf_agent_tally *out);

/* What was last wrong with the store or a segment's drain; empty: nothing is. */
const char *lf_agent_trouble(const struct lf_agent *agent);

/* Drains now.  What fails is reported; the result says whether something did. */
int lf_agent_drain(struct lf_agent *agent);

/* Finds the lines of source of what was drained, as far as that is a matter of a moment; it waits for it. */
void lf_agent_find_sources(struct lf_agent *agent);

/* NULL is fine. */
void lf_agent_close(struct lf_agent *agent);

/* ---- Commands that are not an agent ---- */

struct lf_everywhere {
	const char *store_path; /* NULL: lf_store_default_path() */
	const char *base_dir;   /* NULL: lf_rundir_base() */
	struct lf_reporter reporter;
	const char *shared_dir; /* another user's daemon's, which is asked when it has that store; NULL: none */
};

/* Flags that are to be set for `count` entries; change.writer is this program. */
struct lf_flag_wish {
	const struct lf_entry_key *keys;
	size_t count;
	struct lf_flag_change change;
	bool *changed; /* of each, as lf_store_set_flags() says */
	bool *missed;  /* of each: not set, or a directory does not obey */
};

/* Sets flags in the store, of all these entries or of none, then has them published once in every run
 * directory of that store: by its living agent, where there is none from here.  Another error than those
 * of lf_store_set_flags() when a directory will not obey: then `missed` says what, and the others do obey.
 * A directory that could not be reached is told to the reporter: it obeys later. */
LF_MUST_CHECK int lf_set_everywhere(const struct lf_everywhere *where, const struct lf_flag_wish *wish,
                                    struct lf_error *err);

/* Has the living agents of that store drain, so that the store is up to date.  Returns how many did. */
int lf_drain_everywhere(const struct lf_everywhere *where);

#endif
