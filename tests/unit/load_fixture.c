#include "tests/unit/load_fixture.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "hashing/clock.h"

enum { DEADLINE_MS = 20000 };

static void released(struct lf_cache_loaded *loaded)
{
	struct source *source = loaded->data;

	atomic_fetch_add(&source->releases, 1);
}

static int what_it_says(struct source *source, struct lf_cache_loaded *out, struct lf_error *err)
{
	if (source->fails)
		return source->sentence ? lf_fail(err, source->fails, "%s", source->sentence) : source->fails;
	if (!source->value)
		return 0;
	out->value = text_of(source->value);
	out->how = source->how;
	return 1;
}

int source_load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	struct source *source = arg;
	int rc = 0;

	atomic_fetch_add(&source->calls, 1);
	atomic_fetch_add(&source->inside, 1);
	while (atomic_load(&source->held))
		(void)poll(NULL, 0, 1);
	if (source->also)
		rc = source->also(source, id, err);
	if (rc == 0)
		rc = what_it_says(source, out, err);
	out->data = source;
	out->release = released;
	atomic_fetch_sub(&source->inside, 1);
	return rc;
}

struct lf_cache *load_cache(unsigned tiers, struct lf_cache_class of_all)
{
	struct lf_cache_options options;

	(void)fixture_options(&options, tiers);
	options.classes = &of_all;
	options.classes_count = 1;
	options.value_max = 1000;
	options.workers = 2;
	return fixture_open(&options);
}

int load_get(struct lf_cache_space *space, struct source *source, struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_cache_load how = { .load = source_load, .arg = source };

	return lf_cache_get_or_set(space, TEXT("1"), &how, out, err);
}

void load_expect_value(const struct lf_cache_value *value, const char *expected)
{
	cr_assert(value->len == strlen(expected) && memcmp(value->data, expected, value->len) == 0, "'%.*s', not '%s'",
	          (int)value->len, value->data, expected);
}

void load_expect(struct lf_cache_space *space, struct source *source, const char *expected, bool stale)
{
	struct lf_cache_value value;
	struct lf_error err = { "" };
	int rc = load_get(space, source, &value, &err);

	cr_assert_eq(rc, 1, "%d: %s", rc, err.text);
	load_expect_value(&value, expected);
	cr_assert_eq(value.stale, stale, "stale: %d", value.stale);
	lf_cache_value_release(&value);
}

void load_expect_kept(struct lf_cache_space *space, const char *expected)
{
	cr_assert_str_eq(fixture_get(space, "1"), expected ? expected : "(none)");
}

/* --- somebody else --------------------------------------------------------------------------------- */

static void *call(void *arg)
{
	struct caller *caller = arg;

	caller->rc = lf_cache_get_or_set(caller->space, TEXT("1"), &caller->how, &caller->value, &caller->err);
	return NULL;
}

void caller_start(struct caller *caller, struct lf_cache_space *space, struct source *source)
{
	caller->space = space;
	caller->how.load = source_load;
	caller->how.arg = source;
	cr_assert_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
}

void caller_join(struct caller *caller, int rc, const char *expected)
{
	(void)pthread_join(caller->thread, NULL);
	cr_assert_eq(caller->rc, rc, "%d: %s", caller->rc, caller->err.text);
	if (rc == 1)
		load_expect_value(&caller->value, expected);
	lf_cache_value_release(&caller->value);
}

/* --- waiting --------------------------------------------------------------------------------------- */

void until_number(_Atomic int *number, int expected, const char *what)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (atomic_load(number) != expected) {
		cr_assert_lt(lf_clock_ms(), end_ms, "%s: %d, not %d", what, atomic_load(number), expected);
		(void)poll(NULL, 0, 1);
	}
}

void until_inside(struct source *source)
{
	until_number(&source->inside, 1, "inside the loader");
}

void until_waiting(struct lf_cache_space *space, unsigned count)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (lf_flights_waiting(space->cache->flights, fixture_key(space, "1")) != count) {
		cr_assert_lt(lf_clock_ms(), end_ms, "fewer than %u wait", count);
		(void)poll(NULL, 0, 1);
	}
}

void until_ended(struct lf_cache *cache, uint64_t count)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (lf_flights_now(cache->flights).ended < count) {
		cr_assert_lt(lf_clock_ms(), end_ms, "only %lu have ended", (unsigned long)lf_flights_now(cache->flights).ended);
		(void)poll(NULL, 0, 1);
	}
}
