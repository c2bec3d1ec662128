#include "sinks/cache/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name_, type_, min_, max_) \
	{ #name_, offsetof(struct lf_cache_options, name_), type_, min_, max_ }
#define SERVER(tier_)                                                   \
	FIELD(tier_.timeout_ms, INT, 1, INT32_MAX), FIELD(tier_.connect_timeout_ms, INT, 1, INT32_MAX), \
	FIELD(tier_.pool_max, UNSIGNED, 1, 10000), FIELD(tier_.mode, UNSIGNED, LF_CACHE_THROUGH, LF_CACHE_BEHIND)

/* Numbers, and what they may be.  None is of a tier that is off and was left at zero. */
static const struct number {
	const char *name;
	size_t at;
	enum { INT, UNSIGNED, LONG, SIZE } type;
	int64_t min, max;
} always[] = {
	FIELD(memory.policy, UNSIGNED, LF_CACHE_LRU, LF_CACHE_NONE),
	FIELD(memory.shards, UNSIGNED, 0, 4096),
	FIELD(value_max, SIZE, 1, INT64_C(1) << 30),
	FIELD(deadline_ms, INT, 1, INT32_MAX),
	FIELD(load_deadline_ms, INT, 1, INT32_MAX),
	FIELD(lock_ttl_ms, INT, 1, INT32_MAX),
	FIELD(workers, UNSIGNED, 1, 1024),
	FIELD(health_interval_ms, INT, 1, INT32_MAX),
	FIELD(failures, UNSIGNED, 1, INT32_MAX),
	FIELD(backoff_min_ms, INT, 1, INT32_MAX),
	FIELD(backoff_max_ms, INT, 1, INT32_MAX),
	FIELD(unwatched_ms, LONG, 1, INT64_MAX),
	FIELD(tombstone_ms, LONG, 1, INT64_MAX),
	FIELD(hit_rate_degraded_pct, UNSIGNED, 0, 100),
	FIELD(hit_rate_critical_pct, UNSIGNED, 0, 100),
	FIELD(error_rate_degraded_pct, UNSIGNED, 0, 100),
	FIELD(error_rate_critical_pct, UNSIGNED, 0, 100),
	FIELD(latency_degraded_ms, INT, 0, INT32_MAX),
	FIELD(latency_critical_ms, INT, 0, INT32_MAX),
	FIELD(memory_degraded_pct, UNSIGNED, 0, 100),
	FIELD(memory_critical_pct, UNSIGNED, 0, 100),
}, sqlite[] = {
	FIELD(sqlite.mode, UNSIGNED, LF_CACHE_THROUGH, LF_CACHE_BEHIND),
	FIELD(sqlite.timeout_ms, INT, 1, INT32_MAX),
	FIELD(sqlite.watch_ms, INT, 0, INT32_MAX),
	FIELD(sqlite.care_ms, LONG, 0, INT64_MAX),
}, redis[] = { SERVER(redis) }, mongo[] = { SERVER(mongo) };

/* Every text of the options, but for those of classes and patterns. */
static const size_t texts[] = {
	offsetof(struct lf_cache_options, app),
	offsetof(struct lf_cache_options, env),
	offsetof(struct lf_cache_options, sqlite.file),
#define SERVER_TEXTS(tier_)                                                                        \
	offsetof(struct lf_cache_options, tier_.url), offsetof(struct lf_cache_options, tier_.password), \
	offsetof(struct lf_cache_options, tier_.database), offsetof(struct lf_cache_options, tier_.tls_ca_file), \
	offsetof(struct lf_cache_options, tier_.tls_certificate_file), offsetof(struct lf_cache_options, tier_.tls_key_file)
	SERVER_TEXTS(redis),
	SERVER_TEXTS(mongo),
};

#define COUNT(array_) (sizeof(array_) / sizeof(*(array_)))

/* --- checking -------------------------------------------------------------------------------------- */

static int64_t value_of(const struct number *number, const struct lf_cache_options *options)
{
	const char *at = (const char *)options + number->at;
	int64_t wide = 0;
	unsigned plain = 0;
	size_t size = 0;
	int narrow = 0;

	switch (number->type) {
	case INT:
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	case UNSIGNED:
		memcpy(&plain, at, sizeof(plain));
		return plain;
	case SIZE:
		memcpy(&size, at, sizeof(size));
		return size > INT64_MAX ? INT64_MAX : (int64_t)size;
	case LONG:
		memcpy(&wide, at, sizeof(wide));
	}
	return wide;
}

static int check_numbers(const struct number *numbers, size_t count, const struct lf_cache_options *options,
                         struct lf_error *err)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = value_of(&numbers[i], options);

		if (value < numbers[i].min || value > numbers[i].max)
			return lf_fail(err, -EINVAL, "the option %s is %lld: it takes %lld to %lld "
			               "(lf_cache_options_init gives every option its default)",
			               numbers[i].name, (long long)value, (long long)numbers[i].min,
			               (long long)numbers[i].max);
	}
	return 0;
}

static int check_class(const struct lf_cache_class *class, struct lf_error *err)
{
	const char *type = class->type ? class->type : "(all others)";

	if (class->type && (!*class->type || strlen(class->type) > LF_CACHE_NAME_MAX))
		return lf_fail(err, -EINVAL, "a class is for a type whose name has %zu bytes: it may have 1 to %d, or is "
		               "NULL for all others", strlen(class->type), LF_CACHE_NAME_MAX);
	if (class->ttl_ms < 0 || class->stale_ms < 0 || class->negative_ms < 0)
		return lf_fail(err, -EINVAL, "the class of '%s' has a time below zero: 0 means none", type);
	if (class->jitter_pct > 50)
		return lf_fail(err, -EINVAL, "the class of '%s' has a jitter of %u %%: at most 50", type, class->jitter_pct);
	if (!(class->early >= 0 && class->early <= 1000))
		return lf_fail(err, -EINVAL, "the class of '%s' is early by %g: 0 to 1000, 1 is usual", type, class->early);
	if (class->ttl_ms && class->stale_ms >= class->ttl_ms)
		return lf_fail(err, -EINVAL, "the class of '%s' has values that are old from the start: its stale_ms is %lld "
		               "of a ttl_ms of %lld", type, (long long)class->stale_ms, (long long)class->ttl_ms);
	return 0;
}

static int check_classes(const struct lf_cache_options *options, struct lf_error *err)
{
	for (size_t i = 0; i < options->classes_count; i++) {
		const char *type = options->classes[i].type;
		int rc = check_class(&options->classes[i], err);

		if (rc)
			return rc;
		for (size_t j = 0; j < i; j++) {
			const char *other = options->classes[j].type;

			if (type == other || (type && other && strcmp(type, other) == 0))
				return lf_fail(err, -EINVAL, "there are two classes for '%s'", type ? type : "(all others)");
		}
	}
	return 0;
}

static int check_name(const char *what, const char *name, struct lf_error *err)
{
	if (!name || !*name || strlen(name) > LF_CACHE_NAME_MAX)
		return lf_fail(err, -EINVAL, "the option %s has %zu bytes: it may have 1 to %d", what, name ? strlen(name) : 0,
		               LF_CACHE_NAME_MAX);
	return 0;
}

static int check_server(const char *name, const struct lf_cache_server_options *server, struct lf_error *err)
{
	if (server->pool_min > server->pool_max)
		return lf_fail(err, -EINVAL, "the option %s.pool_min is %u, over %s.pool_max, which is %u", name, server->pool_min,
		               name, server->pool_max);
	return 0;
}

/* The tiers that are on, and that there is one. */
static int check_tiers(const struct lf_cache_options *options, struct lf_error *err)
{
	bool file = lf_options_given(options->sqlite.off, options->sqlite.file);
	bool first = lf_options_given(options->redis.off, options->redis.url);
	bool second = lf_options_given(options->mongo.off, options->mongo.url);
	unsigned shards = options->memory.shards;
	int rc = 0;

	if (shards & (shards - 1))
		return lf_fail(err, -EINVAL, "the option memory.shards is %u: it is a power of two, or 0", shards);
	if (options->memory.off && !file && !first && !second)
		return lf_fail(err, -EINVAL, "no tier is on: leave memory on, or give sqlite.file, redis.url or mongo.url");
	if (file)
		rc = check_numbers(sqlite, COUNT(sqlite), options, err);
	if (!rc && first)
		rc = check_numbers(redis, COUNT(redis), options, err);
	if (!rc && first)
		rc = check_server("redis", &options->redis, err);
	if (!rc && second)
		rc = check_numbers(mongo, COUNT(mongo), options, err);
	return rc || !second ? rc : check_server("mongo", &options->mongo, err);
}

int lf_options_check(const struct lf_cache_options *options, struct lf_error *err)
{
	int rc = check_name("app", options->app, err);

	if (!rc)
		rc = check_name("env", options->env, err);
	if (!rc)
		rc = check_numbers(always, COUNT(always), options, err);
	if (!rc && options->backoff_max_ms < options->backoff_min_ms)
		rc = lf_fail(err, -EINVAL, "the option backoff_max_ms is %d, less than backoff_min_ms, which is %d",
		             options->backoff_max_ms, options->backoff_min_ms);
	if (!rc)
		rc = check_tiers(options, err);
	if (!rc)
		rc = check_classes(options, err);
	for (size_t i = 0; !rc && i < options->critical_count; i++)
		if (!options->critical[i] || !*options->critical[i])
			rc = lf_fail(err, -EINVAL, "the %zu. pattern of critical keys is empty: * would be all", i + 1);
	return rc;
}

/* --- copying --------------------------------------------------------------------------------------- */

static bool copy_text(const char **at)
{
	return !*at || (*at = strdup(*at)) != NULL;
}

static const char **text_at(struct lf_cache_options *options, size_t i)
{
	return (const char **)(void *)((char *)options + texts[i]);
}

/* A list of its own, of `count` elements; never a size of 0. */
static void *copy_list(const void *from, size_t count, size_t size)
{
	void *list = calloc(count + 1, size);

	if (list && count)
		memcpy(list, from, count * size);
	return list;
}

static int copy_classes(struct lf_cache_options *out, const struct lf_cache_options *from)
{
	struct lf_cache_class *classes = copy_list(from->classes, from->classes_count, sizeof(*classes));

	if (!classes)
		return -ENOMEM;
	out->classes = classes;
	for (; out->classes_count < from->classes_count; out->classes_count++)
		if (!copy_text(&classes[out->classes_count].type))
			return -ENOMEM;
	return 0;
}

static int copy_critical(struct lf_cache_options *out, const struct lf_cache_options *from)
{
	const char **patterns = copy_list(from->critical, from->critical_count, sizeof(*patterns));

	if (!patterns)
		return -ENOMEM;
	out->critical = patterns;
	for (; out->critical_count < from->critical_count; out->critical_count++)
		if (!copy_text(&patterns[out->critical_count]))
			return -ENOMEM;
	return 0;
}

int lf_options_copy(struct lf_cache_options *out, const struct lf_cache_options *from)
{
	bool all = true;
	int rc;

	*out = *from;
	out->classes = NULL;
	out->critical = NULL;
	out->classes_count = out->critical_count = 0;
	/* Even after a failure: what is not ours must not be freed. */
	for (size_t i = 0; i < COUNT(texts); i++)
		all &= copy_text(text_at(out, i));
	if (!all)
		return -ENOMEM;
	rc = copy_classes(out, from);
	return rc ? rc : copy_critical(out, from);
}

void lf_options_free(struct lf_cache_options *copy)
{
	for (size_t i = 0; i < COUNT(texts); i++)
		free((void *)(uintptr_t)*text_at(copy, i));
	for (size_t i = 0; i < copy->classes_count; i++)
		free((void *)(uintptr_t)copy->classes[i].type);
	for (size_t i = 0; i < copy->critical_count; i++)
		free((void *)(uintptr_t)copy->critical[i]);
	free((void *)(uintptr_t)copy->classes);
	free((void *)(uintptr_t)copy->critical);
}
