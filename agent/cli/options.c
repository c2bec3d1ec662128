#include "agent/cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/policy.h"
#include "logfold/entry.h"
#include "hashing/namespace.h"

struct row {
	const char *name;
	char letter; /* 0: none */
	unsigned takes; /* 0: every command */
	const char *value; /* what its value is called; NULL: it has none; "[=…]": it may be left out */
	const char *help;
	int (*set)(struct lf_options *options, const char *value, struct lf_error *err);
};

static int set_help(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	(void)err;
	options->help = true;
	return 0;
}

static int set_json(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	(void)err;
	options->json = true;
	return 0;
}

static int not_empty(const char **to, const char *value, const char *name, struct lf_error *err)
{
	if (!*value)
		return lf_fail(err, -EINVAL, "--%s is empty: leave it out or give a path", name);
	*to = value;
	return 0;
}

static int set_store(struct lf_options *options, const char *value, struct lf_error *err)
{
	return not_empty(&options->store, value, "store", err);
}

static int set_agent(struct lf_options *options, const char *value, struct lf_error *err)
{
	return not_empty(&options->agent, value, "agent", err);
}

static int set_summary_file(struct lf_options *options, const char *value, struct lf_error *err)
{
	return not_empty(&options->summary_file, value, "summary-file", err);
}

static int set_output(struct lf_options *options, const char *value, struct lf_error *err)
{
	return not_empty(&options->output, value, "output", err);
}

static int set_as(struct lf_options *options, const char *value, struct lf_error *err)
{
	if (!*value)
		return lf_fail(err, -EINVAL, "--as is empty: give a name for whoever counted");
	options->as = value;
	return 0;
}

static int set_skip_bad(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	(void)err;
	options->skip_bad = true;
	return 0;
}

static int set_namespace(struct lf_options *options, const char *value, struct lf_error *err)
{
	if (!lf_namespace_is(value))
		return lf_fail(err, -EINVAL,
			       "'%s' is no namespace: 1 to %d of letters, digits, '.', '_' and '-'", value,
			       (int)LF_NAMESPACE_MAX);
	options->namespace = value;
	return 0;
}

static int set_count(struct lf_options *options, const char *value, struct lf_error *err)
{
	char *end;

	errno = 0;
	options->count = strtoull(value, &end, 10);
	/* strtoull takes "-1" and " 1"; people who write that meant something else. */
	if (value[0] < '0' || value[0] > '9' || *end || errno || options->count == 0)
		return lf_fail(err, -EINVAL, "'%s' is no count: -n takes a number from 1 on", value);
	return 0;
}

static int set_summary(struct lf_options *options, const char *value, struct lf_error *err)
{
	static const char *const kinds[] = {
		[LF_SUMMARY_TABLE] = "table", [LF_SUMMARY_JSON] = "json", [LF_SUMMARY_NONE] = "none"
	};
	unsigned i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(value, kinds[i]) == 0) {
			options->summary = (enum lf_summary)i;
			return 0;
		}
	}
	return lf_fail(err, -EINVAL, "'%s' is no summary: --summary takes table, json or none", value);
}

static int set_config(struct lf_options *options, const char *value, struct lf_error *err)
{
	return not_empty(&options->config, value, "config", err);
}

static int set_task(struct lf_options *options, enum lf_agent_task task, struct lf_error *err)
{
	if (options->agent_task != LF_AGENT_SERVE && options->agent_task != task)
		return lf_fail(err, -EINVAL, "--check and the --print options are one at a time: give one");
	options->agent_task = task;
	return 0;
}

static int set_check(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	return set_task(options, LF_AGENT_CHECK, err);
}

static int set_print_config(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	return set_task(options, LF_AGENT_PRINT_CONFIG, err);
}

static int set_print_sample(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	return set_task(options, LF_AGENT_PRINT_SAMPLE, err);
}

static int set_print_keys(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	return set_task(options, LF_AGENT_PRINT_KEYS, err);
}

static int set_fold(struct lf_options *options, const char *value, struct lf_error *err)
{
	if (!value)
		value = LF_FOLD_PERIOD;
	return lf_policy_period((struct lf_text){ value, strlen(value) }, &options->fold_ms, err);
}

/* ---- logfold cache ---- */

static int set_file(struct lf_options *options, const char *value, struct lf_error *err)
{
	options->cache.given |= LF_CACHE_GIVEN_TIERS;
	return not_empty(&options->cache.file, value, "file", err);
}

static int set_redis(struct lf_options *options, const char *value, struct lf_error *err)
{
	options->cache.given |= LF_CACHE_GIVEN_TIERS;
	return not_empty(&options->cache.redis, value, "redis", err);
}

static int set_mongo(struct lf_options *options, const char *value, struct lf_error *err)
{
	options->cache.given |= LF_CACHE_GIVEN_TIERS;
	return not_empty(&options->cache.mongo, value, "mongo", err);
}

static int set_cache_name(struct lf_options *options, const char **to, unsigned given, const char *option,
                          const char *value, struct lf_error *err)
{
	if (!*value || strlen(value) > LF_CACHE_NAME_MAX)
		return lf_fail(err, -EINVAL, "--%s takes 1 to %d bytes", option, (int)LF_CACHE_NAME_MAX);
	options->cache.given |= given;
	*to = value;
	return 0;
}

static int set_app(struct lf_options *options, const char *value, struct lf_error *err)
{
	return set_cache_name(options, &options->cache.app, LF_CACHE_GIVEN_SCOPE, "app", value, err);
}

static int set_env(struct lf_options *options, const char *value, struct lf_error *err)
{
	return set_cache_name(options, &options->cache.env, LF_CACHE_GIVEN_SCOPE, "env", value, err);
}

static int set_type(struct lf_options *options, const char *value, struct lf_error *err)
{
	return set_cache_name(options, &options->cache.type, LF_CACHE_GIVEN_TYPE, "type", value, err);
}

static int set_org(struct lf_options *options, const char *value, struct lf_error *err)
{
	return set_cache_name(options, &options->cache.org, LF_CACHE_GIVEN_ORG, "org", value, err);
}

static int set_prefix(struct lf_options *options, const char *value, struct lf_error *err)
{
	options->cache.given |= LF_CACHE_GIVEN_PREFIX;
	return not_empty(&options->cache.prefix, value, "prefix", err);
}

static int set_tag(struct lf_options *options, const char *value, struct lf_error *err)
{
	const char *tag = NULL;
	int rc = set_cache_name(options, &tag, LF_CACHE_GIVEN_TAG, "tag", value, err);

	if (rc == 0 && options->cache.tags_count == LF_CACHE_TAGS_MAX)
		return lf_fail(err, -EINVAL, "there are more than %d tags: leave some out", (int)LF_CACHE_TAGS_MAX);
	if (rc == 0)
		options->cache.tags[options->cache.tags_count++] = (struct lf_text){ tag, strlen(tag) };
	return rc;
}

static int set_ttl(struct lf_options *options, const char *value, struct lf_error *err)
{
	uint32_t ms = 0;
	int rc = 0;

	options->cache.given |= LF_CACHE_GIVEN_TTL;
	options->cache.ttl_ms = LF_CACHE_TTL_NONE;
	if (strcmp(value, "none") != 0) {
		rc = lf_policy_period((struct lf_text){ value, strlen(value) }, &ms, err);
		options->cache.ttl_ms = ms;
	}
	return rc;
}

static int set_critical(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	(void)err;
	options->cache.given |= LF_CACHE_GIVEN_CRITICAL;
	return 0;
}

static int set_raw(struct lf_options *options, const char *value, struct lf_error *err)
{
	(void)value;
	(void)err;
	options->cache.given |= LF_CACHE_GIVEN_RAW;
	return 0;
}

static const struct row rows[] = {
	{ "store", 0, LF_TAKES_STORE, "FILE", "the store, instead of the default one", set_store },
	{ "agent", 0, LF_TAKES_AGENT, "SOCKET", "the store of the agent that listens there",
	  set_agent },
	{ "namespace", 0, LF_TAKES_NAMESPACE, "NAME", "the namespace of the entries",
	  set_namespace },
	{ "json", 0, LF_TAKES_JSON, NULL, "print one JSON object per entry and line", set_json },
	{ "count", 'n', LF_TAKES_COUNT, "COUNT", "only the COUNT most frequent", set_count },
	{ "summary", 0, LF_TAKES_SUMMARY, "KIND", "what to print at the end: table, json or none",
	  set_summary },
	{ "summary-file", 0, LF_TAKES_SUMMARY, "FILE", "where to print it, instead of stderr",
	  set_summary_file },
	{ "fold", 0, LF_TAKES_FOLD, "[=PERIOD]",
	  "print each message once in a period (" LF_FOLD_PERIOD "), then how often it was repeated", set_fold },
	{ "config", 'c', LF_TAKES_CONFIG, "FILE", "the configuration, instead of the default one",
	  set_config },
	{ "check", 0, LF_TAKES_TASK, NULL, "only say whether the configuration is right", set_check },
	{ "print-config", 0, LF_TAKES_TASK, NULL, "only print what it comes to, as a file",
	  set_print_config },
	{ "print-sample", 0, LF_TAKES_TASK, NULL, "only print a file with all keys and their defaults",
	  set_print_sample },
	{ "print-keys", 0, LF_TAKES_TASK, NULL, "only print a table of all keys", set_print_keys },
	{ "output", 0, LF_TAKES_OUTPUT, "FILE", "where to write, instead of stdout", set_output },
	{ "as", 0, LF_TAKES_IMPORT, "NAME", "whose the numbers are that name nobody", set_as },
	{ "skip-bad", 0, LF_TAKES_IMPORT, NULL, "leave out lines that cannot be read", set_skip_bad },
	{ "file", 0, LF_TAKES_CACHE, "FILE", "the SQLite tier, and of Redis and MongoDB only what is named, too", set_file },
	{ "redis", 0, LF_TAKES_CACHE, "URL", "the Redis tier, instead of what the configuration says", set_redis },
	{ "mongo", 0, LF_TAKES_CACHE, "URI", "the MongoDB tier, the same way", set_mongo },
	{ "app", 0, LF_TAKES_CACHE, "NAME", "what the keys begin with, instead of cache.app", set_app },
	{ "env", 0, LF_TAKES_CACHE, "NAME", "and go on with, instead of cache.env", set_env },
	{ "type", 0, LF_TAKES_CACHE, "NAME", "the type of the values (entry)", set_type },
	{ "org", 0, LF_TAKES_CACHE, "NAME", "the organisation whose they are (agent.namespace)", set_org },
	{ "tag", 0, LF_TAKES_CACHE, "TAG", "set, invalidate: a tag; may be given again", set_tag },
	{ "prefix", 0, LF_TAKES_CACHE, "TEXT", "invalidate: what the ids begin with", set_prefix },
	{ "ttl", 0, LF_TAKES_CACHE, "PERIOD", "set: how long it stays (cache.ttl_s), or none: for ever", set_ttl },
	{ "critical", 0, LF_TAKES_CACHE, NULL, "set: it is on the disk when this returns", set_critical },
	{ "raw", 0, LF_TAKES_CACHE, NULL, "get: the bytes as they are, and no newline", set_raw },
	{ "help", 'h', 0, NULL, "print this help", set_help },
};

enum { ROWS = sizeof(rows) / sizeof(*rows), LONG_BASE = 256 };

static bool is_optional(const struct row *row)
{
	return row->value && row->value[0] == '[';
}

static int arity(const struct row *row)
{
	if (is_optional(row))
		return optional_argument;
	return row->value ? required_argument : no_argument;
}

static bool is_taken(const struct row *row, unsigned takes)
{
	return row->takes == 0 || (row->takes & takes);
}

/* What getopt_long() wants to know.  A leading ':' makes it tell a missing value from an unknown
 * option; a '+' makes it stop at the first word. */
static void describe(unsigned takes, struct option longs[ROWS + 1], char shorts[2 * ROWS + 3])
{
	size_t i, n = 0;

	if (takes & LF_TAKES_COMMAND)
		*shorts++ = '+';
	*shorts++ = ':';
	for (i = 0; i < ROWS; i++) {
		if (!is_taken(&rows[i], takes))
			continue;
		longs[n++] = (struct option){ .name = rows[i].name,
			                      .has_arg = arity(&rows[i]),
			                      .val = (int)(LONG_BASE + i) };
		if (!rows[i].letter)
			continue;
		*shorts++ = rows[i].letter;
		if (rows[i].value)
			*shorts++ = ':';
	}
	longs[n] = (struct option){ 0 };
	*shorts = '\0';
}

static const struct row *row_of(int found)
{
	size_t i;

	if (found >= LONG_BASE && found < LONG_BASE + ROWS)
		return &rows[found - LONG_BASE];
	for (i = 0; i < ROWS; i++)
		if (rows[i].letter && rows[i].letter == found)
			return &rows[i];
	return NULL;
}

/* `code` is what getopt_long() returned, `word` the one it was looking at. */
static int explain(int code, const char *word, struct lf_error *err)
{
	const struct row *row = row_of(optopt);

	if (code == ':' && row)
		return lf_fail(err, -EINVAL, "--%s needs a value: --%s %s", row->name, row->name,
			       row->value);
	if (row && !row->value)
		return lf_fail(err, -EINVAL, "--%s takes no value: write --%s alone", row->name, row->name);
	if (optopt > 0 && optopt < LONG_BASE)
		return lf_fail(err, -EINVAL, "there is no option '-%c'", optopt);
	return lf_fail(err, -EINVAL, "there is no option '%.200s'", word);
}

int lf_options_parse(struct lf_options *out, unsigned takes, int argc, char **argv,
                     struct lf_error *err)
{
	struct lf_options options = { 0 };
	struct option longs[ROWS + 1];
	char shorts[2 * ROWS + 3];
	int code, rc;

	describe(takes, longs, shorts);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct row *row = code == '?' || code == ':' ? NULL : row_of(code);

		if (!row)
			return explain(code, argv[optind > 0 ? optind - 1 : 0], err);
		rc = row->set(&options, optarg, err);
		if (rc < 0)
			return rc;
	}
	if (options.store && options.agent)
		return lf_fail(err, -EINVAL, "--store and --agent both say which store: give one of them");
	options.words = argv + optind;
	options.words_count = argc - optind;
	*out = options;
	return 0;
}

void lf_options_help(FILE *out, unsigned takes)
{
	char left[64];
	size_t i;

	for (i = 0; i < ROWS; i++) {
		if (!is_taken(&rows[i], takes))
			continue;
		(void)snprintf(left, sizeof(left), "%c%c%s --%s%s%s", rows[i].letter ? '-' : ' ',
			       rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? "," : " ",
			       rows[i].name, rows[i].value && !is_optional(&rows[i]) ? " " : "",
			       rows[i].value ? rows[i].value : "");
		(void)fprintf(out, "  %-28s%s\n", left, rows[i].help);
	}
}
