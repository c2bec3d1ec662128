/* Strings, numbers and hashes, as logfold/cache.h says. */
#include "tests/contract/cache/stand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

TestSuite(cache_values, .init = open_stand, .fini = close_stand);

/* --- get, set, del ------------------------------------------------------------------------------------ */

Test(cache_values, a_value_that_was_set_is_read_back_from_memory_and_from_below)
{
	static char largest[VALUE_MAX];
	struct lf_text of_all_sorts[] = { TEXT("v"), TEXT(""), BYTES, { largest, VALUE_MAX } };

	for (size_t i = 0; i < COUNT_OF(of_all_sorts); i++) {
		set_to(users, BYTES, of_all_sorts[i]);
		expect_value(users, BYTES, of_all_sorts[i]);
		only_below();
		expect_value(users, BYTES, of_all_sorts[i]);
	}
}

Test(cache_values, what_was_never_set_is_not_there)
{
	struct lf_cache_value found = { .record = NULL };

	expect_nothing(users, TEXT("1"));
	expect(0, lf_cache_hget(users, TEXT("1"), TEXT("f"), &found, &err));
	expect(0, lf_cache_hgetall(users, TEXT("1"), &found, &err));
	expect(0, lf_cache_hexists(users, TEXT("1"), TEXT("f"), &err));
	expect(0, lf_cache_del(users, TEXT("1"), &err));
	expect(0, lf_cache_expire(users, TEXT("1"), 1000, &err));
	expect(0, lf_cache_persist(users, TEXT("1"), &err));
}

Test(cache_values, a_value_that_was_read_stays_until_it_is_released)
{
	struct lf_cache_value found = { .record = NULL };

	set_to(users, TEXT("1"), TEXT("first"));
	expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
	set_to(users, TEXT("1"), TEXT("second"));
	expect(1, lf_cache_del(users, TEXT("1"), &err));
	expect(0, lf_cache_flush(users, &err));
	cr_assert_eq(found.len, 5);
	cr_assert_arr_eq(found.data, "first", 5);
	lf_cache_value_release(&found);
	lf_cache_value_release(&found);
}

Test(cache_values, a_value_that_was_read_stays_after_its_cache_was_closed)
{
	struct lf_cache_value found = { .record = NULL };

	set_to(users, TEXT("1"), TEXT("first"));
	expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
	lf_cache_close(cache);
	cr_assert_arr_eq(found.data, "first", 5);
	lf_cache_value_release(&found);
	cache = NULL;
}

Test(cache_values, set_puts_a_string_in_the_place_of_a_hash)
{
	set_field(users, TEXT("1"), TEXT("f"), TEXT("v"));
	set_to(users, TEXT("1"), TEXT("string"));
	expect_value(users, TEXT("1"), TEXT("string"));
}

Test(cache_values, set_goes_by_whether_something_is_there)
{
	struct lf_cache_set absent = { .when = LF_CACHE_IF_ABSENT }, present = { .when = LF_CACHE_IF_PRESENT };

	expect(0, lf_cache_set(users, TEXT("1"), TEXT("a"), &present, &err));
	expect(1, lf_cache_set(users, TEXT("1"), TEXT("b"), &absent, &err));
	expect(0, lf_cache_set(users, TEXT("1"), TEXT("c"), &absent, &err));
	expect_value(users, TEXT("1"), TEXT("b"));
	expect(1, lf_cache_set(users, TEXT("1"), TEXT("d"), &present, &err));
	only_below();
	expect_value(users, TEXT("1"), TEXT("d"));
}

Test(cache_values, del_says_whether_it_was_there_and_then_it_is_not)
{
	set_to(users, TEXT("1"), TEXT("v"));
	set_field(users, TEXT("2"), TEXT("f"), TEXT("v"));
	expect(1, lf_cache_exists(users, TEXT("1"), &err));
	expect(1, lf_cache_exists(users, TEXT("2"), &err));
	expect(1, lf_cache_del(users, TEXT("1"), &err));
	expect(1, lf_cache_del(users, TEXT("2"), &err));
	expect(0, lf_cache_del(users, TEXT("1"), &err));
	expect_nothing(users, TEXT("1"));
	only_below();
	expect_nothing(users, TEXT("1"));
	expect_nothing(users, TEXT("2"));
	set_to(users, TEXT("1"), TEXT("again"));
	expect_value(users, TEXT("1"), TEXT("again"));
}

Test(cache_values, a_version_grows_with_every_change_of_its_key)
{
	struct lf_cache_value found = { .record = NULL };
	uint64_t before = 0;

	for (int i = 0; i < 5; i++) {
		if (i == 3)
			expect(1, lf_cache_del(users, TEXT("1"), &err));
		if (i == 4)
			clock_moves(-DAY_MS); /* clocks are set back, too */
		set_to(users, TEXT("1"), TEXT("v"));
		expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
		cr_assert_gt(found.version, before);
		before = found.version;
		lf_cache_value_release(&found);
	}
}

Test(cache_values, set_if_newer_stores_what_is_newer_by_the_callers_own_number)
{
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_set_if_newer(users, TEXT("1"), TEXT("seven"), 7, NULL, &err));
	expect(0, lf_cache_set_if_newer(users, TEXT("1"), TEXT("again"), 7, NULL, &err));
	expect(0, lf_cache_set_if_newer(users, TEXT("1"), TEXT("six"), 6, NULL, &err));
	expect_value(users, TEXT("1"), TEXT("seven"));
	expect(1, lf_cache_set_if_newer(users, TEXT("1"), TEXT("last"), UINT64_MAX, NULL, &err));
	only_below();
	expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
	cr_assert_eq(found.revision, UINT64_MAX);
	lf_cache_value_release(&found);
	set_to(users, TEXT("1"), TEXT("plain"));
	expect(1, lf_cache_get(users, TEXT("1"), &found, &err));
	cr_assert_eq(found.revision, 0);
	lf_cache_value_release(&found);
	expect(1, lf_cache_set_if_newer(users, TEXT("1"), TEXT("one"), 1, NULL, &err));
	expect_value(users, TEXT("1"), TEXT("one"));
}

/* --- several at once ---------------------------------------------------------------------------------- */

Test(cache_values, mget_finds_each_at_its_place_and_leaves_out_hashes)
{
	struct lf_text ids[] = { TEXT("1"), TEXT("none"), TEXT("2"), TEXT("hash"), TEXT("1"), BYTES };
	static const char *const want[] = { "one", NULL, "two", NULL, "one", "" };
	struct lf_cache_value found[COUNT_OF(ids)];

	set_to(users, TEXT("1"), TEXT("one"));
	set_to(users, TEXT("2"), TEXT("two"));
	set_to(users, BYTES, TEXT(""));
	set_field(users, TEXT("hash"), TEXT("f"), TEXT("v"));
	for (int below = 0; below < 2; below++) {
		memset(found, 0, sizeof(found));
		expect(4, lf_cache_mget(users, ids, COUNT_OF(ids), found, &err));
		for (size_t i = 0; i < COUNT_OF(ids); i++) {
			cr_assert_eq(found[i].record != NULL, want[i] != NULL, "%zu", i);
			if (want[i])
				cr_assert(found[i].len == strlen(want[i]) && memcmp(found[i].data, want[i], found[i].len) == 0);
			lf_cache_value_release(&found[i]);
		}
		only_below();
	}
}

Test(cache_values, mset_sets_all_of_many)
{
	static char numbers[MANY_MAX][8];
	static struct lf_text ids[MANY_MAX];
	static struct lf_cache_value found[MANY_MAX];
	struct lf_cache_set how = { .ttl_ms = 5000 };

	for (int i = 0; i < many(); i++)
		ids[i] = (struct lf_text){ numbers[i], (size_t)snprintf(numbers[i], sizeof(numbers[i]), "%d", i) };
	expect(0, lf_cache_mset(users, ids, ids, (size_t)many(), &how, &err));
	only_below();
	expect(many(), lf_cache_mget(users, ids, (size_t)many(), found, &err));
	for (int i = 0; i < many(); i++) {
		cr_assert(found[i].len == ids[i].len && memcmp(found[i].data, ids[i].data, ids[i].len) == 0);
		cr_assert_eq(found[i].expires_ms, clock_is() + 5000);
		lf_cache_value_release(&found[i]);
	}
}

Test(cache_values, of_an_id_that_mset_names_twice_the_last_value_stays)
{
	struct lf_text ids[] = { TEXT("1"), TEXT("2"), TEXT("1") }, values[] = { TEXT("a"), TEXT("b"), TEXT("c") };

	expect(0, lf_cache_mset(users, ids, values, 3, NULL, &err));
	expect_value(users, TEXT("1"), TEXT("c"));
	only_below();
	expect_value(users, TEXT("1"), TEXT("c"));
	expect_value(users, TEXT("2"), TEXT("b"));
}

Test(cache_values, mget_and_mset_of_nothing_are_done)
{
	expect(0, lf_cache_mget(users, NULL, 0, NULL, &err));
	expect(0, lf_cache_mset(users, NULL, NULL, 0, NULL, &err));
}

/* --- numbers ------------------------------------------------------------------------------------------ */

Test(cache_values, counting_begins_at_0_and_writes_what_it_counts)
{
	int64_t number = 0;

	expect(0, lf_cache_incr(users, TEXT("n"), &number, &err));
	cr_assert_eq(number, 1);
	expect(0, lf_cache_incrby(users, TEXT("n"), 41, &number, &err));
	cr_assert_eq(number, 42);
	expect_value(users, TEXT("n"), TEXT("42"));
	expect(0, lf_cache_decr(users, TEXT("n"), &number, &err));
	cr_assert_eq(number, 41);
	expect(0, lf_cache_decrby(users, TEXT("n"), 83, &number, &err));
	cr_assert_eq(number, -42);
	only_below();
	expect_value(users, TEXT("n"), TEXT("-42"));
}

Test(cache_values, counting_what_is_no_integer_or_would_be_none_changes_nothing)
{
	int64_t number = 7;

	set_to(users, TEXT("n"), TEXT("1.5"));
	expect(-EBADMSG, lf_cache_incr(users, TEXT("n"), &number, &err));
	expect_value(users, TEXT("n"), TEXT("1.5"));
	set_to(users, TEXT("n"), TEXT("9223372036854775807"));
	expect(-ERANGE, lf_cache_incr(users, TEXT("n"), &number, &err));
	expect_value(users, TEXT("n"), TEXT("9223372036854775807"));
	expect(-ERANGE, lf_cache_decrby(users, TEXT("n"), INT64_MIN, &number, &err));
	set_to(users, TEXT("n"), TEXT("-9223372036854775808"));
	expect(-ERANGE, lf_cache_decr(users, TEXT("n"), &number, &err));
	expect_value(users, TEXT("n"), TEXT("-9223372036854775808"));
}

enum { THREADS = 4, ROUNDS = 25 };

static _Atomic int counted;

/* The stand-in for MongoDB lets writers that meet wait for seconds. */
static int rounds(void)
{
	return has(LF_CACHE_MONGO) && !has(LF_CACHE_REDIS) ? 3 : ROUNDS;
}

static void *count_up(void *arg)
{
	struct lf_cache_space *space = arg;
	int64_t number;

	for (int i = 0; i < rounds(); i++)
		if (lf_cache_incr(space, TEXT("n"), &number, NULL) == 0)
			atomic_fetch_add(&counted, 1);
	return NULL;
}

/* Of a server that is too slow it is not known whether it counted. */
Test(cache_values, no_count_of_several_threads_and_caches_is_lost_or_made_twice)
{
	struct lf_cache *other = is_shared() ? open_another() : NULL;
	struct lf_cache_space *theirs = other ? space_of(other, "user", "acme") : users;
	pthread_t threads[THREADS];
	int64_t number = 0;

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_up, i % 2 ? users : theirs), 0);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	only_below();
	expect(0, lf_cache_incrby(users, TEXT("n"), 0, &number, &err));
	cr_assert(number >= counted && number <= THREADS * rounds(), "%lld of %d", (long long)number, counted);
	cr_assert(counted == THREADS * rounds() || has(LF_CACHE_MONGO), "%d", counted);
	lf_cache_close(other);
}

/* --- hashes ------------------------------------------------------------------------------------------- */

Test(cache_values, fields_of_a_hash_are_set_found_and_taken_away)
{
	struct lf_cache_field fields[] = { { TEXT("a"), TEXT("1") }, { TEXT(""), BYTES }, { BYTES, TEXT("") } };
	struct lf_text gone[] = { TEXT("a"), TEXT("none"), TEXT("a") };

	expect(3, lf_cache_hset(users, TEXT("1"), fields, 3, &err));
	fields[0].value = TEXT("2");
	expect(0, lf_cache_hset(users, TEXT("1"), fields, 1, &err));
	only_below();
	expect_field(users, TEXT("1"), TEXT("a"), TEXT("2"));
	expect_field(users, TEXT("1"), TEXT(""), BYTES);
	expect_field(users, TEXT("1"), BYTES, TEXT(""));
	expect(1, lf_cache_hexists(users, TEXT("1"), BYTES, &err));
	expect(0, lf_cache_hexists(users, TEXT("1"), TEXT("b"), &err));
	expect(1, lf_cache_hdel(users, TEXT("1"), gone, 3, &err));
	expect(0, lf_cache_hexists(users, TEXT("1"), TEXT("a"), &err));
}

Test(cache_values, a_hash_without_a_field_is_gone)
{
	struct lf_text fields[] = { TEXT("a"), TEXT("b") };

	set_field(users, TEXT("1"), TEXT("a"), TEXT("1"));
	set_field(users, TEXT("1"), TEXT("b"), TEXT("2"));
	expect(2, lf_cache_hdel(users, TEXT("1"), fields, 2, &err));
	expect(0, lf_cache_exists(users, TEXT("1"), &err));
	only_below();
	expect(0, lf_cache_exists(users, TEXT("1"), &err));
	set_to(users, TEXT("1"), TEXT("string"));
	expect_value(users, TEXT("1"), TEXT("string"));
}

Test(cache_values, hgetall_comes_to_every_field_once)
{
	enum { COUNT = 300 };
	static char names[COUNT][8];
	static struct lf_cache_field fields[COUNT];
	struct lf_cache_value all = { .record = NULL };
	struct lf_cache_field field;
	size_t at = 0;
	int sum = 0, count = 0;

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%d", i);
		fields[i] = (struct lf_cache_field){ text(names[i]), text(names[i]) };
	}
	expect(COUNT, lf_cache_hset(users, TEXT("1"), fields, COUNT, &err));
	only_below();
	expect(1, lf_cache_hgetall(users, TEXT("1"), &all, &err));
	for (; lf_cache_next_field(&all, &at, &field); count++) {
		char digits[8];

		cr_assert(field.name.len == field.value.len && memcmp(field.name.data, field.value.data, field.name.len) == 0);
		(void)snprintf(digits, sizeof(digits), "%.*s", (int)field.name.len, field.name.data);
		sum += atoi(digits);
	}
	lf_cache_value_release(&all);
	cr_assert_eq(count, COUNT);
	cr_assert_eq(sum, COUNT * (COUNT - 1) / 2);
}

Test(cache_values, a_command_of_the_other_type_is_refused_and_changes_nothing)
{
	struct lf_cache_value found = { .record = NULL };
	struct lf_cache_field field = { TEXT("f"), TEXT("v") };
	struct lf_text name = TEXT("f");
	int64_t number;

	set_to(users, TEXT("s"), TEXT("string"));
	set_field(users, TEXT("h"), TEXT("f"), TEXT("v"));
	for (int below = 0; below < 2; below++) {
		expect(-EPROTOTYPE, lf_cache_get(users, TEXT("h"), &found, &err));
		expect(-EPROTOTYPE, lf_cache_incr(users, TEXT("h"), &number, &err));
		expect(-EPROTOTYPE, lf_cache_hget(users, TEXT("s"), name, &found, &err));
		expect(-EPROTOTYPE, lf_cache_hset(users, TEXT("s"), &field, 1, &err));
		expect(-EPROTOTYPE, lf_cache_hdel(users, TEXT("s"), &name, 1, &err));
		expect(-EPROTOTYPE, lf_cache_hexists(users, TEXT("s"), name, &err));
		expect(-EPROTOTYPE, lf_cache_hgetall(users, TEXT("s"), &found, &err));
		only_below();
	}
	expect_value(users, TEXT("s"), TEXT("string"));
	expect_field(users, TEXT("h"), TEXT("f"), TEXT("v"));
}
