#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"
#include "sinks/mongo/parse.h"
#include "hashing/uuid.h"

/* ---- The mark of this database ---- */

static enum lf_sink_result read_lease(struct lf_sink *sink, const char *id, const char *field,
                                      char *text, size_t size, int64_t *number, struct lf_error *err)
{
	bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
	/* A secondary that lags behind would look like a server that was set back. */
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(
		lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), filter, NULL, primary);
	bson_error_t error = { 0 };
	const bson_t *document;
	bson_iter_t value;
	bool failed;

	if (mongoc_cursor_next(cursor, &document) && bson_iter_init_find(&value, document, field)) {
		if (text && BSON_ITER_HOLDS_UTF8(&value))
			(void)snprintf(text, size, "%s", bson_iter_utf8(&value, NULL));
		if (number)
			*number = lf_mongo_parse_number(&value);
	}
	failed = mongoc_cursor_error(cursor, &error);
	mongoc_cursor_destroy(cursor);
	mongoc_read_prefs_destroy(primary);
	bson_destroy(filter);
	return failed ? lf_mongo_failed(sink->mongo, "reading its mark", &error, err) : LF_SINK_DONE;
}

/* Needs the permission to write, so that a wrong password or a read-only user is known from here on. */
static enum lf_sink_result make_epoch(struct lf_sink *sink, char epoch[LF_UUID_CHARS + 1],
                                      struct lf_error *err)
{
	char id[LF_MONGO_ID_MAX], mine[LF_UUID_CHARS + 1];
	bson_t *selector, *update, *options;
	bson_error_t error = { 0 };
	bool ok;

	(void)snprintf(id, sizeof(id), "%s:epoch", sink->namespace);
	if (lf_uuid_random(mine, err) < 0)
		return LF_SINK_RETRY;
	options = BCON_NEW("upsert", BCON_BOOL(true));
	selector = BCON_NEW("_id", BCON_UTF8(id));
	update = BCON_NEW("$setOnInsert", "{", "epoch", BCON_UTF8(mine), "}");
	ok = mongoc_collection_update_one(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), selector, update,
	                                  options, NULL, &error);
	bson_destroy(selector);
	bson_destroy(update);
	bson_destroy(options);
	if (!ok && error.code != MONGOC_ERROR_DUPLICATE_KEY)
		return lf_mongo_failed(sink->mongo, "connecting", &error, err);
	return read_lease(sink, id, "epoch", epoch, LF_UUID_CHARS + 1, NULL, err);
}

static enum lf_sink_result read_sequence(struct lf_sink *sink, uint64_t *out, struct lf_error *err)
{
	char id[LF_MONGO_ID_MAX + 16];
	int64_t sequence = 0;
	enum lf_sink_result result;

	(void)snprintf(id, sizeof(id), "%s:writer:%s", sink->namespace, sink->incarnation);
	result = read_lease(sink, id, "sequence", NULL, 0, &sequence, err);
	*out = sequence > 0 ? (uint64_t)sequence : 0;
	return result;
}

/* ---- Indexes ---- */

/* The first form of a row that the server has is taken.  They are for speed and tidiness alone: that it has
 * none is no failure. */
struct index {
	enum lf_mongo_collection where;
	const char *name, *keys, *more;
	const char *otherwise, *otherwise_more; /* keys that any server has; NULL: do without */
};

static const struct index indexes[] = {
	{ LF_MONGO_ENTRIES, "report", "{\"namespace\": 1, \"countTotal\": -1}", "{}", NULL, NULL },
	{ LF_MONGO_ENTRIES, "flags", "{\"namespace\": 1, \"flagsVersion\": 1}", "{}", NULL, NULL },
	{ LF_MONGO_COUNTS, "sums", "{\"namespace\": 1, \"hash\": 1}", "{}", NULL, NULL },
	{ LF_MONGO_COUNTS, "dirty", "{\"namespace\": 1}",
	  "{\"partialFilterExpression\": {\"dirty\": true}}", "{\"dirty\": 1}", "{\"sparse\": true}" },
	/* Of namespaces that nobody tends any more; one that is held has no such field. */
	{ LF_MONGO_LEASES, "released", "{\"releasedAt\": 1}", "{\"expireAfterSeconds\": 604800}", NULL, NULL },
};

static bson_t *index_command(const struct index *index, const char *keys, const char *more)
{
	bson_t *command = bson_new(), list, one, key, options;

	(void)bson_append_utf8(command, "createIndexes", -1, lf_mongo_collection_name(index->where), -1);
	(void)bson_append_array_begin(command, "indexes", -1, &list);
	(void)bson_append_document_begin(&list, "0", -1, &one);
	if (bson_init_from_json(&key, keys, -1, NULL)) {
		(void)bson_append_document(&one, "key", -1, &key);
		bson_destroy(&key);
	}
	(void)bson_append_utf8(&one, "name", -1, index->name, -1);
	if (bson_init_from_json(&options, more, -1, NULL)) {
		(void)bson_concat(&one, &options);
		bson_destroy(&options);
	}
	(void)bson_append_document_end(&list, &one);
	(void)bson_append_array_end(command, &list);
	return command;
}

static bool make_index(struct lf_sink *sink, const struct index *index, const char *keys, const char *more,
                       bson_error_t *error)
{
	bson_t *command = index_command(index, keys, more), reply;
	bool ok = lf_mongo_command(sink->mongo, command, &reply, error);

	bson_destroy(&reply);
	bson_destroy(command);
	return ok;
}

/* A user who may write but not make indexes is one for whom somebody else makes them. */
static bool is_refusal(const bson_error_t *error)
{
	return lf_mongo_not_offered(error) || (error->domain == MONGOC_ERROR_SERVER && error->code == 13);
}

static enum lf_sink_result make_indexes(struct lf_sink *sink, struct lf_error *err)
{
	for (size_t i = 0; i < sizeof(indexes) / sizeof(*indexes); i++) {
		const struct index *index = &indexes[i];
		bson_error_t error = { 0 };
		bool ok = make_index(sink, index, index->keys, index->more, &error);

		if (!ok && is_refusal(&error) && index->otherwise)
			ok = make_index(sink, index, index->otherwise, index->otherwise_more, &error);
		if (!ok && !is_refusal(&error))
			return lf_mongo_failed(sink->mongo, "making indexes", &error, err);
	}
	return LF_SINK_DONE;
}

/* ---- The whole ---- */

/* Once on a connection and in a database: a hello() between is but a look whether all is well. */
static enum lf_sink_result prepare(struct lf_sink *sink, const char *epoch, struct lf_error *err)
{
	enum lf_sink_result result;

	if (strcmp(sink->prepared, epoch) == 0)
		return LF_SINK_DONE;
	result = make_indexes(sink, err);
	if (result == LF_SINK_DONE)
		result = lf_mongo_can_watch(sink, &sink->notifies, err);
	if (result == LF_SINK_DONE)
		memcpy(sink->prepared, epoch, sizeof(sink->prepared));
	return result;
}

enum lf_sink_result lf_mongo_hello(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
                                   struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, timeout_ms, err);

	*out = (struct lf_sink_hello){ .epoch = "" };
	if (result == LF_SINK_DONE)
		result = make_epoch(sink, out->epoch, err);
	if (result == LF_SINK_DONE)
		result = read_sequence(sink, &out->sequence, err);
	if (result == LF_SINK_DONE)
		result = prepare(sink, out->epoch, err);
	out->notifies = sink->notifies;
	return result;
}
