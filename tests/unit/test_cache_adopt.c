#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/internal.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { DEADLINE_MS = 20000, START_MS = 1000000 };

static _Atomic int64_t now_ms = START_MS;
static struct lf_cache *cache;
static struct lf_cache_space *space;
static struct lf_error err;

static int64_t clock_ms(void *arg)
{
	(void)arg;
	return atomic_load(&now_ms);
}

static void open_cache(void)
{
	struct lf_cache_options options;

	lf_cache_options_init(&options);
	options.clock_ms = clock_ms;
	options.value_max = 100;
	cr_assert_eq(lf_cache_open(&cache, &options, &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_space(&space, cache, "user", "acme", &err), 0, "%s", err.text);
}

static void close_cache(void)
{
	lf_cache_close(cache);
}

TestSuite(cache_adopt, .init = open_cache, .fini = close_cache);

/* A table as a program had it before. */
enum { ROWS = 4 };

struct row {
	const char *id, *value;
	int64_t ttl_ms;
};

struct table {
	struct row rows[ROWS];
	_Atomic int at, lookups;
	_Atomic bool held_in_next, held_in_lookup;
	int fails_at; /* 0: nowhere */
};

static struct table table;
static _Thread_local bool reads; /* this thread: it does not move */

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static int next(void *arg, struct lf_text *id, struct lf_text *value, int64_t *ttl_ms)
{
	struct table *from = arg;
	int at = atomic_fetch_add(&from->at, 1);

	while (atomic_load(&from->held_in_next))
		(void)poll(NULL, 0, 1);
	if (from->fails_at && at == from->fails_at)
		return -EIO;
	if (at >= ROWS || !from->rows[at].id)
		return 0;
	*id = text_of(from->rows[at].id);
	*value = text_of(from->rows[at].value);
	*ttl_ms = from->rows[at].ttl_ms;
	return 1;
}

static int lookup(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *error)
{
	struct table *from = arg;

	(void)error;
	atomic_fetch_add(&from->lookups, 1);
	while (reads && atomic_load(&from->held_in_lookup))
		(void)poll(NULL, 0, 1);
	for (int i = 0; i < ROWS && from->rows[i].id; i++)
		if (id.len == strlen(from->rows[i].id) && memcmp(id.data, from->rows[i].id, id.len) == 0) {
			out->value = text_of(from->rows[i].value);
			out->how.ttl_ms = from->rows[i].ttl_ms;
			return 1;
		}
	return 0;
}

static const struct lf_cache_table its = { next, lookup, &table };

static void expect_value(struct lf_text id, const char *expected)
{
	struct lf_cache_value value;
	int rc = lf_cache_get(space, id, &value, &err);

	cr_assert_eq(rc, expected ? 1 : 0, "%d: %s", rc, err.text);
	if (expected)
		cr_assert(value.len == strlen(expected) && memcmp(value.data, expected, value.len) == 0, "%.*s", (int)value.len,
		          value.data);
	lf_cache_value_release(&value);
}

static void expect_moved(uint64_t expected)
{
	uint64_t moved = 77;

	cr_assert_eq(lf_cache_adopt(space, &its, &moved, &err), 0, "%s", err.text);
	cr_assert_eq(moved, expected);
}

Test(cache_adopt, a_table_that_cannot_be_looked_into_is_refused)
{
	const struct lf_cache_table blind = { .next = next, .arg = &table }, empty = { .lookup = lookup, .arg = &table };

	table = (struct table){ .rows = { { "a", "1", 500 } } };
	cr_assert_eq(lf_cache_adopt(space, &blind, NULL, &err), -EINVAL);
	cr_assert_eq(lf_cache_adopt(space, &empty, NULL, &err), -EINVAL);
	expect_value(TEXT("a"), NULL);
}

Test(cache_adopt, all_of_a_table_is_moved_with_what_is_left_of_its_time)
{
	int64_t ttl_ms;

	table = (struct table){
		.rows = { { "a", "1", 500 }, { "b", "2", LF_CACHE_TTL_NONE }, { "c", "", LF_CACHE_TTL_CLASS } }
	};
	expect_moved(3);
	expect_value(TEXT("a"), "1");
	expect_value(TEXT("b"), "2");
	expect_value(TEXT("c"), "");
	cr_assert_eq(lf_cache_ttl(space, TEXT("a"), &ttl_ms, &err), 1);
	cr_assert_eq(ttl_ms, 500);
	cr_assert_eq(lf_cache_ttl(space, TEXT("b"), &ttl_ms, &err), 1);
	cr_assert_eq(ttl_ms, LF_CACHE_TTL_NONE);
	atomic_fetch_add(&now_ms, 500);
	expect_value(TEXT("a"), NULL);
}

Test(cache_adopt, what_the_cache_has_already_stays)
{
	table = (struct table){ .rows = { { "a", "1", 0 }, { "b", "2", 0 } } };
	cr_assert_eq(lf_cache_set(space, TEXT("a"), TEXT("newer"), NULL, &err), 1);
	expect_moved(1);
	expect_value(TEXT("a"), "newer");
	expect_value(TEXT("b"), "2");
}

static void *adopt(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)lf_cache_adopt(space, &its, NULL, NULL);
}

static void until(_Atomic int *number, int at_least)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (atomic_load(number) < at_least) {
		cr_assert_lt(lf_clock_ms(), end_ms, "%d", atomic_load(number));
		(void)poll(NULL, 0, 1);
	}
}

Test(cache_adopt, reads_fall_back_to_it_until_all_is_in)
{
	pthread_t thread;
	void *rc;

	table = (struct table){ .rows = { { "a", "1", 0 }, { "b", "2", 0 } }, .held_in_next = true };
	expect_value(TEXT("b"), NULL);
	cr_assert_eq(pthread_create(&thread, NULL, adopt, NULL), 0);
	until(&table.at, 1);
	expect_value(TEXT("b"), "2");
	expect_value(TEXT("x"), NULL);
	cr_assert_eq(lf_cache_set(space, TEXT("b"), TEXT("newer"), NULL, &err), 1);
	expect_value(TEXT("b"), "newer");
	cr_assert_eq(lf_cache_adopt(space, &its, NULL, &err), -EBUSY);
	atomic_store(&table.held_in_next, false);
	(void)pthread_join(thread, &rc);
	cr_assert_null(rc);
	atomic_store(&table.lookups, 0);
	expect_value(TEXT("a"), "1");
	expect_value(TEXT("b"), "newer");
	expect_value(TEXT("x"), NULL);
	cr_assert_eq(atomic_load(&table.lookups), 0, "the table is left alone once it is in");
}

static void *read_b(void *arg)
{
	(void)arg;
	reads = true;
	expect_value(TEXT("b"), "2");
	return NULL;
}

static _Atomic bool adopted;

static void *adopt_and_say(void *arg)
{
	void *rc = adopt(arg);

	atomic_store(&adopted, true);
	return rc;
}

Test(cache_adopt, it_does_not_return_while_somebody_looks_into_the_table)
{
	pthread_t reader, mover;

	table = (struct table){ .rows = { { "a", "1", 0 } , { "b", "2", 0 } }, .held_in_next = true, .held_in_lookup = true };
	cr_assert_eq(pthread_create(&mover, NULL, adopt_and_say, NULL), 0);
	until(&table.at, 1);
	cr_assert_eq(pthread_create(&reader, NULL, read_b, NULL), 0);
	until(&table.lookups, 1);
	atomic_store(&table.held_in_next, false);
	until(&table.at, 3); /* it has been told that there is no more */
	(void)poll(NULL, 0, 20); /* whatever it does with so much time, it does not return */
	cr_assert_not(atomic_load(&adopted));
	atomic_store(&table.held_in_lookup, false);
	(void)pthread_join(reader, NULL);
	(void)pthread_join(mover, NULL);
	cr_assert(atomic_load(&adopted));
}

Test(cache_adopt, a_table_that_fails_leaves_the_rest_to_another_call)
{
	uint64_t moved;

	table = (struct table){ .rows = { { "a", "1", 0 }, { "b", "2", 0 } }, .fails_at = 1 };
	cr_assert_eq(lf_cache_adopt(space, &its, &moved, &err), -EIO);
	cr_assert_eq(moved, 1);
	table.fails_at = 0;
	atomic_store(&table.at, 0);
	expect_moved(1);
	expect_value(TEXT("b"), "2");
}

Test(cache_adopt, a_value_that_cannot_be_kept_is_told)
{
	char big[102] = "";

	memset(big, 'x', 101);
	table = (struct table){ .rows = { { "a", big, 0 } } };
	cr_assert_eq(lf_cache_adopt(space, &its, NULL, &err), -EFBIG, "%s", err.text);
	table.rows[0] = (struct row){ "", "1", 0 };
	atomic_store(&table.at, 0);
	cr_assert_eq(lf_cache_adopt(space, &its, NULL, &err), -EINVAL, "%s", err.text);
	lf_cache_enable(cache, false);
	cr_assert_eq(lf_cache_adopt(space, &its, NULL, &err), -ECANCELED, "%s", err.text);
}

static int next_and_delete(void *arg, struct lf_text *id, struct lf_text *value, int64_t *ttl_ms)
{
	int rc = next(arg, id, value, ttl_ms);

	if (rc == 1) { /* by another thread, say: first from the table */
		static char name[8];

		*id = (struct lf_text){ strcpy(name, id->data), id->len };
		table.rows[0].id = NULL;
		cr_assert_geq(lf_cache_del(space, *id, &err), 0);
	}
	return rc;
}

Test(cache_adopt, what_is_deleted_meanwhile_does_not_come_back)
{
	struct lf_cache_table deleting = { next_and_delete, lookup, &table };
	uint64_t moved;

	table = (struct table){ .rows = { { "a", "1", 0 } } };
	cr_assert_eq(lf_cache_adopt(space, &deleting, &moved, &err), 0);
	cr_assert_eq(moved, 0);
	expect_value(TEXT("a"), NULL);
}
