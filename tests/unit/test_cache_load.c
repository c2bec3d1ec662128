#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/load_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;
static struct lf_error err;

static void open_with(struct lf_cache_class of_all)
{
	lf_cache_close(cache);
	cache = load_cache(WITH_MEMORY, of_all);
	space = fixture_space(cache, "user", "acme");
}

static void open_cache(void)
{
	open_with((struct lf_cache_class){ 0 });
}

static void close_cache(void)
{
	lf_cache_close(cache);
}

static uint64_t counted(enum lf_counter which)
{
	return lf_counted(cache->counters, which);
}

TestSuite(cache_load, .init = open_cache, .fini = close_cache);

/* --- loading --------------------------------------------------------------------------------------- */

Test(cache_load, a_value_is_loaded_where_there_is_none_and_then_found)
{
	struct source source = { .value = "one" };
	struct lf_cache_value value;

	cr_assert_eq(load_get(space, &source, &value, &err), 1);
	load_expect_value(&value, "one");
	cr_assert_eq(value.tier, LF_CACHE_TIERS);
	lf_cache_value_release(&value);
	cr_assert_eq(load_get(space, &source, &value, &err), 1);
	load_expect_value(&value, "one");
	cr_assert_eq(value.tier, LF_CACHE_MEMORY);
	lf_cache_value_release(&value);
	cr_assert_eq(atomic_load(&source.calls), 1);
	cr_assert_eq(atomic_load(&source.releases), 1);
	cr_assert_eq(counted(LF_COUNT_LOADS), 1);
	cr_assert_eq(counted(LF_COUNT_HITS), 1);
	cr_assert_eq(counted(LF_COUNT_MISSES), 1);
}

Test(cache_load, of_callers_that_come_at_once_one_loads_and_all_get_it)
{
	enum { CALLERS = 20 };
	struct caller callers[CALLERS] = { 0 };
	struct source source = { .value = "one", .held = true };

	for (int i = 0; i < CALLERS; i++)
		caller_start(&callers[i], space, &source);
	until_waiting(space, CALLERS - 1);
	atomic_store(&source.held, false);
	for (int i = 0; i < CALLERS; i++)
		caller_join(&callers[i], 1, "one");
	cr_assert_eq(atomic_load(&source.calls), 1);
	cr_assert_eq(counted(LF_COUNT_LOAD_WAITS), CALLERS - 1);
}

/* In the caller's thread, after it has looked and before it loads. */
static void load_first(void *arg, const struct lf_cache_notice *notice)
{
	static bool inside;

	(void)notice;
	if (inside)
		return;
	inside = true;
	load_expect(space, arg, "one", false);
}

Test(cache_load, what_was_loaded_between_a_look_and_a_load_is_not_loaded_again)
{
	struct source source = { .value = "one" };

	cr_assert_geq(lf_cache_listen(cache, 1u << LF_CACHE_MISS, load_first, &source, &err), 0);
	load_expect(space, &source, "one", false);
	cr_assert_eq(atomic_load(&source.calls), 1);
}

Test(cache_load, who_does_not_wait_as_long_as_the_loader_takes_is_told_and_the_loader_goes_on)
{
	struct source source = { .value = "one", .held = true };
	struct caller first = { 0 }, second = { .how.wait_ms = 10 };

	caller_start(&first, space, &source);
	until_inside(&source);
	caller_start(&second, space, &source);
	caller_join(&second, -ETIMEDOUT, NULL);
	cr_assert_not_null(strstr(second.err.text, "wait_ms"), "%s", second.err.text);
	atomic_store(&source.held, false);
	caller_join(&first, 1, "one");
	load_expect_kept(space, "one");
}

Test(cache_load, a_failure_reaches_all_who_wait_with_its_sentence_and_is_not_kept)
{
	struct source source = { .fails = -EIO, .sentence = "the disk is gone", .held = true };
	struct caller callers[3] = { 0 };

	for (int i = 0; i < 3; i++)
		caller_start(&callers[i], space, &source);
	until_waiting(space, 2);
	atomic_store(&source.held, false);
	for (int i = 0; i < 3; i++) {
		caller_join(&callers[i], -EIO, NULL);
		cr_assert_str_eq(callers[i].err.text, "the disk is gone");
	}
	cr_assert_eq(atomic_load(&source.calls), 1);
	cr_assert_eq(atomic_load(&source.releases), 0, "of what failed there is nothing to release");
	cr_assert_eq(counted(LF_COUNT_LOAD_FAILURES), 1);
	source.fails = 0;
	source.value = "now";
	load_expect(space, &source, "now", false);
}

Test(cache_load, a_loader_that_fails_without_a_word_is_given_one)
{
	struct source source = { .fails = -EACCES };
	struct lf_cache_value value;

	cr_assert_eq(load_get(space, &source, &value, &err), -EACCES);
	cr_assert_not_null(strstr(err.text, "user:acme:1"), "%s", err.text);
}

Test(cache_load, even_minus_eagain_of_a_loader_is_a_failure_like_any_other)
{
	struct source source = { .fails = -EAGAIN, .sentence = "come again", .held = true };
	struct caller first = { 0 }, second = { 0 };

	caller_start(&first, space, &source);
	until_inside(&source);
	caller_start(&second, space, &source);
	until_waiting(space, 1);
	atomic_store(&source.held, false);
	caller_join(&first, -EAGAIN, NULL);
	caller_join(&second, -EAGAIN, NULL);
	cr_assert_eq(atomic_load(&source.calls), 1);
}

Test(cache_load, what_a_loader_says_wrongly_is_its_failure)
{
	struct lf_text empty = { "", 0 };
	struct source source = { .value = "one", .how = { .tags = &empty, .tags_count = 1 } };
	struct lf_cache_load how = { .load = source_load, .arg = &source };
	struct lf_cache_value value;

	cr_assert_eq(load_get(space, &source, &value, &err), -EINVAL);
	cr_assert_eq(atomic_load(&source.releases), 1);
	cr_assert_eq(lf_cache_get_or_set(space, TEXT(""), &how, &value, &err), -EINVAL);
	cr_assert_eq(atomic_load(&source.calls), 1, "an empty id is no key: nothing is loaded");
}

Test(cache_load, a_value_that_is_too_long_to_be_kept_is_handed_out)
{
	char long_value[1002] = "";
	struct source source = { .value = memset(long_value, 'x', 1001) };

	load_expect(space, &source, long_value, false);
	load_expect(space, &source, long_value, false);
	cr_assert_eq(atomic_load(&source.calls), 2);
}

Test(cache_load, a_hash_is_not_overwritten)
{
	struct lf_cache_field field = { TEXT("f"), TEXT("v") };
	struct source source = { .value = "one" };
	struct lf_cache_value value;

	cr_assert_eq(lf_cache_hset(space, TEXT("1"), &field, 1, &err), 1);
	cr_assert_eq(load_get(space, &source, &value, &err), -EPROTOTYPE);
	cr_assert_eq(atomic_load(&source.calls), 0);
}

Test(cache_load, a_space_fetches_by_its_own_loader)
{
	struct source source = { .value = "one" };
	struct lf_cache_value value;

	cr_assert_eq(lf_cache_fetch(space, TEXT("1"), &value, &err), -EINVAL);
	lf_cache_space_loader(space, source_load, &source);
	cr_assert_eq(lf_cache_fetch(space, TEXT("1"), &value, &err), 1);
	load_expect_value(&value, "one");
	lf_cache_value_release(&value);
}

Test(cache_load, disabled_each_call_loads_and_nothing_is_kept)
{
	struct source source = { .value = "one", .held = true };
	struct caller callers[3] = { 0 };

	lf_cache_enable(cache, false);
	for (int i = 0; i < 3; i++)
		caller_start(&callers[i], space, &source);
	until_number(&source.inside, 3, "inside the loader");
	atomic_store(&source.held, false);
	for (int i = 0; i < 3; i++)
		caller_join(&callers[i], 1, "one");
	lf_cache_enable(cache, true);
	load_expect_kept(space, NULL);
}

/* --- there is none --------------------------------------------------------------------------------- */

Test(cache_load, that_there_is_none_is_remembered_as_long_as_the_class_says)
{
	struct source source = { .value = NULL };
	struct lf_cache_value value;

	open_with((struct lf_cache_class){ .negative_ms = 1000 });
	cr_assert_eq(load_get(space, &source, &value, &err), 0);
	atomic_fetch_add(&fake_now_ms, 999);
	cr_assert_eq(load_get(space, &source, &value, &err), 0);
	cr_assert_eq(atomic_load(&source.calls), 1);
	cr_assert_eq(counted(LF_COUNT_NEGATIVE_HITS), 1);
	load_expect_kept(space, NULL);
	cr_assert_eq(lf_cache_exists(space, TEXT("1"), &err), 0);
	atomic_fetch_add(&fake_now_ms, 1);
	source.value = "now";
	load_expect(space, &source, "now", false);
}

Test(cache_load, a_value_that_is_set_is_found_though_there_was_none)
{
	struct source source = { .value = NULL };
	struct lf_cache_value value;

	open_with((struct lf_cache_class){ .negative_ms = 1000 });
	cr_assert_eq(load_get(space, &source, &value, &err), 0);
	cr_assert_eq(lf_cache_set(space, TEXT("1"), TEXT("set"), NULL, &err), 1);
	load_expect(space, &source, "set", false);
	cr_assert_eq(atomic_load(&source.calls), 1);
}

Test(cache_load, without_a_class_that_says_so_it_is_not_remembered)
{
	struct source source = { .value = NULL };
	struct lf_cache_value value;

	cr_assert_eq(load_get(space, &source, &value, &err), 0);
	cr_assert_eq(load_get(space, &source, &value, &err), 0);
	cr_assert_eq(atomic_load(&source.calls), 2);
}

Test(cache_load, a_row_that_is_gone_takes_its_old_value_along)
{
	struct source source = { .value = "one" };
	struct lf_cache_load fresh = { .load = source_load, .arg = &source, .fresh = true };
	struct lf_cache_value value;

	load_expect(space, &source, "one", false);
	source.value = NULL;
	cr_assert_eq(lf_cache_get_or_set(space, TEXT("1"), &fresh, &value, &err), 0);
	load_expect_kept(space, NULL);
}

/* --- loaders in loaders ---------------------------------------------------------------------------- */

static int get_another(struct source *source, struct lf_text id, struct lf_error *error)
{
	struct source inner = { .value = "inner" };
	struct lf_cache_load how = { .load = source_load, .arg = &inner };
	struct lf_cache_value value;
	int rc = lf_cache_get_or_set(space, TEXT("2"), &how, &value, error);

	(void)id;
	(void)source;
	lf_cache_value_release(&value);
	return rc == 1 ? 0 : rc;
}

static int get_itself(struct source *source, struct lf_text id, struct lf_error *error)
{
	struct lf_cache_load how = { .load = source_load, .arg = source };
	struct lf_cache_value value;
	int rc = lf_cache_get_or_set(space, id, &how, &value, error);

	lf_cache_value_release(&value);
	return rc == 1 ? 0 : rc;
}

Test(cache_load, a_loader_may_load_another_key)
{
	struct source source = { .value = "outer", .also = get_another };

	load_expect(space, &source, "outer", false);
	cr_assert_eq(lf_cache_exists(space, TEXT("2"), &err), 1);
}

Test(cache_load, a_loader_that_asks_for_its_own_key_is_told_so)
{
	struct source source = { .value = "one", .also = get_itself };
	struct lf_cache_value value;

	cr_assert_eq(load_get(space, &source, &value, &err), -EDEADLK);
	cr_assert_not_null(strstr(err.text, "waits for itself"), "%s", err.text);
	cr_assert_eq(atomic_load(&source.calls), 1);
}
