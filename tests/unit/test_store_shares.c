#include "agent/store/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
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

TestSuite(store_shares, .init = set_up, .fini = tear_down, .timeout = 180);

#define OTHER "0a000000-0000-4000-8000-000000000000"
#define ANOTHER "fb000000-0000-4000-8000-000000000000"

/* ---- Minting ---- */

Test(store_shares, what_was_counted_until_a_minting_stays_the_old_incarnations)
{
	char first[LF_UUID_CHARS + 1], second[LF_UUID_CHARS + 1];

	present_uuid(store, first);
	count_passed(store, "a", 5);
	cr_assert_eq(lf_store_mint(store, "test", &why), 0, "%s", why.text);
	present_uuid(store, second);
	cr_assert_eq(share_of(store, "a", first), 5);
	cr_assert_eq(share_of(store, "a", second), 0);
	count_passed(store, "a", 2);
	cr_assert_eq(share_of(store, "a", first), 5);
	cr_assert_eq(share_of(store, "a", second), 2);
	cr_assert_eq(lf_store_mint(store, "again", &why), 0);
	cr_assert_eq(share_of(store, "a", first), 5);
	cr_assert_eq(share_of(store, "a", second), 2);
	expect_stored("SELECT countTotal FROM entries", "7");
	expect_stored("SELECT count(*) FROM shares", "2");
}

static void copy_file(const char *from, const char *to)
{
	char command[2 * PATH_MAX + 64];

	/* As a backup is taken: nobody has it open, and it may replace another. */
	(void)snprintf(command, sizeof(command), "rm -f '%s-wal' '%s-shm'; cp '%s' '%s.new' && mv '%s.new' '%s'",
	               to, to, from, to, to, to);
	cr_assert_eq(system(command), 0);
}

Test(store_shares, a_copy_says_what_the_original_had_counted_and_goes_on_as_somebody_else)
{
	char ours[LF_UUID_CHARS + 1], theirs[LF_UUID_CHARS + 1], path[PATH_MAX];
	struct lf_store *copy;

	(void)snprintf(path, sizeof(path), "%s", fixture_path("copy.db"));
	present_uuid(store, ours);
	count_passed(store, "a", 5);
	lf_store_close(store);
	copy_file(stored_at(), path);
	store = fixture_store(stored_at());
	copy = fixture_store(path);
	present_uuid(copy, theirs);
	count_passed(store, "a", 10);
	count_passed(copy, "a", 100);
	cr_assert_eq(share_of(store, "a", ours), 15);
	cr_assert_eq(share_of(copy, "a", ours), 5, "what a tier merges by maximum with our 15");
	cr_assert_eq(share_of(copy, "a", theirs), 100);
	lf_store_close(copy);
}

Test(store_shares, a_store_that_was_restored_ships_nothing_twice)
{
	char first[LF_UUID_CHARS + 1], second[LF_UUID_CHARS + 1], backup[PATH_MAX];

	(void)snprintf(backup, sizeof(backup), "%s", fixture_path("backup.db"));
	present_uuid(store, first);
	count_passed(store, "a", 5);
	lf_store_close(store);
	copy_file(stored_at(), backup);
	store = fixture_store(stored_at());
	count_passed(store, "a", 20); /* lost to the store, but a tier was told 25 */
	lf_store_close(store);
	copy_file(backup, stored_at());
	store = fixture_store(stored_at());
	present_uuid(store, second);
	count_passed(store, "a", 3);
	cr_assert_str_neq(first, second);
	cr_assert_eq(share_of(store, "a", first), 5);
	cr_assert_eq(share_of(store, "a", second), 3);
	merge_one(store, "a", first, 25); /* as the tier has it: the lost ones are back */
	expect_stored("SELECT countTotal FROM entries", "28");
}

/* ---- Merging ---- */

Test(store_shares, a_share_is_raised_to_the_maximum_and_a_repetition_changes_nothing)
{
	char ours[LF_UUID_CHARS + 1];
	uint64_t before;

	present_uuid(store, ours);
	count_passed(store, "a", 5);
	merge_one(store, "a", OTHER, 7);
	expect_stored("SELECT countTotal FROM entries", "12");
	merge_one(store, "a", OTHER, 9);
	merge_one(store, "a", ANOTHER, 1);
	expect_stored("SELECT countTotal || ' ' || changed FROM entries", "15 4");
	before = sequence_of(store);
	merge_one(store, "a", OTHER, 9);
	merge_one(store, "a", OTHER, 3);
	expect_stored("SELECT countTotal || ' ' || changed FROM entries", "15 4");
	cr_assert_eq(sequence_of(store), before + 2, "commits count, but the entry did not change");
	cr_assert_eq(share_of(store, "a", ours), 5);
	cr_assert_eq(share_of(store, "a", OTHER), 9);
	cr_assert_eq(share_of(store, "a", ANOTHER), 1);
}

Test(store_shares, what_is_said_of_our_own_incarnation_raises_our_own_share)
{
	char ours[LF_UUID_CHARS + 1];

	present_uuid(store, ours);
	count_passed(store, "a", 5);
	merge_one(store, "a", ours, 4);
	cr_assert_eq(share_of(store, "a", ours), 5);
	merge_one(store, "a", ours, 8);
	cr_assert_eq(share_of(store, "a", ours), 8);
	count_passed(store, "a", 1);
	cr_assert_eq(share_of(store, "a", ours), 9);
	expect_stored("SELECT count(*) FROM shares", "0");
}

Test(store_shares, an_unknown_entry_is_made_as_it_was_elsewhere)
{
	struct lf_entry entry = entry_named("new");
	struct lf_share shares[] = { { OTHER, { 1, 2, 3, 4, 5 } }, { ANOTHER, { 10 } } };

	entry.enabled = false;
	entry.flags_version = 4;
	entry.flags_writer = (struct lf_text)TEXT("there:agent");
	entry.tags = (struct lf_text)TEXT("[\"a\"]");
	entry.source_file = (struct lf_text)TEXT("main.c");
	entry.source_line = 12;
	entry.family = (struct lf_text)TEXT("abc");
	cr_assert_eq(lf_store_begin(store, &why), 0);
	cr_assert_eq(lf_store_merge(store, &entry, shares, 2, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0);
	expect_stored("SELECT concat FROM (SELECT countTotal || ' ' || countPassed || ' ' || enabled || ' ' ||"
	              " flagsVersion || ' ' || flagsWriter || ' ' || tags || ' ' || sourceFile || sourceLine ||"
	              " family || ' ' || (policy IS NULL) || firstSeenAt || templateKind AS concat FROM entries)",
	              "25 11 0 4 there:agent [\"a\"] main.c12abc 12024-01-01T00:00:00.000Zformat");
}

Test(store_shares, times_move_outwards_and_what_was_unknown_is_filled_in)
{
	struct lf_entry entry = entry_named("a");

	count_passed(store, "a", 1);
	entry.source_file = (struct lf_text)TEXT("main.c");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(lf_store_begin(store, &why), 0);
		cr_assert_eq(lf_store_merge(store, &entry, NULL, 0, &why), 0, "%s", why.text);
		cr_assert_eq(lf_store_commit(store, &why), 0);
		expect_stored("SELECT firstSeenAt || lastSeenAt || sourceFile || changed FROM entries",
		              "1970-01-01T00:00:01.000Z2024-01-02T00:00:00.000Zmain.c2");
		entry.source_file = (struct lf_text)TEXT("other.c");
		entry.first_seen_at = entry.last_seen_at = (struct lf_text)TEXT("no time");
	}
}

Test(store_shares, no_merge_makes_a_count_that_is_no_integer_any_more)
{
	merge_one(store, "a", OTHER, UINT64_C(1) << 59);
	merge_one(store, "a", ANOTHER, UINT64_C(1) << 60);
	merge_one(store, "a", "third", UINT64_C(1) << 62);
	expect_stored("SELECT countPassed = 1 << 60 FROM entries", "1");
	expect_stored("SELECT sum(countPassed) = 1 << 60 FROM shares", "1");
}

Test(store_shares, shares_of_more_than_the_entry_has_leave_nothing_for_the_present_one)
{
	char ours[LF_UUID_CHARS + 1];

	present_uuid(store, ours);
	merge_one(store, "a", OTHER, 9);
	other_program(stored_at(), "UPDATE entries SET countPassed = 4");
	cr_assert_eq(share_of(store, "a", ours), 0);
	cr_assert_eq(lf_store_mint(store, "test", &why), 0, "%s", why.text);
	cr_assert_eq(share_of(store, "a", ours), 0);
}

/* ---- Whatever happens ---- */

enum { MACHINES = 3, STEPS = 120, MESSAGES = 4, INCARNATIONS = 200 };

/* The greatest number that anybody was ever told of an incarnation: what a tier has. */
struct tier {
	char uuid[INCARNATIONS][LF_UUID_CHARS + 1];
	uint64_t counts[INCARNATIONS][MESSAGES];
	size_t known;
};

static const char *const messages[MESSAGES] = { "one", "two", "three", "four" };

static size_t in_tier(struct tier *tier, const char *uuid)
{
	for (size_t i = 0; i < tier->known; i++)
		if (strcmp(tier->uuid[i], uuid) == 0)
			return i;
	cr_assert_lt(tier->known, INCARNATIONS);
	(void)strcpy(tier->uuid[tier->known], uuid);
	return tier->known++;
}

/* Tells the tier everything; each share only grows under the eyes of one store, and the shares of an
 * entry are its total. */
static void ship(struct lf_store *from, struct tier *tier, struct tier *of_store)
{
	for (int m = 0; m < MESSAGES; m++) {
		struct lf_entry entry = entry_named(messages[m]);
		uint64_t sum = 0;
		struct lf_share *shares;
		size_t count;

		if (lf_store_shares(from, entry.namespace, entry.hash, &shares, &count, NULL) < 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			uint64_t counted = shares[i].counts[LF_PASSED];
			size_t at = in_tier(tier, shares[i].incarnation);
			size_t own = in_tier(of_store, shares[i].incarnation);

			cr_assert_geq(counted, of_store->counts[own][m], "a share became less");
			of_store->counts[own][m] = counted;
			if (counted > tier->counts[at][m])
				tier->counts[at][m] = counted;
			sum += counted;
		}
		free(shares);
		cr_assert_eq(sum, fixture_count_of(from, messages[m]), "the shares are not the total");
	}
}

static void merge_all(struct lf_store *to, struct lf_store *from)
{
	for (int m = 0; m < MESSAGES; m++) {
		struct lf_entry entry = entry_named(messages[m]);
		struct lf_share *shares;
		size_t count;

		if (lf_store_shares(from, entry.namespace, entry.hash, &shares, &count, NULL) < 0)
			continue;
		cr_assert_eq(lf_store_begin(to, &why), 0, "%s", why.text);
		cr_assert_eq(lf_store_merge(to, &entry, shares, count, &why), 0, "%s", why.text);
		cr_assert_eq(lf_store_commit(to, &why), 0, "%s", why.text);
		free(shares);
	}
}

static const char *machine(int i)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "m%d.db", i);
	return fixture_path(name);
}

struct machines {
	struct lf_store *store[MACHINES];
	struct tier seen[MACHINES]; /* by each, since it is that file */
	struct tier tier;
	uint64_t printed[MESSAGES];
};

/* One store's file becomes a copy of another's; what it had was told the tier before. */
static void replace_by_copy(struct machines *all, int to, int from)
{
	char target[PATH_MAX];

	(void)snprintf(target, sizeof(target), "%s", machine(to));
	lf_store_close(all->store[to]);
	lf_store_close(all->store[from]);
	copy_file(machine(from), target);
	all->store[to] = fixture_store(target);
	all->store[from] = fixture_store(machine(from));
	memset(&all->seen[to], 0, sizeof(all->seen[to]));
}

static void step(struct machines *all)
{
	int at = rand() % MACHINES, other = (at + 1 + rand() % (MACHINES - 1)) % MACHINES;
	int message = rand() % MESSAGES, what = rand() % 10;

	if (what < 5) {
		uint64_t n = 1 + (uint64_t)rand() % 1000;

		count_passed(all->store[at], messages[message], n);
		all->printed[message] += n;
	} else if (what < 7) {
		cr_assert_eq(lf_store_mint(all->store[at], "test", &why), 0, "%s", why.text);
	} else if (what < 9) {
		merge_all(all->store[at], all->store[other]);
	} else {
		replace_by_copy(all, at, other);
	}
	for (int i = 0; i < MACHINES; i++)
		ship(all->store[i], &all->tier, &all->seen[i]);
}

static uint64_t total_in(const struct tier *tier, int message)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < tier->known; i++)
		sum += tier->counts[i][message];
	return sum;
}

/* Each step is followed by a shipping, so that nothing is lost with a file that is replaced: then the
 * tier's sum is exactly what was printed, whatever was minted, merged and copied in between. */
Test(store_shares, the_tier_ends_at_what_was_printed_through_any_minting_merging_and_copying)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct machines all = { .printed = { 0 } };

		srand(seed);
		for (int i = 0; i < MACHINES; i++)
			all.store[i] = fixture_store(machine(i));
		for (int i = 0; i < STEPS; i++)
			step(&all);
		for (int m = 0; m < MESSAGES; m++)
			cr_assert_eq(total_in(&all.tier, m), all.printed[m], "seed %u, message %d: %llu of %llu",
			             seed, m, (unsigned long long)total_in(&all.tier, m),
			             (unsigned long long)all.printed[m]);
		merge_all(all.store[0], all.store[1]);
		merge_all(all.store[0], all.store[2]);
		for (int i = 0; i < MACHINES; i++) {
			lf_store_close(all.store[i]);
			(void)remove(machine(i));
		}
	}
}
