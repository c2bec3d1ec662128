#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"
#include "sinks/mongo/parse.h"

enum { PAGE = 500 };

static const char doing[] = "reading entries";

struct reading {
	struct lf_sink *sink;
	const struct lf_sink_query *query;
	lf_sink_each each;
	void *arg;
	bool stopped;
	struct lf_error *err;
};

/* A share, and the text of its hash, which lives in `document`. */
struct found_share {
	struct lf_text hash;
	struct lf_share share;
	bson_t *document;
};

static enum lf_sink_result no_memory(struct lf_error *err)
{
	(void)lf_fail(err, -ENOMEM, "mongo: there is no memory to read entries");
	return LF_SINK_RETRY;
}

/* ---- What is asked ---- */

static void append_flagged(bson_t *filter)
{
	BCON_APPEND(filter, "$or", "[",
	            "{", "enabled", "{", "$exists", BCON_BOOL(true), "$ne", BCON_BOOL(true), "}", "}",
	            "{", "persistToCache", "{", "$exists", BCON_BOOL(true), "$ne", BCON_BOOL(true), "}", "}",
	            "{", "persistToDb", "{", "$exists", BCON_BOOL(true), "$ne", BCON_BOOL(true), "}", "}",
	            "{", "flagsVersion", "{", "$gt", BCON_INT64(0), "}", "}",
	            "{", "policy", "{", "$gt", BCON_UTF8(""), "}", "}",
	            "{", "tags.0", "{", "$exists", BCON_BOOL(true), "}", "}",
	            "{", "tags", "{", "$type", BCON_INT32(BSON_TYPE_UTF8), "}", "}", "]");
}

static void entry_id(char out[LF_MONGO_ID_MAX], const char *namespace, const char *hash)
{
	(void)snprintf(out, LF_MONGO_ID_MAX, "%s:%s", namespace, hash);
}

static void append_ids(bson_t *filter, const struct lf_sink_query *query, size_t from, size_t count)
{
	char id[LF_MONGO_ID_MAX];
	bson_t in, array;

	if (count == 1) { /* the one form that every server looks up instead of scanning for */
		entry_id(id, query->namespace, query->hashes[from]);
		(void)bson_append_utf8(filter, "_id", -1, id, -1);
		return;
	}
	(void)bson_append_document_begin(filter, "_id", -1, &in);
	(void)bson_append_array_begin(&in, "$in", -1, &array);
	for (size_t i = 0; i < count; i++) {
		entry_id(id, query->namespace, query->hashes[from + i]);
		lf_mongo_append_element(&array, i, id, strlen(id));
	}
	(void)bson_append_array_end(&in, &array);
	(void)bson_append_document_end(filter, &in);
}

static mongoc_cursor_t *find(struct lf_sink *sink, enum lf_mongo_collection where, const bson_t *filter)
{
	bson_t *options = BCON_NEW("batchSize", BCON_INT32(PAGE));
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(lf_mongo_collection(sink->mongo, where),
	                                                           filter, options, NULL);

	bson_destroy(options);
	return cursor;
}

/* After the last document: whether it was the last, or the connection ended. */
static enum lf_sink_result cursor_end(struct lf_sink *sink, mongoc_cursor_t *cursor, struct lf_error *err)
{
	bson_error_t error;

	return mongoc_cursor_error(cursor, &error) ? lf_mongo_failed(sink->mongo, doing, &error, err) :
	                                             LF_SINK_DONE;
}

/* ---- Shares ---- */

static int compare_texts(struct lf_text a, struct lf_text b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_shares(const void *a, const void *b)
{
	const struct found_share *one = a, *two = b;
	int order = compare_texts(one->hash, two->hash);

	return order ? order : strcmp(one->share.incarnation, two->share.incarnation);
}

/* The first of the sorted shares whose hash is not lower. */
static size_t first_share(const struct found_share *shares, size_t count, struct lf_text hash)
{
	size_t low = 0;

	while (low < count) {
		size_t middle = low + (count - low) / 2;

		if (compare_texts(shares[middle].hash, hash) < 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

static mongoc_cursor_t *find_shares(struct reading *reading, const struct lf_mongo_parsed *page,
                                    size_t count)
{
	bson_t filter = BSON_INITIALIZER, in, array;
	mongoc_cursor_t *cursor;

	(void)bson_append_utf8(&filter, "namespace", -1, reading->query->namespace, -1);
	(void)bson_append_document_begin(&filter, "hash", -1, &in);
	(void)bson_append_array_begin(&in, "$in", -1, &array);
	for (size_t i = 0; i < count; i++) {
		const struct lf_text *hash = &page[i].entry.hash;

		lf_mongo_append_element(&array, i, hash->data, hash->len);
	}
	(void)bson_append_array_end(&in, &array);
	(void)bson_append_document_end(&filter, &in);
	cursor = find(reading->sink, LF_MONGO_COUNTS, &filter);
	bson_destroy(&filter);
	return cursor;
}

static bool keep_share(struct found_share **shares, size_t *count, size_t *room, const bson_t *document)
{
	struct found_share *one;

	if (*count == *room) {
		size_t more = *room ? *room * 2 : 64;
		struct found_share *grown = realloc(*shares, more * sizeof(*grown));

		if (!grown)
			return false;
		*shares = grown;
		*room = more;
	}
	one = &(*shares)[*count];
	one->document = bson_copy(document);
	if (lf_mongo_parse_share(&one->share, &one->hash, one->document))
		++*count;
	else
		bson_destroy(one->document);
	return true;
}

static void free_shares(struct found_share *shares, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bson_destroy(shares[i].document);
	free(shares);
}

static enum lf_sink_result load_shares(struct reading *reading, const struct lf_mongo_parsed *page,
                                       size_t page_count, struct found_share **out, size_t *count)
{
	mongoc_cursor_t *cursor = find_shares(reading, page, page_count);
	enum lf_sink_result result;
	const bson_t *document;
	bool kept = true;
	size_t room = 0;

	while (kept && mongoc_cursor_next(cursor, &document))
		kept = keep_share(out, count, &room, document);
	result = kept ? cursor_end(reading->sink, cursor, reading->err) : no_memory(reading->err);
	mongoc_cursor_destroy(cursor);
	if (*count)
		qsort(*out, *count, sizeof(**out), compare_shares);
	return result;
}

/* Hands out one entry with those of the sorted shares that are its own. */
static enum lf_sink_result hand_out_with(struct reading *reading, const struct lf_entry *entry,
                                         const struct found_share *shares, size_t count)
{
	size_t from = first_share(shares, count, entry->hash), found = 0;
	struct lf_share *own;

	while (from + found < count && compare_texts(shares[from + found].hash, entry->hash) == 0)
		found++;
	own = calloc(found + 1, sizeof(*own));
	if (!own)
		return no_memory(reading->err);
	for (size_t i = 0; i < found; i++)
		own[i] = shares[from + i].share;
	reading->stopped = reading->each(reading->arg, entry, found ? own : NULL, found) != 0;
	free(own);
	return LF_SINK_DONE;
}

/* ---- Entries ---- */

struct page {
	bson_t *documents[PAGE];
	struct lf_mongo_parsed parsed[PAGE];
	size_t count;
};

static void empty_page(struct page *page)
{
	while (page->count > 0) {
		lf_mongo_parsed_fini(&page->parsed[--page->count]);
		bson_destroy(page->documents[page->count]);
	}
}

static enum lf_sink_result hand_out_page(struct reading *reading, struct page *page)
{
	struct found_share *shares = NULL;
	size_t count = 0;
	enum lf_sink_result result = LF_SINK_DONE;

	if (page->count && reading->query->with_shares)
		result = load_shares(reading, page->parsed, page->count, &shares, &count);
	for (size_t i = 0; i < page->count && result == LF_SINK_DONE && !reading->stopped; i++) {
		const struct lf_entry *entry = &page->parsed[i].entry;

		if (reading->query->with_shares)
			result = hand_out_with(reading, entry, shares, count);
		else
			reading->stopped = reading->each(reading->arg, entry, NULL, 0) != 0;
	}
	free_shares(shares, count);
	empty_page(page);
	return result;
}

static enum lf_sink_result read_cursor(struct reading *reading, mongoc_cursor_t *cursor, struct page *page)
{
	enum lf_sink_result result = LF_SINK_DONE;
	const bson_t *document;

	while (result == LF_SINK_DONE && !reading->stopped && mongoc_cursor_next(cursor, &document)) {
		page->documents[page->count] = bson_copy(document);
		if (lf_mongo_parse_entry(&page->parsed[page->count], page->documents[page->count],
		                         reading->query->namespace)) {
			page->count++;
		} else {
			lf_mongo_parsed_fini(&page->parsed[page->count]);
			bson_destroy(page->documents[page->count]);
		}
		if (page->count == PAGE)
			result = hand_out_page(reading, page);
		if (result == LF_SINK_DONE && lf_mongo_left_ms(reading->sink->mongo) == 0)
			result = lf_mongo_too_late(reading->sink->mongo, doing, reading->err);
	}
	if (result == LF_SINK_DONE && !reading->stopped)
		result = cursor_end(reading->sink, cursor, reading->err);
	if (result == LF_SINK_DONE && !reading->stopped)
		result = hand_out_page(reading, page);
	empty_page(page);
	return result;
}

/* The entries of hashes[from…], or all when count is 0. */
static enum lf_sink_result read_some(struct reading *reading, size_t from, size_t count)
{
	bson_t filter = BSON_INITIALIZER;
	struct page *page = calloc(1, sizeof(*page));
	enum lf_sink_result result;
	mongoc_cursor_t *cursor;

	if (!page)
		return no_memory(reading->err);
	if (count)
		append_ids(&filter, reading->query, from, count);
	else
		(void)bson_append_utf8(&filter, "namespace", -1, reading->query->namespace, -1);
	if (reading->query->what == LF_SINK_FLAGGED)
		append_flagged(&filter);
	cursor = find(reading->sink, LF_MONGO_ENTRIES, &filter);
	result = read_cursor(reading, cursor, page);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	free(page);
	return result;
}

enum lf_sink_result lf_mongo_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                  lf_sink_each each, void *arg, int timeout_ms, struct lf_error *err)
{
	struct reading reading = { sink, query, each, arg, false, err };
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, timeout_ms, err);

	if (result != LF_SINK_DONE)
		return result;
	if (!query->hashes)
		return read_some(&reading, 0, 0);
	for (size_t from = 0; from < query->hashes_count && result == LF_SINK_DONE && !reading.stopped;
	     from += LF_MONGO_CHUNK) {
		size_t left = query->hashes_count - from;

		result = read_some(&reading, from, left < LF_MONGO_CHUNK ? left : LF_MONGO_CHUNK);
	}
	return result;
}
