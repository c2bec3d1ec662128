#include "sinks/redis/connection.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	FILLS_AT_ONCE = 64,
	KEPT = 1 << 20, /* of the memory for what is received: growing it anew takes longer than a large value itself */
};

/* How long recv() waits by itself, where a call's deadline leaves it that time. */
enum { SLICE_MS = 20 };

struct lf_redis_connection {
	struct lf_redis_place place;
	int fd;
	struct lf_redis_tls *tls; /* NULL: plaintext */
	redisReader *reader;
	struct lf_redis_buffer plain; /* under TLS: not encrypted yet */
	struct lf_redis_buffer raw;   /* for the socket */
	size_t owed;                  /* replies still to come */
	redisReply **replies;         /* [taken..count) wait to be taken */
	size_t taken, count, size;
	size_t replies_max;
	size_t bytes;                 /* received of those that wait, and of one that is not complete */
	bool heard, listening;
	enum lf_sink_result result; /* other than DONE: broken, why says how */
	struct lf_error why;
};

struct lf_text lf_redis_text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

const struct lf_redis_place *lf_redis_connection_place(const struct lf_redis_connection *connection)
{
	return &connection->place;
}

void lf_redis_connection_bound(struct lf_redis_connection *connection, size_t replies_max)
{
	connection->replies_max = replies_max;
}

int lf_redis_connection_fd(const struct lf_redis_connection *connection)
{
	return connection->fd;
}

void lf_redis_connection_listen(struct lf_redis_connection *connection)
{
	connection->listening = true;
}

/* ---- How it breaks ---- */

#define broken(connection, outcome, ...) \
	((connection)->result = lf_redis_fail(&(connection)->why, (outcome), __VA_ARGS__))

static void too_late(struct lf_redis_connection *c)
{
	broken(c, LF_SINK_RETRY, "redis at %s did not answer in time: is it frozen or overloaded?",
	       c->place.text);
}

static void no_memory(struct lf_redis_connection *c)
{
	broken(c, LF_SINK_RETRY, "no memory for the connection to redis at %s", c->place.text);
}

static void closed(struct lf_redis_connection *c, int reason)
{
	if (c->heard || c->tls)
		broken(c, LF_SINK_RETRY, "redis at %s closed the connection%s%s", c->place.text,
		       reason ? ": " : "", reason ? strerror(reason) : "");
	else
		broken(c, LF_SINK_RETRY, "redis at %s closed the connection without a word: does it want "
		       "TLS (rediss://)?", c->place.text);
}

/* A TLS server that hears plain text says so in a record of type 21, alert. */
static void not_redis(struct lf_redis_connection *c, unsigned char first)
{
	if (!c->heard && first == 21)
		broken(c, LF_SINK_REJECTED, "redis at %s wants TLS: write rediss:// instead of redis://",
		       c->place.text);
	else
		broken(c, LF_SINK_REJECTED, "what listens at %s does not speak as a redis does: is the "
		       "port right?", c->place.text);
}

enum lf_sink_result lf_redis_connection_result(const struct lf_redis_connection *c,
                                               struct lf_error *err)
{
	if (c->result != LF_SINK_DONE && err)
		*err = c->why;
	return c->result;
}

/* ---- In ---- */

static bool keep_reply(struct lf_redis_connection *c, redisReply *reply)
{
	if (c->taken == c->count)
		c->taken = c->count = c->bytes = 0;
	if (c->count == c->size) {
		size_t size = c->size ? 2 * c->size : 16;
		redisReply **replies = realloc(c->replies, size * sizeof(*replies));

		if (!replies)
			return false;
		c->replies = replies;
		c->size = size;
	}
	c->replies[c->count++] = reply;
	return true;
}

static void parse(struct lf_redis_connection *c, const char *data, size_t len)
{
	void *reply;

	c->bytes += len;
	if (c->bytes > c->replies_max) {
		broken(c, LF_SINK_REJECTED, "redis at %s answers with more than %zu MiB: is a key of ours, or "
		       "a message, that large?", c->place.text, c->replies_max >> 20);
		return;
	}
	if (redisReaderFeed(c->reader, data, len) != REDIS_OK) {
		no_memory(c);
		return;
	}
	while (c->result == LF_SINK_DONE) {
		reply = NULL;
		if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
			not_redis(c, (unsigned char)*data);
			return;
		}
		if (!reply)
			return;
		c->heard = true;
		if (c->owed == 0 && !c->listening) {
			/* The server's last word before it hangs up. */
			c->result = lf_redis_judge(reply, &c->place, &c->why);
			freeReplyObject(reply);
			if (c->result == LF_SINK_DONE)
				not_redis(c, 0);
			return;
		}
		if (c->owed > 0)
			c->owed--;
		if (!keep_reply(c, reply)) {
			freeReplyObject(reply);
			no_memory(c);
		}
	}
}

static void decrypt(struct lf_redis_connection *c, const char *data, size_t len)
{
	char text[16384];
	size_t got = 1;

	if (lf_redis_tls_received(c->tls, data, len) < 0)
		no_memory(c);
	while (c->result == LF_SINK_DONE && got > 0) {
		c->result = lf_redis_tls_read(c->tls, text, sizeof(text), &got, &c->raw, &c->why);
		if (c->result == LF_SINK_DONE && got > 0)
			parse(c, text, got);
	}
}

/* Reads what is there and hands it on; false: nothing more for now. */
static bool fill(struct lf_redis_connection *c,
                 void (*take)(struct lf_redis_connection *, const char *, size_t), int flags)
{
	char data[16384];
	ssize_t got = recv(c->fd, data, sizeof(data), flags);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return errno == EINTR;
	if (got <= 0)
		closed(c, got < 0 ? errno : 0);
	else
		take(c, data, (size_t)got);
	return c->result == LF_SINK_DONE && got == (ssize_t)sizeof(data);
}

/* Not all at once: who sends without end must not keep us from looking at the clock. */
static void receive(struct lf_redis_connection *c)
{
	for (int i = 0; i < FILLS_AT_ONCE && fill(c, c->tls ? decrypt : parse, MSG_DONTWAIT); i++)
		;
}

/* ---- Out ---- */

static void drain(struct lf_redis_connection *c)
{
	while (lf_redis_buffer_waiting(&c->raw) > 0) {
		ssize_t sent = send(c->fd, c->raw.data + c->raw.start, lf_redis_buffer_waiting(&c->raw),
		                    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		/* Why it hung up may still be there to be read; reading then ends it. */
		lf_redis_buffer_taken(&c->raw, sent < 0 ? lf_redis_buffer_waiting(&c->raw) : (size_t)sent);
	}
}

static struct lf_redis_buffer *outgoing(struct lf_redis_connection *c)
{
	return c->tls ? &c->plain : &c->raw;
}

void lf_redis_put(struct lf_redis_connection *c, const struct lf_text *words, size_t count)
{
	lf_redis_buffer_command(outgoing(c), words, count);
	c->owed++;
}

void lf_redis_put_bytes(struct lf_redis_connection *c, const char *bytes, size_t len)
{
	lf_redis_buffer_add(outgoing(c), bytes, len);
	c->owed++;
}

redisReply *lf_redis_take(struct lf_redis_connection *c)
{
	return c->taken < c->count ? c->replies[c->taken++] : NULL;
}

/* ---- Both ---- */

static bool is_done(const struct lf_redis_connection *c)
{
	return c->result != LF_SINK_DONE || (c->owed == 0 && lf_redis_buffer_waiting(&c->raw) == 0);
}

static void start(struct lf_redis_connection *c)
{
	if (c->result != LF_SINK_DONE)
		return;
	if (c->tls)
		c->result = lf_redis_tls_write(c->tls, &c->plain, &c->raw, &c->why);
	if (c->plain.failed || c->raw.failed)
		no_memory(c);
	else if (c->result == LF_SINK_DONE)
		drain(c);
}

static void serve(struct lf_redis_connection *c, short events)
{
	if (events & (POLLIN | POLLHUP | POLLERR))
		receive(c);
	if (c->result == LF_SINK_DONE)
		drain(c);
}

/* Waits for any of them, and serves it; false: too late. */
static bool step(struct lf_redis_connection *const *list, size_t count, struct pollfd *fds,
                 int64_t end_ms)
{
	int left = lf_redis_left_ms(end_ms), ready;

	for (size_t i = 0; i < count; i++)
		fds[i] = (struct pollfd){
			.fd = is_done(list[i]) ? -1 : list[i]->fd,
			.events = (short)(POLLIN | (lf_redis_buffer_waiting(&list[i]->raw) ? POLLOUT : 0)),
		};
	ready = left > 0 ? poll(fds, (nfds_t)count, left) : 0;
	if (ready <= 0)
		return ready < 0 && errno == EINTR;
	for (size_t i = 0; i < count; i++)
		if (fds[i].fd >= 0 && fds[i].revents)
			serve(list[i], fds[i].revents);
	return true;
}

/* One that is alone waits in recv() itself first, as a client without deadlines does: most answers are there
 * within a slice, and poll() would be one system call more for each. */
static void step_alone(struct lf_redis_connection *c, int64_t end_ms)
{
	if (!is_done(c) && lf_redis_buffer_waiting(&c->raw) == 0 && lf_redis_left_ms(end_ms) > 2 * SLICE_MS &&
	    fill(c, c->tls ? decrypt : parse, 0))
		receive(c);
}

static bool all_done(struct lf_redis_connection *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_done(list[i]))
			return false;
	return true;
}

void lf_redis_exchange(struct lf_redis_connection *const *list, size_t count, int64_t end_ms)
{
	struct pollfd few[4], *fds = count <= 4 ? few : calloc(count, sizeof(*fds));

	for (size_t i = 0; i < count; i++)
		start(list[i]);
	if (count == 1)
		step_alone(list[0], end_ms);
	while (fds && !all_done(list, count) && step(list, count, fds, end_ms))
		;
	for (size_t i = 0; i < count; i++)
		if (!is_done(list[i]))
			too_late(list[i]);
	if (fds != few)
		free(fds);
}

enum lf_sink_result lf_redis_ask(struct lf_redis_connection *c, const struct lf_text *words,
                                 size_t count, int64_t end_ms, redisReply **reply,
                                 struct lf_error *err)
{
	lf_redis_put(c, words, count);
	lf_redis_exchange(&c, 1, end_ms);
	*reply = lf_redis_take(c);
	return *reply ? LF_SINK_DONE : lf_redis_connection_result(c, err);
}

enum lf_sink_result lf_redis_receive(struct lf_redis_connection *c, struct lf_error *err)
{
	start(c);
	if (c->result == LF_SINK_DONE)
		serve(c, POLLIN);
	return lf_redis_connection_result(c, err);
}

bool lf_redis_connection_alive(struct lf_redis_connection *c)
{
	struct pollfd fd = { .fd = c->fd, .events = POLLIN | POLLRDHUP };

	if (c->result != LF_SINK_DONE || c->owed > 0)
		return false;
	if (poll(&fd, 1, 0) <= 0)
		return true;
	/* Nothing is owed, so what is there is the end; but TLS talks to itself, too. */
	return c->tls && !(fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* ---- Beginning and end ---- */

static void shake(struct lf_redis_connection *c, const char *data, size_t len)
{
	bool done = false;

	if (len > 0 && lf_redis_tls_received(c->tls, data, len) < 0)
		no_memory(c);
	if (c->result == LF_SINK_DONE)
		c->result = lf_redis_tls_shake(c->tls, &done, &c->raw, &c->why);
	if (c->result == LF_SINK_DONE)
		drain(c);
	if (done)
		c->owed = 0;
}

/* Ours to wait on from now on; whatever must not wait says so for itself. */
static int let_wait(int fd)
{
	const struct timeval slice = { .tv_usec = SLICE_MS * 1000 };
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice)) == 0 ? 0 : -errno;
}

/* The end of the handshake is owed as a reply is. */
static void handshake(struct lf_redis_connection *c, int64_t end_ms)
{
	struct pollfd fd = { .fd = c->fd };

	c->owed = 1;
	shake(c, "", 0);
	while (!is_done(c)) {
		int left = lf_redis_left_ms(end_ms);

		fd.events = (short)(POLLIN | (lf_redis_buffer_waiting(&c->raw) ? POLLOUT : 0));
		if (left == 0 || poll(&fd, 1, left) == 0) {
			/* A server without TLS waits for the end of what it takes for a line. */
			broken(c, LF_SINK_RETRY, "redis at %s did not answer in time in TLS: is it frozen, or "
			       "does it not speak TLS there (redis://)?", c->place.text);
			return;
		}
		if (fd.revents & (POLLIN | POLLHUP | POLLERR))
			(void)fill(c, shake, MSG_DONTWAIT);
		if (c->result == LF_SINK_DONE)
			drain(c);
	}
}

static enum lf_sink_result prepare(struct lf_redis_connection *c,
                                   const struct lf_redis_tls_files *tls, int64_t end_ms,
                                   struct lf_error *err)
{
	enum lf_sink_result result;

	c->reader = redisReaderCreate();
	if (!c->reader)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for a connection to redis");
	c->reader->maxbuf = KEPT;
	result = lf_redis_place_connect(&c->fd, &c->place, end_ms, err);
	if (result == LF_SINK_DONE && let_wait(c->fd) < 0)
		return lf_redis_fail(err, LF_SINK_RETRY, "redis at %s: the socket cannot be set up: %s", c->place.text,
		                     strerror(errno));
	if (result != LF_SINK_DONE || !tls || c->place.local)
		return result;
	result = lf_redis_tls_new(&c->tls, tls, &c->place, err);
	if (result != LF_SINK_DONE)
		return result;
	handshake(c, end_ms);
	return lf_redis_connection_result(c, err);
}

enum lf_sink_result lf_redis_connection_open(struct lf_redis_connection **out,
                                             const struct lf_redis_place *place,
                                             const struct lf_redis_tls_files *tls, int64_t end_ms,
                                             struct lf_error *err)
{
	struct lf_redis_connection *c = calloc(1, sizeof(*c));
	enum lf_sink_result result;

	if (!c)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for a connection to redis");
	c->fd = -1;
	c->place = *place;
	c->replies_max = LF_REDIS_REPLIES_MAX;
	result = prepare(c, tls, end_ms, err);
	if (result == LF_SINK_DONE)
		*out = c;
	else
		lf_redis_connection_close(c);
	return result;
}

void lf_redis_connection_close(struct lf_redis_connection *c)
{
	redisReply *reply;

	if (!c)
		return;
	while ((reply = lf_redis_take(c)))
		freeReplyObject(reply);
	if (c->reader)
		redisReaderFree(c->reader);
	lf_redis_tls_free(c->tls);
	if (c->fd >= 0)
		(void)close(c->fd);
	lf_redis_buffer_free(&c->plain);
	lf_redis_buffer_free(&c->raw);
	free(c->replies);
	free(c);
}
