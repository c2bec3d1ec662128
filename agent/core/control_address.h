/* Where the control socket of a run directory is, for both of its ends. */
#ifndef LOGFOLD_CORE_CONTROL_ADDRESS_H
#define LOGFOLD_CORE_CONTROL_ADDRESS_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/core/control.h"

/* An address has room for 108 bytes, a path may have 4096: the way through our own fd is short. */
static inline struct sockaddr_un lf_control_address(int dirfd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
	               "/proc/self/fd/%d/" LF_CONTROL_FILE, dirfd);
	return address;
}

#endif
