/* Where an entry is looked for that somebody asks for: in the cache ("memory"), in the store ("sqlite"), in Redis, in
 * MongoDB, in the order that agent.toml gives (`fallback`).  A tier that is down is skipped, not waited for.
 *
 * What is kept (agent/core/cached.h).  Of an entry that the store has, a copy in the agent's own memory, until the store
 * changes: the store is the truth for what it has.  Of an entry that only the fleet knows, what Redis or MongoDB said, in
 * the fleet's cache, for cache.ttl_s: what it is, and its flags and numbers as of then.  So "memory" asks first for the
 * copy of our own row; then the store, where that is one of the places, as its row is better than what the fleet said of
 * it; then the fleet's cache.  A copy of the fleet's that is older than LF_LOOKUP_FRESH_MS is handed out, and renewed
 * behind the answer; when an agent changes an entry's flags, the fleet's copy of it goes at once.
 *
 * The main thread starts a search; the tiers' threads and the cache's answer; the main thread goes on with it.
 */
#ifndef LOGFOLD_CORE_LOOKUP_H
#define LOGFOLD_CORE_LOOKUP_H

#include "agent/core/cached.h"
#include "agent/core/control.h"
#include "agent/core/tiers.h"

struct lf_lookups;

enum { LF_LOOKUP_FRESH_MS = 5000 }; /* as long as a poll of flags */

struct lf_lookups_options {
	const struct lf_config *config;
	struct lf_tiers *tiers;
	struct lf_cached *cached;
	/* From any thread: an answer has come, have lf_lookups_go_on() called. */
	void (*wake)(void *arg);
	/* In the thread of lf_lookups_go_on(): the end of a search.  The entry is a line of JSON; empty: nobody knows
	 * it.  `source` as in agent.toml. */
	void (*found)(void *arg, struct lf_control_ticket ticket, struct lf_text entry, const char *source);
	void *arg;
};

LF_MUST_CHECK int lf_lookups_new(struct lf_lookups **out, const struct lf_lookups_options *options,
                                 struct lf_error *err);
/* After the tiers and the cache have stopped: what is still looked for ends as if nobody knew it.  NULL is fine. */
void lf_lookups_free(struct lf_lookups *lookups);

/* -EAGAIN: too many are being looked for. */
LF_MUST_CHECK int lf_lookups_begin(struct lf_lookups *lookups, const char *namespace, const char *hash,
                                   struct lf_control_ticket ticket, struct lf_error *err);

void lf_lookups_go_on(struct lf_lookups *lookups, struct lf_store *store);

#endif
