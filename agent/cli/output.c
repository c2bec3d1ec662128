#include "agent/cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

static ssize_t write_patiently(void *cookie, const char *buf, size_t len)
{
	struct pollfd writable = { .fd = (int)(intptr_t)cookie, .events = POLLOUT };
	ssize_t written;

	for (;;) {
		written = write(writable.fd, buf, len);
		if (written >= 0)
			return written;
		if (errno == EAGAIN)
			(void)poll(&writable, 1, -1);
		else if (errno != EINTR)
			return 0; /* what fopencookie(3) calls an error */
	}
}

FILE *lf_output_open(int fd)
{
	cookie_io_functions_t functions = { .write = write_patiently };

	return fopencookie((void *)(intptr_t)fd, "w", functions);
}
