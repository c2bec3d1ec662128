#include "tests/unit/store_fixture.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/entry_id.h"

const char *stored_at(void)
{
	return fixture_path("entries.db");
}

void other_program(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
	             sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

void expect_in(const char *path, const char *sql, const char *expected)
{
	sqlite3_stmt *statement = NULL;
	char out[1024] = "";
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK, "%s", path);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
	             sqlite3_errmsg(db));
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
		(void)snprintf(out, sizeof(out), "%s", (const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	cr_assert_str_eq(out, expected, "%s: \"%s\", expected \"%s\"", sql, out, expected);
}

void expect_stored(const char *sql, const char *expected)
{
	expect_in(stored_at(), sql, expected);
}

static struct lf_identity identity_of(const char *message)
{
	return (struct lf_identity){ TEXT("printf"), { message, strlen(message) }, TEXT("p!f") };
}

const char *hash_of(const char *message)
{
	static char hashes[8][LF_HASH_CHARS + 1];
	static unsigned next;
	char *hash = hashes[next++ % 8];
	struct lf_identity identity = identity_of(message);
	struct lf_id id;

	lf_entry_id(&identity, &id);
	lf_id_to_hex(&id, hash);
	return hash;
}

struct lf_entry entry_named(const char *message)
{
	return (struct lf_entry){
		.hash = { hash_of(message), LF_HASH_CHARS },
		.namespace = TEXT("shop"),
		.method = TEXT("printf"),
		.message_template = { message, strlen(message) },
		.template_kind = TEXT("format"),
		.top_frame = TEXT("p!f"),
		.enabled = true,
		.persist_to_cache = true,
		.persist_to_db = true,
		.tags = TEXT("[]"),
		.first_seen_at = TEXT("2024-01-01T00:00:00.000Z"),
		.last_seen_at = TEXT("2024-01-02T00:00:00.000Z"),
		.flags_writer = TEXT(""),
	};
}

void count_passed(struct lf_store *store, const char *message, uint64_t passed)
{
	struct lf_new_entry what = { identity_of(message), LF_KIND_FORMAT };
	struct lf_addition addition = { "shop", hash_of(message), { passed }, 1000, 1000, .run = NULL };
	struct lf_error why = { "" };

	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_add_new(store, &what, &addition, LF_ADD_PLAIN, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0, "%s", why.text);
}

void present_uuid(struct lf_store *store, char out[LF_UUID_CHARS + 1])
{
	struct lf_incarnation now;

	cr_assert_eq(lf_store_incarnation(store, &now, NULL), 0);
	(void)strcpy(out, now.uuid);
}

uint64_t sequence_of(struct lf_store *store)
{
	struct lf_incarnation now;

	cr_assert_eq(lf_store_incarnation(store, &now, NULL), 0);
	return now.drain_sequence;
}

void merge_one(struct lf_store *store, const char *message, const char *incarnation, uint64_t passed)
{
	struct lf_entry entry = entry_named(message);
	struct lf_share share = { "", { passed } };
	struct lf_error why = { "" };

	(void)snprintf(share.incarnation, sizeof(share.incarnation), "%s", incarnation);
	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_merge(store, &entry, &share, 1, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0, "%s", why.text);
}

uint64_t share_of(struct lf_store *store, const char *message, const char *incarnation)
{
	struct lf_entry entry = entry_named(message);
	struct lf_share *shares = NULL;
	struct lf_error why = { "" };
	uint64_t found = 0;
	size_t count = 0;

	cr_assert_eq(lf_store_shares(store, entry.namespace, entry.hash, &shares, &count, &why), 0, "%s",
	             why.text);
	for (size_t i = 0; i < count; i++)
		if (strcmp(shares[i].incarnation, incarnation) == 0)
			found = shares[i].counts[LF_PASSED];
	free(shares);
	return found;
}
