#include "agent/map/run_dir.h"

#include <string.h>

#include "hashing/decimal.h"
#include "hashing/sys.h"

/* The directory as an fd, made where it is missing and safe to use, or a negative errno. */
static int open_own(int at, const char *path)
{
	struct stat st;
	int fd, rc = lf_sys_mkdirat(at, path, 0700);

	if (rc < 0 && rc != -EEXIST)
		return rc;
	fd = lf_sys_openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = lf_sys_fstat(fd, &st);
	if (rc == 0 && (st.st_uid != lf_sys_geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))))
		rc = -EPERM;
	if (rc < 0) {
		(void)lf_sys_close(fd);
		return rc;
	}
	return fd;
}

int lf_run_dir_make(const char *path)
{
	int segments, fd = open_own(AT_FDCWD, path);

	if (fd < 0)
		return fd;
	segments = open_own(fd, LF_SEGMENTS_DIR);
	(void)lf_sys_close(fd);
	if (segments < 0)
		return segments;
	(void)lf_sys_close(segments);
	return 0;
}

static int try_path(char out[PATH_MAX], const char *base, const char *tail)
{
	size_t base_len = strlen(base), tail_len = strlen(tail);

	if (base[0] != '/')
		return -EINVAL;
	if (base_len + tail_len + 1 > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, base, base_len);
	memcpy(out + base_len, tail, tail_len + 1);
	return lf_run_dir_make(out);
}

int lf_run_dir_find(char out[PATH_MAX], const char *given, const char *xdg)
{
	char own[32] = "/logfold-";

	if (given && *given)
		return try_path(out, given, "");
	if (try_path(out, "/run", "/logfold") == 0)
		return 0;
	if (xdg && *xdg && try_path(out, xdg, "/logfold") == 0)
		return 0;
	*lf_decimal_put(own + strlen(own), lf_sys_geteuid()) = '\0';
	return try_path(out, "/tmp", own);
}
