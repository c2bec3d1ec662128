#include "agent/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 128, SOCKET_MODE = 0660 };

static int fail(const char *listen, int error, struct lf_error *err)
{
	const char *remedy = error == EADDRINUSE ? "somebody listens there: name another place in http.listen" :
	                     error == EEXIST     ? "a file that is no socket is there: remove it" :
	                     error == ENOENT     ? "make its folder" :
	                                           "name another place in http.listen";

	return lf_fail(err, -error, "the HTTP server cannot listen at %s: %s: %s", listen, strerror(error), remedy);
}

/* ---- Unix ---- */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* 0: the place is free, or a positive errno. */
static int make_room(int fd, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return EADDRINUSE;
	if (errno != ECONNREFUSED)
		return errno;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? errno : 0;
}

static int listen_unix(struct lf_http_listener *out)
{
	struct sockaddr_un address = address_of(out->path);
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	struct stat st;

	if (probe < 0)
		return errno;
	error = make_room(probe, &address);
	(void)close(probe);
	if (error)
		return error;
	out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The file gets this mode less the umask, so that it is at no time more than it shall be. */
	if (out->fd < 0 || fchmod(out->fd, SOCKET_MODE) < 0 ||
	    bind(out->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(out->path, SOCKET_MODE) < 0 || lstat(out->path, &st) < 0 || listen(out->fd, BACKLOG) < 0)
		return errno;
	out->inode = st.st_ino;
	return 0;
}

void lf_http_unlink(const struct lf_http_listener *listener)
{
	struct stat st;

	if (listener->inode && lstat(listener->path, &st) == 0 && st.st_ino == listener->inode)
		(void)unlink(listener->path);
}

/* ---- TCP ---- */

static socklen_t loopback(struct sockaddr_storage *out, const char *host, size_t len, unsigned port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char copy[INET6_ADDRSTRLEN];

	memset(out, 0, sizeof(*out));
	if (host[0] == '[') {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		v6->sin6_addr = in6addr_loopback;
		return sizeof(*v6);
	}
	(void)snprintf(copy, sizeof(copy), "%.*s", (int)len, host);
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)inet_pton(AF_INET, copy, &v4->sin_addr); /* localhost stays what it is */
	return sizeof(*v4);
}

static int listen_tcp(struct lf_http_listener *out, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage address;
	socklen_t size;
	int yes = 1;

	out->port = (unsigned)strtoul(colon + 1, NULL, 10);
	size = loopback(&address, text, (size_t)(colon - text), out->port);
	out->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out->fd < 0 || setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(out->fd, (const struct sockaddr *)&address, size) < 0 || listen(out->fd, BACKLOG) < 0)
		return errno;
	return 0;
}

int lf_http_listen(struct lf_http_listener *out, const char *text, struct lf_error *err)
{
	int error;

	*out = (struct lf_http_listener){ .fd = -1 };
	if (strncmp(text, "unix:", 5) == 0) {
		(void)snprintf(out->path, sizeof(out->path), "%s", text + 5);
		error = listen_unix(out);
	} else {
		error = listen_tcp(out, text);
	}
	if (error == 0)
		return 0;
	if (out->fd >= 0)
		(void)close(out->fd);
	return fail(text, error, err);
}
