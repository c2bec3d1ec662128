/* The tiers of an agent: one shipper for each that agent.toml enables, and looking up an entry in all
 * places where it may be known.
 */
#ifndef LOGFOLD_CORE_TIERS_H
#define LOGFOLD_CORE_TIERS_H

#include "agent/core/shipper.h"

struct lf_tiers;

struct lf_tiers_options {
	const struct lf_config *config; /* outlives the tiers */
	const char *store_path;
	struct lf_reporter reporter; /* called from several threads */
	void (*adopted)(void *arg);  /* flags in the store have changed: publish.  From any thread */
	void *arg;
};

/* A tier that cannot be started is told, and the others go on: only -ENOMEM fails. */
LF_MUST_CHECK int lf_tiers_start(struct lf_tiers **out, const struct lf_tiers_options *options,
                                 struct lf_error *err);

/* The store has changed. */
void lf_tiers_wake(struct lf_tiers *tiers);

/* Sends the last changes until the deadline (lf_clock_ms()).  NULL is fine. */
void lf_tiers_stop(struct lf_tiers *tiers, int64_t deadline_ms);

/* The tiers that are enabled.  A status whose `trouble` is set and that was never connected may be one that
 * could not even be started. */
size_t lf_tiers_count(const struct lf_tiers *tiers);
void lf_tiers_status(struct lf_tiers *tiers, size_t at, struct lf_tier_status *out);

/* Has the tier with that number look the entry up (shipper.h). */
void lf_tiers_find(struct lf_tiers *tiers, size_t at, struct lf_lookup *lookup);

#endif
