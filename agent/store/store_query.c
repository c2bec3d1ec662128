/* Reading entries. */
#include <errno.h>
#include <string.h>

#include "agent/store/internal.h"

#define TOTAL(t) "(" t ".countPassed + " t ".countMuted + " t ".countSampled + " t \
		 ".countLimited + " t ".countFolded)"

struct source {
	const char *columns, *tables, *sums, *total, *key;
};

/* A tally may outlive its entry: then the entry's flags read as their defaults. */
static const struct source sources[] = {
	{ LF_STORE_COLUMNS, " FROM entries e",
	  "sum(e.countPassed), sum(e.countMuted), sum(e.countSampled), sum(e.countLimited), "
	  "sum(e.countFolded)", TOTAL("e"), "e" },
	{ LF_STORE_COLUMNS_OF("t", "t"),
	  " FROM temp.tally t LEFT JOIN entries e ON e.namespace = t.namespace AND e.hash = t.hash",
	  "sum(t.countPassed), sum(t.countMuted), sum(t.countSampled), sum(t.countLimited), "
	  "sum(t.countFolded)", TOTAL("t"), "t" },
};

enum { SQL_MAX = 2048 };

static size_t append(char sql[SQL_MAX], size_t at, const char *text)
{
	size_t len = strlen(text);

	memcpy(sql + at, text, len + 1);
	return at + len;
}

static size_t append_conditions(char sql[SQL_MAX], size_t at, const struct lf_query *query,
				const struct source *from)
{
	at += (size_t)sprintf(sql + at, " WHERE 1");
	if (query->namespace)
		at += (size_t)sprintf(sql + at, " AND %s.namespace = :namespace", from->key);
	if (query->hash_prefix)
		at += (size_t)sprintf(sql + at, " AND substr(%s.hash, 1, length(:hash)) = :hash",
				      from->key);
	if (query->method)
		at += (size_t)sprintf(sql + at, " AND %s.method = :method", from->key);
	if (query->this_run)
		at = append(sql, at, " AND t.run = :run");
	if (query->ruled_only)
		at = append(sql, at, " AND " LF_STORE_RULED);
	return at;
}

static void append_order(char sql[SQL_MAX], size_t at, const struct lf_query *query,
			 const struct source *from)
{
	if (query->order == LF_BY_COUNT)
		at += (size_t)sprintf(sql + at, " ORDER BY %s DESC, ", from->total);
	else if (query->order == LF_BY_LAST_SEEN)
		at += (size_t)sprintf(sql + at, " ORDER BY %s.lastSeenAt DESC, ", from->key);
	else if (query->order == LF_BY_FLAGS)
		at = append(sql, at, " ORDER BY e.flagsChanged DESC, ");
	else
		at = append(sql, at, " ORDER BY ");
	at += (size_t)sprintf(sql + at, "%s.namespace, %s.hash", from->key, from->key);
	if (query->limit)
		(void)append(sql, at, " LIMIT :limit");
}

static void bind_named(sqlite3_stmt *statement, const char *name, const char *value)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at > 0 && value)
		lf_store_bind(statement, at, value);
}

static int prepare(struct lf_store *store, const char *sql, const struct lf_query *query,
		   sqlite3_stmt **out, struct lf_error *err)
{
	int limit;

	if (sqlite3_prepare_v2(store->db, sql, -1, out, NULL) != SQLITE_OK)
		return lf_store_fail(store, err, "read");
	bind_named(*out, ":namespace", query->namespace);
	bind_named(*out, ":hash", query->hash_prefix);
	bind_named(*out, ":method", query->method);
	bind_named(*out, ":run", query->run ? query->run : "");
	limit = sqlite3_bind_parameter_index(*out, ":limit");
	if (limit > 0)
		(void)sqlite3_bind_int64(*out, limit,
					 query->limit > INT64_MAX ? INT64_MAX : (int64_t)query->limit);
	return 0;
}

static struct lf_text text_at(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return (struct lf_text){ text ? (const char *)text : "",
				 (size_t)sqlite3_column_bytes(row, column) };
}

static bool flag_at(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL || sqlite3_column_int(row, column);
}

uint64_t lf_store_count_at(sqlite3_stmt *row, int column)
{
	int64_t count = sqlite3_column_int64(row, column);

	return count > 0 ? (uint64_t)count : 0;
}

void lf_store_read_row(sqlite3_stmt *row, struct lf_entry *out)
{
	*out = (struct lf_entry){
		.hash = text_at(row, 0),
		.namespace = text_at(row, 1),
		.method = text_at(row, 2),
		.message_template = text_at(row, 3),
		.template_kind = text_at(row, 4),
		.top_frame = text_at(row, 5),
		.enabled = flag_at(row, 6),
		.persist_to_cache = flag_at(row, 7),
		.persist_to_db = flag_at(row, 8),
		.tags = text_at(row, 9),
		.first_seen_at = text_at(row, 10),
		.last_seen_at = text_at(row, 11),
		.source_file = text_at(row, 17),
		.source_line = sqlite3_column_int64(row, 18),
		.family = text_at(row, 19),
		.policy = text_at(row, 20),
		.flags_version = sqlite3_column_int64(row, 21),
		.flags_writer = text_at(row, 22),
	};
	if (!out->tags.len)
		out->tags = (struct lf_text){ "[]", 2 };
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		out->counts[i] = lf_store_count_at(row, 12 + i);
		out->count_total += out->counts[i];
	}
}

int lf_store_each(struct lf_store *store, const struct lf_query *query,
		  int (*each)(void *arg, const struct lf_entry *entry), void *arg,
		  struct lf_error *err)
{
	const struct source *from = &sources[query->this_run];
	char sql[SQL_MAX];
	sqlite3_stmt *statement = NULL;
	struct lf_entry entry;
	size_t at = append(sql, append(sql, append(sql, 0, "SELECT "), from->columns), from->tables);
	int code, rc;

	append_order(sql, append_conditions(sql, at, query, from), query, from);
	rc = prepare(store, sql, query, &statement, err);
	if (rc < 0)
		return rc;
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		lf_store_read_row(statement, &entry);
		rc = each(arg, &entry);
	}
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_finalize(statement);
	return rc;
}

int lf_store_totals(struct lf_store *store, const struct lf_query *query,
		    struct lf_store_totals *out, struct lf_error *err)
{
	const struct source *from = &sources[query->this_run];
	struct lf_store_totals totals = { 0 };
	char sql[SQL_MAX];
	sqlite3_stmt *statement = NULL;
	size_t at = append(sql, append(sql, append(sql, 0, "SELECT count(*), "), from->sums),
			   from->tables);
	int rc;

	(void)append_conditions(sql, at, query, from);
	rc = prepare(store, sql, query, &statement, err);
	if (rc < 0)
		return rc;
	if (sqlite3_step(statement) == SQLITE_ROW) {
		totals.entries = lf_store_count_at(statement, 0);
		for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
			totals.counts[i] = lf_store_count_at(statement, 1 + i);
			totals.count_total += totals.counts[i];
		}
		*out = totals;
	} else {
		rc = lf_store_fail(store, err, "read");
	}
	(void)sqlite3_finalize(statement);
	return rc;
}
