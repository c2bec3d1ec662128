/* How many changed entries a second are drained from a segment and committed, beside the least that
 * must be done: one prepared UPDATE for each of them, in one transaction of a database that is as
 * durable.  The two run in turns, so that a busy machine or disk slows both.
 *
 * usage: bench_drain [DIRECTORY]     where the databases lie; a directory of its own in /tmp
 */
#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/drain.h"
#include "agent/map/map.h"
#include "hashing/entry_id.h"

enum {
	ENTRIES = 10000,
	ROUNDS = 21,
	BUDGET_MS = 4500, /* rounds stop then */
	WANTED_PER_S = 100000,
};

struct bench {
	char dir[64];
	struct lf_slot *slots[ENTRIES];
	char hashes[ENTRIES][LF_HASH_CHARS + 1];
	struct lf_rundir *run;
	struct lf_store *store;
	struct lf_drain *drain;
	sqlite3 *bare;
	sqlite3_stmt *update;
};

static struct bench bench;

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", bench.dir, name);
	return path;
}

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_drain: %s: %s\n", what, why);
	exit(1);
}

/* ---- Ours ---- */

static void add_entries(struct lf_map *map)
{
	struct lf_text method = { "printf", 6 }, frame = { "program!handle_request", 22 };
	struct lf_map_key key = { .method = lf_map_intern(map, method),
		                  .frame = lf_map_intern(map, frame) };
	struct lf_id id;
	char text[80];

	for (int i = 0; i < ENTRIES; i++) {
		struct lf_identity identity = { method, { text, 0 }, frame };
		int len = snprintf(text, sizeof(text), "request %%s took %%d ms in worker pool %05d\n", i);

		key.template = identity.template = (struct lf_text){ text, (size_t)len };
		key.hash = lf_map_hash(key.template);
		bench.slots[i] = lf_map_add(map, &key, LF_KIND_FORMAT, 0);
		if (!bench.slots[i])
			die("entry", "the map is full");
		lf_entry_id(&identity, &id);
		lf_id_to_hex(&id, bench.hashes[i]);
	}
}

static void open_ours(void)
{
	static const struct lf_drain_options options;
	struct lf_map_options map_options = { .namespace = "bench" };
	struct lf_error err = { "" };
	struct lf_map *map;
	char run[PATH_MAX];

	(void)snprintf(run, sizeof(run), "%s", path_of("run"));
	map_options.run_dir = run;
	if (lf_store_open(&bench.store, path_of("entries.db"), LF_STORE_WRITE, &err) < 0 ||
	    lf_rundir_open(&bench.run, run, LF_RUNDIR_CREATE, &err) < 0 ||
	    lf_rundir_lock(bench.run, &err) < 0 ||
	    lf_drain_open(&bench.drain, bench.run, bench.store, &options, &err) < 0)
		die("store", err.text);
	if (lf_map_create(&map, &map_options) < 0)
		die("segment", "it cannot be made");
	add_entries(map);
}

static double drain_once(void)
{
	struct lf_error err = { "" };
	double start;

	for (int i = 0; i < ENTRIES; i++)
		lf_slot_count(bench.slots[i], LF_PASSED);
	start = now_s();
	if (lf_drain_run(bench.drain, bench.store, &err) < 0)
		die("drain", err.text);
	return now_s() - start;
}

/* ---- Bare ---- */

static void run_bare(const char *sql)
{
	if (sqlite3_exec(bench.bare, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(sql, sqlite3_errmsg(bench.bare));
}

/* The same rows under the same key, by copying the table that the first drain made. */
static void open_bare(void)
{
	char attach[PATH_MAX + 32];

	if (sqlite3_open(path_of("bare.db"), &bench.bare) != SQLITE_OK)
		die("bare.db", sqlite3_errmsg(bench.bare));
	run_bare("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		 "CREATE TABLE entries (namespace TEXT, hash TEXT, method TEXT, messageTemplate TEXT,"
		 " templateKind TEXT, topFrame TEXT, firstSeenAt TEXT, lastSeenAt TEXT,"
		 " countPassed INTEGER, PRIMARY KEY (namespace, hash))");
	(void)snprintf(attach, sizeof(attach), "ATTACH '%s' AS ours", path_of("entries.db"));
	run_bare(attach);
	run_bare("INSERT INTO entries SELECT namespace, hash, method, messageTemplate, templateKind,"
		 " topFrame, firstSeenAt, lastSeenAt, countPassed FROM ours.entries; DETACH ours");
	if (sqlite3_prepare_v2(bench.bare, "UPDATE entries SET countPassed = countPassed + ?1,"
			       " lastSeenAt = ?2 WHERE namespace = ?3 AND hash = ?4", -1, &bench.update,
			       NULL) != SQLITE_OK)
		die("update", sqlite3_errmsg(bench.bare));
}

static double update_bare(void)
{
	double start = now_s();

	run_bare("BEGIN");
	for (int i = 0; i < ENTRIES; i++) {
		(void)sqlite3_bind_int64(bench.update, 1, 1);
		(void)sqlite3_bind_text(bench.update, 2, "2024-05-06T07:08:09.123Z", 24, SQLITE_STATIC);
		(void)sqlite3_bind_text(bench.update, 3, "bench", 5, SQLITE_STATIC);
		(void)sqlite3_bind_text(bench.update, 4, bench.hashes[i], LF_HASH_CHARS, SQLITE_STATIC);
		if (sqlite3_step(bench.update) != SQLITE_DONE || sqlite3_changes(bench.bare) != 1)
			die("update", sqlite3_errmsg(bench.bare));
		(void)sqlite3_reset(bench.update);
	}
	run_bare("COMMIT");
	return now_s() - start;
}

/* ---- Both ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int main(int argc, char **argv)
{
	double ours[ROUNDS], bare[ROUNDS], ratio[ROUNDS], first, started = now_s();
	int rounds = 0;

	(void)snprintf(bench.dir, sizeof(bench.dir), "%s/bench-drain-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(bench.dir))
		die(bench.dir, strerror(errno));
	open_ours();
	first = drain_once();
	open_bare();
	while (rounds < ROUNDS && now_s() - started < BUDGET_MS / 1e3) {
		ours[rounds] = drain_once();
		bare[rounds] = update_bare();
		ratio[rounds] = ours[rounds] / bare[rounds];
		rounds++;
	}
	(void)nftw(bench.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	first = ENTRIES / first;
	(void)printf("drain: %.0f changed entries/s (%d entries, median of %d), new ones %.0f/s, bare SQLite "
		     "%.0f/s, ratio of times %.2f\n",
		     ENTRIES / median(ours, rounds), ENTRIES, rounds, first,
		     ENTRIES / median(bare, rounds), median(ratio, rounds));
	return ENTRIES / median(ours, rounds) >= WANTED_PER_S ? 0 : 1;
}
