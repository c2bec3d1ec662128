#include "sinks/redis/resolve.h"
#include "sinks/redis/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Lives until the resolver is done with it, which may be after we have lost patience. */
struct request {
	struct gaicb control;
	struct addrinfo hints;
	char host[256], port[8];
	struct request *next;
};

/* Those, of all sinks here.  Whoever asks the same again takes one up, and frees what was answered to
 * nobody: no outage of the resolver costs more than one for each host. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct request *unanswered;

static int look_up_now(const char *host, const char *port, struct addrinfo **out)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		                      .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };

	return getaddrinfo(host, port, &hints, out);
}

static struct request *request_new(const char *host, const char *port)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	(void)snprintf(request->host, sizeof(request->host), "%s", host);
	(void)snprintf(request->port, sizeof(request->port), "%s", port);
	request->hints = (struct addrinfo){ .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		                                .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
	request->control = (struct gaicb){ .ar_name = request->host, .ar_service = request->port,
		                               .ar_request = &request->hints };
	return request;
}

static struct request *request_ask(const char *host, const char *port)
{
	struct request *request = request_new(host, port);
	struct gaicb *list[] = { request ? &request->control : NULL };

	if (request && getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
		return request;
	free(request);
	return NULL;
}

static void request_free(struct request *request)
{
	if (request->control.ar_result)
		freeaddrinfo(request->control.ar_result);
	free(request);
}

static struct request *take_up(const char *host, const char *port)
{
	struct request *found = NULL;

	(void)pthread_mutex_lock(&lock);
	for (struct request **at = &unanswered; *at;) {
		struct request *one = *at;
		int rc = gai_error(&one->control);
		bool wanted = !found && strcmp(one->host, host) == 0 && strcmp(one->port, port) == 0 &&
		              (rc == 0 || rc == EAI_INPROGRESS);

		if (rc == EAI_INPROGRESS && !wanted) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		if (wanted)
			found = one;
		else
			request_free(one);
	}
	(void)pthread_mutex_unlock(&lock);
	return found;
}

static void leave(struct request *request)
{
	(void)pthread_mutex_lock(&lock);
	request->next = unanswered;
	unanswered = request;
	(void)pthread_mutex_unlock(&lock);
}

static void wait_for(struct request *request, int64_t end_ms)
{
	const struct gaicb *list[] = { &request->control };
	int left;

	while (gai_error(&request->control) == EAI_INPROGRESS &&
	       (left = lf_redis_left_ms(end_ms)) > 0) {
		struct timespec time = { left / 1000, left % 1000 * 1000000L };

		(void)gai_suspend(list, 1, &time);
	}
}

int lf_redis_resolve(const char *host, uint16_t port, int64_t end_ms, struct addrinfo **out)
{
	struct request *request;
	char service[8];
	int rc;

	(void)snprintf(service, sizeof(service), "%u", port);
	rc = look_up_now(host, service, out);
	if (rc != EAI_NONAME)
		return rc;
	request = take_up(host, service);
	if (!request)
		request = request_ask(host, service);
	if (!request)
		return EAI_MEMORY;
	wait_for(request, end_ms);
	rc = gai_error(&request->control);
	if (rc == EAI_INPROGRESS) {
		leave(request);
		return EAI_AGAIN;
	}
	if (rc == 0) {
		*out = request->control.ar_result;
		request->control.ar_result = NULL;
	}
	request_free(request);
	return rc;
}
