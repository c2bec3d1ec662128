/* What agent.toml says.
 *
 * keys.c holds the one table of keys: name, type, range, default, what it is for.  The parser, the
 * sample agent.toml, `logfold agent --check` and `--print-config`, and the table in the README all come
 * out of it.  Every key has a default: an empty file, or none, is a working agent.
 *
 * Strict: a key that is not in the table, one given twice, a value of another type or out of its range
 * is an error that names file and line and what would be right.
 */
#ifndef LOGFOLD_CONFIG_CONFIG_H
#define LOGFOLD_CONFIG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "logfold/cache.h"
#include "logfold/error.h"

struct lf_strings {
	const char **item;
	size_t count;
};

/* Texts are never NULL; an empty one was not given. */
struct lf_tier_config {
	bool enabled;
	const char *uri; /* $LOGFOLD_MONGO_URI and $LOGFOLD_REDIS_URL come before the file */
	const char *password_file; /* one line; $LOGFOLD_MONGO_PASSWORD_FILE, $LOGFOLD_REDIS_PASSWORD_FILE */
	const char *database;      /* mongo */
	const char *tls_ca_file, *tls_certificate_file, *tls_key_file;
	int64_t timeout_ms;         /* of every call */
	int64_t connect_timeout_ms;
	int64_t batch_size;         /* entries of one write */
	int64_t poll_interval_ms;   /* how often flags are read again, beside notifications */
	int64_t ttl_s;              /* redis */
	int64_t max_entries;        /* redis: the hot set */
};

/* Two thresholds: from the first on the state is degraded, from the second on critical. */
struct lf_threshold {
	int64_t degraded, critical;
};

enum lf_read_source {
	LF_READ_MEMORY,
	LF_READ_SQLITE,
	LF_READ_REDIS,
	LF_READ_MONGO,
	LF_READ_SOURCES
};

struct lf_config {
	struct {
		const char *run_dir; /* empty: found as ever */
		const char *store;   /* empty: the default one */
		const char *namespace; /* the agent's own, and that of what names none */
		struct lf_strings namespaces; /* NAMESPACE or USER:NAMESPACE, * for any */
		bool all_users;               /* users = "all": the run directory is for every user */
		int64_t drain_interval_ms, flush_interval_ms, stop_timeout_ms;
		int64_t announce_interval_s; /* 0: told when it begins and ends */
		enum lf_read_source fallback[LF_READ_SOURCES]; /* the order in which an entry is looked for */
		size_t fallback_count;
	} agent;
	struct {
		int64_t max_entries; /* of one process */
		const char *skip_frames; /* names of functions, each with a newline behind it */
	} hook;
	struct lf_tier_config mongo, redis;
	struct {
		int64_t failures;                     /* in a row, until a tier is left alone */
		int64_t backoff_min_ms, backoff_max_ms; /* for how long, doubled each time, jittered */
	} breaker;
	struct {
		struct lf_threshold hit_rate;   /* % of the calls that the processes' maps knew; below it */
		struct lf_threshold error_rate; /* % of a tier's calls; from it on, as the next two */
		struct lf_threshold latency_ms; /* median of a tier's calls */
		struct lf_threshold memory;     /* % of its limit */
		int64_t memory_limit_mb;        /* the agent's */
	} health;
	struct {
		bool enabled;
		const char *app, *env; /* what the keys begin with */
		int64_t memory_mb, memory_entries; /* 0: no limit */
		enum lf_cache_policy policy;
		bool sqlite;
		const char *file; /* of the SQLite tier; empty: cache.db beside the store */
		bool redis, mongo; /* that of [redis] and [mongo], where they are enabled */
		int64_t ttl_s;    /* of what is set without a TTL, and of entries */
		struct lf_strings critical; /* patterns of type:org:id */
		int64_t deadline_ms, health_interval_ms;
	} cache;
	struct {
		bool enabled;
		const char *listen; /* HOST:PORT of the loopback, or unix:/PATH */
		int64_t max_connections, timeout_s;
		int64_t ttl_ms; /* of a response; that of health is a second at most */
	} http;
	void *texts; /* what the texts live in, and where each value comes from */
};

/* Reads the file, or with NULL takes the defaults; then the environment.  An error leaves *out alone.
 * -EINVAL: `err` has `FILE:LINE: what is wrong: what would be right`, or `VARIABLE: …`; -E2BIG; -ENOENT,
 * -EACCES…  A URI is never told, as it may hold a password. */
LF_MUST_CHECK int lf_config_read(struct lf_config **out, const char *file, struct lf_error *err);
void lf_config_free(struct lf_config *config); /* NULL is fine */

/* The file that is read when none is named: /etc/logfold/agent.toml for root, where it exists, else
 * $XDG_CONFIG_HOME/logfold/agent.toml (~/.config/…).  False where there is none: the defaults hold. */
bool lf_config_default_file(char out[PATH_MAX]);

/* Whether the files that the enabled tiers need can be read.  Errors as above. */
LF_MUST_CHECK int lf_config_check_files(const struct lf_config *config, struct lf_error *err);

/* The one line of a password file, without its end; the caller frees it with
 * lf_config_forget_password().  A file that others than its owner can read is an error (-EPERM), but that
 * root's may be readable by its group; so is one with more lines, or an empty one (-EINVAL). */
LF_MUST_CHECK int lf_config_password(const char *file, char **out, struct lf_error *err);
void lf_config_forget_password(char *password); /* NULL is fine; overwrites it */

/* All keys with their values, as a TOML file that reads back; passwords in URIs as `***`. */
void lf_config_print(const struct lf_config *config, FILE *out);

/* The sample file, which is agent.toml, and the table of the README: one row per key. */
void lf_config_print_sample(FILE *out);
void lf_config_print_table(FILE *out);

#endif
