#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logfold/cache.h"

/* Each test has a process of its own: what it sets is nobody else's. */
static struct lf_cache_options options;
static struct lf_cache_environment *keep;
static struct lf_error err;

static void read_environment(void)
{
	lf_cache_options_init(&options);
	cr_assert_eq(lf_cache_options_environment(&options, &keep, &err), 0, "%s", err.text);
}

static void assert_refused(const char *name, const char *value, const char *because)
{
	struct lf_cache_environment *none = NULL;

	(void)setenv(name, value, 1);
	lf_cache_options_init(&options);
	cr_assert_eq(lf_cache_options_environment(&options, &none, &err), -EINVAL, "%s=%s", name, value);
	cr_assert(strstr(err.text, name), "%s", err.text);
	cr_assert(strstr(err.text, because), "%s", err.text);
	cr_assert_null(none);
	cr_assert_null(options.redis.url);
	(void)unsetenv(name);
}

Test(cache_environment, an_empty_environment_changes_nothing)
{
	struct lf_cache_options before;

	lf_cache_options_init(&before);
	(void)setenv("REDIS_HOST", "", 1);
	(void)setenv("LOGFOLD_CACHE_WORKERS", "", 1);
	read_environment();
	cr_assert_eq(memcmp(&options, &before, sizeof(options)), 0);
	lf_cache_environment_free(keep);
	lf_cache_environment_free(NULL);
}

Test(cache_environment, redis_variables_become_a_url)
{
	static const struct {
		const char *host, *port, *user, *password, *db, *tls, *url;
	} cases[] = {
		{ "cache.example", NULL, NULL, NULL, NULL, NULL, "redis://cache.example:6379/0" },
		{ "10.0.0.1", "7000", NULL, "p@ss:/word %", "3", "on", "rediss://:p%40ss%3A%2Fword%20%25@10.0.0.1:7000/3" },
		{ "::1", NULL, "us\xc3\xa9r", "x", NULL, "0", "redis://us%C3%A9r:x@[::1]:6379/0" },
		{ "/run/re dis.sock", NULL, "u", "p", "2", NULL, "unix://u:p@/run/re%20dis.sock?db=2" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const names[] = { "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS" };
		const char *const values[] = { cases[i].host, cases[i].port, cases[i].user, cases[i].password, cases[i].db, cases[i].tls };

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			(void)setenv(names[k], values[k] ? values[k] : "", 1);
		read_environment();
		cr_assert_str_eq(options.redis.url, cases[i].url);
		lf_cache_environment_free(keep);
	}
}

Test(cache_environment, without_redis_host_the_other_redis_variables_are_not_read)
{
	(void)setenv("REDIS_PORT", "tcp://10.0.0.1:6379", 1);
	(void)setenv("REDIS_PASSWORD", "secret", 1);
	read_environment();
	cr_assert_null(options.redis.url);
	cr_assert_null(options.redis.password);
	lf_cache_environment_free(keep);
}

Test(cache_environment, the_cache_s_own_url_comes_before_redis_host)
{
	(void)setenv("REDIS_HOST", "one", 1);
	(void)setenv("LOGFOLD_CACHE_REDIS_URL", "redis://two", 1);
	read_environment();
	cr_assert_str_eq(options.redis.url, "redis://two");
	lf_cache_environment_free(keep);
}

Test(cache_environment, the_password_of_another_server_is_not_sent_to_redis_host)
{
	(void)setenv("REDIS_HOST", "one", 1);
	lf_cache_options_init(&options);
	options.redis.url = "redis://two";
	options.redis.password = "of two";
	cr_assert_eq(lf_cache_options_environment(&options, &keep, &err), 0);
	cr_assert_null(options.redis.password);
	lf_cache_environment_free(keep);
}

Test(cache_environment, options_of_every_kind_are_read)
{
	(void)setenv("LOGFOLD_CACHE_APP", "shop", 1);
	(void)setenv("LOGFOLD_CACHE_MEMORY_POLICY", "S3FIFO", 1);
	(void)setenv("LOGFOLD_CACHE_MEMORY_BYTES", "3M", 1);
	(void)setenv("LOGFOLD_CACHE_MEMORY_ENTRIES", "1000000000000", 1);
	(void)setenv("LOGFOLD_CACHE_SQLITE_FILE", "/tmp/c.db", 1);
	(void)setenv("LOGFOLD_CACHE_SQLITE_MODE", "behind", 1);
	(void)setenv("LOGFOLD_CACHE_MONGO", "off", 1);
	(void)setenv("LOGFOLD_CACHE_MONGO_POOL_MAX", "5", 1);
	(void)setenv("LOGFOLD_CACHE_CRITICAL", "user:*:*,order:a:1", 1);
	(void)setenv("CACHE_HEALTH_CHECK_INTERVAL", "30", 1);
	(void)setenv("LOGFOLD_CACHE_TOMBSTONE_MS", "5000000000", 1);
	read_environment();
	cr_assert_str_eq(options.app, "shop");
	cr_assert_eq(options.memory.policy, LF_CACHE_S3FIFO);
	cr_assert_eq(options.memory.max_bytes, 3 << 20);
	cr_assert_eq(options.memory.max_entries, 1000000000000);
	cr_assert_str_eq(options.sqlite.file, "/tmp/c.db");
	cr_assert_eq(options.sqlite.mode, LF_CACHE_BEHIND);
	cr_assert(options.mongo.off);
	cr_assert_not(options.redis.off);
	cr_assert_eq(options.mongo.pool_max, 5);
	cr_assert_eq(options.critical_count, 2);
	cr_assert_str_eq(options.critical[1], "order:a:1");
	cr_assert_eq(options.health_interval_ms, 30000);
	cr_assert_eq(options.tombstone_ms, 5000000000);
	lf_cache_environment_free(keep);
}

Test(cache_environment, what_holds_for_all_types_joins_the_classes_that_are_there)
{
	const struct lf_cache_class classes[] = { { .type = "user", .ttl_ms = 7 }, { .ttl_ms = 8, .negative_ms = 9 } };

	(void)setenv("CACHE_DEFAULT_TTL", "60", 1);
	(void)setenv("LOGFOLD_CACHE_EARLY", "1.5", 1);
	lf_cache_options_init(&options);
	options.classes = classes;
	for (size_t count = 1; count <= 2; count++) {
		options.classes = classes;
		options.classes_count = count;
		cr_assert_eq(lf_cache_options_environment(&options, &keep, &err), 0, "%s", err.text);
		cr_assert_eq(options.classes_count, 2);
		cr_assert_eq(options.classes[0].ttl_ms, 7);
		cr_assert_null(options.classes[1].type);
		cr_assert_eq(options.classes[1].ttl_ms, 60000);
		cr_assert_eq(options.classes[1].early, 1.5);
		cr_assert_eq(options.classes[1].negative_ms, count == 2 ? 9 : 0);
		lf_cache_environment_free(keep);
	}
}

Test(cache_environment, the_development_set_changes_what_nobody_else_has_set)
{
	(void)setenv("LOGFOLD_CACHE_ENV", "development", 1);
	(void)setenv("LOGFOLD_CACHE_WORKERS", "7", 1);
	lf_cache_options_init(&options);
	options.deadline_ms = 77;
	cr_assert_eq(lf_cache_options_environment(&options, &keep, &err), 0, "%s", err.text);
	cr_assert_str_eq(options.env, "development");
	cr_assert_eq(options.memory.max_bytes, 32 << 20);
	cr_assert_eq(options.classes[0].ttl_ms, 60000);
	cr_assert_eq(options.deadline_ms, 77);
	cr_assert_eq(options.workers, 7);
	lf_cache_environment_free(keep);
	(void)setenv("LOGFOLD_CACHE_ENV", "production", 1);
	(void)setenv("LOGFOLD_CACHE_KEYS_ENV", "staging", 1);
	read_environment();
	cr_assert_str_eq(options.env, "staging");
	cr_assert_eq(options.memory.max_bytes, 256 << 20);
	lf_cache_environment_free(keep);
}

Test(cache_environment, what_is_wrong_is_named_with_what_would_be_right)
{
	char name[LF_CACHE_NAME_MAX + 2];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_refused("LOGFOLD_CACHE_ENV", "staging", "production or development");
	assert_refused("LOGFOLD_CACHE_APP", name, "128");
	assert_refused("LOGFOLD_CACHE_POLCY", "lru", "no variable");
	assert_refused("LOGFOLD_CACHE_MEMORY_POLICY", "lr", "lru lfu fifo s3fifo none");
	assert_refused("LOGFOLD_CACHE_MEMORY_BYTES", "3MB", "K, M or G");
	assert_refused("LOGFOLD_CACHE_MEMORY_BYTES", "9999999999G", "bytes");
	assert_refused("LOGFOLD_CACHE_WORKERS", "0", "1 to 1024");
	assert_refused("LOGFOLD_CACHE_WORKERS", "-1", "1 to 1024");
	assert_refused("LOGFOLD_CACHE_WORKERS", "2x", "1 to 1024");
	assert_refused("LOGFOLD_CACHE_REDIS", "maybe", "on or off");
	assert_refused("LOGFOLD_CACHE_EARLY", "nan", "0 to 100");
	assert_refused("LOGFOLD_CACHE_CRITICAL", "a,,b", "empty pattern");
	assert_refused("CACHE_DEFAULT_TTL", "1.5", "seconds");
	assert_refused("CACHE_HEALTH_CHECK_INTERVAL", "0", "seconds");
	assert_refused("REDIS_HOST", "redis://host", "LOGFOLD_CACHE_REDIS_URL");
	(void)setenv("REDIS_HOST", "host", 1);
	assert_refused("REDIS_PORT", "65536", "1 to 65535");
	assert_refused("REDIS_DB", "x", "0 to");
	assert_refused("REDIS_TLS", "2", "on or off");
	assert_refused("REDIS_USERNAME", "user", "REDIS_PASSWORD");
	(void)setenv("REDIS_HOST", "/run/redis.sock", 1);
	assert_refused("REDIS_TLS", "1", "socket");
}
