#include "agent/map/flags.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/folder_fixture.h"

#define MUTE lf_rule_make(LF_RULE_MUTE, 0, 0)

static int new_dir(void)
{
	char path[FOLDER_MAX];

	new_folder(path);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static struct lf_flags_row row_of(unsigned number, const char *namespace)
{
	struct lf_flags_row row = { .namespace_key = lf_flags_namespace_key(namespace),
		                    .rule = MUTE };

	/* All on one starting cell, so that probing is needed. */
	memcpy(row.id.bytes + 8, &number, sizeof(number));
	return row;
}

static int look_up(const struct lf_flags *flags, const struct lf_flags_row *row)
{
	uint32_t generation;
	uint64_t rule;
	int rc = lf_flags_look_up(flags, &row->id, row->namespace_key, &generation, &rule);

	return rc < 0 ? rc : (int)rule;
}

Test(flags, a_process_sees_what_the_agent_published_through_its_own_mapping)
{
	int rc, dirfd = new_dir();
	const struct lf_flags *host = lf_flags_map(dirfd, 0, &rc);
	struct lf_flags *agent = lf_flags_map(dirfd, 1, &rc);
	struct lf_flags_row rows[] = { row_of(1, "a"), row_of(2, "a"), row_of(3, "a") };

	cr_assert(host && agent);
	cr_assert_eq(look_up(host, &rows[1]), 0);
	cr_assert_eq(lf_flags_publish(agent, rows, 3), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(look_up(host, &rows[i]), (int)MUTE);
	cr_assert_eq(lf_flags_publish(agent, rows, 1), 0);
	cr_assert_eq(look_up(host, &rows[0]), (int)MUTE);
	cr_assert_eq(look_up(host, &rows[2]), 0);
}

Test(flags, the_same_id_in_another_namespace_is_another_entry)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	struct lf_flags_row ours = row_of(1, "a"), theirs = row_of(1, "b");

	cr_assert_eq(lf_flags_publish(flags, &ours, 1), 0);
	cr_assert_eq(look_up(flags, &ours), (int)MUTE);
	cr_assert_eq(look_up(flags, &theirs), 0);
}

static uint32_t generation_after(struct lf_flags *flags, const struct lf_flags_row *rows, size_t count)
{
	uint32_t generation = 0;
	uint64_t rule;

	cr_assert_eq(lf_flags_publish(flags, rows, count), 0);
	cr_assert_eq(lf_flags_look_up(flags, &rows->id, rows->namespace_key, &generation, &rule), 0);
	return generation;
}

Test(flags, each_change_has_a_new_even_generation)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	struct lf_flags_row rows[] = { row_of(1, "a"), row_of(2, "a") };
	uint32_t first = generation_after(flags, rows, 1), second = generation_after(flags, rows, 2);

	cr_assert_eq(first % 2, 0);
	cr_assert_eq(second % 2, 0);
	cr_assert_gt(second, first);
	cr_assert_gt(generation_after(flags, rows + 1, 1), second);
}

Test(flags, what_the_table_says_already_is_no_change)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	struct lf_flags_row rows[] = { row_of(1, "a"), row_of(2, "a") };
	uint32_t first = generation_after(flags, rows, 2);
	struct lf_flags_row turned[] = { rows[1], rows[0] };

	cr_assert_eq(generation_after(flags, turned, 2), first);
	cr_assert_neq(generation_after(flags, rows, 1), first);
}

Test(flags, a_row_that_says_what_the_default_rule_says_is_published_all_the_same)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	uint64_t fold = lf_rule_make(LF_RULE_FOLD, 0, 1000);
	struct lf_flags_row muted = row_of(1, "a"), folded = row_of(2, "a");

	folded.rule = fold;
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "", .rule = fold });
	cr_assert_eq(lf_flags_publish(flags, &muted, 1), 0);
	cr_assert_eq(lf_flags_publish(flags, &folded, 1), 0);
	cr_assert_neq(look_up(flags, &muted), (int)MUTE);
}

Test(flags, a_table_whose_writer_died_halfway_is_not_believed_until_the_next_publication)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	struct lf_flags_row row = row_of(1, "a");

	atomic_fetch_add(&flags->generation, 1);
	cr_assert_eq(look_up(flags, &row), -EAGAIN);
	cr_assert_eq(lf_flags_publish(flags, &row, 1), 0);
	cr_assert_eq(look_up(flags, &row), (int)MUTE);
}

Test(flags, more_rows_than_fit_are_refused_and_change_nothing)
{
	static struct lf_flags_row rows[LF_FLAGS_ROWS_MAX + 1];
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	for (unsigned i = 0; i <= LF_FLAGS_ROWS_MAX; i++)
		rows[i] = row_of(i, "a");
	cr_assert_eq(lf_flags_publish(flags, rows, 1), 0);
	cr_assert_eq(lf_flags_publish(flags, rows, LF_FLAGS_ROWS_MAX + 1), -ENOSPC);
	cr_assert_eq(look_up(flags, &rows[0]), (int)MUTE);
	cr_assert_eq(lf_flags_publish(flags, rows, LF_FLAGS_ROWS_MAX), 0);
	cr_assert_eq(look_up(flags, &rows[LF_FLAGS_ROWS_MAX - 1]), (int)MUTE);
}

Test(flags, a_file_that_is_no_table_is_refused)
{
	int rc, dirfd = new_dir();
	int fd = openat(dirfd, LF_FLAGS_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, "hello", 5), 5);
	cr_assert_null(lf_flags_map(dirfd, 0, &rc));
	cr_assert_eq(rc, -EBADMSG);
	cr_assert_eq(ftruncate(fd, sizeof(struct lf_flags)), 0);
	cr_assert_null(lf_flags_map(dirfd, 0, &rc));
	cr_assert_eq(rc, -EBADMSG);
}

Test(flags, a_table_of_another_version_is_replaced_by_the_agent_and_by_nobody_else)
{
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	flags->layout++;
	cr_assert_null(lf_flags_map(dirfd, 0, &rc));
	cr_assert_eq(rc, -EBADMSG);
	cr_assert_not_null(lf_flags_map(dirfd, 1, &rc));
	cr_assert_not_null(lf_flags_map(dirfd, 0, &rc));
	cr_assert_eq(rc, 0);
}

Test(flags, a_process_takes_the_namespace_that_the_agent_says)
{
	char namespace[LF_NAMESPACE_MAX + 1];
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	cr_assert_not(lf_flags_namespace(flags, namespace));
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "shop" });
	cr_assert(lf_flags_namespace(flags, namespace));
	cr_assert_str_eq(namespace, "shop");
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "a" });
	cr_assert(lf_flags_namespace(flags, namespace));
	cr_assert_str_eq(namespace, "a");
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "" });
	cr_assert_not(lf_flags_namespace(flags, namespace));
}

Test(flags, a_process_that_starts_while_rows_are_rewritten_takes_namespace_and_wrappers)
{
	char namespace[LF_NAMESPACE_MAX + 1], wrappers[LF_SKIP_FRAMES_MAX];
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "shop",
	                                                          .skip_frames = "say\n" });
	atomic_fetch_add(&flags->generation, 1);
	cr_assert(lf_flags_namespace(flags, namespace));
	cr_assert_str_eq(namespace, "shop");
	cr_assert(lf_flags_skip_frames(flags, wrappers));
	cr_assert_str_eq(wrappers, "say\n");
}

Test(flags, texts_whose_writer_died_halfway_are_not_believed_until_the_next_one)
{
	const struct lf_flags_defaults defaults = { .namespace = "shop" };
	char namespace[LF_NAMESPACE_MAX + 1];
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);

	lf_flags_set_defaults(flags, &defaults);
	atomic_fetch_add(&flags->texts, 1);
	cr_assert_not(lf_flags_namespace(flags, namespace));
	lf_flags_set_defaults(flags, &defaults);
	cr_assert(lf_flags_namespace(flags, namespace));
}

static void *change_texts(void *arg)
{
	struct lf_flags *flags = arg;

	for (unsigned i = 0; i < 20000; i++)
		lf_flags_set_defaults(flags, &(struct lf_flags_defaults){
			.namespace = i % 2 ? "a" : "another",
			.skip_frames = i % 2 ? "say\nemit\n" : "log_info\n" });
	return NULL;
}

Test(flags, texts_that_change_all_the_time_are_read_whole)
{
	char namespace[LF_NAMESPACE_MAX + 1];
	int rc, dirfd = new_dir();
	struct lf_flags *flags = lf_flags_map(dirfd, 1, &rc);
	pthread_t writer;

	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){ .namespace = "a" });
	cr_assert_eq(pthread_create(&writer, NULL, change_texts, flags), 0);
	for (unsigned i = 0; i < 2000; i++)
		if (lf_flags_namespace(flags, namespace)) /* not where the writer has lost its turn */
			cr_assert(strcmp(namespace, "a") == 0 || strcmp(namespace, "another") == 0,
			          "it says '%s'", namespace);
	(void)pthread_join(writer, NULL);
	cr_assert(lf_flags_namespace(flags, namespace));
}
