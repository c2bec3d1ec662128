/* What the files of the store share.  Nobody else includes this. */
#ifndef LOGFOLD_STORE_INTERNAL_H
#define LOGFOLD_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "agent/store/store.h"

/* Every statement that is run more than once; store_sql.c has its text. */
enum lf_sql {
	LF_SQL_BEGIN,
	LF_SQL_BEGIN_READ,
	LF_SQL_COMMIT,
	LF_SQL_ROLLBACK,
	LF_SQL_ADD,
	LF_SQL_INSERT,
	LF_SQL_TALLY_ADD,
	LF_SQL_TALLY_INSERT,
	LF_SQL_TALLY_EACH,
	LF_SQL_TALLY_COPY,
	LF_SQL_TALLY_FORGET,
	LF_SQL_DATA_VERSION,
	LF_SQL_CHANGE_FLAGS,
	LF_SQL_FIND,
	LF_SQL_PLAIN_TAGS,
	LF_SQL_GET_FLAGS,
	LF_SQL_SET_FLAGS,
	LF_SQL_TOUCH_FLAGS,
	LF_SQL_INSERT_ENTRY,
	LF_SQL_WIDEN,
	LF_SQL_RAISE,
	LF_SQL_ANY_SHARE,
	LF_SQL_EACH_SHARE,
	LF_SQL_GET_COUNTS,
	LF_SQL_GET_SHARE,
	LF_SQL_PUT_SHARE,
	LF_SQL_END_SHARES,
	LF_SQL_REST_OF_CHANGED,
	LF_SQL_EACH_CHANGED,
	LF_SQL_EACH_HOT,
	LF_SQL_EACH_FLAGS_CHANGED,
	LF_SQL_COUNT_CHANGED,
	LF_SQL_EACH_NAMESPACE,
	LF_SQL_GET_TIER,
	LF_SQL_PUT_TIER,
	LF_SQL_FIND_SITE,
	LF_SQL_LACKS_SOURCE,
	LF_SQL_ADD_SITE,
	LF_SQL_GET_SITE,
	LF_SQL_NEXT_SITE,
	LF_SQL_EACH_SITE,
	LF_SQL_FOUND_SITE,
	LF_SQL_TRIED_SITE,
	LF_SQL_PUT_SEGMENT,
	LF_SQL_DROP_SEGMENT,
	LF_SQL_EACH_SEGMENT,
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
	int64_t schema; /* less than LF_STORE_SCHEMA: read-only, and older than shares (2), sites (3) */
	uint64_t sequence; /* that the transaction will have; valid while it lasts */
	char uuid[LF_UUID_CHARS + 1]; /* the incarnation, as this connection last knew it */
	int mark_fd; /* -1: there is no note of how far the store was */
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
extern const char lf_store_migrate_1_sql[], lf_store_migrate_2_sql[]; /* from this schema to the next */

/* Entries that are muted or have a policy; in these very words, or the index is not used. */
#define LF_STORE_RULED "(enabled = 0 OR policy IS NOT NULL)"

/* The columns of a row of entries `e`, in the order that lf_store_read_row() takes them: identity and
 * numbers name the tables that they come from. */
#define LF_STORE_COLUMNS_OF(identity, numbers)                                                  \
	identity ".hash, " identity ".namespace, " identity ".method, " identity                 \
		 ".messageTemplate, " identity ".templateKind, " identity ".topFrame, "          \
		 "e.enabled, e.persistToCache, e.persistToDb, e.tags, " numbers ".firstSeenAt, " \
		 numbers ".lastSeenAt, " numbers ".countPassed, " numbers ".countMuted, "        \
		 numbers ".countSampled, " numbers ".countLimited, " numbers ".countFolded, "    \
		 "e.sourceFile, e.sourceLine, e.family, e.policy, e.flagsVersion, e.flagsWriter"
#define LF_STORE_COLUMNS LF_STORE_COLUMNS_OF("e", "e")
enum { LF_STORE_COLUMNS_COUNT = 23 };

/* The texts are the statement's. */
void lf_store_read_row(sqlite3_stmt *row, struct lf_entry *out);

/* Other programs may write to the store too: a negative count reads as none. */
uint64_t lf_store_count_at(sqlite3_stmt *row, int column);

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
void lf_store_bind_text(sqlite3_stmt *statement, int at, struct lf_text text);

/* What meta holds under `key`. */
int lf_store_get_number(struct lf_store *store, const char *key, uint64_t *out,
			struct lf_error *err);
int lf_store_set_number(struct lf_store *store, const char *key, uint64_t value,
			struct lf_error *err);
int lf_store_get_uuid(struct lf_store *store, char out[LF_UUID_CHARS + 1], struct lf_error *err);

/* Ends what lf_store_begin() began: commits where rc is LF_STORE_CHANGED, else rolls back.  0, or what
 * failed. */
enum { LF_STORE_CHANGED = 1 };
int lf_store_end(struct lf_store *store, int rc, struct lf_error *err);

/* ---- The note beside the store (store_mark.c) ---- */

/* Mints where the store has been further than it says.  In no transaction. */
int lf_store_check_mark(struct lf_store *store, struct lf_error *err);

/* After a commit. */
void lf_store_write_mark(const struct lf_store *store);

/* ---- Shares (store_shares.c) ---- */

struct lf_share_list {
	struct lf_share *share; /* by incarnation */
	size_t count, room;
};

/* Makes the list that of the entry, whose counts are those of the same moment; `uuid` is the store's
 * present incarnation. */
int lf_store_list_shares(struct lf_store *store, const struct lf_entry *entry, const char *uuid,
			 struct lf_share_list *list, struct lf_error *err);

/* Notes what the incarnation counted so far as its share: from here on the counts are another's. */
int lf_store_end_shares(struct lf_store *store, const char *uuid, struct lf_error *err);

/* ---- Flags (store_flags.c), all inside a transaction ---- */

/* Inserts the entry as it is, without counts. */
int lf_store_insert_entry(struct lf_store *store, const struct lf_entry *entry,
			  struct lf_error *err);

/* Takes the flags of `entry` where they are newer.  LF_STORE_CHANGED or 0; -ENOENT, without a sentence,
 * when there is no such entry. */
int lf_store_merge_flags(struct lf_store *store, const struct lf_entry *entry, const char *adopter,
			 struct lf_error *err);

/* Mints where the file is not the one that its incarnation was bound to.  In no transaction. */
int lf_store_check_binding(struct lf_store *store, struct lf_error *err);

#endif
