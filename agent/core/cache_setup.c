#include "agent/core/cache_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MIB = 1024 * 1024,
	WATCH_MS = 200, /* an agent that has nothing to do shall not wake up fifty times a second */
};

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

/* cache.db beside the store. */
static int default_file(char out[PATH_MAX], const char *store_path, struct lf_error *err)
{
	const char *slash = strrchr(store_path, '/');
	int folder = slash ? (int)(slash - store_path) + 1 : 0;
	int len = snprintf(out, PATH_MAX, "%.*scache.db", folder, store_path);

	if (len >= PATH_MAX)
		return lf_fail(err, -ENAMETOOLONG, "the path of the store is too long for a cache.db beside it: name one "
		                                   "in cache.file");
	return 0;
}

static int set_server(struct lf_cache_server_options *server, const struct lf_tier_config *tier, bool wanted,
                      char **password, struct lf_error *err)
{
	server->off = !wanted || !tier->enabled;
	if (server->off)
		return 0;
	server->url = tier->uri;
	server->database = given(tier->database);
	server->tls_ca_file = given(tier->tls_ca_file);
	server->tls_certificate_file = given(tier->tls_certificate_file);
	server->tls_key_file = given(tier->tls_key_file);
	server->timeout_ms = (int)tier->timeout_ms;
	server->connect_timeout_ms = (int)tier->connect_timeout_ms;
	if (!*tier->password_file)
		return 0;
	if (lf_config_password(tier->password_file, password, err) < 0)
		return -EINVAL;
	server->password = *password;
	return 0;
}

static void set_health(struct lf_cache_options *options, const struct lf_config *config)
{
	options->health_interval_ms = (int)config->cache.health_interval_ms;
	options->failures = (unsigned)config->breaker.failures;
	options->backoff_min_ms = (int)config->breaker.backoff_min_ms;
	options->backoff_max_ms = (int)config->breaker.backoff_max_ms;
	options->hit_rate_degraded_pct = (unsigned)config->health.hit_rate.degraded;
	options->hit_rate_critical_pct = (unsigned)config->health.hit_rate.critical;
	options->error_rate_degraded_pct = (unsigned)config->health.error_rate.degraded;
	options->error_rate_critical_pct = (unsigned)config->health.error_rate.critical;
	options->latency_degraded_ms = (int)config->health.latency_ms.degraded;
	options->latency_critical_ms = (int)config->health.latency_ms.critical;
	options->memory_degraded_pct = (unsigned)config->health.memory.degraded;
	options->memory_critical_pct = (unsigned)config->health.memory.critical;
}

static void set_plain(struct lf_cache_setup *setup, const struct lf_config *config)
{
	struct lf_cache_options *options = &setup->options;

	options->app = config->cache.app;
	options->env = config->cache.env;
	options->memory.policy = config->cache.policy;
	options->memory.max_bytes = (uint64_t)config->cache.memory_mb * MIB;
	options->memory.max_entries = (uint64_t)config->cache.memory_entries;
	options->sqlite.off = !config->cache.sqlite;
	options->sqlite.file = setup->file;
	options->sqlite.watch_ms = WATCH_MS;
	options->critical = config->cache.critical.item;
	options->critical_count = config->cache.critical.count;
	options->deadline_ms = (int)config->cache.deadline_ms;
	setup->class = (struct lf_cache_class){ .ttl_ms = config->cache.ttl_s * 1000 };
	options->classes = &setup->class;
	options->classes_count = 1;
	set_health(options, config);
}

int lf_cache_setup_init(struct lf_cache_setup *setup, const struct lf_config *config, const char *store_path,
                        struct lf_error *err)
{
	int rc = 0;

	*setup = (struct lf_cache_setup){ .environment = NULL };
	lf_cache_options_init(&setup->options);
	if (*config->cache.file)
		(void)snprintf(setup->file, sizeof(setup->file), "%s", config->cache.file);
	else if (config->cache.sqlite)
		rc = default_file(setup->file, store_path, err);
	set_plain(setup, config);
	if (rc == 0)
		rc = set_server(&setup->options.redis, &config->redis, config->cache.redis, &setup->redis_password, err);
	if (rc == 0)
		rc = set_server(&setup->options.mongo, &config->mongo, config->cache.mongo, &setup->mongo_password, err);
	return rc < 0 ? rc : lf_cache_options_environment(&setup->options, &setup->environment, err);
}

void lf_cache_setup_fini(struct lf_cache_setup *setup)
{
	lf_cache_environment_free(setup->environment);
	lf_config_forget_password(setup->redis_password);
	lf_config_forget_password(setup->mongo_password);
	setup->environment = NULL;
	setup->redis_password = setup->mongo_password = NULL;
}
