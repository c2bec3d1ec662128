/* Opening: directories, the connection, the schema and its migration, and what can be wrong with a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "agent/store/internal.h"

enum {
	WAL_WAIT_MS = 1500,
	APPLICATION_ID = 0x4c474644,
};

int lf_store_fail(const struct lf_store *store, struct lf_error *err, const char *what)
{
	int code = store->db ? sqlite3_errcode(store->db) : SQLITE_NOMEM;
	const char *why = store->db ? sqlite3_errmsg(store->db) : "out of memory";
	const char *path = store->path;

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return lf_fail(err, -EBUSY, "store '%s' is held by another program: try again", path);
	case SQLITE_FULL:
		return lf_fail(err, -ENOSPC, "no space is left for store '%s': free some, nothing is "
					     "lost until then", path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
		return lf_fail(err, -EBADMSG, "store '%s' is damaged or not a store (%s): move it away "
					      "and a new one is made, or name another with --store",
			       path, why);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return lf_fail(err, -EACCES, "store '%s' cannot be written: check the owner of it and of "
					     "its directory, or name another with --store", path);
	case SQLITE_CANTOPEN:
		return lf_fail(err, -EACCES, "store '%s' cannot be opened: check the owner of it and of "
					     "its directory, or name another with --store", path);
	case SQLITE_NOMEM:
		return lf_fail(err, -ENOMEM, "there is no memory to open store '%s'", path);
	default:
		return lf_fail(err, -EIO, "store '%s' cannot be %s (%s): check its disk", path, what, why);
	}
}

/* ---- The file ---- */

static int make_parents(const char *path, struct lf_error *err)
{
	char part[PATH_MAX];

	(void)snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return lf_fail(err, -errno, "directory '%s' for the store cannot be made (%s): make "
						    "it, or name another store with --store",
				       part, strerror(errno));
		*slash = '/';
	}
	return 0;
}

/* What was printed is nobody else's business.  SQLite has no mode for the database, but gives the database's to
 * all that it makes beside it; the umask is every thread's.  Where this fails, SQLite says why. */
static int create_file(const struct lf_store *store, struct lf_error *err)
{
	int rc = make_parents(store->path, err);
	int fd = rc < 0 ? -1 : open(store->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int check_path(const struct lf_store *store, struct lf_error *err)
{
	struct stat st;

	if (stat(store->path, &st) < 0) {
		if (errno != ENOENT)
			return lf_fail(err, -errno, "store '%s' cannot be reached: %s", store->path,
				       strerror(errno));
		if (store->read_only)
			return lf_fail(err, -ENOENT, "there is no store '%s' yet: `logfold run` makes it",
				       store->path);
		return create_file(store, err);
	}
	if (!S_ISREG(st.st_mode))
		return lf_fail(err, -EBADMSG, "'%s' is not a file: name a store with --store",
			       store->path);
	return 0;
}

static int execute(struct lf_store *store, const char *sql, struct lf_error *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return lf_store_fail(store, err, "opened");
	return 0;
}

/* Two programs that open a new store at once collide here, and SQLite does not wait by itself where
 * it sees that waiting could deadlock.  Where it does wait, as for a reader of a store that is not in
 * this mode yet, it would do so in each try: one deadline holds for all of them. */
static int switch_to_wal(struct lf_store *store, struct lf_error *err)
{
	static const struct timespec pause = { 0, 10000000 };
	int64_t deadline = lf_clock_ms() + WAL_WAIT_MS;
	int code;

	(void)sqlite3_busy_timeout(store->db, 0);
	for (;;) {
		code = sqlite3_exec(store->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if ((code & 0xff) != SQLITE_BUSY || lf_clock_ms() >= deadline)
			break;
		(void)nanosleep(&pause, NULL);
	}
	(void)sqlite3_busy_timeout(store->db, LF_STORE_PATIENCE_MS);
	return code == SQLITE_OK ? 0 : lf_store_fail(store, err, "opened");
}

/* ---- The schema ---- */

/* In one statement, as another program may be making the schema right now. */
static int read_schema(struct lf_store *store, int64_t *application, int64_t *version,
		       int64_t *tables, struct lf_error *err)
{
	static const char sql[] = "SELECT (SELECT application_id FROM pragma_application_id),"
				  " (SELECT user_version FROM pragma_user_version),"
				  " (SELECT count(*) FROM sqlite_schema)";
	sqlite3_stmt *statement = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW) {
		rc = lf_store_fail(store, err, "read");
	} else {
		*application = sqlite3_column_int64(statement, 0);
		*version = sqlite3_column_int64(statement, 1);
		*tables = sqlite3_column_int64(statement, 2);
	}
	(void)sqlite3_finalize(statement);
	return rc;
}

/* 1: it is ours; 0: the file is empty. */
static int check_schema(struct lf_store *store, struct lf_error *err)
{
	int64_t application = 0, version = 0, tables = 0;
	int rc = read_schema(store, &application, &version, &tables, err);

	if (rc < 0)
		return rc;
	if (tables == 0 && version == 0)
		return 0;
	if (application != APPLICATION_ID)
		return lf_fail(err, -EBADMSG, "'%s' is a database of another program: name another store "
					      "with --store", store->path);
	if (version > LF_STORE_SCHEMA)
		return lf_fail(err, -ENOTSUP, "store '%s' was made by a newer logfold (schema %lld, this one "
					      "knows %d): update logfold, or name another with --store",
			       store->path, (long long)version, LF_STORE_SCHEMA);
	store->schema = version;
	return 1;
}

static int create_schema(struct lf_store *store, struct lf_error *err)
{
	int rc = lf_store_do(store, LF_SQL_BEGIN, err);

	if (rc < 0)
		return rc;
	/* Another program may have been faster. */
	rc = check_schema(store, err);
	if (rc == 0) {
		rc = execute(store, lf_store_schema_sql, err);
		store->created = rc == 0;
	}
	if (rc >= 0)
		rc = lf_store_do(store, LF_SQL_COMMIT, err);
	if (rc < 0)
		lf_store_rollback(store);
	return rc;
}

static int migrate_schema(struct lf_store *store, struct lf_error *err)
{
	int rc = lf_store_do(store, LF_SQL_BEGIN, err);

	if (rc < 0)
		return rc;
	/* Another program may have been faster, and be newer. */
	rc = check_schema(store, err);
	if (rc >= 0 && store->schema < 2)
		rc = execute(store, lf_store_migrate_1_sql, err);
	if (rc >= 0 && store->schema < LF_STORE_SCHEMA)
		rc = execute(store, lf_store_migrate_2_sql, err);
	if (rc >= 0)
		rc = lf_store_do(store, LF_SQL_COMMIT, err);
	if (rc < 0)
		lf_store_rollback(store);
	return rc;
}

static int prepare_schema(struct lf_store *store, struct lf_error *err)
{
	int rc = check_schema(store, err);

	if (rc < 0)
		return rc;
	if (rc == 0 && store->read_only)
		return lf_fail(err, -ENOENT, "store '%s' is empty: `logfold run` fills it", store->path);
	if (rc == 0)
		rc = create_schema(store, err);
	else if (rc > 0 && store->schema < LF_STORE_SCHEMA && !store->read_only)
		rc = migrate_schema(store, err);
	if (rc >= 0 && !store->read_only)
		store->schema = LF_STORE_SCHEMA;
	return rc < 0 ? rc : 0;
}

/* ---- The connection ---- */

/* A store in a directory that we may not write to can still be read when nobody has it open. */
static int reopen_immutable(struct lf_store *store, struct lf_error *err)
{
	char uri[3 * PATH_MAX + 32], *out = uri;
	char wal[PATH_MAX + 8];

	(void)snprintf(wal, sizeof(wal), "%s-wal", store->path);
	if (access(wal, F_OK) == 0)
		return lf_store_fail(store, err, "read");
	out += sprintf(out, "file:");
	for (const char *p = store->path; *p; p++) {
		if (strchr("?#%", *p))
			out += sprintf(out, "%%%02x", (unsigned char)*p);
		else
			*out++ = *p;
	}
	(void)strcpy(out, "?immutable=1");
	(void)sqlite3_close(store->db);
	store->db = NULL;
	if (sqlite3_open_v2(uri, &store->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
		return lf_store_fail(store, err, "opened");
	return 0;
}

static int connect_file(struct lf_store *store, struct lf_error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (!store->read_only)
		flags |= SQLITE_OPEN_CREATE;
	if (sqlite3_open_v2(store->path, &store->db, flags, NULL) != SQLITE_OK)
		return lf_store_fail(store, err, "opened");
	(void)sqlite3_busy_timeout(store->db, LF_STORE_PATIENCE_MS);
	if (!store->read_only && sqlite3_db_readonly(store->db, "main") == 1)
		return lf_fail(err, -EACCES, "store '%s' cannot be written: check its owner, or name another "
					     "with --store", store->path);
	if (store->read_only &&
	    sqlite3_exec(store->db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_CANTOPEN)
		return reopen_immutable(store, err);
	return 0;
}

static int configure(struct lf_store *store, struct lf_error *err)
{
	int rc;

	if (store->read_only)
		return execute(store, "PRAGMA query_only = 1", err);
	/* Looked at before anything is written: somebody else's database stays as it is. */
	rc = check_schema(store, err);
	if (rc >= 0)
		rc = switch_to_wal(store, err);
	if (rc >= 0)
		rc = execute(store, "PRAGMA synchronous = FULL", err);
	return rc;
}

static int identify_file(struct lf_store *store, struct lf_error *err)
{
	struct stat st;

	if (strcmp(store->path, LF_STORE_MEMORY) == 0)
		return 0;
	if (stat(store->path, &st) < 0)
		return lf_fail(err, -errno, "store '%s' vanished while it was opened: try again",
			       store->path);
	store->dev = st.st_dev;
	store->ino = st.st_ino;
	return 0;
}

static ino_t inode_of(const struct lf_store *store, const char *suffix)
{
	char path[PATH_MAX + 8];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", store->path, suffix);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

void lf_store_abandon(struct lf_store *store)
{
	bool replaced = inode_of(store, "") != store->ino;
	bool log_is_ours = store->log_ino && inode_of(store, "-wal") == store->log_ino;
	char path[PATH_MAX + 8];

	if (replaced && log_is_ours) {
		(void)snprintf(path, sizeof(path), "%s-wal", store->path);
		(void)unlink(path);
		(void)snprintf(path, sizeof(path), "%s-shm", store->path);
		(void)unlink(path);
	}
	lf_store_close(store);
}

static int open_all(struct lf_store *store, struct lf_error *err)
{
	int rc = 0;

	if (strcmp(store->path, LF_STORE_MEMORY) != 0)
		rc = check_path(store, err);
	if (rc == 0)
		rc = connect_file(store, err);
	if (rc == 0)
		rc = configure(store, err);
	if (rc == 0)
		rc = prepare_schema(store, err);
	if (rc == 0)
		rc = identify_file(store, err);
	if (rc == 0 && !store->read_only)
		rc = lf_store_check_binding(store, err);
	if (rc == 0 && !store->read_only)
		rc = lf_store_check_mark(store, err);
	/* Read-only connections have no temporary tables; they do not need this one. */
	if (rc == 0 && !store->read_only)
		rc = execute(store, lf_store_tally_sql, err);
	store->log_ino = inode_of(store, "-wal");
	return rc;
}

int lf_store_open(struct lf_store **out, const char *path, enum lf_store_flags flags,
		  struct lf_error *err)
{
	struct lf_store *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return lf_fail(err, -ENOMEM, "there is no memory to open store '%s'", path);
	store->read_only = flags & LF_STORE_READ_ONLY;
	store->mark_fd = -1;
	rc = lf_store_real_path(path, store->path, err);
	if (rc == 0)
		rc = open_all(store, err);
	if (rc < 0)
		lf_store_close(store);
	else
		*out = store;
	return rc;
}

void lf_store_close(struct lf_store *store)
{
	if (!store)
		return;
	for (unsigned i = 0; i < LF_SQL_COUNT; i++)
		(void)sqlite3_finalize(store->statements[i]);
	(void)sqlite3_close(store->db);
	if (store->mark_fd >= 0)
		(void)close(store->mark_fd);
	free(store);
}

void lf_store_set_patience(struct lf_store *store, int ms)
{
	(void)sqlite3_busy_timeout(store->db, ms);
}

const char *lf_store_path(const struct lf_store *store)
{
	return store->path;
}
