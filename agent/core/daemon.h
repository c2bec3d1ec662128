/* `logfold agent`: one agent for all hooked processes of a host, with its tiers.
 *
 *   SIGTERM, SIGINT   the last drain, the last flush, within agent.stop_timeout_ms; then it ends
 *   SIGHUP            agent.toml is read again; a bad one is told, and the old one stays in force
 *
 * It tells systemd when it is ready (agent/core/notify.h).  Only one serves a run directory.  Besides the
 * agent's own requests it answers:
 *
 *   health                     lf_health_write()
 *   cache                      lf_cache_stats_write(), of the fleet's cache
 *   find [<namespace>] <hash>  an entry as JSON, from wherever it is known (agent/core/lookup.h); then a
 *                              line that says where
 */
#ifndef LOGFOLD_CORE_DAEMON_H
#define LOGFOLD_CORE_DAEMON_H

#include "agent/config/config.h"
#include "agent/core/reporter.h"
#include "agent/core/serving.h"

/* Serves until it is told to stop.  Takes the configuration over; `file` is what SIGHUP reads again, NULL:
 * nothing; `server` is what else serves, NULL: nothing.  -EBUSY when another agent has the run directory. */
LF_MUST_CHECK int lf_daemon_run(struct lf_config *config, const char *file,
                                const struct lf_reporter *reporter, const struct lf_server_ops *server,
                                struct lf_error *err);

#endif
