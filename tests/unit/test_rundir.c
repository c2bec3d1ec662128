#include "agent/core/rundir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/core/adopt.h"
#include "agent/core/claim.h"
#include "agent/core/stamp.h"
#include "tests/unit/segment_fixture.h"

static struct lf_error why;

static void set_up(void)
{
	(void)fixture_dir();
	(void)unsetenv(LF_RUNDIR_ENV);
	(void)setenv("XDG_STATE_HOME", fixture_path("state"), 1);
	cr_assert_eq(mkdir(fixture_path("base"), 0700), 0);
}

TestSuite(rundir, .init = set_up, .fini = fixture_remove, .timeout = 60);

static struct lf_rundir *open_dir(const char *path, enum lf_rundir_mode mode)
{
	struct lf_rundir *dir = NULL;

	cr_assert_eq(lf_rundir_open(&dir, path, mode, &why), 0, "%s", why.text);
	return dir;
}

/* ---- The base ---- */

Test(rundir, the_directory_that_the_environment_names_is_the_base_and_is_made)
{
	char base[PATH_MAX];
	struct stat st;

	(void)setenv(LF_RUNDIR_ENV, fixture_path("named"), 1);
	cr_assert_eq(lf_rundir_base(base, &why), 0, "%s", why.text);
	cr_assert_str_eq(base, fixture_path("named"));
	cr_assert_eq(stat(base, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
}

Test(rundir, a_named_directory_that_is_not_safe_is_refused_with_the_reason)
{
	char base[PATH_MAX];

	(void)setenv(LF_RUNDIR_ENV, fixture_path("base"), 1);
	cr_assert_eq(chmod(fixture_path("base"), 0777), 0);
	cr_assert_eq(lf_rundir_base(base, &why), -EPERM);
	cr_assert_not_null(strstr(why.text, "written by others"), "%s", why.text);
	cr_assert_eq(symlink("/tmp", fixture_path("link")), 0);
	(void)setenv(LF_RUNDIR_ENV, fixture_path("link"), 1);
	cr_assert(lf_rundir_base(base, &why) < 0);
	(void)setenv(LF_RUNDIR_ENV, "not/absolute", 1);
	cr_assert(lf_rundir_base(base, &why) < 0);
	cr_assert_not_null(strstr(why.text, "absolute"), "%s", why.text);
}

/* ---- Locks ---- */

Test(rundir, one_agent_at_a_time_has_the_lock_and_a_dead_one_has_it_no_longer)
{
	struct lf_rundir *one = open_dir(fixture_path("base"), LF_RUNDIR_EXISTING);
	struct lf_rundir *two = open_dir(fixture_path("base"), LF_RUNDIR_EXISTING);
	pid_t child;

	cr_assert_eq(lf_rundir_lock(one, &why), 0, "%s", why.text);
	cr_assert_eq(lf_rundir_lock(two, &why), -EBUSY);
	lf_rundir_close(one);
	child = fork();
	if (child == 0) {
		struct lf_rundir *own;

		if (lf_rundir_open(&own, fixture_path("base"), LF_RUNDIR_EXISTING, NULL) < 0 ||
		    lf_rundir_lock(own, NULL) < 0)
			_exit(1);
		_exit(0); /* with the lock */
	}
	(void)waitpid(child, NULL, 0);
	cr_assert_eq(lf_rundir_lock(two, &why), 0, "%s", why.text);
	lf_rundir_close(two);
}

Test(rundir, the_lock_of_a_directory_that_was_removed_is_no_lock)
{
	struct lf_rundir *own = NULL, *late;

	cr_assert_eq(lf_rundir_create_own(&own, fixture_path("base"), NULL, NULL, &why), 0, "%s",
	             why.text);
	late = open_dir(lf_rundir_path(own), LF_RUNDIR_EXISTING);
	cr_assert_eq(lf_rundir_remove(own), 0);
	cr_assert_eq(lf_rundir_lock(late, &why), -ENOENT);
	lf_rundir_close(own);
	lf_rundir_close(late);
}

/* ---- Own directories ---- */

Test(rundir, an_own_directory_is_locked_private_and_gone_when_it_is_removed)
{
	struct lf_rundir *own = NULL, *other;
	struct stat st;

	cr_assert_eq(lf_rundir_create_own(&own, fixture_path("base"), NULL, NULL, &why), 0, "%s",
	             why.text);
	cr_assert(lf_rundir_is_own(own));
	cr_assert(lf_rundir_is_empty(own));
	cr_assert_eq(stat(lf_rundir_path(own), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	other = open_dir(lf_rundir_path(own), LF_RUNDIR_EXISTING);
	cr_assert_eq(lf_rundir_lock(other, &why), -EBUSY);
	lf_rundir_close(other);
	cr_assert_eq(lf_rundir_remove(own), 0);
	cr_assert_not(fixture_exists(lf_rundir_path(own)));
	cr_assert_eq(fixture_names(fixture_path("base")), 0);
	lf_rundir_close(own);
}

Test(rundir, a_directory_with_a_segment_or_something_in_quarantine_is_not_removed)
{
	struct lf_rundir *own = NULL;
	int fd;

	cr_assert_eq(lf_rundir_create_own(&own, fixture_path("base"), NULL, NULL, &why), 0);
	fd = openat(lf_rundir_segments_fd(own), "x.seg", O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	cr_assert_not(lf_rundir_is_empty(own));
	cr_assert_eq(lf_rundir_remove(own), -ENOTEMPTY);
	cr_assert_eq(renameat(lf_rundir_segments_fd(own), "x.seg", lf_rundir_fd(own), "quarantine/x.seg"),
	             0);
	cr_assert_eq(lf_rundir_remove(own), -ENOTEMPTY);
	cr_assert(fixture_exists(lf_rundir_path(own)));
	lf_rundir_close(own);
}

static int die(struct lf_rundir *dir, void *arg, struct lf_error *err)
{
	(void)dir;
	(void)arg;
	(void)err;
	_exit(0);
}

Test(rundir, a_directory_that_was_never_finished_is_swept_away)
{
	struct lf_rundir *own = NULL;
	pid_t child = fork();

	if (child == 0) {
		(void)!lf_rundir_create_own(&own, fixture_path("base"), die, NULL, NULL);
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
	cr_assert_eq(fixture_names(fixture_path("base")), 1);
	cr_assert_eq(lf_rundir_create_own(&own, fixture_path("base"), NULL, NULL, &why), 0);
	cr_assert_eq(fixture_names(fixture_path("base")), 1);
	lf_rundir_close(own);
}

static int count_path(void *arg, const char *path)
{
	(void)path;
	++*(int *)arg;
	return 0;
}

Test(rundir, the_walk_visits_the_base_and_own_directories_only)
{
	int visits = 0;

	cr_assert_eq(mkdir(fixture_path("base/run-0123456789abcdef"), 0700), 0);
	cr_assert_eq(mkdir(fixture_path("base/run-not-hex-at-all-"), 0700), 0);
	cr_assert_eq(mkdir(fixture_path("base/segments"), 0700), 0);
	cr_assert_eq(lf_rundir_each(fixture_path("base"), count_path, &visits, &why), 0);
	cr_assert_eq(visits, 2);
}

/* ---- Whose directory ---- */

static struct lf_claim claim_of(const char *store_path)
{
	struct lf_claim claim;

	cr_assert_eq(lf_claim_init(&claim, store_path, fixture_path("base"), &why), 0, "%s", why.text);
	return claim;
}

static int covers(const struct lf_claim *claim, const char *path)
{
	struct lf_rundir *dir = open_dir(path, LF_RUNDIR_EXISTING);
	int answer = lf_claim_covers(claim, dir);

	lf_rundir_close(dir);
	return answer;
}

Test(rundir, the_unstamped_base_is_for_the_default_store_or_a_directory_that_was_named)
{
	struct lf_claim claim = claim_of(fixture_path("other.db"));

	cr_assert_eq(covers(&claim, fixture_path("base")), 0);
	claim = claim_of(NULL);
	cr_assert_eq(covers(&claim, fixture_path("base")), 1);
	cr_assert_eq(mkdir(fixture_path("base/run-0123456789abcdef"), 0700), 0);
	cr_assert_eq(covers(&claim, fixture_path("base/run-0123456789abcdef")), 1);
	(void)setenv(LF_RUNDIR_ENV, fixture_path("base"), 1);
	claim = claim_of(fixture_path("other.db"));
	cr_assert_eq(covers(&claim, fixture_path("base")), 1);
	(void)setenv(LF_RUNDIR_ENV, fixture_path("base/run-0123456789abcdef"), 1);
	claim = claim_of(fixture_path("other.db"));
	cr_assert_eq(covers(&claim, fixture_path("base")), 0, "a run within that run");
}

Test(rundir, a_stamped_directory_is_for_the_store_that_it_names_and_for_no_other)
{
	struct lf_claim ours = claim_of(fixture_path("ours.db"));
	struct lf_claim theirs = claim_of(fixture_path("theirs.db"));
	struct lf_store *store = fixture_store(fixture_path("ours.db"));
	const char *run = fixture_path("base/run-0123456789abcdef");

	cr_assert_eq(mkdir(run, 0700), 0);
	cr_assert_eq(covers(&theirs, run), 0, "a process that came late made it");
	cr_assert_eq(fixture_drain(run, store), 0);
	cr_assert_eq(covers(&ours, run), 1);
	cr_assert_eq(covers(&theirs, run), 0);
	lf_store_close(store);
}

/* ---- Taking over ---- */

Test(rundir, what_an_agent_left_behind_is_counted_and_cleared_away_by_the_next_of_its_store)
{
	struct lf_claim claim = claim_of(fixture_path("ours.db"));
	struct lf_store *store = fixture_store(fixture_path("ours.db"));
	struct lf_store *other = fixture_store(fixture_path("other.db"));
	struct lf_reporter reporter = fixture_reporter();
	struct fixture_segment ours, theirs;
	const char *our_dir = fixture_path("base/run-000000000000000a");
	const char *their_dir = fixture_path("base/run-000000000000000b");

	fixture_segment(&ours, our_dir, OWNER_LIVES);
	fixture_slot(&ours, "puts", "ours", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 5;
	cr_assert_eq(fixture_drain(our_dir, store), 0);
	fixture_segment(&theirs, their_dir, OWNER_LIVES);
	fixture_slot(&theirs, "puts", "theirs", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 7;
	cr_assert_eq(fixture_drain(their_dir, other), 0);
	fixture_slot(&ours, "puts", "more", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 1;
	lf_adopt_all(&claim, store, &reporter);
	cr_assert_eq(fixture_total(store), 6);
	cr_assert(fixture_exists(our_dir), "its process lives");
	cr_assert_eq(unlink(ours.path), 0);
	lf_adopt_all(&claim, store, &reporter);
	cr_assert_eq(fixture_total(store), 6);
	cr_assert_not(fixture_exists(our_dir));
	cr_assert(fixture_exists(theirs.path));
	cr_assert_eq(fixture_total(other), 7);
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
	lf_store_close(store);
	lf_store_close(other);
}

Test(rundir, the_base_is_nobodys_again_when_no_segment_is_left_in_it)
{
	struct lf_claim claim = claim_of(NULL);
	struct lf_store *store = fixture_store(claim.store);
	struct lf_reporter reporter = fixture_reporter();
	struct fixture_segment segment;

	fixture_segment(&segment, fixture_path("base"), OWNER_LIVES);
	fixture_slot(&segment, "puts", "x", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 5;
	lf_adopt_all(&claim, store, &reporter);
	cr_assert(fixture_exists(fixture_path("base/stamp")));
	cr_assert_eq(unlink(segment.path), 0);
	lf_adopt_all(&claim, store, &reporter);
	cr_assert_not(fixture_exists(fixture_path("base/stamp")));
	cr_assert(fixture_exists(fixture_path("base")));
	cr_assert_eq(fixture_total(store), 5);
	lf_store_close(store);
}

Test(rundir, one_restored_store_begins_one_new_incarnation_for_all_its_directories)
{
	struct lf_claim claim = claim_of(fixture_path("ours.db"));
	struct lf_store *store = fixture_store(fixture_path("ours.db"));
	struct lf_reporter reporter = fixture_reporter();
	struct fixture_segment segments[3];
	char command[4 * PATH_MAX], path[64];

	for (int i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "base/run-000000000000000%d", i);
		fixture_segment(&segments[i], fixture_path(path), OWNER_LIVES);
		fixture_slot(&segments[i], "puts", "x", "p!f", LF_KIND_CONSTANT)->counts[LF_PASSED] = 5;
		cr_assert_eq(fixture_drain(fixture_path(path), store), 0);
	}
	lf_store_close(store);
	(void)snprintf(command, sizeof(command), "rm '%s'", claim.store);
	cr_assert_eq(system(command), 0);
	for (int round = 0; round < 2; round++) {
		struct lf_incarnation now, fresh;

		store = fixture_store(claim.store);
		cr_assert_eq(lf_store_incarnation(store, &fresh, &why), 0);
		lf_adopt_all(&claim, store, &reporter);
		cr_assert_eq(lf_store_incarnation(store, &now, &why), 0);
		cr_assert_eq(now.minted, round == 0);
		cr_assert_str_eq(now.uuid, fresh.uuid, "a store that is new needs no newer incarnation");
		cr_assert_eq(fixture_total(store), 0);
		lf_store_close(store);
	}
	cr_assert_eq(fixture_sentences(), 3, "%s", fixture_all_said());
}

/* ---- Stamps ---- */

static int no_more(void *arg, const char **name, const struct lf_counters **counters)
{
	(void)arg;
	(void)name;
	(void)counters;
	return 0;
}

Test(rundir, a_stamp_gives_back_what_was_written_and_notices_every_cut)
{
	struct lf_rundir *dir = open_dir(fixture_path("base"), LF_RUNDIR_EXISTING);
	struct lf_stamp head = { .store = "/a path/with spaces.db", .sequence = 42 }, back;
	struct stat st;
	int fd = lf_rundir_fd(dir);

	(void)strcpy(head.incarnation, "6ba7b810-9dad-41d1-80b4-00c04fd430c8");
	cr_assert_eq(lf_stamp_read(fd, &back, &why), -ENOENT);
	cr_assert_eq(lf_stamp_write(fd, &head, no_more, NULL, &why), 0, "%s", why.text);
	cr_assert_eq(lf_stamp_read(fd, &back, &why), 0, "%s", why.text);
	cr_assert_str_eq(back.store, head.store);
	cr_assert_str_eq(back.incarnation, head.incarnation);
	cr_assert_eq(back.sequence, 42);
	cr_assert_eq(fstatat(fd, LF_STAMP_FILE, &st, 0), 0);
	for (off_t size = st.st_size - 1; size >= 0; size--) {
		cr_assert_eq(truncate(fixture_path("base/stamp"), size), 0);
		cr_assert_eq(lf_stamp_read(fd, &back, &why), -EBADMSG, "cut at %ld passes", (long)size);
	}
	lf_rundir_close(dir);
}

Test(rundir, a_stamp_with_a_line_that_nobody_knows_is_damaged)
{
	struct lf_rundir *dir = open_dir(fixture_path("base"), LF_RUNDIR_EXISTING);
	struct lf_stamp back;
	FILE *file = fopen(fixture_path("base/stamp"), "w");

	(void)fputs("logfold-stamp 1\nstore /a.db\nincarnation -\nsequence 1\nwhat is this\nend\n", file);
	(void)fclose(file);
	cr_assert_eq(lf_stamp_read(lf_rundir_fd(dir), &back, &why), -EBADMSG);
	lf_rundir_close(dir);
}
