#include "agent/cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

/* All of it, or what fopencookie(3) takes for an error: stdio does not come again for the rest. */
static ssize_t write_patiently(void *cookie, const char *buf, size_t len)
{
	struct pollfd writable = { .fd = (int)(intptr_t)cookie, .events = POLLOUT };
	size_t done = 0;
	ssize_t written;

	while (done < len) {
		written = write(writable.fd, buf + done, len - done);
		if (written >= 0)
			done += (size_t)written;
		else if (errno == EAGAIN)
			(void)poll(&writable, 1, -1);
		else if (errno != EINTR)
			break;
	}
	return (ssize_t)done;
}

FILE *lf_output_open(int fd)
{
	cookie_io_functions_t functions = { .write = write_patiently };

	return fopencookie((void *)(intptr_t)fd, "w", functions);
}
