#include "agent/store/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/segment_fixture.h"

static struct lf_store *store;
static struct lf_error why;

static const char *path(void)
{
	return fixture_path("entries.db");
}

static void set_up(void)
{
	store = fixture_store(path());
}

static void tear_down(void)
{
	lf_store_close(store);
	fixture_remove();
}

TestSuite(store, .init = set_up, .fini = tear_down, .timeout = 60);

/* Before the first fork: children share the directory. */
static void make_dir(void)
{
	(void)fixture_dir();
}

TestSuite(store_open, .init = make_dir, .fini = fixture_remove, .timeout = 60);

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct lf_new_entry entry_of(const char *template)
{
	return (struct lf_new_entry){ { { "printf", 6 }, { template, strlen(template) }, { "p!f", 3 } },
		                      LF_KIND_FORMAT };
}

static void add(const char *namespace, const char *hash, const char *template, uint64_t passed,
                uint64_t seen_ms)
{
	struct lf_new_entry what = entry_of(template);
	struct lf_addition addition = { namespace, hash, { passed }, seen_ms, seen_ms, .run = NULL };

	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_add_new(store, &what, &addition, LF_ADD_PLAIN, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0, "%s", why.text);
}

/* What another program sees. */
static void ask_sqlite(const char *sql, char *out, size_t size)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *db = NULL;

	out[0] = '\0';
	cr_assert_eq(sqlite3_open_v2(path(), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
	             sqlite3_errmsg(db));
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
		(void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
}

static void expect_sql(const char *sql, const char *expected)
{
	char out[512];

	ask_sqlite(sql, out, sizeof(out));
	cr_assert_str_eq(out, expected, "%s: \"%s\", expected \"%s\"", sql, out, expected);
}

/* The first step of how SQLite goes about it. */
static void expect_plan(const char *sql, const char *part)
{
	char explain[512], plan[256] = "";
	sqlite3_stmt *statement = NULL;
	sqlite3 *db = NULL;

	(void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
	cr_assert_eq(sqlite3_open_v2(path(), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, explain, -1, &statement, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
	(void)snprintf(plan, sizeof(plan), "%s", (const char *)sqlite3_column_text(statement, 3));
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	cr_assert_not_null(strstr(plan, part), "%s", plan);
}

/* ---- The schema ---- */

Test(store, the_columns_have_the_names_that_the_entry_has_everywhere)
{
	expect_sql("SELECT group_concat(name, ' ') FROM pragma_table_xinfo('entries')",
	           "namespace hash method messageTemplate templateKind topFrame enabled persistToCache "
	           "persistToDb tags firstSeenAt lastSeenAt countTotal countPassed countMuted "
	           "countSampled countLimited countFolded sourceFile sourceLine family policy "
	           "flagsVersion flagsWriter changed flagsChanged site");
	expect_sql("PRAGMA user_version", "3");
	expect_sql("PRAGMA journal_mode", "wal");
}

Test(store, a_row_reads_as_other_programs_expect_it)
{
	add("shop", HASH_A, "user %d in\n", 7, UINT64_C(1700000000123));
	expect_sql("SELECT countTotal || firstSeenAt || templateKind || tags || enabled FROM entries",
	           "72023-11-14T22:13:20.123Zformat[]1");
}

/* ---- Counts ---- */

Test(store, additions_add_up_and_move_the_times_outwards_only)
{
	struct lf_addition more = { "shop", HASH_A, { 1, 2, 3, 4, 5 }, 1000, 500, .run = NULL };

	add("shop", HASH_A, "x", 10, 2000);
	cr_assert_eq(lf_store_begin(store, &why), 0);
	cr_assert_eq(lf_store_add(store, &more, LF_ADD_PLAIN, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0);
	expect_sql("SELECT countTotal || ' ' || countPassed || ' ' || countMuted || ' ' || countSampled "
	           "|| ' ' || countLimited || ' ' || countFolded FROM entries", "25 11 2 3 4 5");
	expect_sql("SELECT firstSeenAt || lastSeenAt FROM entries",
	           "1970-01-01T00:00:01.000Z1970-01-01T00:00:02.000Z");
}

Test(store, what_is_rolled_back_was_never_there)
{
	struct lf_new_entry what = entry_of("x");
	struct lf_addition addition = { "shop", HASH_A, { 5 }, 1, 1, .run = NULL };

	cr_assert_eq(lf_store_begin(store, &why), 0);
	cr_assert_eq(lf_store_add_new(store, &what, &addition, LF_ADD_TALLY, &why), 0);
	lf_store_rollback(store);
	cr_assert_eq(fixture_total(store), 0);
	cr_assert_eq(fixture_totals(store, true).entries, 0);
}

Test(store, an_unknown_entry_is_told_from_a_failure)
{
	struct lf_addition addition = { "shop", HASH_A, { 5 }, 1, 1, .run = NULL };

	cr_assert_eq(lf_store_begin(store, &why), 0);
	cr_assert_eq(lf_store_add(store, &addition, LF_ADD_PLAIN, &why), -ENOENT);
	lf_store_rollback(store);
}

Test(store, a_count_stops_before_it_would_be_no_integer_any_more)
{
	for (int i = 0; i < 20; i++)
		add("shop", HASH_A, "x", (UINT64_C(1) << 59) - 1, 1);
	expect_sql("SELECT typeof(countPassed) || typeof(countTotal) FROM entries", "integerinteger");
}

Test(store, namespaces_do_not_mix)
{
	add("one", HASH_A, "x", 1, 1);
	add("two", HASH_A, "x", 10, 1);
	expect_sql("SELECT countTotal FROM entries WHERE namespace = 'two'", "10");
	cr_assert_eq(fixture_totals(store, false).entries, 2);
}

/* ---- Queries ---- */

struct collected {
	char text[256];
};

static int collect(void *arg, const struct lf_entry *entry)
{
	struct collected *to = arg;
	size_t at = strlen(to->text);

	(void)snprintf(to->text + at, sizeof(to->text) - at, "%.*s:%llu ",
	               (int)entry->message_template.len, entry->message_template.data,
	               (unsigned long long)entry->count_total);
	return 0;
}

static void expect_entries(const struct lf_query *query, const char *expected)
{
	struct collected found = { "" };

	cr_assert_eq(lf_store_each(store, query, collect, &found, &why), 0, "%s", why.text);
	cr_assert_str_eq(found.text, expected);
}

Test(store, entries_are_found_and_ordered_as_asked)
{
	add("shop", HASH_A, "often", 10, 1000);
	add("shop", HASH_B, "lately", 3, 9000);
	add("bank", HASH_A, "rare", 1, 5000);
	expect_entries(&(struct lf_query){ .order = LF_BY_COUNT }, "often:10 lately:3 rare:1 ");
	expect_entries(&(struct lf_query){ .order = LF_BY_LAST_SEEN }, "lately:3 rare:1 often:10 ");
	expect_entries(&(struct lf_query){ .order = LF_BY_KEY }, "rare:1 often:10 lately:3 ");
	expect_entries(&(struct lf_query){ .order = LF_BY_COUNT, .limit = 1 }, "often:10 ");
	expect_entries(&(struct lf_query){ .namespace = "bank" }, "rare:1 ");
	expect_entries(&(struct lf_query){ .hash_prefix = "bbb" }, "lately:3 ");
	expect_entries(&(struct lf_query){ .hash_prefix = "%" }, "");
	expect_entries(&(struct lf_query){ .method = "puts" }, "");
	expect_entries(&(struct lf_query){ .ruled_only = true }, "");
}

static int stop(void *arg, const struct lf_entry *entry)
{
	(void)entry;
	++*(int *)arg;
	return 42;
}

Test(store, a_callback_can_end_the_walk)
{
	int calls = 0;

	add("shop", HASH_A, "x", 1, 1);
	add("shop", HASH_B, "y", 1, 1);
	cr_assert_eq(lf_store_each(store, &(struct lf_query){ 0 }, stop, &calls, &why), 42);
	cr_assert_eq(calls, 1);
}

/* ---- Flags ---- */

Test(store, a_flag_that_changes_raises_its_version_and_one_that_does_not_keeps_it)
{
	const struct lf_flag_change mute = { .what = LF_FLAG_ENABLED, .writer = "here:agent" };
	struct lf_entry_key key = { "shop", HASH_A };
	bool changed;

	add("shop", HASH_A, "x", 1, 1);
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), 0, "%s", why.text);
	cr_assert(changed);
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), 0);
	cr_assert_not(changed);
	expect_sql("SELECT enabled || ' ' || flagsVersion || ' ' || flagsWriter FROM entries",
	           "0 1 here:agent");
	expect_entries(&(struct lf_query){ .ruled_only = true }, "x:1 ");
	key.hash = HASH_B;
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), -ENOENT);
	cr_assert_not_null(strstr(why.text, HASH_B));
}

Test(store, entries_that_have_a_rule_are_found_without_looking_at_the_others)
{
	const struct lf_flag_change fold = { .what = LF_FLAG_POLICY, .policy = "fold 30s", .writer = "w" };
	const struct lf_entry_key key = { "shop", HASH_B };
	bool changed;

	add("shop", HASH_A, "x", 1, 1);
	add("shop", HASH_B, "y", 1, 1);
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &fold, &changed, &why), 0, "%s", why.text);
	expect_entries(&(struct lf_query){ .ruled_only = true }, "y:1 ");
	expect_plan("SELECT * FROM entries e WHERE 1 AND (enabled = 0 OR policy IS NOT NULL) ORDER BY"
	            " e.flagsChanged DESC, e.namespace, e.hash", "USING INDEX entriesRuled");
}

Test(store, a_change_by_another_program_is_noticed)
{
	char out[8];

	(void)lf_store_changed_elsewhere(store);
	add("shop", HASH_A, "x", 1, 1);
	cr_assert_not(lf_store_changed_elsewhere(store), "our own commit is nobody else's");
	ask_sqlite("UPDATE entries SET enabled = 0", out, sizeof(out));
	cr_assert(lf_store_changed_elsewhere(store));
	cr_assert_not(lf_store_changed_elsewhere(store));
}

/* ---- Opening ---- */

static int try_open(const char *where, enum lf_store_flags flags)
{
	int rc;

	why.text[0] = '\0';
	store = NULL;
	rc = lf_store_open(&store, where, flags, &why);
	cr_assert_eq(rc < 0, store == NULL);
	if (rc < 0)
		cr_assert_neq(why.text[0], '\0', "no sentence for %d", rc);
	lf_store_close(store);
	store = NULL;
	return rc;
}

static void write_file(const char *where, const void *bytes, size_t len)
{
	int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

Test(store_open, missing_directories_are_made_for_nobody_else)
{
	struct stat st;

	cr_assert_eq(try_open(fixture_path("a/b/entries.db"), LF_STORE_WRITE), 0, "%s", why.text);
	cr_assert_eq(stat(fixture_path("a/b"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	cr_assert_eq(stat(fixture_path("a/b/entries.db"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(store_open, reading_makes_nothing_and_says_what_is_missing)
{
	cr_assert_eq(try_open(path(), LF_STORE_READ_ONLY), -ENOENT);
	cr_assert_not_null(strstr(why.text, path()), "%s", why.text);
	cr_assert_not(fixture_exists(path()));
}

Test(store_open, what_is_no_database_is_named_and_left_as_it_is)
{
	struct stat st;

	write_file(path(), "this is a text file, and long enough to be looked at", 52);
	cr_assert_eq(try_open(path(), LF_STORE_WRITE), -EBADMSG);
	cr_assert_not_null(strstr(why.text, path()), "%s", why.text);
	cr_assert_eq(stat(path(), &st), 0);
	cr_assert_eq(st.st_size, 52);
	cr_assert_eq(try_open(fixture_dir(), LF_STORE_WRITE), -EBADMSG);
}

Test(store_open, the_database_of_another_program_is_left_as_it_is)
{
	sqlite3 *db;
	char mode[16];

	cr_assert_eq(sqlite3_open(path(), &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	cr_assert_eq(try_open(path(), LF_STORE_WRITE), -EBADMSG);
	cr_assert_not_null(strstr(why.text, "another program"), "%s", why.text);
	ask_sqlite("PRAGMA journal_mode", mode, sizeof(mode));
	cr_assert_str_eq(mode, "delete");
}

Test(store_open, a_newer_schema_asks_for_a_newer_logfold)
{
	char out[8];

	cr_assert_eq(try_open(path(), LF_STORE_WRITE), 0);
	ask_sqlite("PRAGMA user_version = 4", out, sizeof(out));
	cr_assert_eq(try_open(path(), LF_STORE_WRITE), -ENOTSUP);
	cr_assert_not_null(strstr(why.text, "newer"), "%s", why.text);
	cr_assert_eq(try_open(path(), LF_STORE_READ_ONLY), -ENOTSUP);
}

Test(store_open, a_damaged_store_is_named_with_a_remedy)
{
	unsigned char bytes[4096];
	int fd;

	cr_assert_eq(try_open(path(), LF_STORE_WRITE), 0);
	memset(bytes, 0xa5, sizeof(bytes));
	fd = open(path(), O_WRONLY);
	for (off_t at = 100; at < 40000; at += (off_t)sizeof(bytes))
		cr_assert_eq(pwrite(fd, bytes, sizeof(bytes), at), (ssize_t)sizeof(bytes));
	(void)close(fd);
	cr_assert_eq(try_open(path(), LF_STORE_WRITE), -EBADMSG, "%s", why.text);
	cr_assert_not_null(strstr(why.text, "--store"), "%s", why.text);
}

Test(store_open, a_place_that_cannot_be_written_is_refused)
{
	cr_assert(try_open("/proc/nowhere/entries.db", LF_STORE_WRITE) < 0);
	cr_assert_not_null(strstr(why.text, "/proc/nowhere"), "%s", why.text);
	cr_assert_eq(try_open("", LF_STORE_WRITE), -EINVAL);
	cr_assert_eq(try_open("two\nlines", LF_STORE_WRITE), -EINVAL);
}

Test(store_open, the_real_path_is_the_same_before_and_after_the_file_is_made)
{
	char before[PATH_MAX], after[PATH_MAX];

	cr_assert_eq(symlink(fixture_dir(), fixture_path("link")), 0);
	cr_assert_eq(lf_store_real_path(fixture_path("link/deep/er/entries.db"), before, &why), 0);
	cr_assert_str_eq(before, fixture_path("deep/er/entries.db"));
	cr_assert_eq(try_open(fixture_path("link/deep/er/entries.db"), LF_STORE_WRITE), 0);
	cr_assert_eq(lf_store_real_path(fixture_path("link/deep/er/entries.db"), after, &why), 0);
	cr_assert_str_eq(before, after);
	cr_assert_eq(chdir(fixture_dir()), 0);
	cr_assert_eq(lf_store_real_path("x.db", after, &why), 0);
	cr_assert_str_eq(after, fixture_path("x.db"));
	cr_assert_eq(lf_store_real_path("/x.db", after, &why), 0);
	cr_assert_str_eq(after, "/x.db");
}

/* ---- Incarnations ---- */

static void incarnation_of(struct lf_incarnation *out)
{
	cr_assert_eq(lf_store_incarnation(store, out, &why), 0, "%s", why.text);
}

Test(store, an_incarnation_stays_while_the_file_does)
{
	struct lf_incarnation first, second;

	incarnation_of(&first);
	cr_assert(first.created && first.minted);
	cr_assert_eq(strlen(first.uuid), LF_UUID_CHARS);
	cr_assert_eq(first.uuid[14], '4');
	lf_store_close(store);
	store = fixture_store(path());
	incarnation_of(&second);
	cr_assert_not(second.created || second.minted);
	cr_assert_str_eq(first.uuid, second.uuid);
}

Test(store, a_file_that_was_replaced_begins_a_new_incarnation_and_remembers_the_old_one)
{
	struct lf_incarnation first, second;
	enum lf_history history;
	char command[2 * PATH_MAX + 16];

	incarnation_of(&first);
	add("shop", HASH_A, "x", 1, 1);
	lf_store_close(store);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s.new' && mv '%s.new' '%s'", path(), path(),
	               path(), path());
	cr_assert_eq(system(command), 0);
	store = fixture_store(path());
	incarnation_of(&second);
	cr_assert(second.minted);
	cr_assert_not(second.created);
	cr_assert_str_neq(first.uuid, second.uuid);
	cr_assert_eq(lf_store_history(store, first.uuid, 1, &history, &why), 0);
	cr_assert_eq(history, LF_HISTORY_OURS);
	cr_assert_eq(lf_store_history(store, first.uuid, 2, &history, &why), 0);
	cr_assert_eq(history, LF_HISTORY_SUPERSEDED);
	cr_assert_eq(lf_store_history(store, second.uuid, 2, &history, &why), 0);
	cr_assert_eq(history, LF_HISTORY_FOREIGN);
	cr_assert_eq(lf_store_history(store, "of-nobody", 0, &history, &why), 0);
	cr_assert_eq(history, LF_HISTORY_FOREIGN);
	cr_assert_eq(lf_store_note_foreign(store, "of-nobody", &why), 0);
	cr_assert_eq(lf_store_history(store, "of-nobody", 0, &history, &why), 0);
	cr_assert_eq(history, LF_HISTORY_SUPERSEDED);
}

Test(store, a_file_that_is_no_longer_at_its_path_is_noticed)
{
	struct lf_incarnation now;

	add("shop", HASH_A, "x", 1, 1);
	incarnation_of(&now);
	cr_assert_eq(lf_store_still_there(store, now.drain_sequence), 0);
	cr_assert_eq(lf_store_still_there(store, now.drain_sequence + 1), -ESTALE);
	cr_assert_eq(unlink(path()), 0);
	cr_assert_eq(lf_store_still_there(store, now.drain_sequence), -ESTALE);
}

Test(store, a_tally_survives_the_store_that_it_was_made_in)
{
	struct lf_new_entry what = entry_of("x");
	struct lf_addition addition = { "shop", HASH_A, { 5 }, 1, 1, .run = NULL };
	struct lf_store *other = fixture_store(LF_STORE_MEMORY);

	cr_assert_eq(lf_store_begin(store, &why), 0);
	cr_assert_eq(lf_store_add_new(store, &what, &addition, LF_ADD_TALLY, &why), 0);
	cr_assert_eq(lf_store_commit(store, &why), 0);
	cr_assert_eq(lf_store_carry_tally(other, store, &why), 0, "%s", why.text);
	lf_store_close(store);
	store = other;
	expect_entries(&(struct lf_query){ .this_run = true }, "x:5 ");
}

Test(store_open, programs_that_make_one_store_at_once_all_get_it)
{
	struct lf_incarnation now;
	pid_t children[6];

	for (int i = 0; i < 6; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct lf_store *own;
			bool opened = lf_store_open(&own, path(), LF_STORE_WRITE, NULL) == 0;

			_exit(opened ? 0 : 1);
		}
	}
	for (int i = 0; i < 6; i++) {
		int status;

		(void)waitpid(children[i], &status, 0);
		cr_assert_eq(status, 0, "program %d did not get it", i);
	}
	store = fixture_store(path());
	incarnation_of(&now);
	cr_assert_not(now.minted);
	expect_sql("SELECT count(*) FROM incarnations", "1");
	lf_store_close(store);
}

/* Has the store open in an unfinished statement of another program; `begin` is how. */
static sqlite3 *hold(const char *begin)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open_v2(path(), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, begin, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	return db;
}

Test(store_open, a_reader_of_a_store_in_another_journal_mode_holds_nobody_up_for_long)
{
	struct timespec before, after;
	sqlite3 *reader;

	lf_store_close(fixture_store(path()));
	reader = hold("PRAGMA journal_mode = DELETE; BEGIN; SELECT count(*) FROM entries");
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_eq(lf_store_open(&store, path(), LF_STORE_WRITE, &why), -EBUSY);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	cr_assert(after.tv_sec - before.tv_sec < 4, "%ld s", (long)(after.tv_sec - before.tv_sec));
	cr_assert_not_null(strstr(why.text, "held by another program"), "%s", why.text);
	(void)sqlite3_close(reader);
	cr_assert_eq(lf_store_open(&store, path(), LF_STORE_WRITE, &why), 0, "%s", why.text);
	lf_store_close(store);
}

Test(store_open, a_store_that_is_locked_against_reading_is_in_use_and_not_damaged)
{
	struct lf_incarnation now;
	sqlite3 *writer;

	lf_store_close(fixture_store(path()));
	writer = hold("PRAGMA journal_mode = DELETE");
	cr_assert_eq(lf_store_open(&store, path(), LF_STORE_READ_ONLY, &why), 0, "%s", why.text);
	lf_store_set_patience(store, 0);
	cr_assert_eq(sqlite3_exec(writer, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(lf_store_incarnation(store, &now, &why), -EBUSY, "%s", why.text);
	cr_assert_eq(lf_store_still_there(store, 0), 0);
	cr_assert_null(strstr(why.text, "damaged"), "%s", why.text);
	(void)sqlite3_close(writer);
	lf_store_close(store);
}

TestSuite(time_format, .timeout = 10);

Test(time_format, a_time_is_iso_8601_in_utc_with_milliseconds)
{
	char out[LF_TIME_CHARS + 1];

	lf_time_format(0, out);
	cr_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
	lf_time_format(UINT64_C(1709164799999), out);
	cr_assert_str_eq(out, "2024-02-28T23:59:59.999Z");
	lf_time_format(UINT64_MAX, out);
	cr_assert_str_eq(out, "9999-12-31T23:59:59.999Z");
}

static void *open_often(void *arg)
{
	for (int i = 0; i < 200; i++) {
		struct lf_store *opened = NULL;

		if (lf_store_open(&opened, arg, LF_STORE_WRITE, NULL) == 0)
			lf_store_close(opened);
	}
	return NULL;
}

/* The umask is the process's: two threads that each change it and put it back leave either's behind. */
Test(store, threads_that_open_stores_leave_the_umask_alone)
{
	char *paths[] = { strdup(fixture_path("a.db")), strdup(fixture_path("b.db")) };
	pthread_t thread[2];
	mode_t before = umask(0022), after;

	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, open_often, paths[i]), 0);
	for (int i = 0; i < 2; i++)
		(void)pthread_join(thread[i], NULL);
	after = umask(before);
	cr_expect_eq(after, 0022, "%o", (unsigned)after);
	for (int i = 0; i < 2; i++)
		free(paths[i]);
}
