/* The store's SQL, all of it but the queries that are put together in store_query.c. */
#include "agent/store/internal.h"

/* An entry's sequences.  The table keeps its implicit rowid: it is the second half of the index. */
#define CHANGED "changed INTEGER NOT NULL DEFAULT 0"
#define FLAGS_CHANGED "flagsChanged INTEGER NOT NULL DEFAULT 0"

/* What came with schema 2. */
#define TIERS_SQL                                                                             \
	"CREATE INDEX entriesChanged ON entries (changed);"                                   \
	/* A drain never touches this one. */                                                 \
	"CREATE INDEX entriesFlags ON entries (flagsChanged) WHERE flagsChanged > 0;"         \
	/* What others than the present incarnation counted, in the entry's counts, too. */   \
	"CREATE TABLE shares ("                                                               \
	" namespace TEXT NOT NULL,"                                                           \
	" hash TEXT NOT NULL,"                                                                \
	" incarnation TEXT NOT NULL,"                                                         \
	" countPassed INTEGER NOT NULL,"                                                      \
	" countMuted INTEGER NOT NULL,"                                                       \
	" countSampled INTEGER NOT NULL,"                                                     \
	" countLimited INTEGER NOT NULL,"                                                     \
	" countFolded INTEGER NOT NULL,"                                                      \
	" PRIMARY KEY (namespace, hash, incarnation)) WITHOUT ROWID;"                         \
	/* How far each tier was told, under which incarnation. */                            \
	"CREATE TABLE tiers ("                                                                \
	" name TEXT NOT NULL PRIMARY KEY,"                                                    \
	" incarnation TEXT NOT NULL,"                                                         \
	" epoch TEXT NOT NULL,"                                                               \
	" sequence INTEGER NOT NULL) WITHOUT ROWID;"

/* What came with schema 3. */
#define SITE "site INTEGER" /* where it is printed from, of an entry whose source is not known */
#define SCHEMA_3_SQL                                                                          \
	/* The agent asks for these whenever flags may have changed; a drain never touches it. */ \
	"CREATE INDEX entriesRuled ON entries (namespace, hash) WHERE " LF_STORE_RULED ";"    \
	/* Places in programs, each looked at once; what was found there is that of all its entries. */ \
	"CREATE TABLE sites ("                                                                \
	" id INTEGER PRIMARY KEY,"                                                            \
	" uid INTEGER NOT NULL," /* whose process said so */                                  \
	" module TEXT NOT NULL,"                                                              \
	" buildId TEXT NOT NULL,"                                                             \
	" address INTEGER NOT NULL,"                                                          \
	" tried INTEGER NOT NULL DEFAULT 0,"                                                  \
	" file TEXT, line INTEGER,"                                                           \
	" UNIQUE (address, buildId, module, uid));"                                           \
	"CREATE INDEX sitesUntried ON sites (uid, module, buildId) WHERE tried = 0;"          \
	"CREATE INDEX entriesSite ON entries (site) WHERE site IS NOT NULL AND sourceFile IS NULL;" \
	"PRAGMA user_version = 3;"

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
	" " CHANGED ","
	" " FLAGS_CHANGED ","
	" " SITE ","
	" PRIMARY KEY (namespace, hash));"
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
	TIERS_SQL SCHEMA_3_SQL;

/* Every entry changed, as no tier was told of any.  The sequence itself stays: a copy of the file that
 * counted it up here would claim commits that are another's. */
const char lf_store_migrate_1_sql[] =
	"ALTER TABLE entries ADD COLUMN " CHANGED ";"
	"ALTER TABLE entries ADD COLUMN " FLAGS_CHANGED ";"
	"UPDATE entries SET changed = max(1, (SELECT value FROM meta WHERE key = 'drainSequence'));"
	"UPDATE entries SET flagsChanged = changed WHERE flagsVersion > 0 OR enabled = 0"
	" OR persistToCache = 0 OR persistToDb = 0 OR tags <> '[]' OR policy IS NOT NULL;"
	TIERS_SQL;

const char lf_store_migrate_2_sql[] =
	"DROP INDEX IF EXISTS entriesMuted;"
	"ALTER TABLE entries ADD COLUMN " SITE ";"
	SCHEMA_3_SQL;

/* What this connection added, for the summary of one run.  It holds its own texts, so that it
 * outlives a store that is replaced while the run goes on. */
const char lf_store_tally_sql[] =
	"PRAGMA temp_store = MEMORY;"
	"CREATE TEMP TABLE tally ("
	" run TEXT NOT NULL," /* empty: the one of an agent that serves one run only */
	" namespace TEXT NOT NULL, hash TEXT NOT NULL, method TEXT, messageTemplate TEXT,"
	" templateKind TEXT, topFrame TEXT, firstSeenAt TEXT, lastSeenAt TEXT,"
	" countPassed INTEGER, countMuted INTEGER, countSampled INTEGER, countLimited INTEGER,"
	" countFolded INTEGER, PRIMARY KEY (run, namespace, hash)) WITHOUT ROWID;";

/* A count stops at 2^59 and does not turn into a floating-point number; the sum of the five then
 * still fits, and one addition is less than that (agent/core/drain.c). */
#define ADD(column, at) \
	column " = " column " + CASE WHEN " column " < 576460752303423488 THEN " at " ELSE 0 END"
#define ADD_ALL                                                                                  \
	ADD("countPassed", "?1") ", " ADD("countMuted", "?2") ", " ADD("countSampled", "?3") ", " \
	ADD("countLimited", "?4") ", " ADD("countFolded", "?5") ", "                              \
	"firstSeenAt = min(firstSeenAt, ?6), lastSeenAt = max(lastSeenAt, ?7)"
#define ADD_SOURCE                                                                               \
	"site = ifnull(?11, site), sourceFile = ifnull(sourceFile, ?12),"                        \
	" sourceLine = CASE WHEN sourceFile IS NULL THEN ?13 ELSE sourceLine END"
#define OF_KEY " WHERE namespace = ?8 AND hash = ?9"
#define OF_ENTRY " WHERE namespace = ?1 AND hash = ?2"
#define COUNTS "countPassed, countMuted, countSampled, countLimited, countFolded"
#define CHANGE "SELECT " LF_STORE_COLUMNS ", e.changed, e.flagsChanged, e.rowid FROM entries e"

/* What of an entry is nobody's share: less than nothing only where another program wrote. */
#define REST(column) "max(0, e." column " - ifnull(s." column ", 0))"

/* Tags in their one spelling; NULL when they are no JSON array of strings. */
#define PLAIN_TAGS(tags)                                                               \
	"CASE WHEN json_valid(" tags ") AND json_type(" tags ") = 'array'"             \
	" AND NOT EXISTS (SELECT 1 FROM json_each(" tags ") WHERE type <> 'text')"     \
	" THEN (SELECT json_group_array(value) FROM json_each(" tags ")) END"

/* What a person makes of them: ?5 is added at the end, ?6 taken out.  Without either they stay as they are
 * spelled, with one also where they were none. */
#define TAGS_BEFORE "ifnull(" PLAIN_TAGS("tags") ", '[]')"
#define NEXT_TAGS                                                                                      \
	"CASE WHEN ?5 IS NULL AND ?6 IS NULL THEN tags ELSE (SELECT json_group_array(value) FROM ("    \
	"SELECT value FROM json_each(" TAGS_BEFORE ") WHERE value NOT IN"                              \
	" (SELECT value FROM json_each(ifnull(?6, '[]')))"                                             \
	" UNION ALL SELECT DISTINCT value FROM json_each(ifnull(?5, '[]')) WHERE value NOT IN"         \
	" (SELECT value FROM json_each(" TAGS_BEFORE ")))) END"
#define NEXT_POLICY "nullif(ifnull(?4, policy), '')"

static const char *const texts[LF_SQL_COUNT] = {
	[LF_SQL_BEGIN] = "BEGIN IMMEDIATE",
	[LF_SQL_BEGIN_READ] = "BEGIN",
	[LF_SQL_COMMIT] = "COMMIT",
	[LF_SQL_ROLLBACK] = "ROLLBACK",
	[LF_SQL_ADD] = "UPDATE entries SET changed = ?10, " ADD_SOURCE ", " ADD_ALL OF_KEY,
	[LF_SQL_INSERT] = "INSERT INTO entries (countPassed, countMuted, countSampled, countLimited,"
			  " countFolded, firstSeenAt, lastSeenAt, namespace, hash, method,"
			  " messageTemplate, templateKind, topFrame, changed, site, sourceFile, sourceLine)"
			  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?14, ?15, ?16, ?17, ?10, ?11, ?12, ?13)"
			  " ON CONFLICT (namespace, hash) DO UPDATE SET changed = ?10, " ADD_SOURCE ", "
			  ADD_ALL,
	[LF_SQL_TALLY_ADD] = "UPDATE temp.tally SET " ADD_ALL OF_KEY " AND run = ?10",
	[LF_SQL_TALLY_INSERT] = "INSERT INTO temp.tally SELECT ?10, namespace, hash, method,"
				" messageTemplate, templateKind, topFrame, ?6, ?7, ?1, ?2, ?3, ?4, ?5"
				" FROM entries WHERE namespace = ?8 AND hash = ?9",
	[LF_SQL_TALLY_EACH] = "SELECT * FROM temp.tally",
	[LF_SQL_TALLY_COPY] = "INSERT INTO temp.tally VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
			      " ?11, ?12, ?13, ?14)",
	[LF_SQL_TALLY_FORGET] = "DELETE FROM temp.tally WHERE run = ?1",
	[LF_SQL_DATA_VERSION] = "PRAGMA data_version",
	[LF_SQL_CHANGE_FLAGS] = "UPDATE entries SET enabled = ifnull(?3, enabled), tags = " NEXT_TAGS
				", policy = " NEXT_POLICY ", flagsVersion = flagsVersion"
				" + (flagsVersion < 9223372036854775807), flagsWriter = ?7, changed = ?8,"
				" flagsChanged = ?8" OF_ENTRY
				" AND ((?3 IS NOT NULL AND (enabled <> 0) <> ?3)"
				" OR (?4 IS NOT NULL AND ifnull(policy, '') <> ?4)"
				" OR (ifnull(?5, ?6) IS NOT NULL AND " TAGS_BEFORE " <> " NEXT_TAGS "))",
	[LF_SQL_FIND] = "SELECT 1 FROM entries" OF_ENTRY,
	[LF_SQL_PLAIN_TAGS] = "SELECT " PLAIN_TAGS("?1"),
	[LF_SQL_GET_FLAGS] = "SELECT (?3 IS NOT NULL AND (enabled <> 0) <> ?3)"
			     " OR (?4 IS NOT NULL AND (persistToCache <> 0) <> ?4)"
			     " OR (?5 IS NOT NULL AND (persistToDb <> 0) <> ?5)"
			     " OR (tags <> ?6 AND " PLAIN_TAGS("tags") " IS NOT ?6)"
			     " OR (?7 IS NOT NULL AND ifnull(policy, '') <> ?7), flagsVersion, flagsWriter FROM entries" OF_ENTRY,
	[LF_SQL_SET_FLAGS] = "UPDATE entries SET enabled = ifnull(?3, enabled),"
			     " persistToCache = ifnull(?4, persistToCache),"
			     " persistToDb = ifnull(?5, persistToDb), tags = ifnull(?6, tags),"
			     " policy = nullif(ifnull(?7, policy), ''), flagsVersion = ?8,"
			     " flagsWriter = ?9, changed = ?10, flagsChanged = ?10" OF_ENTRY,
	[LF_SQL_TOUCH_FLAGS] = "UPDATE entries SET changed = ?3, flagsChanged = ?3" OF_ENTRY,
	[LF_SQL_INSERT_ENTRY] = "INSERT INTO entries (namespace, hash, enabled, persistToCache,"
				" persistToDb, tags, policy, flagsVersion, flagsWriter, changed,"
				" flagsChanged, method, messageTemplate, templateKind, topFrame,"
				" firstSeenAt, lastSeenAt, sourceFile, sourceLine, family)"
				" VALUES (?1, ?2, ifnull(?3, 1), ifnull(?4, 1), ifnull(?5, 1),"
				" ifnull(?6, '[]'), nullif(?7, ''), ?8, ?9,"
				" ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, nullif(?18, ''),"
				" nullif(?19, 0), nullif(?20, ''))",
	[LF_SQL_WIDEN] = "UPDATE entries SET firstSeenAt = min(firstSeenAt, ?3),"
			 " lastSeenAt = max(lastSeenAt, ?4), sourceFile = ifnull(sourceFile, nullif(?5, '')),"
			 " sourceLine = ifnull(sourceLine, nullif(?6, 0)),"
			 " family = ifnull(family, nullif(?7, '')), changed = ?8" OF_ENTRY
			 " AND (?3 < firstSeenAt OR ?4 > lastSeenAt OR (sourceFile IS NULL AND ?5 <> '')"
			 " OR (sourceLine IS NULL AND ?6 <> 0) OR (family IS NULL AND ?7 <> ''))",
	[LF_SQL_RAISE] = "UPDATE entries SET countPassed = countPassed + ?4,"
			 " countMuted = countMuted + ?5, countSampled = countSampled + ?6,"
			 " countLimited = countLimited + ?7, countFolded = countFolded + ?8,"
			 " changed = ?3" OF_ENTRY,
	[LF_SQL_ANY_SHARE] = "SELECT EXISTS (SELECT 1 FROM shares)",
	[LF_SQL_EACH_SHARE] = "SELECT incarnation, " COUNTS " FROM shares" OF_ENTRY
			      " ORDER BY incarnation",
	[LF_SQL_GET_COUNTS] = "SELECT " COUNTS " FROM entries" OF_ENTRY,
	[LF_SQL_GET_SHARE] = "SELECT " COUNTS " FROM shares" OF_ENTRY " AND incarnation = ?3",
	[LF_SQL_PUT_SHARE] = "INSERT INTO shares VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
			     " ON CONFLICT DO UPDATE SET countPassed = ?4, countMuted = ?5,"
			     " countSampled = ?6, countLimited = ?7, countFolded = ?8",
	[LF_SQL_END_SHARES] = "INSERT INTO shares SELECT namespace, hash, ?1, passed, muted, sampled,"
			      " limited, folded FROM (SELECT e.namespace, e.hash, " REST("countPassed")
			      " AS passed, " REST("countMuted") " AS muted, " REST("countSampled")
			      " AS sampled, " REST("countLimited") " AS limited, " REST("countFolded")
			      " AS folded FROM entries e LEFT JOIN (SELECT namespace, hash,"
			      " sum(countPassed) AS countPassed, sum(countMuted) AS countMuted,"
			      " sum(countSampled) AS countSampled, sum(countLimited) AS countLimited,"
			      " sum(countFolded) AS countFolded FROM shares GROUP BY namespace, hash) s"
			      " ON s.namespace = e.namespace AND s.hash = e.hash)"
			      " WHERE passed OR muted OR sampled OR limited OR folded ON CONFLICT"
			      " DO UPDATE SET countPassed = countPassed + excluded.countPassed,"
			      " countMuted = countMuted + excluded.countMuted,"
			      " countSampled = countSampled + excluded.countSampled,"
			      " countLimited = countLimited + excluded.countLimited,"
			      " countFolded = countFolded + excluded.countFolded",
	/* One statement with a row value would walk the first sequence from its beginning each time. */
	[LF_SQL_REST_OF_CHANGED] = CHANGE " WHERE e.changed = ?1 AND e.rowid > ?2 ORDER BY e.rowid"
				   " LIMIT ?3",
	[LF_SQL_EACH_CHANGED] = CHANGE " WHERE e.changed > ?1 ORDER BY e.changed, e.rowid LIMIT ?3",
	[LF_SQL_EACH_HOT] = CHANGE " ORDER BY e.changed DESC, e.countPassed + e.countMuted"
			    " + e.countSampled + e.countLimited + e.countFolded DESC, e.rowid LIMIT ?3",
	[LF_SQL_EACH_FLAGS_CHANGED] = CHANGE " WHERE e.flagsChanged >= ?1 AND e.flagsChanged > 0"
				      " AND (e.flagsChanged > ?1 OR e.rowid > ?2) ORDER BY e.flagsChanged, e.rowid LIMIT ?3",
	[LF_SQL_COUNT_CHANGED] = "SELECT count(*) FROM entries WHERE changed > ?1",
	/* From one to the next in the index, however many entries each has. */
	[LF_SQL_EACH_NAMESPACE] = "WITH RECURSIVE n(name) AS (SELECT min(namespace) FROM entries UNION ALL"
				  " SELECT (SELECT min(namespace) FROM entries WHERE namespace > name)"
				  " FROM n WHERE name IS NOT NULL)"
				  " SELECT name FROM n WHERE name IS NOT NULL",
	[LF_SQL_GET_TIER] = "SELECT epoch, sequence FROM tiers WHERE name = ?1 AND incarnation ="
			    " (SELECT value FROM meta WHERE key = 'incarnation')",
	[LF_SQL_PUT_TIER] = "INSERT INTO tiers SELECT ?1, value, ?2, ?3 FROM meta"
			    " WHERE key = 'incarnation' ON CONFLICT (name) DO UPDATE"
			    " SET incarnation = excluded.incarnation, epoch = ?2, sequence = ?3",
	[LF_SQL_FIND_SITE] = "SELECT id, file, line FROM sites WHERE address = ?1 AND buildId = ?2"
			     " AND module = ?3 AND uid = ?4",
	[LF_SQL_LACKS_SOURCE] = "SELECT NOT EXISTS (SELECT 1 FROM entries" OF_ENTRY
				" AND sourceFile IS NOT NULL)",
	[LF_SQL_ADD_SITE] = "INSERT INTO sites (address, buildId, module, uid) VALUES (?1, ?2, ?3, ?4)",
	[LF_SQL_GET_SITE] = "SELECT s.id, s.uid, s.module, s.buildId, s.address FROM entries e JOIN sites s"
			    " ON s.id = e.site WHERE e.namespace = ?1 AND e.hash = ?2",
	[LF_SQL_NEXT_SITE] = "SELECT uid, module, buildId FROM sites WHERE tried = 0 AND uid > ?1"
			     " ORDER BY uid LIMIT 1",
	[LF_SQL_EACH_SITE] = "SELECT id, address FROM sites WHERE tried = 0 AND uid = ?1"
			     " AND module = ?2 AND buildId = ?3 LIMIT ?4",
	[LF_SQL_FOUND_SITE] = "UPDATE entries SET sourceFile = ?2, sourceLine = ?3, changed = ?4 WHERE"
			      " rowid IN (SELECT rowid FROM entries WHERE site = ?1 AND sourceFile IS NULL"
			      " LIMIT ?5)",
	[LF_SQL_TRIED_SITE] = "UPDATE sites SET tried = 1, file = ?2, line = ?3 WHERE id = ?1",
	[LF_SQL_PUT_SEGMENT] = "INSERT INTO segments VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name)"
			       " DO UPDATE SET directory = ?2, watermark = ?3, retired = ?4",
	[LF_SQL_DROP_SEGMENT] = "DELETE FROM segments WHERE name = ?1",
	[LF_SQL_EACH_SEGMENT] = "SELECT name, directory, watermark, retired FROM segments"
				" WHERE ?1 IS NULL OR directory = ?1",
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

void lf_store_bind_text(sqlite3_stmt *statement, int at, struct lf_text text)
{
	(void)sqlite3_bind_text64(statement, at, text.data ? text.data : "", text.len, SQLITE_STATIC,
				  SQLITE_UTF8);
}
