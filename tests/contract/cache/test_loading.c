/* get_or_set, and a cache that is disabled. */
#include "tests/contract/cache/stand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

TestSuite(cache_loading, .init = open_stand, .fini = close_stand);

/* A loader that says what it is told, and counts. */
struct source {
	_Atomic int calls, released;
	int rc;
	struct lf_text value;
	struct lf_cache_set how;
	int takes_ms;
};

static void release(struct lf_cache_loaded *loaded)
{
	struct source *source = loaded->data;

	free((char *)(uintptr_t)loaded->value.data);
	atomic_fetch_add(&source->released, 1);
}

static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *why)
{
	struct source *source = arg;
	struct timespec pause = { 0, source->takes_ms * 1000000L };

	atomic_fetch_add(&source->calls, 1);
	cr_assert_eq(out->how.ttl_ms, 0);
	(void)nanosleep(&pause, NULL);
	if (source->rc < 0)
		return lf_fail(why, source->rc, "no answer for %.*s", (int)id.len, id.data);
	if (source->rc == 1) {
		char *copy = malloc(source->value.len + 1);

		memcpy(copy, source->value.data, source->value.len);
		*out = (struct lf_cache_loaded){ { copy, source->value.len }, source->how, release, source };
	}
	return source->rc;
}

static void expect_loaded(struct source *source, struct lf_cache_space *space, struct lf_text id, int want_calls)
{
	struct lf_cache_load how = { .load = load, .arg = source };
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_get_or_set(space, id, &how, &found, &err));
	cr_assert(found.len == source->value.len && memcmp(found.data, source->value.data, found.len) == 0);
	lf_cache_value_release(&found);
	cr_assert_eq(atomic_load(&source->calls), want_calls, "%d calls", atomic_load(&source->calls));
	cr_assert_eq(atomic_load(&source->released), want_calls);
}

Test(cache_loading, a_value_is_loaded_once_and_then_found)
{
	struct source source = { .rc = 1, .value = BYTES };

	expect_loaded(&source, users, TEXT("1"), 1);
	expect_loaded(&source, users, TEXT("1"), 1);
	expect_value(users, TEXT("1"), BYTES);
	only_below();
	expect_loaded(&source, users, TEXT("1"), 1);
	expect_loaded(&source, users, TEXT("2"), 2);
}

Test(cache_loading, a_value_that_is_there_is_not_loaded_unless_it_is_to_be_fresh)
{
	struct source source = { .rc = 1, .value = TEXT("new") };
	struct lf_cache_load fresh = { .load = load, .arg = &source, .fresh = true };
	struct lf_cache_value found = { .record = NULL };

	set_to(users, TEXT("1"), TEXT("new"));
	expect_loaded(&source, users, TEXT("1"), 0);
	set_to(users, TEXT("1"), TEXT("old"));
	expect(1, lf_cache_get_or_set(users, TEXT("1"), &fresh, &found, &err));
	lf_cache_value_release(&found);
	cr_assert_eq(atomic_load(&source.calls), 1);
	expect_value(users, TEXT("1"), TEXT("new"));
}

Test(cache_loading, what_the_loader_says_of_ttl_and_tags_holds)
{
	struct lf_text tag = TEXT("a");
	struct source source = { .rc = 1, .value = TEXT("v"), .how = { .ttl_ms = DAY_MS, .tags = &tag, .tags_count = 1 } };

	expect_loaded(&source, users, TEXT("1"), 1);
	expect_ttl(users, TEXT("1"), DAY_MS);
	clock_moves(DAY_MS);
	expect_loaded(&source, users, TEXT("1"), 2);
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), tag, &err));
	expect_loaded(&source, users, TEXT("1"), 3);
	expect_loaded(&source, users, TEXT("1"), 3);
}

Test(cache_loading, a_loader_that_has_nothing_is_asked_again_unless_its_class_remembers)
{
	struct source source = { .rc = 0 };
	struct lf_cache_load how = { .load = load, .arg = &source };
	struct lf_cache_space *guesses = space_of(cache, "guess", "acme");
	struct lf_cache_value found = { .record = NULL };

	for (int i = 1; i <= 2; i++) {
		expect(0, lf_cache_get_or_set(users, TEXT("1"), &how, &found, &err));
		cr_assert_eq(atomic_load(&source.calls), i);
	}
	for (int i = 0; i < 3; i++) {
		expect(0, lf_cache_get_or_set(guesses, TEXT("1"), &how, &found, &err));
		cr_assert_eq(atomic_load(&source.calls), 3);
		only_below();
	}
	expect_nothing(guesses, TEXT("1"));
	cr_assert_eq(times_in_scan(guesses, NULL, TEXT("1")), 0);
	clock_moves(5000);
	expect(0, lf_cache_get_or_set(guesses, TEXT("1"), &how, &found, &err));
	cr_assert_eq(atomic_load(&source.calls), 4);
	set_to(guesses, TEXT("1"), TEXT("v"));
	source.value = TEXT("v");
	source.released = 4;
	expect_loaded(&source, guesses, TEXT("1"), 4);
}

/* Somebody made the row, and deletes what the cache remembers of it. */
Test(cache_loading, del_makes_it_forget_that_there_was_nothing)
{
	struct source source = { .rc = 0 };
	struct lf_cache_load how = { .load = load, .arg = &source };
	struct lf_cache_space *guesses = space_of(cache, "guess", "acme");
	struct lf_cache_value found = { .record = NULL };

	expect(0, lf_cache_get_or_set(guesses, TEXT("1"), &how, &found, &err));
	expect(0, lf_cache_del(guesses, TEXT("1"), &err));
	source.rc = 1;
	source.value = TEXT("now");
	expect(1, lf_cache_get_or_set(guesses, TEXT("1"), &how, &found, &err));
	lf_cache_value_release(&found);
	expect_value(guesses, TEXT("1"), TEXT("now"));
}

Test(cache_loading, a_loaders_failure_is_the_callers_and_nothing_is_kept)
{
	struct source source = { .rc = -EIO };
	struct lf_cache_load how = { .load = load, .arg = &source };
	struct lf_cache_value found = { .record = NULL };

	expect(-EIO, lf_cache_get_or_set(users, TEXT("1"), &how, &found, &err));
	cr_assert_not_null(strstr(err.text, "no answer for 1"), "%s", err.text);
	expect_nothing(users, TEXT("1"));
	source = (struct source){ .rc = 1, .value = TEXT("v") };
	expect_loaded(&source, users, TEXT("1"), 1);
}

Test(cache_loading, an_id_that_is_none_is_refused_before_the_loader_is_called)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_load how = { .load = load, .arg = &source };
	struct lf_cache_value found = { .record = NULL };

	expect(-EINVAL, lf_cache_get_or_set(users, TEXT(""), &how, &found, &err));
	cr_assert_eq(atomic_load(&source.calls), 0);
}

Test(cache_loading, a_space_has_a_loader_of_its_own)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_value found = { .record = NULL };

	lf_cache_space_loader(users, load, &source);
	for (int i = 0; i < 2; i++) {
		expect(1, lf_cache_fetch(users, TEXT("1"), &found, &err));
		lf_cache_value_release(&found);
		cr_assert_eq(atomic_load(&source.calls), 1);
	}
}

/* --- many at once ------------------------------------------------------------------------------------- */

struct caller {
	pthread_t thread;
	struct lf_cache_space *space;
	struct source *source;
	int rc;
	bool right;
};

static void *call(void *arg)
{
	struct caller *caller = arg;
	struct lf_cache_load how = { .load = load, .arg = caller->source };
	struct lf_cache_value found = { .record = NULL };
	struct lf_error mine;

	caller->rc = lf_cache_get_or_set(caller->space, TEXT("1"), &how, &found, &mine);
	caller->right = caller->rc == 1 && found.len == 1 && *found.data == 'v';
	lf_cache_value_release(&found);
	return NULL;
}

static void call_at_once(struct caller *callers, size_t count, struct source *source, struct lf_cache_space *even,
                         struct lf_cache_space *odd)
{
	for (size_t i = 0; i < count; i++) {
		callers[i] = (struct caller){ .space = i % 2 ? odd : even, .source = source };
		cr_assert_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(pthread_join(callers[i].thread, NULL), 0);
}

Test(cache_loading, threads_that_ask_at_once_wait_for_one_loader)
{
	struct source source = { .rc = 1, .value = TEXT("v"), .takes_ms = 50 };
	struct caller callers[8];

	call_at_once(callers, COUNT_OF(callers), &source, users, users);
	cr_assert_eq(atomic_load(&source.calls), 1);
	for (size_t i = 0; i < COUNT_OF(callers); i++)
		cr_assert(callers[i].right, "%d", callers[i].rc);
}

Test(cache_loading, where_redis_is_caches_that_ask_at_once_wait_for_one_loader)
{
	struct source source = { .rc = 1, .value = TEXT("v"), .takes_ms = 50 };
	struct caller callers[8];
	struct lf_cache *other = open_another();

	call_at_once(callers, COUNT_OF(callers), &source, users, space_of(other, "user", "acme"));
	cr_assert_leq(atomic_load(&source.calls), has(LF_CACHE_REDIS) ? 1 : 2);
	for (size_t i = 0; i < COUNT_OF(callers); i++)
		cr_assert(callers[i].right, "%d", callers[i].rc);
	lf_cache_close(other);
}

/* What the loader read may be older than the invalidation. */
static int load_and_invalidate(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *why)
{
	static struct lf_text tag = TEXT("a");
	int rc = load(arg, id, out, why);

	out->how = (struct lf_cache_set){ .tags = &tag, .tags_count = 1 };
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), tag, &err));
	return rc;
}

Test(cache_loading, what_is_invalidated_while_it_is_loaded_is_its_callers_alone)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_load how = { .load = load_and_invalidate, .arg = &source };
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_get_or_set(users, TEXT("1"), &how, &found, &err));
	lf_cache_value_release(&found);
	expect_nothing(users, TEXT("1"));
}

static int load_and_delete(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *why)
{
	int rc = load(arg, id, out, why);

	cr_assert_geq(lf_cache_del(users, id, &err), 0, "%s", err.text);
	return rc;
}

Test(cache_loading, what_is_deleted_while_it_is_loaded_does_not_come_back)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_load how = { .load = load_and_delete, .arg = &source };
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_get_or_set(users, TEXT("1"), &how, &found, &err));
	lf_cache_value_release(&found);
	expect_nothing(users, TEXT("1"));
	only_below();
	expect_nothing(users, TEXT("1"));
}

static int load_and_set(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *why)
{
	int rc = load(arg, id, out, why);

	set_to(users, id, TEXT("set meanwhile"));
	return rc;
}

Test(cache_loading, what_is_set_while_it_is_loaded_stays)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_load how = { .load = load_and_set, .arg = &source };
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_get_or_set(users, TEXT("1"), &how, &found, &err));
	lf_cache_value_release(&found);
	expect_value(users, TEXT("1"), TEXT("set meanwhile"));
	only_below();
	expect_value(users, TEXT("1"), TEXT("set meanwhile"));
}

/* --- disabled ----------------------------------------------------------------------------------------- */

Test(cache_loading, disabled_it_finds_and_keeps_nothing_and_loaders_answer)
{
	struct source source = { .rc = 1, .value = TEXT("v") };
	struct lf_cache_value found = { .record = NULL };

	set_to(users, TEXT("1"), TEXT("before"));
	lf_cache_enable(cache, false);
	expect(0, lf_cache_get(users, TEXT("1"), &found, &err));
	expect(0, lf_cache_exists(users, TEXT("1"), &err));
	expect(1, lf_cache_set(users, TEXT("2"), TEXT("v"), NULL, &err));
	expect(0, lf_cache_get(users, TEXT("2"), &found, &err));
	expect_loaded(&source, users, TEXT("3"), 1);
	expect_loaded(&source, users, TEXT("3"), 2);
	lf_cache_enable(cache, true);
	expect_value(users, TEXT("1"), TEXT("before"));
	expect_nothing(users, TEXT("2"));
	expect_nothing(users, TEXT("3"));
}

Test(cache_loading, disabled_it_keeps_what_is_invalidated)
{
	set_tagged(users, TEXT("1"), "a");
	set_to(users, TEXT("p:1"), TEXT("v"));
	set_to(users, TEXT("2"), TEXT("v"));
	lf_cache_enable(cache, false);
	expect(0, lf_cache_invalidate_tag(cache, TEXT("acme"), TEXT("a"), &err));
	expect(0, lf_cache_invalidate_prefix(users, TEXT("p:"), &err));
	lf_cache_enable(cache, true);
	expect_nothing(users, TEXT("1"));
	expect_nothing(users, TEXT("p:1"));
	expect_value(users, TEXT("2"), TEXT("v"));
}
