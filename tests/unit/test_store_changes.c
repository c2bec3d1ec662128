#include "agent/store/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store_fixture.h"

static struct lf_store *store;
static struct lf_error why;

static void set_up(void)
{
	store = fixture_store(stored_at());
}

static void tear_down(void)
{
	lf_store_close(store);
	fixture_remove();
}

TestSuite(store_changes, .init = set_up, .fini = tear_down, .timeout = 60);

struct told {
	char text[512];
	struct lf_store_mark end;
	unsigned calls;
};

static int note(void *arg, const struct lf_store_change *change)
{
	struct told *told = arg;
	size_t at = strlen(told->text);

	(void)snprintf(told->text + at, sizeof(told->text) - at, "%.*s@%llu ",
	               (int)change->entry.message_template.len, change->entry.message_template.data,
	               (unsigned long long)change->changed);
	told->end = (struct lf_store_mark){ change->changed, change->row };
	told->calls++;
	return 0;
}

static struct told changed_behind(struct lf_store_mark mark, uint64_t limit)
{
	struct told told = { .end = mark };

	cr_assert_eq(lf_store_each_changed(store, &mark, limit, note, &told, &why), 0, "%s", why.text);
	return told;
}

static const struct lf_store_mark beginning = { 0, 0 };

/* ---- The sequence ---- */

Test(store_changes, every_commit_that_changes_entries_has_a_number_of_its_own)
{
	const struct lf_flag_change mute = { .what = LF_FLAG_ENABLED, .enabled = false,
		                             .writer = "here:agent" };
	struct lf_entry_key key = { "shop", hash_of("a") };
	struct lf_entry offer = entry_named("a");
	enum lf_adoption adoption;
	bool changed;

	count_passed(store, "a", 1);
	cr_assert_eq(sequence_of(store), 1);
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), 0, "%s", why.text);
	cr_assert_eq(sequence_of(store), 2);
	offer.flags_version = 9;
	cr_assert_eq(lf_store_adopt_flags(store, &offer, "here:agent", &adoption, &why), 0);
	cr_assert_eq(sequence_of(store), 3);
	merge_one(store, "a", "of-another", 5);
	cr_assert_eq(sequence_of(store), 4);
	expect_stored("SELECT changed || ' ' || flagsChanged FROM entries", "4 3");
}

Test(store_changes, what_changes_no_entry_counts_nothing)
{
	const struct lf_flag_change mute = { .what = LF_FLAG_ENABLED, .enabled = true,
		                             .writer = "here:agent" };
	struct lf_entry_key key = { "shop", hash_of("a") };
	struct lf_tier_mark mark = { "", 1 };
	struct lf_entry offer = entry_named("a");
	enum lf_adoption adoption;
	bool changed;

	count_passed(store, "a", 1);
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), 0);
	key.hash = hash_of("unknown");
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &mute, &changed, &why), -ENOENT);
	cr_assert_eq(lf_store_adopt_flags(store, &offer, "here:agent", &adoption, &why), 0);
	cr_assert_eq(lf_store_put_tier(store, "mongo", &mark, &why), 0);
	cr_assert_eq(sequence_of(store), 1);
}

/* ---- Changes ---- */

Test(store_changes, what_changed_is_told_once_in_order_and_again_when_it_changes_again)
{
	struct told told;

	count_passed(store, "a", 1);
	count_passed(store, "b", 1);
	told = changed_behind(beginning, 10);
	cr_assert_str_eq(told.text, "a@1 b@2 ");
	told = changed_behind(told.end, 10);
	cr_assert_str_eq(told.text, "");
	count_passed(store, "a", 1);
	told = changed_behind(told.end, 10);
	cr_assert_str_eq(told.text, "a@3 ");
}

Test(store_changes, a_walk_in_parts_tells_every_entry_of_one_commit)
{
	struct told told = { .end = beginning };
	unsigned seen = 0;
	char message[16];

	cr_assert_eq(lf_store_begin(store, &why), 0);
	for (unsigned i = 0; i < 25; i++) {
		struct lf_entry entry = entry_named((snprintf(message, sizeof(message), "m%u", i), message));

		cr_assert_eq(lf_store_merge(store, &entry, NULL, 0, &why), 0, "%s", why.text);
	}
	cr_assert_eq(lf_store_commit(store, &why), 0);
	count_passed(store, "later", 1);
	do {
		told = changed_behind(told.end, 4);
		cr_assert_leq(told.calls, 4);
		seen += told.calls;
	} while (told.calls);
	cr_assert_eq(seen, 26, "%u entries", seen);
}

Test(store_changes, an_entry_that_changes_between_two_parts_moves_to_the_end)
{
	struct told told;

	count_passed(store, "a", 1);
	count_passed(store, "b", 1);
	count_passed(store, "c", 1);
	told = changed_behind(beginning, 1);
	count_passed(store, "b", 1);
	told = changed_behind(told.end, 10);
	cr_assert_str_eq(told.text, "c@3 b@4 ");
}

Test(store_changes, how_many_changed_is_counted)
{
	uint64_t count = 99;

	count_passed(store, "a", 1);
	count_passed(store, "b", 1);
	count_passed(store, "a", 1);
	cr_assert_eq(lf_store_count_changed(store, 0, &count, &why), 0);
	cr_assert_eq(count, 2);
	cr_assert_eq(lf_store_count_changed(store, 2, &count, &why), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(lf_store_count_changed(store, 3, &count, &why), 0);
	cr_assert_eq(count, 0);
}

Test(store_changes, the_hot_set_is_what_changed_last_and_among_equals_the_most_frequent)
{
	struct told told = { .end = beginning };
	const char *const together[] = { "rare", "often", "some" };
	const uint64_t counts[] = { 1, 9, 5 };

	count_passed(store, "old", 1000);
	cr_assert_eq(lf_store_begin(store, &why), 0);
	for (int i = 0; i < 3; i++) {
		struct lf_entry entry = entry_named(together[i]);
		struct lf_share share = { "of-another", { counts[i] } };

		cr_assert_eq(lf_store_merge(store, &entry, &share, 1, &why), 0, "%s", why.text);
	}
	cr_assert_eq(lf_store_commit(store, &why), 0);
	cr_assert_eq(lf_store_each_hot(store, 2, note, &told, &why), 0, "%s", why.text);
	cr_assert_str_eq(told.text, "often@2 some@2 ");
}

static int check_shares(void *arg, const struct lf_store_change *change)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < change->shares_count; i++)
		sum += change->shares[i].counts[LF_PASSED];
	cr_assert_eq(sum, change->entry.counts[LF_PASSED]);
	*(size_t *)arg = change->shares_count;
	return 7;
}

Test(store_changes, a_change_has_the_shares_and_a_callback_can_end_the_walk)
{
	size_t shares = 0;

	merge_one(store, "a", "of-another", 5);
	cr_assert_eq(lf_store_each_changed(store, &beginning, 10, check_shares, &shares, &why), 7);
	cr_assert_eq(shares, 1, "those without counts are left out");
	count_passed(store, "a", 3);
	cr_assert_eq(lf_store_each_changed(store, &beginning, 10, check_shares, &shares, &why), 7);
	cr_assert_eq(shares, 2);
	count_passed(store, "a", 1);
}

/* ---- Tiers ---- */

Test(store_changes, a_tier_is_remembered_under_the_present_incarnation_alone)
{
	struct lf_tier_mark mark = { "e0000000-0000-4000-8000-000000000000", 5 }, found;

	cr_assert_eq(lf_store_get_tier(store, "mongo", &found, &why), 0);
	cr_assert_eq(found.sequence, 0);
	cr_assert_eq(lf_store_put_tier(store, "mongo", &mark, &why), 0, "%s", why.text);
	mark.sequence = 6;
	cr_assert_eq(lf_store_put_tier(store, "mongo", &mark, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_get_tier(store, "mongo", &found, &why), 0);
	cr_assert_eq(found.sequence, 6);
	cr_assert_str_eq(found.epoch, mark.epoch);
	cr_assert_eq(lf_store_get_tier(store, "redis", &found, &why), 0);
	cr_assert_eq(found.sequence, 0);
	cr_assert_eq(lf_store_mint(store, "test", &why), 0);
	cr_assert_eq(lf_store_get_tier(store, "mongo", &found, &why), 0);
	cr_assert_eq(found.sequence, 0);
	cr_assert_str_eq(found.epoch, "");
}

static int join(void *arg, const char *namespace)
{
	char *to = arg;

	(void)strcat(strcat(to, namespace), " ");
	return 0;
}

Test(store_changes, each_namespace_is_told_once)
{
	char found[128] = "";

	cr_assert_eq(lf_store_each_namespace(store, join, found, &why), 0, "%s", why.text);
	cr_assert_str_eq(found, "");
	count_passed(store, "a", 1);
	count_passed(store, "b", 1);
	other_program(stored_at(), "INSERT INTO entries (namespace, hash, method, messageTemplate,"
	                           " templateKind, topFrame, firstSeenAt, lastSeenAt)"
	                           " VALUES ('bank', 'x', 'puts', 't', 'format', '', '', '')");
	cr_assert_eq(lf_store_each_namespace(store, join, found, &why), 0, "%s", why.text);
	cr_assert_str_eq(found, "bank shop ");
}

/* ---- A store of before ---- */

static const char schema_1[] =
	"PRAGMA journal_mode = WAL;"
	"CREATE TABLE entries (namespace TEXT NOT NULL, hash TEXT NOT NULL, method TEXT NOT NULL,"
	" messageTemplate TEXT NOT NULL, templateKind TEXT NOT NULL, topFrame TEXT NOT NULL,"
	" enabled INTEGER NOT NULL DEFAULT 1, persistToCache INTEGER NOT NULL DEFAULT 1,"
	" persistToDb INTEGER NOT NULL DEFAULT 1, tags TEXT NOT NULL DEFAULT '[]',"
	" firstSeenAt TEXT NOT NULL, lastSeenAt TEXT NOT NULL, countTotal INTEGER GENERATED ALWAYS AS"
	" (countPassed + countMuted + countSampled + countLimited + countFolded) VIRTUAL,"
	" countPassed INTEGER NOT NULL DEFAULT 0, countMuted INTEGER NOT NULL DEFAULT 0,"
	" countSampled INTEGER NOT NULL DEFAULT 0, countLimited INTEGER NOT NULL DEFAULT 0,"
	" countFolded INTEGER NOT NULL DEFAULT 0, sourceFile TEXT, sourceLine INTEGER, family TEXT,"
	" policy TEXT, flagsVersion INTEGER NOT NULL DEFAULT 0, flagsWriter TEXT NOT NULL DEFAULT '',"
	" PRIMARY KEY (namespace, hash));"
	"CREATE INDEX entriesMuted ON entries (namespace, hash) WHERE enabled = 0;"
	"CREATE TABLE segments (name TEXT NOT NULL PRIMARY KEY, directory TEXT NOT NULL,"
	" watermark BLOB NOT NULL, retired INTEGER NOT NULL);"
	"CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE incarnations (uuid TEXT NOT NULL PRIMARY KEY, beganAt TEXT NOT NULL,"
	" beganSequence INTEGER NOT NULL, endedSequence INTEGER, reason TEXT NOT NULL);"
	"INSERT INTO meta VALUES ('drainSequence', 41), ('incarnation', 'first'), ('machine', ''),"
	" ('dev', 0), ('ino', 0);"
	"INSERT INTO incarnations VALUES ('first', '2024-01-01T00:00:00.000Z', 0, NULL, 'created');"
	"INSERT INTO segments VALUES ('s', '/run', x'00', 0);"
	"INSERT INTO entries (namespace, hash, method, messageTemplate, templateKind, topFrame, enabled,"
	" firstSeenAt, lastSeenAt, countPassed, countMuted, flagsVersion, flagsWriter) VALUES"
	" ('shop', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'printf', 'x', 'format', 'p!f', 0,"
	" '2024-01-01T00:00:00.000Z', '2024-01-02T00:00:00.000Z', 5, 7, 3, 'here:agent'),"
	" ('shop', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'printf', 'y', 'format', 'p!f', 1,"
	" '2024-01-01T00:00:00.000Z', '2024-01-02T00:00:00.000Z', 1, 0, 0, '');"
	"PRAGMA application_id = 0x4c474644; PRAGMA user_version = 1;";

static void make_old(void)
{
	other_program(stored_at(), schema_1);
}

TestSuite(store_of_schema_1, .init = make_old, .fini = fixture_remove, .timeout = 60);

Test(store_of_schema_1, it_is_brought_up_to_date_in_place_and_keeps_everything)
{
	struct told told;

	store = fixture_store(stored_at());
	expect_stored("PRAGMA user_version", "3");
	expect_stored("SELECT group_concat(name, ' ') FROM pragma_table_xinfo('entries')",
	              "namespace hash method messageTemplate templateKind topFrame enabled persistToCache "
	              "persistToDb tags firstSeenAt lastSeenAt countTotal countPassed countMuted "
	              "countSampled countLimited countFolded sourceFile sourceLine family policy "
	              "flagsVersion flagsWriter changed flagsChanged site");
	expect_stored("SELECT countTotal || enabled || flagsVersion || flagsWriter || lastSeenAt FROM entries"
	              " ORDER BY hash", "1203here:agent2024-01-02T00:00:00.000Z");
	expect_stored("SELECT count(*) FROM segments", "1");
	expect_stored("SELECT group_concat(flagsChanged, ' ') FROM entries", "41 0");
	told = changed_behind(beginning, 10);
	cr_assert_str_eq(told.text, "x@41 y@41 ");
	lf_store_close(store);
}

Test(store_of_schema_1, a_copy_of_it_leaves_the_counts_with_the_incarnation_that_counted)
{
	store = fixture_store(stored_at()); /* it is bound to no file that there is */
	expect_stored("SELECT group_concat(incarnation || countPassed || ' ' || countMuted, ',') FROM shares",
	              "first5 7,first1 0");
	expect_stored("SELECT endedSequence FROM incarnations WHERE uuid = 'first'", "41");
	lf_store_close(store);
}

Test(store_of_schema_1, to_read_it_is_taken_as_it_is)
{
	struct lf_share *shares;
	size_t count;

	cr_assert_eq(lf_store_open(&store, stored_at(), LF_STORE_READ_ONLY, &why), 0, "%s", why.text);
	cr_assert_eq(fixture_total(store), 13);
	cr_assert_eq(lf_store_shares(store, (struct lf_text)TEXT("shop"),
	                             (struct lf_text)TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &shares,
	                             &count, &why), 0, "%s", why.text);
	cr_assert_eq(count, 1);
	cr_assert_str_eq(shares->incarnation, "first");
	cr_assert_eq(shares->counts[LF_MUTED], 7);
	free(shares);
	lf_store_close(store);
	expect_stored("PRAGMA user_version", "1");
}
