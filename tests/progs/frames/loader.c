/* Loads libraries at run time and lets them call back.  Its arguments are done one after another:
 *
 *   call PATH FUNCTION   dlopen, call, dlclose; prints where the library lay
 *   open PATH            dlopen, and keep it open
 *   now FUNCTION         call it in the library that was opened last
 *   chdir PATH
 *   replace OLD NEW      rename NEW to OLD
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/progs/frames/report.h"

static void *library;

static void *must(void *result)
{
	if (!result) {
		(void)fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return result;
}

static void call(const char *function)
{
	int (*found)(report_fn *) = (int (*)(report_fn *))must(dlsym(library, function));

	(void)found(report);
}

static int step(char **argument)
{
	struct link_map *map = NULL;

	if (strcmp(argument[0], "call") == 0) {
		library = must(dlopen(argument[1], RTLD_NOW));
		call(argument[2]);
		(void)dlinfo(library, RTLD_DI_LINKMAP, &map);
		printf("at\t%s\t%lx\n", argument[1], (unsigned long)map->l_addr);
		(void)dlclose(library);
		return 3;
	}
	if (strcmp(argument[0], "now") == 0) {
		call(argument[1]);
		return 2;
	}
	if (strcmp(argument[0], "open") == 0) {
		library = must(dlopen(argument[1], RTLD_NOW));
		return 2;
	}
	if (strcmp(argument[0], "chdir") == 0)
		return chdir(argument[1]) == 0 ? 2 : 0;
	return rename(argument[2], argument[1]) == 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
	int i, taken;

	for (i = 1; i < argc; i += taken) {
		taken = step(argv + i);
		if (taken == 0) {
			perror(argv[i]);
			return 1;
		}
	}
	return 0;
}
