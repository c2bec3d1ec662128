/* What every sink promises (sinks/sink.h), tested on whichever tier the environment names. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/sinks.h"
#include "tests/contract/tier.h"

TestSuite(sink_contract, .init = open_tier, .fini = close_tier);

static void assert_text(struct lf_text found, const char *wanted)
{
	cr_assert(found.len == strlen(wanted) && memcmp(found.data, wanted, found.len) == 0,
	          "'%.*s' is not '%s'", (int)found.len, found.data, wanted);
}

static uint64_t total(const struct lf_entry *entry)
{
	settle();
	return look(entry).entry.count_total;
}

/* ---- Identity and times ---- */

Test(sink_contract, what_was_sent_is_read_back)
{
	struct lf_entry entry = an_entry(1);
	struct found found;

	entry.tags = text("[\"web\",\"über \\\"x\\\"\"]");
	entry.family = text("0123456789abcdef0123456789abcdef");
	entry.source_file = text("src/main.c");
	entry.source_line = 42;
	entry.flags_version = 3;
	entry.flags_writer = text("host:agent");
	entry.enabled = false;
	send_calls(&agents[0], &entry, 5);
	settle();
	found = look(&entry);
	cr_assert(found.there);
	assert_text(found.entry.method, "printf");
	assert_text(found.entry.message_template, entry.message_template.data);
	assert_text(found.entry.top_frame, "shop!main");
	assert_text(found.entry.template_kind, "format");
	assert_text(found.entry.tags, "[\"web\",\"über \\\"x\\\"\"]");
	assert_text(found.entry.family, "0123456789abcdef0123456789abcdef");
	assert_text(found.entry.source_file, "src/main.c");
	cr_assert_eq(found.entry.source_line, 42);
	assert_text(found.entry.first_seen_at, "2024-05-06T07:08:09.123Z");
	assert_text(found.entry.last_seen_at, "2024-05-06T07:08:10.456Z");
	cr_assert_eq(found.entry.flags_version, 3);
	assert_text(found.entry.flags_writer, "host:agent");
	cr_assert(!found.entry.enabled && found.entry.persist_to_cache && found.entry.persist_to_db);
	cr_assert_eq(found.entry.count_total, 5);
	cr_assert_eq(found.entry.counts[LF_PASSED], 5);
	cr_assert_eq(found.shares_count, 1);
	cr_assert_str_eq(found.shares[0].incarnation, agents[0].incarnation);
}

Test(sink_contract, an_entry_that_was_never_sent_is_not_there)
{
	struct lf_entry entry = an_entry(2);

	cr_assert(!look(&entry).there);
}

Test(sink_contract, the_earliest_first_and_the_latest_last_time_stay)
{
	struct lf_entry entry = an_entry(3), later = entry;
	struct found found;

	later.first_seen_at = text("2024-06-01T00:00:00.000Z");
	later.last_seen_at = text("2024-07-01T00:00:00.000Z");
	send_calls(&agents[0], &later, 2);
	send_calls(&agents[1], &entry, 1);
	found = look(&entry);
	assert_text(found.entry.first_seen_at, "2024-05-06T07:08:09.123Z");
	assert_text(found.entry.last_seen_at, "2024-07-01T00:00:00.000Z");
}

/* ---- Counts ---- */

Test(sink_contract, a_batch_sent_twice_is_counted_once)
{
	struct lf_entry entry = an_entry(4);

	send_calls(&agents[0], &entry, 7);
	send_calls(&agents[0], &entry, 7);
	cr_assert_eq(total(&entry), 7);
}

Test(sink_contract, an_older_number_that_comes_late_changes_nothing)
{
	struct lf_entry entry = an_entry(5);

	send_calls(&agents[0], &entry, 900);
	send_calls(&agents[0], &entry, 70);
	cr_assert_eq(total(&entry), 900);
}

Test(sink_contract, an_entry_is_the_sum_of_its_writers)
{
	struct lf_entry entry = an_entry(6);

	send_calls(&agents[0], &entry, 1000);
	send_calls(&agents[1], &entry, 1);
	send_calls(&agents[0], &entry, 1001);
	cr_assert_eq(total(&entry), 1002);
	cr_assert_eq(look(&entry).shares_count, 2);
}

Test(sink_contract, every_outcome_merges_by_itself)
{
	struct lf_entry entry = an_entry(7);
	struct lf_share share = a_share(agents[0].incarnation, LF_PASSED, 10);
	struct lf_sink_record record = { .entry = &entry, .shares = &share, .shares_count = 1 };
	struct found found;

	share.counts[LF_MUTED] = 3;
	share.counts[LF_FOLDED] = 9;
	send_record(&agents[0], &record);
	share.counts[LF_PASSED] = 9; /* an older state of this one */
	share.counts[LF_MUTED] = 4;
	share.counts[LF_SAMPLED] = 1;
	share.counts[LF_LIMITED] = 2;
	send_record(&agents[0], &record);
	settle();
	found = look(&entry);
	cr_assert_eq(found.entry.counts[LF_PASSED], 10);
	cr_assert_eq(found.entry.counts[LF_MUTED], 4);
	cr_assert_eq(found.entry.counts[LF_SAMPLED], 1);
	cr_assert_eq(found.entry.counts[LF_LIMITED], 2);
	cr_assert_eq(found.entry.counts[LF_FOLDED], 9);
	cr_assert_eq(found.entry.count_total, 26);
}

Test(sink_contract, several_shares_go_in_one_record)
{
	struct lf_entry entry = an_entry(8);
	struct lf_share shares[] = { a_share(agents[0].incarnation, LF_PASSED, 5),
		                     a_share("00000000-0000-5000-8000-000000000000", LF_PASSED, 6) };

	send_record(&agents[0], &(struct lf_sink_record){ .entry = &entry, .shares = shares,
	                                                  .shares_count = 2 });
	cr_assert_eq(total(&entry), 11);
}

Test(sink_contract, numbers_beyond_2_to_the_53_are_exact)
{
	struct lf_entry entry = an_entry(9);
	const uint64_t large = (UINT64_C(1) << 58) + 1;

	send_calls(&agents[0], &entry, large);
	send_calls(&agents[1], &entry, large - 1);
	send_calls(&agents[0], &entry, large + 1);
	cr_assert_eq(total(&entry), 2 * large);
}

Test(sink_contract, shares_in_any_order_and_repetition_end_at_the_same_numbers)
{
	enum { ENTRIES = 5, ROUNDS = 120 };
	struct lf_entry entries[ENTRIES];
	uint64_t sent[AGENTS][ENTRIES] = { { 0 } };

	srand(4711);
	for (unsigned e = 0; e < ENTRIES; e++)
		entries[e] = an_entry(10 + e);
	for (int round = 0; round < ROUNDS; round++) {
		unsigned agent = (unsigned)rand() % AGENTS, e = (unsigned)rand() % ENTRIES;
		uint64_t number = (uint64_t)rand() % 1000;

		send_calls(&agents[agent], &entries[e], number);
		if (number > sent[agent][e])
			sent[agent][e] = number;
	}
	settle();
	for (unsigned e = 0; e < ENTRIES; e++)
		cr_assert_eq(look(&entries[e]).entry.count_total, sent[0][e] + sent[1][e]);
}

Test(sink_contract, a_large_batch_goes_in_at_once)
{
	enum { COUNT = 300 };
	static struct lf_entry entries[COUNT];
	static struct lf_share shares[COUNT];
	static struct lf_sink_record records[COUNT];
	static char hashes[COUNT][LF_HASH_CHARS + 1];
	struct lf_sink_batch batch = { records, COUNT, 9 };
	struct lf_error err = { "" };

	for (unsigned i = 0; i < COUNT; i++) {
		entries[i] = an_entry(1);
		(void)snprintf(hashes[i], sizeof(hashes[i]), "%032x", i);
		entries[i].hash = text(hashes[i]);
		shares[i] = a_share(agents[0].incarnation, LF_PASSED, i + 1);
		records[i] = (struct lf_sink_record){ &entries[i], false, false, &shares[i], 1 };
	}
	cr_assert(ops->flush(agents[0].sink, &batch, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
	settle();
	for (unsigned i = 0; i < COUNT; i += 37)
		cr_assert_eq(look(&entries[i]).entry.count_total, i + 1);
}

Test(sink_contract, an_empty_batch_is_fine)
{
	struct lf_sink_batch batch = { NULL, 0, 1 };
	struct lf_error err = { "" };

	cr_assert(ops->flush(agents[0].sink, &batch, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
}

/* ---- Frozen ---- */

Test(sink_contract, a_frozen_entry_keeps_its_numbers_and_its_flags_travel)
{
	struct lf_entry entry = an_entry(20);
	struct lf_share share = a_share(agents[0].incarnation, LF_PASSED, 50);
	struct lf_sink_record record = { .entry = &entry, .frozen = true, .flags_changed = true,
		                         .shares = &share, .shares_count = 1 };

	send_calls(&agents[0], &entry, 8);
	entry.persist_to_db = entry.persist_to_cache = false;
	entry.flags_version = 1;
	entry.flags_writer = text("a");
	entry.last_seen_at = text("2030-01-01T00:00:00.000Z");
	send_record(&agents[0], &record);
	settle();
	cr_assert_eq(look(&entry).entry.count_total, 8);
	cr_assert(!look(&entry).entry.persist_to_db);
	assert_text(look(&entry).entry.last_seen_at, "2024-05-06T07:08:10.456Z");
	record.frozen = false;
	send_record(&agents[0], &record);
	cr_assert_eq(total(&entry), 50);
}

Test(sink_contract, an_entry_that_is_frozen_from_the_start_is_there_without_numbers)
{
	struct lf_entry entry = an_entry(21);
	struct lf_share share = a_share(agents[0].incarnation, LF_PASSED, 50);

	entry.persist_to_db = entry.persist_to_cache = false;
	send_record(&agents[0], &(struct lf_sink_record){ .entry = &entry, .frozen = true,
	                                                  .shares = &share, .shares_count = 1 });
	settle();
	cr_assert(look(&entry).there);
	cr_assert_eq(look(&entry).entry.count_total, 0);
}

/* ---- Flags ---- */

static struct lf_entry flagged(unsigned number, int64_t version, const char *writer, bool enabled)
{
	struct lf_entry entry = an_entry(number);

	entry.flags_version = version;
	entry.flags_writer = text(writer);
	entry.enabled = enabled;
	return entry;
}

Test(sink_contract, the_higher_version_of_the_flags_wins)
{
	struct lf_entry two = flagged(30, 2, "a", false), one = flagged(30, 1, "z", true);

	send_flags(&agents[0], &two);
	send_flags(&agents[1], &one);
	cr_assert(!look(&two).entry.enabled);
	cr_assert_eq(look(&two).entry.flags_version, 2);
}

Test(sink_contract, version_ten_is_higher_than_version_nine)
{
	struct lf_entry nine = flagged(50, 9, "a", true), ten = flagged(50, 10, "a", false);

	send_flags(&agents[0], &nine);
	send_flags(&agents[0], &ten);
	send_flags(&agents[1], &nine);
	cr_assert(!look(&ten).entry.enabled);
}

Test(sink_contract, of_one_version_the_higher_writer_wins_whoever_comes_first)
{
	struct lf_entry a = flagged(31, 1, "a", false), b = flagged(31, 1, "b", true);

	send_flags(&agents[0], &b);
	send_flags(&agents[1], &a);
	assert_text(look(&a).entry.flags_writer, "b");
	cr_assert(look(&a).entry.enabled);
	a = flagged(32, 1, "a", false);
	b = flagged(32, 1, "b", true);
	send_flags(&agents[0], &a);
	send_flags(&agents[1], &b);
	assert_text(look(&a).entry.flags_writer, "b");
	cr_assert(look(&a).entry.enabled);
}

Test(sink_contract, the_flags_of_a_version_come_as_a_whole)
{
	struct lf_entry before = flagged(33, 1, "a", false), after = flagged(33, 2, "a", true);

	before.tags = text("[\"one\"]");
	after.tags = text("[\"two\",\"three\"]");
	after.persist_to_db = false;
	send_flags(&agents[0], &before);
	send_flags(&agents[0], &after);
	assert_text(look(&after).entry.tags, "[\"two\",\"three\"]");
	cr_assert(look(&after).entry.enabled && !look(&after).entry.persist_to_db);
}

Test(sink_contract, flags_that_did_not_change_are_not_written)
{
	struct lf_entry old = flagged(34, 1, "a", false), mine = flagged(34, 5, "b", true);

	send_flags(&agents[0], &old);
	send_calls(&agents[1], &mine, 3); /* flags_changed is false */
	cr_assert_eq(look(&old).entry.flags_version, 1);
	cr_assert(!look(&old).entry.enabled);
	cr_assert_eq(total(&old), 3);
}

Test(sink_contract, a_new_entry_brings_its_flags)
{
	struct lf_entry entry = flagged(35, 4, "a", false);

	send_calls(&agents[0], &entry, 1);
	cr_assert(!look(&entry).entry.enabled);
	cr_assert_eq(look(&entry).entry.flags_version, 4);
}

/* ---- Reading ---- */

static int count_one(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                     size_t shares_count)
{
	(void)entry;
	(void)shares_count;
	cr_assert(!shares, "nobody asked for shares");
	++*(unsigned *)arg;
	return 0;
}

static unsigned count(enum lf_sink_what what)
{
	struct lf_sink_query query = { .namespace = namespace, .what = what };
	struct lf_error err = { "" };
	unsigned found = 0;

	cr_assert(ops->read(agents[0].sink, &query, count_one, &found, TIMEOUT_MS, &err) == LF_SINK_DONE,
	          "%s", err.text);
	return found;
}

Test(sink_contract, all_are_read_or_those_with_flags)
{
	struct lf_entry muted = flagged(42, 0, "", false), tagged = an_entry(43), set = an_entry(44);

	for (unsigned i = 36; i < 42; i++) {
		struct lf_entry plain = an_entry(i);

		send_calls(&agents[0], &plain, i);
	}
	tagged.tags = text("[\"x\"]");
	set.flags_version = 2;
	send_calls(&agents[0], &muted, 1);
	send_calls(&agents[0], &tagged, 1);
	send_calls(&agents[0], &set, 1);
	cr_assert_eq(count(LF_SINK_ALL), 9);
	/* A tier may give more than were asked for, but not fewer. */
	cr_assert(count(LF_SINK_FLAGGED) >= 3);
}

static int stop_at_once(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                        size_t shares_count)
{
	(void)entry;
	(void)shares;
	(void)shares_count;
	return ++*(int *)arg;
}

Test(sink_contract, a_reader_may_stop)
{
	struct lf_sink_query query = { .namespace = namespace };
	struct lf_entry one = an_entry(45), two = an_entry(46);
	struct lf_error err = { "" };
	int calls = 0;

	send_calls(&agents[0], &one, 1);
	send_calls(&agents[0], &two, 1);
	cr_assert(ops->read(agents[0].sink, &query, stop_at_once, &calls, TIMEOUT_MS, &err) == LF_SINK_DONE);
	cr_assert_eq(calls, 1);
}

/* ---- Marks ---- */

Test(sink_contract, both_agents_see_the_same_epoch_and_it_stays)
{
	char epoch[LF_UUID_CHARS + 1];

	memcpy(epoch, agents[0].hello.epoch, sizeof(epoch));
	cr_assert_eq(strlen(epoch), LF_UUID_CHARS);
	cr_assert_str_eq(agents[1].hello.epoch, epoch);
	reopen(&agents[0]);
	cr_assert_str_eq(agents[0].hello.epoch, epoch);
}

static void send_at(uint64_t sequence)
{
	struct lf_entry entry = an_entry(47);
	struct lf_share share = a_share(agents[0].incarnation, LF_PASSED, 1);
	struct lf_sink_record record = { .entry = &entry, .shares = &share, .shares_count = 1 };
	struct lf_sink_batch batch = { &record, 1, sequence };
	struct lf_error err = { "" };

	cr_assert(ops->flush(agents[0].sink, &batch, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
}

Test(sink_contract, the_highest_sequence_of_an_incarnation_is_remembered)
{
	cr_assert_eq(agents[0].hello.sequence, 0);
	send_at(77);
	send_at(9);
	reopen(&agents[0]);
	reopen(&agents[1]);
	cr_assert_eq(agents[0].hello.sequence, 77);
	cr_assert_eq(agents[1].hello.sequence, 0);
}

/* ---- Evicting ---- */

Test(sink_contract, what_leaves_the_hot_set_stays_when_others_count_in_it)
{
	struct lf_entry mine = an_entry(48), ours = an_entry(49);
	struct lf_share share = a_share(agents[0].incarnation, LF_PASSED, 1);
	struct lf_sink_record records[] = { { &mine, false, false, &share, 1 },
		                            { &ours, false, false, &share, 1 } };
	struct lf_error err = { "" };

	if (!ops->evict)
		return;
	send_calls(&agents[0], &mine, 1);
	send_calls(&agents[0], &ours, 1);
	send_calls(&agents[1], &ours, 1);
	cr_assert(ops->evict(agents[0].sink, records, 2, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
	cr_assert(!look(&mine).there);
	cr_assert(look(&ours).there);
	cr_assert_eq(look(&ours).entry.count_total, 2);
}
