#include "sinks/redis/watch.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"
#include "sinks/redis/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PING_INTERVAL_S = 3 };

/* ---- What the agent polls ---- */

static int open_events(struct lf_redis_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN };
	int events, timer;

	if (watch->events > 0)
		return 0;
	events = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (events < 0 || timer < 0 || epoll_ctl(events, EPOLL_CTL_ADD, timer, &event) < 0) {
		int rc = -errno;

		if (events >= 0)
			(void)close(events);
		if (timer >= 0)
			(void)close(timer);
		return rc;
	}
	watch->events = events;
	watch->timer = timer;
	return 0;
}

/* Rings now and then from now on; first at once where something is to be told already. */
static void start_timer(struct lf_redis_watch *watch)
{
	struct itimerspec when = { .it_interval = { .tv_sec = PING_INTERVAL_S } };

	if (watch->missed)
		when.it_value.tv_nsec = 1;
	else
		when.it_value.tv_sec = PING_INTERVAL_S;
	(void)timerfd_settime(watch->timer, 0, &when, NULL);
}

static void stop(struct lf_redis_watch *watch)
{
	static const struct itimerspec never;

	if (watch->connection && watch->events > 0)
		(void)timerfd_settime(watch->timer, 0, &never, NULL);
	lf_redis_connection_close(watch->connection);
	watch->connection = NULL;
	watch->missed = watch->asked = watch->heard = false;
}

void lf_redis_watch_fini(struct lf_redis_watch *watch)
{
	stop(watch);
	if (watch->events > 0) {
		(void)close(watch->events);
		(void)close(watch->timer);
	}
	free(watch->namespaces);
	*watch = (struct lf_redis_watch){ 0 };
}

int lf_redis_watch_fd(const struct lf_sink *sink)
{
	return sink->watch.connection ? sink->watch.events : -1;
}

/* ---- Subscribing ---- */

static bool is_kind(const redisReply *reply, const char *kind)
{
	return reply->elements == 3 && reply->element[0]->str &&
	       strcasecmp(reply->element[0]->str, kind) == 0;
}

static void put_subscriptions(struct lf_redis_connection *connection, const char *const *namespaces,
                              size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lf_text words[2] = { LF_REDIS_WORD("SUBSCRIBE") };
		struct lf_redis_key channel;

		lf_redis_key_flags(&channel, lf_redis_text(namespaces[i]));
		words[1] = lf_redis_key_text(&channel);
		lf_redis_put(connection, words, 2);
	}
}

static enum lf_sink_result take_confirmations(struct lf_redis_connection *connection, bool *missed,
                                              struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	redisReply *reply;

	while ((reply = lf_redis_take(connection))) {
		if (result == LF_SINK_DONE)
			result = lf_redis_judge(reply, lf_redis_connection_place(connection), err);
		if (is_kind(reply, "message"))
			*missed = true;
		freeReplyObject(reply);
	}
	return result == LF_SINK_DONE ? lf_redis_connection_result(connection, err) : result;
}

/* A message reaches the subscribers of every node, so any one will do that answers. */
static const struct lf_redis_node *any_node(const struct lf_redis_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->node[i]->connection && (nodes->node[i]->master || !nodes->cluster))
			return nodes->node[i];
	return nodes->node[0];
}

static enum lf_sink_result subscribe(struct lf_sink *sink, const char *const *namespaces,
                                     size_t count, struct lf_redis_connection **out, bool *missed,
                                     int64_t end_ms, struct lf_error *err)
{
	struct lf_redis_connection *connection = NULL;
	enum lf_sink_result result = lf_redis_nodes_learn(&sink->nodes, end_ms, err);

	if (result == LF_SINK_DONE)
		result = lf_redis_connection_open(&connection, &any_node(&sink->nodes)->place,
		                                  sink->account.login.tls, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_login(connection, &sink->account.login, false, end_ms, err);
	if (result == LF_SINK_DONE) {
		lf_redis_connection_listen(connection);
		put_subscriptions(connection, namespaces, count);
		lf_redis_exchange(&connection, 1, end_ms);
		result = take_confirmations(connection, missed, err);
	}
	if (result == LF_SINK_DONE)
		*out = connection;
	else
		lf_redis_connection_close(connection);
	return result;
}

static bool keep_namespaces(struct lf_redis_watch *watch, const char *const *namespaces, size_t count)
{
	void *kept = calloc(count ? count : 1, sizeof(*watch->namespaces));

	if (!kept)
		return false;
	free(watch->namespaces);
	watch->namespaces = kept;
	watch->count = count;
	for (size_t i = 0; i < count; i++)
		(void)snprintf(watch->namespaces[i], sizeof(watch->namespaces[i]), "%s", namespaces[i]);
	return true;
}

enum lf_sink_result lf_redis_watch(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                   int timeout_ms, struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct lf_redis_watch *watch = &sink->watch;
	struct epoll_event event = { .events = EPOLLIN };
	enum lf_sink_result result;

	stop(watch);
	if (!keep_namespaces(watch, namespaces, count) || open_events(watch) < 0)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory or no file descriptor to watch redis");
	result = subscribe(sink, namespaces, count, &watch->connection, &watch->missed, end_ms, err);
	if (result != LF_SINK_DONE)
		return result;
	/* Taken out again when the connection is closed. */
	if (epoll_ctl(watch->events, EPOLL_CTL_ADD, lf_redis_connection_fd(watch->connection),
	              &event) < 0) {
		stop(watch);
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory to watch redis");
	}
	start_timer(watch);
	return LF_SINK_DONE;
}

enum lf_sink_result lf_redis_watch_works(struct lf_sink *sink, bool *works, int64_t end_ms,
                                         struct lf_error *err)
{
	struct lf_redis_connection *connection = NULL;
	enum lf_sink_result result = LF_SINK_DONE;
	bool missed = false;

	if (!sink->watch.probed) {
		result = subscribe(sink, &sink->options.namespace, 1, &connection, &missed, end_ms, err);
		lf_redis_connection_close(connection);
		sink->watch.works = result == LF_SINK_DONE;
		sink->watch.probed = result != LF_SINK_RETRY;
	}
	*works = sink->watch.works;
	return result == LF_SINK_REJECTED ? LF_SINK_DONE : result;
}

/* ---- Hearing ---- */

static void tell_all(const struct lf_redis_watch *watch, lf_sink_changed changed, void *arg)
{
	for (size_t i = 0; i < watch->count; i++)
		changed(arg, watch->namespaces[i], NULL);
}

/* What a person published may be anything: then it is not known of which entry it tells. */
static void tell(const struct lf_redis_watch *watch, const redisReply *message,
                 lf_sink_changed changed, void *arg)
{
	const redisReply *from = message->element[1], *what = message->element[2];
	struct lf_redis_key channel;

	for (size_t i = 0; i < watch->count; i++) {
		lf_redis_key_flags(&channel, lf_redis_text(watch->namespaces[i]));
		if (!from->str || from->len != channel.len ||
		    memcmp(from->str, channel.text, channel.len) != 0)
			continue;
		changed(arg, watch->namespaces[i],
		        what->str && lf_redis_is_hash((struct lf_text){ what->str, what->len }) ?
		                what->str : NULL);
	}
}

/* Silence since the last question means that nobody is there. */
static enum lf_sink_result ask_for_life(struct lf_redis_watch *watch, struct lf_error *err)
{
	static const struct lf_text ping = { "PING", 4 };
	uint64_t rings;

	if (read(watch->timer, &rings, sizeof(rings)) != sizeof(rings))
		return LF_SINK_DONE;
	if (watch->asked && !watch->heard)
		return lf_redis_fail(err, LF_SINK_RETRY, "redis at %s fell silent while it was watched",
		                     lf_redis_connection_place(watch->connection)->text);
	lf_redis_put(watch->connection, &ping, 1);
	watch->asked = true;
	watch->heard = false;
	return LF_SINK_DONE;
}

static enum lf_sink_result hear(struct lf_redis_watch *watch, lf_sink_changed changed, void *arg,
                                struct lf_error *err)
{
	enum lf_sink_result received = lf_redis_receive(watch->connection, err);
	enum lf_sink_result result = LF_SINK_DONE;
	redisReply *reply;

	while ((reply = lf_redis_take(watch->connection))) {
		watch->heard = true;
		if (is_kind(reply, "message"))
			tell(watch, reply, changed, arg);
		else if (result == LF_SINK_DONE)
			result = lf_redis_judge(reply, lf_redis_connection_place(watch->connection), err);
		freeReplyObject(reply);
	}
	return lf_redis_worse(received, result);
}

enum lf_sink_result lf_redis_changes(struct lf_sink *sink, lf_sink_changed changed, void *arg,
                                     struct lf_error *err)
{
	struct lf_redis_watch *watch = &sink->watch;
	enum lf_sink_result result;

	if (!watch->connection)
		return lf_redis_fail(err, LF_SINK_RETRY, "nothing is watched in redis: the connection is lost");
	if (watch->missed)
		tell_all(watch, changed, arg);
	watch->missed = false;
	/* Heard first: the answer may wait beside the timer. */
	result = hear(watch, changed, arg, err);
	if (result == LF_SINK_DONE)
		result = ask_for_life(watch, err);
	if (result == LF_SINK_DONE)
		result = hear(watch, changed, arg, err); /* sends, and must not keep what came meanwhile */
	if (result != LF_SINK_DONE)
		stop(watch);
	return result;
}
