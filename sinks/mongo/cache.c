#include "sinks/mongo/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "hashing/uuid.h"
#include "sinks/mongo/parse.h"

/* ---- One call ---- */

enum lf_tier_result lf_mongo_tier_result(enum lf_sink_result result)
{
	if (result == LF_SINK_DONE)
		return LF_TIER_DONE;
	return result == LF_SINK_REJECTED ? LF_TIER_REJECTED : LF_TIER_AWAY;
}

enum lf_tier_result lf_mongo_tier_begin(struct lf_tier *tier, struct lf_mongo **out, int64_t end_ms, struct lf_error *err)
{
	enum lf_sink_result result;
	int64_t left_ms;
	void *taken;

	if (lf_pool_take(tier->pool, &taken, end_ms, err) < 0)
		return LF_TIER_AWAY;
	*out = taken;
	left_ms = end_ms - lf_clock_ms();
	if (left_ms > INT32_MAX)
		left_ms = INT32_MAX;
	result = lf_mongo_begin(*out, left_ms > 0 ? (int)left_ms : 0, err);
	if (result != LF_SINK_DONE)
		lf_pool_give(tier->pool, *out);
	return lf_mongo_tier_result(result);
}

void lf_mongo_tier_end(struct lf_tier *tier, struct lf_mongo *mongo)
{
	if (lf_mongo_came_back(mongo))
		(void)atomic_fetch_add_explicit(&tier->reconnects, 1, memory_order_relaxed);
	lf_pool_give(tier->pool, mongo);
}

void lf_mongo_tier_ids(bson_t *filter, const struct lf_text *ids, size_t count)
{
	bson_t in, list;
	char index[24];

	if (count == 1) {
		(void)bson_append_utf8(filter, "_id", -1, ids[0].data, (int)ids[0].len);
		return;
	}
	(void)bson_append_document_begin(filter, "_id", -1, &in);
	(void)bson_append_array_begin(&in, "$in", -1, &list);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(index, sizeof(index), "%zu", i);
		(void)bson_append_utf8(&list, index, -1, ids[i].data, (int)ids[i].len);
	}
	(void)bson_append_array_end(&in, &list);
	(void)bson_append_document_end(filter, &in);
}

static int64_t number_in(const bson_t *reply, const char *name)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, reply, name) ? lf_mongo_parse_number(&at) : 0;
}

static int64_t length_of(const bson_t *reply, const char *name)
{
	bson_iter_t at, list;
	int64_t length = 0;

	if (bson_iter_init_find(&at, reply, name) && BSON_ITER_HOLDS_ARRAY(&at) && bson_iter_recurse(&at, &list))
		while (bson_iter_next(&list))
			length++;
	return length;
}

/* What a server says of single documents.  Anything but a duplicate is a failure. */
static bool read_refusals(const bson_t *reply, bool *refused, bson_error_t *error)
{
	bson_iter_t at, list, one, text;

	*refused = false;
	if (!bson_iter_init_find(&at, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &list))
		return true;
	while (bson_iter_next(&list)) {
		int64_t code = 0;

		if (BSON_ITER_HOLDS_DOCUMENT(&list) && bson_iter_recurse(&list, &one) && bson_iter_find(&one, "code"))
			code = lf_mongo_parse_number(&one);
		if (code != MONGOC_ERROR_DUPLICATE_KEY) {
			bool told = bson_iter_recurse(&list, &text) && bson_iter_find(&text, "errmsg") && BSON_ITER_HOLDS_UTF8(&text);

			bson_set_error(error, MONGOC_ERROR_SERVER, (uint32_t)code, "%s", told ? bson_iter_utf8(&text, NULL) : "");
			return false;
		}
		*refused = true;
	}
	return true;
}

enum lf_sink_result lf_mongo_tier_write(struct lf_mongo *mongo, enum lf_mongo_collection where, const char *verb,
                                        const char *list_name, const bson_t *list, struct lf_mongo_written *out,
                                        struct lf_error *err)
{
	bson_t *command = BCON_NEW(verb, BCON_UTF8(lf_mongo_collection_name(where)), "ordered", BCON_BOOL(false));
	bson_error_t error = { 0 };
	bson_t reply;
	bool ok;

	(void)bson_append_array(command, list_name, -1, list);
	ok = lf_mongo_command(mongo, command, &reply, &error);
	/* The library may take a refused document for a failed command. */
	if (ok || bson_has_field(&reply, "writeErrors"))
		ok = read_refusals(&reply, &out->refused, &error);
	out->found = number_in(&reply, "n");
	out->changed = number_in(&reply, "nModified") + length_of(&reply, "upserted");
	bson_destroy(&reply);
	bson_destroy(command);
	return ok ? LF_SINK_DONE : lf_mongo_failed(mongo, "writing to the cache", &error, err);
}

/* ---- Opening and closing ---- */

static int make_connection(void *arg, void **out, struct lf_error *err)
{
	struct lf_tier *tier = arg;
	struct lf_mongo *mongo;
	int rc = lf_mongo_open(&mongo, &tier->connection, err);

	if (rc == 0)
		*out = mongo;
	return rc;
}

static void unmake_connection(void *connection)
{
	lf_mongo_close(connection);
}

static void tier_close(struct lf_tier *tier)
{
	struct lf_sink_options *own;

	if (!tier)
		return;
	lf_pool_free(tier->pool);
	own = &tier->connection;
	free((char *)(uintptr_t)own->uri);
	free((char *)(uintptr_t)own->password);
	free((char *)(uintptr_t)own->database);
	free((char *)(uintptr_t)own->tls_ca_file);
	free((char *)(uintptr_t)own->tls_certificate_file);
	free((char *)(uintptr_t)own->tls_key_file);
	free(tier->scope);
	free(tier);
}

static bool copy_text(const char **out, const char *text)
{
	*out = text && *text ? strdup(text) : NULL;
	return *out || !text || !*text;
}

static bool copy_options(struct lf_tier *tier, const struct lf_tier_options *options)
{
	const struct lf_cache_server_options *server = options->server;
	struct lf_sink_options *own = &tier->connection;

	own->connect_timeout_ms = server->connect_timeout_ms;
	tier->value_max = options->value_max;
	tier->compress_min = server->compress_min;
	tier->clock_ms = options->clock_ms;
	tier->clock_arg = options->clock_arg;
	tier->scope = strdup(options->scope);
	return tier->scope && copy_text(&own->uri, server->url) && copy_text(&own->password, server->password) &&
	       copy_text(&own->database, server->database) && copy_text(&own->tls_ca_file, server->tls_ca_file) &&
	       copy_text(&own->tls_certificate_file, server->tls_certificate_file) &&
	       copy_text(&own->tls_key_file, server->tls_key_file);
}

/* Makes the first connection, which says whether the options are right. */
static int make_pool(struct lf_tier *tier, const struct lf_cache_server_options *server, struct lf_error *err)
{
	const struct lf_pool_kind kind = { .make = make_connection, .unmake = unmake_connection, .arg = tier };
	void *first;
	int rc = lf_pool_new(&tier->pool, &kind, server->pool_min, server->pool_max, err);

	if (rc < 0)
		return rc;
	rc = lf_pool_take(tier->pool, &first, 0, err);
	if (rc == 0)
		lf_pool_give(tier->pool, first);
	return rc;
}

static int tier_open(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	struct lf_tier *tier = calloc(1, sizeof(*tier));
	int rc;

	if (!tier || !copy_options(tier, options))
		rc = lf_fail(err, -ENOMEM, "mongo: there is no memory");
	else
		rc = make_pool(tier, options->server, err);
	if (rc != 0) {
		tier_close(tier);
		return rc;
	}
	*out = tier;
	return 0;
}

/* ---- How it is ---- */

/* Needs the permission to write, so that a wrong password or a read-only user is known from here on. */
static enum lf_sink_result make_mark(struct lf_mongo *mongo, const char *id, struct lf_error *err)
{
	char mine[LF_UUID_CHARS + 1];
	bson_t *selector, *update, *options;
	bson_error_t error = { 0 };
	bool ok;

	if (lf_uuid_random(mine, err) < 0)
		return LF_SINK_RETRY;
	selector = BCON_NEW("_id", BCON_UTF8(id));
	update = BCON_NEW("$setOnInsert", "{", "epoch", BCON_UTF8(mine), "}");
	options = BCON_NEW("upsert", BCON_BOOL(true));
	ok = mongoc_collection_update_one(lf_mongo_collection(mongo, LF_MONGO_STAMPS), selector, update, options, NULL, &error);
	bson_destroy(selector);
	bson_destroy(update);
	bson_destroy(options);
	if (!ok && error.code != MONGOC_ERROR_DUPLICATE_KEY)
		return lf_mongo_failed(mongo, "connecting", &error, err);
	return LF_SINK_DONE;
}

static enum lf_sink_result read_mark(struct lf_mongo *mongo, const char *id, char mark[LF_TIER_MARK_MAX], struct lf_error *err)
{
	bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
	mongoc_cursor_t *cursor =
		mongoc_collection_find_with_opts(lf_mongo_collection(mongo, LF_MONGO_STAMPS), filter, NULL, NULL);
	bson_error_t error = { 0 };
	const bson_t *document;
	bson_iter_t value;
	bool failed;

	mark[0] = '\0';
	if (mongoc_cursor_next(cursor, &document) && bson_iter_init_find(&value, document, "epoch") && BSON_ITER_HOLDS_UTF8(&value))
		(void)snprintf(mark, LF_TIER_MARK_MAX, "%s", bson_iter_utf8(&value, NULL));
	failed = mongoc_cursor_error(cursor, &error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(filter);
	return failed ? lf_mongo_failed(mongo, "reading its mark", &error, err) : LF_SINK_DONE;
}

/* For tidiness alone: that a server has no such index, or does not let us make it, is no failure. */
static enum lf_sink_result make_index(struct lf_mongo *mongo, struct lf_error *err)
{
	bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(lf_mongo_collection_name(LF_MONGO_CACHE)), "indexes", "[", "{", "key",
	                           "{", "kept.expiresAt", BCON_INT32(1), "}", "name", BCON_UTF8("expiry"), "expireAfterSeconds",
	                           BCON_INT32(0), "}", "]");
	bson_error_t error = { 0 };
	bson_t reply;
	bool ok = lf_mongo_command(mongo, command, &reply, &error);

	bson_destroy(&reply);
	bson_destroy(command);
	if (ok || lf_mongo_not_offered(&error) || (error.domain == MONGOC_ERROR_SERVER && error.code == 13))
		return LF_SINK_DONE;
	return lf_mongo_failed(mongo, "making an index", &error, err);
}

static enum lf_tier_result tier_ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err)
{
	struct lf_mongo *mongo;
	enum lf_tier_result begun = lf_mongo_tier_begin(tier, &mongo, end_ms, err);
	char id[4 * LF_CACHE_NAME_MAX * 2 + 16];
	enum lf_sink_result result;

	if (begun != LF_TIER_DONE)
		return begun;
	(void)snprintf(id, sizeof(id), "%s%%epoch", tier->scope);
	/* One that is there is only read: this is asked every second. */
	result = read_mark(mongo, id, mark, err);
	if (result == LF_SINK_DONE && (!mark[0] || !atomic_load(&tier->prepared))) {
		result = make_mark(mongo, id, err);
		if (result == LF_SINK_DONE)
			result = make_index(mongo, err);
		if (result == LF_SINK_DONE)
			result = read_mark(mongo, id, mark, err);
		atomic_store(&tier->prepared, result == LF_SINK_DONE);
	}
	lf_mongo_tier_end(tier, mongo);
	return lf_mongo_tier_result(result);
}

static enum lf_tier_result tier_info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err)
{
	(void)end_ms;
	(void)err;
	*out = (struct lf_tier_info){
		.items = UINT64_MAX, .bytes = UINT64_MAX, .connections = lf_pool_count(tier->pool),
		.reconnects = atomic_load_explicit(&tier->reconnects, memory_order_relaxed),
	};
	return LF_TIER_DONE;
}

extern const struct lf_tier_ops lf_tier_module;

__attribute__((visibility("default"))) const struct lf_tier_ops lf_tier_module = {
	.abi = LF_TIER_ABI,
	.name = "mongo",
	.open = tier_open,
	.close = tier_close,
	.ping = tier_ping,
	.load = lf_mongo_cache_load,
	.store = lf_mongo_cache_store,
	.scan = lf_mongo_cache_scan,
	.drop = lf_mongo_cache_drop,
	.stamps = lf_mongo_cache_stamps,
	.raise = lf_mongo_cache_raise,
	.info = tier_info,
};
