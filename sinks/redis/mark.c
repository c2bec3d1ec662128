/* The mark is a key, which goes when the server is emptied.  Besides it the run id counts: a server that
 * was started anew may have lost its last minutes, and whoever takes over for a dead master may, too.  In
 * a cluster each master has a mark, under a tag of a slot that it owns; the epoch is a digest of all. */
#include "sinks/redis/mark.h"
#include "sinks/redis/complaint.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { RUN_ID_MAX = 64, ASKED = 3 };

struct mark {
	char text[LF_UUID_CHARS + 1 + RUN_ID_MAX + 1];
};

struct question {
	struct lf_redis_nodes *nodes;
	struct lf_text name;
	char key[LF_REDIS_MARK_KEY_MAX + 32]; /* of the master that is asked */
	bool full;
	int64_t end_ms;
	struct lf_error *err;
};

static void write_uuid(const unsigned char bytes[16], char out[LF_UUID_CHARS + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static enum lf_sink_result new_mark(char out[LF_UUID_CHARS + 1], struct lf_error *err)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != sizeof(bytes))
		return lf_redis_fail(err, LF_SINK_RETRY, "the system has no random numbers yet");
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	write_uuid(bytes, out);
	return LF_SINK_DONE;
}

/* The smallest number whose slot the master owns; false: it owns none. */
static bool tag_of(const struct lf_redis_nodes *nodes, const struct lf_redis_node *master,
                   char tag[16])
{
	enum { TRIED = 1 << 20 };

	for (unsigned i = 0; i < TRIED; i++) {
		int len = snprintf(tag, 16, "%u", i);

		if (lf_redis_node_of(nodes, lf_redis_slot(tag, (size_t)len)) == master)
			return true;
	}
	return false;
}

static bool key_at(struct question *q, const struct lf_redis_node *master)
{
	char tag[16];
	int len;

	if (q->nodes->cluster && !tag_of(q->nodes, master, tag))
		return false;
	len = snprintf(q->key, sizeof(q->key), q->nodes->cluster ? "%.*s:{%s}" : "%.*s", (int)q->name.len, q->name.data,
	               tag);
	return len > 0 && (size_t)len < sizeof(q->key);
}

static void put_questions(struct lf_redis_connection *connection, const char *key, const char *mark)
{
	const struct lf_text set[] = { LF_REDIS_WORD("SET"), lf_redis_text(key), lf_redis_text(mark),
		                           LF_REDIS_WORD("NX") };
	const struct lf_text get[] = { LF_REDIS_WORD("GET"), lf_redis_text(key) };
	const struct lf_text info[] = { LF_REDIS_WORD("INFO"), LF_REDIS_WORD("server") };

	lf_redis_put(connection, set, 4);
	lf_redis_put(connection, get, 2);
	lf_redis_put(connection, info, 2);
}

/* Who may not INFO goes without the run id. */
static void append_run_id(struct mark *mark, const redisReply *info)
{
	const char *id = !lf_redis_is_error(info) && info->str ? strstr(info->str, "\nrun_id:") : NULL;
	size_t len = id ? strcspn(id + 8, "\r\n") : 0, used = strlen(mark->text);

	if (len > 0 && len < RUN_ID_MAX)
		(void)snprintf(mark->text + used, sizeof(mark->text) - used, " %.*s", (int)len, id + 8);
}

/* A full server that has the mark already is still the one that we know. */
static enum lf_sink_result read_answers(struct question *q, const struct lf_redis_node *node, redisReply *answer[ASKED],
                                        struct mark *mark)
{
	enum lf_sink_result result = lf_redis_judge(answer[0], &node->place, q->err);

	if (lf_redis_is_full(answer[0]) && answer[1]->str && !lf_redis_is_error(answer[1])) {
		q->full = true;
		result = LF_SINK_DONE;
	}
	if (result == LF_SINK_DONE)
		result = lf_redis_judge(answer[1], &node->place, q->err);
	if (result != LF_SINK_DONE)
		return result;
	if (!answer[1]->str) /* taken away between the two */
		return lf_redis_fail(q->err, LF_SINK_RETRY, "redis at %s was emptied just now", node->place.text);
	(void)snprintf(mark->text, LF_UUID_CHARS + 1, "%s", answer[1]->str);
	append_run_id(mark, answer[2]);
	return LF_SINK_DONE;
}

static enum lf_sink_result ask_master(struct question *q, struct lf_redis_node *master, struct mark *mark)
{
	enum lf_sink_result result = lf_redis_node_connect(q->nodes, master, q->end_ms, q->err);
	redisReply *answer[ASKED] = { NULL };
	char fresh[LF_UUID_CHARS + 1];

	if (result == LF_SINK_DONE)
		result = new_mark(fresh, q->err);
	if (result != LF_SINK_DONE)
		return result;
	if (!key_at(q, master)) {
		*mark->text = '\0';
		return LF_SINK_DONE;
	}
	put_questions(master->connection, q->key, fresh);
	lf_redis_exchange(&master->connection, 1, q->end_ms);
	for (int i = 0; i < ASKED; i++)
		answer[i] = lf_redis_take(master->connection);
	result = lf_redis_node_settle(q->nodes, master, q->err);
	if (result == LF_SINK_DONE)
		result = read_answers(q, master, answer, mark);
	for (int i = 0; i < ASKED; i++)
		if (answer[i])
			freeReplyObject(answer[i]);
	return result;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct mark *)a)->text, ((const struct mark *)b)->text);
}

/* In an order that does not depend on the cluster's mood. */
static void digest(struct mark *marks, size_t count, char epoch[LF_UUID_CHARS + 1])
{
	unsigned char bytes[EVP_MAX_MD_SIZE] = { 0 };

	qsort(marks, count, sizeof(*marks), by_text);
	(void)EVP_Digest(marks, count * sizeof(*marks), bytes, NULL, EVP_sha256(), NULL);
	write_uuid(bytes, epoch);
}

enum lf_sink_result lf_redis_mark(struct lf_redis_nodes *nodes, struct lf_text key, char mark[LF_UUID_CHARS + 1],
                                  bool *full, int64_t end_ms, struct lf_error *err)
{
	struct question question = { .nodes = nodes, .name = key, .end_ms = end_ms, .err = err };
	struct mark *marks = calloc(nodes->count, sizeof(*marks));
	enum lf_sink_result result = LF_SINK_DONE;
	size_t used = 0;

	if (!marks)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory to talk to redis");
	for (size_t i = 0; i < nodes->count && result == LF_SINK_DONE; i++)
		if (nodes->node[i]->master)
			result = ask_master(&question, nodes->node[i], &marks[used++]);
	if (result == LF_SINK_DONE)
		digest(marks, used, mark);
	*full = question.full;
	free(marks);
	return result;
}
