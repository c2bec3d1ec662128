/* The server's end of the control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/control_address.h"
#include "hashing/clock.h"

enum client_state {
	CLIENT_ASKS,  /* its line has not come to its end */
	CLIENT_WAITS, /* its answer was put off */
	CLIENT_READS, /* the answer is on its way */
};

struct client {
	int fd; /* -1: the place is free */
	enum client_state state;
	uint64_t number; /* a place is given to many, a number to one */
	int64_t deadline;
	uid_t uid;
	pid_t pid;
	size_t in_len, out_len, out_sent;
	char *out;
	char in[LF_CONTROL_LINE_MAX];
};

struct lf_control {
	int fd, dirfd;
	uint64_t numbers;
	lf_control_handler handler;
	void *arg;
	struct client clients[LF_CONTROL_CLIENTS];
};

/* ---- Life cycle ---- */

static int bind_and_listen(int fd, int dirfd, bool all_users)
{
	struct sockaddr_un address = lf_control_address(dirfd);

	/* Whatever is there: who holds the lock is the only agent. */
	if (unlinkat(dirfd, LF_CONTROL_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* In a directory of one user nobody else can come this far: it is 0700. */
	if (fchmodat(dirfd, LF_CONTROL_FILE, all_users ? 0666 : 0600, 0) < 0 ||
	    listen(fd, LF_CONTROL_CLIENTS) < 0)
		return -errno;
	return 0;
}

int lf_control_listen(struct lf_control **out, int dirfd, bool all_users,
                      lf_control_handler handler, void *arg, struct lf_error *err)
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
	rc = control->fd < 0 ? -errno : bind_and_listen(control->fd, dirfd, all_users);
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
	free(client->out);
	client->fd = -1;
	client->out = NULL;
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

/* ---- Clients come and go ---- */

size_t lf_control_fds(const struct lf_control *control, struct pollfd *fds)
{
	static const short events[] = {
		[CLIENT_ASKS] = POLLIN,
		[CLIENT_WAITS] = 0, /* that it hangs up is always told */
		[CLIENT_READS] = POLLOUT,
	};
	size_t count = 0;

	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++) {
		const struct client *client = &control->clients[i];

		if (client->fd >= 0)
			fds[count++] = (struct pollfd){ client->fd, events[client->state], 0 };
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

static bool is_trusted(uid_t uid)
{
	return uid == geteuid() || uid == 0;
}

/* One stranger must not keep all the others out, nor all of them those who may change something. */
static bool has_too_many(const struct lf_control *control, uid_t uid)
{
	unsigned count = 0, strangers = 0;

	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++) {
		const struct client *client = &control->clients[i];

		count += client->fd >= 0 && client->uid == uid;
		strangers += client->fd >= 0 && !is_trusted(client->uid);
	}
	return !is_trusted(uid) && (count >= LF_CONTROL_CLIENTS_OF_A_USER ||
	                            strangers >= LF_CONTROL_CLIENTS_OF_STRANGERS);
}

static void take_clients(struct lf_control *control)
{
	struct client *place;

	while ((place = client_of(control, -1))) {
		struct ucred peer;
		socklen_t size = sizeof(peer);
		int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		    has_too_many(control, peer.uid)) {
			(void)close(fd);
			continue;
		}
		*place = (struct client){ .fd = fd,
			                  .state = CLIENT_ASKS,
			                  .number = ++control->numbers,
			                  .deadline = lf_clock_ms() + LF_CONTROL_PATIENCE_MS,
			                  .uid = peer.uid,
			                  .pid = peer.pid };
	}
}

/* ---- Answers ---- */

static void send_reply(struct client *client)
{
	ssize_t sent = send(client->fd, client->out + client->out_sent,
	                    client->out_len - client->out_sent, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent > 0) {
		client->out_sent += (size_t)sent;
		client->deadline = lf_clock_ms() + LF_CONTROL_PATIENCE_MS;
	}
	if (sent < 0 || client->out_sent == client->out_len)
		drop(client);
}

/* `head text\n`, in one line whatever the text is. */
static void write_line(FILE *out, const char *head, const char *text, size_t bytes)
{
	(void)fputs(head, out);
	if (bytes)
		(void)fputc(' ', out);
	for (size_t i = 0; i < bytes; i++)
		(void)fputc(text[i] == '\n' || text[i] == '\0' ? ' ' : text[i], out);
	(void)fputc('\n', out);
}

static void begin_reply(struct client *client, int rc, const char *text, size_t bytes)
{
	static const char too_much[] = "the answer is too long";
	FILE *out = open_memstream(&client->out, &client->out_len);

	if (!out) {
		drop(client);
		return;
	}
	if (rc == LF_CONTROL_DATA && bytes > LF_CONTROL_DATA_MAX)
		write_line(out, "error", too_much, sizeof(too_much) - 1);
	else if (rc == LF_CONTROL_DATA)
		(void)(fprintf(out, "data %zu\n", bytes), fwrite(text, 1, bytes, out));
	else
		write_line(out, rc < 0 ? "error" : "ok", text, bytes);
	/* What did not fit into memory is cut: no answer is better than half of one. */
	if (fclose(out) != 0) {
		drop(client);
		return;
	}
	client->state = CLIENT_READS;
	client->deadline = lf_clock_ms() + LF_CONTROL_PATIENCE_MS;
	send_reply(client);
}

bool lf_control_reply(struct lf_control *control, struct lf_control_ticket ticket, int rc,
                      const char *text, size_t bytes)
{
	struct client *client = &control->clients[ticket.place % LF_CONTROL_CLIENTS];

	if (client->fd < 0 || client->number != ticket.number || client->state != CLIENT_WAITS)
		return false;
	begin_reply(client, rc, text, bytes);
	return true;
}

static void answer(struct lf_control *control, struct client *client)
{
	struct lf_control_request request = {
		.line = client->in,
		.uid = client->uid,
		.pid = client->pid,
		.may_change = is_trusted(client->uid),
		.ticket = { (unsigned)(client - control->clients), client->number },
	};
	struct lf_error err = { "" };
	char *text = NULL;
	size_t bytes = 0;
	FILE *reply = open_memstream(&text, &bytes);
	int rc;

	if (!reply) {
		drop(client);
		return;
	}
	rc = control->handler(control->arg, &request, reply, &err);
	if (fclose(reply) != 0 && rc >= 0)
		rc = lf_fail(&err, -ENOMEM, "there is no memory for the answer");
	if (rc == LF_CONTROL_LATER) {
		client->state = CLIENT_WAITS;
		client->deadline = lf_clock_ms() + LF_CONTROL_LATER_MS;
	} else if (rc < 0) {
		begin_reply(client, rc, err.text, strlen(err.text));
	} else {
		begin_reply(client, rc, text, bytes);
	}
	free(text);
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

static void serve(struct lf_control *control, struct client *client)
{
	if (client->state == CLIENT_ASKS)
		take_request(control, client);
	else if (client->state == CLIENT_READS)
		send_reply(client);
	else
		drop(client); /* it hung up before its answer was ready */
}

static void drop_late(struct lf_control *control, int64_t now)
{
	static const char late[] = "the answer did not come in time: try again";

	for (unsigned i = 0; i < LF_CONTROL_CLIENTS; i++) {
		struct client *client = &control->clients[i];

		if (client->fd < 0 || client->deadline >= now)
			continue;
		if (client->state == CLIENT_WAITS)
			begin_reply(client, -ETIMEDOUT, late, sizeof(late) - 1);
		else
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
		else if (client)
			serve(control, client);
	}
	drop_late(control, now);
}
