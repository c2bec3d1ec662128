/* The options of the tiered cache, from agent.toml: [cache], and where its servers are, [redis] and [mongo];
 * what the environment says comes before that (lf_cache_options_environment()).
 */
#ifndef LOGFOLD_CORE_CACHE_SETUP_H
#define LOGFOLD_CORE_CACHE_SETUP_H

#include <limits.h>

#include "agent/config/config.h"
#include "logfold/cache.h"

/* The options, and what their texts live in: until lf_cache_open() has returned. */
struct lf_cache_setup {
	struct lf_cache_options options;
	struct lf_cache_class class;
	char file[PATH_MAX];
	char *redis_password, *mongo_password;
	struct lf_cache_environment *environment;
};

/* `store_path` is where cache.db lies beside; the configuration must outlive the setup.  -EINVAL, -EPERM…: a
 * password file or a variable is wrong.  To be ended by lf_cache_setup_fini() even then. */
LF_MUST_CHECK int lf_cache_setup_init(struct lf_cache_setup *setup, const struct lf_config *config,
                                      const char *store_path, struct lf_error *err);
void lf_cache_setup_fini(struct lf_cache_setup *setup);

#endif
