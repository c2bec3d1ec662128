/* Records: read, and stored by version; and who may trust what is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/sqlite_internal.h"

/* The most that options.value_max may be: what is acknowledged must not go because that was lowered since. */
enum { VALUE_MAX = 1 << 30 };

static int64_t session_of(struct lf_tier *tier)
{
	return atomic_load_explicit(&tier->session, memory_order_relaxed);
}

/* --- loading --------------------------------------------------------------------------------------- */

struct load {
	const struct lf_text *keys;
	size_t count;
	struct lf_record **records;
	bool *trusted; /* of the first; NULL: not asked */
	bool unreadable;
};

static void forget(struct load *load)
{
	for (size_t i = 0; i < load->count; i++) {
		lf_record_drop(load->records[i]);
		load->records[i] = NULL;
	}
}

/* -EBADMSG, too, where the row says another version than the record: by that one no store would ever be made. */
static int decode(sqlite3_stmt *row, struct lf_record **out)
{
	int rc;

	*out = NULL;
	rc = lf_record_decode(lf_column_text(row, 2), VALUE_MAX, out, NULL);
	if (rc == 0 && lf_version_compare((*out)->version, lf_column_version(row, 3)) != 0) {
		lf_record_drop(*out);
		*out = NULL;
		rc = -EBADMSG;
	}
	return rc;
}

static int take_record(struct lf_tier *tier, struct load *load, size_t i, sqlite3_stmt *row)
{
	int rc = decode(row, &load->records[i]);

	if (rc == -ENOMEM)
		return SQLITE_NOMEM;
	load->unreadable |= rc < 0;
	if (load->trusted)
		*load->trusted = rc == 0 && sqlite3_column_int64(row, 1) == session_of(tier);
	return SQLITE_ROW;
}

static int load_one(struct lf_tier *tier, struct lf_link *link, struct load *load, size_t i)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_LOAD);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_bind_text(statement, 1, load->keys[i]);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		code = take_record(tier, load, i, statement);
	return lf_link_end(statement, code);
}

static int load_all(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	struct load *load = arg;
	int code = SQLITE_OK;

	forget(load);
	load->unreadable = false;
	if (load->count > 1)
		code = lf_link_do(link, LF_DO_BEGIN_READ);
	for (size_t i = 0; code == SQLITE_OK && i < load->count; i++)
		code = load_one(tier, link, load, i);
	if (code == SQLITE_OK && load->count > 1)
		code = lf_link_do(link, LF_DO_COMMIT);
	return code;
}

/* What nobody can read would stand in the way of a store by version for ever. */
static int remove_unreadable(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	const struct load *load = arg;
	int code = SQLITE_OK;

	(void)tier;
	for (size_t i = 0; code == SQLITE_OK && i < load->count; i++) {
		sqlite3_stmt *statement = lf_link_statement(link, LF_DO_LOAD);
		struct lf_record *record = NULL;
		int64_t seq = 0;

		if (!statement)
			return sqlite3_extended_errcode(link->db);
		lf_bind_text(statement, 1, load->keys[i]);
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW && decode(statement, &record) == -EBADMSG)
			seq = sqlite3_column_int64(statement, 0);
		lf_record_drop(record);
		code = lf_link_end(statement, code);
		statement = seq ? lf_link_statement(link, LF_DO_REMOVE) : NULL;
		if (statement && code == SQLITE_OK) {
			(void)sqlite3_bind_int64(statement, 1, seq);
			code = lf_link_run(link, statement);
		}
	}
	return code;
}

static enum lf_tier_result load(struct lf_tier *tier, struct load *load, int64_t end_ms, struct lf_error *err)
{
	struct lf_work work = { .run = load_all, .arg = load, .what = "read" };
	enum lf_tier_result result;

	for (size_t i = 0; i < load->count; i++)
		load->records[i] = NULL;
	result = lf_sqlite_read(tier, &work, end_ms, err);
	if (result != LF_TIER_DONE) {
		forget(load);
	} else if (load->unreadable) {
		work = (struct lf_work){ .run = remove_unreadable, .arg = load, .what = "cleaned" };
		(void)lf_sqlite_write(tier, &work, end_ms, NULL);
	}
	return result;
}

enum lf_tier_result lf_sqlite_records_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                           struct lf_record **records, int64_t end_ms, struct lf_error *err)
{
	struct load all = { .keys = keys, .count = count, .records = records };

	return load(tier, &all, end_ms, err);
}

enum lf_tier_result lf_sqlite_load(struct lf_tier *tier, struct lf_text key, struct lf_record **record, bool *trusted,
                                   int64_t end_ms, struct lf_error *err)
{
	struct load one = { .keys = &key, .count = 1, .records = record, .trusted = trusted };

	*trusted = false;
	return load(tier, &one, end_ms, err);
}

/* --- storing --------------------------------------------------------------------------------------- */

struct encoded {
	char *bytes;
	size_t len;
};

struct store {
	struct lf_tier_store *stores;
	size_t count;
	struct encoded *encoded;
	bool durable;
};

struct there {
	int64_t seq; /* 0: nothing is */
	struct lf_version version;
	int64_t session;
};

static int look(struct lf_link *link, struct lf_text key, struct there *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_LOOK);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_bind_text(statement, 1, key);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		out->seq = sqlite3_column_int64(statement, 0);
		out->version = lf_column_version(statement, 1);
		out->session = sqlite3_column_int64(statement, 2);
	}
	return lf_link_end(statement, code);
}

/* The key's lock is Redis's: where that is not asked, being newer is all there is. */
static bool may_store(const struct lf_tier_store *store, const struct there *there)
{
	if (store->condition == LF_IF_VERSION)
		return lf_version_compare(there->version, store->expected) == 0;
	return !there->seq || lf_version_compare(store->record->version, there->version) > 0;
}

static int put(struct lf_tier *tier, struct lf_link *link, const struct lf_tier_store *store, const struct encoded *encoded,
               const struct there *there, int64_t seq)
{
	sqlite3_stmt *statement = lf_link_statement(link, there->seq ? LF_DO_UPDATE : LF_DO_INSERT);
	const struct lf_record *record = store->record;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, seq);
	if (there->seq)
		(void)sqlite3_bind_int64(statement, 2, there->seq);
	else
		lf_bind_text(statement, 2, store->key);
	lf_bind_version(statement, 3, record->version);
	(void)sqlite3_bind_int64(statement, 4, record->expires_ms);
	(void)sqlite3_bind_int(statement, 5, (record->flags & LF_RECORD_CRITICAL) != 0);
	(void)sqlite3_bind_int64(statement, 6, session_of(tier));
	(void)sqlite3_bind_int64(statement, 7, (int64_t)tier->options.self.writer);
	(void)sqlite3_bind_blob64(statement, 8, encoded->bytes, encoded->len, SQLITE_STATIC);
	return lf_link_run(link, statement);
}

static int trust(struct lf_link *link, int64_t seq, int64_t session)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_TRUST);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, seq);
	(void)sqlite3_bind_int64(statement, 2, session);
	return lf_link_run(link, statement);
}

/* The very record is there already, found elsewhere by somebody, or stored by a call whose outcome was not known. */
static int confirm(struct lf_tier *tier, struct lf_link *link, const struct there *there)
{
	int64_t session = session_of(tier);

	return session != there->session ? trust(link, there->seq, session) : SQLITE_OK;
}

static int store_one(struct lf_tier *tier, struct lf_link *link, const struct store *all, size_t i, int64_t seq)
{
	struct lf_tier_store *store = &all->stores[i];
	const struct lf_record *record = store->record;
	struct there there = { 0 };
	int code = look(link, store->key, &there);

	if (code != SQLITE_OK)
		return code;
	store->stored = may_store(store, &there) ? LF_STORED : LF_NOT_STORED;
	if (store->stored == LF_STORED)
		code = put(tier, link, store, &all->encoded[i], &there, seq);
	else if (there.seq && lf_version_compare(record->version, there.version) == 0)
		code = confirm(tier, link, &there);
	else
		return SQLITE_OK;
	if (code == SQLITE_OK && store->owed)
		code = lf_sqlite_owe_in(link, LF_CHANGED_KEY, store->key, record->version, store->owed,
		                        record->flags & LF_RECORD_CRITICAL);
	return code;
}

/* The sequence is written even where no record is: what must last may be there by a commit that did not wait for the disk,
 * and one that writes nothing would not wait for it either. */
static int store_all(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	const struct store *all = arg;
	int64_t seq;
	int code = lf_sqlite_take_seq(link, all->count, &seq);

	for (size_t i = 0; code == SQLITE_OK && i < all->count; i++)
		code = store_one(tier, link, all, i, seq + (int64_t)i);
	return code;
}

/* Outside the transaction: it may have much to compress. */
static bool encode_all(struct lf_tier *tier, struct store *all)
{
	all->encoded = calloc(all->count, sizeof(*all->encoded));
	if (!all->encoded)
		return false;
	for (size_t i = 0; i < all->count; i++) {
		const struct lf_tier_store *store = &all->stores[i];

		all->durable |= store->owed || (store->record->flags & LF_RECORD_CRITICAL);
		if (lf_record_encode(store->record, tier->compress_min, &all->encoded[i].bytes, &all->encoded[i].len) < 0)
			return false;
	}
	return true;
}

static void free_encoded(struct store *all)
{
	for (size_t i = 0; all->encoded && i < all->count; i++)
		free(all->encoded[i].bytes);
	free(all->encoded);
}

enum lf_tier_result lf_sqlite_records_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                            struct lf_error *err)
{
	struct store all = { .stores = stores, .count = count };
	struct lf_work work = { .run = store_all, .arg = &all, .what = "written" };
	enum lf_tier_result result = LF_TIER_AWAY;

	if (!count)
		return LF_TIER_DONE;
	if (!encode_all(tier, &all)) {
		lf_sqlite_say(tier, NULL, SQLITE_NOMEM, "written", err);
	} else {
		work.durable = all.durable;
		result = lf_sqlite_write(tier, &work, end_ms, err);
	}
	free_encoded(&all);
	return result;
}

/* --- trust ----------------------------------------------------------------------------------------- */

struct distrust {
	struct lf_text key;
	struct lf_version version;
	bool trusted;
};

static int find_trusted(struct lf_tier *tier, struct lf_link *link, const struct distrust *distrust, int64_t *seq)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_TRUSTED);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_bind_text(statement, 1, distrust->key);
	(void)sqlite3_bind_int64(statement, 2, session_of(tier));
	lf_bind_version(statement, 3, distrust->version);
	code = sqlite3_step(statement);
	*seq = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	return lf_link_end(statement, code);
}

static int ask_trusted(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	struct distrust *distrust = arg;
	int64_t seq;
	int code = find_trusted(tier, link, distrust, &seq);

	distrust->trusted = seq != 0;
	return code;
}

static int end_trust(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	int64_t seq;
	int code = find_trusted(tier, link, arg, &seq);

	return code == SQLITE_OK && seq ? trust(link, seq, 0) : code;
}

/* Most of what is heard is not here: only what is costs a transaction that writes. */
enum lf_tier_result lf_sqlite_distrust(struct lf_tier *tier, struct lf_text key, struct lf_version version, int64_t end_ms,
                                       struct lf_error *err)
{
	struct distrust distrust = { .key = key, .version = version };
	struct lf_work ask = { .run = ask_trusted, .arg = &distrust, .what = "read" };
	struct lf_work end = { .run = end_trust, .arg = &distrust, .what = "written" };
	enum lf_tier_result result;

	result = lf_sqlite_read(tier, &ask, end_ms, err);
	if (result == LF_TIER_DONE && distrust.trusted)
		result = lf_sqlite_write(tier, &end, end_ms, err);
	return result;
}
