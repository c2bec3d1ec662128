/* What only several keys together, or the files that they name, can have wrong. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/internal.h"

/* ---- Order ---- */

static const struct order {
	const char *section, *lower, *upper;
} orders[] = {
	{ "breaker", "backoff_min_ms", "backoff_max_ms" },
	{ "health", "hit_rate_critical_pct", "hit_rate_degraded_pct" },
	{ "health", "error_rate_degraded_pct", "error_rate_critical_pct" },
	{ "health", "latency_degraded_ms", "latency_critical_ms" },
	{ "health", "memory_degraded_pct", "memory_critical_pct" },
};

static unsigned line_of(const struct lf_config *config, const struct lf_key *key)
{
	const struct lf_config_texts *texts = config->texts;

	return texts->origin[key - lf_keys].line;
}

/* Told in the line of the later of the two; that of a default is 0. */
static int check_order(const struct lf_config *config, const struct order *order, struct lf_error *err)
{
	const struct lf_key *lower = lf_key_find(order->section, order->lower);
	const struct lf_key *upper = lf_key_find(order->section, order->upper);
	int64_t small = *(int64_t *)lf_key_value(config, lower);
	int64_t large = *(int64_t *)lf_key_value(config, upper);

	if (small <= large)
		return 0;
	return lf_key_wrong(config, line_of(config, lower) > line_of(config, upper) ? lower : upper, err,
	                    "%s.%s (%" PRId64 ") is above %s (%" PRId64 "): lower the first or raise the "
	                    "second", order->section, order->lower, small, order->upper, large);
}

/* ---- TLS ---- */

static int check_tls(const struct lf_config *config, const char *section,
                     const struct lf_tier_config *tier, struct lf_error *err)
{
	const struct lf_key *key = lf_key_find(section, "tls_key_file");

	if (*tier->tls_key_file && !*tier->tls_certificate_file)
		return lf_key_wrong(config, key, err, "%s.tls_key_file is given without tls_certificate_file: "
		                    "give both", section);
	return 0;
}

/* Whoever names certificates believes that the connection is encrypted. */
static int check_redis_tls(const struct lf_config *config, struct lf_error *err)
{
	static const char *const names[] = { "tls_ca_file", "tls_certificate_file", "tls_key_file" };
	size_t i;

	if (strncmp(config->redis.uri, "rediss:", 7) == 0)
		return 0;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct lf_key *key = lf_key_find("redis", names[i]);
		const char *const *file = lf_key_value(config, key);

		if (**file)
			return lf_key_wrong(config, key, err, "redis.%s is given, but redis.url asks for no TLS: "
			                    "begin it with rediss://", names[i]);
	}
	return 0;
}

int lf_config_check(const struct lf_config *config, struct lf_error *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < sizeof(orders) / sizeof(*orders); i++)
		rc = check_order(config, &orders[i], err);
	if (rc == 0)
		rc = check_tls(config, "mongo", &config->mongo, err);
	if (rc == 0)
		rc = check_tls(config, "redis", &config->redis, err);
	return rc < 0 ? rc : check_redis_tls(config, err);
}

/* ---- Files ---- */

static int check_file(const struct lf_config *config, const struct lf_key *key, struct lf_error *err)
{
	const char *file = *(const char *const *)lf_key_value(config, key);
	int fd, error;

	if (!*file)
		return 0;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	error = errno;
	if (fd >= 0) {
		(void)close(fd);
		return 0;
	}
	(void)lf_key_wrong(config, key, err, "%s.%s: '%.200s' cannot be read: %s: %s", key->section, key->name,
	                   file, strerror(error),
	                   error == ENOENT ? "put it there" : "let the agent's user read it");
	return -error;
}

static int check_password_file(const struct lf_config *config, const struct lf_key *key,
                               struct lf_error *err)
{
	const char *file = *(const char *const *)lf_key_value(config, key);
	struct lf_error why = { "" };
	char *password = NULL;
	int rc;

	if (!*file)
		return 0;
	rc = lf_config_password(file, &password, &why);
	lf_config_forget_password(password);
	if (rc < 0)
		(void)lf_key_wrong(config, key, err, "%s.%s: %s", key->section, key->name, why.text);
	return rc;
}

static int check_files_of(const struct lf_config *config, const char *section, struct lf_error *err)
{
	int rc = check_password_file(config, lf_key_find(section, "password_file"), err);

	if (rc == 0)
		rc = check_file(config, lf_key_find(section, "tls_ca_file"), err);
	if (rc == 0)
		rc = check_file(config, lf_key_find(section, "tls_certificate_file"), err);
	return rc < 0 ? rc : check_file(config, lf_key_find(section, "tls_key_file"), err);
}

int lf_config_check_files(const struct lf_config *config, struct lf_error *err)
{
	int rc = 0;

	if (config->mongo.enabled)
		rc = check_files_of(config, "mongo", err);
	if (rc == 0 && config->redis.enabled)
		rc = check_files_of(config, "redis", err);
	return rc;
}
