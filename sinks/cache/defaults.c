/* What a cache is opened with unless somebody says otherwise: the production set.  What differs in development stands in
 * environment.c. */
#include "logfold/cache.h"

enum { KIB = 1024, MIB = 1024 * KIB, HOUR_MS = 3600000 };

static const struct lf_cache_server_options server = {
	.timeout_ms = 100, .connect_timeout_ms = 500, .pool_min = 2, .pool_max = 8, .compress_min = 4 * KIB,
};

void lf_cache_options_init(struct lf_cache_options *options)
{
	*options = (struct lf_cache_options){
		.app = "default", .env = "production",
		.memory = { .policy = LF_CACHE_LRU, .max_bytes = 256 * MIB },
		.sqlite = { .compress_min = 4 * KIB, .timeout_ms = 1000, .watch_ms = 20, .care_ms = HOUR_MS },
		.redis = server, .mongo = server,
		.value_max = 8 * MIB,
		.deadline_ms = 1000, .load_deadline_ms = 10000, .lock_ttl_ms = 30000, .workers = 2,
		.health_interval_ms = 1000, .failures = 3, .backoff_min_ms = 100, .backoff_max_ms = 5000,
		.unwatched_ms = 1000, .tombstone_ms = 600000,
		.hit_rate_degraded_pct = 80, .hit_rate_critical_pct = 60,
		.error_rate_degraded_pct = 1, .error_rate_critical_pct = 5,
		.latency_degraded_ms = 10, .latency_critical_ms = 50,
		.memory_degraded_pct = 80, .memory_critical_pct = 95,
	};
	options->mongo.timeout_ms = 500;
	options->mongo.connect_timeout_ms = 1000;
}
