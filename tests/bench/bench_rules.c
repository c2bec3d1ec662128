/* Gives every message of a run directory one rule, as its agent would:
 *
 *   bench_rules DIR mute | sample N | limit N MS | fold MS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/map/flags.h"

static uint64_t rule_of(int argc, char **argv)
{
	uint32_t first = argc > 1 ? (uint32_t)atoi(argv[1]) : 0, second = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;

	if (strcmp(argv[0], "mute") == 0 && argc == 1)
		return lf_rule_make(LF_RULE_MUTE, 0, 0);
	if (strcmp(argv[0], "sample") == 0 && argc == 2)
		return lf_rule_make(LF_RULE_SAMPLE, first, 0);
	if (strcmp(argv[0], "limit") == 0 && argc == 3)
		return lf_rule_make(LF_RULE_LIMIT, first, second);
	if (strcmp(argv[0], "fold") == 0 && argc == 2)
		return lf_rule_make(LF_RULE_FOLD, 0, first);
	return 0;
}

int main(int argc, char **argv)
{
	struct lf_flags_defaults defaults = { .namespace = "" };
	struct lf_flags *flags;
	int dirfd, rc = 0;

	if (argc > 2)
		defaults.rule = rule_of(argc - 2, argv + 2);
	if (!defaults.rule) {
		(void)fprintf(stderr, "usage: bench_rules DIR mute | sample N | limit N MS | fold MS\n");
		return 64;
	}
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flags = dirfd < 0 ? NULL : lf_flags_map(dirfd, 1, &rc);
	if (!flags) {
		(void)fprintf(stderr, "bench_rules: no flags table in '%s': %s\n", argv[1],
			      strerror(dirfd < 0 ? errno : -rc));
		return 1;
	}
	lf_flags_set_defaults(flags, &defaults);
	lf_flags_unmap(flags);
	return 0;
}
