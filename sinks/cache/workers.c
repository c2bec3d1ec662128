#include "sinks/cache/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { WAITING_MAX = 1024 };

struct job {
	void (*run)(void *arg, bool given_up);
	void *arg;
};

struct lf_workers {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a job waits, or it is being closed */
	struct job jobs[WAITING_MAX];
	unsigned first, count;
	pthread_t *threads;
	unsigned started, idle, most;
	bool closing;
};

int lf_workers_new(struct lf_cache *cache)
{
	struct lf_workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	workers->most = cache->options.workers;
	workers->threads = calloc(workers->most ? workers->most : 1, sizeof(*workers->threads));
	if (!workers->threads) {
		free(workers);
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&workers->lock, NULL);
	(void)pthread_cond_init(&workers->changed, NULL);
	cache->workers = workers;
	return 0;
}

static struct job take(struct lf_workers *workers)
{
	struct job job = workers->jobs[workers->first];

	workers->first = (workers->first + 1) % WAITING_MAX;
	workers->count--;
	return job;
}

static void *work(void *arg)
{
	struct lf_workers *workers = arg;

	(void)pthread_mutex_lock(&workers->lock);
	while (!workers->closing) {
		struct job job;

		if (!workers->count) {
			workers->idle++;
			(void)pthread_cond_wait(&workers->changed, &workers->lock);
			workers->idle--;
			continue;
		}
		job = take(workers);
		(void)pthread_mutex_unlock(&workers->lock);
		job.run(job.arg, false);
		(void)pthread_mutex_lock(&workers->lock);
	}
	(void)pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
static int start(struct lf_workers *workers)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&workers->threads[workers->started], NULL, work, workers);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		workers->started++;
	return rc;
}

/* A thread that was woken and has not come yet still counts as idle: who waits is held against all of them. */
static int put(struct lf_workers *workers, struct job job)
{
	if (workers->closing || workers->count == WAITING_MAX)
		return -EAGAIN;
	if (workers->count >= workers->idle && workers->started < workers->most)
		(void)start(workers); /* without it, those that are there do it */
	if (!workers->started)
		return -EAGAIN;
	workers->jobs[(workers->first + workers->count++) % WAITING_MAX] = job;
	(void)pthread_cond_signal(&workers->changed);
	return 0;
}

int lf_workers_run(struct lf_cache *cache, void (*run)(void *arg, bool given_up), void *arg)
{
	struct lf_workers *workers = cache->workers;
	int rc;

	(void)pthread_mutex_lock(&workers->lock);
	rc = put(workers, (struct job){ run, arg });
	(void)pthread_mutex_unlock(&workers->lock);
	return rc;
}

void lf_workers_close(struct lf_cache *cache)
{
	struct lf_workers *workers = cache->workers;

	(void)pthread_mutex_lock(&workers->lock);
	workers->closing = true;
	(void)pthread_cond_broadcast(&workers->changed);
	(void)pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->started; i++)
		(void)pthread_join(workers->threads[i], NULL);
	workers->started = 0;
	while (workers->count) { /* nobody puts one any more */
		struct job job = take(workers);

		job.run(job.arg, true);
	}
}

void lf_workers_free(struct lf_cache *cache)
{
	struct lf_workers *workers = cache->workers;

	if (!workers)
		return;
	(void)pthread_cond_destroy(&workers->changed);
	(void)pthread_mutex_destroy(&workers->lock);
	free(workers->threads);
	free(workers);
	cache->workers = NULL;
}
