/* Entries in, and out again.  One script for each, all of a batch in one pipeline. */
#include "sinks/redis/clock.h"
#include "sinks/redis/complaint.h"
#include "sinks/redis/fields.h"
#include "sinks/redis/pipeline.h"
#include "sinks/redis/room.h"

#include <stdlib.h>

enum {
	SHARES_AT_ONCE = 64,           /* of one script call: Lua's doubles stay exact */
	HEAD = 4,                      /* EVALSHA, name, number of keys, key */
};

/* A store that was silent for a month is told nothing of how far it had sent. */
static const uint64_t writer_ttl_ms = UINT64_C(30) * 86400 * 1000;

static size_t call_head(struct lf_text *words, enum lf_redis_script script,
                        const struct lf_redis_key *key)
{
	words[0] = LF_REDIS_WORD("EVALSHA");
	words[1] = (struct lf_text){ lf_redis_script_sha(script), LF_REDIS_SHA_CHARS };
	words[2] = LF_REDIS_WORD("1");
	words[3] = lf_redis_key_text(key);
	return HEAD;
}

static struct lf_text mode_of(const struct lf_sink_record *record)
{
	if (record->frozen)
		return record->flags_changed ? LF_REDIS_WORD("fz") : LF_REDIS_WORD("z");
	return record->flags_changed ? LF_REDIS_WORD("f") : LF_REDIS_WORD("-");
}

static void add_merge(struct lf_redis_pipeline *p, const struct lf_sink_record *record,
                      const struct lf_share *shares, size_t count, struct lf_text ttl)
{
	struct lf_text words[HEAD + LF_REDIS_ARG_FIELDS + LF_REDIS_WRITTEN + 2 * SHARES_AT_ONCE];
	char outcomes[SHARES_AT_ONCE][LF_REDIS_OUTCOMES_MAX];
	const struct lf_entry *entry = record->entry;
	struct lf_redis_key key, channel;
	struct lf_redis_digits digits;
	size_t used;

	lf_redis_key_entry(&key, entry->namespace, entry->hash);
	lf_redis_key_flags(&channel, entry->namespace);
	used = call_head(words, LF_REDIS_MERGE, &key);
	words[used + LF_REDIS_ARG_TTL] = ttl;
	words[used + LF_REDIS_ARG_MODE] = mode_of(record);
	words[used + LF_REDIS_ARG_CHANNEL] = lf_redis_key_text(&channel);
	words[used + LF_REDIS_ARG_FIRST_SEEN] = entry->first_seen_at;
	words[used + LF_REDIS_ARG_LAST_SEEN] = entry->last_seen_at;
	lf_redis_fields_write(entry, &digits, words + used + LF_REDIS_ARG_FIELDS);
	used += LF_REDIS_ARG_FIELDS + LF_REDIS_WRITTEN;
	for (size_t i = 0; i < count; i++) {
		words[used++] = lf_redis_text(shares[i].incarnation);
		words[used++] = lf_redis_outcomes(shares[i].counts, outcomes[i]);
	}
	lf_redis_pipeline_add(p, lf_redis_key_text(&key), words, used);
}

static void add_record(struct lf_redis_pipeline *p, const struct lf_sink_record *record,
                       struct lf_text ttl)
{
	size_t done = 0;

	do {
		size_t left = record->shares_count - done;
		size_t count = left < SHARES_AT_ONCE ? left : SHARES_AT_ONCE;

		add_merge(p, record, record->shares + done, count, ttl);
		done += count;
	} while (done < record->shares_count);
}

/* Sends the pipeline; the worse of how it went and of what was answered. */
static enum lf_sink_result run(struct lf_sink *sink, struct lf_redis_pipeline *p, int64_t end_ms,
                               struct lf_error *err)
{
	struct lf_error why = { "" };
	enum lf_sink_result result = lf_redis_pipeline_run(p, &sink->nodes, end_ms, err);
	enum lf_sink_result judged = lf_redis_pipeline_judge(p, NULL, &why);

	if (judged > result && err)
		*err = why;
	return lf_redis_worse(result, judged);
}

void lf_redis_flush_commands(struct lf_redis_pipeline *p, const struct lf_sink_batch *batch, int ttl_s)
{
	char digits[LF_DECIMAL_MAX];
	struct lf_text ttl = lf_redis_number((uint64_t)ttl_s * 1000, digits);

	for (size_t i = 0; i < batch->count; i++)
		add_record(p, &batch->records[i], ttl);
}

enum lf_sink_result lf_redis_flush(struct lf_sink *sink, const struct lf_sink_batch *batch,
                                   int timeout_ms, struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct lf_redis_pipeline p = { 0 };
	enum lf_sink_result result = LF_SINK_DONE;

	lf_redis_flush_commands(&p, batch, sink->options.ttl_s);
	if (batch->count > 0)
		result = run(sink, &p, end_ms, err);
	lf_redis_pipeline_fini(&p);
	if (result == LF_SINK_DONE && batch->sequence > 0)
		result = lf_redis_sequence_raise(sink, batch->sequence, end_ms, err);
	return result;
}

enum lf_sink_result lf_redis_sequence_raise(struct lf_sink *sink, uint64_t sequence, int64_t end_ms,
                                            struct lf_error *err)
{
	char number[LF_DECIMAL_MAX], ttl[LF_DECIMAL_MAX];
	struct lf_text words[HEAD + 2];
	enum lf_sink_result result;
	struct lf_redis_key key;
	redisReply *reply;
	size_t used;

	lf_redis_key_writer(&key, &sink->options);
	used = call_head(words, LF_REDIS_RAISE, &key);
	words[used++] = lf_redis_number(sequence, number);
	words[used++] = lf_redis_number(writer_ttl_ms, ttl);
	result = lf_redis_one(&sink->nodes, lf_redis_key_text(&key), words, used, end_ms, &reply, err);
	if (result == LF_SINK_DONE)
		freeReplyObject(reply);
	return result;
}

static void add_evict(struct lf_redis_pipeline *p, const struct lf_sink_record *record,
                      const char *incarnation, struct lf_text *words)
{
	struct lf_redis_key key;
	size_t used;

	lf_redis_key_entry(&key, record->entry->namespace, record->entry->hash);
	used = call_head(words, LF_REDIS_EVICT, &key);
	words[used++] = lf_redis_text(incarnation);
	for (size_t i = 0; i < record->shares_count; i++)
		words[used++] = lf_redis_text(record->shares[i].incarnation);
	lf_redis_pipeline_add(p, lf_redis_key_text(&key), words, used);
}

enum lf_sink_result lf_redis_evict(struct lf_sink *sink, const struct lf_sink_record *records,
                                   size_t count, int timeout_ms, struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct lf_redis_pipeline p = { 0 };
	enum lf_sink_result result;
	struct lf_text *words;
	size_t most = 0;

	if (count == 0)
		return LF_SINK_DONE;
	for (size_t i = 0; i < count; i++)
		if (records[i].shares_count > most)
			most = records[i].shares_count;
	words = calloc(HEAD + 1 + most, sizeof(*words));
	if (!words)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for what redis is to drop");
	for (size_t i = 0; i < count; i++)
		add_evict(&p, &records[i], sink->options.incarnation, words);
	free(words);
	result = run(sink, &p, end_ms, err);
	lf_redis_pipeline_fini(&p);
	return result;
}
