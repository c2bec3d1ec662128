/* All keys with a prefix. */
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/key.h"
#include "sinks/mongo/cache.h"

/* From the prefix on, up to what comes after all that begin so. */
static void append_range(bson_t *filter, struct lf_text prefix, const char *after)
{
	char end[LF_KEY_MAX + 1];
	bson_t range;

	(void)bson_append_document_begin(filter, "_id", -1, &range);
	if (*after)
		(void)bson_append_utf8(&range, "$gt", -1, after, -1);
	else
		(void)bson_append_utf8(&range, "$gte", -1, prefix.data, (int)prefix.len);
	if (prefix.len > 0 && prefix.len <= LF_KEY_MAX) {
		memcpy(end, prefix.data, prefix.len);
		end[prefix.len - 1]++; /* keys are ASCII */
		(void)bson_append_utf8(&range, "$lt", -1, end, (int)prefix.len);
	}
	(void)bson_append_document_end(filter, &range);
}

static void free_keys(char **keys, size_t count)
{
	for (size_t i = 0; keys && i < count; i++)
		free(keys[i]);
	free(keys);
}

/* What is too long for a cursor, or has a NUL, is no key: only another program can have written it. */
static const char *key_of(const bson_t *document)
{
	bson_iter_t id;
	const char *key;
	uint32_t len;

	if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
		return NULL;
	key = bson_iter_utf8(&id, &len);
	return len < LF_TIER_CURSOR_MAX && strlen(key) == len ? key : NULL;
}

/* *seen: how many documents there were.  NULL: no memory. */
static char **take_keys(mongoc_cursor_t *cursor, size_t max, size_t *count, size_t *seen)
{
	char **keys = calloc(max, sizeof(*keys));
	const bson_t *document;

	*count = *seen = 0;
	while (keys && *seen < max && mongoc_cursor_next(cursor, &document)) {
		const char *key = key_of(document);

		++*seen;
		if (!key)
			continue;
		keys[*count] = strdup(key);
		if (!keys[*count]) {
			free_keys(keys, *count);
			return NULL;
		}
		++*count;
	}
	return keys;
}

static enum lf_sink_result scan_page(struct lf_mongo *mongo, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                     char ***keys, size_t *count, struct lf_error *err)
{
	bson_t filter = BSON_INITIALIZER;
	bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64((int64_t)max), "projection", "{",
	                           "_id", BCON_INT32(1), "}");
	bson_error_t error = { 0 };
	mongoc_cursor_t *page;
	size_t seen;
	bool failed;

	append_range(&filter, prefix, cursor);
	page = mongoc_collection_find_with_opts(lf_mongo_collection(mongo, LF_MONGO_CACHE), &filter, options, NULL);
	*keys = take_keys(page, max, count, &seen);
	failed = mongoc_cursor_error(page, &error);
	mongoc_cursor_destroy(page);
	bson_destroy(options);
	bson_destroy(&filter);
	if (failed)
		return lf_mongo_failed(mongo, "reading the cache", &error, err);
	if (*keys && seen == max && *count == 0) {
		(void)lf_fail(err, -EBADMSG, "mongo: the collection cache has %zu documents after one another whose _id is no key: "
		              "remove what another program put there", seen);
		return LF_SINK_REJECTED;
	}
	(void)snprintf(cursor, LF_TIER_CURSOR_MAX, "%s", *keys && seen == max ? (*keys)[*count - 1] : "");
	return LF_SINK_DONE;
}

enum lf_tier_result lf_mongo_cache_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                        char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct lf_mongo *mongo;
	enum lf_tier_result result = lf_mongo_tier_begin(tier, &mongo, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	result = lf_mongo_tier_result(scan_page(mongo, prefix, cursor, max, keys, count, err));
	lf_mongo_tier_end(tier, mongo);
	if (result == LF_TIER_DONE && *keys)
		return result;
	free_keys(*keys, *count);
	return result == LF_TIER_DONE ? lf_mongo_tier_no_memory(err) : result;
}

enum lf_tier_result lf_mongo_cache_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err)
{
	struct lf_version first_kept = { .clock = upto + 1 };
	struct lf_mongo_written written;
	bson_t list = BSON_INITIALIZER, one, filter, less;
	char version[LF_MONGO_VERSION_CHARS + 1];
	struct lf_mongo *mongo;
	enum lf_tier_result result = lf_mongo_tier_begin(tier, &mongo, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	lf_mongo_tier_version(version, first_kept);
	(void)bson_append_document_begin(&list, "0", -1, &one);
	(void)bson_append_document_begin(&one, "q", -1, &filter);
	append_range(&filter, prefix, "");
	(void)bson_append_document_begin(&filter, "kept.version", -1, &less);
	(void)bson_append_utf8(&less, "$lt", -1, version, -1);
	(void)bson_append_document_end(&filter, &less);
	if (prefix.len == strlen(tier->scope)) { /* then what is critical stays */
		(void)bson_append_document_begin(&filter, "kept.critical", -1, &less);
		(void)bson_append_bool(&less, "$ne", -1, true);
		(void)bson_append_document_end(&filter, &less);
	}
	(void)bson_append_document_end(&one, &filter);
	(void)bson_append_int32(&one, "limit", -1, 0);
	(void)bson_append_document_end(&list, &one);
	result = lf_mongo_tier_result(lf_mongo_tier_write(mongo, LF_MONGO_CACHE, "delete", "deletes", &list, &written, err));
	bson_destroy(&list);
	lf_mongo_tier_end(tier, mongo);
	return result;
}
