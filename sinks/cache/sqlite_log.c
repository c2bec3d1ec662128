/* The log of invalidations. */
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/sqlite_internal.h"

enum {
	LINES_KEPT = 10000,
	SAME_MS = 5000, /* what several processes of this host heard of one invalidation elsewhere comes within that */
};

/* --- adding ---------------------------------------------------------------------------------------- */

static void bind_line(const struct lf_tier *tier, sqlite3_stmt *statement, int64_t at_ms, const struct lf_cache_log_line *line)
{
	(void)sqlite3_bind_int64(statement, 1, at_ms);
	(void)sqlite3_bind_text(statement, 2, line->what, -1, SQLITE_STATIC);
	lf_bind_text(statement, 3, line->org);
	lf_bind_text(statement, 4, line->name);
	lf_bind_text(statement, 5, tier->scope);
}

/* Whoever did it, and everybody of this host who heard of it, tells the same file. */
static int ask_seen(const struct lf_tier *tier, struct lf_link *link, const struct lf_cache_log_line *line, bool *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_LOG_SEEN);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	bind_line(tier, statement, line->at_ms - SAME_MS, line);
	code = sqlite3_step(statement);
	*out = code == SQLITE_ROW;
	return lf_link_end(statement, code);
}

static int trim(struct lf_link *link)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_TRIM_LOG);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int(statement, 1, LINES_KEPT);
	return lf_link_run(link, statement);
}

static int add(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_LOG);
	const struct lf_cache_log_line *line = arg;
	bool seen = false;
	int code = statement ? SQLITE_OK : sqlite3_extended_errcode(link->db);

	if (code == SQLITE_OK && line->elsewhere)
		code = ask_seen(tier, link, line, &seen);
	if (code != SQLITE_OK || seen)
		return code;
	bind_line(tier, statement, line->at_ms, line);
	(void)sqlite3_bind_int64(statement, 6, (int64_t)tier->options.self.writer);
	(void)sqlite3_bind_int(statement, 7, line->elsewhere);
	code = lf_link_run(link, statement);
	return code == SQLITE_OK ? trim(link) : code;
}

enum lf_tier_result lf_sqlite_log_add(struct lf_tier *tier, const struct lf_cache_log_line *line, int64_t end_ms,
                                      struct lf_error *err)
{
	struct lf_cache_log_line copy = *line;
	struct lf_work work = { .run = add, .arg = &copy, .what = "written" };

	return lf_sqlite_write(tier, &work, end_ms, err);
}

/* --- reading --------------------------------------------------------------------------------------- */

struct lines {
	size_t max;
	struct lf_cache_log_line *line; /* each with its texts in one block, that `what` begins */
	size_t count, room;
};

static void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free((void *)(uintptr_t)lines->line[i].what);
	free(lines->line);
	lines->line = NULL;
	lines->count = lines->room = 0;
}

static char *put(char *at, struct lf_text text)
{
	if (text.len)
		memcpy(at, text.data, text.len);
	at[text.len] = '\0';
	return at;
}

static bool take_line(struct lines *lines, sqlite3_stmt *row)
{
	struct lf_text what = lf_column_text(row, 1), org = lf_column_text(row, 2), name = lf_column_text(row, 3);
	struct lf_cache_log_line *line;
	char *block;

	if (lines->count == lines->room) {
		size_t room = lines->room ? 2 * lines->room : 64;

		line = realloc(lines->line, room * sizeof(*line));
		if (!line)
			return false;
		lines->line = line;
		lines->room = room;
	}
	block = malloc(what.len + org.len + name.len + 3);
	if (!block)
		return false;
	line = &lines->line[lines->count++];
	line->at_ms = sqlite3_column_int64(row, 0);
	line->what = put(block, what);
	line->org = (struct lf_text){ put(block + what.len + 1, org), org.len };
	line->name = (struct lf_text){ put(block + what.len + org.len + 2, name), name.len };
	line->elsewhere = sqlite3_column_int(row, 4) != 0;
	return true;
}

static int read_lines(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_EACH_LOG);
	struct lines *lines = arg;
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	free_lines(lines);
	(void)sqlite3_bind_int64(statement, 1, (int64_t)lines->max);
	lf_bind_text(statement, 2, tier->scope);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)tier->options.self.writer);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!take_line(lines, statement))
			return lf_link_end(statement, SQLITE_NOMEM);
	return lf_link_end(statement, code);
}

/* Read first, then told: who is told may use the cache. */
enum lf_tier_result lf_sqlite_log(struct lf_tier *tier, size_t max, lf_cache_each_log each, void *arg, int64_t end_ms,
                                  struct lf_error *err)
{
	struct lines lines = { .max = max < LINES_KEPT ? max : LINES_KEPT };
	struct lf_work work = { .run = read_lines, .arg = &lines, .what = "read" };
	enum lf_tier_result result = lf_sqlite_read(tier, &work, end_ms, err);

	for (size_t i = 0; result == LF_TIER_DONE && i < lines.count; i++)
		if (each(arg, &lines.line[i]) != 0)
			break;
	free_lines(&lines);
	return result;
}
