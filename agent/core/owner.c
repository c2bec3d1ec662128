#include "agent/core/owner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void lf_host_read(struct lf_host *out)
{
	struct lf_process_id self;

	lf_process_id_read(&self, 0);
	memcpy(out->boot_id, self.boot_id, sizeof(out->boot_id));
	out->pid_namespace = self.pid_namespace;
}

static bool is_known(const char boot_id[33])
{
	return strspn(boot_id, "0") != 32;
}

bool lf_owner_is_of_another_boot(const struct lf_host *host, const struct lf_process_id *owner)
{
	return is_known(host->boot_id) && is_known(owner->boot_id) &&
	       strcmp(host->boot_id, owner->boot_id) != 0;
}

/* Without /proc, or where it hides other users' processes, only the id itself can be asked for. */
static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Whether its start time is on our clock: a time namespace may shift it.  Not when nobody can tell. */
static bool has_our_clock(uint32_t pid)
{
	char path[32];
	struct stat ours, its;

	(void)snprintf(path, sizeof(path), "/proc/%u/ns/time", pid);
	if (stat("/proc/self/ns/time", &ours) < 0)
		return errno == ENOENT; /* a kernel without them */
	return stat(path, &its) == 0 && ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

static bool process_is_dead(const struct lf_process_id *owner)
{
	uint64_t threads = 0, start_time = 0;
	char state = 0;

	if (!lf_process_stat(owner->pid, &state, &threads, &start_time))
		return is_gone((pid_t)owner->pid);
	if (owner->start_time && start_time != owner->start_time)
		return has_our_clock(owner->pid); /* the id was given to another process */
	return (state == 'Z' || state == 'X') && threads <= 1;
}

bool lf_owner_is_dead(const struct lf_host *host, const struct lf_process_id *owner,
                      uint64_t pid_namespace)
{
	if (lf_owner_is_of_another_boot(host, owner))
		return true;
	if (pid_namespace == 0 || pid_namespace != host->pid_namespace)
		return false; /* its process id means nothing to us */
	return owner->pid > 0 && owner->pid <= INT32_MAX && process_is_dead(owner);
}

void lf_owner_unwatch(int *watch)
{
	if (*watch >= 0)
		(void)close(*watch);
	*watch = -1;
}

/* The other half is for those who cannot do without. */
static bool is_one_too_many(int fd)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t)fd >= limit.rlim_cur / 2;
}

static void begin_watch(const struct lf_process_id *owner, int *watch)
{
	*watch = (int)syscall(SYS_pidfd_open, (pid_t)owner->pid, 0); /* glibc has a function since 2.36 */
	if (*watch >= 0 && is_one_too_many(*watch))
		lf_owner_unwatch(watch);
}

/* True only when it is certain. */
static bool is_seen_alive(int watch)
{
	struct pollfd fd = { watch, POLLIN, 0 };

	return watch >= 0 && poll(&fd, 1, 0) == 0;
}

bool lf_owner_has_died(const struct lf_host *host, const struct lf_process_id *owner,
                       uint64_t pid_namespace, int *watch)
{
	bool dead;

	if (is_seen_alive(*watch))
		return false;
	lf_owner_unwatch(watch);
	/* Before it is looked at: what is found alive then is what is watched, whoever gets its id later. */
	if (pid_namespace != 0 && pid_namespace == host->pid_namespace)
		begin_watch(owner, watch);
	dead = lf_owner_is_dead(host, owner, pid_namespace);
	if (dead)
		lf_owner_unwatch(watch);
	return dead;
}
