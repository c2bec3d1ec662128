#include "agent/map/run_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/folder_fixture.h"

static char base[FOLDER_MAX];

static void make_base(void)
{
	new_folder(base);
}

Test(run_dir, a_given_directory_is_made_with_its_segments_for_the_owner_alone, .init = make_base)
{
	char given[PATH_MAX], segments[PATH_MAX + 16], found[PATH_MAX];
	struct stat st;

	(void)snprintf(given, sizeof(given), "%s/run", base);
	cr_assert_eq(lf_run_dir_find(found, given, NULL, LF_RUN_DIR_SHARED), 0);
	cr_assert_str_eq(found, given);
	(void)snprintf(segments, sizeof(segments), "%s/segments", given);
	cr_assert_eq(stat(segments, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
}

Test(run_dir, a_given_directory_that_others_may_write_is_refused_without_a_second_choice,
     .init = make_base)
{
	char found[PATH_MAX];

	cr_assert_eq(chmod(base, 0777), 0);
	cr_assert_eq(lf_run_dir_find(found, base, "/tmp", LF_RUN_DIR_SHARED), -EPERM);
}

Test(run_dir, a_symbolic_link_in_its_place_is_refused, .init = make_base)
{
	char link_path[PATH_MAX], found[PATH_MAX];

	(void)snprintf(link_path, sizeof(link_path), "%s/link", base);
	cr_assert_eq(symlink("/tmp", link_path), 0);
	cr_assert_lt(lf_run_dir_find(found, link_path, NULL, LF_RUN_DIR_SHARED), 0);
}

Test(run_dir, a_relative_path_is_refused)
{
	char found[PATH_MAX];

	cr_assert_eq(lf_run_dir_find(found, "run", NULL, LF_RUN_DIR_SHARED), -EINVAL);
}
