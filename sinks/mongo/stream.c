#include "sinks/mongo/stream.h"
#include "hashing/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

enum { STREAM_TYPE = 0x1f01d }; /* none of the library's own */

struct stream {
	mongoc_stream_t base; /* first: the library knows this alone */
	mongoc_stream_t *inner;
	struct lf_mongo_deadline *deadline;
	enum lf_mongo_stream_kind kind;
	bool answered;
	bool timed_out;
};

void lf_mongo_deadline_set(struct lf_mongo_deadline *deadline, int timeout_ms)
{
	*deadline = (struct lf_mongo_deadline){ .at_ms = (uint64_t)lf_clock_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) };
}

int lf_mongo_deadline_left_ms(const struct lf_mongo_deadline *deadline)
{
	uint64_t now = (uint64_t)lf_clock_ms();

	if (now >= deadline->at_ms)
		return 0;
	return deadline->at_ms - now > INT_MAX ? INT_MAX : (int)(deadline->at_ms - now);
}

/* How long may be waited: 0 stays 0, which asks for what is there already.  False: not at all. */
static bool shorten(struct stream *stream, int32_t *timeout_ms)
{
	int left = lf_mongo_deadline_left_ms(stream->deadline);

	stream->timed_out = false;
	if (left == 0) {
		stream->timed_out = stream->deadline->passed = true;
		errno = ETIMEDOUT;
		return false;
	}
	if (*timeout_ms < 0 || *timeout_ms > left)
		*timeout_ms = left;
	return true;
}

/* The inner one may give up a millisecond before. */
static ssize_t waited(struct stream *stream, ssize_t result)
{
	if (result < 0 &&
	    (lf_mongo_deadline_left_ms(stream->deadline) == 0 || mongoc_stream_timed_out(stream->inner)))
		stream->timed_out = stream->deadline->passed = true;
	return result;
}

static ssize_t stream_writev(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t count, int32_t timeout_ms)
{
	struct stream *stream = (struct stream *)base;

	if (!shorten(stream, &timeout_ms))
		return -1;
	return waited(stream, mongoc_stream_writev(stream->inner, iov, count, timeout_ms));
}

/* A TLS server answers what is not TLS with an alert: record type 21, version 3.x. */
static bool is_tls_alert(const mongoc_iovec_t *iov, ssize_t got)
{
	const unsigned char *bytes = (const unsigned char *)iov->iov_base;

	return got >= 2 && iov->iov_len >= 2 && bytes[0] == 21 && bytes[1] == 3;
}

static ssize_t stream_readv(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t count, size_t min_bytes,
                            int32_t timeout_ms)
{
	struct stream *stream = (struct stream *)base;
	ssize_t got;

	if (!shorten(stream, &timeout_ms))
		return -1;
	got = waited(stream, mongoc_stream_readv(stream->inner, iov, count, min_bytes, timeout_ms));
	if (stream->kind == LF_MONGO_STREAM_BELOW_TLS)
		return got;
	stream->deadline->answered |= got > 0;
	if (got > 0 && !stream->answered) {
		stream->answered = true;
		stream->deadline->foreign_tls |= is_tls_alert(iov, got);
	}
	return got;
}

/* The library polls all connections of one scan at once; all of them are of this kind. */
static ssize_t stream_poll(mongoc_stream_poll_t *polled, size_t count, int32_t timeout_ms)
{
	mongoc_stream_poll_t inner[64];
	ssize_t ready;

	if (count == 0 || count > sizeof(inner) / sizeof(*inner))
		return -1;
	if (!shorten((struct stream *)polled[0].stream, &timeout_ms)) {
		/* An error ends the library's wait; that nothing came would have it ask again. */
		for (size_t i = 0; i < count; i++)
			polled[i].revents = POLLERR;
		return (ssize_t)count;
	}
	for (size_t i = 0; i < count; i++)
		inner[i] = (mongoc_stream_poll_t){ ((struct stream *)polled[i].stream)->inner,
			                           polled[i].events, 0 };
	ready = mongoc_stream_poll(inner, count, timeout_ms);
	for (size_t i = 0; i < count; i++)
		polled[i].revents = inner[i].revents;
	return ready;
}

static void stream_destroy(mongoc_stream_t *base)
{
	struct stream *stream = (struct stream *)base;

	mongoc_stream_destroy(stream->inner);
	bson_free(stream);
}

static void stream_failed(mongoc_stream_t *base)
{
	struct stream *stream = (struct stream *)base;

	mongoc_stream_failed(stream->inner);
	bson_free(stream);
}

static int stream_close(mongoc_stream_t *base)
{
	return mongoc_stream_close(((struct stream *)base)->inner);
}

static int stream_flush(mongoc_stream_t *base)
{
	return mongoc_stream_flush(((struct stream *)base)->inner);
}

static int stream_setsockopt(mongoc_stream_t *base, int level, int name, void *value, mongoc_socklen_t len)
{
	return mongoc_stream_setsockopt(((struct stream *)base)->inner, level, name, value, len);
}

static bool stream_check_closed(mongoc_stream_t *base)
{
	return mongoc_stream_check_closed(((struct stream *)base)->inner);
}

static bool stream_timed_out(mongoc_stream_t *base)
{
	const struct stream *stream = (struct stream *)base;

	return stream->timed_out || mongoc_stream_timed_out(stream->inner);
}

static bool stream_should_retry(mongoc_stream_t *base)
{
	const struct stream *stream = (struct stream *)base;

	return !stream->timed_out && mongoc_stream_should_retry(stream->inner);
}

/* It tells nobody of the stream below: the library would poll that one instead, by its own clock. */
mongoc_stream_t *lf_mongo_stream_new(mongoc_stream_t *base, enum lf_mongo_stream_kind kind,
                                     struct lf_mongo_deadline *deadline)
{
	struct stream *stream = bson_malloc0(sizeof(*stream));

	stream->base = (mongoc_stream_t){
		.type = STREAM_TYPE,
		.destroy = stream_destroy,
		.close = stream_close,
		.flush = stream_flush,
		.writev = stream_writev,
		.readv = stream_readv,
		.setsockopt = stream_setsockopt,
		.check_closed = stream_check_closed,
		.poll = stream_poll,
		.failed = stream_failed,
		.timed_out = stream_timed_out,
		.should_retry = stream_should_retry,
	};
	stream->inner = base;
	stream->kind = kind;
	stream->deadline = deadline;
	return &stream->base;
}
