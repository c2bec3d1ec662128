/* What changed, and how far the tiers were told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/internal.h"

/* ---- Walks ---- */

struct walk {
	struct lf_store *store;
	int (*each)(void *arg, const struct lf_store_change *change);
	void *arg;
	struct lf_error *err;
	char uuid[LF_UUID_CHARS + 1];
	struct lf_share_list list;
	uint64_t left; /* of the limit */
};

static int hand_over(struct walk *walk, sqlite3_stmt *row)
{
	struct lf_store_change change = {
		.changed = lf_store_count_at(row, LF_STORE_COLUMNS_COUNT),
		.flags_changed = lf_store_count_at(row, LF_STORE_COLUMNS_COUNT + 1),
		.row = sqlite3_column_int64(row, LF_STORE_COLUMNS_COUNT + 2),
	};
	int rc;

	lf_store_read_row(row, &change.entry);
	rc = lf_store_list_shares(walk->store, &change.entry, walk->uuid, &walk->list, walk->err);
	if (rc < 0)
		return rc;
	change.shares = walk->list.share;
	change.shares_count = walk->list.count;
	walk->left--;
	return walk->each(walk->arg, &change);
}

static int run_walk(struct walk *walk, enum lf_sql which, const struct lf_store_mark *after)
{
	sqlite3_stmt *statement = lf_store_statement(walk->store, which);
	int code = SQLITE_DONE, rc = 0;

	if (!statement)
		return lf_store_fail(walk->store, walk->err, "used");
	if (after) {
		(void)sqlite3_bind_int64(statement, 1, (int64_t)after->changed);
		(void)sqlite3_bind_int64(statement, 2, after->row);
	}
	(void)sqlite3_bind_int64(statement, 3,
				 walk->left > INT64_MAX ? INT64_MAX : (int64_t)walk->left);
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		rc = hand_over(walk, statement);
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_store_fail(walk->store, walk->err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

/* All that a walk reads is of one moment: an entry's counts, its shares, and whose the rest is. */
static int begin_walk(struct walk *walk)
{
	int rc = lf_store_do(walk->store, LF_SQL_BEGIN_READ, walk->err);

	return rc < 0 ? rc : lf_store_get_uuid(walk->store, walk->uuid, walk->err);
}

static int end_walk(struct walk *walk, int rc)
{
	free(walk->list.share);
	lf_store_rollback(walk->store); /* nothing was written */
	return rc;
}

int lf_store_each_changed(struct lf_store *store, const struct lf_store_mark *after, uint64_t limit,
			  int (*each)(void *arg, const struct lf_store_change *change), void *arg,
			  struct lf_error *err)
{
	struct walk walk = { .store = store, .each = each, .arg = arg, .err = err, .left = limit };
	int rc = begin_walk(&walk);

	if (rc == 0 && walk.left)
		rc = run_walk(&walk, LF_SQL_REST_OF_CHANGED, after);
	if (rc == 0 && walk.left)
		rc = run_walk(&walk, LF_SQL_EACH_CHANGED, after);
	return end_walk(&walk, rc);
}

int lf_store_each_hot(struct lf_store *store, uint64_t limit,
		      int (*each)(void *arg, const struct lf_store_change *change), void *arg,
		      struct lf_error *err)
{
	struct walk walk = { .store = store, .each = each, .arg = arg, .err = err, .left = limit };
	int rc = begin_walk(&walk);

	if (rc == 0 && walk.left)
		rc = run_walk(&walk, LF_SQL_EACH_HOT, NULL);
	return end_walk(&walk, rc);
}

int lf_store_each_flags_changed(struct lf_store *store, const struct lf_store_mark *after,
				uint64_t limit,
				int (*each)(void *arg, const struct lf_store_change *change),
				void *arg, struct lf_error *err)
{
	struct walk walk = { .store = store, .each = each, .arg = arg, .err = err, .left = limit };
	int rc = begin_walk(&walk);

	if (rc == 0 && walk.left)
		rc = run_walk(&walk, LF_SQL_EACH_FLAGS_CHANGED, after);
	return end_walk(&walk, rc);
}

int lf_store_count_changed(struct lf_store *store, uint64_t after, uint64_t *out,
			   struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_COUNT_CHANGED);
	int rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	(void)sqlite3_bind_int64(statement, 1, (int64_t)after);
	if (sqlite3_step(statement) == SQLITE_ROW)
		*out = lf_store_count_at(statement, 0);
	else
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

int lf_store_each_namespace(struct lf_store *store, int (*each)(void *arg, const char *namespace),
			    void *arg, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_EACH_NAMESPACE);
	int code = SQLITE_DONE, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		rc = each(arg, (const char *)sqlite3_column_text(statement, 0));
	if (rc == 0 && code != SQLITE_DONE)
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

/* ---- Marks ---- */

int lf_store_get_tier(struct lf_store *store, const char *tier, struct lf_tier_mark *out,
		      struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_TIER);
	const unsigned char *epoch;
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	*out = (struct lf_tier_mark){ .sequence = 0 };
	lf_store_bind(statement, 1, tier);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		epoch = sqlite3_column_text(statement, 0);
		(void)snprintf(out->epoch, sizeof(out->epoch), "%s", epoch ? (const char *)epoch : "");
		out->sequence = lf_store_count_at(statement, 1);
	} else if (code != SQLITE_DONE) {
		rc = lf_store_fail(store, err, "read");
	}
	(void)sqlite3_reset(statement);
	return rc;
}

/* A mark that a power loss takes back costs a repetition: nobody waits for the disk.  The next commit
 * that is to last syncs it, too. */
int lf_store_put_tier(struct lf_store *store, const char *tier, const struct lf_tier_mark *mark,
		      struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_PUT_TIER);
	int rc;

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, tier);
	lf_store_bind(statement, 2, mark->epoch);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)mark->sequence);
	(void)sqlite3_exec(store->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	rc = lf_store_run(store, statement, err);
	(void)sqlite3_exec(store->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	return rc;
}
