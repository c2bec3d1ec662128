/* The socket that http.listen names. */
#ifndef LOGFOLD_HTTP_LISTEN_H
#define LOGFOLD_HTTP_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "logfold/error.h"

struct lf_http_listener {
	int fd;
	unsigned port; /* 0: a Unix socket */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t inode;
};

/* A socket file that a dead agent left is replaced.  -EADDRINUSE, -EEXIST… */
LF_MUST_CHECK int lf_http_listen(struct lf_http_listener *out, const char *listen, struct lf_error *err);

/* The file, where it is still ours.  The fd is the server's to close. */
void lf_http_unlink(const struct lf_http_listener *listener);

#endif
