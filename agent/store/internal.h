/* What the files of the store share.  Nobody else includes this. */
#ifndef LOGFOLD_STORE_INTERNAL_H
#define LOGFOLD_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "agent/store/store.h"

/* Every statement that is run more than once; store_sql.c has its text. */
enum lf_sql {
	LF_SQL_BEGIN,
	LF_SQL_COMMIT,
	LF_SQL_ROLLBACK,
	LF_SQL_ADD,
	LF_SQL_INSERT,
	LF_SQL_TALLY_ADD,
	LF_SQL_TALLY_INSERT,
	LF_SQL_TALLY_EACH,
	LF_SQL_TALLY_COPY,
	LF_SQL_DATA_VERSION,
	LF_SQL_GET_ENABLED,
	LF_SQL_SET_ENABLED,
	LF_SQL_PUT_SEGMENT,
	LF_SQL_DROP_SEGMENT,
	LF_SQL_EACH_SEGMENT,
	LF_SQL_COUNT_DRAIN,
	LF_SQL_GET_META,
	LF_SQL_SET_META,
	LF_SQL_GET_INCARNATION,
	LF_SQL_END_INCARNATION,
	LF_SQL_BEGIN_INCARNATION,
	LF_SQL_NOTE_INCARNATION,
	LF_SQL_COUNT
};

struct lf_store {
	sqlite3 *db;
	sqlite3_stmt *statements[LF_SQL_COUNT]; /* prepared on first use */
	bool read_only;
	bool created; /* the schema was made by lf_store_open() */
	bool minted;
	dev_t dev; /* of the open file; 0 for a store in memory */
	ino_t ino;
	ino_t log_ino; /* of its write-ahead log; 0: it had none */
	int64_t data_version;
	uint64_t seen_ms; /* what seen_at says */
	char seen_at[LF_TIME_CHARS + 1];
	char path[PATH_MAX];
};

extern const char lf_store_schema_sql[];
extern const char lf_store_tally_sql[];

/* Turns SQLite's last error into an errno and a sentence; `what` is what was being done. */
int lf_store_fail(const struct lf_store *store, struct lf_error *err, const char *what);

/* The statement, ready to be bound; NULL when SQLite cannot prepare it (lf_store_fail() says why). */
sqlite3_stmt *lf_store_statement(struct lf_store *store, enum lf_sql which);

/* Runs a statement that yields no rows, and leaves it ready for the next time. */
int lf_store_run(struct lf_store *store, sqlite3_stmt *statement, struct lf_error *err);

/* Runs a statement that has nothing to bind. */
int lf_store_do(struct lf_store *store, enum lf_sql which, struct lf_error *err);

/* `text` must live until the statement is run. */
void lf_store_bind(sqlite3_stmt *statement, int at, const char *text);

/* Mints where the file is not the one that its incarnation was bound to.  In no transaction. */
int lf_store_check_binding(struct lf_store *store, struct lf_error *err);

/* Writes LF_UUID_CHARS characters and a NUL. */
int lf_uuid_random(char out[LF_UUID_CHARS + 1], struct lf_error *err);

#endif
