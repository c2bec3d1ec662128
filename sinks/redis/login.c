/* Who we are, in which protocol, and what the server is to know of us. */
#include "sinks/redis/complaint.h"
#include "sinks/redis/connection.h"

/* RESP3 is asked for where hiredis can parse it. */
enum { HAVE_RESP3 = HIREDIS_MAJOR >= 1 };

static enum lf_sink_result judge_and_free(struct lf_redis_connection *c, redisReply *reply,
                                          struct lf_error *err)
{
	enum lf_sink_result result = lf_redis_judge_login(reply, lf_redis_connection_place(c), err);

	freeReplyObject(reply);
	return result;
}

static enum lf_sink_result auth(struct lf_redis_connection *c, const struct lf_redis_login *login,
                                int64_t end_ms, struct lf_error *err)
{
	struct lf_text words[3] = { LF_REDIS_WORD("AUTH") };
	enum lf_sink_result result;
	redisReply *reply;
	size_t count = 1;

	if (*login->user)
		words[count++] = lf_redis_text(login->user);
	words[count++] = lf_redis_text(login->password);
	result = lf_redis_ask(c, words, count, end_ms, &reply, err);
	return result == LF_SINK_DONE ? judge_and_free(c, reply, err) : result;
}

/* An old server does not know the word, and a user may lack the permission for it: then it stays RESP2. */
static enum lf_sink_result speak_resp3(struct lf_redis_connection *c, int64_t end_ms,
                                       struct lf_error *err)
{
	static const struct lf_text hello[] = { { "HELLO", 5 }, { "3", 1 } };
	enum lf_sink_result result;
	redisReply *reply;

	result = lf_redis_ask(c, hello, 2, end_ms, &reply, err);
	if (result != LF_SINK_DONE)
		return result;
	if (lf_redis_error_is(reply, "NOAUTH") || lf_redis_error_is(reply, "DENIED"))
		result = lf_redis_judge(reply, lf_redis_connection_place(c), err);
	freeReplyObject(reply);
	return result;
}

size_t lf_redis_put_scripts(struct lf_redis_connection *c, const struct lf_redis_scripts *scripts)
{
	for (size_t i = 0; i < scripts->count; i++) {
		struct lf_text load[] = { LF_REDIS_WORD("SCRIPT"), LF_REDIS_WORD("LOAD"),
			                      lf_redis_text(scripts->text[i]) };

		lf_redis_put(c, load, 3);
	}
	return scripts->count;
}

static enum lf_sink_result judge_rest(struct lf_redis_connection *c, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	redisReply *reply;

	while ((reply = lf_redis_take(c))) {
		if (result == LF_SINK_DONE)
			result = lf_redis_judge(reply, lf_redis_connection_place(c), err);
		freeReplyObject(reply);
	}
	return result == LF_SINK_DONE ? lf_redis_connection_result(c, err) : result;
}

enum lf_sink_result lf_redis_login(struct lf_redis_connection *c, const struct lf_redis_login *login,
                                   bool scripts, int64_t end_ms, struct lf_error *err)
{
	const struct lf_text name[] = { LF_REDIS_WORD("CLIENT"), LF_REDIS_WORD("SETNAME"),
		                            lf_redis_text(login->name) };
	enum lf_sink_result result = LF_SINK_DONE;
	struct lf_text select[] = { LF_REDIS_WORD("SELECT"), { NULL, 0 } };
	redisReply *named;
	char db[16];

	if (login->replies_max > 0)
		lf_redis_connection_bound(c, login->replies_max);
	if (*login->password)
		result = auth(c, login, end_ms, err);
	if (result == LF_SINK_DONE && HAVE_RESP3)
		result = speak_resp3(c, end_ms, err);
	if (result != LF_SINK_DONE)
		return result;
	lf_redis_put(c, name, 3);
	if (login->db != 0) {
		(void)snprintf(db, sizeof(db), "%d", login->db);
		select[1] = lf_redis_text(db);
		lf_redis_put(c, select, 2);
	}
	if (scripts)
		(void)lf_redis_put_scripts(c, login->scripts);
	lf_redis_exchange(&c, 1, end_ms);
	named = lf_redis_take(c);
	/* A name is a courtesy: who may not give himself one goes without, unless it is the server's way to
	 * say that it wants a password. */
	if (named && lf_redis_error_is(named, "NOAUTH"))
		return judge_and_free(c, named, err);
	if (named)
		freeReplyObject(named);
	return judge_rest(c, err);
}
