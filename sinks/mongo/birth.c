#include "sinks/mongo/birth.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* Belongs to the one who waits, until that is given up: then to the thread. */
struct lf_mongo_birth {
	pthread_mutex_t lock;
	pthread_cond_t born;
	mongoc_uri_t *uri;
	mongoc_client_t *client;
	bool done, given_up;
};

static void birth_free(struct lf_mongo_birth *birth)
{
	if (birth->client)
		mongoc_client_destroy(birth->client);
	mongoc_uri_destroy(birth->uri);
	(void)pthread_cond_destroy(&birth->born);
	(void)pthread_mutex_destroy(&birth->lock);
	free(birth);
}

static void *give_birth(void *arg)
{
	struct lf_mongo_birth *birth = arg;
	mongoc_client_t *client = mongoc_client_new_from_uri(birth->uri);
	bool given_up;

	(void)pthread_mutex_lock(&birth->lock);
	birth->client = client;
	birth->done = true;
	given_up = birth->given_up;
	(void)pthread_cond_signal(&birth->born);
	(void)pthread_mutex_unlock(&birth->lock);
	if (given_up)
		birth_free(birth);
	return NULL;
}

/* The agent's signals are not for this thread. */
static bool start_thread(struct lf_mongo_birth *birth)
{
	pthread_t thread;
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, give_birth, birth);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		(void)pthread_detach(thread);
	return rc == 0;
}

static struct lf_mongo_birth *birth_begin(const mongoc_uri_t *uri)
{
	struct lf_mongo_birth *birth = calloc(1, sizeof(*birth));

	if (!birth)
		return NULL;
	(void)pthread_mutex_init(&birth->lock, NULL);
	(void)pthread_cond_init(&birth->born, NULL);
	birth->uri = mongoc_uri_copy(uri);
	if (start_thread(birth))
		return birth;
	birth_free(birth);
	return NULL;
}

static bool wait_done(struct lf_mongo_birth *birth, int timeout_ms)
{
	struct timespec end;
	bool done;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	(void)pthread_mutex_lock(&birth->lock);
	while (!birth->done && rc == 0)
		rc = pthread_cond_clockwait(&birth->born, &birth->lock, CLOCK_MONOTONIC, &end);
	done = birth->done;
	(void)pthread_mutex_unlock(&birth->lock);
	return done;
}

mongoc_client_t *lf_mongo_birth(struct lf_mongo_birth **birth, const mongoc_uri_t *uri, int timeout_ms)
{
	mongoc_client_t *client;

	if (!mongoc_uri_get_srv_hostname(uri))
		return mongoc_client_new_from_uri(uri);
	if (!*birth)
		*birth = birth_begin(uri);
	if (!*birth || !wait_done(*birth, timeout_ms))
		return NULL;
	client = (*birth)->client;
	(*birth)->client = NULL;
	birth_free(*birth);
	*birth = NULL;
	return client;
}

void lf_mongo_birth_give_up(struct lf_mongo_birth *birth)
{
	bool done;

	if (!birth)
		return;
	(void)pthread_mutex_lock(&birth->lock);
	done = birth->done;
	birth->given_up = true;
	(void)pthread_mutex_unlock(&birth->lock);
	if (done)
		birth_free(birth);
}
