/* What a drain writes. */
#include <errno.h>
#include <string.h>

#include "agent/store/internal.h"

static const char *const kind_names[LF_KIND_COUNT] = {
	[LF_KIND_FORMAT] = "format",
	[LF_KIND_CONSTANT] = "constant",
	[LF_KIND_MASK1] = "mask/1",
	[LF_KIND_OVERFLOW] = "overflow",
};

int lf_store_begin(struct lf_store *store, struct lf_error *err)
{
	int rc = lf_store_do(store, LF_SQL_BEGIN, err);

	if (rc < 0)
		return rc;
	rc = lf_store_get_number(store, "drainSequence", &store->sequence, err);
	store->sequence++;
	if (rc < 0)
		lf_store_rollback(store);
	return rc;
}

int lf_store_commit(struct lf_store *store, struct lf_error *err)
{
	int rc = lf_store_set_number(store, "drainSequence", store->sequence, err);

	if (rc == 0)
		rc = lf_store_do(store, LF_SQL_COMMIT, err);
	if (rc == 0)
		lf_store_write_mark(store);
	return rc;
}

void lf_store_rollback(struct lf_store *store)
{
	/* SQLite has rolled back by itself after some errors. */
	if (!sqlite3_get_autocommit(store->db))
		(void)lf_store_do(store, LF_SQL_ROLLBACK, NULL);
}

int lf_store_end(struct lf_store *store, int rc, struct lf_error *err)
{
	if (rc == LF_STORE_CHANGED)
		rc = lf_store_commit(store, err);
	lf_store_rollback(store);
	return rc;
}

/* ---- Counts ---- */

/* All entries of a drain share their last_seen_ms. */
static const char *seen_at(struct lf_store *store, uint64_t ms)
{
	if (ms != store->seen_ms || !store->seen_at[0]) {
		lf_time_format(ms, store->seen_at);
		store->seen_ms = ms;
	}
	return store->seen_at;
}

/* Binds what all statements that take an addition have in common; `first` lives until it is run. */
static void bind_addition(struct lf_store *store, sqlite3_stmt *statement,
			  const struct lf_addition *addition, char first[LF_TIME_CHARS + 1])
{
	/* Behind every time: min() keeps what is there. */
	const char *first_at = "~";

	if (addition->first_seen_ms) {
		lf_time_format(addition->first_seen_ms, first);
		first_at = first;
	}
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)sqlite3_bind_int64(statement, i + 1, (int64_t)addition->counts[i]);
	lf_store_bind(statement, 6, first_at);
	lf_store_bind(statement, 7, seen_at(store, addition->last_seen_ms));
	lf_store_bind(statement, 8, addition->namespace);
	(void)sqlite3_bind_text(statement, 9, addition->hash, LF_HASH_CHARS, SQLITE_STATIC);
}

/* That of the sequence, too: of what stands in the entry itself. */
static void bind_source(struct lf_store *store, sqlite3_stmt *statement,
			const struct lf_addition *addition)
{
	(void)sqlite3_bind_int64(statement, 10, (int64_t)store->sequence);
	(void)sqlite3_bind_null(statement, 11);
	(void)sqlite3_bind_null(statement, 12);
	(void)sqlite3_bind_null(statement, 13);
	if (addition->site)
		(void)sqlite3_bind_int64(statement, 11, addition->site);
	if (addition->source.line) {
		lf_store_bind_text(statement, 12, addition->source.file);
		(void)sqlite3_bind_int64(statement, 13, addition->source.line);
	}
}

static int run_addition(struct lf_store *store, enum lf_sql which,
			const struct lf_addition *addition, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, which);
	char first[LF_TIME_CHARS + 1];
	int rc;

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_addition(store, statement, addition, first);
	if (which == LF_SQL_ADD)
		bind_source(store, statement, addition);
	else
		lf_store_bind(statement, 10, addition->run ? addition->run : "");
	rc = lf_store_run(store, statement, err);
	if (rc == 0 && sqlite3_changes(store->db) == 0)
		rc = -ENOENT;
	return rc;
}

static int tally(struct lf_store *store, const struct lf_addition *addition, struct lf_error *err)
{
	struct lf_addition first = *addition;
	int rc = run_addition(store, LF_SQL_TALLY_ADD, addition, err);

	if (rc != -ENOENT)
		return rc;
	/* Known to the store, new in this run. */
	if (!first.first_seen_ms)
		first.first_seen_ms = first.last_seen_ms;
	return run_addition(store, LF_SQL_TALLY_INSERT, &first, err);
}

int lf_store_add(struct lf_store *store, const struct lf_addition *addition,
		 enum lf_add_flags flags, struct lf_error *err)
{
	int rc = run_addition(store, LF_SQL_ADD, addition, err);

	return rc == 0 && flags & LF_ADD_TALLY ? tally(store, addition, err) : rc;
}

static void bind_identity(sqlite3_stmt *statement, const struct lf_new_entry *what)
{
	const struct lf_identity *id = &what->identity;

	(void)sqlite3_bind_text(statement, 14, id->method.data, (int)id->method.len, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 15, id->template.data ? id->template.data : "",
				(int)id->template.len, SQLITE_STATIC);
	lf_store_bind(statement, 16, kind_names[what->kind]);
	(void)sqlite3_bind_text(statement, 17, id->frame.data ? id->frame.data : "",
				(int)id->frame.len, SQLITE_STATIC);
}

/* Or adds, when it is there already. */
static int insert(struct lf_store *store, const struct lf_new_entry *what,
		  const struct lf_addition *addition, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_INSERT);
	struct lf_addition complete = *addition;
	char first[LF_TIME_CHARS + 1];

	if (!statement)
		return lf_store_fail(store, err, "used");
	if (!complete.first_seen_ms)
		complete.first_seen_ms = complete.last_seen_ms;
	bind_addition(store, statement, &complete, first);
	bind_identity(statement, what);
	bind_source(store, statement, addition);
	return lf_store_run(store, statement, err);
}

int lf_store_add_new(struct lf_store *store, const struct lf_new_entry *what,
		     const struct lf_addition *addition, enum lf_add_flags flags,
		     struct lf_error *err)
{
	int rc = insert(store, what, addition, err);

	return rc == 0 && flags & LF_ADD_TALLY ? tally(store, addition, err) : rc;
}

bool lf_store_changed_elsewhere(struct lf_store *store)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_DATA_VERSION);
	int64_t version = -1;
	bool changed;

	if (statement && sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	changed = version != store->data_version;
	store->data_version = version;
	return changed;
}

/* ---- A tally that moves to another store ---- */

enum { TALLY_COLUMNS = 14 };

static int copy_row(struct lf_store *to, sqlite3_stmt *row, struct lf_error *err)
{
	sqlite3_stmt *insert_row = lf_store_statement(to, LF_SQL_TALLY_COPY);

	if (!insert_row)
		return lf_store_fail(to, err, "used");
	for (int i = 0; i < TALLY_COLUMNS; i++)
		(void)sqlite3_bind_value(insert_row, i + 1, sqlite3_column_value(row, i));
	return lf_store_run(to, insert_row, err);
}

int lf_store_forget_tally(struct lf_store *store, const char *run, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_TALLY_FORGET);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, run ? run : "");
	return lf_store_run(store, statement, err);
}

int lf_store_carry_tally(struct lf_store *to, struct lf_store *from, struct lf_error *err)
{
	sqlite3_stmt *rows = lf_store_statement(from, LF_SQL_TALLY_EACH);
	int code, rc = 0;

	if (!rows)
		return lf_store_fail(from, err, "used");
	while ((code = sqlite3_step(rows)) == SQLITE_ROW && rc == 0)
		rc = copy_row(to, rows, err);
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_store_fail(from, err, "read");
	(void)sqlite3_reset(rows);
	return rc;
}
