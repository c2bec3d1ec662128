/* `logfold cache`: its tasks, and the cache that they are done on.
 *
 * That is the one of agent.toml's [cache], as an agent would open it, so that a running agent is told of every change:
 * through the file that both have open, or by Redis.  With --file, --redis or --mongo it has the named tiers alone.
 */
#ifndef LOGFOLD_CLI_CACHE_H
#define LOGFOLD_CLI_CACHE_H

#include "agent/cli/options.h"
#include "agent/core/cache_setup.h"

struct lf_cache_task {
	const char *name;
	int (*run)(const struct lf_options *options); /* its words begin behind the name */
	const char *words, *help;
	unsigned takes; /* enum lf_cache_given, besides those that every task takes; --json always */
	int words_min, words_max;
};

/* The table; ends with a row whose name is NULL. */
extern const struct lf_cache_task lf_cache_tasks[];
void lf_cache_tasks_help(FILE *out);

struct lf_opened {
	struct lf_config *config;
	struct lf_cache *cache;
	struct lf_text type, org;
	struct lf_cache_space *space; /* of that type and organisation */
};

/* To be closed even where it fails. */
LF_MUST_CHECK int lf_opened_open(struct lf_opened *out, const struct lf_options *options, struct lf_error *err);
/* And one of its tiers is there whose values outlive the command.  -EHOSTDOWN. */
LF_MUST_CHECK int lf_opened_reach(struct lf_opened *out, const struct lf_options *options, struct lf_error *err);
void lf_opened_close(struct lf_opened *opened);

/* Complains of it and returns the exit status. */
int lf_cache_failed(const struct lf_error *err);
int lf_cache_misused(const char *mistake);

int lf_cache_task_stats(const struct lf_options *options);
int lf_cache_task_health(const struct lf_options *options);
int lf_cache_task_get(const struct lf_options *options);
int lf_cache_task_set(const struct lf_options *options);
int lf_cache_task_del(const struct lf_options *options);
int lf_cache_task_invalidate(const struct lf_options *options);
int lf_cache_task_warm(const struct lf_options *options);
int lf_cache_task_export(const struct lf_options *options);
int lf_cache_task_import(const struct lf_options *options);

#endif
