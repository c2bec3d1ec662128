#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/store/store.h"
#include "tests/unit/folder_fixture.h"

static char path[FOLDER_MAX + 16];

static void make_path(void)
{
	new_folder(path);
	(void)strcat(path, "/entries.db");
}

TestSuite(store_mark, .init = make_path);

static struct lf_store *open_store(void)
{
	struct lf_store *store = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_store_open(&store, path, LF_STORE_WRITE, &err), 0, "%s", err.text);
	return store;
}

/* Opens, commits so many times, closes: as a program that drains does. */
static struct lf_incarnation use_store(int commits)
{
	struct lf_store *store = open_store();
	struct lf_incarnation at;

	for (int i = 0; i < commits; i++) {
		cr_assert_eq(lf_store_begin(store, NULL), 0);
		cr_assert_eq(lf_store_commit(store, NULL), 0);
	}
	cr_assert_eq(lf_store_incarnation(store, &at, NULL), 0);
	lf_store_close(store);
	return at;
}

static char *read_file(const char *name, size_t *bytes)
{
	FILE *file = fopen(name, "r");
	char *content = malloc(1 << 20);

	cr_assert_not_null(file);
	*bytes = fread(content, 1, 1 << 20, file);
	cr_assert_eq(fclose(file), 0);
	return content;
}

/* In place: device and inode stay. */
static void write_file(const char *name, const char *content, size_t bytes)
{
	int fd = open(name, O_WRONLY | O_TRUNC);

	cr_assert(fd >= 0 && write(fd, content, bytes) == (ssize_t)bytes);
	cr_assert_eq(close(fd), 0);
}

Test(store_mark, a_store_that_goes_on_keeps_its_incarnation)
{
	struct lf_incarnation first = use_store(3), second = use_store(0), third = use_store(2);

	cr_assert_str_eq(first.uuid, second.uuid);
	cr_assert_str_eq(first.uuid, third.uuid);
	cr_assert_not(third.minted);
}

Test(store_mark, a_store_that_was_copied_back_over_itself_begins_a_new_incarnation_once)
{
	struct lf_incarnation before = use_store(3), after;
	size_t bytes;
	char *backup = read_file(path, &bytes);

	cr_assert_str_eq(use_store(4).uuid, before.uuid);
	write_file(path, backup, bytes);
	after = use_store(0);
	cr_assert_str_neq(after.uuid, before.uuid);
	cr_assert_str_eq(use_store(1).uuid, after.uuid);
	cr_assert_str_eq(use_store(1).uuid, after.uuid);
	free(backup);
}

Test(store_mark, a_note_that_is_older_than_the_store_says_nothing)
{
	char mark[PATH_MAX + 8];
	struct lf_incarnation before = use_store(3);
	size_t bytes;
	char *old;

	(void)snprintf(mark, sizeof(mark), "%s.mark", path);
	old = read_file(mark, &bytes);
	(void)use_store(4);
	write_file(mark, old, bytes);
	cr_assert_str_eq(use_store(0).uuid, before.uuid);
	free(old);
}

Test(store_mark, a_note_that_is_missing_or_damaged_says_nothing)
{
	struct lf_incarnation before = use_store(3);
	char mark[PATH_MAX + 8];

	(void)snprintf(mark, sizeof(mark), "%s.mark", path);
	write_file(mark, "what?\n", 6);
	cr_assert_str_eq(use_store(1).uuid, before.uuid);
	cr_assert_eq(unlink(mark), 0);
	cr_assert_str_eq(use_store(1).uuid, before.uuid);
}

Test(store_mark, a_new_store_beside_the_note_of_a_removed_one_is_no_trouble)
{
	struct lf_incarnation before = use_store(3), after;

	cr_assert_eq(unlink(path), 0);
	after = use_store(1);
	cr_assert_str_neq(after.uuid, before.uuid);
	cr_assert_str_eq(use_store(1).uuid, after.uuid);
}
