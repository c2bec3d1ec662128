#include "agent/cli/living.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/owner.h"

struct living {
	uint32_t *pids;
	unsigned count;
};

/* exec leaves a segment behind under the same pid: one process, counted once. */
static void add(struct living *living, uint32_t pid)
{
	uint32_t *larger;
	unsigned i;

	for (i = 0; i < living->count; i++)
		if (living->pids[i] == pid)
			return;
	larger = reallocarray(living->pids, living->count + 1, sizeof(*larger));
	if (!larger)
		return;
	living->pids = larger;
	living->pids[living->count++] = pid;
}

unsigned lf_living_count(const char *run_dir)
{
	struct living living = { 0 };
	struct lf_process_id owner;
	struct lf_host host;
	struct dirent *file;
	char path[PATH_MAX];
	DIR *segments;

	if (snprintf(path, sizeof(path), "%s/segments", run_dir) >= (int)sizeof(path))
		return 0;
	segments = opendir(path);
	if (!segments)
		return 0;
	lf_host_read(&host);
	/* As if every owner were of our pid namespace: in another one its id finds nobody, mostly. */
	while ((file = readdir(segments)))
		if (lf_process_id_parse(file->d_name, &owner) &&
		    !lf_owner_is_dead(&host, &owner, host.pid_namespace))
			add(&living, owner.pid);
	(void)closedir(segments);
	free(living.pids);
	return living.count;
}
