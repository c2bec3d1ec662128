/* The options of all commands: one table, of which each command takes a part.
 *
 * `--opt=value`, `--opt value` and `-n5` are all fine, anywhere among the words; behind `--` all is
 * words.  A value that may be left out is given as `--opt=value` only.  A command that takes LF_TAKES_COMMAND stops at its first word: what follows is not ours.
 */
#ifndef LOGFOLD_CLI_OPTIONS_H
#define LOGFOLD_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "logfold/cache.h"
#include "logfold/error.h"

enum lf_takes {
	LF_TAKES_STORE = 1 << 0,
	LF_TAKES_AGENT = 1 << 1,
	LF_TAKES_NAMESPACE = 1 << 2,
	LF_TAKES_JSON = 1 << 3,
	LF_TAKES_COUNT = 1 << 4,
	LF_TAKES_SUMMARY = 1 << 5,
	LF_TAKES_COMMAND = 1 << 6,
	LF_TAKES_CONFIG = 1 << 7,
	LF_TAKES_TASK = 1 << 8,
	LF_TAKES_OUTPUT = 1 << 9,
	LF_TAKES_IMPORT = 1 << 10,
	LF_TAKES_FOLD = 1 << 11,
	LF_TAKES_CACHE = 1 << 12,
};

/* What `logfold cache` was given, apart from its words. */
enum lf_cache_given {
	LF_CACHE_GIVEN_TIERS = 1 << 0, /* --file, --redis or --mongo */
	LF_CACHE_GIVEN_TYPE = 1 << 1,
	LF_CACHE_GIVEN_ORG = 1 << 2,
	LF_CACHE_GIVEN_TAG = 1 << 3,
	LF_CACHE_GIVEN_PREFIX = 1 << 4,
	LF_CACHE_GIVEN_TTL = 1 << 5,
	LF_CACHE_GIVEN_CRITICAL = 1 << 6,
	LF_CACHE_GIVEN_RAW = 1 << 7,
	LF_CACHE_GIVEN_SCOPE = 1 << 8, /* --app or --env */
};

struct lf_cache_wish {
	unsigned given;
	const char *file, *redis, *mongo; /* NULL: not given */
	const char *app, *env, *type, *org, *prefix;
	struct lf_text tags[LF_CACHE_TAGS_MAX];
	size_t tags_count;
	int64_t ttl_ms; /* as lf_cache_set.ttl_ms; LF_CACHE_TTL_CLASS: not given */
};

enum lf_summary {
	LF_SUMMARY_TABLE,
	LF_SUMMARY_JSON,
	LF_SUMMARY_NONE,
};

/* What `logfold agent` shall do instead of serving. */
enum lf_agent_task {
	LF_AGENT_SERVE,
	LF_AGENT_CHECK,
	LF_AGENT_PRINT_CONFIG,
	LF_AGENT_PRINT_SAMPLE,
	LF_AGENT_PRINT_KEYS,
};

/* All zero: the defaults.  Strings are argv's. */
struct lf_options {
	bool help;
	bool json;
	const char *store;     /* NULL: the default */
	const char *agent;     /* NULL: not by an agent */
	const char *namespace; /* NULL: not given; else valid */
	uint64_t count;        /* 0: all */
	enum lf_summary summary;
	const char *summary_file; /* NULL: stderr */
	const char *config;       /* NULL: the default file */
	enum lf_agent_task agent_task;
	const char *output; /* NULL: stdout */
	const char *as;     /* NULL: not given; else not empty */
	bool skip_bad;
	uint32_t fold_ms; /* 0: not given */
	struct lf_cache_wish cache;
	char **words;             /* ends with NULL, as argv does */
	int words_count;
};

/* argv[0] is the command's name; argv may be reordered.  -EINVAL with a sentence (the mistake and
 * its remedy) when the usage is wrong. */
LF_MUST_CHECK int lf_options_parse(struct lf_options *out, unsigned takes, int argc, char **argv,
                                   struct lf_error *err);

/* The lines of a help page. */
void lf_options_help(FILE *out, unsigned takes);

#endif
