#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"
#include "sinks/mongo/parse.h"

/* All shares of the remembered hashes summed, and the entries raised to the sums. */

static const char doing[] = "summing counts";

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

enum { LIST_MAX = 50 };

struct sum {
	char hash[LF_HASH_CHARS + 1];
	uint64_t counts[LF_OUTCOME_COUNT];
};

/* The shares of the pending hashes. */
static void append_filter(bson_t *out, const struct lf_mongo_rollup *rollup)
{
	bson_t in, hashes;

	(void)bson_append_utf8(out, "namespace", -1, rollup->namespace, -1);
	(void)bson_append_document_begin(out, "hash", -1, &in);
	(void)bson_append_array_begin(&in, "$in", -1, &hashes);
	for (size_t i = 0; i < rollup->pending_count; i++)
		lf_mongo_append_element(&hashes, i, rollup->pending[i], LF_HASH_CHARS);
	(void)bson_append_array_end(&in, &hashes);
	(void)bson_append_document_end(out, &in);
}

/* ---- Summed by the server ---- */

static void append_group(bson_t *out)
{
	bson_t sum;

	(void)bson_append_utf8(out, "_id", -1, "$hash", -1);
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		char field[32];

		(void)snprintf(field, sizeof(field), "$%s", lf_mongo_count_names[i]);
		(void)bson_append_document_begin(out, lf_mongo_count_names[i], -1, &sum);
		(void)bson_append_utf8(&sum, "$sum", -1, field, -1);
		(void)bson_append_document_end(out, &sum);
	}
	/* Never 0, but on a server that takes several sums and works out the first alone. */
	(void)bson_append_document_begin(out, "shares", -1, &sum);
	(void)bson_append_int32(&sum, "$sum", -1, 1);
	(void)bson_append_document_end(out, &sum);
}

static void append_pipeline(bson_t *out, const struct lf_mongo_rollup *rollup)
{
	bson_t stages, stage, body;

	(void)bson_append_array_begin(out, "pipeline", -1, &stages);
	(void)bson_append_document_begin(&stages, "0", -1, &stage);
	(void)bson_append_document_begin(&stage, "$match", -1, &body);
	append_filter(&body, rollup);
	(void)bson_append_document_end(&stage, &body);
	(void)bson_append_document_end(&stages, &stage);
	(void)bson_append_document_begin(&stages, "1", -1, &stage);
	(void)bson_append_document_begin(&stage, "$group", -1, &body);
	append_group(&body);
	(void)bson_append_document_end(&stage, &body);
	(void)bson_append_document_end(&stages, &stage);
	(void)bson_append_array_end(out, &stages);
}

static int64_t number_in(const bson_t *document, const char *name)
{
	bson_iter_t field;

	return bson_iter_init_find(&field, document, name) ? lf_mongo_parse_number(&field) : 0;
}

static bool parse_sum(struct sum *out, const bson_t *document)
{
	bson_iter_t field;
	uint32_t len = 0;
	const char *hash;

	*out = (struct sum){ .hash = "" };
	if (!bson_iter_init_find(&field, document, "_id") || !BSON_ITER_HOLDS_UTF8(&field))
		return false;
	hash = bson_iter_utf8(&field, &len);
	if (len != LF_HASH_CHARS)
		return false;
	memcpy(out->hash, hash, len);
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		int64_t number = number_in(document, lf_mongo_count_names[i]);

		out->counts[i] = number > 0 ? (uint64_t)number : 0;
	}
	return true;
}

/* As a command: the answer is of one batch, and the aggregate call of some libmongoc 1.30 takes the name of
 * the collection for a part of the database's. */
static bool ask_for_sums(struct lf_sink *sink, const struct lf_mongo_rollup *rollup, bson_t *reply,
                         bson_error_t *error)
{
	bson_t command = BSON_INITIALIZER, cursor;
	bool answered;

	(void)bson_append_utf8(&command, "aggregate", -1, lf_mongo_collection_name(LF_MONGO_COUNTS), -1);
	append_pipeline(&command, rollup);
	(void)bson_append_document_begin(&command, "cursor", -1, &cursor);
	(void)bson_append_int32(&cursor, "batchSize", -1, (int32_t)rollup->pending_count + 1);
	(void)bson_append_document_end(&command, &cursor);
	answered = lf_mongo_read_command(sink->mongo, &command, reply, error);
	bson_destroy(&command);
	return answered;
}

/* What is asked for comes at once; a server that hands out less would have us leave the rest unsummed. */
static bool is_whole(const bson_t *reply)
{
	bson_iter_t all, id;

	return bson_iter_init(&all, reply) && bson_iter_find_descendant(&all, "cursor.id", &id) &&
	       lf_mongo_parse_number(&id) == 0;
}

static void take_sums(struct lf_sink *sink, const struct lf_mongo_rollup *rollup, const bson_t *reply,
                      struct sum *sums, size_t *count)
{
	bson_iter_t field, batch;
	const uint8_t *data;
	uint32_t bytes;
	bson_t document;

	if (!is_whole(reply) || !bson_iter_init(&field, reply) ||
	    !bson_iter_find_descendant(&field, "cursor.firstBatch", &batch) ||
	    !bson_iter_recurse(&batch, &field)) {
		sink->sums_here = true;
		return;
	}
	while (*count < rollup->pending_count && bson_iter_next(&field)) {
		if (!BSON_ITER_HOLDS_DOCUMENT(&field))
			continue;
		bson_iter_document(&field, &bytes, &data);
		if (!bson_init_static(&document, data, bytes))
			continue;
		sink->sums_here |= number_in(&document, "shares") < 1;
		*count += parse_sum(&sums[*count], &document);
	}
}

/* What the server cannot is found out here, once. */
static enum lf_sink_result sums_of_server(struct lf_sink *sink, const struct lf_mongo_rollup *rollup,
                                          struct sum *sums, size_t *count, struct lf_error *err)
{
	bson_error_t error = { 0 };
	bson_t reply;
	bool answered = ask_for_sums(sink, rollup, &reply, &error);

	*count = 0;
	if (answered)
		take_sums(sink, rollup, &reply, sums, count);
	bson_destroy(&reply);
	if (!answered && lf_mongo_not_offered(&error))
		sink->sums_here = true;
	else if (!answered)
		return lf_mongo_failed(sink->mongo, doing, &error, err);
	return LF_SINK_DONE;
}

/* ---- Summed here, where the server cannot ---- */

static void add_share(struct sum *sums, size_t count, const bson_t *document)
{
	struct lf_share share;
	struct lf_text hash;
	struct sum *sum;

	if (!lf_mongo_parse_share(&share, &hash, document) || hash.len != LF_HASH_CHARS)
		return;
	sum = bsearch(hash.data, sums, count, sizeof(*sums), compare);
	for (int i = 0; sum && i < LF_OUTCOME_COUNT; i++)
		sum->counts[i] += share.counts[i];
}

/* Such a server scans, and compares every document with every text of a list: many hashes are asked for as
 * the range that they are in. */
static void append_range_or_list(bson_t *out, const struct lf_mongo_rollup *rollup)
{
	bson_t range;

	if (rollup->pending_count < LIST_MAX) {
		append_filter(out, rollup);
		return;
	}
	(void)bson_append_utf8(out, "namespace", -1, rollup->namespace, -1);
	(void)bson_append_document_begin(out, "hash", -1, &range);
	(void)bson_append_utf8(&range, "$gte", -1, rollup->pending[0], -1);
	(void)bson_append_utf8(&range, "$lte", -1, rollup->pending[rollup->pending_count - 1], -1);
	(void)bson_append_document_end(out, &range);
}

static enum lf_sink_result sums_of_shares(struct lf_sink *sink, const struct lf_mongo_rollup *rollup,
                                          struct sum *sums, size_t *count, struct lf_error *err)
{
	bson_t filter = BSON_INITIALIZER;
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_cursor_t *cursor;
	const bson_t *document;
	bson_error_t error = { 0 };
	bool failed;

	*count = rollup->pending_count;
	for (size_t i = 0; i < *count; i++) { /* sorted, as they are remembered */
		sums[i] = (struct sum){ .hash = "" };
		memcpy(sums[i].hash, rollup->pending[i], sizeof(sums[i].hash));
	}
	append_range_or_list(&filter, rollup);
	cursor = mongoc_collection_find_with_opts(lf_mongo_collection(sink->mongo, LF_MONGO_COUNTS), &filter,
	                                          NULL, primary);
	while (mongoc_cursor_next(cursor, &document))
		add_share(sums, *count, document);
	failed = mongoc_cursor_error(cursor, &error);
	mongoc_cursor_destroy(cursor);
	mongoc_read_prefs_destroy(primary);
	bson_destroy(&filter);
	return failed ? lf_mongo_failed(sink->mongo, doing, &error, err) : LF_SINK_DONE;
}

static enum lf_sink_result load_sums(struct lf_sink *sink, const struct lf_mongo_rollup *rollup,
                                     struct sum *sums, size_t *count, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;

	if (!sink->sums_here)
		result = sums_of_server(sink, rollup, sums, count, err);
	if (result == LF_SINK_DONE && sink->sums_here)
		result = sums_of_shares(sink, rollup, sums, count, err);
	return result;
}

/* ---- The entries raised ---- */

static enum lf_sink_result write_sums(struct lf_sink *sink, const struct lf_mongo_rollup *rollup,
                                      struct sum *sums, size_t count, struct lf_error *err)
{
	bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(
		lf_mongo_collection(sink->mongo, LF_MONGO_ENTRIES), options);
	bson_error_t error = { 0 };
	char id[LF_MONGO_ID_MAX];
	bool ok;

	qsort(sums, count, sizeof(*sums), compare);
	for (size_t i = 0; i < count; i++) {
		bson_t selector = BSON_INITIALIZER, update = BSON_INITIALIZER;

		(void)snprintf(id, sizeof(id), "%s:%s", rollup->namespace, sums[i].hash);
		lf_mongo_selector(&selector, id);
		lf_mongo_append_max(&update, sums[i].counts, NULL, 0);
		(void)mongoc_bulk_operation_update_one_with_opts(bulk, &selector, &update, NULL, NULL);
		bson_destroy(&update);
		bson_destroy(&selector);
	}
	ok = count == 0 || mongoc_bulk_operation_execute(bulk, NULL, &error) != 0;
	mongoc_bulk_operation_destroy(bulk);
	bson_destroy(options);
	return ok ? LF_SINK_DONE : lf_mongo_failed(sink->mongo, doing, &error, err);
}

enum lf_sink_result lf_mongo_sum_pending(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                       struct lf_error *err)
{
	struct sum *sums;
	enum lf_sink_result result;
	size_t count;

	if (rollup->pending_count == 0)
		return LF_SINK_DONE;
	sums = calloc(rollup->pending_count, sizeof(*sums));
	if (!sums) {
		(void)lf_fail(err, -ENOMEM, "mongo: there is no memory for the sums");
		return LF_SINK_RETRY;
	}
	result = load_sums(sink, rollup, sums, &count, err);
	if (result == LF_SINK_DONE)
		result = write_sums(sink, rollup, sums, count, err);
	if (result == LF_SINK_DONE)
		rollup->pending_count = 0;
	free(sums);
	return result;
}
