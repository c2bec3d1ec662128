/* Reserving room in a shared file before it is mapped: a full file system is an error code then, and
 * never SIGBUS.
 *
 * Beyond the process's RLIMIT_FSIZE (ulimit -f) the kernel not only refuses but sends SIGXFSZ, which
 * would end a host that did nothing wrong.  So the limit is asked for first.
 */
#ifndef LOGFOLD_MAP_RESERVE_H
#define LOGFOLD_MAP_RESERVE_H

#include <sys/resource.h>

#include "hashing/sys.h"
#include "logfold/error.h"

/* -EFBIG beyond the limit, -ENOSPC where the file system is full. */
LF_MUST_CHECK static inline int lf_reserve(int fd, off_t offset, off_t len)
{
	struct rlimit limit;
	long rc = lf_sys_call6(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0);

	if (rc == 0 && limit.rlim_cur != RLIM_INFINITY && (rlim_t)(offset + len) > limit.rlim_cur)
		return -EFBIG;
	do
		rc = lf_sys_fallocate(fd, 0, offset, len);
	while (rc == -EINTR);
	return (int)rc;
}

#endif
