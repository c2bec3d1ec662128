#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"

/* Flags that change in MongoDB are told by a change stream, where the server has them. */

static const char doing[] = "watching for flags";

enum { CHANGES_TIMEOUT_MS = 1000, CHANGES_MAX = 1000 };

void lf_mongo_watch_drop(struct lf_sink *sink)
{
	if (sink->stream)
		mongoc_change_stream_destroy(sink->stream);
	sink->stream = NULL;
}

/* ---- What is asked ---- */

/* ^(shop|web\.eu):   A name has no character that means more than itself, but the dot. */
static char *id_pattern(const char *const *namespaces, size_t count)
{
	size_t size = 8;
	char *pattern, *at;

	for (size_t i = 0; i < count; i++)
		size += 2 * strlen(namespaces[i]) + 1;
	pattern = at = malloc(size);
	if (!pattern)
		return NULL;
	at = stpcpy(at, "^(");
	for (size_t i = 0; i < count; i++) {
		if (i)
			*at++ = '|';
		for (const char *c = namespaces[i]; *c; c++) {
			if (*c == '.')
				*at++ = '\\';
			*at++ = *c;
		}
	}
	(void)strcpy(at, "):");
	return pattern;
}

static mongoc_change_stream_t *open_stream(struct lf_sink *sink, const char *pattern)
{
	bson_t *pipeline = BCON_NEW(
		"pipeline", "[", "{", "$match", "{", "$or", "[", "{", "documentKey._id", "{", "$regex",
		BCON_UTF8(pattern), "}", "}", "{", "operationType", "{", "$in", "[", BCON_UTF8("drop"),
		BCON_UTF8("rename"), BCON_UTF8("dropDatabase"), BCON_UTF8("invalidate"), "]", "}", "}", "]",
		"}", "}", "]");
	/* 0 would be the server's default, a second. */
	bson_t *options = BCON_NEW("maxAwaitTimeMS", BCON_INT64(1));
	mongoc_change_stream_t *stream =
		mongoc_collection_watch(lf_mongo_collection(sink->mongo, LF_MONGO_ENTRIES), pipeline, options);

	bson_destroy(options);
	bson_destroy(pipeline);
	return stream;
}

enum lf_sink_result lf_mongo_can_watch(struct lf_sink *sink, bool *out, struct lf_error *err)
{
	mongoc_change_stream_t *stream = open_stream(sink, "^:");
	const bson_t *reply;
	bson_error_t error = { 0 };
	bool failed = mongoc_change_stream_error_document(stream, &error, &reply);

	mongoc_change_stream_destroy(stream);
	*out = !failed;
	if (!failed || lf_mongo_not_offered(&error) || error.code == 40573 || error.code == 13)
		return LF_SINK_DONE;
	return lf_mongo_failed(sink->mongo, doing, &error, err);
}

enum lf_sink_result lf_mongo_watch(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                   int timeout_ms, struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, timeout_ms, err);
	char *pattern;
	const bson_t *reply;
	bson_error_t error = { 0 };

	if (result != LF_SINK_DONE)
		return result;
	lf_mongo_watch_drop(sink);
	pattern = id_pattern(namespaces, count);
	if (!pattern) {
		(void)lf_fail(err, -ENOMEM, "mongo: there is no memory to watch");
		return LF_SINK_RETRY;
	}
	sink->stream = open_stream(sink, pattern);
	free(pattern);
	if (!mongoc_change_stream_error_document(sink->stream, &error, &reply))
		return LF_SINK_DONE;
	lf_mongo_watch_drop(sink);
	return lf_mongo_failed(sink->mongo, doing, &error, err);
}

/* ---- What comes ---- */

static bool is_flag(const char *name)
{
	static const char *const flags[] = { "enabled", "persistToCache", "persistToDb", "tags", "policy",
		                             "flagsVersion", "flagsWriter" };

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		size_t len = strlen(flags[i]);

		/* "tags.3" is one of the tags. */
		if (strncmp(name, flags[i], len) == 0 && (name[len] == '\0' || name[len] == '.'))
			return true;
	}
	return false;
}

static bool names_a_flag(const bson_t *event, const char *path, bool by_value)
{
	bson_iter_t all, at, field;

	if (!bson_iter_init(&all, event) || !bson_iter_find_descendant(&all, path, &at) ||
	    !bson_iter_recurse(&at, &field))
		return false;
	while (bson_iter_next(&field)) {
		const char *name = by_value && BSON_ITER_HOLDS_UTF8(&field) ? bson_iter_utf8(&field, NULL) :
		                                                              bson_iter_key(&field);

		if (is_flag(name))
			return true;
	}
	return false;
}

/* Sums and times change all the time; of those nobody wants to hear. */
static bool concerns_flags(const bson_t *event, const char *type)
{
	if (strcmp(type, "update") != 0)
		return strcmp(type, "insert") == 0 || strcmp(type, "replace") == 0;
	return names_a_flag(event, "updateDescription.updatedFields", false) ||
	       names_a_flag(event, "updateDescription.removedFields", true) ||
	       names_a_flag(event, "updateDescription.truncatedArrays", false);
}

static const char *text_at(const bson_t *event, const char *path)
{
	bson_iter_t all, at;

	if (!bson_iter_init(&all, event) || !bson_iter_find_descendant(&all, path, &at) ||
	    !BSON_ITER_HOLDS_UTF8(&at))
		return NULL;
	return bson_iter_utf8(&at, NULL);
}

static void tell(const bson_t *event, lf_sink_changed changed, void *arg)
{
	const char *type = text_at(event, "operationType"), *id = text_at(event, "documentKey._id");
	const char *colon = id ? strrchr(id, ':') : NULL;
	char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1];

	if (!type || !colon || !concerns_flags(event, type))
		return;
	if (snprintf(namespace, sizeof(namespace), "%.*s", (int)(colon - id), id) <= LF_NAMESPACE_MAX &&
	    snprintf(hash, sizeof(hash), "%s", colon + 1) <= LF_HASH_CHARS)
		changed(arg, namespace, hash);
}

enum lf_sink_result lf_mongo_changes(struct lf_sink *sink, lf_sink_changed changed, void *arg,
                                     struct lf_error *err)
{
	const bson_t *event, *reply;
	bson_error_t error = { 0 };
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, CHANGES_TIMEOUT_MS, err);

	if (result != LF_SINK_DONE)
		return result;
	if (!sink->stream) {
		(void)lf_fail(err, -ENOTCONN, "mongo: nobody watches, or the connection was lost since: watch again");
		return LF_SINK_RETRY;
	}
	for (int i = 0; i < CHANGES_MAX && mongoc_change_stream_next(sink->stream, &event); i++)
		tell(event, changed, arg);
	if (!mongoc_change_stream_error_document(sink->stream, &error, &reply))
		return LF_SINK_DONE;
	lf_mongo_watch_drop(sink);
	return lf_mongo_failed(sink->mongo, doing, &error, err);
}
