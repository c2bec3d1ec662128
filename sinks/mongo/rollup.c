#include "sinks/mongo/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"
#include "sinks/mongo/parse.h"
#include "hashing/clock.h"

static const char doing[] = "summing counts";

struct mark {
	char id[LF_MONGO_ID_MAX];
	bson_t *foreign; /* the selector of a document that is nobody's of us; else NULL */
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static mongoc_cursor_t *find(struct lf_sink *sink, bson_t *filter, bson_t *options)
{
	/* Only the primary has seen all that was acknowledged. */
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(
		lf_mongo_collection(sink->mongo, LF_MONGO_COUNTS), filter, options, primary);

	mongoc_read_prefs_destroy(primary);
	bson_destroy(filter);
	bson_destroy(options);
	return cursor;
}

static enum lf_sink_result cursor_end(struct lf_sink *sink, mongoc_cursor_t *cursor, struct lf_error *err)
{
	bson_error_t error = { 0 };
	bool failed = mongoc_cursor_error(cursor, &error);

	mongoc_cursor_destroy(cursor);
	return failed ? lf_mongo_failed(sink->mongo, doing, &error, err) : LF_SINK_DONE;
}

/* ---- Hashes to be summed ---- */

static void remember(struct lf_mongo_rollup *rollup, const bson_t *document)
{
	bson_iter_t field;
	uint32_t len = 0;
	const char *hash;

	if (rollup->pending_count == LF_MONGO_CHUNK || !bson_iter_init_find(&field, document, "hash") ||
	    !BSON_ITER_HOLDS_UTF8(&field))
		return;
	hash = bson_iter_utf8(&field, &len);
	if (len == LF_HASH_CHARS)
		memcpy(rollup->pending[rollup->pending_count++], hash, LF_HASH_CHARS + 1);
}

static void remember_once(struct lf_mongo_rollup *rollup)
{
	size_t kept = 0;

	qsort(rollup->pending, rollup->pending_count, sizeof(*rollup->pending), compare);
	for (size_t i = 0; i < rollup->pending_count; i++)
		if (kept == 0 || strcmp(rollup->pending[kept - 1], rollup->pending[i]) != 0)
			memmove(rollup->pending[kept++], rollup->pending[i], sizeof(*rollup->pending));
	rollup->pending_count = kept;
}

/* ---- Marks ---- */

static bson_t *dirty_filter(const struct lf_mongo_rollup *rollup)
{
	return BCON_NEW("namespace", BCON_UTF8(rollup->namespace), "dirty", BCON_BOOL(true));
}

static enum lf_sink_result any_dirty(struct lf_sink *sink, const struct lf_mongo_rollup *rollup, bool *out,
                                     struct lf_error *err)
{
	mongoc_cursor_t *cursor = find(sink, dirty_filter(rollup),
	                               BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id",
	                                        BCON_INT32(1), "}"));
	const bson_t *document;

	*out = mongoc_cursor_next(cursor, &document);
	return cursor_end(sink, cursor, err);
}

/* By _id alone: a server that looks up by nothing else scans for everything more, and a mark of later
 * costs but a sum done twice. */
static enum lf_sink_result take_marks(struct lf_sink *sink, struct mark *marks, size_t count,
                                      struct lf_error *err)
{
	bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
	bson_t *update = BCON_NEW("$unset", "{", "dirty", BCON_UTF8(""), "}");
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(
		lf_mongo_collection(sink->mongo, LF_MONGO_COUNTS), options);
	bson_error_t error = { 0 };
	bool ok;

	qsort(marks, count, sizeof(*marks), compare);
	for (size_t i = 0; i < count; i++) {
		bson_t selector = BSON_INITIALIZER;

		if (!marks[i].foreign)
			lf_mongo_selector(&selector, marks[i].id);
		(void)mongoc_bulk_operation_update_one_with_opts(
			bulk, marks[i].foreign ? marks[i].foreign : &selector, update, NULL, NULL);
		bson_destroy(&selector);
	}
	ok = mongoc_bulk_operation_execute(bulk, NULL, &error) != 0;
	mongoc_bulk_operation_destroy(bulk);
	bson_destroy(update);
	bson_destroy(options);
	return ok ? LF_SINK_DONE : lf_mongo_failed(sink->mongo, doing, &error, err);
}

/* One that is left would be found again and again, and a thousand of them instead of any other. */
static size_t note_mark(struct mark *mark, const bson_t *document)
{
	bson_iter_t field;
	uint32_t len = 0;
	const char *id;

	if (!bson_iter_init_find(&field, document, "_id"))
		return 0;
	id = BSON_ITER_HOLDS_UTF8(&field) ? bson_iter_utf8(&field, &len) : NULL;
	if (id && len < sizeof(mark->id) && strlen(id) == len) {
		memcpy(mark->id, id, len + 1);
		return 1;
	}
	mark->foreign = bson_new();
	(void)bson_append_value(mark->foreign, "_id", -1, bson_iter_value(&field));
	return 1;
}

static void free_marks(struct mark *marks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (marks[i].foreign)
			bson_destroy(marks[i].foreign);
	free(marks);
}

static bson_t *refill_options(const struct lf_sink *sink)
{
	bson_t *options = BCON_NEW("limit", BCON_INT64(LF_MONGO_CHUNK), "batchSize",
	                           BCON_INT32(LF_MONGO_CHUNK), "projection", "{", "hash", BCON_INT32(1),
	                           "}");

	if (sink->sums_here) /* so that what is to be fetched lies close together */
		BCON_APPEND(options, "sort", "{", "hash", BCON_INT32(1), "}");
	return options;
}

/* Some dirty shares: their hashes remembered, then their marks taken. */
static enum lf_sink_result refill_dirty(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                        struct lf_error *err)
{
	struct mark *marks = calloc(LF_MONGO_CHUNK, sizeof(*marks));
	mongoc_cursor_t *cursor = find(sink, dirty_filter(rollup), refill_options(sink));
	enum lf_sink_result result;
	const bson_t *document;
	size_t count = 0;

	while (marks && count < LF_MONGO_CHUNK && mongoc_cursor_next(cursor, &document)) {
		remember(rollup, document);
		count += note_mark(&marks[count], document);
	}
	result = cursor_end(sink, cursor, err);
	remember_once(rollup);
	if (result == LF_SINK_DONE && count) {
		result = take_marks(sink, marks, count, err);
		rollup->late |= result != LF_SINK_DONE;
	}
	free_marks(marks, count);
	return result;
}

/* The next hashes of the whole namespace. */
static enum lf_sink_result refill_full(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                       struct lf_error *err)
{
	mongoc_cursor_t *cursor = find(
		sink,
		BCON_NEW("namespace", BCON_UTF8(rollup->namespace), "hash", "{", "$gt",
	                 BCON_UTF8(rollup->full_after), "}"),
		BCON_NEW("limit", BCON_INT64(LF_MONGO_CHUNK), "batchSize", BCON_INT32(LF_MONGO_CHUNK), "sort",
	                 "{", "hash", BCON_INT32(1), "}", "projection", "{", "hash", BCON_INT32(1), "}"));
	enum lf_sink_result result;
	const bson_t *document;
	size_t seen = 0;

	for (; mongoc_cursor_next(cursor, &document); seen++)
		remember(rollup, document);
	result = cursor_end(sink, cursor, err);
	remember_once(rollup);
	if (result == LF_SINK_DONE && (seen == 0 || rollup->pending_count == 0))
		rollup->full = false;
	else if (rollup->pending_count)
		memcpy(rollup->full_after, rollup->pending[rollup->pending_count - 1],
		       sizeof(rollup->full_after));
	return result;
}

/* ---- One namespace ---- */

static struct lf_mongo_rollup *rollup_of(struct lf_sink *sink, const char *namespace)
{
	struct lf_mongo_rollup *rollup = sink->rollups;

	while (rollup && strcmp(rollup->namespace, namespace) != 0)
		rollup = rollup->next;
	if (rollup)
		return rollup;
	rollup = calloc(1, sizeof(*rollup));
	if (!rollup)
		return NULL;
	rollup->pending = calloc(LF_MONGO_CHUNK, sizeof(*rollup->pending));
	if (!rollup->pending) {
		free(rollup);
		return NULL;
	}
	(void)snprintf(rollup->namespace, sizeof(rollup->namespace), "%s", namespace);
	rollup->next = sink->rollups;
	sink->rollups = rollup;
	return rollup;
}

static bool due(const struct lf_mongo_rollup *rollup)
{
	return rollup->full ||
	       (rollup->full_again_ms && (uint64_t)lf_clock_ms() >= rollup->full_again_ms);
}

/* A write of ours that timed out lands, if it does, before those of a connection made after it; a term
 * is more than enough for what the network or a server that stood still held back. */
static void schedule_full(struct lf_mongo_rollup *rollup)
{
	if (rollup->late)
		rollup->full_again_ms = (uint64_t)lf_clock_ms() + LF_MONGO_TERM_MS;
	rollup->late = false;
	if (rollup->full || !due(rollup))
		return;
	rollup->full = true;
	rollup->full_after[0] = '\0';
	rollup->full_again_ms = 0;
}

/* One batch; more is false when there was none. */
static enum lf_sink_result one_batch(struct lf_sink *sink, struct lf_mongo_rollup *rollup, bool *more,
                                     struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_lease_renew(sink, rollup, err);
	bool was_full;

	*more = false;
	if (result != LF_SINK_DONE || !rollup->mine)
		return result;
	schedule_full(rollup);
	was_full = rollup->full;
	result = was_full ? refill_full(sink, rollup, err) : refill_dirty(sink, rollup, err);
	*more = rollup->pending_count > 0 || was_full;
	return result == LF_SINK_DONE ? lf_mongo_sum_pending(sink, rollup, err) : result;
}

static enum lf_sink_result work(struct lf_sink *sink, struct lf_mongo_rollup *rollup, int timeout_ms,
                                bool *busy, struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_DONE;
	bool more = true;

	while (result == LF_SINK_DONE && more && rollup->mine) {
		if (lf_mongo_left_ms(sink->mongo) < timeout_ms / 4) { /* rather not than in part */
			*busy = true;
			return LF_SINK_DONE;
		}
		result = one_batch(sink, rollup, &more, err);
	}
	if (result != LF_SINK_DONE)
		return result;
	*busy |= !rollup->mine || rollup->full_again_ms || rollup->late;
	if (!rollup->mine || rollup->full_again_ms || rollup->late)
		return LF_SINK_DONE;
	return lf_mongo_lease_release(sink, rollup, err);
}

static enum lf_sink_result tend_one(struct lf_sink *sink, struct lf_mongo_rollup *rollup, int timeout_ms,
                                    bool *busy, struct lf_error *err)
{
	/* What was remembered is summed in any case: that needs no lease. */
	enum lf_sink_result result = lf_mongo_sum_pending(sink, rollup, err);
	bool dirty = false;

	if (result == LF_SINK_DONE)
		result = any_dirty(sink, rollup, &dirty, err);
	if (result == LF_SINK_DONE)
		result = lf_mongo_lease_look(sink, rollup, err);
	if (result != LF_SINK_DONE)
		return result;
	/* That somebody holds it means that he works, or died at work. */
	if (!dirty && !rollup->seen.holder[0] && !rollup->late)
		return LF_SINK_DONE;
	result = lf_mongo_lease_take(sink, rollup, err);
	if (result == LF_SINK_DONE && rollup->mine)
		return work(sink, rollup, timeout_ms, busy, err);
	*busy = true;
	return result;
}

enum lf_sink_result lf_mongo_tend(struct lf_sink *sink, const char *const *namespaces, size_t count,
                                  bool *busy, int timeout_ms, struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_begin(sink->mongo, timeout_ms, err);

	*busy = false;
	for (size_t i = 0; i < count && result == LF_SINK_DONE; i++) {
		struct lf_mongo_rollup *rollup = rollup_of(sink, namespaces[i]);

		if (!rollup) {
			(void)lf_fail(err, -ENOMEM, "mongo: there is no memory for the sums");
			result = LF_SINK_RETRY;
		} else {
			result = tend_one(sink, rollup, timeout_ms, busy, err);
		}
	}
	*busy |= result != LF_SINK_DONE;
	return result;
}

void lf_mongo_tend_fini(struct lf_sink *sink)
{
	while (sink->rollups) {
		struct lf_mongo_rollup *rollup = sink->rollups;

		sink->rollups = rollup->next;
		free(rollup->pending);
		free(rollup);
	}
}
