/* The table of keys: all that is known of them comes from here. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "agent/config/internal.h"
#include "agent/map/flags.h"

#define AT(member) offsetof(struct lf_config, member)
#define NUMBER(least, most, unit) (least), (most), (unit)
#define MS(least, most) NUMBER(least, most, "ms")
#define PERCENT NUMBER(0, 100, "%")
#define BYTES(most) 0, (most), NULL
#define NO_RANGE 0, 0, NULL

enum { HOUR_MS = 3600 * 1000, URI_BYTES = 4096, DATABASE_BYTES = 63, LIST_BYTES = 160,
       FRAME_NAMES_BYTES = LF_SKIP_FRAMES_MAX - 1 };

const struct lf_section lf_sections[] = {
	{ "agent", "the agent and its store" },
	{ "hook", "what it hands to the processes" },
	{ "mongo", "MongoDB, the system of record of a fleet" },
	{ "redis", "Redis, a hot copy that others share" },
	{ "breaker", "when a tier that fails is left alone" },
	{ "health", "from when on `logfold health` calls something degraded or critical" },
	{ "cache", "the tiered cache, in which the agent keeps what it looked up in the fleet" },
	{ "http", "the agent's HTTP server" },
	{ 0 },
};

const struct lf_key lf_keys[] = {
	{ "agent", "run_dir", &lf_value_path, AT(agent.run_dir), BYTES(PATH_MAX - 1), "\"\"",
	  "the run directory; empty: found as every process finds it", NULL },
	{ "agent", "store", &lf_value_path, AT(agent.store), BYTES(PATH_MAX - 1), "\"\"",
	  "the store; empty: the default one", NULL },
	{ "agent", "namespace", &lf_value_namespace, AT(agent.namespace), BYTES(LF_NAMESPACE_MAX),
	  "\"" LF_NAMESPACE_DEFAULT "\"", "the namespace of processes that name none", NULL },
	{ "agent", "namespaces", &lf_value_namespaces, AT(agent.namespaces), BYTES(LIST_BYTES), "[\"*\"]",
	  "which namespaces processes may name, NAMESPACE or USER:NAMESPACE, with * for any", NULL },
	{ "agent", "users", &lf_value_users, AT(agent.all_users), NO_RANGE, "\"own\"",
	  "whose processes: those of the agent's own user, or of all users of the machine", NULL },
	{ "agent", "drain_interval_ms", &lf_value_integer, AT(agent.drain_interval_ms), MS(10, 60000),
	  "1000", "how often counts are taken from the processes into the store", NULL },
	{ "agent", "flush_interval_ms", &lf_value_integer, AT(agent.flush_interval_ms), MS(10, HOUR_MS),
	  "1000", "how often what changed is sent to the tiers", NULL },
	{ "agent", "stop_timeout_ms", &lf_value_integer, AT(agent.stop_timeout_ms), MS(100, HOUR_MS),
	  "10000", "how long the last drain and flush may take when the agent is told to stop", NULL },
	{ "agent", "announce_interval_s", &lf_value_integer, AT(agent.announce_interval_s),
	  NUMBER(0, 24 * 3600, "s"), "60",
	  "how often it is told what is not printed, as long as that lasts; 0: when it begins and ends", NULL },
	{ "agent", "fallback", &lf_value_sources, AT(agent.fallback), NO_RANGE,
	  "[\"memory\", \"sqlite\", \"redis\", \"mongo\"]", "where an entry is looked for, in this order",
	  NULL },

	{ "hook", "max_entries", &lf_value_integer, AT(hook.max_entries), NUMBER(16, 65536, "entries"),
	  "16384", "how many messages one process may have; what is beyond counts as overflow", NULL },
	{ "hook", "skip_frames", &lf_value_frames, AT(hook.skip_frames), BYTES(FRAME_NAMES_BYTES), "[]",
	  "wrappers whose calls are their callers'; for processes that start from now on", NULL },

	{ "mongo", "enabled", &lf_value_boolean, AT(mongo.enabled), NO_RANGE, "false",
	  "whether entries are sent there", NULL },
	{ "mongo", "uri", &lf_value_mongo_uri, AT(mongo.uri), BYTES(URI_BYTES),
	  "\"mongodb://127.0.0.1:27017\"", "where it is, with all options that libmongoc knows",
	  "LOGFOLD_MONGO_URI" },
	{ "mongo", "database", &lf_value_database, AT(mongo.database), BYTES(DATABASE_BYTES), "\"logfold\"",
	  "the database that holds the entries", NULL },
	{ "mongo", "password_file", &lf_value_path, AT(mongo.password_file), BYTES(PATH_MAX - 1), "\"\"",
	  "a file that holds the password and only the agent may read; instead of one in uri",
	  "LOGFOLD_MONGO_PASSWORD_FILE" },
	{ "mongo", "tls_ca_file", &lf_value_path, AT(mongo.tls_ca_file), BYTES(PATH_MAX - 1), "\"\"",
	  "the certificates that the server's must be signed by; empty: the system's", NULL },
	{ "mongo", "tls_certificate_file", &lf_value_path, AT(mongo.tls_certificate_file),
	  BYTES(PATH_MAX - 1), "\"\"", "the agent's own certificate", NULL },
	{ "mongo", "tls_key_file", &lf_value_path, AT(mongo.tls_key_file), BYTES(PATH_MAX - 1), "\"\"",
	  "its key; empty: it is in tls_certificate_file", NULL },
	{ "mongo", "timeout_ms", &lf_value_integer, AT(mongo.timeout_ms), MS(10, HOUR_MS), "5000",
	  "how long a call may take", NULL },
	{ "mongo", "connect_timeout_ms", &lf_value_integer, AT(mongo.connect_timeout_ms), MS(10, HOUR_MS),
	  "2000", "how long connecting may take", NULL },
	{ "mongo", "batch_size", &lf_value_integer, AT(mongo.batch_size), NUMBER(1, 100000, "entries"),
	  "1000", "how many entries go into one write", NULL },
	{ "mongo", "poll_interval_ms", &lf_value_integer, AT(mongo.poll_interval_ms), MS(100, HOUR_MS),
	  "5000", "how often flags are read again, beside notifications", NULL },

	{ "redis", "enabled", &lf_value_boolean, AT(redis.enabled), NO_RANGE, "false",
	  "whether entries are sent there", NULL },
	{ "redis", "url", &lf_value_redis_uri, AT(redis.uri), BYTES(URI_BYTES), "\"redis://127.0.0.1:6379\"",
	  "where it is: redis://, rediss:// (TLS) or unix://", "LOGFOLD_REDIS_URL" },
	{ "redis", "password_file", &lf_value_path, AT(redis.password_file), BYTES(PATH_MAX - 1), "\"\"",
	  "a file that holds the password and only the agent may read; instead of one in url",
	  "LOGFOLD_REDIS_PASSWORD_FILE" },
	{ "redis", "tls_ca_file", &lf_value_path, AT(redis.tls_ca_file), BYTES(PATH_MAX - 1), "\"\"",
	  "the certificates that the server's must be signed by; empty: the system's", NULL },
	{ "redis", "tls_certificate_file", &lf_value_path, AT(redis.tls_certificate_file),
	  BYTES(PATH_MAX - 1), "\"\"", "the agent's own certificate", NULL },
	{ "redis", "tls_key_file", &lf_value_path, AT(redis.tls_key_file), BYTES(PATH_MAX - 1), "\"\"",
	  "its key; empty: it is in tls_certificate_file", NULL },
	{ "redis", "timeout_ms", &lf_value_integer, AT(redis.timeout_ms), MS(10, HOUR_MS), "2000",
	  "how long a call may take", NULL },
	{ "redis", "connect_timeout_ms", &lf_value_integer, AT(redis.connect_timeout_ms), MS(10, HOUR_MS),
	  "1000", "how long connecting may take", NULL },
	{ "redis", "batch_size", &lf_value_integer, AT(redis.batch_size), NUMBER(1, 100000, "entries"),
	  "1000", "how many entries go into one write", NULL },
	{ "redis", "poll_interval_ms", &lf_value_integer, AT(redis.poll_interval_ms), MS(100, HOUR_MS),
	  "5000", "how often flags are read again, beside notifications", NULL },
	{ "redis", "ttl_s", &lf_value_integer, AT(redis.ttl_s), NUMBER(10, 365 * 24 * 3600, "s"), "3600",
	  "how long an entry stays that no agent renews", NULL },
	{ "redis", "max_entries", &lf_value_integer, AT(redis.max_entries), NUMBER(1, 10000000, "entries"),
	  "1000", "how many entries it holds: the hot set", NULL },

	{ "breaker", "failures", &lf_value_integer, AT(breaker.failures), NUMBER(1, 1000, NULL), "3",
	  "after how many failures in a row a tier is left alone", NULL },
	{ "breaker", "backoff_min_ms", &lf_value_integer, AT(breaker.backoff_min_ms), MS(1, HOUR_MS), "200",
	  "for how long at first; doubled each time, with jitter", NULL },
	{ "breaker", "backoff_max_ms", &lf_value_integer, AT(breaker.backoff_max_ms), MS(1, HOUR_MS),
	  "30000", "for how long at most", NULL },

	{ "health", "hit_rate_degraded_pct", &lf_value_integer, AT(health.hit_rate.degraded), PERCENT, "80",
	  "calls that the processes' maps knew: degraded below it", NULL },
	{ "health", "hit_rate_critical_pct", &lf_value_integer, AT(health.hit_rate.critical), PERCENT, "60",
	  "the same: critical below it", NULL },
	{ "health", "error_rate_degraded_pct", &lf_value_integer, AT(health.error_rate.degraded), PERCENT,
	  "1", "calls of a tier that failed: degraded from it on", NULL },
	{ "health", "error_rate_critical_pct", &lf_value_integer, AT(health.error_rate.critical), PERCENT,
	  "5", "the same: critical from it on", NULL },
	{ "health", "latency_degraded_ms", &lf_value_integer, AT(health.latency_ms.degraded),
	  MS(1, HOUR_MS), "10", "median time of a tier's calls: degraded from it on", NULL },
	{ "health", "latency_critical_ms", &lf_value_integer, AT(health.latency_ms.critical),
	  MS(1, HOUR_MS), "50", "the same: critical from it on", NULL },
	{ "health", "memory_degraded_pct", &lf_value_integer, AT(health.memory.degraded), PERCENT, "80",
	  "memory in use, of memory_limit_mb: degraded from it on", NULL },
	{ "health", "memory_critical_pct", &lf_value_integer, AT(health.memory.critical), PERCENT, "95",
	  "the same: critical from it on", NULL },
	{ "health", "memory_limit_mb", &lf_value_integer, AT(health.memory_limit_mb),
	  NUMBER(16, 1 << 20, "MiB"), "256", "the agent's memory that counts as full", NULL },

	{ "cache", "enabled", &lf_value_boolean, AT(cache.enabled), NO_RANGE, "true", "whether there is one", NULL },
	{ "cache", "app", &lf_value_name, AT(cache.app), BYTES(LF_CACHE_NAME_MAX), "\"logfold-agent\"",
	  "what its keys begin with: who shares a server and these two shares the values", NULL },
	{ "cache", "env", &lf_value_name, AT(cache.env), BYTES(LF_CACHE_NAME_MAX), "\"production\"",
	  "and go on with", NULL },
	{ "cache", "memory_mb", &lf_value_integer, AT(cache.memory_mb), NUMBER(0, 1 << 20, "MiB"), "64",
	  "what it may keep in memory; 0: no limit", NULL },
	{ "cache", "memory_entries", &lf_value_integer, AT(cache.memory_entries), NUMBER(0, 1000000000, "entries"), "0",
	  "how many of them; 0: no limit", NULL },
	{ "cache", "policy", &lf_value_policy, AT(cache.policy), NO_RANGE, "\"lru\"",
	  "who goes when memory is full; none: nobody comes", NULL },
	{ "cache", "sqlite", &lf_value_boolean, AT(cache.sqlite), NO_RANGE, "true",
	  "whether it keeps a file: what is in there survives", NULL },
	{ "cache", "file", &lf_value_path, AT(cache.file), BYTES(PATH_MAX - 1), "\"\"",
	  "that file; empty: cache.db beside the store", NULL },
	{ "cache", "redis", &lf_value_boolean, AT(cache.redis), NO_RANGE, "true",
	  "whether the Redis of [redis], where that is enabled, is a tier of it", NULL },
	{ "cache", "mongo", &lf_value_boolean, AT(cache.mongo), NO_RANGE, "true",
	  "whether the MongoDB of [mongo], where that is enabled, is a tier of it", NULL },
	{ "cache", "ttl_s", &lf_value_integer, AT(cache.ttl_s), NUMBER(1, 365 * 24 * 3600, "s"), "3600",
	  "how long a value stays that is set without a time of its own", NULL },
	{ "cache", "critical", &lf_value_patterns, AT(cache.critical), BYTES(LIST_BYTES), "[]",
	  "values that are on the disk before a set returns, and are sent later where a server is away", NULL },
	{ "cache", "deadline_ms", &lf_value_integer, AT(cache.deadline_ms), MS(10, 60000), "500",
	  "how long a call may take, whatever tier is away", NULL },
	{ "cache", "health_interval_ms", &lf_value_integer, AT(cache.health_interval_ms), MS(10, HOUR_MS), "1000",
	  "how often its tiers are asked how they are", NULL },

	{ "http", "enabled", &lf_value_boolean, AT(http.enabled), NO_RANGE, "false", "whether there is one", NULL },
	{ "http", "listen", &lf_value_listen, AT(http.listen), BYTES(120), "\"127.0.0.1:8642\"",
	  "where: a port of the loopback, for every user of this machine, or a socket, for the agent's group", NULL },
	{ "http", "max_connections", &lf_value_integer, AT(http.max_connections), NUMBER(4, 1000, NULL), "64",
	  "how many at a time; who comes then waits", NULL },
	{ "http", "timeout_s", &lf_value_integer, AT(http.timeout_s), NUMBER(1, 3600, "s"), "10",
	  "how long a connection may be silent", NULL },
	{ "http", "ttl_ms", &lf_value_integer, AT(http.ttl_ms), MS(1, HOUR_MS), "1000",
	  "how long a response is handed out again; that of /api/health a second at most", NULL },
	{ 0 },
};

_Static_assert(sizeof(lf_keys) / sizeof(*lf_keys) <= LF_KEYS_MAX, "raise LF_KEYS_MAX");

const struct lf_key *lf_key_find(const char *section, const char *name)
{
	const struct lf_key *key = lf_keys;

	while (key->name && (strcmp(key->section, section) != 0 || strcmp(key->name, name) != 0))
		key++;
	return key->name ? key : NULL;
}

const char *lf_key_takes(const struct lf_key *key, char out[LF_KEY_TAKES_MAX])
{
	if (key->kind == &lf_value_integer)
		(void)snprintf(out, LF_KEY_TAKES_MAX, "%" PRId64 " to %" PRId64 "%s%s", key->least,
		               key->most, key->unit ? " " : "", key->unit ? key->unit : "");
	else
		(void)snprintf(out, LF_KEY_TAKES_MAX, "%s", key->kind->takes);
	return out;
}

int lf_key_wrong(const struct lf_config *config, const struct lf_key *key, struct lf_error *err,
                 const char *format, ...)
{
	const struct lf_config_texts *texts = config->texts;
	const struct lf_origin *origin = &texts->origin[key - lf_keys];
	char sentence[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (origin->line == 0)
		return lf_fail(err, -EINVAL, "%s: %s", origin->place ? origin->place : "the defaults", sentence);
	return lf_fail(err, -EINVAL, "%.200s:%u: %s", origin->place, origin->line, sentence);
}
