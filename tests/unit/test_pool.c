#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#include "hashing/clock.h"
#include "sinks/pool.h"

static int made, unmade;
static int numbers[8];

static int make(void *arg, void **out, struct lf_error *err)
{
	(void)arg;
	if (made == 8)
		return lf_fail(err, -ENOMEM, "enough");
	*out = &numbers[made++];
	return 0;
}

static void unmake(void *connection)
{
	(void)connection;
	unmade++;
}

static struct lf_pool *a_pool(unsigned min, unsigned max)
{
	const struct lf_pool_kind kind = { .make = make, .unmake = unmake };
	struct lf_pool *pool;

	made = unmade = 0;
	cr_assert_eq(lf_pool_new(&pool, &kind, min, max, NULL), 0);
	return pool;
}

static void *take(struct lf_pool *pool)
{
	void *one;

	cr_assert_eq(lf_pool_take(pool, &one, lf_clock_ms() + 10000, NULL), 0);
	return one;
}

Test(pool, the_connection_that_was_given_back_last_is_taken_next)
{
	struct lf_pool *pool = a_pool(1, 3);
	void *first = take(pool), *second = take(pool);

	cr_expect_neq(first, second);
	lf_pool_give(pool, first);
	lf_pool_give(pool, second);
	cr_expect_eq(take(pool), second);
	cr_expect_eq(take(pool), first);
	cr_expect_eq(made, 2);
	cr_expect_eq(lf_pool_count(pool), 2);
	lf_pool_give(pool, first);
	lf_pool_give(pool, second);
	lf_pool_free(pool);
	cr_expect_eq(unmade, 2);
}

Test(pool, where_all_are_in_use_the_next_waits_no_longer_than_it_may)
{
	struct lf_pool *pool = a_pool(1, 1);
	struct lf_error err = { "" };
	void *only = take(pool), *another;

	cr_expect_eq(lf_pool_take(pool, &another, lf_clock_ms() + 20, &err), -ETIMEDOUT);
	cr_expect(err.text[0]);
	lf_pool_give(pool, only);
	lf_pool_free(pool);
}

static void *give_it(void *arg)
{
	lf_pool_give(arg, &numbers[0]);
	return NULL;
}

Test(pool, who_waits_gets_what_another_thread_gives_back)
{
	struct lf_pool *pool = a_pool(1, 1);
	void *only = take(pool);
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, give_it, pool), 0);
	cr_expect_eq(take(pool), only);
	(void)pthread_join(thread, NULL);
	lf_pool_give(pool, only);
	lf_pool_free(pool);
}

Test(pool, one_that_cannot_be_made_takes_no_place)
{
	struct lf_pool *pool = a_pool(1, 1);
	void *one;

	made = 8;
	cr_expect_eq(lf_pool_take(pool, &one, lf_clock_ms() + 10000, NULL), -ENOMEM);
	made = 0;
	one = take(pool);
	lf_pool_give(pool, one);
	lf_pool_free(pool);
}
