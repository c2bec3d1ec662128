/* Who counted how much of an entry.
 *
 * The table holds what others than the present incarnation counted; that one's share is the rest of
 * the entry's counts, so that a drain has nothing to do with any of this.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/internal.h"

/* No count of an entry gets past this, so that the sum of the five is still an integer. */
#define COUNT_MAX (UINT64_C(1) << 60)

static void read_counts(sqlite3_stmt *row, int column, uint64_t counts[LF_OUTCOME_COUNT])
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		counts[i] = lf_store_count_at(row, column + i);
}

static void bind_counts(sqlite3_stmt *statement, int at, const uint64_t counts[LF_OUTCOME_COUNT])
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)sqlite3_bind_int64(statement, at + i, (int64_t)counts[i]);
}

static bool is_zero(const uint64_t counts[LF_OUTCOME_COUNT])
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		if (counts[i])
			return false;
	return true;
}

/* ---- Reading ---- */

static struct lf_share *add_share(struct lf_share_list *list)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 8;
		struct lf_share *grown = reallocarray(list->share, room, sizeof(*grown));

		if (!grown)
			return NULL;
		list->share = grown;
		list->room = room;
	}
	return &list->share[list->count++];
}

/* `rest` is what is left of the entry's counts. */
static int add_row(struct lf_share_list *list, sqlite3_stmt *row, uint64_t rest[LF_OUTCOME_COUNT])
{
	const unsigned char *uuid = sqlite3_column_text(row, 0);
	struct lf_share *share = add_share(list);

	if (!share)
		return -ENOMEM;
	(void)snprintf(share->incarnation, sizeof(share->incarnation), "%s",
		       uuid ? (const char *)uuid : "");
	read_counts(row, 1, share->counts);
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		rest[i] -= share->counts[i] < rest[i] ? share->counts[i] : rest[i];
	if (is_zero(share->counts))
		list->count--;
	return 0;
}

/* At its place among the others. */
static int add_present(struct lf_share_list *list, const char *uuid,
		       const uint64_t rest[LF_OUTCOME_COUNT])
{
	size_t at = 0;

	if (is_zero(rest))
		return 0;
	if (!add_share(list))
		return -ENOMEM;
	while (at < list->count - 1 && strcmp(list->share[at].incarnation, uuid) < 0)
		at++;
	memmove(&list->share[at + 1], &list->share[at],
		(list->count - 1 - at) * sizeof(*list->share));
	(void)snprintf(list->share[at].incarnation, sizeof(list->share[at].incarnation), "%s", uuid);
	memcpy(list->share[at].counts, rest, sizeof(list->share[at].counts));
	return 0;
}

int lf_store_list_shares(struct lf_store *store, const struct lf_entry *entry, const char *uuid,
			 struct lf_share_list *list, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_EACH_SHARE);
	uint64_t rest[LF_OUTCOME_COUNT];
	int code = SQLITE_DONE, rc = 0;

	if (!statement && store->schema >= 2)
		return lf_store_fail(store, err, "used");
	list->count = 0;
	memcpy(rest, entry->counts, sizeof(rest));
	if (statement) {
		lf_store_bind_text(statement, 1, entry->namespace);
		lf_store_bind_text(statement, 2, entry->hash);
		while ((code = sqlite3_step(statement)) == SQLITE_ROW && rc == 0)
			rc = add_row(list, statement, rest);
		(void)sqlite3_reset(statement);
	}
	if (rc == 0 && code != SQLITE_DONE)
		return lf_store_fail(store, err, "read");
	if (rc == 0)
		rc = add_present(list, uuid, rest);
	return rc < 0 ? lf_fail(err, rc, "there is no memory for the shares of an entry") : 0;
}

static int get_counts(struct lf_store *store, const struct lf_entry *entry,
		      uint64_t out[LF_OUTCOME_COUNT], struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_COUNTS);
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		read_counts(statement, 0, out);
	else if (code == SQLITE_DONE)
		rc = lf_fail(err, -ENOENT, "store '%s' has no entry %.*s", store->path,
			     (int)entry->hash.len, entry->hash.data);
	else
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

int lf_store_shares(struct lf_store *store, struct lf_text namespace, struct lf_text hash,
		    struct lf_share **out, size_t *count, struct lf_error *err)
{
	struct lf_entry entry = { .namespace = namespace, .hash = hash };
	struct lf_share_list list = { NULL, 0, 0 };
	char uuid[LF_UUID_CHARS + 1];
	int rc = lf_store_get_uuid(store, uuid, err);

	if (rc == 0)
		rc = get_counts(store, &entry, entry.counts, err);
	if (rc == 0)
		rc = lf_store_list_shares(store, &entry, uuid, &list, err);
	if (rc < 0) {
		free(list.share);
		return rc;
	}
	*out = list.share;
	*count = list.count;
	return 0;
}

/* ---- Writing ---- */

int lf_store_end_shares(struct lf_store *store, const char *uuid, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_END_SHARES);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, uuid);
	return lf_store_run(store, statement, err);
}

static int get_share(struct lf_store *store, const struct lf_entry *entry, const char *uuid,
		     uint64_t out[LF_OUTCOME_COUNT], struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_SHARE);
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	memset(out, 0, LF_OUTCOME_COUNT * sizeof(*out));
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
	lf_store_bind(statement, 3, uuid);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		read_counts(statement, 0, out);
	else if (code != SQLITE_DONE)
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

/* Of the store's own incarnation, which has no row. */
static int get_present(struct lf_store *store, const struct lf_entry *entry, const char *uuid,
		       uint64_t out[LF_OUTCOME_COUNT], struct lf_error *err)
{
	struct lf_share_list list = { NULL, 0, 0 };
	int rc = lf_store_list_shares(store, entry, uuid, &list, err);

	memset(out, 0, LF_OUTCOME_COUNT * sizeof(*out));
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.share[i].incarnation, uuid) == 0)
			memcpy(out, list.share[i].counts, sizeof(list.share[i].counts));
	free(list.share);
	return rc;
}

static int put_share(struct lf_store *store, const struct lf_entry *entry,
		     const struct lf_share *share, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_PUT_SHARE);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
	lf_store_bind(statement, 3, share->incarnation);
	bind_counts(statement, 4, share->counts);
	return lf_store_run(store, statement, err);
}

static int raise(struct lf_store *store, const struct lf_entry *entry,
		 const uint64_t more[LF_OUTCOME_COUNT], struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_RAISE);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)store->sequence);
	bind_counts(statement, 4, more);
	return lf_store_run(store, statement, err);
}

/* By how much the offered share is more than the one there, as far as the entry has room. */
static void find_more(const struct lf_share *offered, const uint64_t have[LF_OUTCOME_COUNT],
		      const uint64_t total[LF_OUTCOME_COUNT], uint64_t more[LF_OUTCOME_COUNT])
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		uint64_t room = total[i] < COUNT_MAX ? COUNT_MAX - total[i] : 0;

		more[i] = offered->counts[i] > have[i] ? offered->counts[i] - have[i] : 0;
		if (more[i] > room)
			more[i] = room;
	}
}

/* `known` is the entry as the store has it; its counts follow. */
static int merge_share(struct lf_store *store, struct lf_entry *known, const char *uuid,
		       const struct lf_share *offered, struct lf_error *err)
{
	bool present = strcmp(offered->incarnation, uuid) == 0;
	uint64_t have[LF_OUTCOME_COUNT], more[LF_OUTCOME_COUNT];
	struct lf_share share = *offered;
	int rc = present ? get_present(store, known, uuid, have, err) :
			   get_share(store, known, share.incarnation, have, err);

	if (rc < 0)
		return rc;
	find_more(offered, have, known->counts, more);
	if (is_zero(more))
		return 0;
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		share.counts[i] = have[i] + more[i];
		known->counts[i] += more[i];
	}
	if (!present)
		rc = put_share(store, known, &share, err);
	return rc < 0 ? rc : raise(store, known, more, err);
}

static int merge_shares(struct lf_store *store, const struct lf_entry *entry,
			const struct lf_share *shares, size_t count, struct lf_error *err)
{
	struct lf_entry known = { .namespace = entry->namespace, .hash = entry->hash };
	char uuid[LF_UUID_CHARS + 1];
	int rc = lf_store_get_uuid(store, uuid, err);

	if (rc == 0)
		rc = get_counts(store, &known, known.counts, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = merge_share(store, &known, uuid, &shares[i], err);
	return rc;
}

/* Times outwards, and what was not known. */
static int widen(struct lf_store *store, const struct lf_entry *entry, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_WIDEN);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
	lf_store_bind(statement, 3, "~");
	if (lf_time_parse(entry->first_seen_at))
		lf_store_bind_text(statement, 3, entry->first_seen_at);
	lf_store_bind(statement, 4, "");
	if (lf_time_parse(entry->last_seen_at))
		lf_store_bind_text(statement, 4, entry->last_seen_at);
	lf_store_bind_text(statement, 5, entry->source_file);
	(void)sqlite3_bind_int64(statement, 6, entry->source_line);
	lf_store_bind_text(statement, 7, entry->family);
	(void)sqlite3_bind_int64(statement, 8, (int64_t)store->sequence);
	return lf_store_run(store, statement, err);
}

int lf_store_merge(struct lf_store *store, const struct lf_entry *entry,
		   const struct lf_share *shares, size_t shares_count, struct lf_error *err)
{
	int rc = lf_store_merge_flags(store, entry, "import", err);

	if (rc == -ENOENT)
		rc = lf_store_insert_entry(store, entry, err);
	else if (rc >= 0)
		rc = widen(store, entry, err);
	return rc < 0 ? rc : merge_shares(store, entry, shares, shares_count, err);
}
