/* The client's end of the control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/core/control_address.h"
#include "agent/map/process_id.h"
#include "hashing/clock.h"

enum {
	LOOK_MS = 200, /* how often the agent's state is looked at meanwhile */
	LOOKS = 5,     /* in a row: a tracer stops it for moments, too */
};

/* For one step of at most `most` ms. */
static int set_timeouts(int fd, int64_t deadline, int64_t most)
{
	int64_t left = deadline - lf_clock_ms();
	struct timeval time;

	if (left <= 0)
		return -ETIMEDOUT;
	left = left < most ? left : most;
	time = (struct timeval){ left / 1000, left % 1000 * 1000 };
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

/* By a signal or a debugger: it answers nobody before it is let go on.  One whose disk is slow does.  False where
 * nobody can tell. */
static bool agent_is_stopped(int fd)
{
	uint64_t threads, start_time;
	struct ucred agent;
	socklen_t len = sizeof(agent);
	char state;

	/* An agent in another pid namespace has no process id here. */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &agent, &len) == 0 && agent.pid > 0 &&
	       lf_process_stat((uint32_t)agent.pid, &state, &threads, &start_time) && (state == 'T' || state == 't');
}

/* At most `size` bytes, at least one. */
static ssize_t receive_some(int fd, char *out, size_t size, int64_t deadline)
{
	unsigned stopped = 0;

	for (;;) {
		int rc = set_timeouts(fd, deadline, LOOK_MS);
		ssize_t got = rc < 0 ? 0 : recv(fd, out, size, 0);

		if (rc < 0)
			return rc;
		if (got > 0)
			return got;
		if (got == 0)
			return -ECONNRESET;
		if (errno == EINTR)
			continue;
		stopped = errno == EAGAIN && agent_is_stopped(fd) ? stopped + 1 : 0;
		if (errno != EAGAIN || stopped == LOOKS)
			return last_error();
	}
}

/* What has come: a line, and maybe the beginning of the data behind it. */
struct answer {
	char line[LF_CONTROL_LINE_MAX]; /* without its newline */
	char *rest;                     /* in `line` */
	size_t rest_bytes;
};

static int receive_line(int fd, struct answer *answer, int64_t deadline)
{
	size_t len = 0;

	while (len < sizeof(answer->line)) {
		ssize_t got = receive_some(fd, answer->line + len, sizeof(answer->line) - len, deadline);
		char *end;

		if (got < 0)
			return (int)got;
		end = memchr(answer->line + len, '\n', (size_t)got);
		len += (size_t)got;
		if (!end)
			continue;
		*end = '\0';
		answer->rest = end + 1;
		answer->rest_bytes = len - (size_t)(answer->rest - answer->line);
		return 0;
	}
	return -EPROTO;
}

static int converse(int fd, int dirfd, const char *request, int64_t deadline, struct answer *answer)
{
	struct sockaddr_un address = lf_control_address(dirfd);
	int rc = set_timeouts(fd, deadline, INT64_MAX);

	if (rc < 0)
		return rc;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return last_error();
	rc = send_all(fd, request, strlen(request));
	if (rc == 0)
		rc = send_all(fd, "\n", 1);
	return rc < 0 ? rc : receive_line(fd, answer, deadline);
}

static int fail(int rc, int timeout_ms, struct lf_error *err)
{
	if (rc == -ETIMEDOUT)
		return lf_fail(err, rc, "the agent is stopped, or did not answer within %d ms", timeout_ms);
	if (rc == -EPROTO)
		return lf_fail(err, rc, "the agent's answer cannot be understood: is it another version?");
	return lf_fail(err, rc, "no agent answers: %s", strerror(-rc));
}

/* Asks, and looks at the first line; the fd, or a negative errno. */
static int ask(int dirfd, const char *request, int timeout_ms, int64_t deadline,
               struct answer *answer, struct lf_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return lf_fail(err, -errno, "there is no socket to ask the agent: %s", strerror(errno));
	rc = converse(fd, dirfd, request, deadline, answer);
	if (rc < 0)
		rc = fail(rc, timeout_ms, err);
	else if (strncmp(answer->line, "error ", 6) == 0)
		rc = lf_fail(err, -EREMOTEIO, "%s", answer->line + 6);
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

/* The text of `ok` or `ok text`; NULL when the line is none. */
static const char *text_of(const struct answer *answer)
{
	if (strncmp(answer->line, "ok", 2) != 0)
		return NULL;
	if (!answer->line[2])
		return "";
	return answer->line[2] == ' ' ? answer->line + 3 : NULL;
}

int lf_control_ask(int dirfd, const char *request, int timeout_ms, char *out, size_t out_size,
                   struct lf_error *err)
{
	struct answer answer;
	const char *text;
	int fd = ask(dirfd, request, timeout_ms, lf_clock_ms() + timeout_ms, &answer, err);

	if (fd < 0)
		return fd;
	(void)close(fd);
	text = text_of(&answer);
	if (!text)
		return fail(-EPROTO, timeout_ms, err);
	if (out && out_size)
		(void)snprintf(out, out_size, "%s", text);
	return 0;
}

/* How much data follows the line; -EPROTO when that is not what it says. */
static int64_t data_bytes(const struct answer *answer)
{
	unsigned long long bytes;
	char *end;

	if (strncmp(answer->line, "data ", 5) != 0 || answer->line[5] < '0' || answer->line[5] > '9')
		return -EPROTO;
	bytes = strtoull(answer->line + 5, &end, 10);
	return *end || bytes > LF_CONTROL_DATA_MAX ? -EPROTO : (int64_t)bytes;
}

static int receive_data(int fd, const struct answer *answer, int64_t deadline, char **out,
                        size_t *bytes)
{
	int64_t all = data_bytes(answer);
	size_t have = answer->rest_bytes;
	ssize_t got = 0;
	char *data;

	if (all < 0 || have > (size_t)all)
		return -EPROTO;
	data = malloc((size_t)all + 1);
	if (!data)
		return -ENOMEM;
	memcpy(data, answer->rest, have);
	while (got >= 0 && have < (size_t)all) {
		got = receive_some(fd, data + have, (size_t)all - have, deadline);
		have += got > 0 ? (size_t)got : 0;
	}
	if (got < 0) {
		free(data);
		return (int)got;
	}
	data[all] = '\0';
	*out = data;
	*bytes = (size_t)all;
	return 0;
}

int lf_control_fetch(int dirfd, const char *request, int timeout_ms, char **out, size_t *bytes,
                     struct lf_error *err)
{
	int64_t deadline = lf_clock_ms() + timeout_ms;
	struct answer answer;
	int rc, fd = ask(dirfd, request, timeout_ms, deadline, &answer, err);
	const char *text;

	if (fd < 0)
		return fd;
	text = text_of(&answer);
	if (text) {
		*out = strdup(text);
		*bytes = strlen(text);
		rc = *out ? 0 : -ENOMEM;
	} else {
		rc = receive_data(fd, &answer, deadline, out, bytes);
	}
	(void)close(fd);
	if (rc == -ENOMEM)
		return lf_fail(err, rc, "there is no memory for the agent's answer");
	return rc < 0 ? fail(rc, timeout_ms, err) : 0;
}
