#include "sinks/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "hashing/clock.h"

enum { IDLE_MS = 60000 };

struct idle {
	void *connection;
	int64_t since_ms;
};

struct lf_pool {
	struct lf_pool_kind kind;
	pthread_mutex_t lock;
	pthread_cond_t given;
	unsigned min, max;
	unsigned count;     /* in use or idle */
	unsigned idle_count;
	struct idle *idle;  /* a stack with room for `max`: the last one given is on top */
};

int lf_pool_new(struct lf_pool **out, const struct lf_pool_kind *kind, unsigned min, unsigned max, struct lf_error *err)
{
	struct lf_pool *pool = calloc(1, sizeof(*pool));

	if (max == 0)
		max = 1;
	if (pool)
		pool->idle = calloc(max, sizeof(*pool->idle));
	if (!pool || !pool->idle) {
		free(pool);
		return lf_fail(err, -ENOMEM, "there is no memory for a pool of %u connections", max);
	}
	pool->kind = *kind;
	pool->min = min < max ? min : max;
	pool->max = max;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->given, NULL);
	*out = pool;
	return 0;
}

void lf_pool_free(struct lf_pool *pool)
{
	if (!pool)
		return;
	for (unsigned i = 0; i < pool->idle_count; i++)
		pool->kind.unmake(pool->idle[i].connection);
	(void)pthread_cond_destroy(&pool->given);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool->idle);
	free(pool);
}

static struct timespec to_timespec(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

/* With the lock: one that is idle, or leave to make one (NULL). */
static int wait_for_one(struct lf_pool *pool, void **out, int64_t end_ms)
{
	struct timespec end = to_timespec(end_ms);

	while (pool->idle_count == 0 && pool->count >= pool->max)
		if (pthread_cond_clockwait(&pool->given, &pool->lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT &&
		    pool->idle_count == 0 && pool->count >= pool->max)
			return -ETIMEDOUT;
	*out = NULL;
	if (pool->idle_count > 0)
		*out = pool->idle[--pool->idle_count].connection;
	else
		pool->count++;
	return 0;
}

static void one_less(struct lf_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->count--;
	(void)pthread_cond_signal(&pool->given);
	(void)pthread_mutex_unlock(&pool->lock);
}

int lf_pool_take(struct lf_pool *pool, void **out, int64_t end_ms, struct lf_error *err)
{
	int rc;

	(void)pthread_mutex_lock(&pool->lock);
	rc = wait_for_one(pool, out, end_ms);
	(void)pthread_mutex_unlock(&pool->lock);
	if (rc < 0)
		return lf_fail(err, rc, "all %u connections were in use: allow more of them (pool_max), or is the server slow?",
		               pool->max);
	if (*out)
		return 0;
	rc = pool->kind.make(pool->kind.arg, out, err);
	if (rc < 0)
		one_less(pool);
	return rc;
}

/* With the lock: the one at the bottom is the one that was not needed for longest. */
static void *take_old(struct lf_pool *pool, int64_t now_ms)
{
	void *old = pool->idle[0].connection;

	if (pool->count <= pool->min || pool->idle_count == 0 || now_ms - pool->idle[0].since_ms < IDLE_MS)
		return NULL;
	pool->idle_count--;
	pool->count--;
	for (unsigned i = 0; i < pool->idle_count; i++)
		pool->idle[i] = pool->idle[i + 1];
	return old;
}

void lf_pool_give(struct lf_pool *pool, void *connection)
{
	int64_t now_ms = lf_clock_ms();
	void *old;

	(void)pthread_mutex_lock(&pool->lock);
	old = take_old(pool, now_ms);
	pool->idle[pool->idle_count++] = (struct idle){ .connection = connection, .since_ms = now_ms };
	(void)pthread_cond_signal(&pool->given);
	(void)pthread_mutex_unlock(&pool->lock);
	if (old)
		pool->kind.unmake(old);
}

unsigned lf_pool_count(struct lf_pool *pool)
{
	unsigned count;

	(void)pthread_mutex_lock(&pool->lock);
	count = pool->count;
	(void)pthread_mutex_unlock(&pool->lock);
	return count;
}
