/* One connection: its statements, its deadline, and what SQLite's codes mean. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum {
	STEPS = 1000,          /* of SQLite's machine, until the clock is looked at again: some microseconds */
	LOG_PAGES = 4000,      /* the log of a tier that nobody tends: a commit that finds more writes them home itself */
	LOG_KEPT = 16 << 20,   /* bytes of the log's file that stay when it begins anew */
	ANALYSED_ROWS = 1000,  /* of each index, so that ANALYZE does not read through all of it */
};

/* --- deadlines ------------------------------------------------------------------------------------- */

static int too_late(void *arg)
{
	const struct lf_link *link = arg;

	return lf_clock_ms() >= link->end_ms;
}

/* Another process has the lock: looks again soon, then less often, until the call's deadline. */
static int wait_for_lock(void *arg, int tries)
{
	const struct lf_link *link = arg;
	int64_t left_ms = link->end_ms - lf_clock_ms();
	int64_t us = tries < 6 ? 100 << tries : 5000;
	struct timespec pause;

	if (left_ms <= 0)
		return 0;
	if (us > left_ms * 1000)
		us = left_ms * 1000;
	pause = (struct timespec){ 0, (long)us * 1000 };
	(void)nanosleep(&pause, NULL);
	return 1;
}

/* --- opening --------------------------------------------------------------------------------------- */

int lf_link_exec(struct lf_link *link, const char *sql)
{
	return sqlite3_exec(link->db, sql, NULL, NULL, NULL);
}

static int set_up(struct lf_link *link, bool query)
{
	char sql[160];

	(void)sqlite3_extended_result_codes(link->db, 1);
	(void)sqlite3_busy_handler(link->db, wait_for_lock, link);
	sqlite3_progress_handler(link->db, STEPS, too_late, link);
	/* What is in a file that somebody else may have written runs nothing. */
	(void)sqlite3_db_config(link->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(link->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)snprintf(sql, sizeof(sql),
	               "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d;"
	               "PRAGMA analysis_limit = %d;%s",
	               LOG_PAGES, LOG_KEPT, ANALYSED_ROWS, query ? "PRAGMA query_only = 1" : "");
	return lf_link_exec(link, sql);
}

int lf_link_open(struct lf_link *link, const char *path, bool query, int64_t end_ms)
{
	int code;

	*link = (struct lf_link){ .end_ms = end_ms };
	code = sqlite3_open_v2(path, &link->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	return code == SQLITE_OK ? set_up(link, query) : code;
}

void lf_link_close(struct lf_link *link, bool gone)
{
	if (!link->db)
		return;
	link->end_ms = INT64_MAX;
	/* The last connection writes the log home and removes it, by its name. */
	if (gone)
		(void)sqlite3_db_config(link->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	for (unsigned i = 0; i < LF_STATEMENTS; i++)
		(void)sqlite3_finalize(link->statements[i]);
	(void)sqlite3_close(link->db);
	*link = (struct lf_link){ 0 };
}

/* --- statements ------------------------------------------------------------------------------------ */

sqlite3_stmt *lf_link_statement(struct lf_link *link, enum lf_statement which)
{
	sqlite3_stmt **statement = &link->statements[which];

	if (!*statement &&
	    sqlite3_prepare_v3(link->db, lf_statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK)
		return NULL;
	return *statement;
}

int lf_link_end(sqlite3_stmt *statement, int code)
{
	int reset = sqlite3_reset(statement);

	(void)sqlite3_clear_bindings(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return code;
	return reset;
}

int lf_link_run(struct lf_link *link, sqlite3_stmt *statement)
{
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW);
	return lf_link_end(statement, code);
}

int lf_link_do(struct lf_link *link, enum lf_statement which)
{
	return lf_link_run(link, lf_link_statement(link, which));
}

void lf_bind_text(sqlite3_stmt *statement, int at, struct lf_text text)
{
	(void)sqlite3_bind_blob64(statement, at, text.len ? text.data : "", text.len, SQLITE_STATIC);
}

static void put_number(unsigned char *out, uint64_t number)
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		out[i] = (unsigned char)number;
}

static uint64_t get_number(const unsigned char *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

void lf_bind_version(sqlite3_stmt *statement, int at, struct lf_version version)
{
	unsigned char bytes[16];

	put_number(bytes, version.clock);
	put_number(bytes + 8, version.writer);
	(void)sqlite3_bind_blob(statement, at, bytes, sizeof(bytes), SQLITE_TRANSIENT);
}

struct lf_text lf_column_text(sqlite3_stmt *row, int column)
{
	const char *data = sqlite3_column_blob(row, column);

	return (struct lf_text){ data, (size_t)sqlite3_column_bytes(row, column) };
}

/* Of other bytes than ours: none, which every other replaces. */
struct lf_version lf_column_version(sqlite3_stmt *row, int column)
{
	struct lf_text bytes = lf_column_text(row, column);
	const unsigned char *at = (const unsigned char *)bytes.data;

	if (bytes.len != 16)
		return (struct lf_version){ 0, 0 };
	return (struct lf_version){ get_number(at), get_number(at + 8) };
}

int lf_bind_prefix_end(sqlite3_stmt *statement, int at, struct lf_text prefix)
{
	char *end = malloc(prefix.len + 1);

	if (!end)
		return SQLITE_NOMEM;
	if (prefix.len)
		memcpy(end, prefix.data, prefix.len);
	end[prefix.len] = '\xff';
	return sqlite3_bind_blob64(statement, at, end, prefix.len + 1, free);
}

/* --- codes ----------------------------------------------------------------------------------------- */

bool lf_sqlite_is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB || code == SQLITE_IOERR_CORRUPTFS;
}

int lf_link_code(const struct lf_link *link, int code)
{
	if (code == SQLITE_READONLY_DBMOVED)
		return LF_SQLITE_MOVED;
	/* The shared index of the log is made by other calls, whose failure is told in general terms. */
	if ((code & 0xff) == SQLITE_IOERR && link->db && sqlite3_system_errno(link->db) == ENOSPC)
		return SQLITE_FULL;
	return code;
}

enum lf_tier_result lf_sqlite_result(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
		return LF_TIER_DONE;
	case SQLITE_FULL:
		return LF_TIER_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
	case SQLITE_ERROR:
	case SQLITE_TOOBIG:
	case LF_SQLITE_NEWER:
	case LF_SQLITE_FOREIGN:
	case LF_SQLITE_NO_FOLDER:
		return LF_TIER_REJECTED;
	default:
		return LF_TIER_AWAY;
	}
}

static void say_where(const char *path, int code, const char *why, const char *what, struct lf_error *err)
{
	switch (code) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case LF_SQLITE_MOVED:
		(void)lf_fail(err, -EBUSY, "the cache's file '%s' is held by another process: try again", path);
		break;
	case LF_SQLITE_LATE:
	case SQLITE_INTERRUPT:
		(void)lf_fail(err, -ETIMEDOUT, "the cache's file '%s' could not be %s by the deadline: is its disk slow?", path,
		              what);
		break;
	case SQLITE_FULL:
		(void)lf_fail(err, -ENOSPC, "no space is left for the cache's file '%s': free some on its disk", path);
		break;
	case SQLITE_NOMEM:
		(void)lf_fail(err, -ENOMEM, "there is no memory to have the cache's file '%s' %s", path, what);
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		(void)lf_fail(err, -EACCES, "the cache's file '%s' cannot be opened for writing: check the owner of it and of "
		                            "its folder, or name another", path);
		break;
	case LF_SQLITE_NO_FOLDER:
		(void)lf_fail(err, -ENOENT, "the folder of the cache's file '%s' is not there: make it, or name another file",
		              path);
		break;
	case LF_SQLITE_NEWER:
		(void)lf_fail(err, -ENOTSUP, "the cache's file '%s' was made by a newer logfold (this one knows schema %d): "
		                             "update logfold, or name another file", path, LF_SQLITE_SCHEMA);
		break;
	case LF_SQLITE_FOREIGN:
		(void)lf_fail(err, -EINVAL, "'%s' is a database of another program: name another file for the cache", path);
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		(void)lf_fail(err, -EBADMSG, "the cache's file '%s' is damaged (%s)", path, why);
		break;
	case SQLITE_ERROR:
		(void)lf_fail(err, -ENOTSUP, "the tables of the cache's file '%s' are not what this logfold made (%s): update "
		                             "logfold, or move the file away", path, why);
		break;
	default:
		(void)lf_fail(err, -EIO, "the cache's file '%s' cannot be %s (%s): check its disk", path, what, why);
	}
}

void lf_sqlite_say(const struct lf_tier *tier, const struct lf_link *link, int code, const char *what, struct lf_error *err)
{
	bool said = link && link->db && sqlite3_extended_errcode(link->db) == code;

	if (!err || code == SQLITE_OK)
		return;
	say_where(tier->path, code & 0xff, said ? sqlite3_errmsg(link->db) : sqlite3_errstr(code), what, err);
}
