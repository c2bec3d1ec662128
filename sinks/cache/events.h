/* Who listens to what. */
#ifndef LOGFOLD_SINKS_CACHE_EVENTS_H
#define LOGFOLD_SINKS_CACHE_EVENTS_H

#include "sinks/cache/internal.h"

LF_MUST_CHECK int lf_events_new(struct lf_cache *cache);
void lf_events_free(struct lf_cache *cache);

/* Counts what is counted (counters.h), and tells who listens.  With no lock held.  Where nobody listens it is one load. */
void lf_event(struct lf_cache *cache, const struct lf_cache_notice *notice);
bool lf_event_heard(const struct lf_cache *cache, enum lf_cache_event event);

/* The same for a full key, which is taken apart only where somebody listens. */
void lf_event_key(struct lf_cache *cache, enum lf_cache_event event, enum lf_cache_tier tier, struct lf_text key, bool elsewhere);

LF_MUST_CHECK int lf_rules_new(struct lf_cache *cache);
void lf_rules_free(struct lf_cache *cache);

/* The log of invalidations: memory keeps the last 1000, SQLite what it is told by this. */
LF_MUST_CHECK int lf_invalidations_new(struct lf_cache *cache);
void lf_invalidations_free(struct lf_cache *cache);
void lf_invalidations_note(struct lf_cache *cache, const struct lf_cache_log_line *line, int64_t end_ms);

#endif
