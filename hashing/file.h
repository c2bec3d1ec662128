/* Reading of a file that may change or be hostile: all of a range, or nothing. */
#ifndef LOGFOLD_HASHING_FILE_H
#define LOGFOLD_HASHING_FILE_H

#include <stdbool.h>

#include "hashing/sys.h"

/* False: the file ends before, or cannot be read; `out` then holds anything. */
static inline bool lf_file_read(int fd, void *out, size_t len, uint64_t offset)
{
	char *at = out;
	ssize_t got;

	if (offset > INT64_MAX - len)
		return false;
	while (len > 0) {
		got = lf_sys_pread(fd, at, len, (off_t)offset);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		len -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

#endif
