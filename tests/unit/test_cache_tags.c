#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/commands.h"
#include "sinks/cache/prefixes.h"
#include "sinks/cache/stamps.h"
#include "tests/unit/cache_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;

static void open_with(unsigned tiers)
{
	cache = fixture_cache(tiers);
	space = fixture_space(cache, "user", "acme");
}

static struct fake *redis(void)
{
	return fake_server(LF_CACHE_REDIS);
}

static int set_tagged(struct lf_cache_space *of, const char *id, const char *tag)
{
	struct lf_text tags[] = { text_of("all"), text_of(tag) };
	struct lf_cache_set how = { .tags = tags, .tags_count = 2 };

	return lf_cache_set(of, text_of(id), text_of(id), &how, NULL);
}

static int invalidate(const char *tag)
{
	return lf_cache_invalidate_tag(cache, text_of("acme"), text_of(tag), NULL);
}

static const unsigned stacks[] = {
	WITH_MEMORY, WITH_SQLITE, WITH_MEMORY | WITH_SQLITE, WITH_REDIS, WITH_MEMORY | WITH_REDIS,
	WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO,
};
#define EACH_STACK(i_) for (size_t i_ = 0; i_ < sizeof(stacks) / sizeof(*stacks); i_++)

/* --- what it reaches --------------------------------------------------------------------------------- */

Test(cache_tags, a_tag_takes_all_that_carries_it_in_its_organisation_and_nothing_else)
{
	EACH_STACK(i) {
		struct lf_cache_space *others;

		open_with(stacks[i]);
		others = fixture_space(cache, "user", "other");
		cr_expect_eq(set_tagged(space, "a", "x"), 1);
		cr_expect_eq(set_tagged(space, "b", "x"), 1);
		cr_expect_eq(set_tagged(space, "c", "y"), 1);
		cr_expect_eq(set_tagged(others, "a", "x"), 1);
		cr_expect_eq(lf_cache_set(space, text_of("d"), text_of("d"), NULL, NULL), 1);
		cr_expect_eq(invalidate("x"), 0);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)", "with tiers %x", stacks[i]);
		cr_expect_str_eq(fixture_get(space, "b"), "(none)");
		cr_expect_str_eq(fixture_get(space, "c"), "c");
		cr_expect_str_eq(fixture_get(space, "d"), "d");
		cr_expect_str_eq(fixture_get(others, "a"), "a");
		cr_expect_eq(set_tagged(space, "a", "x"), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "a", "what is set afterwards is there");
		cr_expect_eq(invalidate("all"), 0);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		cr_expect_str_eq(fixture_get(space, "c"), "(none)");
		lf_cache_close(cache);
	}
}

Test(cache_tags, a_type_and_an_organisation_take_all_of_theirs)
{
	EACH_STACK(i) {
		struct lf_cache_space *orders, *others;

		open_with(stacks[i]);
		orders = fixture_space(cache, "order", "acme");
		others = fixture_space(cache, "user", "other");
		for (int by_org = 0; by_org < 2; by_org++) {
			cr_expect_eq(set_tagged(space, "a", "x"), 1);
			cr_expect_eq(lf_cache_set(orders, text_of("a"), text_of("a"), NULL, NULL), 1);
			cr_expect_eq(lf_cache_set(others, text_of("a"), text_of("a"), NULL, NULL), 1);
			if (by_org)
				cr_expect_eq(lf_cache_invalidate_org(cache, text_of("acme"), NULL), 0);
			else
				cr_expect_eq(lf_cache_invalidate_type(cache, text_of("user"), NULL), 0);
			cr_expect_str_eq(fixture_get(space, "a"), "(none)", "with tiers %x", stacks[i]);
			cr_expect_str_eq(fixture_get(orders, "a"), by_org ? "(none)" : "a");
			cr_expect_str_eq(fixture_get(others, "a"), by_org ? "a" : "(none)");
		}
		lf_cache_close(cache);
	}
}

Test(cache_tags, a_prefix_takes_what_begins_so_and_a_flush_all_of_a_space)
{
	EACH_STACK(i) {
		struct lf_cache_space *others;

		open_with(stacks[i]);
		others = fixture_space(cache, "user", "acme2");
		cr_expect_eq(set_tagged(space, "a:1", "x"), 1);
		cr_expect_eq(set_tagged(space, "a:2", "x"), 1);
		cr_expect_eq(set_tagged(space, "a", "x"), 1);
		cr_expect_eq(set_tagged(others, "a:1", "x"), 1);
		cr_expect_eq(lf_cache_invalidate_prefix(space, text_of("a:"), NULL), 0);
		cr_expect_str_eq(fixture_get(space, "a:1"), "(none)", "with tiers %x", stacks[i]);
		cr_expect_str_eq(fixture_get(space, "a:2"), "(none)");
		cr_expect_str_eq(fixture_get(space, "a"), "a");
		cr_expect_eq(set_tagged(space, "a:1", "x"), 1);
		cr_expect_str_eq(fixture_get(space, "a:1"), "a:1", "what is set afterwards is there");
		cr_expect_eq(lf_cache_flush(space, NULL), 0);
		cr_expect_str_eq(fixture_get(space, "a:1"), "(none)");
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		cr_expect_str_eq(fixture_get(others, "a:1"), "a:1");
		lf_cache_close(cache);
	}
}

Test(cache_tags, what_counts_up_or_is_a_hash_is_invalidated_too)
{
	struct lf_cache_field field = { text_of("f"), text_of("v") };
	int64_t number = 0;

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(lf_cache_incrby(space, text_of("n"), 5, NULL, NULL), 0);
	cr_expect_eq(lf_cache_hset(space, text_of("h"), &field, 1, NULL), 1);
	cr_expect_eq(lf_cache_invalidate_type(cache, text_of("user"), NULL), 0);
	cr_expect_eq(lf_cache_exists(space, text_of("h"), NULL), 0);
	cr_expect_eq(lf_cache_incr(space, text_of("n"), &number, NULL), 0);
	cr_expect_eq(number, 1, "a count that was invalidated begins anew");
	cr_expect_str_eq(fixture_get(space, "n"), "1");
	cr_expect_eq(lf_cache_incr(space, text_of("n"), &number, NULL), 0);
	cr_expect_eq(number, 2);
	lf_cache_close(cache);
}

/* --- who is reading or loading at that time ----------------------------------------------------------- */

static void invalidate_x(void *arg)
{
	(void)arg;
	cr_expect_eq(invalidate("x"), 0);
}

static void invalidate_prefix(void *arg)
{
	(void)arg;
	cr_expect_eq(lf_cache_invalidate_prefix(space, text_of("a"), NULL), 0);
}

Test(cache_tags, a_reader_who_is_at_a_lower_tier_meanwhile_is_given_nothing_old)
{
	for (int prefix = 0; prefix < 2; prefix++) {
		open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
		cr_expect_eq(set_tagged(space, "a", "x"), 1);
		lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
		lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
		fake_behind(redis(), FAKE_LOAD, prefix ? invalidate_prefix : invalidate_x, NULL);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)", "prefix: %d", prefix);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		lf_cache_close(cache);
	}
}

Test(cache_tags, what_a_reader_lifted_while_its_prefix_was_dropped_goes_again)
{
	struct lf_record *record;

	open_with(WITH_MEMORY | WITH_REDIS | WITH_MONGO);
	cr_expect_eq(set_tagged(space, "a", "x"), 1);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	fake_evict(redis(), fixture_key(space, "a"));
	fake_before(redis(), FAKE_STORE, invalidate_prefix, NULL); /* between its being found in mongo and its being put here */
	(void)fixture_get(space, "a");
	record = fake_peek(redis(), fixture_key(space, "a"));
	cr_expect(!record || record->type == LF_RECORD_GONE, "it would be there when the prefix is forgotten");
	lf_record_drop(record);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}

/* What a loader's record would carry that had begun before `change` was run: whether it is good afterwards. */
static bool survives(void (*change)(void *arg), void *arg)
{
	struct lf_begun begun = lf_begin(cache, fixture_key(space, "l"));
	struct lf_text tag = text_of("x");
	struct lf_cache_set how = { .tags = &tag, .tags_count = 1 };
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_command_result made;
	struct lf_command command;
	bool valid;

	change(arg);
	cr_assert_eq(lf_stack_prepare(space, text_of("l"), text_of("v"), &how, &begun, lf_stack_deadline(cache), tags, &command,
	                              NULL), 0);
	cr_assert_eq(lf_command_apply(&command, NULL, begun.version, fake_now_ms, &made, NULL), 0);
	valid = lf_stamps_valid(space, fixture_key(space, "l"), made.record, lf_stack_deadline(cache)) == 1;
	lf_record_drop(made.record);
	return valid;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void invalidate_type(void *arg)
{
	(void)arg;
	cr_expect_eq(lf_cache_invalidate_type(cache, text_of("user"), NULL), 0);
}

static void invalidate_l(void *arg)
{
	(void)arg;
	cr_expect_eq(lf_cache_invalidate_prefix(space, text_of("l"), NULL), 0);
}

Test(cache_tags, a_value_whose_making_began_before_is_not_good_and_one_that_began_after_is)
{
	EACH_STACK(i) {
		open_with(stacks[i]);
		cr_expect(survives(nothing, NULL));
		cr_expect_not(survives(invalidate_x, NULL), "with tiers %x", stacks[i]);
		cr_expect_not(survives(invalidate_type, NULL));
		cr_expect_not(survives(invalidate_l, NULL));
		cr_expect(survives(nothing, NULL), "with tiers %x", stacks[i]);
		lf_cache_close(cache);
	}
}

static void hear_of_x_late(void *arg)
{
	struct lf_tier_change change = { .kind = LF_CHANGED_STAMP, .version = { (uint64_t)(fake_now_ms - 5000) << 16, 7 } };
	char name[LF_STAMP_NAME_MAX];

	(void)arg;
	change.name = (struct lf_text){ name, lf_stamp_name(cache, name, LF_STAMP_TAG, text_of("acme"), text_of("x")) };
	lf_stamps_heard(cache, &change);
}

Test(cache_tags, what_was_invalidated_meanwhile_by_a_clock_that_is_behind_is_not_good)
{
	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect(survives(nothing, NULL));
	cr_expect_not(survives(hear_of_x_late, NULL));
	cr_expect(survives(nothing, NULL));
	lf_cache_close(cache);
}

Test(cache_tags, a_stamp_that_is_asked_for_first_after_a_making_began_may_have_risen_since)
{
	fake_poke_stamp(redis(), text_of("app:test:%tag:acme:x"), (uint64_t)(fake_now_ms - 500) << 16);
	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_not(survives(nothing, NULL), "the other's clock may be behind by half a second");
	cr_expect(survives(nothing, NULL), "now it is known");
	lf_cache_close(cache);
}

/* --- others, and their clocks ------------------------------------------------------------------------ */

static struct lf_text stamp_name(const char *tag)
{
	static char name[LF_STAMP_NAME_MAX];

	return (struct lf_text){ name, lf_stamp_name(cache, name, LF_STAMP_TAG, text_of("acme"), text_of(tag)) };
}

static bool is_gone(void *arg)
{
	return strcmp(fixture_get(space, arg), "(none)") == 0;
}

Test(cache_tags, an_invalidation_by_another_process_is_heard)
{
	struct lf_cache *other = fixture_cache(WITH_REDIS);
	char id[] = "a";

	open_with(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	cr_expect_eq(set_tagged(space, id, "x"), 1);
	cr_expect_str_eq(fixture_get(space, id), "a");
	cr_expect_eq(lf_cache_invalidate_tag(other, text_of("acme"), text_of("x"), NULL), 0);
	cr_expect(fixture_wait(is_gone, id));
	cr_expect_eq(set_tagged(space, id, "x"), 1);
	cr_expect_str_eq(fixture_get(space, id), "a");
	cr_expect_eq(lf_cache_flush(fixture_space(other, "user", "acme"), NULL), 0);
	cr_expect(fixture_wait(is_gone, id));
	lf_cache_close(other);
	lf_cache_close(cache);
}

Test(cache_tags, an_invalidation_outdoes_a_stamp_that_was_raised_with_a_clock_ahead)
{
	uint64_t ahead = (uint64_t)(fake_now_ms + 3600000) << 16;
	struct lf_text tag = text_of("x");
	struct lf_cache_set how = { .tags = &tag, .tags_count = 1 };

	open_with(WITH_MEMORY | WITH_REDIS);
	fake_poke_stamp(redis(), stamp_name("x"), ahead);
	cr_expect_eq(lf_cache_set(space, text_of("a"), text_of("1"), &how, NULL), 1);
	cr_expect_str_eq(fixture_get(space, "a"), "1", "it carries the stamp that is there");
	cr_expect_eq(invalidate("x"), 0);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	cr_expect_gt(fake_peek_stamp(redis(), stamp_name("x")), ahead);
	lf_cache_close(cache);
}

Test(cache_tags, a_stamp_is_asked_for_once_and_again_when_changes_may_have_been_missed)
{
	unsigned asked;

	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(set_tagged(space, "a", "x"), 1);
	asked = fake_calls(redis(), FAKE_STAMPS);
	cr_expect_str_eq(fixture_get(space, "a"), "a");
	cr_expect_eq(set_tagged(space, "b", "x"), 1);
	cr_expect_eq(fake_calls(redis(), FAKE_STAMPS), asked);
	fake_poke_stamp(redis(), text_of("elsewhere"), 1);
	lf_stamps_forget(cache);
	cr_expect_str_eq(fixture_get(space, "a"), "a");
	cr_expect_eq(fake_calls(redis(), FAKE_STAMPS), asked + 1);
	lf_stamps_forget(cache);
	fake_fail(redis(), FAKE_STAMPS, 2, LF_TIER_AWAY, false); /* of memory's record, and of the one in redis */
	cr_expect_str_eq(fixture_get(space, "a"), "(none)", "redis is there and does not say: it may have risen");
	cr_expect_str_eq(fixture_get(space, "a"), "a");
	lf_cache_close(cache);
}

static void heard_of_x(void *arg)
{
	struct lf_tier_change change = { LF_CHANGED_STAMP, stamp_name("x"), { lf_version_next(cache).clock, 7 } };

	(void)arg;
	lf_stamps_heard(cache, &change);
}

Test(cache_tags, a_stamp_that_rises_while_it_is_asked_for_is_not_lost)
{
	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(set_tagged(space, "a", "x"), 1);
	lf_stamps_forget(cache);
	fake_behind(redis(), FAKE_STAMPS, heard_of_x, NULL);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}

static void forget_all(void *arg)
{
	(void)arg;
	lf_stamps_forget(cache);
}

Test(cache_tags, an_answer_from_before_all_became_unknown_makes_nothing_known)
{
	unsigned asked;

	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(set_tagged(space, "a", "x"), 1);
	lf_stamps_forget(cache);
	asked = fake_calls(redis(), FAKE_STAMPS);
	fake_behind(redis(), FAKE_STAMPS, forget_all, NULL);
	(void)fixture_get(space, "a");
	(void)fixture_get(space, "a");
	cr_expect_eq(fake_calls(redis(), FAKE_STAMPS), asked + 2);
	lf_cache_close(cache);
}

Test(cache_tags, an_invalidation_is_higher_than_what_it_finds_in_the_tiers)
{
	struct lf_text name = text_of("app:test:%tag:acme:x");
	uint64_t ahead = (uint64_t)(fake_now_ms + 3600000) << 16;

	fake_poke_stamp(redis(), name, ahead); /* before there is a cache that could hear of it */
	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(invalidate("x"), 0);
	cr_expect_gt(fake_peek_stamp(redis(), name), ahead);
	lf_cache_close(cache);
}

/* --- tiers that are away ----------------------------------------------------------------------------- */

Test(cache_tags, an_invalidation_while_redis_is_away_is_kept_and_told_when_it_is_back)
{
	static const unsigned with[] = { WITH_MEMORY | WITH_SQLITE | WITH_REDIS, WITH_MEMORY | WITH_REDIS };

	for (size_t i = 0; i < 2; i++) {
		struct lf_record *record;

		open_with(with[i]);
		cr_expect_eq(set_tagged(space, "a", "x"), 1);
		cr_expect_eq(set_tagged(space, "b", "y"), 1);
		fake_down(redis(), true);
		cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_AWAY));
		cr_expect_eq(invalidate("x"), 0);
		cr_expect_eq(lf_cache_invalidate_prefix(space, text_of("b"), NULL), 0);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		cr_expect_str_eq(fixture_get(space, "b"), "(none)");
		fake_down(redis(), false);
		cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_UP));
		cr_expect_eq(lf_cache_settle(cache, 5000, NULL), 0);
		cr_expect_gt(fake_peek_stamp(redis(), stamp_name("x")), 0);
		record = fake_peek(redis(), fixture_key(space, "b"));
		cr_expect(!record || record->type == LF_RECORD_GONE);
		lf_record_drop(record);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		lf_cache_close(cache);
	}
}

/* --- so many that some are forgotten ------------------------------------------------------------------ */

Test(cache_tags, of_more_tags_than_are_kept_none_that_was_invalidated_comes_back)
{
	enum { FIRST = 16, MANY = 200000 };
	char name[32];

	open_with(WITH_MEMORY);
	for (int i = 0; i < FIRST; i++) {
		(void)snprintf(name, sizeof(name), "first-%d", i);
		cr_expect_eq(set_tagged(space, name, name), 1);
		cr_expect_eq(invalidate(name), 0);
	}
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "tag-%d", i);
		cr_assert_eq(invalidate(name), 0);
	}
	for (int i = 0; i < FIRST; i++) {
		(void)snprintf(name, sizeof(name), "first-%d", i);
		cr_expect_str_eq(fixture_get(space, name), "(none)");
		cr_expect_eq(set_tagged(space, name, name), 1);
		cr_expect_str_eq(fixture_get(space, name), name, "what is set afterwards is there");
	}
	lf_cache_close(cache);
}

Test(cache_tags, tags_that_a_lower_tier_keeps_are_forgotten_without_a_trace)
{
	enum { MANY = 70000 };
	char name[16];

	open_with(WITH_MEMORY | WITH_REDIS);
	cr_expect_eq(set_tagged(space, "old", "gone"), 1);
	cr_expect_eq(set_tagged(space, "a", "kept"), 1);
	cr_expect_eq(invalidate("gone"), 0);
	for (int i = 0; i < MANY; i++) {
		struct lf_tier_change change = { .kind = LF_CHANGED_STAMP, .version = lf_version_next(cache) };

		(void)snprintf(name, sizeof(name), "t%d", i);
		change.name = stamp_name(name);
		lf_stamps_heard(cache, &change);
	}
	cr_expect_str_eq(fixture_get(space, "old"), "(none)");
	cr_expect_str_eq(fixture_get(space, "a"), "a");
	lf_cache_close(cache);
}

Test(cache_tags, a_prefix_that_memory_had_no_time_to_drop_is_not_left_there)
{
	struct lf_cache_options options;
	char id[16];

	fixture_options(&options, WITH_MEMORY);
	options.deadline_ms = 1;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	for (int i = 0; i < 200000; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		cr_assert_eq(lf_cache_set(space, text_of(id), text_of("v"), NULL, NULL), 1);
	}
	cr_assert_eq(lf_cache_invalidate_prefix(space, text_of(""), NULL), 0);
	for (int i = 0; i < 200000; i += 100) {
		struct lf_record *record;

		(void)snprintf(id, sizeof(id), "%d", i);
		record = lf_memory_get(cache->tier[LF_CACHE_MEMORY].tier, fixture_key(space, id));
		cr_assert_null(record, "%s would be there when the prefix is forgotten", id);
	}
	lf_cache_close(cache);
}

/* --- prefixes ---------------------------------------------------------------------------------------- */

static bool passes(struct lf_prefixes *prefixes, const char *key, uint64_t clock, bool critical)
{
	struct lf_record record = { .type = LF_RECORD_STRING,
		                    .version = { clock, 1 },
		                    .flags = critical ? LF_RECORD_CRITICAL : 0 };

	return lf_prefixes_pass(prefixes, text_of(key), &record);
}

Test(cache_tags, more_prefixes_than_are_kept_become_a_floor_for_all_that_is_not_critical)
{
	struct lf_prefixes *prefixes = lf_prefixes_new(4);
	char name[16];

	for (int i = 0; i < 64; i++) {
		(void)snprintf(name, sizeof(name), "p%d:", i);
		cr_expect_eq(lf_prefixes_note(prefixes, text_of(name), 100 + (uint64_t)i), 0);
	}
	cr_expect_eq(lf_prefixes_note(prefixes, text_of("p5:"), 300), 0, "the same one takes no more room");
	cr_expect(passes(prefixes, "other", 50, false));
	cr_expect_not(passes(prefixes, "p0:x", 100, false));
	cr_expect(passes(prefixes, "p0:x", 101, false));
	cr_expect_not(passes(prefixes, "p5:x", 300, false));
	cr_expect_eq(lf_prefixes_note(prefixes, text_of("last:"), 400), 0);
	cr_expect_not(passes(prefixes, "other", 50, false), "nobody can tell any more");
	cr_expect(passes(prefixes, "other", 50, true));
	cr_expect(passes(prefixes, "other", 200, false));
	cr_expect_not(passes(prefixes, "last:x", 400, false));
	lf_prefixes_free(prefixes);
}

Test(cache_tags, who_lost_track_of_the_scope_says_nothing_of_what_is_critical)
{
	struct lf_prefixes *prefixes = lf_prefixes_new(4);

	cr_expect_eq(lf_prefixes_note(prefixes, text_of("a:e:"), 100), 0);
	cr_expect_not(passes(prefixes, "a:e:t:o:x", 100, false));
	cr_expect(passes(prefixes, "a:e:t:o:x", 100, true));
	cr_expect_eq(lf_prefixes_note(prefixes, text_of("a:e:t:o:"), 100), 0);
	cr_expect_not(passes(prefixes, "a:e:t:o:x", 100, true));
	lf_prefixes_free(prefixes);
}
