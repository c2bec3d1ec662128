#include <errno.h>
#include <string.h>

#include "sinks/mongo/cache.h"
#include "sinks/mongo/parse.h"

/* A name may be asked for twice; there are a handful. */
static void take_stamp(const bson_t *document, const struct lf_text *names, size_t count, uint64_t *out)
{
	bson_iter_t id, stamp;
	const char *name;
	uint32_t len;
	int64_t value;

	if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id) ||
	    !bson_iter_init_find(&stamp, document, "stamp"))
		return;
	name = bson_iter_utf8(&id, &len);
	value = lf_mongo_parse_number(&stamp);
	for (size_t i = 0; i < count; i++)
		if (names[i].len == len && memcmp(names[i].data, name, len) == 0)
			out[i] = value > 0 ? (uint64_t)value : 0;
}

static enum lf_sink_result read_stamps(struct lf_mongo *mongo, const struct lf_text *names, size_t count, uint64_t *out,
                                       struct lf_error *err)
{
	bson_t filter = BSON_INITIALIZER;
	bson_error_t error = { 0 };
	mongoc_cursor_t *cursor;
	const bson_t *document;
	bool failed;

	memset(out, 0, count * sizeof(*out));
	lf_mongo_tier_ids(&filter, names, count);
	cursor = mongoc_collection_find_with_opts(lf_mongo_collection(mongo, LF_MONGO_STAMPS), &filter, NULL, NULL);
	while (mongoc_cursor_next(cursor, &document))
		take_stamp(document, names, count, out);
	failed = mongoc_cursor_error(cursor, &error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	return failed ? lf_mongo_failed(mongo, "reading stamps", &error, err) : LF_SINK_DONE;
}

enum lf_tier_result lf_mongo_cache_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                          int64_t end_ms, struct lf_error *err)
{
	struct lf_mongo *mongo;
	enum lf_tier_result result = lf_mongo_tier_begin(tier, &mongo, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	result = lf_mongo_tier_result(read_stamps(mongo, names, count, out, err));
	lf_mongo_tier_end(tier, mongo);
	return result;
}

static void append_raise(bson_t *list, size_t index, struct lf_text name, uint64_t to)
{
	bson_t update, filter, document, max;
	char key[24];

	(void)snprintf(key, sizeof(key), "%zu", index);
	(void)bson_append_document_begin(list, key, -1, &update);
	(void)bson_append_document_begin(&update, "q", -1, &filter);
	(void)bson_append_utf8(&filter, "_id", -1, name.data, (int)name.len);
	(void)bson_append_document_end(&update, &filter);
	(void)bson_append_document_begin(&update, "u", -1, &document);
	(void)bson_append_document_begin(&document, "$max", -1, &max);
	(void)bson_append_int64(&max, "stamp", -1, to > INT64_MAX ? INT64_MAX : (int64_t)to);
	(void)bson_append_document_end(&document, &max);
	(void)bson_append_document_end(&update, &document);
	(void)bson_append_bool(&update, "upsert", -1, true);
	(void)bson_append_document_end(list, &update);
}

static enum lf_sink_result raise_once(struct lf_mongo *mongo, const struct lf_text *names, size_t count, uint64_t to,
                                      bool *again, struct lf_error *err)
{
	struct lf_mongo_written written = { 0 };
	bson_t list = BSON_INITIALIZER;
	enum lf_sink_result result;

	for (size_t i = 0; i < count; i++)
		append_raise(&list, i, names[i], to);
	result = lf_mongo_tier_write(mongo, LF_MONGO_STAMPS, "update", "updates", &list, &written, err);
	bson_destroy(&list);
	*again = written.refused;
	return result;
}

/* Two that make the same stamp at once: one is refused, and finds it there the next time. */
static enum lf_sink_result raise_all(struct lf_mongo *mongo, const struct lf_text *names, size_t count, uint64_t to,
                                     struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	bool again = true;

	while (again && result == LF_SINK_DONE) {
		if (lf_mongo_left_ms(mongo) == 0)
			return lf_mongo_too_late(mongo, "raising stamps", err);
		result = raise_once(mongo, names, count, to, &again, err);
	}
	return result;
}

enum lf_tier_result lf_mongo_cache_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	struct lf_mongo *mongo;
	enum lf_tier_result begun = lf_mongo_tier_begin(tier, &mongo, end_ms, err);

	if (begun != LF_TIER_DONE)
		return begun;
	for (size_t done = 0; done < count && result == LF_SINK_DONE; done += LF_TIER_PAGE_MAX) {
		size_t some = count - done < LF_TIER_PAGE_MAX ? count - done : LF_TIER_PAGE_MAX;

		result = raise_all(mongo, names + done, some, to, err);
	}
	if (result == LF_SINK_DONE)
		result = read_stamps(mongo, names, count, out, err);
	lf_mongo_tier_end(tier, mongo);
	return lf_mongo_tier_result(result);
}
