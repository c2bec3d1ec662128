/* logfold cache: its table of tasks, and opening the cache for them. */
#include "agent/cli/cache.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/core/cached.h"
#include "agent/store/store.h"

/* ---- Tasks ---- */

#define TAKES_SPACE (LF_CACHE_GIVEN_TIERS | LF_CACHE_GIVEN_SCOPE | LF_CACHE_GIVEN_TYPE | LF_CACHE_GIVEN_ORG)

const struct lf_cache_task lf_cache_tasks[] = {
	{ "stats", lf_cache_task_stats, "", "what the agent's cache has done and holds, tier by tier",
	  LF_CACHE_GIVEN_TIERS | LF_CACHE_GIVEN_SCOPE, 0, 0 },
	{ "health", lf_cache_task_health, "", "how it is: 0 healthy, 1 degraded, 2 critical",
	  LF_CACHE_GIVEN_TIERS | LF_CACHE_GIVEN_SCOPE, 0, 0 },
	{ "get", lf_cache_task_get, "ID", "print a value; 1 where there is none", TAKES_SPACE | LF_CACHE_GIVEN_RAW, 1, 1 },
	{ "set", lf_cache_task_set, "ID [VALUE]", "set a value, else what stdin says",
	  TAKES_SPACE | LF_CACHE_GIVEN_TTL | LF_CACHE_GIVEN_TAG | LF_CACHE_GIVEN_CRITICAL, 1, 2 },
	{ "del", lf_cache_task_del, "ID…", "delete values; 1 where there was none", TAKES_SPACE, 1, LF_WORDS_ANY },
	{ "invalidate", lf_cache_task_invalidate, "",
	  "by --tag, by --prefix, or all of a --type, of an --org, of both", TAKES_SPACE | LF_CACHE_GIVEN_TAG |
	  LF_CACHE_GIVEN_PREFIX, 0, 0 },
	{ "warm", lf_cache_task_warm, "[-]", "bring values up from the lower tiers: all, or the ids that stdin says",
	  TAKES_SPACE, 0, 1 },
	{ "export", lf_cache_task_export, "", "write the values as JSON lines", TAKES_SPACE, 0, 0 },
	{ "import", lf_cache_task_import, "FILE|-", "set the values of such lines", TAKES_SPACE, 1, 1 },
	{ 0 },
};

static const struct {
	unsigned given;
	const char *option;
} given_names[] = {
	{ LF_CACHE_GIVEN_TIERS, "--file, --redis and --mongo" },
	{ LF_CACHE_GIVEN_SCOPE, "--app and --env" },
	{ LF_CACHE_GIVEN_TYPE, "--type" },
	{ LF_CACHE_GIVEN_ORG, "--org" },
	{ LF_CACHE_GIVEN_TAG, "--tag" },
	{ LF_CACHE_GIVEN_PREFIX, "--prefix" },
	{ LF_CACHE_GIVEN_TTL, "--ttl" },
	{ LF_CACHE_GIVEN_CRITICAL, "--critical" },
	{ LF_CACHE_GIVEN_RAW, "--raw" },
};

void lf_cache_tasks_help(FILE *out)
{
	const struct lf_cache_task *task;
	char usage[64];

	(void)fputc('\n', out);
	for (task = lf_cache_tasks; task->name; task++) {
		(void)snprintf(usage, sizeof(usage), "%s%s%s", task->name, *task->words ? " " : "", task->words);
		(void)fprintf(out, "  %-*s%s\n", (int)(16 + strlen(usage) - lf_display_cells(lf_text_of(usage))), usage,
		              task->help);
	}
	(void)fputs("\nA PERIOD is a whole number and its unit: 500ms, 30s, 5m or 2h.  stats and health ask the running\n"
		    "agent, the others open its tiers themselves: the agent is told of what they change.\n", out);
}

int lf_cache_failed(const struct lf_error *err)
{
	lf_complain("%s", err->text);
	return LF_EXIT_FAILED;
}

int lf_cache_misused(const char *mistake)
{
	lf_complain("cache: %s; `logfold cache --help` tells more", mistake);
	return LF_EXIT_USAGE;
}

static int check_usage(const struct lf_cache_task *task, const struct lf_options *options, struct lf_error *err)
{
	unsigned wrong = options->cache.given & ~task->takes;

	for (size_t i = 0; i < sizeof(given_names) / sizeof(*given_names); i++)
		if (wrong & given_names[i].given)
			return lf_fail(err, -EINVAL, "%s takes no %s: leave it out", task->name, given_names[i].option);
	if (options->words_count < task->words_min)
		return lf_fail(err, -EINVAL, "something is missing: logfold cache %s %s", task->name, task->words);
	if (task->words_max != LF_WORDS_ANY && options->words_count > task->words_max)
		return lf_fail(err, -EINVAL, "'%.200s' is too much: leave it out", options->words[task->words_max]);
	return 0;
}

int lf_cmd_cache(const struct lf_options *options)
{
	struct lf_options rest = *options;
	const struct lf_cache_task *task = lf_cache_tasks;
	struct lf_error err;

	rest.words++;
	rest.words_count--;
	while (task->name && strcmp(task->name, options->words[0]) != 0)
		task++;
	if (!task->name) {
		(void)lf_fail(&err, -EINVAL, "there is no 'cache %.100s'", options->words[0]);
		return lf_cache_misused(err.text);
	}
	if (check_usage(task, &rest, &err) < 0)
		return lf_cache_misused(err.text);
	return task->run(&rest);
}

/* ---- Opening ---- */

static int read_config(struct lf_opened *opened, const struct lf_options *options, struct lf_error *err)
{
	const char *file = options->config;
	char found[PATH_MAX];

	if (!file && lf_config_default_file(found))
		file = found;
	return lf_config_read(&opened->config, file, err);
}

static void take_server(struct lf_cache_server_options *server, const char *url)
{
	server->off = !url;
	if (!url)
		return;
	server->url = url;
	server->password = NULL;
}

/* The command line comes before the configuration and the environment. */
static void take_wish(struct lf_cache_options *out, const struct lf_cache_wish *wish)
{
	if (wish->app)
		out->app = wish->app;
	if (wish->env)
		out->env = wish->env;
	if (!(wish->given & LF_CACHE_GIVEN_TIERS))
		return;
	out->sqlite.off = !wish->file;
	out->sqlite.file = wish->file;
	take_server(&out->redis, wish->redis);
	take_server(&out->mongo, wish->mongo);
}

static int store_path(const struct lf_config *config, char out[PATH_MAX], struct lf_error *err)
{
	char path[PATH_MAX];
	int rc = 0;

	if (*config->agent.store)
		return lf_store_real_path(config->agent.store, out, err);
	rc = lf_store_default_path(path, err);
	return rc < 0 ? rc : lf_store_real_path(path, out, err);
}

static int open_cache(struct lf_opened *opened, const struct lf_cache_wish *wish, struct lf_error *err)
{
	struct lf_cache_setup setup;
	char store[PATH_MAX];
	int rc;

	if (!opened->config->cache.enabled && !(wish->given & LF_CACHE_GIVEN_TIERS))
		return lf_fail(err, -ENOENT, "the configuration says that there is no cache: set cache.enabled, or name its "
		                             "tiers with --file, --redis, --mongo");
	rc = store_path(opened->config, store, err);
	if (rc < 0)
		return rc;
	rc = lf_cache_setup_init(&setup, opened->config, store, err);
	if (rc == 0) {
		take_wish(&setup.options, wish);
		rc = lf_cache_open(&opened->cache, &setup.options, err);
	}
	lf_cache_setup_fini(&setup);
	return rc;
}

int lf_opened_open(struct lf_opened *out, const struct lf_options *options, struct lf_error *err)
{
	const struct lf_cache_wish *wish = &options->cache;
	int rc;

	*out = (struct lf_opened){ .config = NULL };
	rc = read_config(out, options, err);
	if (rc == 0)
		rc = open_cache(out, wish, err);
	if (rc < 0)
		return rc;
	out->type = lf_text_of(wish->type ? wish->type : LF_CACHED_TYPE);
	out->org = lf_text_of(wish->org ? wish->org : out->config->agent.namespace);
	return lf_cache_space_bytes(&out->space, out->cache, out->type, out->org, err);
}

/* Memory ends with the command. */
static int check_tiers(struct lf_cache *cache, struct lf_error *err)
{
	struct lf_cache_stats stats;
	const char *away = NULL;

	lf_cache_stats(cache, &stats);
	for (int i = LF_CACHE_SQLITE; i < LF_CACHE_TIERS; i++) {
		if (stats.tier[i].state == LF_CACHE_TIER_UP)
			return 0;
		if (stats.tier[i].state == LF_CACHE_TIER_AWAY && !away)
			away = stats.tier[i].trouble;
	}
	if (away)
		return lf_fail(err, -EHOSTDOWN, "no tier of the cache is there: %s", away);
	return lf_fail(err, -ENOENT, "the cache has no tier but memory, which ends with this command: name one with --file, "
	                             "--redis or --mongo");
}

int lf_opened_reach(struct lf_opened *out, const struct lf_options *options, struct lf_error *err)
{
	int rc = lf_opened_open(out, options, err);

	return rc < 0 ? rc : check_tiers(out->cache, err);
}

void lf_opened_close(struct lf_opened *opened)
{
	lf_cache_close(opened->cache);
	lf_config_free(opened->config);
	*opened = (struct lf_opened){ .config = NULL };
}
