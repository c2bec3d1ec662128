/* What is changed while a loader makes it, whatever tiers there are. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>

#include "tests/unit/load_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;
static const struct lf_text tag = { "row:1", 5 };

static const unsigned stacks[] = { WITH_MEMORY, WITH_SQLITE, WITH_MEMORY | WITH_SQLITE, WITH_REDIS, WITH_MEMORY | WITH_REDIS,
	                           WITH_MEMORY | WITH_MONGO, WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO };
enum { STACKS = sizeof(stacks) / sizeof(*stacks) };

static void open_stack(size_t which)
{
	cache = load_cache(stacks[which], (struct lf_cache_class){ 0 });
	space = fixture_space(cache, "user", "acme");
}

static void set(void)
{
	cr_assert_eq(lf_cache_set(space, TEXT("1"), TEXT("set"), NULL, NULL), 1);
}

static void delete(void)
{
	cr_assert_geq(lf_cache_del(space, TEXT("1"), NULL), 0);
}

static void invalidate(void)
{
	cr_assert_eq(lf_cache_invalidate_tag(cache, TEXT("acme"), tag, NULL), 0);
}

static void flush(void)
{
	cr_assert_eq(lf_cache_flush(space, NULL), 0);
}

static const struct change {
	const char *name;
	void (*make)(void);
	const char *kept;
} changes[] = { { "set", set, "set" }, { "delete", delete, NULL }, { "invalidate", invalidate, NULL }, { "flush", flush, NULL } };
enum { CHANGES = sizeof(changes) / sizeof(*changes) };

/* Which change in which stack. */
struct place {
	size_t stack, change;
};

static struct criterion_test_params places(void)
{
	static struct place all[STACKS * CHANGES];

	for (size_t i = 0; i < STACKS * CHANGES; i++)
		all[i] = (struct place){ i / CHANGES, i % CHANGES };
	return cr_make_param_array(struct place, all, STACKS * CHANGES);
}

static const struct change *now;

static int change_it(struct source *source, struct lf_text id, struct lf_error *err)
{
	(void)id;
	(void)err;
	source->also = NULL;
	now->make();
	return 0;
}

ParameterizedTestParameters(cache_load_changes, what_is_changed_while_it_is_loaded_is_not_overwritten)
{
	return places();
}

ParameterizedTest(struct place *place, cache_load_changes, what_is_changed_while_it_is_loaded_is_not_overwritten)
{
	struct source source = { .value = "old", .how = { .tags = &tag, .tags_count = 1 }, .also = change_it };

	open_stack(place->stack);
	now = &changes[place->change];
	load_expect(space, &source, "old", false);
	load_expect_kept(space, now->kept);
	source.value = "new";
	load_expect(space, &source, now->kept ? now->kept : "new", false);
	lf_cache_close(cache);
}

/* What was dropped is remembered for a minute, and by who was there: nothing of it may lie in a tier that lasts. */
Test(cache_load_changes, what_was_begun_before_a_flush_is_not_there_for_who_comes_after_it)
{
	static const unsigned lasting[] = { WITH_MEMORY | WITH_SQLITE, WITH_MEMORY | WITH_REDIS,
		                            WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO };

	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++) {
		struct source source = { .value = "old", .also = change_it };
		struct lf_cache_options options;

		cache = fixture_open(fixture_options(&options, lasting[i]));
		space = fixture_space(cache, "user", "acme");
		now = &changes[CHANGES - 1];
		load_expect(space, &source, "old", false);
		lf_cache_close(cache);
		cache = fixture_open(&options);
		space = fixture_space(cache, "user", "acme");
		load_expect_kept(space, NULL);
		lf_cache_close(cache);
	}
}

ParameterizedTestParameters(cache_load_changes, who_asks_after_a_change_gets_nothing_from_before_it)
{
	return places();
}

ParameterizedTest(struct place *place, cache_load_changes, who_asks_after_a_change_gets_nothing_from_before_it)
{
	struct source old = { .value = "old", .held = true, .how = { .tags = &tag, .tags_count = 1 } }, new = { .value = "new" };
	struct caller first = { 0 }, after = { 0 };

	open_stack(place->stack);
	now = &changes[place->change];
	caller_start(&first, space, &old);
	until_inside(&old);
	now->make();
	caller_start(&after, space, &new);
	if (!now->kept)
		until_waiting(space, 1); /* for the old loader, in vain */
	atomic_store(&old.held, false);
	caller_join(&first, 1, "old");
	caller_join(&after, 1, now->kept ? now->kept : "new");
	load_expect_kept(space, now->kept ? now->kept : "new");
	lf_cache_close(cache);
}

Test(cache_load_changes, what_is_too_long_to_be_kept_is_not_handed_on_past_a_change_either)
{
	static char too_long[1002];
	struct source old = { .value = too_long, .held = true }, new = { .value = "new" };
	struct caller first = { 0 }, after = { 0 };

	for (int i = 0; i < 1001; i++)
		too_long[i] = 'x';
	open_stack(0);
	caller_start(&first, space, &old);
	until_inside(&old);
	delete();
	caller_start(&after, space, &new);
	until_waiting(space, 1);
	atomic_store(&old.held, false);
	caller_join(&first, 1, too_long);
	caller_join(&after, 1, "new");
	lf_cache_close(cache);
}

static struct source behind_it = { .value = "new" };
static struct caller after_it;

/* In the loader's thread: its value is stored, and it does not know it yet. */
static void delete_and_ask(void *arg)
{
	static bool inside;

	(void)arg;
	if (inside)
		return;
	inside = true;
	delete();
	caller_start(&after_it, space, &behind_it);
	until_waiting(space, 1);
}

Test(cache_load_changes, what_is_deleted_right_after_it_was_stored_is_not_handed_on)
{
	struct source old = { .value = "old" };

	open_stack(4);
	cr_assert(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_UP));
	fake_behind(fake_server(LF_CACHE_REDIS), FAKE_STORE, delete_and_ask, NULL);
	load_expect(space, &old, "old", false);
	caller_join(&after_it, 1, "new");
	load_expect_kept(space, "new");
	lf_cache_close(cache);
}

Test(cache_load_changes, who_waited_and_starts_over_shares_the_second_load)
{
	struct source source = { .value = "old", .held = true, .how = { .tags = &tag, .tags_count = 1 } };
	struct caller first = { 0 }, others[5] = { 0 };

	open_stack(0);
	caller_start(&first, space, &source);
	until_inside(&source);
	for (int i = 0; i < 5; i++)
		caller_start(&others[i], space, &source);
	until_waiting(space, 5);
	invalidate();
	atomic_store(&source.held, false);
	caller_join(&first, 1, "old");
	for (int i = 0; i < 5; i++)
		caller_join(&others[i], 1, "old");
	cr_assert_eq(atomic_load(&source.calls), 2);
	lf_cache_close(cache);
}

Test(cache_load_changes, who_asks_for_a_fresh_value_gets_none_that_was_begun_before)
{
	struct source old = { .value = "old", .held = true }, new = { .value = "new" };
	struct caller first = { 0 }, fresh = { .how.fresh = true };

	open_stack(0);
	caller_start(&first, space, &old);
	until_inside(&old);
	caller_start(&fresh, space, &new);
	until_waiting(space, 1);
	atomic_store(&old.held, false);
	caller_join(&first, 1, "old");
	caller_join(&fresh, 1, "new");
	load_expect_kept(space, "new");
	lf_cache_close(cache);
}
