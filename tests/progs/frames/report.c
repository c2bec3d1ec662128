#include "tests/progs/frames/report.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

#include "hashing/frame.h"

void report_address(const char *label, const void *return_address)
{
	char frame[LF_FRAME_MAX];
	size_t len = lf_frame_of(return_address, frame);
	struct link_map *map = NULL;
	Dl_info info;

	/* Less one, as the return address may already belong to nobody. */
	(void)dladdr1((const char *)return_address - 1, &info, (void **)&map, RTLD_DL_LINKMAP);
	printf("%s\t%.*s\t%lx\n", label, (int)len, frame,
	       (unsigned long)return_address - (map ? map->l_addr : 0));
	(void)fflush(stdout);
}

void report(const char *label)
{
	report_address(label, __builtin_return_address(0));
}

void report_rarely(const char *label)
{
	report_address(label, __builtin_return_address(0));
}

void report_and_exit(const char *label)
{
	report_address(label, __builtin_return_address(0));
	exit(0);
}
