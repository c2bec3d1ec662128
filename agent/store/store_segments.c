/* Watermarks. */
#include <errno.h>
#include <string.h>

#include "agent/store/internal.h"

int lf_store_put_segment(struct lf_store *store, const struct lf_segment_row *row,
			 struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_PUT_SEGMENT);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, row->name);
	lf_store_bind(statement, 2, row->directory);
	(void)sqlite3_bind_blob64(statement, 3, row->watermark, row->watermark_bytes, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 4, row->retired);
	return lf_store_run(store, statement, err);
}

int lf_store_drop_segment(struct lf_store *store, const char *name, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_DROP_SEGMENT);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, name);
	return lf_store_run(store, statement, err);
}

static int hand_over(sqlite3_stmt *statement,
		     int (*each)(void *arg, const struct lf_segment_row *row), void *arg)
{
	const char *name = (const char *)sqlite3_column_text(statement, 0);
	const char *directory = (const char *)sqlite3_column_text(statement, 1);
	struct lf_segment_row row = {
		.name = name ? name : "",
		.directory = directory ? directory : "",
		.watermark = sqlite3_column_blob(statement, 2),
		.watermark_bytes = (size_t)sqlite3_column_bytes(statement, 2),
		.retired = sqlite3_column_int(statement, 3) != 0,
	};

	return each(arg, &row);
}

int lf_store_each_segment(struct lf_store *store, const char *directory,
			  int (*each)(void *arg, const struct lf_segment_row *row), void *arg,
			  struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_EACH_SEGMENT);
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	if (directory)
		lf_store_bind(statement, 1, directory);
	else
		(void)sqlite3_bind_null(statement, 1);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW && rc == 0)
		rc = hand_over(statement, each, arg);
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}
