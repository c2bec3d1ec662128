#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"

/* One document to be written.  Bulks are sorted by _id: two that overlap would lock each other out on
 * some servers if each went its own way. */
struct row {
	char id[LF_MONGO_ID_MAX];
	const struct lf_sink_record *record;
	const struct lf_share *share; /* NULL: the entry itself */
};

typedef void (*append_row)(mongoc_bulk_operation_t *bulk, const struct lf_sink *sink,
                           const struct row *row);

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->id, ((const struct row *)b)->id);
}

static void update(mongoc_bulk_operation_t *bulk, bson_t *selector, bson_t *document, bool upsert)
{
	bson_t options = BSON_INITIALIZER;

	if (upsert)
		(void)bson_append_bool(&options, "upsert", -1, true);
	(void)mongoc_bulk_operation_update_one_with_opts(bulk, selector, document, &options, NULL);
	bson_destroy(&options);
	bson_destroy(selector);
	bson_destroy(document);
}

static void append_entry(mongoc_bulk_operation_t *bulk, const struct lf_sink *sink, const struct row *row)
{
	bson_t selector = BSON_INITIALIZER, document = BSON_INITIALIZER;

	(void)sink;
	lf_mongo_selector(&selector, row->id);
	lf_mongo_entry_update(&document, row->record);
	update(bulk, &selector, &document, true);
}

/* Never an upsert: that the pair there is higher must not make a second entry. */
static void append_flags(mongoc_bulk_operation_t *bulk, const struct lf_sink *sink, const struct row *row)
{
	bson_t selector = BSON_INITIALIZER, document = BSON_INITIALIZER;

	(void)sink;
	lf_mongo_flags_selector(&selector, row->id, row->record->entry);
	lf_mongo_flags_update(&document, row->record->entry);
	update(bulk, &selector, &document, false);
}

static void append_share(mongoc_bulk_operation_t *bulk, const struct lf_sink *sink, const struct row *row)
{
	bson_t selector = BSON_INITIALIZER, document = BSON_INITIALIZER;
	bool own = strcmp(row->share->incarnation, sink->incarnation) == 0;

	lf_mongo_selector(&selector, row->id);
	lf_mongo_share_update(&document, row->record->entry, row->share, own ? sink->host : NULL);
	update(bulk, &selector, &document, true);
}

static enum lf_sink_result write_chunk(struct lf_sink *sink, enum lf_mongo_collection where,
                                       const char *doing, const struct row *rows, size_t count,
                                       append_row append, struct lf_error *err)
{
	mongoc_bulk_operation_t *bulk;
	bson_t options = BSON_INITIALIZER, reply;
	bson_error_t error = { 0 };
	bool ok;

	(void)bson_append_bool(&options, "ordered", -1, false);
	bulk = mongoc_collection_create_bulk_operation_with_opts(lf_mongo_collection(sink->mongo, where),
	                                                         &options);
	for (size_t i = 0; i < count; i++)
		append(bulk, sink, &rows[i]);
	ok = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
	mongoc_bulk_operation_destroy(bulk);
	bson_destroy(&options);
	bson_destroy(&reply);
	return ok ? LF_SINK_DONE : lf_mongo_failed(sink->mongo, doing, &error, err);
}

static enum lf_sink_result write_rows(struct lf_sink *sink, enum lf_mongo_collection where,
                                      const char *doing, struct row *rows, size_t count,
                                      append_row append, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;

	qsort(rows, count, sizeof(*rows), compare);
	for (size_t done = 0; done < count && result == LF_SINK_DONE; done += LF_MONGO_CHUNK) {
		size_t some = count - done < LF_MONGO_CHUNK ? count - done : LF_MONGO_CHUNK;

		if (lf_mongo_left_ms(sink->mongo) == 0)
			return lf_mongo_too_late(sink->mongo, doing, err);
		result = write_chunk(sink, where, doing, rows + done, some, append, err);
	}
	return result;
}

/* ---- Which rows ---- */

static void name_row(struct row *row, const struct lf_sink_record *record, const struct lf_share *share)
{
	const struct lf_entry *entry = record->entry;

	(void)snprintf(row->id, sizeof(row->id), "%.*s:%.*s%s%s", (int)entry->namespace.len,
	               entry->namespace.data, (int)entry->hash.len, entry->hash.data, share ? ":" : "",
	               share ? share->incarnation : "");
	row->record = record;
	row->share = share;
}

static size_t entry_rows(const struct lf_sink_batch *batch, struct row *rows)
{
	for (size_t i = 0; i < batch->count; i++)
		name_row(&rows[i], &batch->records[i], NULL);
	return batch->count;
}

static size_t flags_rows(const struct lf_sink_batch *batch, struct row *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->records[i].flags_changed && batch->records[i].entry->flags_version > 0)
			name_row(&rows[count++], &batch->records[i], NULL);
	return count;
}

static size_t share_rows(const struct lf_sink_batch *batch, struct row *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++)
		for (size_t s = 0; s < batch->records[i].shares_count && !batch->records[i].frozen; s++)
			name_row(&rows[count++], &batch->records[i], &batch->records[i].shares[s]);
	return count;
}

static size_t rows_needed(const struct lf_sink_batch *batch)
{
	size_t shares = 0;

	for (size_t i = 0; i < batch->count; i++)
		shares += batch->records[i].shares_count;
	return shares > batch->count ? shares : batch->count;
}

/* ---- The sequence ---- */

static enum lf_sink_result write_sequence(struct lf_sink *sink, uint64_t sequence, struct lf_error *err)
{
	char id[LF_MONGO_ID_MAX + 16];
	bson_t *selector, *document, *options = BCON_NEW("upsert", BCON_BOOL(true));
	bson_error_t error = { 0 };
	bool ok;

	(void)snprintf(id, sizeof(id), "%s:writer:%s", sink->namespace, sink->incarnation);
	selector = BCON_NEW("_id", BCON_UTF8(id));
	document = BCON_NEW("$max", "{", "sequence", BCON_INT64(lf_mongo_number(sequence)), "}", "$set", "{",
	                    "host", BCON_UTF8(sink->host), "at", BCON_DATE_TIME(lf_mongo_now_ms()), "}");
	ok = mongoc_collection_update_one(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), selector,
	                                  document, options, NULL, &error);
	bson_destroy(selector);
	bson_destroy(document);
	bson_destroy(options);
	return ok ? LF_SINK_DONE : lf_mongo_failed(sink->mongo, "writing its sequence", &error, err);
}

/* ---- The whole ---- */

static enum lf_sink_result write_all(struct lf_sink *sink, const struct lf_sink_batch *batch,
                                     struct row *rows, struct lf_error *err)
{
	static const struct {
		enum lf_mongo_collection where;
		const char *doing;
		size_t (*rows)(const struct lf_sink_batch *batch, struct row *rows);
		append_row append;
	} steps[] = {
		/* Entries first: whoever sums the shares must find the entry. */
		{ LF_MONGO_ENTRIES, "writing entries", entry_rows, append_entry },
		{ LF_MONGO_ENTRIES, "writing flags", flags_rows, append_flags },
		{ LF_MONGO_COUNTS, "writing counts", share_rows, append_share },
	};
	enum lf_sink_result result = LF_SINK_DONE;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && result == LF_SINK_DONE; i++)
		result = write_rows(sink, steps[i].where, steps[i].doing, rows, steps[i].rows(batch, rows),
		                    steps[i].append, err);
	if (result == LF_SINK_DONE && batch->sequence > 0)
		result = write_sequence(sink, batch->sequence, err);
	return result;
}

enum lf_sink_result lf_mongo_flush(struct lf_sink *sink, const struct lf_sink_batch *batch, int timeout_ms,
                                   struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, timeout_ms, err);
	struct row *rows;

	if (result != LF_SINK_DONE)
		return result;
	rows = calloc(rows_needed(batch) + 1, sizeof(*rows));
	if (!rows) {
		(void)lf_fail(err, -ENOMEM, "mongo: there is no memory for a batch of %zu entries", batch->count);
		return LF_SINK_RETRY;
	}
	result = write_all(sink, batch, rows, err);
	free(rows);
	return result;
}
