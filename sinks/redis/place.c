#include "sinks/redis/place.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"
#include "sinks/redis/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void lf_redis_place_set(struct lf_redis_place *place, bool local, const char *name, uint16_t port)
{
	place->local = local;
	place->port = port;
	(void)snprintf(place->name, sizeof(place->name), "%s", name);
	if (local)
		(void)snprintf(place->text, sizeof(place->text), "%s", place->name);
	else
		(void)snprintf(place->text, sizeof(place->text), strchr(name, ':') ? "[%s]:%u" : "%s:%u",
		               place->name, port);
}

static enum lf_sink_result unreachable(const struct lf_redis_place *place, int reason,
                                       struct lf_error *err)
{
	if (reason == EACCES || reason == EPERM)
		return lf_redis_fail(err, LF_SINK_REJECTED, "redis at %s: this user may not connect there (%s)",
		                     place->text, strerror(reason));
	return lf_redis_fail(err, LF_SINK_RETRY,
	                     "redis at %s cannot be reached: %s; does it run there?", place->text,
	                     strerror(reason));
}

/* 0 or an errno. */
static int wait_connected(int fd, int64_t end_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int reason = 0;

	for (;;) {
		int left = lf_redis_left_ms(end_ms), rc = left > 0 ? poll(&ready, 1, left) : 0;

		if (rc > 0)
			break;
		if (rc == 0)
			return ETIMEDOUT;
		if (errno != EINTR)
			return errno;
	}
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) < 0 ? errno : reason;
}

/* *out, or an errno. */
static int connect_to(int *out, const struct sockaddr *address, socklen_t size, int64_t end_ms)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int reason = 0, yes = 1;

	if (fd < 0)
		return errno;
	if (connect(fd, address, size) < 0)
		reason = errno == EINPROGRESS ? wait_connected(fd, end_ms) : errno;
	if (reason != 0) {
		(void)close(fd);
		return reason;
	}
	if (address->sa_family != AF_UNIX) /* a batch ends in a small packet, which is not to wait */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	*out = fd;
	return 0;
}

static enum lf_sink_result connect_local(int *out, const struct lf_redis_place *place,
                                         int64_t end_ms, struct lf_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int reason;

	memcpy(address.sun_path, place->name, strnlen(place->name, sizeof(address.sun_path) - 1));
	reason = connect_to(out, (const struct sockaddr *)&address, sizeof(address), end_ms);
	return reason == 0 ? LF_SINK_DONE : unreachable(place, reason, err);
}

/* Each address gets its share of the time that is left. */
static int connect_any(int *out, const struct addrinfo *list, int64_t end_ms)
{
	int count = 0, reason = ETIMEDOUT;

	for (const struct addrinfo *one = list; one; one = one->ai_next)
		count++;
	for (; list; list = list->ai_next, count--) {
		int64_t part = lf_redis_sooner_ms(end_ms, lf_redis_left_ms(end_ms) / count);

		reason = connect_to(out, list->ai_addr, list->ai_addrlen, part);
		if (reason == 0)
			break;
	}
	return reason;
}

enum lf_sink_result lf_redis_place_connect(int *out, const struct lf_redis_place *place,
                                           int64_t end_ms, struct lf_error *err)
{
	struct addrinfo *list = NULL;
	int rc;

	if (place->local)
		return connect_local(out, place, end_ms, err);
	rc = lf_redis_resolve(place->name, place->port, end_ms, &list);
	if (rc != 0)
		return lf_redis_fail(err, LF_SINK_RETRY,
		                     "redis at %s: the host has no address (%s); is the name right?",
		                     place->text, gai_strerror(rc));
	rc = connect_any(out, list, end_ms);
	freeaddrinfo(list);
	return rc == 0 ? LF_SINK_DONE : unreachable(place, rc, err);
}
