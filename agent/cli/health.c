/* logfold health: the state of the agent, its store, its tiers and the processes' maps. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/place.h"
#include "agent/core/control.h"


/* ---- Showing: SQLite reads the JSON ---- */

/* One row for each part: state, name, and what there is to say. */
static const char parts_sql[] =
	"WITH h(j) AS (SELECT ?1)"
	" SELECT j ->> '$.agent.state', 'agent', printf('%.1f of %d MiB, up for %d s',"
	"  (j ->> '$.agent.memoryBytes') / 1048576.0, (j ->> '$.agent.memoryLimitBytes') / 1048576,"
	"  j ->> '$.agent.uptimeSeconds') FROM h"
	" UNION ALL SELECT j ->> '$.maps.state', 'maps', printf("
	"  'hit rate %.2f %%: %d calls, %d first sights, %d without room, %d processes',"
	"  j ->> '$.maps.hitRatePct', j ->> '$.maps.calls', j ->> '$.maps.firstSights',"
	"  j ->> '$.maps.overflow', j ->> '$.maps.segments') FROM h"
	" UNION ALL SELECT j ->> '$.store.state', 'store', iif(j ->> '$.store.trouble' = '',"
	"  j ->> '$.store.path', j ->> '$.store.trouble') FROM h"
	" UNION ALL SELECT t.value ->> '$.state', t.value ->> '$.name', printf("
	"  '%d entries wait, errors %.1f %%, latency %.1f ms%s', t.value ->> '$.waiting',"
	"  t.value ->> '$.errorRatePct', t.value ->> '$.latencyMs', iif(t.value ->> '$.trouble' = '', '',"
	"  ': ' || (t.value ->> '$.trouble'))) FROM h, json_each(j, '$.tiers') t"
	" UNION ALL SELECT j ->> '$.cache.state', 'cache', iif(j ->> '$.cache.enabled', printf("
	"  'hit rate %.2f %% of %d lookups, %d in memory, %.1f MiB%s%s', j ->> '$.cache.hitRatePct',"
	"  j ->> '$.cache.lookups', j ->> '$.cache.items', (j ->> '$.cache.bytes') / 1048576.0,"
	"  (SELECT group_concat(printf(', %s %s p99 %.3f ms', t.value ->> '$.name', t.value ->> '$.is',"
	"   t.value ->> '$.loadP99Ms'), '') FROM json_each(j, '$.cache.tiers') t),"
	"  iif(j ->> '$.cache.reason' = '', '', ': ' || (j ->> '$.cache.reason'))),"
	"  'off: ' || (j ->> '$.cache.reason')) FROM h"
	" UNION ALL SELECT j ->> '$.state', '', '' FROM h";

static int exit_of(const char *state)
{
	if (strcmp(state, "healthy") == 0)
		return LF_EXIT_HEALTHY;
	return strcmp(state, "degraded") == 0 ? LF_EXIT_DEGRADED : LF_EXIT_CRITICAL;
}

static const char *text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "?";
}

/* The last row is the whole. */
static int show(sqlite3_stmt *rows, bool quiet)
{
	int status = LF_EXIT_CRITICAL;

	while (sqlite3_step(rows) == SQLITE_ROW) {
		const char *state = text_at(rows, 0), *name = text_at(rows, 1);

		status = exit_of(state);
		if (!quiet && name[0])
			(void)printf("%-8s  %-5s  %s\n", state, name, text_at(rows, 2));
		else if (!quiet)
			(void)printf("%s\n", state);
	}
	return status;
}

static int report(const char *json, bool as_json)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *rows = NULL;
	int status = LF_EXIT_CRITICAL;

	if (sqlite3_open(":memory:", &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, parts_sql, -1, &rows, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(rows, 1, json, -1, SQLITE_STATIC);
		status = show(rows, as_json);
	} else {
		lf_complain("the agent's answer cannot be read: %s", sqlite3_errmsg(db));
	}
	if (as_json)
		(void)fputs(json, stdout);
	(void)sqlite3_finalize(rows);
	(void)sqlite3_close(db);
	return status;
}

int lf_cmd_health(const struct lf_options *options)
{
	struct lf_place place;
	struct lf_error err;
	char *json = NULL;
	int status = LF_EXIT_CRITICAL;

	if (lf_place_find(&place, options, &err) < 0 ||
	    lf_place_ask(&place, "health", LF_CONTROL_ANSWER_MS, &json, &err) < 0)
		lf_complain("%s", err.text);
	else
		status = report(json, options->json);
	free(json);
	return status;
}
