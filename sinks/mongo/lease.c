#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/documents.h"
#include "sinks/mongo/internal.h"
#include "sinks/mongo/parse.h"
#include "hashing/clock.h"

static const char doing[] = "taking the lease for the sums";

static void lease_id(char out[LF_MONGO_ID_MAX], const struct lf_mongo_rollup *rollup)
{
	(void)snprintf(out, LF_MONGO_ID_MAX, "%s:rollup", rollup->namespace);
}

/* ---- Reading ---- */

/* False: nobody could ever name that pair to replace it. */
static bool parse_lease(struct lf_mongo_lease *out, const bson_t *document)
{
	bson_iter_t field;
	uint32_t len = 0;
	const char *holder;

	*out = (struct lf_mongo_lease){ .there = true };
	if (!bson_iter_init_find(&field, document, "holder") || !BSON_ITER_HOLDS_UTF8(&field))
		return false;
	holder = bson_iter_utf8(&field, &len);
	if (len >= sizeof(out->holder) || strlen(holder) != len)
		return false;
	memcpy(out->holder, holder, len + 1);
	if (!bson_iter_init_find(&field, document, "serial") || !BSON_ITER_HOLDS_INT(&field))
		return false;
	out->serial = bson_iter_as_int64(&field);
	return true;
}

/* As it stands there, whatever it is; null stands for nothing, too. */
static void append_as_it_is(bson_t *out, const char *name, const bson_t *document)
{
	bson_iter_t field;

	if (bson_iter_init_find(&field, document, name))
		(void)bson_append_value(out, name, -1, bson_iter_value(&field));
	else
		(void)bson_append_null(out, name, -1);
}

/* What somebody spoiled is taken away, unless it is another by now.  Whose it was may have died at work:
 * that is made up for as for a write of ours that came late. */
static enum lf_sink_result remove_spoiled(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                          const bson_t *document, struct lf_error *err)
{
	bson_t selector = BSON_INITIALIZER;
	bson_error_t error = { 0 };
	char id[LF_MONGO_ID_MAX];
	bool ok;

	lease_id(id, rollup);
	lf_mongo_selector(&selector, id);
	append_as_it_is(&selector, "holder", document);
	append_as_it_is(&selector, "serial", document);
	ok = mongoc_collection_delete_one(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), &selector, NULL,
	                                  NULL, &error);
	bson_destroy(&selector);
	rollup->late = true;
	return ok ? LF_SINK_DONE : lf_mongo_failed(sink->mongo, doing, &error, err);
}

static bool same(const struct lf_mongo_lease *a, const struct lf_mongo_lease *b)
{
	return a->there == b->there && a->serial == b->serial && strcmp(a->holder, b->holder) == 0;
}

enum lf_sink_result lf_mongo_lease_look(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                        struct lf_error *err)
{
	struct lf_mongo_lease now = { .there = false };
	char id[LF_MONGO_ID_MAX];
	bson_error_t error = { 0 };
	mongoc_cursor_t *cursor;
	const bson_t *document;
	bson_t *filter, *spoiled = NULL;
	enum lf_sink_result result = LF_SINK_DONE;
	bool failed;

	lease_id(id, rollup);
	filter = BCON_NEW("_id", BCON_UTF8(id));
	cursor = mongoc_collection_find_with_opts(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), filter,
	                                          NULL, NULL);
	if (mongoc_cursor_next(cursor, &document) && !parse_lease(&now, document))
		spoiled = bson_copy(document);
	failed = mongoc_cursor_error(cursor, &error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(filter);
	if (spoiled) {
		now = (struct lf_mongo_lease){ .there = false };
		result = remove_spoiled(sink, rollup, spoiled, err);
		bson_destroy(spoiled);
	}
	if (failed)
		return lf_mongo_failed(sink->mongo, doing, &error, err);
	if (!rollup->seen_since_ms || !same(&now, &rollup->seen)) {
		rollup->seen = now;
		rollup->seen_since_ms = (uint64_t)lf_clock_ms();
	}
	if (strcmp(now.holder, sink->incarnation) != 0)
		rollup->mine = false;
	return result;
}

/* ---- Changing ---- */

static void now_seen(struct lf_mongo_rollup *rollup, const char *holder)
{
	rollup->seen.there = true;
	rollup->seen.serial++;
	(void)snprintf(rollup->seen.holder, sizeof(rollup->seen.holder), "%s", holder);
	rollup->seen_since_ms = (uint64_t)lf_clock_ms();
}

/* Replaces the pair that was seen; won is false when it is another by now. */
static enum lf_sink_result swap(struct lf_sink *sink, struct lf_mongo_rollup *rollup, const char *holder,
                                bool *won, struct lf_error *err)
{
	mongoc_find_and_modify_opts_t *options = mongoc_find_and_modify_opts_new();
	int64_t until_ms = lf_mongo_now_ms() + (*holder ? LF_MONGO_TERM_MS : 0);
	char id[LF_MONGO_ID_MAX];
	bson_error_t error = { 0 };
	bson_t *query, *update, reply;
	bson_iter_t value;
	bool ok;

	lease_id(id, rollup);
	query = BCON_NEW("_id", BCON_UTF8(id), "holder", BCON_UTF8(rollup->seen.holder), "serial",
	                 BCON_INT64(rollup->seen.serial));
	update = BCON_NEW("$set", "{", "holder", BCON_UTF8(holder), *holder ? "until" : "releasedAt",
	                  BCON_DATE_TIME(until_ms), "}", "$unset", "{", *holder ? "releasedAt" : "until",
	                  BCON_UTF8(""), "}", "$inc", "{", "serial", BCON_INT64(1), "}");
	(void)mongoc_find_and_modify_opts_set_update(options, update);
	ok = mongoc_collection_find_and_modify_with_opts(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES),
	                                                 query, options, &reply, &error);
	*won = ok && bson_iter_init_find(&value, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&value);
	bson_destroy(&reply);
	bson_destroy(update);
	bson_destroy(query);
	mongoc_find_and_modify_opts_destroy(options);
	if (!ok)
		return lf_mongo_failed(sink->mongo, doing, &error, err);
	if (*won)
		now_seen(rollup, holder);
	return LF_SINK_DONE;
}

/* The first of all; that there is one already is somebody else's luck. */
static enum lf_sink_result insert(struct lf_sink *sink, struct lf_mongo_rollup *rollup, bool *won,
                                  struct lf_error *err)
{
	char id[LF_MONGO_ID_MAX];
	bson_error_t error = { 0 };
	bson_t *document;

	lease_id(id, rollup);
	document = BCON_NEW("_id", BCON_UTF8(id), "holder", BCON_UTF8(sink->incarnation), "serial",
	                    BCON_INT64(1), "until", BCON_DATE_TIME(lf_mongo_now_ms() + LF_MONGO_TERM_MS));
	*won = mongoc_collection_insert_one(lf_mongo_collection(sink->mongo, LF_MONGO_LEASES), document, NULL,
	                                    NULL, &error);
	bson_destroy(document);
	if (*won) {
		rollup->seen = (struct lf_mongo_lease){ .there = true };
		now_seen(rollup, sink->incarnation);
	} else if (error.code != MONGOC_ERROR_DUPLICATE_KEY) {
		return lf_mongo_failed(sink->mongo, doing, &error, err);
	}
	return LF_SINK_DONE;
}

static enum lf_sink_result take_over(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                     struct lf_error *err)
{
	bool orphaned = rollup->seen.holder[0] != '\0';
	enum lf_sink_result result = swap(sink, rollup, sink->incarnation, &rollup->mine, err);

	if (result == LF_SINK_DONE && rollup->mine && orphaned) {
		rollup->full = true;
		rollup->full_after[0] = '\0';
		rollup->full_again_ms = (uint64_t)lf_clock_ms() + LF_MONGO_TERM_MS;
	}
	return result;
}

enum lf_sink_result lf_mongo_lease_renew(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                         struct lf_error *err)
{
	if ((uint64_t)lf_clock_ms() - rollup->seen_since_ms < LF_MONGO_TERM_MS / 3)
		return LF_SINK_DONE;
	return swap(sink, rollup, sink->incarnation, &rollup->mine, err);
}

enum lf_sink_result lf_mongo_lease_release(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                           struct lf_error *err)
{
	enum lf_sink_result result;
	bool won;

	result = swap(sink, rollup, "", &won, err);
	if (result == LF_SINK_DONE)
		rollup->mine = false;
	return result;
}

enum lf_sink_result lf_mongo_lease_take(struct lf_sink *sink, struct lf_mongo_rollup *rollup,
                                        struct lf_error *err)
{
	enum lf_sink_result result = lf_mongo_lease_look(sink, rollup, err);
	bool own_earlier_life = strcmp(rollup->seen.holder, sink->incarnation) == 0;

	if (result != LF_SINK_DONE)
		return result;
	/* One that is gone was given up long ago, with nothing left to do. */
	if (!rollup->seen.there)
		return insert(sink, rollup, &rollup->mine, err);
	if (rollup->mine)
		return lf_mongo_lease_renew(sink, rollup, err);
	if (!rollup->seen.holder[0] || own_earlier_life ||
	    (uint64_t)lf_clock_ms() - rollup->seen_since_ms >= LF_MONGO_TERM_MS)
		return take_over(sink, rollup, err);
	return LF_SINK_DONE;
}
