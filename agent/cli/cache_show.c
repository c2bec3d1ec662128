/* logfold cache stats, health: the running agent's cache, or that of the named tiers. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cache.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/cli/place.h"
#include "agent/cli/table.h"
#include "agent/core/cache_json.h"
#include "agent/core/control.h"

enum { COLUMNS = 9 };

/* ---- Where the JSON comes from ---- */

static int ask_agent(const struct lf_options *options, const char *request, char **out, struct lf_error *err)
{
	struct lf_place place;
	int rc = lf_place_find(&place, options, err);

	return rc < 0 ? rc : lf_place_ask(&place, request, LF_CONTROL_ANSWER_MS, out, err);
}

/* {"cache": HEALTH}, as in what the agent says, or STATS. */
static int ask_tiers(const struct lf_options *options, bool health, char **out, struct lf_error *err)
{
	struct lf_cache_health how;
	struct lf_cache_stats stats;
	struct lf_opened opened;
	size_t bytes = 0;
	FILE *json = NULL;
	int rc = lf_opened_open(&opened, options, err);

	if (rc == 0) {
		lf_cache_stats(opened.cache, &stats);
		lf_cache_health(opened.cache, &how);
		json = open_memstream(out, &bytes);
	}
	lf_opened_close(&opened);
	if (!json)
		return rc < 0 ? rc : lf_fail(err, -1, "there is no memory for the answer");
	(void)fputs(health ? "{\"cache\":" : "", json);
	if (health)
		lf_cache_health_write(json, &how, &stats);
	else
		lf_cache_stats_write(json, &stats);
	(void)fputs(health ? "}\n" : "\n", json);
	return fclose(json) == 0 ? 0 : lf_fail(err, -1, "there is no memory for the answer");
}

static int fetch(const struct lf_options *options, bool health, char **out, struct lf_error *err)
{
	if (options->cache.given & (LF_CACHE_GIVEN_TIERS | LF_CACHE_GIVEN_SCOPE))
		return ask_tiers(options, health, out, err);
	return ask_agent(options, health ? "health" : "cache", out, err);
}

/* ---- Showing: SQLite reads the JSON ---- */

static const struct lf_column columns[COLUMNS] = {
	{ "TIER", LF_ALIGN_LEFT, 0, false, NULL },     { "STATE", LF_ALIGN_LEFT, 0, false, NULL },
	{ "HITS", LF_ALIGN_RIGHT, 0, false, NULL },    { "MISSES", LF_ALIGN_RIGHT, 0, false, NULL },
	{ "ITEMS", LF_ALIGN_RIGHT, 0, false, NULL },   { "BYTES", LF_ALIGN_RIGHT, 0, false, NULL },
	{ "P50", LF_ALIGN_RIGHT, 0, false, NULL },     { "P99", LF_ALIGN_RIGHT, 0, false, NULL },
	{ "TROUBLE", LF_ALIGN_LEFT, 20, true, NULL },
};

static const char stats_sql[] =
	"SELECT t.value ->> '$.name', t.value ->> '$.state', t.value ->> '$.hits', t.value ->> '$.misses',"
	" coalesce(t.value ->> '$.items', ''), coalesce(t.value ->> '$.bytes', ''),"
	" printf('%.3f ms', t.value ->> '$.loadP50Ms'), printf('%.3f ms', t.value ->> '$.loadP99Ms'),"
	" t.value ->> '$.trouble' FROM json_each(?1, '$.tiers') t WHERE t.value ->> '$.state' <> 'off'";

static const char total_sql[] =
	"SELECT printf('hit rate %.2f %%: %d hits, %d misses; %d set, %d deleted, %d expired, %d evicted,"
	" %d invalidations%s%s', ?1 ->> '$.hitRatePct', ?1 ->> '$.hits', ?1 ->> '$.misses', ?1 ->> '$.sets',"
	" ?1 ->> '$.deletes', ?1 ->> '$.expirations', ?1 ->> '$.evictions', ?1 ->> '$.invalidations',"
	" iif(?1 ->> '$.pending' > 0, printf('; %d wait for a server', ?1 ->> '$.pending'), ''),"
	" iif(?1 ->> '$.enabled', '', '; switched off'))";

static const char health_sql[] =
	"SELECT ?1 ->> '$.cache.state', ?1 ->> '$.cache.reason' UNION ALL"
	" SELECT printf('%-8s  %-6s  ', t.value ->> '$.state', t.value ->> '$.name'),"
	"  (t.value ->> '$.is') || iif(t.value ->> '$.trouble' = '', '', ': ' || (t.value ->> '$.trouble'))"
	" FROM json_each(?1, '$.cache.tiers') t";

static const char cut_sql[] = "SELECT (?1 -> '$.cache') || char(10)";

/* Calls `each` for every row; false: the JSON cannot be read. */
static bool query(const char *sql, const char *json, void (*each)(void *arg, sqlite3_stmt *row), void *arg)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *rows = NULL;
	int code = SQLITE_ERROR;

	if (sqlite3_open(":memory:", &db) == SQLITE_OK && sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(rows, 1, json, -1, SQLITE_STATIC);
		while ((code = sqlite3_step(rows)) == SQLITE_ROW)
			each(arg, rows);
	}
	if (code != SQLITE_DONE)
		lf_complain("the answer cannot be read: %s", sqlite3_errmsg(db));
	(void)sqlite3_finalize(rows);
	(void)sqlite3_close(db);
	return code == SQLITE_DONE;
}

static struct lf_text text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return lf_text_of(text ? (const char *)text : "");
}

/* ---- stats ---- */

static void add_row(void *arg, sqlite3_stmt *row)
{
	struct lf_text cells[COLUMNS];

	for (int i = 0; i < COLUMNS; i++)
		cells[i] = text_at(row, i);
	if (lf_table_add(arg, cells) < 0)
		return;
}

static void print_first(void *arg, sqlite3_stmt *row)
{
	(void)arg;
	(void)fputs(text_at(row, 0).data, stdout);
	(void)putchar('\n');
}

static int show_stats(const char *json)
{
	struct lf_table *table = NULL;
	bool read;

	if (lf_table_new(&table, columns, COLUMNS) < 0)
		return LF_EXIT_FAILED;
	read = query(total_sql, json, print_first, NULL) && query(stats_sql, json, add_row, table);
	if (read)
		lf_table_print(table, stdout, lf_terminal_of(STDOUT_FILENO));
	lf_table_free(table);
	return read ? LF_EXIT_OK : LF_EXIT_FAILED;
}

int lf_cache_task_stats(const struct lf_options *options)
{
	struct lf_error err;
	char *json = NULL;
	int status;

	if (fetch(options, false, &json, &err) < 0)
		return lf_cache_failed(&err);
	if (options->json)
		(void)fputs(json, stdout);
	status = options->json ? LF_EXIT_OK : show_stats(json);
	free(json);
	return status;
}

/* ---- health ---- */

struct shown {
	bool quiet;
	size_t rows;
	char state[16];
};

/* The first row is the whole. */
static void show_health(void *arg, sqlite3_stmt *row)
{
	struct shown *shown = arg;
	struct lf_text first = text_at(row, 0), second = text_at(row, 1);

	if (shown->rows++ == 0) {
		(void)snprintf(shown->state, sizeof(shown->state), "%s", first.data);
		if (!shown->quiet)
			(void)printf("%s%s%s\n", first.data, second.len ? ": " : "", second.data);
	} else if (!shown->quiet) {
		(void)printf("%s%s\n", first.data, second.data);
	}
}

static void print_text(void *arg, sqlite3_stmt *row)
{
	(void)arg;
	(void)fputs(text_at(row, 0).data, stdout);
}

int lf_cache_task_health(const struct lf_options *options)
{
	struct shown shown = { .quiet = options->json };
	struct lf_error err;
	char *json = NULL;

	if (fetch(options, true, &json, &err) < 0) {
		lf_complain("%s", err.text);
		return LF_EXIT_CRITICAL;
	}
	if (!query(health_sql, json, show_health, &shown) ||
	    (options->json && !query(cut_sql, json, print_text, NULL)))
		shown.state[0] = '\0';
	free(json);
	if (strcmp(shown.state, "healthy") == 0)
		return LF_EXIT_HEALTHY;
	return strcmp(shown.state, "degraded") == 0 ? LF_EXIT_DEGRADED : LF_EXIT_CRITICAL;
}
