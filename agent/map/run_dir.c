#include "agent/map/run_dir.h"

#include <string.h>

#include "hashing/decimal.h"
#include "hashing/sys.h"

static bool is_written_by_others(const struct stat *st)
{
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

static int make(int at, const char *path)
{
	int rc = lf_sys_mkdirat(at, path, 0700);

	return rc == -EEXIST ? 0 : rc;
}

/* An fd that only names the directory: a shared one cannot be opened to be read. */
static int open_dir(int at, const char *path, struct stat *st)
{
	int fd = lf_sys_openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	int rc = fd < 0 ? fd : lf_sys_fstat(fd, st);

	if (fd >= 0 && rc < 0)
		(void)lf_sys_close(fd);
	return rc < 0 ? rc : fd;
}

static int judge(const struct stat *base, const struct stat *segments, enum lf_run_dir_kind *kind)
{
	if (is_written_by_others(base) || segments->st_uid != base->st_uid)
		return -EPERM;
	if ((segments->st_mode & 07777) == LF_SEGMENTS_SHARED_MODE)
		*kind = LF_RUN_DIR_SHARED;
	else if (base->st_uid == lf_sys_geteuid() && !is_written_by_others(segments))
		*kind = LF_RUN_DIR_OWN;
	else
		return -EPERM;
	return 0;
}

int lf_run_dir_open_segments(const char *path, enum lf_run_dir_kind *kind)
{
	struct stat base_st, st;
	int rc, segments, base = open_dir(AT_FDCWD, path, &base_st);

	if (base < 0)
		return base;
	segments = open_dir(base, LF_SEGMENTS_DIR, &st);
	(void)lf_sys_close(base);
	if (segments < 0)
		return segments;
	rc = judge(&base_st, &st, kind);
	if (rc == 0)
		return segments;
	(void)lf_sys_close(segments);
	return rc;
}

/* Makes nothing in what is somebody else's. */
static int make_missing(const char *path)
{
	struct stat st;
	int fd, rc = make(AT_FDCWD, path);

	if (rc < 0)
		return rc;
	fd = open_dir(AT_FDCWD, path, &st);
	if (fd < 0)
		return fd;
	if (st.st_uid == lf_sys_geteuid())
		rc = is_written_by_others(&st) ? -EPERM : make(fd, LF_SEGMENTS_DIR);
	(void)lf_sys_close(fd);
	return rc;
}

static int make_and_check(const char *path, enum lf_run_dir_kind *kind)
{
	int fd, rc = make_missing(path);

	if (rc < 0)
		return rc;
	fd = lf_run_dir_open_segments(path, kind);
	if (fd < 0)
		return fd;
	(void)lf_sys_close(fd);
	return 0;
}

int lf_run_dir_make(const char *path)
{
	enum lf_run_dir_kind kind;

	return make_and_check(path, &kind);
}

bool lf_run_dir_is_anothers(const char *path)
{
	enum lf_run_dir_kind kind;
	struct stat st;
	int rc, fd = lf_run_dir_open_segments(path, &kind);

	if (fd < 0)
		return false;
	rc = lf_sys_fstat(fd, &st);
	(void)lf_sys_close(fd);
	return rc == 0 && kind == LF_RUN_DIR_SHARED && st.st_uid != lf_sys_geteuid();
}

/* -EREMOTE: it is good, but somebody else's. */
static int try_path(char out[PATH_MAX], const char *base, const char *tail,
                    enum lf_run_dir_kind accepted)
{
	size_t base_len = strlen(base), tail_len = strlen(tail);
	enum lf_run_dir_kind kind;
	int rc;

	if (base[0] != '/')
		return -EINVAL;
	if (base_len + tail_len + 1 > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, base, base_len);
	memcpy(out + base_len, tail, tail_len + 1);
	rc = make_and_check(out, &kind);
	if (rc == 0 && accepted == LF_RUN_DIR_OWN && lf_run_dir_is_anothers(out))
		rc = -EREMOTE;
	return rc;
}

int lf_run_dir_find(char out[PATH_MAX], const char *given, const char *xdg,
                    enum lf_run_dir_kind accepted)
{
	char own[32] = "/logfold-";

	if (given && *given) {
		int rc = try_path(out, given, "", accepted);

		if (rc != -EREMOTE)
			return rc;
	}
	if (try_path(out, "/run", "/logfold", accepted) == 0)
		return 0;
	if (xdg && *xdg && try_path(out, xdg, "/logfold", LF_RUN_DIR_OWN) == 0)
		return 0;
	*lf_decimal_put(own + strlen(own), lf_sys_geteuid()) = '\0';
	return try_path(out, "/tmp", own, LF_RUN_DIR_OWN);
}
