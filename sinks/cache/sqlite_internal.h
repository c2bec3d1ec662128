/* What the files of the SQLite tier share:
 *
 *   sqlite.c          the tier: opening, closing, its operations
 *   sqlite_link.c     connections, statements, what SQLite's codes mean
 *   sqlite_work.c     one transaction: its connection, its deadline, and again where the file was replaced
 *   sqlite_file.c     the file: made, checked, set aside when it is damaged
 *   sqlite_schema.c   what is in it
 *   sqlite_records.c, sqlite_scan.c, sqlite_stamps.c, sqlite_owed.c, sqlite_log.c, sqlite_changes.c, sqlite_care.c
 *
 * Inside, an outcome is one of SQLite's result codes, or one of enum lf_sqlite_code.
 */
#ifndef LOGFOLD_SINKS_CACHE_SQLITE_INTERNAL_H
#define LOGFOLD_SINKS_CACHE_SQLITE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "sinks/cache/sqlite.h"

/* Every statement that is run more than once; sqlite_schema.c has its text. */
enum lf_statement {
	LF_DO_BEGIN,
	LF_DO_BEGIN_READ,
	LF_DO_COMMIT,
	LF_DO_ROLLBACK,
	LF_DO_TAKE_SEQ,
	LF_DO_GET_META,
	LF_DO_SET_META,
	LF_DO_ADD_META,
	LF_DO_LOAD,
	LF_DO_LOOK,
	LF_DO_INSERT,
	LF_DO_UPDATE,
	LF_DO_TRUST,
	LF_DO_TRUSTED,
	LF_DO_REMOVE,
	LF_DO_SCAN,
	LF_DO_DROP,
	LF_DO_ADD_PREFIX,
	LF_DO_TRIM_PREFIXES,
	LF_DO_EXPIRE,
	LF_DO_COUNT,
	LF_DO_GET_STAMP,
	LF_DO_RAISE,
	LF_DO_OWE_AGAIN,
	LF_DO_OWE,
	LF_DO_OWED,
	LF_DO_PAID,
	LF_DO_STEP_RECORDS,
	LF_DO_STEP_STAMPS,
	LF_DO_STEP_PREFIXES,
	LF_DO_OWE_RECORDS,
	LF_DO_OWE_STAMPS,
	LF_DO_OWE_PREFIXES,
	LF_DO_LOG_SEEN,
	LF_DO_LOG,
	LF_DO_TRIM_LOG,
	LF_DO_EACH_LOG,
	LF_DO_DATA_VERSION,
	LF_DO_CHANGED_RECORDS,
	LF_DO_CHANGED_STAMPS,
	LF_DO_CHANGED_PREFIXES,
	LF_STATEMENTS
};

/* Besides SQLite's own, none of whose low bytes are these. */
enum lf_sqlite_code {
	LF_SQLITE_NEWER = 240, /* the file is a newer logfold's */
	LF_SQLITE_FOREIGN,     /* the file is another program's database */
	LF_SQLITE_MOVED,       /* the file is no longer the one of that name: open it again */
	LF_SQLITE_LATE,        /* whose turn it is did not end by the deadline */
	LF_SQLITE_NO_FOLDER,
};

/* A connection, used by one thread at a time. */
struct lf_link {
	sqlite3 *db; /* NULL: not open */
	sqlite3_stmt *statements[LF_STATEMENTS]; /* prepared on first use */
	dev_t dev;
	ino_t ino;
	int64_t end_ms; /* of the call that uses it */
	bool full;      /* a commit waits until it is on the disk */
	int64_t owed;   /* by so many rows the transaction adds to what is owed */
};

enum { LF_SQLITE_READERS = 4 };

/* Whose turn it is uses `writer`, and alone changes `dev`, `ino` and `ready`, with `lock`, that guards them and all below,
 * and is held for moments only. */
struct lf_tier {
	struct lf_tier_options options; /* none of its pointers but the clock's; the scope is a copy */
	struct lf_text scope;
	char *owed_name; /* of what is counted in meta: `owed:` and the scope */
	char path[PATH_MAX];
	size_t compress_min;
	int watch_ms;
	int64_t care_ms;

	struct lf_link writer;

	pthread_mutex_t lock;
	pthread_cond_t turn; /* it is nobody's */
	bool writing;        /* it is somebody's */
	bool handed_on;      /* it is one's of those who wait */
	unsigned waiting;
	pthread_cond_t idle; /* a reader was given back */
	struct lf_link readers[LF_SQLITE_READERS];
	bool busy[LF_SQLITE_READERS];
	bool ready; /* the file is open and checked */
	dev_t dev;
	ino_t ino;
	char uuid[40];     /* of the file */
	char trouble[LF_SQLITE_TROUBLE_MAX]; /* what was set aside last */
	uint64_t reopened;
	int64_t counted_ms, count_cost_ms; /* lf_clock_ms(): info() */
	uint64_t counted;

	_Atomic int64_t session; /* never 0 */
	_Atomic uint64_t owed;

	/* Of the thread that watches. */
	struct lf_link watcher;
	int64_t seen, data_version;
	uint64_t watched; /* `reopened` of the file that was seen */
	bool watching;

	_Atomic bool vacuuming;
};

/* --- sqlite_schema.c ------------------------------------------------------------------------------- */

enum { LF_SQLITE_APPLICATION = 0x4c464743 /* "LFGC" */, LF_SQLITE_SCHEMA = 1 };

extern const char *const lf_statement_sql[LF_STATEMENTS];

/* Makes the tables, or brings them from an older schema to this one.  LF_SQLITE_NEWER, LF_SQLITE_FOREIGN: nothing was
 * touched. */
int lf_sqlite_schema(struct lf_link *link);

/* --- sqlite_link.c --------------------------------------------------------------------------------- */

/* `query`: it only reads. */
int lf_link_open(struct lf_link *link, const char *path, bool query, int64_t end_ms);
/* `gone`: its file has another name now, and nothing of that of the old name is to be touched. */
void lf_link_close(struct lf_link *link, bool gone);
/* NULL: what sqlite3_errcode() says. */
sqlite3_stmt *lf_link_statement(struct lf_link *link, enum lf_statement which);
/* Runs a statement that yields nothing; SQLITE_OK or what failed.  Its bindings are gone then. */
int lf_link_run(struct lf_link *link, sqlite3_stmt *statement);
int lf_link_do(struct lf_link *link, enum lf_statement which);
/* Resets it; SQLITE_OK for SQLITE_ROW and SQLITE_DONE, else the code. */
int lf_link_end(sqlite3_stmt *statement, int code);
int lf_link_exec(struct lf_link *link, const char *sql);

void lf_bind_text(sqlite3_stmt *statement, int at, struct lf_text text); /* as a blob; it must live until it is run */
void lf_bind_version(sqlite3_stmt *statement, int at, struct lf_version version); /* 16 bytes, later ones higher */
struct lf_text lf_column_text(sqlite3_stmt *row, int column);
struct lf_version lf_column_version(sqlite3_stmt *row, int column);
/* The prefix and 0xff, which no key has: what is less has the prefix, or comes before it.  malloc()ed in *out. */
int lf_bind_prefix_end(sqlite3_stmt *statement, int at, struct lf_text prefix);

/* What the link's last failure is in truth: a full disk, a file that was replaced.  To be asked before it is used again. */
int lf_link_code(const struct lf_link *link, int code);
bool lf_sqlite_is_damage(int code);
enum lf_tier_result lf_sqlite_result(int code);
/* The sentence for a code; `what` is what was being done. */
void lf_sqlite_say(const struct lf_tier *tier, const struct lf_link *link, int code, const char *what, struct lf_error *err);

/* --- sqlite_work.c --------------------------------------------------------------------------------- */

/* What happens in one transaction.  It is run anew where the file was replaced meanwhile. */
struct lf_work {
	int (*run)(struct lf_tier *tier, struct lf_link *link, void *arg);
	void *arg;
	bool durable; /* on the disk when it returns */
	const char *what; /* "read", "written": `… cannot be …` */
};

enum lf_tier_result lf_sqlite_write(struct lf_tier *tier, const struct lf_work *work, int64_t end_ms,
                                                  struct lf_error *err);
LF_MUST_CHECK enum lf_tier_result lf_sqlite_read(struct lf_tier *tier, const struct lf_work *work, int64_t end_ms,
                                                 struct lf_error *err);
/* A connection of the caller's own, for reading: opened, and anew where the file was replaced. */
int lf_sqlite_fresh_link(struct lf_tier *tier, struct lf_link *link, int64_t end_ms);
/* After LF_SQLITE_MOVED, or damage that the link found: the file is in order when this is SQLITE_OK. */
int lf_sqlite_mend(struct lf_tier *tier, const struct lf_link *link, int code, int64_t end_ms, struct lf_error *err);
/* False: it was another's until `end_ms`. */
LF_MUST_CHECK bool lf_sqlite_take_turn(struct lf_tier *tier, int64_t end_ms);
void lf_sqlite_end_turn(struct lf_tier *tier);

/* --- sqlite_file.c --------------------------------------------------------------------------------- */

/* In one's turn: the file is open, checked and of this schema, in `writer`. */
int lf_sqlite_ready(struct lf_tier *tier, int64_t end_ms, struct lf_error *err);
/* In one's turn: the file that has this inode is damaged, and goes, unless it went already. */
int lf_sqlite_set_aside(struct lf_tier *tier, dev_t dev, ino_t ino, const char *why, int64_t end_ms, struct lf_error *err);
/* Whether that, or the link's, is still the file of that name. */
bool lf_sqlite_is_file(const struct lf_tier *tier, dev_t dev, ino_t ino);
bool lf_sqlite_in_place(const struct lf_tier *tier, const struct lf_link *link);
/* -EINVAL, -ENOENT, -ENAMETOOLONG. */
LF_MUST_CHECK int lf_sqlite_path(const char *file, char out[PATH_MAX], struct lf_error *err);

/* --- inside a transaction -------------------------------------------------------------------------- */

/* Of a statement that yields one row, its one number; NULL is 0. */
int lf_sqlite_run_number(sqlite3_stmt *statement, int64_t *out);
/* `count` numbers of the sequence, from *first on. */
int lf_sqlite_take_seq(struct lf_link *link, size_t count, int64_t *first);
int lf_sqlite_get_number(struct lf_link *link, const char *key, int64_t *out);
int lf_sqlite_set_number(struct lf_link *link, const char *key, int64_t value);
/* sqlite_owed.c: each of `tiers` is owed that. */
int lf_sqlite_owe_in(struct lf_link *link, enum lf_tier_change_kind kind, struct lf_text name, struct lf_version version,
                     unsigned tiers, bool critical);

/* --- the operations -------------------------------------------------------------------------------- */

enum lf_tier_result lf_sqlite_records_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                           struct lf_record **records, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_records_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                            struct lf_error *err);
enum lf_tier_result lf_sqlite_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                   char ***keys, size_t *count, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                   struct lf_error *err);
enum lf_tier_result lf_sqlite_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                     int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to, uint64_t *out,
                                    int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_changes(struct lf_tier *tier, int wake_fd,
                                      void (*changed)(void *arg, const struct lf_tier_change *change), void *arg, int64_t end_ms,
                                      struct lf_error *err);
enum lf_tier_result lf_sqlite_tend(struct lf_tier *tier, bool *more, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_sqlite_info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err);

#endif
