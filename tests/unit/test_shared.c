/* One directory for many users, made and looked at by several of them: needs root to be them. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/core/drain.h"
#include "agent/core/rundir.h"
#include "agent/map/map.h"
#include "agent/map/run_dir.h"
#include "tests/unit/segment_fixture.h"

enum { DAEMON = 4300, ALICE = 4321, BOB = 4322 };

static void set_up(void)
{
	if (geteuid() != 0)
		cr_assert_fail("needs root: run the tests as root, or in a user namespace");
	(void)fixture_dir();
	(void)unsetenv(LF_RUNDIR_ENV);
	cr_assert_eq(chmod(fixture_dir(), 0755), 0);
	cr_assert_eq(mkdir(fixture_path("base"), 0700), 0);
	cr_assert_eq(chown(fixture_path("base"), DAEMON, DAEMON), 0);
	cr_assert_eq(mkdir(fixture_path("state"), 0700), 0);
	cr_assert_eq(chown(fixture_path("state"), DAEMON, DAEMON), 0);
}

TestSuite(shared, .init = set_up, .fini = fixture_remove, .timeout = 60);

/* What a user does in a process of its own; its exit status. */
static int as(uid_t uid, int (*act)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
		    prctl(PR_SET_DUMPABLE, 1) < 0)
			_exit(99);
		_exit(act());
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static int share(void)
{
	struct lf_rundir *dir;

	if (lf_rundir_open(&dir, fixture_path("base"), LF_RUNDIR_EXISTING, NULL) < 0 ||
	    lf_rundir_lock(dir, NULL) < 0 || lf_rundir_share(dir, true, NULL) < 0)
		return 1;
	lf_rundir_close(dir);
	return 0;
}

static int close_again(void)
{
	struct lf_rundir *dir;

	if (lf_rundir_open(&dir, fixture_path("base"), LF_RUNDIR_EXISTING, NULL) < 0 ||
	    lf_rundir_lock(dir, NULL) < 0 || !lf_rundir_is_shared(dir) ||
	    lf_rundir_share(dir, false, NULL) < 0)
		return 1;
	lf_rundir_close(dir);
	return 0;
}

/* As the hook does. */
static int find(void)
{
	char path[PATH_MAX];

	return -lf_run_dir_find(path, fixture_path("base"), NULL, LF_RUN_DIR_SHARED);
}

/* A process of this user that counted 3 in its namespace and has ended. */
static int count_in(const char *namespace)
{
	const struct lf_map_options options = { .run_dir = fixture_path("base"), .namespace = namespace };
	struct lf_map *map;

	(void)umask(0077);
	if (lf_map_create(&map, &options) < 0)
		return 1;
	lf_map_count_overflow(map, LF_PASSED, 3);
	return 0;
}

static int count(void)
{
	return count_in("shop");
}

static int count_elsewhere(void)
{
	return count_in("bank");
}

/* ---- The directory ---- */

static mode_t mode_of(const char *name)
{
	struct stat st;

	cr_assert_eq(stat(fixture_path(name), &st), 0, "%s is missing", name);
	return st.st_mode & 07777;
}

Test(shared, a_shared_directory_has_the_modes_that_keep_users_apart)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(mode_of("base"), 0755);
	cr_assert_eq(mode_of("base/segments"), 03733);
	cr_assert_eq(mode_of("base/quarantine"), 0700);
	cr_assert_eq(mode_of("base/flags"), 0644);
	cr_assert_eq(mode_of("base/lock"), 0600);
	cr_assert_eq(as(DAEMON, close_again), 0);
	cr_assert_eq(mode_of("base"), 0700);
	cr_assert_eq(mode_of("base/segments"), 0700);
}

Test(shared, a_process_of_any_user_may_use_it_and_its_file_is_for_itself_and_the_daemon_alone)
{
	char name[NAME_MAX + 16];
	struct dirent *entry;
	struct stat st;
	DIR *listing;

	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(ALICE, find), 0);
	cr_assert_eq(find(), 0, "root, too");
	cr_assert_eq(as(ALICE, count), 0);
	listing = opendir(fixture_path("base/segments"));
	while ((entry = readdir(listing)) && entry->d_name[0] == '.')
		;
	cr_assert_not_null(entry);
	(void)snprintf(name, sizeof(name), "base/segments/%s", entry->d_name);
	cr_assert_eq(stat(fixture_path(name), &st), 0);
	cr_assert_eq(st.st_uid, ALICE);
	cr_assert_eq(st.st_gid, DAEMON);
	cr_assert_eq(st.st_mode & 07777, 0640, "whatever the umask");
	(void)closedir(listing);
}

static int list_segments(void)
{
	return opendir(fixture_path("base/segments")) || errno != EACCES;
}

static int remove_a_file(void)
{
	return unlink(fixture_path("base/segments/known")) == 0 || (errno != EPERM && errno != EACCES);
}

Test(shared, no_user_can_see_or_remove_what_another_put_there)
{
	int fd;

	cr_assert_eq(as(DAEMON, share), 0);
	fd = open(fixture_path("base/segments/known"), O_CREAT | O_WRONLY, 0640);
	cr_assert_geq(fd, 0);
	(void)close(fd);
	cr_assert_eq(chown(fixture_path("base/segments/known"), ALICE, DAEMON), 0);
	cr_assert_eq(as(BOB, list_segments), 0);
	cr_assert_eq(as(BOB, remove_a_file), 0);
}

Test(shared, a_directory_that_is_not_quite_shared_is_not_used)
{
	static const struct {
		const char *name;
		mode_t mode;
	} wrong[] = {
		{ "base", 0775 },          { "base", 0757 },          { "base/segments", 0733 },
		{ "base/segments", 01733 }, { "base/segments", 02733 }, { "base/segments", 03777 },
		{ "base/segments", 03700 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		cr_assert_eq(as(DAEMON, share), 0);
		cr_assert_eq(as(ALICE, find), 0);
		cr_assert_eq(chmod(fixture_path(wrong[i].name), wrong[i].mode), 0);
		cr_expect_neq(as(ALICE, find), 0, "%s as %o", wrong[i].name, wrong[i].mode);
		cr_assert_eq(chmod(fixture_path("base"), 0755), 0);
		cr_assert_eq(chmod(fixture_path("base/segments"), 0700), 0);
	}
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(chown(fixture_path("base/segments"), BOB, DAEMON), 0);
	cr_assert_eq(chmod(fixture_path("base/segments"), 03733), 0);
	cr_expect_eq(as(ALICE, find), EPERM, "segments of one user in the base of another");
}

Test(shared, a_link_in_the_place_of_segments_leads_nowhere)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(rename(fixture_path("base/segments"), fixture_path("elsewhere")), 0);
	cr_assert_eq(symlink(fixture_path("elsewhere"), fixture_path("base/segments")), 0);
	cr_assert_neq(as(ALICE, find), 0);
	cr_assert_eq(as(ALICE, count), 1);
	cr_assert_eq(fixture_names(fixture_path("elsewhere")), 0);
}

/* ---- The drain, as the daemon's user ---- */

static bool (*accepts)(void *arg, uid_t uid, const char *namespace);
static uint64_t expected;
static unsigned sentences;
static const char *part;
static struct lf_segment *to_be_renamed; /* between the two drains */

static void rename_namespace(void)
{
	if (to_be_renamed)
		(void)strcpy(to_be_renamed->namespace, "bank");
}

/* Drains twice; 0 when the store has what is expected, and as much was told. */
static int drain(void)
{
	struct lf_drain_options options = { .reporter = fixture_reporter(), .accepts = accepts };
	struct lf_store *store = NULL;
	struct lf_rundir *dir = NULL;
	struct lf_drain *drained = NULL;
	struct lf_error err = { "" };
	int rc;

	(void)setresuid(DAEMON, DAEMON, DAEMON);
	rc = lf_store_open(&store, fixture_path("state/entries.db"), LF_STORE_WRITE, &err);
	if (rc == 0)
		rc = lf_rundir_open(&dir, fixture_path("base"), LF_RUNDIR_EXISTING, &err);
	if (rc == 0)
		rc = lf_rundir_lock(dir, &err);
	if (rc == 0)
		rc = lf_drain_open(&drained, dir, store, &options, &err);
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = lf_drain_run(drained, store, &err);
		rename_namespace();
	}
	if (rc == 0 && (fixture_total(store) != expected || fixture_sentences() != sentences ||
	                (part && !fixture_said(part))))
		rc = lf_fail(&err, -1, "%llu counted; %u told: %s", (unsigned long long)fixture_total(store),
		             fixture_sentences(), fixture_all_said());
	if (rc < 0)
		(void)fprintf(stderr, "drain: %s\n", err.text);
	lf_drain_close(drained);
	lf_rundir_close(dir);
	lf_store_close(store);
	return rc < 0 ? 1 : 0;
}

static unsigned files(void)
{
	return fixture_names(fixture_path("base/segments"));
}

Test(shared, a_daemon_without_any_privilege_counts_all_users_and_removes_what_is_done)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(ALICE, count), 0);
	cr_assert_eq(as(BOB, count), 0);
	cr_assert_eq(count(), 0);
	cr_assert_eq(files(), 3);
	expected = 9;
	cr_assert_eq(as(DAEMON, drain), 0);
	cr_assert_eq(files(), 1, "root's is the test's own, which lives");
}

static bool only_alices_shop(void *arg, uid_t uid, const char *namespace)
{
	(void)arg;
	return uid == ALICE && strcmp(namespace, "shop") == 0;
}

Test(shared, what_is_not_allowed_is_not_counted_told_once_and_gone_with_its_owner)
{
	cr_assert_eq(as(DAEMON, share), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(as(ALICE, count), 0);
		cr_assert_eq(as(ALICE, count_elsewhere), 0);
		cr_assert_eq(as(BOB, count), 0);
	}
	accepts = only_alices_shop;
	expected = 6;
	sentences = 2;
	part = "\"4321:bank\"";
	cr_assert_eq(as(DAEMON, drain), 0);
	cr_assert_eq(files(), 0);
}

/* ---- Hostile users ---- */

static const char *hostile_name(unsigned i)
{
	static char name[LF_SEGMENT_NAME_MAX + 32];

	(void)snprintf(name, sizeof(name), "base/segments/%032x-1-1-%032x.seg", 0U, i);
	return name;
}

static int put_nonsense(void)
{
	int fd;

	for (unsigned i = 0; i < 3 * LF_DRAIN_USER_QUARANTINED; i++) {
		fd = open(fixture_path(hostile_name(i)), O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0 || write(fd, "this is no segment at all; it is long enough to have a magic", 60) != 60)
			return 1;
		(void)close(fd);
	}
	return 0;
}

static int put_links_and_pipes(void)
{
	if (symlink("/etc/passwd", fixture_path(hostile_name(1000))) < 0 ||
	    mkfifo(fixture_path(hostile_name(1001)), 0644) < 0 ||
	    mkdir(fixture_path(hostile_name(1002)), 0755) < 0)
		return 1;
	/* What nobody may read, not even by his group. */
	return close(open(fixture_path(hostile_name(1003)), O_CREAT | O_WRONLY, 0600));
}

Test(shared, what_one_user_breaks_stops_nobody_else_and_is_kept_within_bounds)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(BOB, put_nonsense), 0);
	cr_assert_eq(as(ALICE, count), 0);
	expected = 3;
	sentences = LF_DRAIN_USER_QUARANTINED + 1;
	part = "user 4322 goes on";
	cr_assert_eq(as(DAEMON, drain), 0);
	cr_assert_eq(files(), 0);
	cr_assert_eq(fixture_names(fixture_path("base/quarantine")), LF_DRAIN_USER_QUARANTINED);
}

Test(shared, links_pipes_directories_and_closed_files_in_it_stop_nobody_else)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(BOB, put_links_and_pipes), 0);
	cr_assert_eq(as(ALICE, count), 0);
	expected = 3;
	sentences = 4;
	cr_assert_eq(as(DAEMON, drain), 0);
}

/* Alice's segment, counted under a second name as well. */
static int link_own_segment(void)
{
	struct fixture_segment segment;

	fixture_segment(&segment, fixture_path("base"), OWNER_DEAD);
	segment.memory->overflow[LF_PASSED] = 7;
	if (chmod(segment.path, 0644) < 0)
		return 1;
	return link(segment.path, fixture_path(hostile_name(1)));
}

Test(shared, a_segment_with_a_second_name_is_counted_under_neither)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(ALICE, link_own_segment), 0);
	sentences = 2;
	part = "other names";
	cr_assert_eq(as(DAEMON, drain), 0);
}

Test(shared, who_changes_the_namespace_of_a_segment_does_not_get_into_anothers)
{
	struct fixture_segment segment;

	cr_assert_eq(as(DAEMON, share), 0);
	fixture_segment(&segment, fixture_path("base"), OWNER_LIVES);
	cr_assert_eq(chown(segment.path, ALICE, DAEMON), 0);
	cr_assert_eq(chmod(segment.path, 0640), 0);
	segment.memory->overflow[LF_PASSED] = 7;
	accepts = only_alices_shop;
	to_be_renamed = segment.memory;
	expected = 7;
	sentences = 1;
	part = "its namespace changed";
	cr_assert_eq(as(DAEMON, drain), 0);
}

static int put_huge_files(void)
{
	for (unsigned i = 0; i < 40; i++) {
		int fd = open(fixture_path(hostile_name(i)), O_CREAT | O_EXCL | O_WRONLY, 0644);

		if (fd < 0 || ftruncate(fd, (off_t)LF_CHUNKS_MAX * LF_CHUNK_BYTES) < 0)
			return 1;
		(void)close(fd);
	}
	return 0;
}

Test(shared, a_user_who_takes_more_than_is_his_waits_and_the_others_do_not)
{
	cr_assert_eq(as(DAEMON, share), 0);
	cr_assert_eq(as(BOB, put_huge_files), 0);
	cr_assert_eq(as(ALICE, count), 0);
	expected = 3;
	sentences = 1;
	part = "user 4322 has more";
	cr_assert_eq(as(DAEMON, drain), 0);
	cr_assert_eq(files(), 40, "alice's is counted and gone, his wait");
}
