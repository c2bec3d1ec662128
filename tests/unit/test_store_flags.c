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
	count_passed(store, "a", 1);
}

static void tear_down(void)
{
	lf_store_close(store);
	fixture_remove();
}

TestSuite(store_flags, .init = set_up, .fini = tear_down, .timeout = 60);

static enum lf_adoption adopt(const struct lf_entry *offer)
{
	enum lf_adoption out;

	cr_assert_eq(lf_store_adopt_flags(store, offer, "here:agent", &out, &why), 0, "%s", why.text);
	return out;
}

static struct lf_entry offer_of(const char *message, bool enabled, int64_t version, const char *writer)
{
	struct lf_entry offer = entry_named(message);

	offer.enabled = enabled;
	offer.flags_version = version;
	offer.flags_writer = (struct lf_text){ writer, strlen(writer) };
	return offer;
}

static void expect_flags(const char *expected)
{
	expect_stored("SELECT enabled || ' ' || flagsVersion || ' ' || flagsWriter || ' ' || tags || ' ' ||"
	              " changed || ' ' || flagsChanged FROM entries", expected);
}

Test(store_flags, a_higher_version_is_taken_as_it_is_once)
{
	struct lf_entry offer = offer_of("a", false, 3, "there:agent");

	offer.tags = (struct lf_text)TEXT("[ \"x\" ]");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("0 3 there:agent [\"x\"] 2 2");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	expect_flags("0 3 there:agent [\"x\"] 2 2");
}

Test(store_flags, of_equal_versions_the_higher_writer_is_in_force)
{
	struct lf_entry offer = offer_of("a", false, 3, "b");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	offer = offer_of("a", true, 3, "c");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("1 3 c [] 3 3");
	offer = offer_of("a", false, 3, "bzz");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_OURS);
	offer = offer_of("a", false, 3, "");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_OURS);
	expect_flags("1 3 c [] 5 5");
}

Test(store_flags, other_values_under_the_same_version_are_a_persons_and_become_a_version_of_ours)
{
	struct lf_entry offer = offer_of("a", false, 0, "");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("0 1 here:agent [] 2 2");
	offer = offer_of("a", true, 1, "here:agent");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("1 2 here:agent [] 3 3");
	offer.persist_to_db = false;
	offer.flags_version = 2;
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_stored("SELECT persistToDb || flagsVersion FROM entries", "03");
}

Test(store_flags, without_a_version_only_the_values_count)
{
	struct lf_entry offer = offer_of("a", true, 5, "there:agent");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	offer = offer_of("a", true, -1, "");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer.enabled = false;
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("0 6 here:agent [] 3 3");
}

Test(store_flags, a_lower_offer_makes_ours_count_as_changed_where_anybody_set_them)
{
	struct lf_entry offer = offer_of("a", false, 5, "there:agent");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	count_passed(store, "a", 1);
	expect_flags("0 5 there:agent [] 3 2");
	offer = offer_of("a", false, 4, "zzz");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_OURS);
	expect_flags("0 5 there:agent [] 4 4");
}

Test(store_flags, tags_are_compared_in_one_spelling_and_those_that_are_none_stay)
{
	struct lf_entry offer = offer_of("a", true, 1, "w");

	offer.tags = (struct lf_text)TEXT("[ \"\\u0061\",\n\"b\" ]");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("1 1 w [\"a\",\"b\"] 2 2");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer.tags = (struct lf_text)TEXT("[1]");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer.tags = (struct lf_text)TEXT("{\"a\":\"b\"}");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer.tags = (struct lf_text)TEXT("[\"a\"");
	offer.flags_version = 2;
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("1 2 w [\"a\",\"b\"] 3 3");
	other_program(stored_at(), "UPDATE entries SET tags = '[ \"a\" , \"b\" ]'");
	offer.tags = (struct lf_text)TEXT("[\"a\",\"b\"]");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
}

Test(store_flags, an_unknown_entry_that_somebody_flagged_is_made_without_counts)
{
	struct lf_entry offer = offer_of("unknown", false, 2, "there:agent");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_stored("SELECT messageTemplate || countTotal || flagsVersion || flagsWriter || enabled FROM"
	              " entries WHERE countTotal = 0", "unknown02there:agent0");
	offer = offer_of("by hand", false, -1, "");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_stored("SELECT flagsVersion || flagsWriter FROM entries WHERE messageTemplate = 'by hand'",
	              "1here:agent");
	count_passed(store, "unknown", 3);
	expect_stored("SELECT countTotal || enabled FROM entries WHERE messageTemplate = 'unknown'", "30");
}

Test(store_flags, an_unknown_entry_without_flags_or_without_its_own_hash_is_not_made)
{
	struct lf_entry offer = offer_of("unknown", true, 7, "there:agent");

	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING, "born as it is");
	offer = offer_of("unknown", false, 7, "there:agent");
	offer.hash = (struct lf_text){ hash_of("a lie"), LF_HASH_CHARS };
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer = offer_of("unknown", false, 7, "there:agent");
	offer.namespace = (struct lf_text)TEXT("no namespace");
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	offer = (struct lf_entry){ .namespace = TEXT("shop"), .flags_version = 7 };
	offer.hash = (struct lf_text){ hash_of("unknown"), LF_HASH_CHARS };
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING, "no identity");
	expect_stored("SELECT count(*) FROM entries", "1");
}

Test(store_flags, an_offer_without_identity_changes_an_entry_that_is_known)
{
	struct lf_entry offer = { .namespace = TEXT("shop"), .flags_version = -1, .enabled = false,
		                  .persist_to_cache = true, .persist_to_db = true };

	offer.hash = (struct lf_text){ hash_of("a"), LF_HASH_CHARS };
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_flags("0 1 here:agent [] 2 2");
}

Test(store_flags, times_that_are_none_do_not_come_in)
{
	struct lf_entry offer = offer_of("unknown", false, 2, "w");

	offer.first_seen_at = (struct lf_text)TEXT("");
	offer.last_seen_at = (struct lf_text)TEXT("zzzz");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_stored("SELECT firstSeenAt LIKE '20%-%Z' AND lastSeenAt LIKE '20%-%Z' FROM entries"
	              " WHERE countTotal = 0", "1");
}

Test(store_flags, the_highest_version_there_is_does_not_wrap)
{
	struct lf_entry offer = offer_of("a", false, INT64_MAX, "w");

	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	offer.enabled = true;
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	expect_stored("SELECT flagsVersion FROM entries", "9223372036854775807");
}

Test(store_flags, a_merge_takes_newer_flags_and_leaves_older_ones_without_a_change)
{
	struct lf_entry entry = offer_of("a", false, 4, "there:agent");

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(lf_store_begin(store, &why), 0);
		cr_assert_eq(lf_store_merge(store, &entry, NULL, 0, &why), 0, "%s", why.text);
		cr_assert_eq(lf_store_commit(store, &why), 0);
		expect_stored("SELECT enabled || flagsVersion || flagsWriter || flagsChanged FROM entries",
		              "04there:agent2");
		entry = offer_of("a", true, 3, "zzz");
	}
}

static int join(void *arg, const struct lf_entry *entry)
{
	char *to = arg;

	(void)strncat(to, entry->message_template.data, entry->message_template.len);
	return 0;
}

Test(store_flags, entries_can_be_had_by_how_lately_their_flags_changed)
{
	struct lf_query query = { .order = LF_BY_FLAGS };
	struct lf_entry offer = offer_of("a", false, 1, "w");
	char found[32] = "";

	count_passed(store, "b", 1);
	count_passed(store, "c", 1);
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	offer = offer_of("c", false, 1, "w");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	count_passed(store, "b", 1);
	cr_assert_eq(lf_store_each(store, &query, join, found, &why), 0, "%s", why.text);
	cr_assert_str_eq(found, "cab");
}

Test(store_flags, a_flag_that_an_offer_without_a_version_does_not_say_stays)
{
	struct lf_entry offer = offer_of("m", true, 3, "w");

	count_passed(store, "m", 1);
	offer.persist_to_db = false;
	offer.tags = (struct lf_text)TEXT("[\"kept\"]");
	offer.policy = (struct lf_text)TEXT("p");
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	offer = offer_of("m", false, -1, "");
	offer.flags_unsaid = LF_FLAGS_ALL & ~(unsigned)LF_FLAG_ENABLED;
	cr_assert_eq(adopt(&offer), LF_ADOPTED);
	cr_assert_eq(adopt(&offer), LF_ADOPTED_NOTHING);
	expect_stored("SELECT enabled || persistToCache || persistToDb || tags || policy || flagsVersion"
	              " FROM entries WHERE messageTemplate = 'm'", "010[\"kept\"]p4");
}

/* ---- Set here ---- */

static bool set(const char *message, struct lf_flag_change change)
{
	const struct lf_entry_key key = { "shop", hash_of(message) };
	bool changed = false;

	change.writer = "here:agent";
	cr_assert_eq(lf_store_set_flags(store, &key, 1, &change, &changed, &why), 0, "%s", why.text);
	return changed;
}

static void expect_set(const char *expected)
{
	expect_stored("SELECT enabled || ' ' || ifnull(policy, '-') || ' ' || tags || ' ' || flagsVersion"
	              " FROM entries WHERE messageTemplate = 'a'", expected);
}

Test(store_flags, a_change_touches_what_it_names_and_is_one_version)
{
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_POLICY, .policy = "fold 30s" }));
	expect_set("1 fold 30s [] 1");
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_POLICY, .policy = "fold 30s" }));
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_ENABLED, .enabled = false }));
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_ENABLED | LF_FLAG_POLICY | LF_FLAG_TAGS, true,
	                                            "", "[\"x\"]", NULL, NULL }));
	expect_set("1 - [\"x\"] 3");
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_POLICY, .policy = "" }));
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_ENABLED, .enabled = true }));
	expect_set("1 - [\"x\"] 3");
}

Test(store_flags, tags_are_added_once_at_the_end_and_taken_out)
{
	static const char add[] = "[\"b\",\"a\",\"b\",\"\\u0063\"]";

	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_TAGS, .tags_added = add }));
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_TAGS, .tags_added = add }));
	expect_set("1 - [\"b\",\"a\",\"c\"] 1");
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_TAGS, .tags_removed = "[\"b\",\"z\"]" }));
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_TAGS, .tags_removed = "[\"b\"]" }));
	expect_set("1 - [\"a\",\"c\"] 2");
	other_program(stored_at(), "UPDATE entries SET tags = '[ \"a\" ]', enabled = 7, policy = ''");
	cr_assert_not(set("a", (struct lf_flag_change){ LF_FLAG_TAGS | LF_FLAG_ENABLED | LF_FLAG_POLICY, true,
	                                                "", "[\"a\"]", NULL, NULL }), "it only looks different");
	other_program(stored_at(), "UPDATE entries SET tags = 'junk'");
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_TAGS, .tags_added = "[\"d\"]" }));
	expect_stored("SELECT tags FROM entries", "[\"d\"]");
}

Test(store_flags, many_are_set_in_one_commit_or_none_is)
{
	struct lf_entry_key keys[] = { { "shop", hash_of("a") }, { "shop", hash_of("b") },
		                       { "shop", hash_of("none") } };
	const struct lf_flag_change change = { LF_FLAG_POLICY, .policy = "sample 1/2", .writer = "w" };
	bool changed[3];
	uint64_t before;

	count_passed(store, "b", 1);
	before = sequence_of(store);
	cr_assert_eq(lf_store_set_flags(store, keys, 3, &change, changed, &why), -ENOENT);
	cr_assert_not_null(strstr(why.text, keys[2].hash), "%s", why.text);
	expect_stored("SELECT count(*) FROM entries WHERE policy IS NOT NULL", "0");
	cr_assert_eq(lf_store_set_flags(store, keys, 2, &change, changed, &why), 0, "%s", why.text);
	cr_assert(changed[0] && changed[1]);
	cr_assert_eq(sequence_of(store), before + 1);
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_POLICY, .policy = "" }));
	cr_assert_eq(lf_store_set_flags(store, keys, 2, &change, changed, &why), 0, "%s", why.text);
	cr_assert(changed[0] && !changed[1]);
}

Test(store_flags, the_highest_version_stays_the_highest_when_a_person_sets_a_flag)
{
	other_program(stored_at(), "UPDATE entries SET flagsVersion = 9223372036854775807");
	cr_assert(set("a", (struct lf_flag_change){ LF_FLAG_ENABLED, .enabled = false }));
	expect_set("0 - [] 9223372036854775807");
}
