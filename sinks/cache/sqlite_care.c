/* What is done now and then, in steps: the expired go, the log is written home, the file is analysed and made smaller.
 *
 * VACUUM would write the whole file anew in one go, and nobody else could write meanwhile; the incremental one gives free
 * pages back by a few hundred, which is what a file whose records come and go needs.
 */
#include <string.h>
#include <sys/stat.h>

#include "sinks/cache/sqlite_internal.h"

enum {
	EXPIRED_AT_ONCE = 500,
	PAGES_AT_ONCE = 256,
	LOG_BYTES = 4 << 20, /* of the log, from when on it is written home */
};

struct expire {
	int64_t now_ms;
	int gone;
};

static int expire(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_EXPIRE);
	struct expire *step = arg;
	int code;

	(void)tier;
	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, step->now_ms);
	(void)sqlite3_bind_int(statement, 2, EXPIRED_AT_ONCE);
	code = lf_link_run(link, statement);
	step->gone = sqlite3_changes(link->db);
	return code;
}

struct due {
	int64_t now_ms;
	bool expired, care;
};

static int ask_due(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	static const char sql[] = "SELECT 1 FROM records WHERE expires > 0 AND expires <= ?1 LIMIT 1";
	sqlite3_stmt *statement = NULL;
	struct due *due = arg;
	int64_t last = 0;
	int code = sqlite3_prepare_v2(link->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK) {
		(void)sqlite3_bind_int64(statement, 1, due->now_ms);
		code = sqlite3_step(statement);
		due->expired = code == SQLITE_ROW;
		code = code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
	}
	(void)sqlite3_finalize(statement);
	if (code == SQLITE_OK && tier->care_ms > 0)
		code = lf_sqlite_get_number(link, "care", &last);
	/* A clock that was set back must not put it off for years. */
	due->care = tier->care_ms > 0 && (due->now_ms - last >= tier->care_ms || due->now_ms < last);
	return code;
}

/* Once for all processes that use the file. */
static int analyse(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	struct due *due = arg;
	int code = ask_due(tier, link, due);

	if (code != SQLITE_OK || !due->care)
		return code;
	code = lf_sqlite_set_number(link, "care", due->now_ms);
	return code == SQLITE_OK ? lf_link_exec(link, "ANALYZE") : code;
}

static int free_pages(struct lf_link *link, int64_t *out)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(link->db, "PRAGMA freelist_count", -1, &statement, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(statement, 0);
		code = SQLITE_OK;
	}
	(void)sqlite3_finalize(statement);
	return code;
}

static int vacuum(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	char sql[64];
	int64_t left = 0, *out = arg;
	int code;

	(void)tier;
	(void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", PAGES_AT_ONCE);
	code = lf_link_exec(link, sql);
	if (code == SQLITE_OK)
		code = free_pages(link, &left);
	*out = left;
	return code;
}

/* By a connection that does not write: who writes goes on meanwhile. */
static int write_home(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	char log[PATH_MAX + 8];
	struct stat st;
	int code;

	(void)arg;
	(void)snprintf(log, sizeof(log), "%s-wal", tier->path);
	if (stat(log, &st) < 0 || st.st_size < LOG_BYTES)
		return SQLITE_OK;
	code = sqlite3_wal_checkpoint_v2(link->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED ? SQLITE_OK : code;
}

static enum lf_tier_result tend_records(struct lf_tier *tier, const struct due *due, bool *more, int64_t end_ms,
                                        struct lf_error *err)
{
	struct expire step = { .now_ms = due->now_ms };
	struct lf_work work = { .run = expire, .arg = &step, .what = "cleaned" };
	enum lf_tier_result result = due->expired ? lf_sqlite_write(tier, &work, end_ms, err) : LF_TIER_DONE;

	*more |= result == LF_TIER_DONE && step.gone >= EXPIRED_AT_ONCE;
	return result;
}

static enum lf_tier_result tend_file(struct lf_tier *tier, struct due *due, bool *more, int64_t end_ms, struct lf_error *err)
{
	struct lf_work analysis = { .run = analyse, .arg = due, .what = "analysed" };
	int64_t left = 0;
	struct lf_work vacuuming = { .run = vacuum, .arg = &left, .what = "made smaller" };
	enum lf_tier_result result = LF_TIER_DONE;

	if (due->care) {
		result = lf_sqlite_write(tier, &analysis, end_ms, err);
		/* Another process may have been faster: then it vacuums, too. */
		atomic_store_explicit(&tier->vacuuming, result == LF_TIER_DONE && due->care, memory_order_relaxed);
	} else if (atomic_load_explicit(&tier->vacuuming, memory_order_relaxed)) {
		result = lf_sqlite_write(tier, &vacuuming, end_ms, err);
		atomic_store_explicit(&tier->vacuuming, result == LF_TIER_DONE && left > 0, memory_order_relaxed);
	}
	*more |= atomic_load_explicit(&tier->vacuuming, memory_order_relaxed);
	return result;
}

enum lf_tier_result lf_sqlite_tend(struct lf_tier *tier, bool *more, int64_t end_ms, struct lf_error *err)
{
	struct due due = { .now_ms = tier->options.clock_ms(tier->options.clock_arg) };
	struct lf_work ask = { .run = ask_due, .arg = &due, .what = "read" };
	struct lf_work home = { .run = write_home, .what = "written" };
	enum lf_tier_result result = lf_sqlite_read(tier, &ask, end_ms, err);

	*more = false;
	if (result == LF_TIER_DONE)
		result = tend_records(tier, &due, more, end_ms, err);
	if (result == LF_TIER_DONE)
		result = tend_file(tier, &due, more, end_ms, err);
	if (result == LF_TIER_DONE)
		result = lf_sqlite_read(tier, &home, end_ms, err);
	return result;
}
