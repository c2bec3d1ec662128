#include "sinks/redis/complaint.h"

#include <string.h>

struct meaning {
	const char *code; /* how the reply begins, or with a * somewhere inside */
	enum lf_sink_result result;
	const char *sentence; /* what follows "redis at PLACE "; NULL: the server's own words */
};

/* The first that fits counts. */
static const struct meaning meanings[] = {
	{ "NOAUTH", LF_SINK_REJECTED,
	  "wants a password: give it in the URL, or beside it (password_file in agent.toml)" },
	{ "WRONGPASS", LF_SINK_REJECTED,
	  "does not take this user and password: set them in the URL, or the password beside it (password_file in agent.toml)" },
	{ "ERR invalid password", LF_SINK_REJECTED,
	  "does not take this password: set it in the URL, or beside it (password_file in agent.toml)" },
	{ "ERR AUTH <password> called without any password", LF_SINK_REJECTED,
	  "has no password set for the default user, but one is given: take it out, or "
	  "set requirepass there" },
	{ "ERR Client sent AUTH, but no password is set", LF_SINK_REJECTED,
	  "has no password set, but one is given: take it out, or set requirepass there" },
	{ "*NOPERM", LF_SINK_REJECTED, NULL },
	{ "*ACL failure", LF_SINK_REJECTED, NULL },
	{ "*can't run this command", LF_SINK_REJECTED, NULL },
	{ "*can't publish to the channel", LF_SINK_REJECTED, NULL }, /* from within a script */
	{ "*have no permission", LF_SINK_REJECTED, NULL },
	{ "DENIED", LF_SINK_REJECTED,
	  "is in protected mode and refuses other machines: set a password or bind there" },
	{ "ERR DB index", LF_SINK_REJECTED, "does not have the database that the URL names" },
	{ "ERR invalid DB index", LF_SINK_REJECTED, "does not have the database that the URL names" },
	{ "ERR SELECT is not allowed in cluster mode", LF_SINK_REJECTED,
	  "is a cluster, which has no databases but 0: take the number out of the URL" },
	{ "*WRONGTYPE", LF_SINK_REJECTED,
	  "has a key of ours that is of another type: look for it with SCAN … MATCH logfold:* and DEL it" },
	{ "ERR unknown command", LF_SINK_REJECTED, "lacks a command that is needed: Redis 4 or newer has "
	  "all, unless rename-command took it away" },
	{ "*OOM", LF_SINK_RETRY, "is full: raise maxmemory there, or lower max_entries of [redis] in agent.toml" },
	{ "LOADING", LF_SINK_RETRY, "is still loading its data" },
	{ "*BUSY", LF_SINK_RETRY, "is busy with a script that does not end: SCRIPT KILL ends it" },
	{ "*READONLY", LF_SINK_RETRY, "is a replica, which takes no writes: name its master" },
	{ "*MISCONF", LF_SINK_RETRY, "takes no writes while it cannot save to its disk: see its log" },
	{ "*NOREPLICAS", LF_SINK_RETRY, "takes no writes while it has too few replicas" },
	{ "MASTERDOWN", LF_SINK_RETRY, "is a replica that has lost its master" },
	{ "CLUSTERDOWN", LF_SINK_RETRY, "says that its cluster is down: CLUSTER INFO tells more" },
	{ "TRYAGAIN", LF_SINK_RETRY, "is moving the key just now" },
	{ "MOVED", LF_SINK_RETRY, "and its cluster do not agree who has the key" },
	{ "ASK", LF_SINK_RETRY, "and its cluster do not agree who has the key" },
	{ "NOSCRIPT", LF_SINK_RETRY, "forgot the scripts again" },
	{ "ERR max number of clients", LF_SINK_RETRY, "has no room for another client: see maxclients" },
};

bool lf_redis_error_is(const redisReply *reply, const char *code)
{
	size_t len = strlen(code);

	return lf_redis_is_error(reply) && strncmp(reply->str, code, len) == 0 &&
	       (reply->str[len] == ' ' || reply->str[len] == '\0');
}

bool lf_redis_is_full(const redisReply *reply)
{
	return lf_redis_is_error(reply) && strstr(reply->str, "OOM") != NULL;
}

static bool fits(const struct meaning *meaning, const char *text)
{
	if (*meaning->code == '*')
		return strstr(text, meaning->code + 1) != NULL;
	return strncmp(text, meaning->code, strlen(meaning->code)) == 0;
}

static const struct meaning *meaning_of(const char *text)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (fits(&meanings[i], text))
			return &meanings[i];
	return NULL;
}

/* The server's words on one line. */
static void copy_words(char *out, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text && used + 1 < size; text++)
		out[used++] = (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text;
	out[used] = '\0';
}

static enum lf_sink_result judge(const redisReply *reply, const struct lf_redis_place *place,
                                 bool secret, struct lf_error *err)
{
	const struct meaning *meaning;
	char words[256];

	if (!lf_redis_is_error(reply))
		return LF_SINK_DONE;
	meaning = meaning_of(reply->str);
	if (meaning && meaning->sentence)
		return lf_redis_fail(err, meaning->result, "redis at %s %s", place->text,
		                     meaning->sentence);
	copy_words(words, sizeof(words), reply->str);
	if (secret)
		words[strcspn(words, " ")] = '\0';
	return lf_redis_fail(err, meaning ? meaning->result : LF_SINK_RETRY, "redis at %s says: %s%s",
	                     place->text, words,
	                     meaning ? "; ACL SETUSER there gives the permission" : "");
}

enum lf_sink_result lf_redis_judge(const redisReply *reply, const struct lf_redis_place *place,
                                   struct lf_error *err)
{
	return judge(reply, place, false, err);
}

enum lf_sink_result lf_redis_judge_login(const redisReply *reply, const struct lf_redis_place *place,
                                         struct lf_error *err)
{
	return judge(reply, place, true, err);
}
