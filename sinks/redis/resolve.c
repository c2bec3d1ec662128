#include "sinks/redis/resolve.h"
#include "sinks/redis/clock.h"

#include <stdlib.h>
#include <string.h>

/* Lives until the resolver is done with it, which may be after we have lost patience. */
struct request {
	struct gaicb control;
	struct addrinfo hints;
	char host[256], port[8];
};

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
	struct gaicb *list[1];
	char service[8];
	int rc;

	(void)snprintf(service, sizeof(service), "%u", port);
	rc = look_up_now(host, service, out);
	if (rc != EAI_NONAME)
		return rc;
	request = request_new(host, service);
	if (!request)
		return EAI_MEMORY;
	list[0] = &request->control;
	rc = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (rc == 0)
		wait_for(request, end_ms);
	if (rc == 0)
		rc = gai_error(&request->control);
	if (rc == EAI_INPROGRESS && gai_cancel(&request->control) != EAI_CANCELED)
		/* A thread of libc still writes into it, and nobody tells when it stops: it is left to it. */
		return gai_error(&request->control) == EAI_INPROGRESS ? EAI_AGAIN : EAI_SYSTEM;
	if (rc == 0)
		*out = request->control.ar_result;
	free(request);
	return rc == EAI_INPROGRESS ? EAI_AGAIN : rc;
}
