#include "agent/map/process_id.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

Test(process_id, a_name_tells_boot_pid_and_start_time_of_its_process)
{
	const uint8_t random[16] = { 0xab, 1, 2, 3 };
	struct lf_process_id self, read_back;
	char name[LF_SEGMENT_NAME_MAX];

	lf_process_id_read(&self, 0);
	lf_process_id_name(&self, random, name);
	cr_assert(lf_process_id_parse(name, &read_back), "%s", name);
	cr_assert_str_eq(read_back.boot_id, self.boot_id);
	cr_assert_eq(read_back.pid, (uint32_t)getpid());
	cr_assert_eq(read_back.start_time, self.start_time);
	cr_assert_neq(self.start_time, 0);
	cr_assert_neq(self.pid_namespace, 0);
}

Test(process_id, a_name_of_another_shape_is_refused)
{
	static const char boot[] = "0123456789abcdef0123456789abcdef";
	static const char *const tails[] = {
		"",
		"-1-2.seg",
		"-1-2-0123456789abcdef0123456789abcde.seg",
		"-1-2-0123456789abcdef0123456789abcdef",
		"-1-2-0123456789ABCDEF0123456789abcdef.seg",
		"-1-2-0123456789abcdef0123456789abcdef.seg.",
		"--2-0123456789abcdef0123456789abcdef.seg",
		"-4294967296-2-0123456789abcdef0123456789abcdef.seg",
		"-1-99999999999999999999-0123456789abcdef0123456789abcdef.seg",
	};
	struct lf_process_id id;
	char name[256];

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", boot, tails[i]);
		cr_assert_not(lf_process_id_parse(name, &id), "%s", name);
	}
}

Test(process_id, a_stat_line_is_read_behind_any_command_name)
{
	static const char stat[] = "7 (a) b) Z (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 "
				   "3 18 987654 20 21";
	uint64_t threads = 0, start_time = 0;
	char state = 0;

	cr_assert(lf_process_stat_parse((struct lf_text){ stat, sizeof(stat) - 1 }, &state,
	                                &threads, &start_time));
	cr_assert_eq(state, 'S');
	cr_assert_eq(threads, 3);
	cr_assert_eq(start_time, 987654);
	cr_assert_not(lf_process_stat_parse((struct lf_text){ stat, 20 }, &state, &threads,
	                                    &start_time));
}
