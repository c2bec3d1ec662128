#include "tests/unit/cache_sqlite_fixture.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/folder_fixture.h"

struct lf_cache_sqlite_options sqlite_options;
struct lf_tier_options tier_options;
int64_t now_ms;
struct lf_error why;

static char file[FOLDER_MAX + 16];

static int64_t tell_time(void *arg)
{
	return *(const int64_t *)arg;
}

const char *cache_file(void)
{
	return file;
}

void sqlite_set_up(void)
{
	char folder[FOLDER_MAX];

	new_folder(folder);
	(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
	now_ms = 1000000;
	sqlite_options = (struct lf_cache_sqlite_options){ .file = file, .watch_ms = 1 };
	tier_options = (struct lf_tier_options){ .scope = "a:t:", .value_max = 1 << 20, .clock_ms = tell_time, .clock_arg = &now_ms,
	                                         .sqlite = &sqlite_options };
}

struct lf_tier *open_sqlite(void)
{
	struct lf_tier *tier = NULL;

	tier_options.self.writer++;
	cr_assert_eq(lf_tier_sqlite.open(&tier, &tier_options, &why), 0, "%s", why.text);
	return tier;
}

void close_sqlite(struct lf_tier *tier)
{
	lf_tier_sqlite.close(tier);
}

int64_t in_time(void)
{
	return lf_clock_ms() + ANSWER_MS;
}

struct lf_text text_of(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

struct lf_version version_of(uint64_t clock)
{
	return (struct lf_version){ clock, 7 };
}

struct lf_record *record_of(const char *value, uint64_t clock, unsigned flags)
{
	struct lf_record from = { .type = LF_RECORD_STRING, .flags = (uint8_t)flags, .version = version_of(clock),
	                          .value = text_of(value) };
	struct lf_record *record = lf_record_new(&from);

	cr_assert(record);
	return record;
}

enum lf_tier_stored store_owing(struct lf_tier *tier, const char *key, const char *value, uint64_t clock, unsigned flags,
                                unsigned owed)
{
	struct lf_record *record = record_of(value, clock, flags);
	struct lf_tier_store store = { .key = text_of(key), .record = record, .condition = LF_IF_NEWER, .owed = owed };

	cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	lf_record_drop(record);
	return store.stored;
}

enum lf_tier_stored store_newer(struct lf_tier *tier, const char *key, const char *value, uint64_t clock)
{
	return store_owing(tier, key, value, clock, 0, 0);
}

void expect_value(struct lf_tier *tier, const char *key, const char *value)
{
	struct lf_text name = text_of(key);
	struct lf_record *record = NULL;

	cr_assert_eq(lf_tier_sqlite.load(tier, &name, 1, &record, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	if (!value) {
		cr_assert_null(record, "%s is there", key);
		return;
	}
	cr_assert(record, "%s is not there", key);
	cr_assert_eq(record->value.len, strlen(value));
	cr_assert_arr_eq(record->value.data, value, strlen(value));
	lf_record_drop(record);
}

bool is_trusted(struct lf_tier *tier, const char *key)
{
	struct lf_record *record = NULL;
	bool trusted;

	cr_assert_eq(lf_sqlite_load(tier, text_of(key), &record, &trusted, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert(record, "%s is not there", key);
	lf_record_drop(record);
	return trusted;
}

static sqlite3 *open_plain(void)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, ANSWER_MS);
	return db;
}

void expect_in_file(const char *sql, const char *expected)
{
	sqlite3 *db = open_plain();
	sqlite3_stmt *row;

	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(row), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
	cr_assert_str_eq((const char *)sqlite3_column_text(row, 0), expected, "%s", sql);
	(void)sqlite3_finalize(row);
	(void)sqlite3_close(db);
}

void run_in_file(const char *sql)
{
	sqlite3 *db = open_plain();

	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}
