/* The store's SQL, all of it but the queries that are put together in store_query.c. */
#include "agent/store/internal.h"

/* The application id is "LGFD"; it tells our file from any other SQLite database. */
const char lf_store_schema_sql[] =
	"CREATE TABLE entries ("
	" namespace TEXT NOT NULL,"
	" hash TEXT NOT NULL,"
	" method TEXT NOT NULL,"
	" messageTemplate TEXT NOT NULL,"
	" templateKind TEXT NOT NULL,"
	" topFrame TEXT NOT NULL,"
	" enabled INTEGER NOT NULL DEFAULT 1,"
	" persistToCache INTEGER NOT NULL DEFAULT 1,"
	" persistToDb INTEGER NOT NULL DEFAULT 1,"
	" tags TEXT NOT NULL DEFAULT '[]',"
	" firstSeenAt TEXT NOT NULL,"
	" lastSeenAt TEXT NOT NULL,"
	" countTotal INTEGER GENERATED ALWAYS AS"
	" (countPassed + countMuted + countSampled + countLimited + countFolded) VIRTUAL,"
	" countPassed INTEGER NOT NULL DEFAULT 0,"
	" countMuted INTEGER NOT NULL DEFAULT 0,"
	" countSampled INTEGER NOT NULL DEFAULT 0,"
	" countLimited INTEGER NOT NULL DEFAULT 0,"
	" countFolded INTEGER NOT NULL DEFAULT 0,"
	" sourceFile TEXT,"
	" sourceLine INTEGER,"
	" family TEXT,"
	" policy TEXT,"
	" flagsVersion INTEGER NOT NULL DEFAULT 0,"
	" flagsWriter TEXT NOT NULL DEFAULT '',"
	" PRIMARY KEY (namespace, hash));"
	/* The agent asks for these at each look; a drain never touches the index. */
	"CREATE INDEX entriesMuted ON entries (namespace, hash) WHERE enabled = 0;"
	"CREATE TABLE segments ("
	" name TEXT NOT NULL PRIMARY KEY,"
	" directory TEXT NOT NULL,"
	" watermark BLOB NOT NULL,"
	" retired INTEGER NOT NULL);"
	"CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE incarnations ("
	" uuid TEXT NOT NULL PRIMARY KEY,"
	" beganAt TEXT NOT NULL,"
	" beganSequence INTEGER NOT NULL,"
	" endedSequence INTEGER," /* NULL: the present one; -1: never this file's */
	" reason TEXT NOT NULL);"
	"INSERT INTO meta VALUES ('drainSequence', 0), ('incarnation', ''), ('machine', ''),"
	" ('dev', 0), ('ino', 0);"
	"PRAGMA application_id = 0x4c474644;"
	"PRAGMA user_version = 1;";

/* What this connection added, for the summary of one run.  It holds its own texts, so that it
 * outlives a store that is replaced while the run goes on. */
const char lf_store_tally_sql[] =
	"PRAGMA temp_store = MEMORY;"
	"CREATE TEMP TABLE tally ("
	" namespace TEXT NOT NULL, hash TEXT NOT NULL, method TEXT, messageTemplate TEXT,"
	" templateKind TEXT, topFrame TEXT, firstSeenAt TEXT, lastSeenAt TEXT,"
	" countPassed INTEGER, countMuted INTEGER, countSampled INTEGER, countLimited INTEGER,"
	" countFolded INTEGER, PRIMARY KEY (namespace, hash)) WITHOUT ROWID;";

/* A count stops at 2^59 and does not turn into a floating-point number; the sum of the five then
 * still fits, and one addition is less than that (agent/core/drain.c). */
#define ADD(column, at) \
	column " = " column " + CASE WHEN " column " < 576460752303423488 THEN " at " ELSE 0 END"
#define ADD_ALL                                                                                  \
	ADD("countPassed", "?1") ", " ADD("countMuted", "?2") ", " ADD("countSampled", "?3") ", " \
	ADD("countLimited", "?4") ", " ADD("countFolded", "?5") ", "                              \
	"firstSeenAt = min(firstSeenAt, ?6), lastSeenAt = max(lastSeenAt, ?7)"
#define OF_KEY " WHERE namespace = ?8 AND hash = ?9"

static const char *const texts[LF_SQL_COUNT] = {
	[LF_SQL_BEGIN] = "BEGIN IMMEDIATE",
	[LF_SQL_COMMIT] = "COMMIT",
	[LF_SQL_ROLLBACK] = "ROLLBACK",
	[LF_SQL_ADD] = "UPDATE entries SET " ADD_ALL OF_KEY,
	[LF_SQL_INSERT] = "INSERT INTO entries (countPassed, countMuted, countSampled, countLimited,"
			  " countFolded, firstSeenAt, lastSeenAt, namespace, hash, method,"
			  " messageTemplate, templateKind, topFrame)"
			  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
			  " ON CONFLICT (namespace, hash) DO UPDATE SET " ADD_ALL,
	[LF_SQL_TALLY_ADD] = "UPDATE temp.tally SET " ADD_ALL OF_KEY,
	[LF_SQL_TALLY_INSERT] = "INSERT INTO temp.tally SELECT namespace, hash, method,"
				" messageTemplate, templateKind, topFrame, ?6, ?7, ?1, ?2, ?3, ?4, ?5"
				" FROM entries WHERE namespace = ?8 AND hash = ?9",
	[LF_SQL_TALLY_EACH] = "SELECT * FROM temp.tally",
	[LF_SQL_TALLY_COPY] = "INSERT INTO temp.tally VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
			      " ?11, ?12, ?13)",
	[LF_SQL_DATA_VERSION] = "PRAGMA data_version",
	[LF_SQL_GET_ENABLED] = "SELECT enabled FROM entries WHERE namespace = ?1 AND hash = ?2",
	[LF_SQL_SET_ENABLED] = "UPDATE entries SET enabled = ?3, flagsVersion = flagsVersion + 1,"
			       " flagsWriter = ?4 WHERE namespace = ?1 AND hash = ?2",
	[LF_SQL_PUT_SEGMENT] = "INSERT INTO segments VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name)"
			       " DO UPDATE SET directory = ?2, watermark = ?3, retired = ?4",
	[LF_SQL_DROP_SEGMENT] = "DELETE FROM segments WHERE name = ?1",
	[LF_SQL_EACH_SEGMENT] = "SELECT name, directory, watermark, retired FROM segments"
				" WHERE ?1 IS NULL OR directory = ?1",
	[LF_SQL_COUNT_DRAIN] = "UPDATE meta SET value = value + 1 WHERE key = 'drainSequence'",
	[LF_SQL_GET_META] = "SELECT value FROM meta WHERE key = ?1",
	[LF_SQL_SET_META] = "UPDATE meta SET value = ?2 WHERE key = ?1",
	[LF_SQL_GET_INCARNATION] = "SELECT beganSequence, endedSequence FROM incarnations"
				   " WHERE uuid = ?1",
	[LF_SQL_END_INCARNATION] = "UPDATE incarnations SET endedSequence = ?1"
				   " WHERE endedSequence IS NULL",
	[LF_SQL_BEGIN_INCARNATION] = "INSERT INTO incarnations VALUES (?1, ?2, ?3, NULL, ?4)",
	[LF_SQL_NOTE_INCARNATION] = "INSERT OR IGNORE INTO incarnations VALUES (?1, ?2, -1, -1,"
				    " 'another file at this path')",
};

sqlite3_stmt *lf_store_statement(struct lf_store *store, enum lf_sql which)
{
	sqlite3_stmt **statement = &store->statements[which];

	if (!*statement)
		(void)sqlite3_prepare_v3(store->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
					 statement, NULL);
	return *statement;
}

int lf_store_run(struct lf_store *store, sqlite3_stmt *statement, struct lf_error *err)
{
	int rc = 0;

	if (sqlite3_step(statement) != SQLITE_DONE)
		rc = lf_store_fail(store, err, store->read_only ? "read" : "written");
	(void)sqlite3_reset(statement);
	return rc;
}

int lf_store_do(struct lf_store *store, enum lf_sql which, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, which);

	return statement ? lf_store_run(store, statement, err) : lf_store_fail(store, err, "used");
}

void lf_store_bind(sqlite3_stmt *statement, int at, const char *text)
{
	(void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}
