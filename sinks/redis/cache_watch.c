/* The channel: what other processes changed, told by pub/sub on a connection of its own. */
#include "sinks/redis/cache.h"
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

enum { ASK_MS = 2000 }; /* who is silent for twice as long is gone */

void lf_redis_cache_watch_fini(struct lf_tier *tier)
{
	lf_redis_connection_close(tier->watch.connection);
	tier->watch = (struct lf_redis_cache_watch){ NULL };
}

/* --- subscribing ----------------------------------------------------------------------------------- */

static bool is_message(const redisReply *reply)
{
	return reply->elements == 3 && reply->element[0]->str && strcasecmp(reply->element[0]->str, "message") == 0;
}

/* A message reaches the subscribers of every node, so any master will do that answers. */
static enum lf_sink_result find_place(struct lf_tier *tier, struct lf_redis_place *out, int64_t end_ms,
                                      struct lf_error *err)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, end_ms, err);
	const struct lf_redis_nodes *nodes;
	enum lf_sink_result result;

	if (!session)
		return LF_SINK_RETRY;
	nodes = &session->nodes;
	result = lf_redis_nodes_learn(&session->nodes, end_ms, err);
	*out = nodes->node[0]->place;
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->node[i]->connection && nodes->node[i]->master)
			*out = nodes->node[i]->place;
	lf_redis_session_give(tier, session);
	return result;
}

static enum lf_sink_result take_confirmation(struct lf_redis_connection *connection, bool *missed, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	redisReply *reply;

	while ((reply = lf_redis_take(connection))) {
		if (result == LF_SINK_DONE)
			result = lf_redis_judge(reply, lf_redis_connection_place(connection), err);
		*missed = *missed || is_message(reply);
		freeReplyObject(reply);
	}
	return result == LF_SINK_DONE ? lf_redis_connection_result(connection, err) : result;
}

static enum lf_sink_result subscribe(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	const struct lf_text words[] = { LF_REDIS_WORD("SUBSCRIBE"), { tier->channel, tier->channel_len } };
	struct lf_redis_cache_watch *watch = &tier->watch;
	struct lf_redis_place place;
	enum lf_sink_result result = find_place(tier, &place, end_ms, err);

	if (tier->connect_timeout_ms > 0)
		end_ms = lf_redis_sooner_ms(end_ms, tier->connect_timeout_ms);
	if (result == LF_SINK_DONE)
		result = lf_redis_connection_open(&watch->connection, &place, tier->account.login.tls, end_ms, err);
	if (result == LF_SINK_DONE)
		result = lf_redis_login(watch->connection, &tier->account.login, false, end_ms, err);
	if (result != LF_SINK_DONE)
		return result;
	lf_redis_connection_listen(watch->connection);
	lf_redis_put(watch->connection, words, 2);
	lf_redis_exchange(&watch->connection, 1, end_ms);
	return take_confirmation(watch->connection, &watch->missed, err);
}

enum lf_tier_result lf_redis_cache_watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result;

	lf_redis_cache_watch_fini(tier);
	result = subscribe(tier, end_ms, err);
	if (result != LF_SINK_DONE)
		lf_redis_cache_watch_fini(tier);
	else
		tier->watch.ask_ms = lf_clock_ms() + ASK_MS;
	return lf_redis_tier_result(result);
}

/* --- hearing --------------------------------------------------------------------------------------- */

struct ear {
	struct lf_tier *tier;
	void (*changed)(void *arg, const struct lf_tier_change *change);
	void *arg;
};

/* What a person published may be anything: then nobody knows what changed. */
static void tell(const struct ear *ear, const redisReply *what)
{
	struct lf_tier_change change;
	uint64_t writer = 0;

	if (!what->str || !lf_redis_message_read((struct lf_text){ what->str, what->len }, &writer, &change))
		change = (struct lf_tier_change){ .kind = LF_CHANGED_UNKNOWN };
	else if (writer == ear->tier->self.writer)
		return;
	ear->changed(ear->arg, &change);
}

static enum lf_sink_result hear(const struct ear *ear, struct lf_error *err)
{
	struct lf_redis_cache_watch *watch = &ear->tier->watch;
	enum lf_sink_result received = lf_redis_receive(watch->connection, err), result = LF_SINK_DONE;
	redisReply *reply;

	while ((reply = lf_redis_take(watch->connection))) {
		watch->heard = true;
		if (is_message(reply))
			tell(ear, reply->element[2]);
		else if (result == LF_SINK_DONE)
			result = lf_redis_judge(reply, lf_redis_connection_place(watch->connection), err);
		freeReplyObject(reply);
	}
	return lf_redis_worse(received, result);
}

/* Silence since the last question means that nobody is there. */
static enum lf_sink_result ask_for_life(const struct ear *ear, struct lf_error *err)
{
	struct lf_redis_cache_watch *watch = &ear->tier->watch;
	static const struct lf_text ping = { "PING", 4 };

	if (lf_clock_ms() < watch->ask_ms)
		return LF_SINK_DONE;
	if (watch->asked && !watch->heard)
		return lf_redis_fail(err, LF_SINK_RETRY, "redis at %s fell silent while it was listened to",
		                     lf_redis_connection_place(watch->connection)->text);
	lf_redis_put(watch->connection, &ping, 1);
	watch->asked = true;
	watch->heard = false;
	watch->ask_ms = lf_clock_ms() + ASK_MS;
	return hear(ear, err); /* sends, and must not keep what came meanwhile */
}

/* True: something came from there.  False: the time is over, or the caller is woken. */
static bool wait(const struct ear *ear, int wake_fd, int64_t end_ms)
{
	const struct lf_redis_cache_watch *watch = &ear->tier->watch;
	struct pollfd fds[2] = { { .fd = lf_redis_connection_fd(watch->connection), .events = POLLIN },
		                     { .fd = wake_fd, .events = POLLIN } };
	int64_t until_ms = watch->ask_ms < end_ms ? watch->ask_ms : end_ms;

	(void)poll(fds, 2, lf_redis_left_ms(until_ms));
	return !fds[1].revents && lf_clock_ms() < end_ms;
}

enum lf_tier_result lf_redis_cache_changes(struct lf_tier *tier, int wake_fd,
                                           void (*changed)(void *arg, const struct lf_tier_change *change), void *arg,
                                           int64_t end_ms, struct lf_error *err)
{
	const struct ear ear = { tier, changed, arg };
	const struct lf_tier_change unknown = { .kind = LF_CHANGED_UNKNOWN };
	enum lf_sink_result result;

	if (!tier->watch.connection)
		return lf_redis_tier_fail(err, LF_TIER_AWAY, "nobody listens to redis at %s: the connection is lost",
		                          tier->account.place.text);
	if (tier->watch.missed)
		changed(arg, &unknown);
	tier->watch.missed = false;
	do {
		/* Heard first: an answer may have come while nobody looked. */
		result = hear(&ear, err);
		if (result == LF_SINK_DONE)
			result = ask_for_life(&ear, err);
	} while (result == LF_SINK_DONE && wait(&ear, wake_fd, end_ms));
	if (result != LF_SINK_DONE)
		lf_redis_cache_watch_fini(tier);
	return lf_redis_tier_result(result);
}
