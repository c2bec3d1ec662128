/* What is about many keys: listing them, dropping those with a prefix, counting them. */
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum {
	DROPPED_AT_ONCE = 1000, /* in one transaction, so that other writers have their turn in between */
	PREFIXES_KEPT = 1024,
	COUNT_SHARE = 20,       /* what is counted anew takes at most this part of the time */
};

/* --- scan ------------------------------------------------------------------------------------------ */

/* The cursor is '>' and what follows the prefix in the last key that was handed out. */
struct scan {
	struct lf_text prefix;
	char *from; /* the key to begin with: the least that is behind the last one */
	size_t from_len;
	size_t max;
	char **keys;
	size_t count;
	bool more;
};

static int begin_scan(struct scan *scan, const char *cursor)
{
	size_t rest = *cursor ? strlen(cursor + 1) : 0;

	scan->from_len = scan->prefix.len + (*cursor ? rest + 1 : 0);
	scan->from = malloc(scan->from_len + 1);
	if (!scan->from)
		return SQLITE_NOMEM;
	if (scan->prefix.len)
		memcpy(scan->from, scan->prefix.data, scan->prefix.len);
	if (*cursor) {
		memcpy(scan->from + scan->prefix.len, cursor + 1, rest);
		scan->from[scan->prefix.len + rest] = '\0'; /* nothing is between a key and it with a NUL behind it */
	}
	return SQLITE_OK;
}

static void free_keys(struct scan *scan)
{
	for (size_t i = 0; scan->keys && i < scan->count; i++)
		free(scan->keys[i]);
	free(scan->keys);
	scan->keys = NULL;
	scan->count = 0;
}

static int take_keys(struct scan *scan, sqlite3_stmt *row)
{
	int code;

	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct lf_text key = lf_column_text(row, 0);

		scan->more = scan->count == scan->max;
		if (scan->more)
			return SQLITE_ROW;
		scan->keys[scan->count] = strndup(key.len ? key.data : "", key.len);
		if (!scan->keys[scan->count++])
			return SQLITE_NOMEM;
	}
	return code;
}

static int scan_keys(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_SCAN);
	struct scan *scan = arg;

	(void)tier;
	if (!statement)
		return sqlite3_extended_errcode(link->db);
	free_keys(scan);
	scan->more = false;
	scan->keys = calloc(scan->max + 1, sizeof(*scan->keys));
	lf_bind_text(statement, 1, (struct lf_text){ scan->from, scan->from_len });
	(void)sqlite3_bind_int64(statement, 3, (int64_t)scan->max + 1);
	(void)sqlite3_bind_int64(statement, 4, (int64_t)scan->prefix.len + LF_TIER_CURSOR_MAX - 2);
	if (!scan->keys || lf_bind_prefix_end(statement, 2, scan->prefix) != SQLITE_OK)
		return lf_link_end(statement, SQLITE_NOMEM);
	return lf_link_end(statement, take_keys(scan, statement));
}

static void write_cursor(const struct scan *scan, char cursor[LF_TIER_CURSOR_MAX])
{
	const char *rest = scan->more ? scan->keys[scan->count - 1] + scan->prefix.len : NULL;

	(void)snprintf(cursor, LF_TIER_CURSOR_MAX, "%s%s", rest ? ">" : "", rest ? rest : "");
}

enum lf_tier_result lf_sqlite_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                   char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct scan scan = { .prefix = prefix, .max = max < 1 ? 1 : max > LF_TIER_PAGE_MAX ? LF_TIER_PAGE_MAX : max };
	struct lf_work work = { .run = scan_keys, .arg = &scan, .what = "read" };
	enum lf_tier_result result = LF_TIER_AWAY;

	if (begin_scan(&scan, cursor) == SQLITE_OK)
		result = lf_sqlite_read(tier, &work, end_ms, err);
	else
		lf_sqlite_say(tier, NULL, SQLITE_NOMEM, "read", err);
	free(scan.from);
	if (result != LF_TIER_DONE) {
		free_keys(&scan);
		return result;
	}
	write_cursor(&scan, cursor);
	*keys = scan.keys;
	*count = scan.count;
	return result;
}

/* --- drop ------------------------------------------------------------------------------------------ */

struct drop {
	struct lf_text prefix;
	uint64_t upto;
	bool told; /* that it is dropped is in the file */
	bool more;
};

static int trim_prefixes(struct lf_link *link)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_TRIM_PREFIXES);
	int64_t floor = 0;
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, PREFIXES_KEPT);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (sqlite3_column_int64(statement, 0) > floor)
			floor = sqlite3_column_int64(statement, 0);
	code = lf_link_end(statement, code);
	return code == SQLITE_OK && floor ? lf_sqlite_set_number(link, "floor", floor) : code;
}

static int tell_prefix(struct lf_tier *tier, struct lf_link *link, const struct drop *drop)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_ADD_PREFIX);
	int64_t seq;
	int code = statement ? lf_sqlite_take_seq(link, 1, &seq) : sqlite3_extended_errcode(link->db);

	if (code != SQLITE_OK)
		return code;
	(void)sqlite3_bind_int64(statement, 1, seq);
	lf_bind_text(statement, 2, drop->prefix);
	lf_bind_version(statement, 3, (struct lf_version){ drop->upto, UINT64_MAX });
	(void)sqlite3_bind_int64(statement, 4, (int64_t)tier->options.self.writer);
	code = lf_link_run(link, statement);
	return code == SQLITE_OK ? trim_prefixes(link) : code;
}

static int drop_some(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_DROP);
	struct drop *drop = arg;
	int code = statement ? SQLITE_OK : sqlite3_extended_errcode(link->db);

	if (code == SQLITE_OK && !drop->told)
		code = tell_prefix(tier, link, drop);
	if (code != SQLITE_OK)
		return code;
	lf_bind_text(statement, 1, drop->prefix);
	lf_bind_version(statement, 3, (struct lf_version){ drop->upto, UINT64_MAX });
	(void)sqlite3_bind_int(statement, 4, DROPPED_AT_ONCE);
	(void)sqlite3_bind_int(statement, 5, drop->prefix.len != tier->scope.len); /* of the scope, none that is critical */
	if (lf_bind_prefix_end(statement, 2, drop->prefix) != SQLITE_OK)
		return lf_link_end(statement, SQLITE_NOMEM);
	code = lf_link_run(link, statement);
	drop->more = sqlite3_changes(link->db) >= DROPPED_AT_ONCE;
	return code;
}

/* What an invalidation took away must not be back after a power failure, so it is durable. */
enum lf_tier_result lf_sqlite_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms, struct lf_error *err)
{
	struct drop drop = { .prefix = prefix, .upto = upto, .more = true };
	struct lf_work work = { .run = drop_some, .arg = &drop, .durable = true, .what = "written" };
	enum lf_tier_result result = LF_TIER_DONE;

	while (result == LF_TIER_DONE && drop.more) {
		result = lf_sqlite_write(tier, &work, end_ms, err);
		drop.told = result == LF_TIER_DONE;
	}
	return result;
}

/* --- info ------------------------------------------------------------------------------------------ */

static int ask_number(struct lf_link *link, const char *sql, int64_t *out)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(link->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(statement, 0);
		code = SQLITE_OK;
	}
	(void)sqlite3_finalize(statement);
	return code;
}

static int count_records(struct lf_tier *tier, struct lf_link *link, uint64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_COUNT);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_bind_text(statement, 1, tier->scope);
	if (lf_bind_prefix_end(statement, 2, tier->scope) != SQLITE_OK)
		return lf_link_end(statement, SQLITE_NOMEM);
	code = sqlite3_step(statement);
	*out = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	return lf_link_end(statement, code);
}

/* Counting reads through an index.  Where that takes long, the last count is good for twenty times as long. */
static int count_again(struct lf_tier *tier, struct lf_link *link, uint64_t *out)
{
	int64_t began = lf_clock_ms(), age;
	int code;

	(void)pthread_mutex_lock(&tier->lock);
	age = tier->counted_ms ? began - tier->counted_ms : INT64_MAX;
	*out = tier->counted;
	if (age < tier->count_cost_ms * COUNT_SHARE)
		link = NULL;
	(void)pthread_mutex_unlock(&tier->lock);
	if (!link)
		return SQLITE_OK;
	code = count_records(tier, link, out);
	(void)pthread_mutex_lock(&tier->lock);
	tier->counted = code == SQLITE_OK ? *out : UINT64_MAX;
	tier->counted_ms = lf_clock_ms();
	tier->count_cost_ms = tier->counted_ms - began;
	*out = tier->counted;
	(void)pthread_mutex_unlock(&tier->lock);
	return (code & 0xff) == SQLITE_INTERRUPT ? SQLITE_OK : code; /* it does not say */
}

static int ask_info(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	struct lf_tier_info *out = arg;
	int64_t pages = 0, size = 0;
	int code = ask_number(link, "PRAGMA page_count", &pages);

	if (code == SQLITE_OK)
		code = ask_number(link, "PRAGMA page_size", &size);
	out->bytes = (uint64_t)pages * (uint64_t)size;
	return code == SQLITE_OK ? count_again(tier, link, &out->items) : code;
}

enum lf_tier_result lf_sqlite_info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err)
{
	struct lf_work work = { .run = ask_info, .arg = out, .what = "read" };

	*out = (struct lf_tier_info){ .connections = LF_SQLITE_READERS + 1 };
	(void)pthread_mutex_lock(&tier->lock);
	out->reconnects = tier->reopened ? tier->reopened - 1 : 0;
	(void)pthread_mutex_unlock(&tier->lock);
	return lf_sqlite_read(tier, &work, end_ms, err);
}
