/* Where entries are printed from, and what was found there. */
#include <errno.h>
#include <string.h>

#include "agent/store/internal.h"
#include "hashing/hex.h"
#include "hashing/module.h"

static void bind_entry(sqlite3_stmt *statement, const char *namespace, const char *hash)
{
	lf_store_bind(statement, 1, namespace);
	lf_store_bind(statement, 2, hash);
}

static const char *text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "";
}

/* ---- Places ---- */

static sqlite3_stmt *for_site(struct lf_store *store, enum lf_sql which, const struct lf_site *site)
{
	sqlite3_stmt *statement = lf_store_statement(store, which);

	if (statement) {
		(void)sqlite3_bind_int64(statement, 1, site->address);
		lf_store_bind(statement, 2, site->build_id);
		lf_store_bind(statement, 3, site->module);
		(void)sqlite3_bind_int64(statement, 4, site->uid);
	}
	return statement;
}

/* 1: it is there; 0: not yet. */
static int look_up(struct lf_store *store, struct lf_site *site, struct lf_source *out,
		   struct lf_error *err)
{
	sqlite3_stmt *row = for_site(store, LF_SQL_FIND_SITE, site);
	int code, rc = 0;

	if (!row)
		return lf_store_fail(store, err, "read");
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		char *file = strdup(text_at(row, 1));

		site->id = sqlite3_column_int64(row, 0);
		*out = (struct lf_source){ { file, file ? strlen(file) : 0 },
					   file && *file ? sqlite3_column_int64(row, 2) : 0 };
		rc = file ? 1 : lf_fail(err, -ENOMEM, "there is no memory for a name");
	} else if (code != SQLITE_DONE) {
		rc = lf_store_fail(store, err, "read");
	}
	(void)sqlite3_reset(row);
	return rc;
}

static int lacks_source(struct lf_store *store, const char *namespace, const char *hash,
			struct lf_error *err)
{
	sqlite3_stmt *row = lf_store_statement(store, LF_SQL_LACKS_SOURCE);
	int rc;

	if (!row)
		return lf_store_fail(store, err, "read");
	bind_entry(row, namespace, hash);
	rc = sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int(row, 0)
					     : lf_store_fail(store, err, "read");
	(void)sqlite3_reset(row);
	return rc;
}

int lf_store_find_site(struct lf_store *store, const char *namespace, const char *hash,
		       struct lf_site *site, struct lf_source *out, struct lf_error *err)
{
	sqlite3_stmt *statement;
	int rc;

	site->id = 0;
	*out = (struct lf_source){ { NULL, 0 }, 0 };
	rc = look_up(store, site, out, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = lacks_source(store, namespace, hash, err);
	if (rc <= 0)
		return rc;
	statement = for_site(store, LF_SQL_ADD_SITE, site);
	rc = statement ? lf_store_run(store, statement, err) : lf_store_fail(store, err, "used");
	if (rc == 0)
		site->id = sqlite3_last_insert_rowid(store->db);
	return rc;
}

static int run_with_source(struct lf_store *store, enum lf_sql which, int64_t site,
			   const struct lf_source *source, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, which);

	if (!statement)
		return lf_store_fail(store, err, "used");
	(void)sqlite3_bind_int64(statement, 1, site);
	(void)sqlite3_bind_null(statement, 2);
	(void)sqlite3_bind_null(statement, 3);
	if (source->line) {
		lf_store_bind_text(statement, 2, source->file);
		(void)sqlite3_bind_int64(statement, 3, source->line);
	}
	if (which == LF_SQL_FOUND_SITE) {
		(void)sqlite3_bind_int64(statement, 4, (int64_t)store->sequence);
		(void)sqlite3_bind_int64(statement, 5, LF_STORE_SETTLED);
	}
	return lf_store_run(store, statement, err);
}

int lf_store_settle_site(struct lf_store *store, int64_t site, const struct lf_source *source,
			 struct lf_error *err)
{
	int rc;

	if (source->line) {
		rc = run_with_source(store, LF_SQL_FOUND_SITE, site, source, err);
		if (rc < 0 || sqlite3_changes(store->db) == LF_STORE_SETTLED)
			return rc;
	}
	return run_with_source(store, LF_SQL_TRIED_SITE, site, source, err);
}

/* ---- To read ---- */

static bool is_module(const char *path, const char *build_id)
{
	return path[0] == '/' && strlen(path) <= LF_MODULE_PATH_MAX && build_id[0] &&
	       strlen(build_id) <= LF_BUILD_ID_CHARS &&
	       strspn(build_id, "0123456789abcdef") == strlen(build_id);
}

static int each_of(struct lf_store *store, const struct lf_site *module, unsigned limit,
		   void (*each)(void *arg, const struct lf_site *site), void *arg,
		   struct lf_error *err)
{
	sqlite3_stmt *rows = lf_store_statement(store, LF_SQL_EACH_SITE);
	int code, count = 0;

	if (!rows)
		return lf_store_fail(store, err, "read");
	(void)sqlite3_bind_int64(rows, 1, module->uid);
	lf_store_bind(rows, 2, module->module);
	lf_store_bind(rows, 3, module->build_id);
	(void)sqlite3_bind_int64(rows, 4, limit);
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct lf_site site = *module;

		site.id = sqlite3_column_int64(rows, 0);
		site.address = (uint32_t)sqlite3_column_int64(rows, 1);
		each(arg, &site);
		count++;
	}
	if (code != SQLITE_DONE)
		count = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(rows);
	return count;
}

/* 1: *uid, and the row stands in `row` until it is reset; 0: there is none behind. */
static int step_behind(struct lf_store *store, sqlite3_stmt *row, int64_t *uid, struct lf_error *err)
{
	int code;

	(void)sqlite3_bind_int64(row, 1, *uid);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		*uid = sqlite3_column_int64(row, 0);
	else if (code != SQLITE_DONE)
		return lf_store_fail(store, err, "read");
	else
		(void)sqlite3_reset(row);
	return code == SQLITE_ROW;
}

int lf_store_next_sites(struct lf_store *store, int64_t *uid, unsigned limit,
			void (*each)(void *arg, const struct lf_site *site), void *arg,
			struct lf_error *err)
{
	sqlite3_stmt *row = lf_store_statement(store, LF_SQL_NEXT_SITE);
	struct lf_site module = { .uid = 0 };
	int rc;

	if (!row)
		return lf_store_fail(store, err, "read");
	rc = step_behind(store, row, uid, err);
	if (rc == 0 && *uid >= 0) {
		*uid = -1;
		rc = step_behind(store, row, uid, err);
	}
	if (rc > 0) {
		module.uid = (uid_t)*uid;
		module.module = text_at(row, 1);
		module.build_id = text_at(row, 2);
		rc = each_of(store, &module, limit, each, arg, err);
	}
	(void)sqlite3_reset(row);
	return rc;
}

int lf_store_site(struct lf_store *store, const char *namespace, const char *hash,
		  void (*each)(void *arg, const struct lf_site *site), void *arg,
		  struct lf_error *err)
{
	sqlite3_stmt *row = store->schema < 3 ? NULL : lf_store_statement(store, LF_SQL_GET_SITE);
	struct lf_site site;
	int code, found = 0;

	if (!row)
		return store->schema < 3 ? 0 : lf_store_fail(store, err, "read");
	bind_entry(row, namespace, hash);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		site = (struct lf_site){ sqlite3_column_int64(row, 0),
					 (uid_t)sqlite3_column_int64(row, 1), text_at(row, 2),
					 text_at(row, 3), (uint32_t)sqlite3_column_int64(row, 4) };
		found = is_module(site.module, site.build_id);
		if (found)
			each(arg, &site);
	} else if (code != SQLITE_DONE) {
		found = lf_store_fail(store, err, "read");
	}
	(void)sqlite3_reset(row);
	return found;
}
