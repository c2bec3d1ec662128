#include "agent/core/control.h"
#include "agent/store/clock.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* An address has room for 108 bytes, a path may have 4096: the way through our own fd is short. */
static struct sockaddr_un address_of(int dirfd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
	               "/proc/self/fd/%d/" LF_CONTROL_FILE, dirfd);
	return address;
}

/* ---- Client ---- */

static int set_timeouts(int fd, int64_t deadline)
{
	int64_t left = deadline - lf_clock_ms();
	struct timeval time = { left / 1000, left % 1000 * 1000 };

	if (left <= 0)
		return -ETIMEDOUT;
	/* The time to send holds for connect(), too. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0)
		return -errno;
	return 0;
}

static int last_error(void)
{
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return last_error();
		text += sent;
		len -= (size_t)sent;
	}
	return 0;
}

/* One line, without its newline. */
static int receive_line(int fd, char *line, size_t size, int64_t deadline)
{
	size_t len = 0;

	while (len < size - 1) {
		int rc = set_timeouts(fd, deadline);
		ssize_t got = rc < 0 ? 0 : recv(fd, line + len, size - 1 - len, 0);
		char *end;

		if (rc < 0)
			return rc;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return last_error();
		if (got == 0)
			return -ECONNRESET;
		end = memchr(line + len, '\n', (size_t)got);
		len += (size_t)got;
		if (end) {
			*end = '\0';
			return 0;
		}
	}
	return -EPROTO;
}

static int converse(int fd, int dirfd, const char *request, int64_t deadline,
                    char line[LF_CONTROL_LINE_MAX])
{
	struct sockaddr_un address = address_of(dirfd);
	int rc = set_timeouts(fd, deadline);

	if (rc < 0)
		return rc;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return last_error();
	rc = send_all(fd, request, strlen(request));
	if (rc == 0)
		rc = send_all(fd, "\n", 1);
	return rc < 0 ? rc : receive_line(fd, line, LF_CONTROL_LINE_MAX, deadline);
}

static int take_answer(const char *line, char *answer, size_t size, struct lf_error *err)
{
	if (strncmp(line, "error ", 6) == 0)
		return lf_fail(err, -EREMOTEIO, "%s", line + 6);
	if (strncmp(line, "ok", 2) != 0 || (line[2] && line[2] != ' '))
		return lf_fail(err, -EPROTO, "the agent's answer cannot be understood");
	if (answer && size)
		(void)snprintf(answer, size, "%s", line[2] ? line + 3 : "");
	return 0;
}

int lf_control_ask(int dirfd, const char *request, int timeout_ms, char *answer,
                   size_t answer_size, struct lf_error *err)
{
	char line[LF_CONTROL_LINE_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return lf_fail(err, -errno, "there is no socket to ask the agent: %s", strerror(errno));
	rc = converse(fd, dirfd, request, lf_clock_ms() + timeout_ms, line);
	(void)close(fd);
	if (rc == -ETIMEDOUT)
		return lf_fail(err, rc, "the agent did not answer within %d ms", timeout_ms);
	if (rc < 0)
		return lf_fail(err, rc, "no agent answers: %s", strerror(-rc));
	return take_answer(line, answer, answer_size, err);
}

/* ---- Server ---- */

struct client {
	int fd; /* -1: the place is free */
	int64_t deadline;
	size_t in_len, out_len, out_sent;
	char in[LF_CONTROL_LINE_MAX];
	char out[LF_CONTROL_LINE_MAX];
};

struct lf_control {
	int fd, dirfd;
	lf_control_handler handler;
	void *arg;
	struct client clients[LF_CONTROL_CLIENTS];
};

static int bind_and_listen(int fd, int dirfd)
{
	struct sockaddr_un address = address_of(dirfd);

	/* Whatever is there: who holds the lock is the only agent. */
	if (unlinkat(dirfd, LF_CONTROL_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Nobody else can come this far: the directory is 0700. */
	if (fchmodat(dirfd, LF_CONTROL_FILE, 0600, 0) < 0 || listen(fd, LF_CONTROL_CLIENTS) < 0)
		return -errno;
	return 0;
}

int lf_control_listen(struct lf_control **out, int dirfd, lf_control_handler handler, void *arg,
                      struct lf_error *err)
{
	struct lf_control *control = calloc(1, sizeof(*control));
	int rc;

	if (!control)
		return lf_fail(err, -ENOMEM, "there is no memory for the control socket");
	control->dirfd = dirfd;
	control->handler = handler;
	control->arg = arg;
	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++)
		control->clients[i].fd = -1;
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = control->fd < 0 ? -errno : bind_and_listen(control->fd, dirfd);
	if (rc == 0) {
		*out = control;
		return 0;
	}
	if (control->fd >= 0)
		(void)close(control->fd);
	free(control);
	return lf_fail(err, rc, "the control socket cannot be made: %s", strerror(-rc));
}

static void drop(struct client *client)
{
	(void)close(client->fd);
	client->fd = -1;
}

void lf_control_close(struct lf_control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++)
		if (control->clients[i].fd >= 0)
			drop(&control->clients[i]);
	(void)close(control->fd);
	(void)unlinkat(control->dirfd, LF_CONTROL_FILE, 0);
	free(control);
}

size_t lf_control_fds(const struct lf_control *control, struct pollfd *fds)
{
	size_t count = 0;

	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++) {
		const struct client *client = &control->clients[i];

		if (client->fd >= 0)
			fds[count++] = (struct pollfd){ client->fd, client->out_len ? POLLOUT : POLLIN,
				                        0 };
	}
	/* Without a free place whoever comes waits in the kernel's queue. */
	if (count < LF_CONTROL_CLIENTS)
		fds[count++] = (struct pollfd){ control->fd, POLLIN, 0 };
	return count;
}

static struct client *client_of(struct lf_control *control, int fd)
{
	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++)
		if (control->clients[i].fd == fd)
			return &control->clients[i];
	return NULL;
}

static void take_clients(struct lf_control *control)
{
	struct client *place;

	while ((place = client_of(control, -1))) {
		int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		place->fd = fd;
		place->deadline = lf_clock_ms() + LF_CONTROL_PATIENCE_MS;
		place->in_len = place->out_len = place->out_sent = 0;
	}
}

static void send_reply(struct client *client)
{
	ssize_t sent = send(client->fd, client->out + client->out_sent,
	                    client->out_len - client->out_sent, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent > 0)
		client->out_sent += (size_t)sent;
	if (sent < 0 || client->out_sent == client->out_len)
		drop(client);
}

static void answer(struct lf_control *control, struct client *client)
{
	client->out[0] = '\0';
	control->handler(control->arg, client->in, client->out, sizeof(client->out) - 1);
	client->out_len = strlen(client->out);
	for (size_t i = 0; i < client->out_len; i++)
		if (client->out[i] == '\n')
			client->out[i] = ' ';
	client->out[client->out_len++] = '\n';
	send_reply(client);
}

static void take_request(struct lf_control *control, struct client *client)
{
	ssize_t got = recv(client->fd, client->in + client->in_len,
	                   sizeof(client->in) - client->in_len, 0);
	char *end;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		drop(client);
		return;
	}
	end = memchr(client->in + client->in_len, '\n', (size_t)got);
	client->in_len += (size_t)got;
	if (end) {
		*end = '\0';
		answer(control, client);
	} else if (client->in_len == sizeof(client->in)) {
		drop(client);
	}
}

void lf_control_handle(struct lf_control *control, const struct pollfd *fds, size_t count)
{
	int64_t now = lf_clock_ms();

	for (size_t i = 0; i < count; i++) {
		struct client *client = client_of(control, fds[i].fd);

		if (fds[i].revents == 0)
			continue;
		if (fds[i].fd == control->fd)
			take_clients(control);
		else if (client && client->out_len)
			send_reply(client);
		else if (client)
			take_request(control, client);
	}
	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++)
		if (control->clients[i].fd >= 0 && control->clients[i].deadline < now)
			drop(&control->clients[i]);
}
