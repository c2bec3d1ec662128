#include "agent/core/drain.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/stamp.h"
#include "agent/map/process_id.h"
#include "tests/unit/segment_fixture.h"

static struct lf_store *store;
static struct fixture_segment segment;

static const char *run_dir(void)
{
	return fixture_path("run-0123456789abcdef");
}

static const char *store_path(void)
{
	return fixture_path("entries.db");
}

static void set_up(void)
{
	store = fixture_store(store_path());
}

static void tear_down(void)
{
	lf_store_close(store);
	fixture_remove();
}

TestSuite(drain, .init = set_up, .fini = tear_down, .timeout = 60);

static struct lf_slot *add(const char *template, uint64_t count)
{
	struct lf_slot *slot = fixture_slot(&segment, "printf", template, "prog!main", LF_KIND_FORMAT);

	slot->counts[LF_PASSED] = count;
	return slot;
}

static void drain(void)
{
	cr_assert_eq(fixture_drain(run_dir(), store), 0, "%s", fixture_all_said());
}

static void reopen(void)
{
	lf_store_close(store);
	store = fixture_store(store_path());
}

static bool is_quarantined(void)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/quarantine/%s", run_dir(), segment.name);
	return fixture_exists(path) && !fixture_exists(segment.path);
}

/* ---- Exactly once ---- */

Test(drain, what_was_counted_is_in_the_store_once_however_often_it_is_drained)
{
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	slot = add("one\n", 10);
	slot->counts[LF_MUTED] = 2;
	segment.memory->overflow[LF_PASSED] = 5;
	drain();
	drain();
	cr_assert_eq(fixture_total(store), 17);
	cr_assert_eq(fixture_totals(store, false).counts[LF_MUTED], 2);
	slot->counts[LF_PASSED] = 11;
	(void)add("two\n", 4);
	drain();
	reopen();
	drain();
	cr_assert_eq(fixture_total(store), 22, "%llu", (unsigned long long)fixture_total(store));
	cr_assert_eq(fixture_count_of(store, LF_OVERFLOW_TEMPLATE), 5);
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

Test(drain, slots_of_one_message_in_one_or_several_segments_add_up)
{
	struct fixture_segment other;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("same\n", 1);
	(void)add("same\n", 10);
	fixture_segment(&other, run_dir(), OWNER_LIVES);
	fixture_slot(&other, "printf", "same\n", "prog!main", LF_KIND_FORMAT)->counts[LF_PASSED] = 100;
	drain();
	cr_assert_eq(fixture_count_of(store, "same\n"), 111);
	cr_assert_eq(fixture_totals(store, false).entries, 1);
}

Test(drain, a_drain_that_finds_nothing_new_commits_nothing)
{
	struct lf_incarnation before, after;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", 1);
	drain();
	cr_assert_eq(lf_store_incarnation(store, &before, NULL), 0);
	drain();
	cr_assert_eq(lf_store_incarnation(store, &after, NULL), 0);
	cr_assert_eq(before.drain_sequence, after.drain_sequence);
}

Test(drain, only_this_runs_counts_are_in_the_tally)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", 10);
	drain();
	reopen();
	(void)add("two\n", 3);
	drain();
	cr_assert_eq(fixture_totals(store, true).count_total, 3);
	cr_assert_eq(fixture_totals(store, true).entries, 1);
	cr_assert_eq(fixture_total(store), 13);
}

/* ---- Owners ---- */

Test(drain, a_dead_owners_segment_is_drained_unlinked_and_forgotten)
{
	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	(void)add("last words\n", 7);
	drain();
	cr_assert_eq(fixture_total(store), 7);
	cr_assert_not(fixture_exists(segment.path));
	cr_assert_eq(fixture_rows(store), 0);
}

Test(drain, a_living_owners_segment_stays)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("hello\n", 7);
	drain();
	cr_assert(fixture_exists(segment.path));
	cr_assert_eq(fixture_rows(store), 1);
}

Test(drain, an_owner_of_another_pid_namespace_counts_as_living)
{
	fixture_segment(&segment, run_dir(), OWNER_ELSEWHERE);
	(void)add("hello\n", 7);
	drain();
	cr_assert(fixture_exists(segment.path));
	cr_assert_eq(fixture_total(store), 7);
}

/* A watermark as if the segment had been drained up to `count` in its first slot. */
static void put_watermark(uint64_t count)
{
	struct lf_counters counters = { .taken_ms = 1 };
	struct lf_segment_row row = { .name = segment.name, .directory = run_dir() };
	uint8_t *record;

	cr_assert_eq(lf_counters_reserve(&counters, 0, 1), 0);
	counters.chunk[0].slot[0].of[LF_PASSED] = count;
	cr_assert_eq(lf_counters_encode(&counters, &record, &row.watermark_bytes), 0);
	row.watermark = record;
	cr_assert_eq(lf_store_put_segment(store, &row, NULL), 0);
	free(record);
	lf_counters_fini(&counters);
}

Test(drain, an_owner_of_an_earlier_boot_is_dead_and_its_counters_may_have_fallen)
{
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_OF_OLDER_BOOT);
	(void)add("drained further than the disk remembers\n", 7);
	slot = add("not drained yet\n", 4);
	slot->counts[LF_MUTED] = 1;
	put_watermark(50);
	drain();
	cr_assert_eq(fixture_total(store), 5, "%llu", (unsigned long long)fixture_total(store));
	cr_assert_not(fixture_exists(segment.path));
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

/* Names the segment after a process as /proc knows it. */
static void give_to(pid_t pid)
{
	char renamed[PATH_MAX];
	struct lf_process_id id;
	uint8_t random[16] = { 0xff };

	lf_process_id_read(&id, (uint32_t)pid);
	cr_assert_neq(id.start_time, 0);
	lf_process_id_name(&id, random, segment.name);
	(void)snprintf(renamed, sizeof(renamed), "%s/segments/%s", run_dir(), segment.name);
	cr_assert_eq(rename(segment.path, renamed), 0);
	memcpy(segment.path, renamed, sizeof(renamed));
}

Test(drain, a_zombie_is_dead)
{
	pid_t child = fork();
	siginfo_t info;

	if (child == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("hello\n", 1);
	give_to(child);
	drain();
	cr_assert_not(fixture_exists(segment.path));
	(void)waitpid(child, NULL, 0);
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	give_to(1);
	drain();
	cr_assert(fixture_exists(segment.path), "process 1 lives");
	cr_assert_eq(fixture_total(store), 1);
}

Test(drain, a_process_that_was_given_a_dead_ones_number_is_another)
{
	fixture_segment(&segment, run_dir(), OWNER_BEFORE_US);
	(void)add("hello\n", 1);
	drain();
	cr_assert_not(fixture_exists(segment.path));
	cr_assert_eq(fixture_total(store), 1);
}

static void count_on(void *arg, enum lf_drain_point point)
{
	if (point == LF_DRAIN_FOUND_DEAD)
		((struct lf_slot *)arg)->counts[LF_PASSED] += 100;
}

Test(drain, what_an_owner_counted_just_before_its_death_was_noticed_is_not_lost)
{
	struct lf_drain_hooks hooks = { NULL, count_on, NULL };

	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	hooks.arg = add("hello\n", 1);
	cr_assert_eq(fixture_drain_hooked(run_dir(), store, &hooks), 0);
	cr_assert_eq(fixture_total(store), 101);
	cr_assert_not(fixture_exists(segment.path));
}

Test(drain, a_process_that_died_unborn_leaves_nothing_and_one_without_room_is_told)
{
	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	segment.memory->magic = 0;
	drain();
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	cr_assert_eq(truncate(segment.path, 0), 0);
	drain();
	cr_assert(fixture_said("1 process could not be counted, as there is no space in"), "%s",
	          fixture_all_said());
}

static uint64_t in_an_hour(void *arg)
{
	(void)arg;
	return ((uint64_t)time(NULL) + 3600) * 1000;
}

Test(drain, unborn_segments_of_the_dead_are_removed_once_they_are_not_being_born)
{
	struct lf_drain_hooks later = { in_an_hour, NULL, NULL };

	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	segment.memory->magic = 0;
	drain();
	cr_assert(fixture_exists(segment.path));
	cr_assert_eq(fixture_drain_hooked(run_dir(), store, &later), 0);
	cr_assert_not(fixture_exists(segment.path));
}

/* ---- Unfinished lines ---- */

Test(drain, a_dead_owners_open_lines_are_counted_as_lines_and_a_living_ones_are_not)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("x\n", 1);
	fixture_tail(&segment, 0, "fputs", "prog!say", "took 15 ms", 0);
	fixture_tail(&segment, 1, "write.1", "prog!out", "silenced", lf_tail_with(LF_MUTED) | LF_TAIL_BUSY);
	drain();
	cr_assert_eq(fixture_total(store), 1);
	fixture_kill(&segment, run_dir());
	drain();
	drain();
	cr_assert_eq(fixture_count_of(store, "silenced"), 1);
	cr_assert_eq(fixture_totals(store, false).counts[LF_MUTED], 1);
	/* A renamed segment is another one, so `x` is counted again. */
	cr_assert_eq(fixture_total(store), 4);
}

/* ---- What cannot be trusted ---- */

Test(drain, a_counter_that_falls_puts_the_segment_in_quarantine_and_keeps_what_was_drained)
{
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	slot = add("one\n", 10);
	(void)add("two\n", 5);
	drain();
	slot->counts[LF_PASSED] = 9;
	drain();
	cr_assert(is_quarantined());
	cr_assert_eq(fixture_total(store), 15);
	cr_assert(fixture_said("a counter fell"), "%s", fixture_all_said());
	drain();
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	cr_assert_eq(fixture_rows(store), 0);
}

Test(drain, a_counter_that_leaps_puts_the_segment_in_quarantine)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", UINT64_C(100000000000)); /* in five seconds */
	drain();
	cr_assert(is_quarantined());
	cr_assert(fixture_said("leapt"), "%s", fixture_all_said());
	cr_assert_eq(fixture_total(store), 0);
}

static uint64_t clock_of(void *arg)
{
	return *(const uint64_t *)arg;
}

Test(drain, what_waited_while_no_commit_succeeded_is_no_leap)
{
	struct lf_drain_options options = { .reporter = fixture_reporter() };
	uint64_t now_ms = 0;
	struct lf_drain_hooks hooks = { clock_of, NULL, &now_ms };
	struct lf_rundir *dir;
	struct lf_drain *busy;
	struct lf_slot *slot;
	struct lf_error why;
	sqlite3 *other = NULL;

	options.hooks = &hooks;
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	now_ms = segment.memory->created_ms;
	slot = add("one\n", 1);
	cr_assert_eq(lf_rundir_open(&dir, run_dir(), LF_RUNDIR_EXISTING, &why), 0, "%s", why.text);
	cr_assert_eq(lf_rundir_lock(dir, &why), 0, "%s", why.text);
	cr_assert_eq(lf_drain_open(&busy, dir, store, &options, &why), 0, "%s", why.text);
	cr_assert_eq(lf_drain_run(busy, store, &why), 0, "%s", why.text);
	cr_assert_eq(sqlite3_open(store_path(), &other), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	slot->counts[LF_PASSED] += UINT64_C(100000000000); /* within three minutes and the slack */
	now_ms += 180000;
	lf_store_set_patience(store, 0);
	cr_assert_eq(lf_drain_run(busy, store, &why), -EBUSY);
	now_ms += 1000;
	(void)sqlite3_close(other);
	cr_assert_eq(lf_drain_run(busy, store, &why), 0, "%s", why.text);
	cr_assert_eq(fixture_total(store), UINT64_C(100000000001), "%s", fixture_all_said());
	lf_drain_close(busy);
	lf_rundir_close(dir);
}

Test(drain, a_number_that_is_no_count_is_refused_whatever_its_age)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	segment.memory->created_ms = 0;
	(void)add("one\n", UINT64_C(1) << 62);
	drain();
	cr_assert(is_quarantined());
}

Test(drain, one_bad_segment_does_not_stop_the_others)
{
	struct fixture_segment good;
	char path[PATH_MAX];
	int fd;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	segment.memory->chunks = 99;
	fixture_segment(&good, run_dir(), OWNER_LIVES);
	fixture_slot(&good, "puts", "fine", "prog!main", LF_KIND_CONSTANT)->counts[LF_PASSED] = 3;
	(void)snprintf(path, sizeof(path), "%s/segments/not-one-of-ours.seg", run_dir());
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_eq(write(fd, "rubbish", 7), 7);
	(void)close(fd);
	drain();
	cr_assert(is_quarantined());
	cr_assert_not(fixture_exists(path));
	cr_assert_eq(fixture_total(store), 3);
	cr_assert_eq(fixture_sentences(), 2, "%s", fixture_all_said());
}

Test(drain, a_dead_owners_broken_tail_does_not_count_the_rest_twice)
{
	struct fixture_segment good;

	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	(void)add("one\n", 5);
	segment.memory->tails[0] = LF_CHUNK_BYTES - 8;
	fixture_segment(&good, run_dir(), OWNER_DEAD);
	fixture_slot(&good, "puts", "fine", "prog!main", LF_KIND_CONSTANT)->counts[LF_PASSED] = 3;
	drain();
	drain();
	cr_assert(is_quarantined());
	cr_assert_eq(fixture_total(store), 3, "%llu", (unsigned long long)fixture_total(store));
}

static int check_times(void *arg, const struct lf_entry *entry)
{
	char created[LF_TIME_CHARS + 1];

	(void)arg;
	lf_time_format(segment.memory->created_ms, created);
	cr_assert_eq(entry->first_seen_at.len, LF_TIME_CHARS);
	cr_assert(memcmp(entry->first_seen_at.data, created, LF_TIME_CHARS) >= 0, "%.24s before %s",
	          entry->first_seen_at.data, created);
	cr_assert(memcmp(entry->first_seen_at.data, entry->last_seen_at.data, LF_TIME_CHARS) <= 0,
	          "%.24s after %.24s", entry->first_seen_at.data, entry->last_seen_at.data);
	return 0;
}

Test(drain, times_are_kept_within_the_life_of_the_segment)
{
	struct lf_query all = { .order = LF_BY_KEY };

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	add("one\n", 1)->first_seen_ms = 0;
	add("two\n", 1)->first_seen_ms = UINT64_MAX;
	drain();
	cr_assert_eq(fixture_total(store), 2);
	cr_assert_eq(lf_store_each(store, &all, check_times, NULL, NULL), 0);
}

/* ---- Crashes ---- */

static void die_at(void *arg, enum lf_drain_point point)
{
	if (point == *(enum lf_drain_point *)arg)
		_exit(7);
}

static void crash_at(enum lf_drain_point point)
{
	struct lf_drain_hooks hooks = { NULL, die_at, &point };
	pid_t child;
	int status;

	lf_store_close(store);
	store = NULL;
	child = fork();
	if (child == 0) {
		struct lf_store *own;

		if (lf_store_open(&own, store_path(), LF_STORE_WRITE, NULL) == 0)
			(void)fixture_drain_hooked(run_dir(), own, &hooks);
		_exit(0);
	}
	(void)waitpid(child, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "it did not reach point %d", point);
	store = fixture_store(store_path());
}

Test(drain, a_crash_at_any_step_neither_loses_nor_repeats_what_a_living_owner_counted)
{
	static const enum lf_drain_point points[] = { LF_DRAIN_ADDED, LF_DRAIN_COMMITTED,
		                                      LF_DRAIN_STAMPED };
	uint64_t expected = 0;
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	slot = add("one\n", 0);
	for (unsigned i = 0; i < sizeof(points) / sizeof(*points); i++) {
		slot->counts[LF_PASSED] += 100 + i;
		expected += 100 + i;
		crash_at(points[i]);
		drain();
		cr_assert_eq(fixture_total(store), expected, "after point %d: %llu", points[i],
		             (unsigned long long)fixture_total(store));
	}
}

Test(drain, a_crash_at_any_step_neither_loses_nor_repeats_what_a_dead_owner_counted)
{
	uint64_t expected = 0;

	for (enum lf_drain_point point = LF_DRAIN_ADDED; point <= LF_DRAIN_DROPPED; point++) {
		fixture_segment(&segment, run_dir(), OWNER_DEAD);
		(void)add("one\n", 10);
		fixture_tail(&segment, 0, "fputs", "prog!say", "open line", 0);
		expected += 11;
		crash_at(point);
		drain();
		cr_assert_eq(fixture_total(store), expected, "after point %d: %llu", point,
		             (unsigned long long)fixture_total(store));
		cr_assert_not(fixture_exists(segment.path));
		cr_assert_eq(fixture_rows(store), 0);
	}
}

/* ---- Stores that come and go ---- */

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t got;

	while ((got = read(in, bytes, sizeof(bytes))) > 0)
		cr_assert_eq(write(out, bytes, (size_t)got), got);
	(void)close(in);
	(void)close(out);
}

static void incarnation_of(char out[LF_UUID_CHARS + 1])
{
	struct lf_incarnation now;

	cr_assert_eq(lf_store_incarnation(store, &now, NULL), 0);
	(void)strcpy(out, now.uuid);
}

static void restore_with(int (*put_back)(const char *, const char *))
{
	char before[LF_UUID_CHARS + 1], after[LF_UUID_CHARS + 1], later[LF_UUID_CHARS + 1];
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	slot = add("one\n", 10);
	drain();
	incarnation_of(before);
	lf_store_close(store);
	copy_file(store_path(), fixture_path("backup.db"));
	store = fixture_store(store_path());
	slot->counts[LF_PASSED] = 25;
	drain();
	slot->counts[LF_PASSED] = 30;
	drain();
	cr_assert_eq(fixture_total(store), 30);
	lf_store_close(store);
	cr_assert_eq(put_back(fixture_path("backup.db"), store_path()), 0);
	store = fixture_store(store_path());
	slot->counts[LF_PASSED] = 32;
	drain();
	incarnation_of(after);
	cr_assert_eq(fixture_total(store), 12, "%llu: 10 restored and 2 new", (unsigned long long)fixture_total(store));
	cr_assert_str_neq(before, after);
	cr_assert(fixture_said(": 20 calls that were counted before"), "%s", fixture_all_said());
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
	reopen();
	slot->counts[LF_PASSED] = 33;
	drain();
	incarnation_of(later);
	cr_assert_eq(fixture_total(store), 13);
	cr_assert_str_eq(after, later);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
}

static int copy_over(const char *from, const char *to)
{
	copy_file(from, to);
	return 0;
}

Test(drain, a_store_that_was_restored_goes_on_from_the_stamp_under_a_new_incarnation)
{
	restore_with(rename);
}

Test(drain, a_store_that_was_restored_into_the_same_file_is_noticed_too)
{
	restore_with(copy_over);
}

Test(drain, a_store_that_was_deleted_goes_on_from_the_stamp)
{
	struct lf_slot *slot;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	slot = add("one\n", 10);
	drain();
	lf_store_close(store);
	cr_assert_eq(unlink(store_path()), 0);
	store = fixture_store(store_path());
	slot->counts[LF_PASSED] = 12;
	drain();
	cr_assert_eq(fixture_total(store), 2);
	cr_assert(fixture_said(": 10 calls"), "%s", fixture_all_said());
	slot->counts[LF_PASSED] = 13;
	reopen();
	drain();
	cr_assert_eq(fixture_total(store), 3);
	cr_assert_eq(fixture_sentences(), 1, "%s", fixture_all_said());
}

Test(drain, a_copy_of_a_store_is_another_incarnation_and_gets_no_directory_of_the_first)
{
	char first[LF_UUID_CHARS + 1], copy[LF_UUID_CHARS + 1];

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", 10);
	drain();
	incarnation_of(first);
	lf_store_close(store);
	copy_file(store_path(), fixture_path("copy.db"));
	store = fixture_store(fixture_path("copy.db"));
	incarnation_of(copy);
	cr_assert_str_neq(first, copy);
	cr_assert_eq(fixture_drain(run_dir(), store), -EPERM);
	cr_assert_eq(fixture_total(store), 10);
	cr_assert(fixture_said("belongs to store"), "%s", fixture_all_said());
}

Test(drain, a_directory_whose_stamp_is_damaged_is_left_alone)
{
	int dirfd;

	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", 10);
	drain();
	dirfd = open(run_dir(), O_RDONLY | O_DIRECTORY);
	{
		int fd = openat(dirfd, LF_STAMP_FILE, O_WRONLY);

		cr_assert_eq(ftruncate(fd, 30), 0);
		(void)close(fd);
	}
	cr_assert_eq(fixture_drain(run_dir(), store), -EBADMSG);
	(void)close(dirfd);
	cr_assert_eq(fixture_total(store), 10);
}

Test(drain, a_row_that_the_store_lost_is_made_up_for_by_the_stamp)
{
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
	(void)add("one\n", 10);
	drain();
	cr_assert_eq(lf_store_drop_segment(store, segment.name, NULL), 0);
	drain();
	cr_assert_eq(fixture_total(store), 10);
}

/* ---- Observing ---- */

Test(drain, observing_counts_in_memory_and_leaves_all_for_the_store_that_comes_later)
{
	struct lf_drain_options options = { .reporter = fixture_reporter(),
		                            .tally = true,
		                            .observe_for = store_path() };
	struct lf_store *memory = fixture_store(LF_STORE_MEMORY);
	struct lf_rundir *dir;
	struct lf_drain *watch;
	struct lf_error err;

	fixture_segment(&segment, run_dir(), OWNER_DEAD);
	(void)add("one\n", 10);
	fixture_tail(&segment, 0, "fputs", "prog!say", "open line", 0);
	cr_assert_eq(lf_rundir_open(&dir, run_dir(), LF_RUNDIR_EXISTING, &err), 0);
	cr_assert_eq(lf_rundir_lock(dir, &err), 0);
	cr_assert_eq(lf_drain_open(&watch, dir, memory, &options, &err), 0, "%s", err.text);
	cr_assert_eq(lf_drain_run(watch, memory, &err), 0, "%s", err.text);
	cr_assert_eq(lf_drain_run(watch, memory, &err), 0, "%s", err.text);
	cr_assert_eq(fixture_totals(memory, true).count_total, 11);
	lf_drain_close(watch);
	lf_rundir_close(dir);
	lf_store_close(memory);
	cr_assert(fixture_exists(segment.path));
	drain();
	cr_assert_eq(fixture_total(store), 11);
	cr_assert_not(fixture_exists(segment.path));
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

/* ---- Crowds ---- */

Test(drain, a_crowd_of_dead_processes_is_drained_in_several_transactions)
{
	for (int i = 0; i < 200; i++) {
		fixture_segment(&segment, run_dir(), OWNER_DEAD);
		(void)add("one\n", 3);
		fixture_forget(&segment);
	}
	drain();
	cr_assert_eq(fixture_total(store), 600);
	cr_assert_eq(fixture_rows(store), 0);
	cr_assert_eq(fixture_names(fixture_path("run-0123456789abcdef/segments")), 0);
}
