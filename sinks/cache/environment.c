/* The options as the environment says them: one table of variables, in the order in which they are read, so that of two for
 * one option the later one stays. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinks/cache/environment.h"

enum kind {
	OF_NAME,   /* a text of 1 to LF_CACHE_NAME_MAX bytes */
	OF_TEXT,
	OF_SECRET, /* a text that no sentence repeats */
	OF_LIST,   /* texts, with commas between them: options.critical */
	OF_SWITCH, /* on or off, kept as `off` */
	OF_CHOICE, /* one of `names`, by its number */
	OF_BYTES,  /* a number, or one with K, M or G behind it */
	OF_INT, OF_UNSIGNED, OF_LONG, /* numbers of that type */
	OF_REAL,
};

struct variable {
	const char *name;
	enum kind kind;
	size_t at; /* in the options, or in the class of all types that have none of their own */
	bool of_class;
	int64_t min, max, scale; /* of what is written; the option is `scale` times it */
	const char *unit;
	const char *names;
};

#define AT(member) offsetof(struct lf_cache_options, member)
#define IN_CLASS(member) offsetof(struct lf_cache_class, member)
#define PREFIX "LOGFOLD_CACHE_"

enum { DAY_MS = 86400000, YEAR_S = 31536000 };
#define ANY_MS INT64_C(31536000000)
#define ANY_BYTES (INT64_C(1) << 50)

#define MS(name_, member) { PREFIX name_, OF_INT, AT(member), false, 1, DAY_MS, 1, "milliseconds", NULL }
#define MS_OR_NONE(name_, member) { PREFIX name_, OF_INT, AT(member), false, 0, DAY_MS, 1, "milliseconds", NULL }
#define LONG_MS(name_, member, min_) { PREFIX name_, OF_LONG, AT(member), false, min_, ANY_MS, 1, "milliseconds", NULL }
#define CLASS_MS(name_, member) { PREFIX name_, OF_LONG, IN_CLASS(member), true, 0, ANY_MS, 1, "milliseconds", NULL }
#define BYTES(name_, member, min_, max_) { PREFIX name_, OF_BYTES, AT(member), false, min_, max_, 1, "bytes", NULL }
#define COUNT(name_, member, min_, max_) { PREFIX name_, OF_UNSIGNED, AT(member), false, min_, max_, 1, NULL, NULL }
#define PERCENT(name_, member) { PREFIX name_, OF_UNSIGNED, AT(member), false, 0, 100, 1, "percent", NULL }
#define TEXT(name_, member) { PREFIX name_, OF_TEXT, AT(member), false, 0, 0, 0, NULL, NULL }
#define NAME(name_, member) { PREFIX name_, OF_NAME, AT(member), false, 0, 0, 0, NULL, NULL }
#define SECRET(name_, member) { PREFIX name_, OF_SECRET, AT(member), false, 0, 0, 0, NULL, NULL }
#define SWITCH(name_, member) { PREFIX name_, OF_SWITCH, AT(member), false, 0, 0, 0, NULL, NULL }
#define CHOICE(name_, member, names_) { PREFIX name_, OF_CHOICE, AT(member), false, 0, 0, 0, NULL, names_ }
#define MODE(name_, member) CHOICE(name_, member, "through behind")

#define SERVER(NAME_, tier) \
	SWITCH(NAME_, tier.off), SECRET(NAME_ "_URL", tier.url), SECRET(NAME_ "_PASSWORD", tier.password), \
	TEXT(NAME_ "_CA_FILE", tier.tls_ca_file), TEXT(NAME_ "_CERTIFICATE_FILE", tier.tls_certificate_file), \
	TEXT(NAME_ "_KEY_FILE", tier.tls_key_file), MODE(NAME_ "_MODE", tier.mode), \
	MS(NAME_ "_TIMEOUT_MS", tier.timeout_ms), MS(NAME_ "_CONNECT_TIMEOUT_MS", tier.connect_timeout_ms), \
	COUNT(NAME_ "_POOL_MIN", tier.pool_min, 0, 10000), COUNT(NAME_ "_POOL_MAX", tier.pool_max, 1, 10000), \
	BYTES(NAME_ "_COMPRESS_MIN", tier.compress_min, 0, ANY_BYTES)

static const struct variable variables[] = {
	{ "CACHE_DEFAULT_TTL", OF_LONG, IN_CLASS(ttl_ms), true, 0, YEAR_S, 1000, "seconds", NULL },
	{ "CACHE_HEALTH_CHECK_INTERVAL", OF_INT, AT(health_interval_ms), false, 1, 86400, 1000, "seconds", NULL },
	NAME("APP", app), NAME("KEYS_ENV", env),
	SWITCH("MEMORY", memory.off), CHOICE("MEMORY_POLICY", memory.policy, "lru lfu fifo s3fifo none"),
	{ PREFIX "MEMORY_ENTRIES", OF_LONG, AT(memory.max_entries), false, 0, INT64_C(1) << 40, 1, NULL, NULL },
	BYTES("MEMORY_BYTES", memory.max_bytes, 0, ANY_BYTES), COUNT("MEMORY_SHARDS", memory.shards, 0, 1024),
	SWITCH("SQLITE", sqlite.off), TEXT("SQLITE_FILE", sqlite.file), MODE("SQLITE_MODE", sqlite.mode),
	BYTES("SQLITE_COMPRESS_MIN", sqlite.compress_min, 0, ANY_BYTES), MS("SQLITE_TIMEOUT_MS", sqlite.timeout_ms),
	MS_OR_NONE("SQLITE_WATCH_MS", sqlite.watch_ms), LONG_MS("SQLITE_CARE_MS", sqlite.care_ms, 0),
	SERVER("REDIS", redis), SERVER("MONGO", mongo), NAME("MONGO_DATABASE", mongo.database),
	CLASS_MS("TTL_MS", ttl_ms),
	{ PREFIX "JITTER_PCT", OF_UNSIGNED, IN_CLASS(jitter_pct), true, 0, 50, 1, "percent", NULL },
	CLASS_MS("STALE_MS", stale_ms), { PREFIX "EARLY", OF_REAL, IN_CLASS(early), true, 0, 100, 1, NULL, NULL },
	CLASS_MS("NEGATIVE_MS", negative_ms),
	{ PREFIX "CRITICAL", OF_LIST, AT(critical), false, 0, 0, 0, NULL, NULL },
	BYTES("VALUE_MAX", value_max, 1, INT64_C(1) << 30),
	MS("DEADLINE_MS", deadline_ms), MS("LOAD_DEADLINE_MS", load_deadline_ms), MS("LOCK_TTL_MS", lock_ttl_ms),
	COUNT("WORKERS", workers, 1, 1024), MS("HEALTH_INTERVAL_MS", health_interval_ms),
	COUNT("FAILURES", failures, 1, 1000000), MS("BACKOFF_MIN_MS", backoff_min_ms), MS("BACKOFF_MAX_MS", backoff_max_ms),
	LONG_MS("UNWATCHED_MS", unwatched_ms, 1), LONG_MS("TOMBSTONE_MS", tombstone_ms, 1),
	PERCENT("HIT_RATE_DEGRADED_PCT", hit_rate_degraded_pct), PERCENT("HIT_RATE_CRITICAL_PCT", hit_rate_critical_pct),
	PERCENT("ERROR_RATE_DEGRADED_PCT", error_rate_degraded_pct), PERCENT("ERROR_RATE_CRITICAL_PCT", error_rate_critical_pct),
	MS_OR_NONE("LATENCY_DEGRADED_MS", latency_degraded_ms), MS_OR_NONE("LATENCY_CRITICAL_MS", latency_critical_ms),
	PERCENT("MEMORY_DEGRADED_PCT", memory_degraded_pct), PERCENT("MEMORY_CRITICAL_PCT", memory_critical_pct),
};

/* Which set.  Its values take the place of options that are still as lf_cache_options_init() made them. */
#define SET_NAME PREFIX "ENV"
static const struct {
	const char *name, *value;
} development[] = {
	{ PREFIX "KEYS_ENV", "development" },  { PREFIX "MEMORY_BYTES", "32M" },
	{ PREFIX "TTL_MS", "60000" },          { PREFIX "SQLITE_CARE_MS", "0" },
	{ PREFIX "DEADLINE_MS", "5000" },      { PREFIX "REDIS_TIMEOUT_MS", "1000" },
	{ PREFIX "MONGO_TIMEOUT_MS", "2000" }, { PREFIX "REDIS_POOL_MIN", "1" },
	{ PREFIX "MONGO_POOL_MIN", "1" },      { PREFIX "WORKERS", "1" },
};

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

struct lf_cache_environment {
	char **texts;
	size_t texts_count;
	struct lf_cache_class *classes; /* the options' and that of all types that have none of their own */
	size_t classes_count;
	const char **critical;
};

/* --- what is kept ---------------------------------------------------------------------------------- */

static int no_memory(struct lf_error *err)
{
	return lf_fail(err, -ENOMEM, "there is no memory for what the environment says of the cache");
}

/* Takes the text over. */
static const char *keep_text(struct lf_cache_environment *keep, char *text)
{
	char **more = text ? realloc(keep->texts, (keep->texts_count + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(text);
		return NULL;
	}
	keep->texts = more;
	keep->texts[keep->texts_count++] = text;
	return text;
}

/* The class of all types that have none of their own; made on first use. */
static struct lf_cache_class *class_of_all(struct lf_cache_environment *keep, struct lf_cache_options *options)
{
	size_t count = options->classes_count, at = 0;

	if (!keep->classes) {
		keep->classes = calloc(count + 1, sizeof(*keep->classes));
		if (!keep->classes)
			return NULL;
		if (count)
			memcpy(keep->classes, options->classes, count * sizeof(*keep->classes));
		while (at < count && keep->classes[at].type)
			at++;
		options->classes = keep->classes;
		options->classes_count = at == count ? count + 1 : count;
	}
	for (at = 0; keep->classes[at].type;)
		at++;
	return &keep->classes[at];
}

void lf_cache_environment_free(struct lf_cache_environment *keep)
{
	if (!keep)
		return;
	for (size_t i = 0; i < keep->texts_count; i++) {
		explicit_bzero(keep->texts[i], strlen(keep->texts[i])); /* maybe a password */
		free(keep->texts[i]);
	}
	free(keep->texts);
	free(keep->classes);
	free(keep->critical);
	free(keep);
}

/* --- reading one value ------------------------------------------------------------------------------ */

static bool read_number(const char *text, bool with_suffix, int64_t *out)
{
	static const char suffixes[] = "KMG";
	unsigned shift = 0;
	const char *suffix;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	suffix = with_suffix && *end ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
	if (suffix) {
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		end++;
	}
	if (errno || *end || *out > INT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static bool read_switch(const char *text, bool *on)
{
	static const char *const words[][2] = { { "0", "1" }, { "off", "on" }, { "false", "true" }, { "no", "yes" } };

	for (size_t i = 0; i < LENGTH(words); i++)
		for (int k = 0; k < 2; k++)
			if (strcasecmp(text, words[i][k]) == 0) {
				*on = k == 1;
				return true;
			}
	return false;
}

/* The number of a word among words with spaces between them, or -1. */
static int read_choice(const char *text, const char *names)
{
	size_t len = strlen(text);
	int number = 0;

	for (const char *at = names; *at; number++) {
		size_t word = strcspn(at, " ");

		if (word == len && strncasecmp(at, text, len) == 0)
			return number;
		at += word + (at[word] == ' ');
	}
	return -1;
}

/* What is not as it should be is the same sentence for all numbers. */
static int wrong_number(const struct variable *variable, const char *value, struct lf_error *err)
{
	return lf_fail(err, -EINVAL, "%s is '%.60s': it takes a number%s%s from %lld to %lld%s", variable->name, value,
	               variable->unit ? " of " : "", variable->unit ? variable->unit : "", (long long)variable->min,
	               (long long)variable->max, variable->kind == OF_BYTES ? ", or one with K, M or G behind it" : "");
}

static void write_number(enum kind kind, void *at, int64_t number)
{
	if (kind == OF_INT || kind == OF_UNSIGNED || kind == OF_CHOICE)
		memcpy(at, &(int){ (int)number }, sizeof(int));
	else
		memcpy(at, &number, sizeof(number));
}
_Static_assert(sizeof(size_t) == sizeof(int64_t), "options of bytes are 64-bit numbers");
_Static_assert(sizeof(enum lf_cache_policy) == sizeof(int), "a choice is written as an int");

static int set_number(const struct variable *variable, void *at, const char *value, struct lf_error *err)
{
	int64_t number;

	if (!read_number(value, variable->kind == OF_BYTES, &number) || number < variable->min || number > variable->max)
		return wrong_number(variable, value, err);
	write_number(variable->kind, at, number * variable->scale);
	return 0;
}

static int set_real(const struct variable *variable, void *at, const char *value, struct lf_error *err)
{
	char *end;
	double number = strtod(value, &end);

	if (end == value || *end || !(number >= (double)variable->min && number <= (double)variable->max))
		return wrong_number(variable, value, err);
	memcpy(at, &number, sizeof(number));
	return 0;
}

static int set_switch(const struct variable *variable, void *at, const char *value, struct lf_error *err)
{
	bool on;

	if (!read_switch(value, &on))
		return lf_fail(err, -EINVAL, "%s is '%.60s': it takes on or off", variable->name, value);
	*(bool *)at = !on;
	return 0;
}

static int set_choice(const struct variable *variable, void *at, const char *value, struct lf_error *err)
{
	int number = read_choice(value, variable->names);

	if (number < 0)
		return lf_fail(err, -EINVAL, "%s is '%.60s': it takes one of %s", variable->name, value, variable->names);
	write_number(OF_CHOICE, at, number);
	return 0;
}

static int set_text(struct lf_cache_environment *keep, const struct variable *variable, void *at, const char *value,
                    struct lf_error *err)
{
	const char *text;

	if (variable->kind == OF_NAME && strlen(value) > LF_CACHE_NAME_MAX)
		return lf_fail(err, -EINVAL, "%s has %zu bytes: it may have %d", variable->name, strlen(value), LF_CACHE_NAME_MAX);
	text = keep_text(keep, strdup(value));
	if (!text)
		return no_memory(err);
	memcpy(at, &text, sizeof(text));
	return 0;
}

static int set_list(struct lf_cache_environment *keep, struct lf_cache_options *options, const struct variable *variable,
                    const char *value, struct lf_error *err)
{
	char *text = strdup(value), *rest = text, *item;
	size_t count = 0;

	if (!keep_text(keep, text))
		return no_memory(err);
	free(keep->critical);
	keep->critical = calloc(strlen(value) + 1, sizeof(*keep->critical));
	if (!keep->critical)
		return no_memory(err);
	while ((item = strsep(&rest, ",")) != NULL) {
		if (!*item)
			return lf_fail(err, -EINVAL, "%s has an empty pattern: it takes TYPE:ORG:ID,TYPE:ORG:ID…", variable->name);
		keep->critical[count++] = item;
	}
	options->critical = keep->critical;
	options->critical_count = count;
	return 0;
}

static int set_one(struct lf_cache_environment *keep, struct lf_cache_options *options, const struct variable *variable,
                   const char *value, struct lf_error *err)
{
	char *base = (char *)options;
	void *at;

	if (variable->of_class)
		base = (char *)class_of_all(keep, options);
	if (!base)
		return no_memory(err);
	at = base + variable->at;
	switch (variable->kind) {
	case OF_NAME:
	case OF_TEXT:
	case OF_SECRET:
		return set_text(keep, variable, at, value, err);
	case OF_LIST:
		return set_list(keep, options, variable, value, err);
	case OF_SWITCH:
		return set_switch(variable, at, value, err);
	case OF_CHOICE:
		return set_choice(variable, at, value, err);
	case OF_REAL:
		return set_real(variable, at, value, err);
	case OF_BYTES:
	case OF_INT:
	case OF_UNSIGNED:
	case OF_LONG:
		break;
	}
	return set_number(variable, at, value, err);
}

/* --- the set ---------------------------------------------------------------------------------------- */

static const struct variable *variable_of(const char *name, size_t len)
{
	for (size_t i = 0; i < LENGTH(variables); i++)
		if (strlen(variables[i].name) == len && memcmp(variables[i].name, name, len) == 0)
			return &variables[i];
	return NULL;
}

static size_t size_of(enum kind kind)
{
	return kind == OF_INT || kind == OF_UNSIGNED || kind == OF_CHOICE ? sizeof(int) : sizeof(int64_t);
}

/* Whether it is as lf_cache_options_init() made it. */
static bool is_default(const struct variable *variable, const struct lf_cache_options *options)
{
	struct lf_cache_options defaults;
	const char *text;

	lf_cache_options_init(&defaults);
	if (variable->of_class) {
		for (size_t i = 0; i < options->classes_count; i++)
			if (!options->classes[i].type)
				return options->classes[i].ttl_ms == 0;
		return true;
	}
	if (variable->kind != OF_NAME)
		return memcmp((const char *)options + variable->at, (const char *)&defaults + variable->at,
		              size_of(variable->kind)) == 0;
	memcpy(&text, (const char *)options + variable->at, sizeof(text));
	return !text || strcmp(text, defaults.env) == 0;
}

static int read_set(struct lf_cache_environment *keep, struct lf_cache_options *options, const char *set,
                    struct lf_error *err)
{
	int rc = 0;

	if (!set || strcmp(set, "production") == 0)
		return 0;
	if (strcmp(set, "development") != 0)
		return lf_fail(err, -EINVAL, SET_NAME " is '%.60s': it takes production or development "
		               "(" PREFIX "KEYS_ENV is what keys are told apart by)", set);
	for (size_t i = 0; rc == 0 && i < LENGTH(development); i++) {
		const struct variable *variable = variable_of(development[i].name, strlen(development[i].name));

		if (is_default(variable, options))
			rc = set_one(keep, options, variable, development[i].value, err);
	}
	return rc;
}

/* --- all of it -------------------------------------------------------------------------------------- */

/* What is there and empty is as if it were not. */
const char *lf_environment_get(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int refuse_unknown(struct lf_error *err)
{
	for (char **at = environ; at && *at; at++) {
		size_t len = strcspn(*at, "=");

		if (strncmp(*at, PREFIX, strlen(PREFIX)) == 0 && !variable_of(*at, len) &&
		    (len != strlen(SET_NAME) || strncmp(*at, SET_NAME, len) != 0))
			return lf_fail(err, -EINVAL, "%.*s is no variable of the cache's: the README lists those that are",
			               (int)(len < 100 ? len : 100), *at);
	}
	return 0;
}

static int read_all(struct lf_cache_environment *keep, struct lf_cache_options *options, struct lf_error *err)
{
	char *url = NULL;
	int rc = refuse_unknown(err);

	if (rc == 0)
		rc = read_set(keep, options, lf_environment_get(SET_NAME), err);
	if (rc == 0)
		rc = lf_environment_redis(&url, err);
	if (rc == 0 && url && !(options->redis.url = keep_text(keep, url)))
		return no_memory(err);
	if (rc == 0 && url)
		options->redis.password = NULL; /* that was another server's */
	for (size_t i = 0; rc == 0 && i < LENGTH(variables); i++) {
		const char *value = lf_environment_get(variables[i].name);

		if (value)
			rc = set_one(keep, options, &variables[i], value, err);
	}
	return rc;
}

int lf_cache_options_environment(struct lf_cache_options *options, struct lf_cache_environment **keep, struct lf_error *err)
{
	struct lf_cache_environment *made = calloc(1, sizeof(*made));
	struct lf_cache_options read = *options;
	int rc = made ? read_all(made, &read, err) : no_memory(err);

	if (rc < 0) {
		lf_cache_environment_free(made);
		return rc;
	}
	*options = read;
	*keep = made;
	return 0;
}
