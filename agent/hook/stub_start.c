/* The library's constructor. */
#include <string.h>
#include <unistd.h>

#include "agent/hook/console.h"
#include "agent/hook/process.h"
#include "hashing/sys.h"

/* Children inherit which files are consoles by the environment.  Ours is the environment's array
 * itself, copied and extended, because putenv would call the host's malloc. */
static void hand_streams_to_children(void)
{
	static char variable[128] = "LOGFOLD_STREAMS=";
	const char *streams = lf_console_streams_for_children();
	size_t count = 0;
	char **longer;
	void *memory;

	if (!*streams || !environ)
		return;
	while (environ[count])
		count++;
	if (lf_sys_mmap(NULL, (count + 2) * sizeof(*environ), PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
		return;
	memcpy(variable + strlen("LOGFOLD_STREAMS="), streams, strlen(streams) + 1);
	longer = memory;
	memcpy(longer, environ, count * sizeof(*environ));
	longer[count] = variable;
	environ = longer;
}

__attribute__((constructor)) static void start(void)
{
	lf_process_start();
	hand_streams_to_children();
}
