/* What a server of the agent's gets, that speaks another protocol than the control socket: the one of agent/http.  The
 * agent knows no more of it than this, so that who has no such server needs no library for it.
 */
#ifndef LOGFOLD_CORE_SERVING_H
#define LOGFOLD_CORE_SERVING_H

#include "agent/config/config.h"
#include "agent/core/cached.h"
#include "agent/core/desk.h"
#include "agent/core/reporter.h"

struct lf_server;

/* All of it outlives the server. */
struct lf_serving {
	const struct lf_config *config;
	const char *store_path;
	struct lf_cached *cached;
	struct lf_desk *desk;
	struct lf_reporter reporter;
};

struct lf_server_ops {
	/* *out stays NULL where the configuration wants none. */
	int (*open)(struct lf_server **out, const struct lf_serving *serving, struct lf_error *err);
	/* The desk is shut, so it takes no time.  NULL is fine. */
	void (*close)(struct lf_server *server);
};

#endif
