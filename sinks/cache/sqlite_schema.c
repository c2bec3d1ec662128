/* What is in the file, and the statements on it.
 *
 * Every change of a record, a stamp or a prefix takes the next number of one sequence and makes it the row's own: so
 * what changed since is what has a higher one, in the order of the table itself, and no index is to be kept for it.
 * Versions are blobs, big-endian, because SQLite's integers have a sign; a stamp is one whose writer is 0.
 */
#include "sinks/cache/sqlite_internal.h"

/* From each schema to the next; the first is from none. */
static const char *const steps[LF_SQLITE_SCHEMA] = {
	"CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('uuid', lower(hex(randomblob(16)))), ('seq', 0), ('floor', 0), ('care', 0), ('ping', 0);"
	"CREATE TABLE records ("
	" seq INTEGER PRIMARY KEY,"
	" key BLOB NOT NULL UNIQUE,"
	" version BLOB NOT NULL,"
	" expires INTEGER NOT NULL,"  /* 0: never */
	" critical INTEGER NOT NULL,"
	" session INTEGER NOT NULL," /* who may trust it; 0: nobody */
	" origin INTEGER NOT NULL,"  /* the writer who put it here, be the record another's */
	" bytes BLOB NOT NULL);"     /* last, so that who asks for the rest does not read through it */
	"CREATE INDEX recordsExpire ON records (expires) WHERE expires > 0;"
	"CREATE INDEX recordsCritical ON records (critical) WHERE critical = 1;"
	"CREATE TABLE stamps ("
	" seq INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, stamp BLOB NOT NULL, origin INTEGER NOT NULL);"
	/* Those of late, for who watches; meta's `floor` is the last that is not here any more. */
	"CREATE TABLE prefixes ("
	" seq INTEGER PRIMARY KEY, prefix BLOB NOT NULL, version BLOB NOT NULL, origin INTEGER NOT NULL);"
	"CREATE TABLE owed ("
	" id INTEGER PRIMARY KEY,"
	" tier INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" name BLOB NOT NULL,"
	" version BLOB NOT NULL,"
	" critical INTEGER NOT NULL,"
	" UNIQUE (tier, kind, name));"
	"CREATE INDEX owedTo ON owed (tier);"
	"CREATE TABLE log ("
	" id INTEGER PRIMARY KEY,"
	" at INTEGER NOT NULL,"
	" what TEXT NOT NULL,"
	" scope BLOB NOT NULL,"
	" org BLOB NOT NULL,"
	" name BLOB NOT NULL,"
	" origin INTEGER NOT NULL,"
	" elsewhere INTEGER NOT NULL);",
};

const char *const lf_statement_sql[LF_STATEMENTS] = {
	[LF_DO_BEGIN] = "BEGIN IMMEDIATE",
	[LF_DO_BEGIN_READ] = "BEGIN",
	[LF_DO_COMMIT] = "COMMIT",
	[LF_DO_ROLLBACK] = "ROLLBACK",

	[LF_DO_TAKE_SEQ] = "UPDATE meta SET value = value + ?1 WHERE key = 'seq' RETURNING value",
	[LF_DO_GET_META] = "SELECT value FROM meta WHERE key = ?1",
	[LF_DO_SET_META] = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
	[LF_DO_ADD_META] = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + ?2"
	                   " RETURNING value",

	[LF_DO_LOAD] = "SELECT seq, session, bytes, version FROM records WHERE key = ?1",
	[LF_DO_LOOK] = "SELECT seq, version, session FROM records WHERE key = ?1",
	[LF_DO_INSERT] = "INSERT INTO records (seq, key, version, expires, critical, session, origin, bytes)"
	                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[LF_DO_UPDATE] = "UPDATE records SET seq = ?1, version = ?3, expires = ?4, critical = ?5, session = ?6, origin = ?7,"
	                 " bytes = ?8 WHERE seq = ?2",
	[LF_DO_TRUST] = "UPDATE records SET session = ?2 WHERE seq = ?1",
	[LF_DO_TRUSTED] = "SELECT seq FROM records WHERE key = ?1 AND session = ?2 AND version < ?3",
	[LF_DO_REMOVE] = "DELETE FROM records WHERE seq = ?1",
	/* What is too long for a cursor, or has a NUL, is no key, and where a page ended with it the next could not go on. */
	[LF_DO_SCAN] = "SELECT key FROM records WHERE key >= ?1 AND key < ?2 AND length(key) <= ?4 AND instr(key, x'00') = 0"
	               " ORDER BY key LIMIT ?3",
	[LF_DO_DROP] = "DELETE FROM records WHERE seq IN (SELECT seq FROM records"
	               " WHERE key >= ?1 AND key < ?2 AND version <= ?3 AND critical <= ?5 LIMIT ?4)",
	[LF_DO_ADD_PREFIX] = "INSERT INTO prefixes VALUES (?1, ?2, ?3, ?4)",
	[LF_DO_TRIM_PREFIXES] = "DELETE FROM prefixes WHERE seq <= (SELECT seq FROM prefixes ORDER BY seq DESC LIMIT 1 OFFSET ?1)"
	                        " RETURNING seq",
	[LF_DO_EXPIRE] = "DELETE FROM records WHERE seq IN (SELECT seq FROM records"
	                 " WHERE expires > 0 AND expires <= ?1 ORDER BY expires LIMIT ?2)",
	[LF_DO_COUNT] = "SELECT count(*) FROM records WHERE key >= ?1 AND key < ?2",

	[LF_DO_GET_STAMP] = "SELECT stamp FROM stamps WHERE name = ?1",
	[LF_DO_RAISE] = "INSERT INTO stamps VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE"
	                " SET seq = ?1, stamp = ?3, origin = ?4 WHERE ?3 > stamp",

	[LF_DO_OWE_AGAIN] = "UPDATE owed SET version = max(version, ?4), critical = max(critical, ?5)"
	                    " WHERE tier = ?1 AND kind = ?2 AND name = ?3",
	[LF_DO_OWE] = "INSERT INTO owed (tier, kind, name, version, critical) VALUES (?1, ?2, ?3, ?4, ?5)",
	/* A file may be that of several scopes, each with servers of its own. */
	[LF_DO_OWED] = "SELECT kind, name, version, critical FROM owed WHERE tier = ?1 AND name >= ?2 AND name < ?3"
	               " ORDER BY id LIMIT ?4",
	[LF_DO_PAID] = "DELETE FROM owed WHERE tier = ?1 AND kind = ?2 AND name = ?3 AND version = ?4",
	/* Up to where a step goes, and what is in it: by rising seq, whatever ANALYZE says of the names, hence the plus. */
	[LF_DO_STEP_RECORDS] = "SELECT max(seq) FROM (SELECT seq FROM records WHERE critical = 1 AND seq > ?1"
	                       " ORDER BY seq LIMIT ?2)",
	[LF_DO_STEP_STAMPS] = "SELECT max(seq) FROM (SELECT seq FROM stamps WHERE seq > ?1 ORDER BY seq LIMIT ?2)",
	[LF_DO_STEP_PREFIXES] = "SELECT max(seq) FROM prefixes WHERE seq > ?1 AND ?2 > 0", /* they are few */
	[LF_DO_OWE_RECORDS] = "INSERT INTO owed (tier, kind, name, version, critical) SELECT ?1, ?4, key, version, 1"
	                      " FROM records WHERE critical = 1 AND seq > ?5 AND seq <= ?6 AND +key >= ?2 AND +key < ?3"
	                      " ON CONFLICT DO NOTHING",
	[LF_DO_OWE_STAMPS] = "INSERT INTO owed (tier, kind, name, version, critical) SELECT ?1, ?4, name, stamp, 0"
	                     " FROM stamps WHERE seq > ?5 AND seq <= ?6 AND +name >= ?2 AND +name < ?3 ON CONFLICT DO NOTHING",
	[LF_DO_OWE_PREFIXES] = "INSERT INTO owed (tier, kind, name, version, critical) SELECT ?1, ?4, prefix, max(version), 0"
	                       " FROM prefixes WHERE seq > ?5 AND seq <= ?6 AND prefix >= ?2 AND prefix < ?3 GROUP BY prefix"
	                       " ON CONFLICT DO NOTHING",

	[LF_DO_LOG_SEEN] = "SELECT 1 FROM log WHERE id > (SELECT max(id) FROM log) - 64 AND at > ?1 AND what = ?2"
	                   " AND org = ?3 AND name = ?4 AND scope = ?5",
	[LF_DO_LOG] = "INSERT INTO log (at, what, org, name, scope, origin, elsewhere) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[LF_DO_TRIM_LOG] = "DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - ?1",
	[LF_DO_EACH_LOG] = "SELECT at, what, org, name, elsewhere OR origin <> ?3 FROM log WHERE scope = ?2"
	                   " ORDER BY id DESC LIMIT ?1",

	[LF_DO_DATA_VERSION] = "PRAGMA data_version",
	[LF_DO_CHANGED_RECORDS] = "SELECT key, version FROM records WHERE seq > ?1 AND origin <> ?2",
	[LF_DO_CHANGED_STAMPS] = "SELECT name, stamp FROM stamps WHERE seq > ?1 AND origin <> ?2",
	[LF_DO_CHANGED_PREFIXES] = "SELECT prefix, version FROM prefixes WHERE seq > ?1 AND origin <> ?2",
};

struct found {
	int64_t application, version, tables;
};

/* In one statement, as another process may be making the schema right now. */
static int look(struct lf_link *link, struct found *out)
{
	static const char sql[] = "SELECT (SELECT application_id FROM pragma_application_id),"
				  " (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(link->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		out->application = sqlite3_column_int64(statement, 0);
		out->version = sqlite3_column_int64(statement, 1);
		out->tables = sqlite3_column_int64(statement, 2);
		code = SQLITE_OK;
	}
	(void)sqlite3_finalize(statement);
	return code;
}

/* Somebody else's database stays as it is, and so does a newer logfold's. */
static int check(struct lf_link *link, int64_t *version)
{
	struct found found = { 0 };
	int code = look(link, &found);

	*version = found.version;
	if (code != SQLITE_OK || (found.tables == 0 && found.version == 0))
		return code;
	if (found.application != LF_SQLITE_APPLICATION)
		return LF_SQLITE_FOREIGN;
	return found.version > LF_SQLITE_SCHEMA ? LF_SQLITE_NEWER : SQLITE_OK;
}

static int migrate(struct lf_link *link, int64_t version)
{
	char sql[96];
	int code = SQLITE_OK;

	for (; code == SQLITE_OK && version < LF_SQLITE_SCHEMA; version++)
		code = lf_link_exec(link, steps[version]);
	(void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d", LF_SQLITE_APPLICATION,
	               LF_SQLITE_SCHEMA);
	return code == SQLITE_OK ? lf_link_exec(link, sql) : code;
}

/* Pages that become free can be given back step by step; this is only heard before there is a table, and in no
 * transaction. */
static int prepare(struct lf_link *link, int64_t version)
{
	int code = version == 0 ? lf_link_exec(link, "PRAGMA auto_vacuum = INCREMENTAL") : SQLITE_OK;

	return code == SQLITE_OK ? lf_link_exec(link, "PRAGMA journal_mode = WAL") : code;
}

int lf_sqlite_schema(struct lf_link *link)
{
	int64_t version = 0;
	int code = check(link, &version);

	if (code == SQLITE_OK)
		code = prepare(link, version);
	if (code != SQLITE_OK || version == LF_SQLITE_SCHEMA)
		return code;
	code = lf_link_do(link, LF_DO_BEGIN);
	if (code != SQLITE_OK)
		return code;
	/* Another process may have been faster, and be newer. */
	code = check(link, &version);
	if (code == SQLITE_OK && version < LF_SQLITE_SCHEMA)
		code = migrate(link, version);
	if (code == SQLITE_OK)
		code = lf_link_do(link, LF_DO_COMMIT);
	if (code != SQLITE_OK)
		(void)lf_link_do(link, LF_DO_ROLLBACK);
	return code;
}
