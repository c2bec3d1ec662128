/* Where an entry is looked for that somebody asks for: in memory, in the store, in Redis, in MongoDB, in
 * the order that agent.toml gives (`fallback`).  A tier that is down is skipped, not waited for.  What a
 * tier knew is kept in memory for a while.
 *
 * The main thread starts a search; the tiers' threads answer; the main thread goes on with it.
 */
#ifndef LOGFOLD_CORE_LOOKUP_H
#define LOGFOLD_CORE_LOOKUP_H

#include "agent/core/control.h"
#include "agent/core/tiers.h"

struct lf_lookups;

struct lf_lookups_options {
	const struct lf_config *config;
	struct lf_tiers *tiers;
	/* From any thread: an answer has come, have lf_lookups_go_on() called. */
	void (*wake)(void *arg);
	/* In the thread of lf_lookups_go_on(): the end of a search.  Entry NULL: nobody knows it.  `source` as
	 * in agent.toml. */
	void (*found)(void *arg, struct lf_control_ticket ticket, const struct lf_entry *entry,
	              const char *source);
	void *arg;
};

LF_MUST_CHECK int lf_lookups_new(struct lf_lookups **out, const struct lf_lookups_options *options,
                                 struct lf_error *err);
/* After the tiers have stopped: what is still looked for ends as if nobody knew it.  NULL is fine. */
void lf_lookups_free(struct lf_lookups *lookups);

/* -EAGAIN: too many are being looked for. */
LF_MUST_CHECK int lf_lookups_begin(struct lf_lookups *lookups, const char *namespace, const char *hash,
                                   struct lf_control_ticket ticket, struct lf_error *err);

void lf_lookups_go_on(struct lf_lookups *lookups, struct lf_store *store);

#endif
