#include "agent/core/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/map/flags.h"
#include "agent/map/run_dir.h"

#define LOCK "lock"
#define NEW_PREFIX ".new-" /* an own directory that is still being filled */

enum {
	RANDOM_HEX = 16,
	CREATE_TRIES = 8,
	DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

struct lf_rundir {
	int fd, lock_fd, segments_fd, quarantine_fd; /* -1: not open */
	bool shared;
	char path[PATH_MAX];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

const char *lf_rundir_path(const struct lf_rundir *dir)
{
	return dir->path;
}

int lf_rundir_fd(const struct lf_rundir *dir)
{
	return dir->fd;
}

int lf_rundir_segments_fd(const struct lf_rundir *dir)
{
	return dir->segments_fd;
}

int lf_rundir_quarantine_fd(const struct lf_rundir *dir)
{
	return dir->quarantine_fd;
}

/* A prefix and 16 hex digits. */
static bool is_random_name(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 && strlen(name) == len + RANDOM_HEX &&
	       strspn(name + len, "0123456789abcdef") == RANDOM_HEX;
}

bool lf_rundir_is_own(const struct lf_rundir *dir)
{
	return is_random_name(strrchr(dir->path, '/') + 1, LF_RUNDIR_OWN_PREFIX);
}

/* ---- The base directory ---- */

static int check_owner(int fd, const char *path, struct lf_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return lf_fail(err, -errno, "directory '%s' cannot be examined: %s", path,
		               strerror(errno));
	if (st.st_uid != geteuid())
		return lf_fail(err, -EPERM, "directory '%s' belongs to another user: set " LF_RUNDIR_ENV
		                            " to one of your own", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return lf_fail(err, -EPERM, "directory '%s' can be written by others: take that away "
		                            "(chmod go-w), or set " LF_RUNDIR_ENV " to another", path);
	return 0;
}

/* An fd of the directory, which is ours. */
static int open_checked(const char *path, enum lf_rundir_mode mode, struct lf_error *err)
{
	int fd, rc;

	if (mode == LF_RUNDIR_CREATE && mkdir(path, 0700) < 0 && errno != EEXIST)
		return lf_fail(err, -errno, "run directory '%s' cannot be made (%s): set " LF_RUNDIR_ENV
		                            " to a place where it can", path, strerror(errno));
	fd = open(path, DIR_FLAGS);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return lf_fail(err, -EPERM, "'%s' is not a directory: remove it, or set " LF_RUNDIR_ENV
		                            " to another place", path);
	if (fd < 0)
		return lf_fail(err, -errno, "run directory '%s' cannot be opened: %s", path,
		               strerror(errno));
	rc = check_owner(fd, path, err);
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

/* What is wrong with the directory that was named, or with the last one that was tried. */
static int explain(const char *named, int why, struct lf_error *err)
{
	char path[PATH_MAX];
	int fd;

	if (named && named[0] && named[0] != '/')
		return lf_fail(err, why, LF_RUNDIR_ENV " is '%s': it must be an absolute path", named);
	if (named && named[0])
		(void)snprintf(path, sizeof(path), "%s", named);
	else
		(void)snprintf(path, sizeof(path), "/tmp/logfold-%u", (unsigned)geteuid());
	fd = open_checked(path, LF_RUNDIR_CREATE, err);
	if (fd < 0)
		return fd;
	(void)close(fd);
	return lf_fail(err, why, "run directory '%s' cannot be used: %s", path, strerror(-why));
}

int lf_rundir_base(char out[PATH_MAX], struct lf_error *err)
{
	const char *named = getenv(LF_RUNDIR_ENV);
	char path[PATH_MAX];
	int rc = lf_run_dir_find(path, named, getenv("XDG_RUNTIME_DIR"), LF_RUN_DIR_OWN);

	if (rc < 0)
		return explain(named, rc, err);
	if (!realpath(path, out))
		return lf_fail(err, -errno, "run directory '%s' is out of reach: %s", path,
		               strerror(errno));
	return 0;
}

/* ---- Opening ---- */

int lf_rundir_open(struct lf_rundir **out, const char *path, enum lf_rundir_mode mode,
                   struct lf_error *err)
{
	struct lf_rundir *dir = malloc(sizeof(*dir));
	int rc;

	if (!dir)
		return lf_fail(err, -ENOMEM, "there is no memory for run directory '%s'", path);
	*dir = (struct lf_rundir){ -1, -1, -1, -1, false, "" };
	rc = dir->fd = open_checked(path, mode, err);
	if (rc >= 0 && !realpath(path, dir->path))
		rc = lf_fail(err, -errno, "run directory '%s' is out of reach: %s", path,
		             strerror(errno));
	if (rc < 0) {
		lf_rundir_close(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

static int open_below(const struct lf_rundir *dir, const char *name, int *out,
                      struct lf_error *err)
{
	if (mkdirat(dir->fd, name, 0700) < 0 && errno != EEXIST)
		return lf_fail(err, -errno, "directory '%s/%s' cannot be made: %s", dir->path, name,
		               strerror(errno));
	*out = openat(dir->fd, name, DIR_FLAGS);
	if (*out < 0)
		return lf_fail(err, -errno, "directory '%s/%s' cannot be opened: %s", dir->path, name,
		               strerror(errno));
	return 0;
}

/* An agent that removes its directory removes the lock file, too: a lock on what is no longer
 * there is none. */
static bool lock_is_there(const struct lf_rundir *dir)
{
	struct stat held, named;

	return fstat(dir->lock_fd, &held) == 0 &&
	       fstatat(dir->fd, LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static int cannot_lock(const struct lf_rundir *dir, int why, struct lf_error *err)
{
	if (why == EWOULDBLOCK)
		return lf_fail(err, -EBUSY, "run directory '%s' is in the hands of another agent", dir->path);
	return lf_fail(err, -why, "run directory '%s' cannot be locked (%s): set " LF_RUNDIR_ENV
	                          " to another file system", dir->path, strerror(why));
}

static bool has_shared_segments(const struct lf_rundir *dir)
{
	struct stat st;

	return fstat(dir->segments_fd, &st) == 0 &&
	       (st.st_mode & 07777) == LF_SEGMENTS_SHARED_MODE;
}

int lf_rundir_lock(struct lf_rundir *dir, struct lf_error *err)
{
	int rc = 0;

	dir->lock_fd = openat(dir->fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0)
		return lf_fail(err, -errno, "lock '%s/" LOCK "' cannot be opened: %s", dir->path,
		               strerror(errno));
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0)
		rc = cannot_lock(dir, errno, err);
	else if (!lock_is_there(dir))
		rc = lf_fail(err, -ENOENT, "run directory '%s' is being removed", dir->path);
	if (rc == 0)
		rc = open_below(dir, LF_SEGMENTS_DIR, &dir->segments_fd, err);
	if (rc == 0)
		rc = open_below(dir, LF_QUARANTINE_DIR, &dir->quarantine_fd, err);
	if (rc < 0)
		lf_rundir_unlock(dir);
	else
		dir->shared = has_shared_segments(dir);
	return rc;
}

void lf_rundir_unlock(struct lf_rundir *dir)
{
	close_fd(&dir->segments_fd);
	close_fd(&dir->quarantine_fd);
	close_fd(&dir->lock_fd); /* last, as it lets others in */
}

/* ---- For many users ---- */

bool lf_rundir_is_shared(const struct lf_rundir *dir)
{
	return dir->shared;
}

/* A table that a process finds missing it does without for all its life, so it is there first. */
static int share_flags(const struct lf_rundir *dir)
{
	int rc;
	struct lf_flags *flags = lf_flags_map(dir->fd, 1, &rc);

	if (!flags)
		return rc;
	lf_flags_unmap(flags);
	return fchmodat(dir->fd, LF_FLAGS_FILE, 0644, 0) < 0 ? -errno : 0;
}

/* Only where it must be: a service that may call no chown(2) has the right group from the start. */
static int give_to_our_group(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_gid != getegid() && fchown(fd, (uid_t)-1, getegid()) < 0 ? -errno : 0;
}

/* The base last: until then nobody else can reach what is in it. */
static int open_to_all(const struct lf_rundir *dir)
{
	int rc = share_flags(dir);

	if (rc == 0)
		rc = give_to_our_group(dir->segments_fd);
	if (rc < 0)
		return rc;
	/* The kernel drops setgid in silence where the group is not the caller's: then it is not shared. */
	if (fchmod(dir->segments_fd, LF_SEGMENTS_SHARED_MODE) < 0)
		return -errno;
	if (!has_shared_segments(dir))
		return -EPERM;
	return fchmod(dir->fd, 0755) < 0 ? -errno : 0;
}

static int keep_others_out(const struct lf_rundir *dir)
{
	return fchmod(dir->fd, 0700) < 0 || fchmod(dir->segments_fd, 0700) < 0 ? -errno : 0;
}

int lf_rundir_share(struct lf_rundir *dir, bool shared, struct lf_error *err)
{
	int rc = shared ? open_to_all(dir) : dir->shared ? keep_others_out(dir) : 0;

	if (rc < 0)
		return lf_fail(err, rc, "run directory '%s' cannot be %s (%s): set run_dir in agent.toml to "
		                        "another file system", dir->path,
		               shared ? "opened to all users" : "closed to other users", strerror(-rc));
	/* Theirs may still be there. */
	dir->shared |= shared;
	return 0;
}

void lf_rundir_close(struct lf_rundir *dir)
{
	if (!dir)
		return;
	lf_rundir_unlock(dir);
	close_fd(&dir->fd);
	free(dir);
}

/* ---- A directory of one's own ---- */

static int random_hex(char out[RANDOM_HEX + 1])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -EIO;
	(void)snprintf(out, RANDOM_HEX + 1, "%016llx", (unsigned long long)number);
	return 0;
}

/* Calls `each` with the fd of the directory's parent and each name in it that is `prefix` and hex. */
static int each_named(const char *parent, const char *prefix,
                      int (*each)(void *arg, const char *name), void *arg, struct lf_error *err)
{
	DIR *listing = opendir(parent);
	struct dirent *entry;
	int rc = 0;

	if (!listing)
		return lf_fail(err, -errno, "run directory '%s' cannot be read: %s", parent,
		               strerror(errno));
	while (rc == 0 && (entry = readdir(listing)))
		if (is_random_name(entry->d_name, prefix))
			rc = each(arg, entry->d_name);
	(void)closedir(listing);
	return rc;
}

/* What an agent left behind that died while it made its directory. */
static int sweep_one(void *arg, const char *name)
{
	const char *base = arg;
	struct lf_rundir *dir;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", base, name) >= (int)sizeof(path) ||
	    lf_rundir_open(&dir, path, LF_RUNDIR_EXISTING, NULL) < 0)
		return 0;
	if (lf_rundir_lock(dir, NULL) == 0)
		(void)lf_rundir_remove(dir);
	lf_rundir_close(dir);
	return 0;
}

static int publish(struct lf_rundir *dir, const char *base, const char *hex, struct lf_error *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" LF_RUNDIR_OWN_PREFIX "%s", base, hex) >=
	    (int)sizeof(path))
		return lf_fail(err, -ENAMETOOLONG, "the path of run directory '%s' is too long", base);
	if (rename(dir->path, path) < 0)
		return lf_fail(err, -errno, "run directory '%s' cannot be made: %s", path,
		               strerror(errno));
	memcpy(dir->path, path, sizeof(path));
	return 0;
}

static int create_new(struct lf_rundir **out, const char *base, char hex[RANDOM_HEX + 1],
                      struct lf_error *err)
{
	char path[PATH_MAX];
	int rc;

	if (random_hex(hex) < 0)
		return lf_fail(err, -EIO, "the kernel gives no random numbers");
	if (snprintf(path, sizeof(path), "%s/" NEW_PREFIX "%s", base, hex) >= (int)sizeof(path))
		return lf_fail(err, -ENAMETOOLONG, "the path of run directory '%s' is too long", base);
	rc = lf_rundir_open(out, path, LF_RUNDIR_CREATE, err);
	if (rc < 0)
		return rc;
	rc = lf_rundir_lock(*out, err);
	if (rc == 0)
		return 0;
	lf_rundir_close(*out);
	*out = NULL;
	return rc;
}

int lf_rundir_create_own(struct lf_rundir **out, const char *base,
                         int (*prepare)(struct lf_rundir *dir, void *arg, struct lf_error *err),
                         void *arg, struct lf_error *err)
{
	struct lf_rundir *dir = NULL;
	char hex[RANDOM_HEX + 1];
	int rc = -ENOENT;

	(void)each_named(base, NEW_PREFIX, sweep_one, (void *)(uintptr_t)base, NULL);
	/* Another program's sweep may take ours for a dead one's before we have the lock. */
	for (int tries = 0; tries < CREATE_TRIES && (rc == -ENOENT || rc == -EBUSY); tries++)
		rc = create_new(&dir, base, hex, err);
	if (rc < 0)
		return rc;
	if (prepare)
		rc = prepare(dir, arg, err);
	if (rc == 0)
		rc = publish(dir, base, hex, err);
	if (rc < 0) {
		(void)lf_rundir_remove(dir);
		lf_rundir_close(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

static bool holds_nothing(int fd)
{
	int copy = openat(fd, ".", DIR_FLAGS);
	DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry = NULL;

	if (!listing) {
		close_fd(&copy);
		return false;
	}
	while ((entry = readdir(listing)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			break;
	(void)closedir(listing);
	return !entry;
}

bool lf_rundir_is_empty(const struct lf_rundir *dir)
{
	return holds_nothing(dir->segments_fd);
}

/* First what the kernel refuses to remove while something is in it: once segments/ is gone no
 * process can put anything there.  The lock goes last: who takes it then sees that it is gone. */
int lf_rundir_remove(struct lf_rundir *dir)
{
	static const char *const files[] = { "control", "flags", "stamp", "stamp.new", LOCK };

	if (unlinkat(dir->fd, LF_QUARANTINE_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -ENOTEMPTY;
	if (unlinkat(dir->fd, LF_SEGMENTS_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		(void)mkdirat(dir->fd, LF_QUARANTINE_DIR, 0700);
		return -ENOTEMPTY;
	}
	for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++)
		(void)unlinkat(dir->fd, files[i], 0);
	return rmdir(dir->path) < 0 ? -errno : 0;
}

/* ---- All of them ---- */

struct walk {
	const char *base;
	int (*each)(void *arg, const char *path);
	void *arg;
};

static int visit(void *arg, const char *name)
{
	const struct walk *walk = arg;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", walk->base, name) >= (int)sizeof(path))
		return 0;
	return walk->each(walk->arg, path);
}

int lf_rundir_each(const char *base, int (*each)(void *arg, const char *path), void *arg,
                   struct lf_error *err)
{
	struct walk walk = { base, each, arg };
	int rc = each(arg, base);

	return rc ? rc : each_named(base, LF_RUNDIR_OWN_PREFIX, visit, &walk, err);
}
