#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/cache.h"

enum {
	GRACE_MS = 1000,        /* a server's clock may be ahead of ours */
	CHUNK = 256,            /* records in one command */
	COMMAND_BYTES = 8 << 20 /* of them; the server takes 48 MB */
};

enum lf_tier_result lf_mongo_tier_no_memory(struct lf_error *err)
{
	(void)lf_fail(err, -ENOMEM, "mongo: there is no memory");
	return LF_TIER_AWAY;
}

/* ---- Loading ---- */

struct wanted {
	struct lf_text key;
	size_t at;
};

static int compare_texts(struct lf_text a, struct lf_text b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_wanted(const void *a, const void *b)
{
	return compare_texts(((const struct wanted *)a)->key, ((const struct wanted *)b)->key);
}

void lf_mongo_tier_version(char out[LF_MONGO_VERSION_CHARS + 1], struct lf_version version)
{
	(void)snprintf(out, LF_MONGO_VERSION_CHARS + 1, "%016llx%016llx", (unsigned long long)version.clock,
	               (unsigned long long)version.writer);
}

/* The server compares by this one: of another than the record's no store would ever be made. */
static bool is_of_version(const bson_t *document, struct lf_version version)
{
	char own[LF_MONGO_VERSION_CHARS + 1];
	bson_iter_t all, field;

	lf_mongo_tier_version(own, version);
	return bson_iter_init(&all, document) && bson_iter_find_descendant(&all, "kept.version", &field) &&
	       BSON_ITER_HOLDS_UTF8(&field) && strcmp(bson_iter_utf8(&field, NULL), own) == 0;
}

static bool read_record(const struct lf_tier *tier, const bson_t *document, struct lf_record **out)
{
	bson_subtype_t subtype;
	const uint8_t *bytes;
	bson_iter_t all, field;
	uint32_t len;

	if (!bson_iter_init(&all, document) || !bson_iter_find_descendant(&all, "kept.record", &field) ||
	    !BSON_ITER_HOLDS_BINARY(&field))
		return false;
	bson_iter_binary(&field, &subtype, &len, &bytes);
	if (lf_record_decode((struct lf_text){ (const char *)bytes, len }, tier->value_max, out, NULL) != 0)
		return false;
	if (is_of_version(document, (*out)->version))
		return true;
	lf_record_drop(*out);
	return false;
}

/* False: it cannot be read. */
static bool take_document(const struct lf_tier *tier, const bson_t *document, const struct wanted *wanted, size_t count,
                          struct lf_record **records)
{
	struct wanted found = { .at = 0 };
	const struct wanted *match;
	struct lf_record *record;
	bson_iter_t field;
	uint32_t len;

	if (!bson_iter_init_find(&field, document, "_id") || !BSON_ITER_HOLDS_UTF8(&field))
		return true;
	found.key.data = bson_iter_utf8(&field, &len);
	found.key.len = len;
	match = bsearch(&found, wanted, count, sizeof(*wanted), compare_wanted);
	if (!match)
		return true;
	if (!read_record(tier, document, &record))
		return false;
	/* The same key may be asked for twice. */
	while (match > wanted && compare_wanted(match - 1, &found) == 0)
		match--;
	for (; match < wanted + count && compare_wanted(match, &found) == 0; match++)
		records[match->at] = lf_record_keep(record);
	lf_record_drop(record);
	return true;
}

/* Somebody else's document, or of another version of logfold: it counts as none, and goes unless it is another by now,
 * for its version may be one that none of ours is ever newer than. */
static void append_spoiled(bson_t *list, size_t index, const bson_t *document)
{
	bson_t one, filter;
	bson_iter_t field;
	char name[24];

	(void)snprintf(name, sizeof(name), "%zu", index);
	(void)bson_append_document_begin(list, name, -1, &one);
	(void)bson_append_document_begin(&one, "q", -1, &filter);
	if (bson_iter_init_find(&field, document, "_id"))
		(void)bson_append_value(&filter, "_id", -1, bson_iter_value(&field));
	if (bson_iter_init_find(&field, document, "kept"))
		(void)bson_append_value(&filter, "kept", -1, bson_iter_value(&field));
	else
		(void)bson_append_null(&filter, "kept", -1);
	(void)bson_append_document_end(&one, &filter);
	(void)bson_append_int32(&one, "limit", -1, 1);
	(void)bson_append_document_end(list, &one);
}

static enum lf_sink_result find(struct lf_tier *tier, struct lf_mongo *mongo, const bson_t *filter, const struct wanted *wanted,
                                size_t count, struct lf_record **records, struct lf_error *err)
{
	mongoc_cursor_t *cursor =
		mongoc_collection_find_with_opts(lf_mongo_collection(mongo, LF_MONGO_CACHE), filter, NULL, NULL);
	enum lf_sink_result result = LF_SINK_DONE;
	struct lf_mongo_written written;
	bson_t spoiled = BSON_INITIALIZER;
	bson_error_t error = { 0 };
	const bson_t *document;
	size_t spoiled_count = 0;

	while (mongoc_cursor_next(cursor, &document))
		if (!take_document(tier, document, wanted, count, records))
			append_spoiled(&spoiled, spoiled_count++, document);
	if (mongoc_cursor_error(cursor, &error))
		result = lf_mongo_failed(mongo, "reading the cache", &error, err);
	mongoc_cursor_destroy(cursor);
	if (result == LF_SINK_DONE && spoiled_count > 0)
		result = lf_mongo_tier_write(mongo, LF_MONGO_CACHE, "delete", "deletes", &spoiled, &written, err);
	bson_destroy(&spoiled);
	return result;
}

static void forget(struct lf_record **records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lf_record_drop(records[i]);
		records[i] = NULL;
	}
}

enum lf_tier_result lf_mongo_cache_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                        struct lf_record **records, int64_t end_ms, struct lf_error *err)
{
	struct wanted *wanted;
	enum lf_tier_result result;
	struct lf_mongo *mongo;
	bson_t filter = BSON_INITIALIZER;

	for (size_t i = 0; i < count; i++)
		records[i] = NULL;
	if (count == 0)
		return LF_TIER_DONE;
	wanted = calloc(count, sizeof(*wanted));
	if (!wanted)
		return lf_mongo_tier_no_memory(err);
	for (size_t i = 0; i < count; i++)
		wanted[i] = (struct wanted){ .key = keys[i], .at = i };
	qsort(wanted, count, sizeof(*wanted), compare_wanted);
	result = lf_mongo_tier_begin(tier, &mongo, end_ms, err);
	if (result == LF_TIER_DONE) {
		lf_mongo_tier_ids(&filter, keys, count);
		result = lf_mongo_tier_result(find(tier, mongo, &filter, wanted, count, records, err));
		lf_mongo_tier_end(tier, mongo);
	}
	if (result != LF_TIER_DONE)
		forget(records, count);
	bson_destroy(&filter);
	free(wanted);
	return result;
}

/* ---- Storing ---- */

/* All that is kept, in one field: documents compare by their first field, and that is the version. */
static int append_kept(const struct lf_tier *tier, bson_t *to, const struct lf_tier_store *store)
{
	char version[LF_MONGO_VERSION_CHARS + 1];
	const struct lf_record *record = store->record;
	char *encoded;
	size_t len;
	bson_t kept;
	int rc = lf_record_encode(record, tier->compress_min, &encoded, &len);

	if (rc < 0)
		return rc;
	lf_mongo_tier_version(version, record->version);
	(void)bson_append_document_begin(to, "kept", -1, &kept);
	(void)bson_append_utf8(&kept, "version", -1, version, -1);
	if (record->expires_ms)
		(void)bson_append_date_time(&kept, "expiresAt", -1, record->expires_ms + GRACE_MS);
	else
		(void)bson_append_null(&kept, "expiresAt", -1);
	(void)bson_append_binary(&kept, "record", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)encoded, (uint32_t)len);
	if (record->flags & LF_RECORD_CRITICAL)
		(void)bson_append_bool(&kept, "critical", -1, true);
	(void)bson_append_document_end(to, &kept);
	free(encoded);
	return 0;
}

/* {q: {_id}, u: {$max: {kept}}, upsert}: the server keeps the higher one. */
static int append_newer(const struct lf_tier *tier, bson_t *list, size_t index, const struct lf_tier_store *store)
{
	bson_t update, filter, document, max;
	char name[24];
	int rc;

	(void)snprintf(name, sizeof(name), "%zu", index);
	(void)bson_append_document_begin(list, name, -1, &update);
	(void)bson_append_document_begin(&update, "q", -1, &filter);
	(void)bson_append_utf8(&filter, "_id", -1, store->key.data, (int)store->key.len);
	(void)bson_append_document_end(&update, &filter);
	(void)bson_append_document_begin(&update, "u", -1, &document);
	(void)bson_append_document_begin(&document, "$max", -1, &max);
	rc = append_kept(tier, &max, store);
	(void)bson_append_document_end(&document, &max);
	(void)bson_append_document_end(&update, &document);
	(void)bson_append_bool(&update, "upsert", -1, true);
	(void)bson_append_document_end(list, &update);
	return rc;
}

static int append_all_newer(const struct lf_tier *tier, bson_t *list, const struct lf_tier_store *stores, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (append_newer(tier, list, i, &stores[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* Two that make the same document at once: one is refused, and with it, on some servers, all that came after.  To send
 * all of it again does no harm. */
static enum lf_sink_result write_newer(struct lf_mongo *mongo, const bson_t *list, struct lf_mongo_written *out, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;

	do {
		if (lf_mongo_left_ms(mongo) == 0)
			return lf_mongo_too_late(mongo, "writing to the cache", err);
		result = lf_mongo_tier_write(mongo, LF_MONGO_CACHE, "update", "updates", list, out, err);
	} while (result == LF_SINK_DONE && out->refused);
	return result;
}

/* Only how many were changed is told: where that is neither none nor all, what is there is looked at. */
static enum lf_sink_result tell_which(struct lf_tier *tier, struct lf_mongo *mongo, struct lf_tier_store *stores, size_t count,
                                      struct lf_error *err)
{
	struct lf_record *records[CHUNK] = { NULL };
	struct wanted wanted[CHUNK];
	struct lf_text keys[CHUNK];
	bson_t filter = BSON_INITIALIZER;
	enum lf_sink_result result;

	for (size_t i = 0; i < count; i++) {
		keys[i] = stores[i].key;
		wanted[i] = (struct wanted){ .key = keys[i], .at = i };
	}
	qsort(wanted, count, sizeof(*wanted), compare_wanted);
	lf_mongo_tier_ids(&filter, keys, count);
	result = find(tier, mongo, &filter, wanted, count, records, err);
	for (size_t i = 0; i < count; i++)
		stores[i].stored = records[i] && lf_version_compare(records[i]->version, stores[i].record->version) == 0 ?
		                           LF_STORED : LF_NOT_STORED;
	forget(records, count);
	bson_destroy(&filter);
	return result;
}

static enum lf_tier_result store_newer(struct lf_tier *tier, struct lf_mongo *mongo, struct lf_tier_store *stores, size_t count,
                                       struct lf_error *err)
{
	struct lf_mongo_written written = { 0 };
	bson_t list = BSON_INITIALIZER;
	enum lf_sink_result result;

	if (append_all_newer(tier, &list, stores, count) < 0) {
		bson_destroy(&list);
		return lf_mongo_tier_no_memory(err);
	}
	result = write_newer(mongo, &list, &written, err);
	bson_destroy(&list);
	if (result == LF_SINK_DONE && written.changed > 0 && written.changed < (int64_t)count)
		return lf_mongo_tier_result(tell_which(tier, mongo, stores, count, err));
	for (size_t i = 0; i < count; i++)
		stores[i].stored = written.changed > 0 ? LF_STORED : LF_NOT_STORED;
	return lf_mongo_tier_result(result);
}

/* Where nothing may be there: an insert, which the _id of what is there refuses. */
static enum lf_tier_result store_first(struct lf_tier *tier, struct lf_mongo *mongo, struct lf_tier_store *store, struct lf_error *err)
{
	bson_t list = BSON_INITIALIZER, document;
	struct lf_mongo_written written = { 0 };
	enum lf_sink_result result = LF_SINK_RETRY;
	int rc;

	(void)bson_append_document_begin(&list, "0", -1, &document);
	(void)bson_append_utf8(&document, "_id", -1, store->key.data, (int)store->key.len);
	rc = append_kept(tier, &document, store);
	(void)bson_append_document_end(&list, &document);
	if (rc == 0)
		result = lf_mongo_tier_write(mongo, LF_MONGO_CACHE, "insert", "documents", &list, &written, err);
	bson_destroy(&list);
	if (rc < 0)
		return lf_mongo_tier_no_memory(err);
	store->stored = written.refused ? LF_NOT_STORED : LF_STORED;
	return lf_mongo_tier_result(result);
}

static enum lf_tier_result store_after(struct lf_tier *tier, struct lf_mongo *mongo, struct lf_tier_store *store, struct lf_error *err)
{
	bson_t list = BSON_INITIALIZER, update, filter, document, set;
	char version[LF_MONGO_VERSION_CHARS + 1];
	struct lf_mongo_written written = { 0 };
	enum lf_sink_result result = LF_SINK_RETRY;
	int rc;

	lf_mongo_tier_version(version, store->expected);
	(void)bson_append_document_begin(&list, "0", -1, &update);
	(void)bson_append_document_begin(&update, "q", -1, &filter);
	(void)bson_append_utf8(&filter, "_id", -1, store->key.data, (int)store->key.len);
	(void)bson_append_utf8(&filter, "kept.version", -1, version, -1);
	(void)bson_append_document_end(&update, &filter);
	(void)bson_append_document_begin(&update, "u", -1, &document);
	(void)bson_append_document_begin(&document, "$set", -1, &set);
	rc = append_kept(tier, &set, store);
	(void)bson_append_document_end(&document, &set);
	(void)bson_append_document_end(&update, &document);
	(void)bson_append_document_end(&list, &update);
	if (rc == 0)
		result = lf_mongo_tier_write(mongo, LF_MONGO_CACHE, "update", "updates", &list, &written, err);
	bson_destroy(&list);
	if (rc < 0)
		return lf_mongo_tier_no_memory(err);
	store->stored = written.found > 0 ? LF_STORED : LF_NOT_STORED;
	return lf_mongo_tier_result(result);
}

/* How many of them go into the next command. */
static size_t next_chunk(const struct lf_tier_store *stores, size_t count)
{
	size_t bytes = 0, some = 0;

	while (some < count && some < CHUNK && stores[some].condition != LF_IF_VERSION) {
		bytes += stores[some].record->size;
		if (some > 0 && bytes > COMMAND_BYTES)
			break;
		some++;
	}
	return some;
}

enum lf_tier_result lf_mongo_cache_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                         struct lf_error *err)
{
	struct lf_mongo *mongo;
	enum lf_tier_result result = lf_mongo_tier_begin(tier, &mongo, end_ms, err);
	size_t some;

	if (result != LF_TIER_DONE)
		return result;
	for (size_t done = 0; done < count && result == LF_TIER_DONE; done += some) {
		struct lf_tier_store *next = &stores[done];

		some = next_chunk(next, count - done);
		if (some > 0) {
			result = store_newer(tier, mongo, next, some, err);
			continue;
		}
		result = lf_version_is_none(next->expected) ? store_first(tier, mongo, next, err) :
		                                              store_after(tier, mongo, next, err);
		some = 1;
	}
	lf_mongo_tier_end(tier, mongo);
	return result;
}
