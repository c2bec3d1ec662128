#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"
#include "tests/unit/cache_sqlite_fixture.h"
#include "tests/unit/folder_fixture.h"

TestSuite(cache_sqlite_file, .init = sqlite_set_up, .timeout = 60);

/* SQLite calls this one: how often it waited for the disk. */
static _Atomic int synced;

int fdatasync(int fd)
{
	synced++;
	return (int)syscall(SYS_fdatasync, fd);
}

/* How many files beside the cache's are called so: "cache.db.corrupt-…" */
static int set_aside(const char *suffix)
{
	char folder[FOLDER_MAX + 16];
	struct dirent *entry;
	int found = 0;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder), "%s", cache_file());
	*strrchr(folder, '/') = '\0';
	dir = opendir(folder);
	cr_assert(dir);
	while ((entry = readdir(dir)) != NULL) {
		const char *dash = strstr(entry->d_name, ".corrupt-") ? strrchr(entry->d_name, '-') : NULL;

		found += dash && strcmp(strncmp(dash, "-wal", 4) == 0 || strncmp(dash, "-shm", 4) == 0 ? dash : "", suffix) == 0;
	}
	(void)closedir(dir);
	return found;
}

static void write_at(const char *path, off_t at, int byte, size_t count)
{
	char *bytes = malloc(count);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert(fd >= 0 && bytes);
	memset(bytes, byte, count);
	cr_assert_eq(pwrite(fd, bytes, count, at), (ssize_t)count);
	(void)close(fd);
	free(bytes);
}

static void store_some(struct lf_tier *tier, int count)
{
	char key[32], value[2001] = "";

	memset(value, 'v', sizeof(value) - 1);
	for (int i = 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), "a:t:%d", i);
		(void)store_newer(tier, key, value, 1);
	}
}

/* --- opening --------------------------------------------------------------------------------------- */

Test(cache_sqlite_file, the_file_and_its_log_are_for_their_owner_alone)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	struct lf_tier *tier;
	char path[FOLDER_MAX + 32];
	struct stat st;

	(void)umask(0);
	tier = open_sqlite();
	(void)store_newer(tier, "a:t:k", "v", 1);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", cache_file(), suffixes[i]);
		cr_assert_eq(stat(path, &st), 0, "%s", path);
		cr_assert_eq(st.st_mode & 0777, 0600, "%s", path);
	}
	close_sqlite(tier);
}

static int open_fails(void)
{
	struct lf_tier *tier = NULL;
	int rc = lf_tier_sqlite.open(&tier, &tier_options, &why);

	cr_assert_lt(rc, 0);
	return rc;
}

Test(cache_sqlite_file, a_folder_that_is_not_there_is_refused_with_what_to_do)
{
	sqlite_options.file = "/tmp/there/is/no/such/folder/cache.db";
	cr_assert_eq(open_fails(), -ENOENT);
	cr_assert(strstr(why.text, "no/such/folder") && strstr(why.text, "make it"), "%s", why.text);
	sqlite_options.file = "/tmp/";
	cr_assert_eq(open_fails(), -EINVAL);
	sqlite_options.file = "";
	cr_assert_eq(open_fails(), -EINVAL);
}

Test(cache_sqlite_file, a_newer_logfolds_file_is_refused_and_stays)
{
	close_sqlite(open_sqlite());
	run_in_file("PRAGMA user_version = 99");
	cr_assert_eq(open_fails(), -ENOTSUP);
	cr_assert(strstr(why.text, "newer logfold"), "%s", why.text);
	expect_in_file("SELECT count(*) FROM records", "0");
	cr_assert_eq(set_aside(""), 0);
}

Test(cache_sqlite_file, another_programs_database_is_refused_and_stays)
{
	run_in_file("CREATE TABLE theirs (x)");
	cr_assert_eq(open_fails(), -EINVAL);
	cr_assert(strstr(why.text, "another program"), "%s", why.text);
	expect_in_file("SELECT count(*) FROM sqlite_schema", "1");
	cr_assert_eq(set_aside(""), 0);
}

Test(cache_sqlite_file, a_file_that_is_no_database_is_set_aside_and_made_anew)
{
	struct lf_tier *tier;
	char trouble[LF_SQLITE_TROUBLE_MAX];

	write_at(cache_file(), 0, 'x', 9000);
	tier = open_sqlite();
	cr_assert(strstr(why.text, ".corrupt-"), "%s", why.text);
	lf_sqlite_trouble(tier, trouble);
	cr_assert_str_eq(trouble, why.text);
	cr_assert_eq(set_aside(""), 1);
	(void)store_newer(tier, "a:t:k", "v", 1);
	expect_value(tier, "a:t:k", "v");
	close_sqlite(tier);
}

Test(cache_sqlite_file, damage_is_found_when_it_is_opened)
{
	struct lf_tier *tier = open_sqlite();

	store_some(tier, 100);
	close_sqlite(tier);
	write_at(cache_file(), 20 * 4096, 0xff, 10 * 4096);
	tier = open_sqlite();
	cr_assert_eq(set_aside(""), 1);
	expect_value(tier, "a:t:0", NULL);
	close_sqlite(tier);
}

Test(cache_sqlite_file, damage_that_is_found_while_it_is_used_costs_what_was_in_it_and_no_call)
{
	struct lf_tier *tier = open_sqlite(), *other;
	char one[LF_TIER_MARK_MAX], two[LF_TIER_MARK_MAX];

	store_some(tier, 100);
	close_sqlite(tier);
	tier = open_sqlite();
	other = open_sqlite();
	cr_assert_eq(lf_tier_sqlite.ping(other, one, in_time(), &why), LF_TIER_DONE);
	write_at(cache_file(), 4096, 0xff, 60 * 4096);
	expect_value(tier, "a:t:50", NULL);
	cr_assert_eq(set_aside(""), 1);
	cr_assert_eq(store_newer(tier, "a:t:k", "v", 1), LF_STORED);
	/* The other one goes over to the new file, too, and does not set that one aside. */
	expect_value(other, "a:t:k", "v");
	cr_assert_eq(store_newer(other, "a:t:l", "w", 1), LF_STORED);
	expect_value(tier, "a:t:l", "w");
	cr_assert_eq(set_aside(""), 1);
	cr_assert_eq(lf_tier_sqlite.ping(other, two, in_time(), &why), LF_TIER_DONE);
	cr_assert_str_neq(one, two, "the mark says that it was emptied");
	close_sqlite(tier);
	close_sqlite(other);
	expect_in_file("SELECT count(*) FROM records", "2");
}

Test(cache_sqlite_file, damage_that_a_write_finds_is_set_aside_too)
{
	struct lf_tier *tier = open_sqlite();

	store_some(tier, 100);
	close_sqlite(tier);
	tier = open_sqlite();
	cr_assert_eq(lf_link_exec(&tier->writer, "PRAGMA shrink_memory"), SQLITE_OK);
	write_at(cache_file(), 4096, 0xff, 60 * 4096);
	cr_assert_eq(store_newer(tier, "a:t:k", "v", 1), LF_STORED);
	cr_assert_eq(set_aside(""), 1);
	expect_value(tier, "a:t:k", "v");
	close_sqlite(tier);
}

Test(cache_sqlite_file, damage_that_keeps_a_reader_from_opening_it_is_set_aside_too)
{
	struct lf_tier *tier = open_sqlite();

	store_some(tier, 100);
	close_sqlite(tier);
	tier = open_sqlite();
	write_at(cache_file(), 0, 0xff, 4096);
	expect_value(tier, "a:t:50", NULL);
	cr_assert_eq(set_aside(""), 1);
	cr_assert_eq(store_newer(tier, "a:t:k", "v", 1), LF_STORED);
	expect_value(tier, "a:t:k", "v");
	close_sqlite(tier);
}

Test(cache_sqlite_file, of_those_who_find_a_file_damaged_only_the_first_sets_it_aside)
{
	struct lf_tier *tier = open_sqlite(), *other = open_sqlite();
	dev_t dev = tier->dev;
	ino_t ino = tier->ino;

	cr_assert_eq(lf_sqlite_set_aside(tier, dev, ino, "said so", in_time(), &why), SQLITE_OK, "%s", why.text);
	(void)store_newer(tier, "a:t:k", "v", 1);
	cr_assert_eq(lf_sqlite_set_aside(other, dev, ino, "said so", in_time(), &why), SQLITE_OK, "%s", why.text);
	cr_assert_eq(lf_sqlite_set_aside(tier, dev, ino, "said so", in_time(), &why), SQLITE_OK, "%s", why.text);
	cr_assert_eq(set_aside(""), 1);
	expect_value(other, "a:t:k", "v");
	close_sqlite(tier);
	close_sqlite(other);
}

/* Another process sets the file aside while this one writes. */
static int write_while_it_is_moved(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	char moved[FOLDER_MAX + 32];
	int *tries = arg;

	(void)snprintf(moved, sizeof(moved), "%s.moved", cache_file());
	if (!(*tries)++)
		cr_assert_eq(rename(tier->path, moved), 0);
	return lf_sqlite_set_number(link, "ping", 77);
}

Test(cache_sqlite_file, what_was_written_into_a_file_that_was_moved_meanwhile_is_written_into_the_new_one)
{
	struct lf_tier *tier = open_sqlite();
	int tries = 0;
	struct lf_work work = { .run = write_while_it_is_moved, .arg = &tries, .what = "written" };

	cr_assert_eq(lf_sqlite_write(tier, &work, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(tries, 2);
	close_sqlite(tier);
	expect_in_file("SELECT value FROM meta WHERE key = 'ping'", "77");
}

static void note_kinds(void *arg, const struct lf_tier_change *change)
{
	*(unsigned *)arg |= 1u << change->kind;
}

Test(cache_sqlite_file, a_file_that_somebody_removed_is_made_anew_and_who_watches_is_told)
{
	struct lf_tier *tier = open_sqlite();
	char log[FOLDER_MAX + 32];
	unsigned kinds = 0;

	(void)store_newer(tier, "a:t:k", "v", 1);
	cr_assert_eq(lf_tier_sqlite.watch(tier, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(unlink(cache_file()), 0);
	(void)snprintf(log, sizeof(log), "%s-wal", cache_file());
	(void)unlink(log);
	(void)snprintf(log, sizeof(log), "%s-shm", cache_file());
	(void)unlink(log);
	expect_value(tier, "a:t:k", NULL);
	cr_assert_eq(lf_tier_sqlite.changes(tier, -1, note_kinds, &kinds, 0, &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(kinds, 1u << LF_CHANGED_UNKNOWN);
	(void)store_newer(tier, "a:t:k", "w", 1);
	close_sqlite(tier);
	expect_in_file("SELECT count(*) FROM records", "1");
}

Test(cache_sqlite_file, what_was_committed_is_there_after_its_process_was_killed)
{
	pid_t child = fork();
	struct lf_tier *tier;
	int status;

	if (child == 0) {
		tier = open_sqlite();
		(void)store_owing(tier, "a:t:k", "v", 1, LF_RECORD_CRITICAL, 1u << LF_CACHE_REDIS);
		(void)kill(getpid(), SIGKILL);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status));
	tier = open_sqlite();
	expect_value(tier, "a:t:k", "v");
	cr_assert_eq(lf_sqlite_owed_count(tier), 1);
	close_sqlite(tier);
}

/* --- what does not go ------------------------------------------------------------------------------ */

static enum lf_tier_result try_store(struct lf_tier *tier, const char *key, const char *value, int64_t end_ms)
{
	struct lf_record *record = record_of(value, 1, 0);
	struct lf_tier_store store = { .key = text_of(key), .record = record };
	enum lf_tier_result result;

	why.text[0] = '\0';
	result = lf_tier_sqlite.store(tier, &store, 1, end_ms, &why);
	lf_record_drop(record);
	return result;
}

Test(cache_sqlite_file, a_full_disk_is_told_and_costs_nothing_that_is_there)
{
	struct lf_tier *tier = open_sqlite();
	char *large = calloc(1, 200001);

	cr_assert(large);
	memset(large, 'x', 200000);
	(void)store_newer(tier, "a:t:k", "v", 1);
	cr_assert_eq(lf_link_exec(&tier->writer, "PRAGMA max_page_count = 30"), SQLITE_OK);
	cr_assert_eq(try_store(tier, "a:t:l", large, in_time()), LF_TIER_FULL);
	cr_assert(strstr(why.text, "no space"), "%s", why.text);
	expect_value(tier, "a:t:k", "v");
	expect_value(tier, "a:t:l", NULL);
	cr_assert_eq(try_store(tier, "a:t:m", "small", in_time()), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(lf_link_exec(&tier->writer, "PRAGMA max_page_count = 10000"), SQLITE_OK);
	cr_assert_eq(try_store(tier, "a:t:l", large, in_time()), LF_TIER_DONE, "%s", why.text);
	close_sqlite(tier);
	free(large);
}

Test(cache_sqlite_file, a_write_waits_for_another_processs_until_its_deadline_and_a_read_does_not)
{
	struct lf_tier *tier = open_sqlite();
	sqlite3 *db;

	(void)store_newer(tier, "a:t:k", "v", 1);
	cr_assert_eq(sqlite3_open(cache_file(), &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(try_store(tier, "a:t:l", "v", lf_clock_ms() + 50), LF_TIER_AWAY);
	cr_assert(strstr(why.text, "another process"), "%s", why.text);
	expect_value(tier, "a:t:k", "v");
	cr_assert_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(try_store(tier, "a:t:l", "v", in_time()), LF_TIER_DONE, "%s", why.text);
	(void)sqlite3_close(db);
	close_sqlite(tier);
}

Test(cache_sqlite_file, a_writer_waits_for_another_of_its_process_until_its_deadline)
{
	struct lf_tier *tier = open_sqlite();

	cr_assert(lf_sqlite_take_turn(tier, in_time()));
	cr_assert_eq(try_store(tier, "a:t:l", "v", lf_clock_ms() + 50), LF_TIER_AWAY);
	cr_assert(strstr(why.text, "by the deadline"), "%s", why.text);
	expect_value(tier, "a:t:l", NULL);
	lf_sqlite_end_turn(tier);
	for (int i = 0; i < LF_SQLITE_READERS; i++)
		tier->busy[i] = true;
	{
		struct lf_text key = text_of("a:t:l");
		struct lf_record *record;

		cr_assert_eq(lf_tier_sqlite.load(tier, &key, 1, &record, lf_clock_ms() + 50, &why), LF_TIER_AWAY);
		cr_assert_null(record);
	}
	close_sqlite(tier);
}

Test(cache_sqlite_file, a_question_that_takes_long_ends_by_its_deadline)
{
	struct lf_tier *tier = open_sqlite();
	char cursor[LF_TIER_CURSOR_MAX] = "", **keys;
	size_t count;

	run_in_file("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
	            " INSERT INTO records (seq, key, version, expires, critical, session, origin, bytes)"
	            " SELECT i, CAST('a:t:' || i AS BLOB), zeroblob(16), 0, 0, 0, 0, x'' FROM n");
	cr_assert_eq(lf_tier_sqlite.scan(tier, text_of("a:t:"), cursor, 1000, &keys, &count, lf_clock_ms() - 1, &why), LF_TIER_AWAY);
	cr_assert(strstr(why.text, "by the deadline"), "%s", why.text);
	cr_assert_eq(lf_tier_sqlite.drop(tier, text_of("a:t:"), UINT64_MAX, lf_clock_ms() - 1, &why), LF_TIER_AWAY);
	cr_assert_eq(lf_tier_sqlite.drop(tier, text_of("a:t:"), UINT64_MAX, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	expect_in_file("SELECT count(*) FROM records", "0");
	close_sqlite(tier);
}

/* --- what waits for the disk ----------------------------------------------------------------------- */

static int syncs_of_store(struct lf_tier *tier, const char *key, uint64_t clock, unsigned flags, unsigned owed)
{
	int before = synced;

	(void)store_owing(tier, key, "v", clock, flags, owed);
	return synced - before;
}

Test(cache_sqlite_file, what_is_critical_or_owed_waits_for_the_disk_and_nothing_else_does)
{
	struct lf_tier *tier = open_sqlite();
	struct lf_text stamp = text_of("a:t:%tag:o:1");
	uint64_t out;
	int before;

	cr_assert_eq(syncs_of_store(tier, "a:t:1", 1, 0, 0), 0);
	cr_assert_gt(syncs_of_store(tier, "a:t:2", 1, LF_RECORD_CRITICAL, 0), 0);
	cr_assert_eq(syncs_of_store(tier, "a:t:3", 1, 0, 0), 0);
	cr_assert_gt(syncs_of_store(tier, "a:t:4", 1, 0, 1u << LF_CACHE_REDIS), 0);
	/* Somebody who found it elsewhere has put it here before, and did not wait. */
	cr_assert_gt(syncs_of_store(tier, "a:t:1", 1, LF_RECORD_CRITICAL, 0), 0);
	before = synced;
	cr_assert_eq(lf_tier_sqlite.raise(tier, &stamp, 1, 1, &out, in_time(), &why), LF_TIER_DONE);
	cr_assert_gt(synced, before);
	close_sqlite(tier);
}

/* --- care ------------------------------------------------------------------------------------------ */

/* Until nothing is left to do; how many steps. */
static int tend_all(struct lf_tier *tier)
{
	bool more = true;
	int steps = 0;

	for (; more && steps < 10000; steps++)
		cr_assert_eq(lf_tier_sqlite.tend(tier, &more, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	return steps;
}

Test(cache_sqlite_file, what_expired_goes_in_steps_and_the_file_becomes_smaller)
{
	struct lf_tier *tier;
	struct lf_tier_info before, after;

	sqlite_options.care_ms = 3600000;
	now_ms = 100;
	tier = open_sqlite();
	(void)tend_all(tier);
	run_in_file("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
	            " INSERT INTO records (seq, key, version, expires, critical, session, origin, bytes)"
	            " SELECT i, CAST('a:t:' || i AS BLOB), zeroblob(16), 1000 + (i > 1990) * 1000000, 0, 0, 0, zeroblob(5000) FROM n");
	cr_assert_eq(lf_tier_sqlite.info(tier, &before, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_eq(before.items, 2000);
	now_ms = 999;
	cr_assert_eq(tend_all(tier), 1);
	expect_in_file("SELECT count(*) FROM records", "2000");
	now_ms = 1000;
	cr_assert_gt(tend_all(tier), 3);
	expect_in_file("SELECT count(*) FROM records", "10");
	now_ms = 4000000;
	run_in_file("UPDATE records SET expires = 0");
	cr_assert_gt(tend_all(tier), 3);
	expect_in_file("PRAGMA freelist_count", "0");
	cr_assert_eq(lf_tier_sqlite.info(tier, &after, in_time(), &why), LF_TIER_DONE, "%s", why.text);
	cr_assert_lt(after.bytes, before.bytes / 10);
	close_sqlite(tier);
}

Test(cache_sqlite_file, tables_are_analysed_when_that_is_due_by_one_of_the_processes)
{
	struct lf_tier *tier, *other;

	sqlite_options.care_ms = 1000;
	tier = open_sqlite();
	other = open_sqlite();
	store_some(tier, 5);
	(void)tend_all(tier);
	expect_in_file("SELECT count(*) > 0 FROM sqlite_stat1 WHERE tbl = 'records'", "1");
	run_in_file("DELETE FROM sqlite_stat1");
	now_ms += 999;
	(void)tend_all(other);
	expect_in_file("SELECT count(*) FROM sqlite_stat1", "0");
	now_ms += 1;
	(void)tend_all(other);
	expect_in_file("SELECT count(*) > 0 FROM sqlite_stat1", "1");
	close_sqlite(tier);
	close_sqlite(other);
}

/* --- threads --------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 100 };

static void *count_up(void *arg)
{
	struct lf_tier *tier = arg;
	struct lf_text key = text_of("a:t:n");

	for (int done = 0; done < ROUNDS;) {
		struct lf_record *found = NULL, *next;
		struct lf_tier_store store = { .key = key, .condition = LF_IF_VERSION };
		char value[16] = "0";

		cr_assert_eq(lf_tier_sqlite.load(tier, &key, 1, &found, in_time(), NULL), LF_TIER_DONE);
		if (found)
			(void)snprintf(value, sizeof(value), "%.*s", (int)found->value.len, found->value.data);
		(void)snprintf(value, sizeof(value), "%d", atoi(value) + 1);
		next = record_of(value, found ? found->version.clock + 1 : 1, 0);
		store.record = next;
		store.expected = found ? found->version : (struct lf_version){ 0, 0 };
		cr_assert_eq(lf_tier_sqlite.store(tier, &store, 1, in_time(), NULL), LF_TIER_DONE);
		done += store.stored == LF_STORED;
		lf_record_drop(found);
		lf_record_drop(next);
	}
	return NULL;
}

Test(cache_sqlite_file, counts_by_many_threads_of_two_handles_add_up)
{
	struct lf_tier *tiers[2] = { open_sqlite(), open_sqlite() };
	pthread_t threads[THREADS];
	char sum[16];

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_up, tiers[i % 2]), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	(void)snprintf(sum, sizeof(sum), "%d", THREADS * ROUNDS);
	expect_value(tiers[0], "a:t:n", sum);
	close_sqlite(tiers[0]);
	close_sqlite(tiers[1]);
}
