/* The state of an agent and all it depends on, as `logfold health` shows it.
 *
 *   agent  its memory against health.memory_limit_mb
 *   maps   how many calls the processes' maps knew (over 80 % is the norm), what a full map missed
 *   store  whether drains succeed
 *   tiers  each by its error rate over the last minute, the latency of a small round trip, its memory
 *          where it tells; one whose circuit breaker is open is critical
 *   cache  as lf_cache_health() says, but at worst degraded: the agent works without it
 *
 * The whole is as bad as its worst part.
 */
#ifndef LOGFOLD_CORE_HEALTH_H
#define LOGFOLD_CORE_HEALTH_H

#include "agent/core/agent.h"
#include "agent/core/cached.h"
#include "agent/core/tiers.h"

/* One JSON object, whose "state" is healthy, degraded or critical; every part has a state, too. */
void lf_health_write(FILE *out, const struct lf_config *config, struct lf_agent *agent,
                     struct lf_tiers *tiers, const struct lf_cached_state *cache, int64_t uptime_ms);

/* That of the cache alone; without a newline. */
enum lf_health lf_health_write_cache(FILE *out, const struct lf_cached_state *cache);

#endif
