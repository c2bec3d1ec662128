/* How many entries a second the MongoDB module flushes, beside a bare libmongoc that sends the very same
 * updates as bulks: the upserts of the entries, then those of what was counted, ready made.
 *
 * usage: bench_flush_mongo URI DATABASE
 */
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>

#include "sinks/mongo/documents.h"
#include "tests/bench/flush_pairs.h"

/* Small batches: a server may be so slow that a pair of large ones takes seconds. */
enum { ENTRIES = 2000, BATCH = 250, ID_MAX = 256 };

static const char host[] = "bench", incarnation[] = "00000000-0000-4000-8000-000000000001";

struct update {
	bson_t selector, document;
};

struct bare {
	mongoc_client_t *client;
	mongoc_collection_t *entries, *counts;
	struct update entry[BATCH], share[BATCH];
	size_t count;
	bson_t unordered, upsert;
};

static void forget(struct bare *bare)
{
	for (size_t i = 0; i < bare->count; i++) {
		bson_destroy(&bare->entry[i].selector);
		bson_destroy(&bare->entry[i].document);
		bson_destroy(&bare->share[i].selector);
		bson_destroy(&bare->share[i].document);
	}
	bare->count = 0;
}

static struct update *begin(struct update *update, const char *id)
{
	bson_init(&update->selector);
	bson_init(&update->document);
	lf_mongo_selector(&update->selector, id);
	return update;
}

static bool prepare(void *arg, const struct lf_sink_batch *batch)
{
	struct bare *bare = arg;
	char id[ID_MAX];

	forget(bare);
	for (size_t i = 0; i < batch->count && i < BATCH; i++) {
		const struct lf_sink_record *record = &batch->records[i];
		const struct lf_entry *entry = record->entry;

		(void)snprintf(id, sizeof(id), "%s:%s", entry->namespace.data, entry->hash.data);
		lf_mongo_entry_update(&begin(&bare->entry[i], id)->document, record);
		(void)snprintf(id, sizeof(id), "%s:%s:%s", entry->namespace.data, entry->hash.data,
		               record->shares->incarnation);
		lf_mongo_share_update(&begin(&bare->share[i], id)->document, entry, record->shares, host);
		bare->count++;
	}
	return bare->count == batch->count;
}

static bool send_bulk(const struct bare *bare, mongoc_collection_t *where, const struct update *updates)
{
	mongoc_bulk_operation_t *bulk =
		mongoc_collection_create_bulk_operation_with_opts(where, &bare->unordered);
	bson_error_t error = { 0 };
	bool sent = true;

	for (size_t i = 0; sent && i < bare->count; i++)
		sent = mongoc_bulk_operation_update_one_with_opts(bulk, &updates[i].selector,
		                                                  &updates[i].document, &bare->upsert,
		                                                  &error);
	sent = sent && mongoc_bulk_operation_execute(bulk, NULL, &error) != 0;
	if (!sent)
		(void)fprintf(stderr, "bench_flush_mongo: %s\n", error.message);
	mongoc_bulk_operation_destroy(bulk);
	return sent;
}

static bool send_all(void *arg)
{
	const struct bare *bare = arg;

	return send_bulk(bare, bare->entries, bare->entry) && send_bulk(bare, bare->counts, bare->share);
}

/* As careful as the module is. */
static bool connect_bare(struct bare *bare, const char *text, const char *database)
{
	mongoc_uri_t *uri = mongoc_uri_new(text);
	mongoc_write_concern_t *majority = mongoc_write_concern_new();

	mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
	if (uri) {
		mongoc_uri_set_write_concern(uri, majority);
		(void)mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
		bare->client = mongoc_client_new_from_uri(uri);
		mongoc_uri_destroy(uri);
	}
	mongoc_write_concern_destroy(majority);
	if (!bare->client)
		return false;
	bare->entries = mongoc_client_get_collection(bare->client, database, "entries");
	bare->counts = mongoc_client_get_collection(bare->client, database, "counts");
	(void)bson_append_bool(&bare->unordered, "ordered", -1, false);
	(void)bson_append_bool(&bare->upsert, "upsert", -1, true);
	return true;
}

static void close_bare(struct bare *bare)
{
	forget(bare);
	mongoc_collection_destroy(bare->entries);
	mongoc_collection_destroy(bare->counts);
	mongoc_client_destroy(bare->client);
}

int main(int argc, char **argv)
{
	static struct bare bare = { .unordered = BSON_INITIALIZER, .upsert = BSON_INITIALIZER };
	struct flush_bench bench = {
		.tier = "mongo",
		.options = { .uri = argv[1], .database = argv[argc - 1], .connect_timeout_ms = 5000,
		             .host = host, .incarnation = incarnation, .namespace = "bench" },
		.entries = ENTRIES, .batch = BATCH, .budget_s = 20, .prepare = prepare, .send = send_all, .arg = &bare,
	};
	int rc;

	mongoc_init();
	if (argc != 3 || !connect_bare(&bare, argv[1], argv[2])) {
		(void)fprintf(stderr, "usage: bench_flush_mongo URI DATABASE\n");
		return 64;
	}
	rc = flush_bench_run(&bench);
	close_bare(&bare);
	return rc;
}
