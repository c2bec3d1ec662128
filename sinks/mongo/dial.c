#include "sinks/mongo/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

__attribute__((format(printf, 3, 4))) static void tell(struct lf_mongo_dial *dial,
                                                       enum lf_sink_result result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(dial->failure, sizeof(dial->failure), format, args);
	va_end(args);
	dial->result = result;
}

/* ---- The name ---- */

/* The resolver knows no deadline.  It works on the heap in a thread of libc's own; a question that was
 * given up is kept until it is answered. */
struct lf_mongo_lookup {
	struct gaicb question;
	struct addrinfo hints;
	char name[BSON_HOST_NAME_MAX + 1], port[8];
	struct lf_mongo_lookup *next;
};

static void lookup_free(struct lf_mongo_lookup *lookup)
{
	if (lookup && lookup->question.ar_result)
		freeaddrinfo(lookup->question.ar_result);
	bson_free(lookup);
}

static struct lf_mongo_lookup *lookup_new(const mongoc_host_list_t *host)
{
	struct lf_mongo_lookup *lookup = bson_malloc0(sizeof(*lookup));
	struct gaicb *list[] = { &lookup->question };

	lookup->hints.ai_socktype = SOCK_STREAM;
	lookup->hints.ai_family = host->family;
	(void)snprintf(lookup->name, sizeof(lookup->name), "%s", host->host);
	(void)snprintf(lookup->port, sizeof(lookup->port), "%hu", host->port);
	lookup->question.ar_name = lookup->name;
	lookup->question.ar_service = lookup->port;
	lookup->question.ar_request = &lookup->hints;
	/* An address in figures is known at once, and no thread of libc's has to be started for it. */
	lookup->hints.ai_flags = AI_NUMERICHOST;
	if (getaddrinfo(lookup->name, lookup->port, &lookup->hints, &lookup->question.ar_result) == 0)
		return lookup;
	lookup->hints.ai_flags = 0;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
		return lookup;
	bson_free(lookup);
	return NULL;
}

/* The question after that host, if it was asked already.  Of the others those are freed that were answered
 * meanwhile, so that no outage of the resolver costs more than one for each host. */
static struct lf_mongo_lookup *lookup_for(struct lf_mongo_dial *dial, const mongoc_host_list_t *host)
{
	struct lf_mongo_lookup **at = &dial->lookups, *found = NULL;

	while (*at) {
		struct lf_mongo_lookup *one = *at;
		int rc = gai_error(&one->question);
		bool wanted = !found && strcmp(one->name, host->host) == 0 && atoi(one->port) == host->port &&
		              (rc == 0 || rc == EAI_INPROGRESS);

		if (rc == EAI_INPROGRESS && !wanted) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		if (wanted)
			found = one;
		else
			lookup_free(one);
	}
	return found ? found : lookup_new(host);
}

static int lookup_wait(struct lf_mongo_lookup *lookup, int timeout_ms)
{
	const struct gaicb *list[] = { &lookup->question };
	struct timespec pause = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	(void)gai_suspend(list, 1, &pause);
	return gai_error(&lookup->question);
}

static struct lf_mongo_lookup *resolve(struct lf_mongo_dial *dial, const mongoc_host_list_t *host,
                                       int timeout_ms)
{
	struct lf_mongo_lookup *lookup = lookup_for(dial, host);
	int rc = lookup ? lookup_wait(lookup, timeout_ms) : EAI_MEMORY;

	if (rc == 0)
		return lookup;
	if (rc == EAI_INPROGRESS) {
		lookup->next = dial->lookups;
		dial->lookups = lookup;
		tell(dial, LF_SINK_RETRY, "the name '%s' was not resolved in %d ms: is the resolver well?",
		     host->host, timeout_ms);
		return NULL;
	}
	tell(dial, LF_SINK_RETRY, "the host '%s' is not known (%s): is it spelled right in the uri?",
	     host->host, gai_strerror(rc));
	lookup_free(lookup);
	return NULL;
}

void lf_mongo_dial_fini(struct lf_mongo_dial *dial)
{
	while (dial->lookups) {
		struct lf_mongo_lookup *one = dial->lookups;

		dial->lookups = one->next;
		if (gai_cancel(&one->question) != EAI_NOTCANCELED)
			lookup_free(one);
		/* else: still being asked by libc, and lost with it */
	}
}

/* ---- The address ---- */

static mongoc_stream_t *connect_to(int family, const struct sockaddr *address, socklen_t len,
                                   int timeout_ms, int *error)
{
	mongoc_socket_t *socket = mongoc_socket_new(family, SOCK_STREAM, 0);
	int64_t expire_us = bson_get_monotonic_time() + (int64_t)timeout_ms * 1000;

	if (!socket) {
		*error = errno;
		return NULL;
	}
	if (mongoc_socket_connect(socket, address, (mongoc_socklen_t)len, expire_us) == 0)
		return mongoc_stream_socket_new(socket);
	*error = mongoc_socket_errno(socket);
	mongoc_socket_destroy(socket);
	return NULL;
}

static mongoc_stream_t *connect_tcp(struct lf_mongo_dial *dial, const mongoc_host_list_t *host,
                                    int timeout_ms, int *error)
{
	struct lf_mongo_lookup *lookup = resolve(dial, host, timeout_ms);
	mongoc_stream_t *stream = NULL;
	int left = 0;

	if (!lookup)
		return NULL;
	for (struct addrinfo *at = lookup->question.ar_result; at; at = at->ai_next)
		left++;
	for (struct addrinfo *at = lookup->question.ar_result; at && !stream; at = at->ai_next, left--)
		stream = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, timeout_ms / left, error);
	lookup_free(lookup);
	return stream;
}

static mongoc_stream_t *connect_unix(const mongoc_host_list_t *host, int timeout_ms, int *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(host->host) >= sizeof(address.sun_path)) {
		*error = ENAMETOOLONG;
		return NULL;
	}
	memcpy(address.sun_path, host->host, strlen(host->host) + 1);
	return connect_to(AF_UNIX, (struct sockaddr *)&address, sizeof(address), timeout_ms, error);
}

static mongoc_stream_t *connect_host(struct lf_mongo_dial *dial, const mongoc_host_list_t *host,
                                     int timeout_ms)
{
	int error = 0;
	mongoc_stream_t *stream = host->family == AF_UNIX ?
	                                  connect_unix(host, timeout_ms, &error) :
	                                  connect_tcp(dial, host, timeout_ms, &error);

	if (stream || error == 0)
		return stream;
	if (error == ECONNREFUSED || error == ENOENT)
		tell(dial, LF_SINK_RETRY, "nobody listens at %s: is the server running?", host->host_and_port);
	else if (error == ETIMEDOUT || error == EAGAIN || error == EINPROGRESS)
		tell(dial, LF_SINK_RETRY, "no connection to %s within %d ms: is it reachable from here?",
		     host->host_and_port, timeout_ms);
	else
		tell(dial, LF_SINK_RETRY, "no connection to %s: %s", host->host_and_port, strerror(error));
	return NULL;
}

/* ---- TLS ---- */

static bool mentions(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strstr(text, *words))
			return true;
	return false;
}

/* The library has no codes for them, only OpenSSL's texts. */
static void tell_tls(struct lf_mongo_dial *dial, const mongoc_host_list_t *host, const char *message)
{
	static const char *const untrusted[] = { "certificate verify failed", "verify failed",
		                                 "self-signed", "self signed", NULL };
	static const char *const unwanted[] = { "alert", "certificate required", "bad certificate", NULL };
	static const char *const no_tls[] = { "wrong version number", "packet length too long", NULL };

	if (mentions(message, untrusted))
		tell(dial, LF_SINK_REJECTED, "the certificate of %s is not trusted or not for that name (%s): "
		     "is tls_ca_file that of its authority?", host->host_and_port, message);
	else if (mentions(message, no_tls))
		tell(dial, LF_SINK_REJECTED, "%s does not speak TLS (%s): take tls=true out, or turn it on there",
		     host->host_and_port, message);
	else if (mentions(message, unwanted))
		tell(dial, LF_SINK_REJECTED, "%s refuses our TLS (%s): does it want a client certificate?",
		     host->host_and_port, message);
	else
		tell(dial, LF_SINK_RETRY, "no TLS with %s (%s): does that port speak TLS, with a certificate "
		     "for this name?", host->host_and_port, *message ? message : "the connection was closed");
}

static mongoc_stream_t *secure(struct lf_mongo_dial *dial, const mongoc_host_list_t *host,
                               mongoc_stream_t *plain, int timeout_ms)
{
	mongoc_ssl_opt_t options = *dial->tls; /* the library wants to write there */
	mongoc_stream_t *timed = lf_mongo_stream_new(plain, LF_MONGO_STREAM_BELOW_TLS, dial->deadline);
	mongoc_stream_t *stream = mongoc_stream_tls_new_with_hostname(timed, host->host, &options, 1);
	struct lf_mongo_deadline whole = *dial->deadline;
	bson_error_t error = { 0 };
	bool shaken;

	if (!stream) {
		mongoc_stream_destroy(timed);
		tell(dial, LF_SINK_REJECTED, "TLS cannot be set up: are the files of authority, certificate "
		                             "and key in PEM format, and the key that of the certificate?");
		return NULL;
	}
	lf_mongo_deadline_set(dial->deadline, timeout_ms);
	shaken = mongoc_stream_tls_handshake_block(stream, host->host, timeout_ms, &error);
	*dial->deadline = whole;
	if (shaken)
		return stream;
	tell_tls(dial, host, error.message);
	mongoc_stream_destroy(stream);
	return NULL;
}

/* ---- All of it ---- */

/* Half of what is left at most, so that there is time for another host, or for an answer. */
static int share_of_time(const struct lf_mongo_dial *dial)
{
	int half = lf_mongo_deadline_left_ms(dial->deadline) / 2;

	return half < dial->connect_timeout_ms ? half : dial->connect_timeout_ms;
}

mongoc_stream_t *lf_mongo_dial(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *arg,
                               bson_error_t *error)
{
	struct lf_mongo_dial *dial = arg;
	mongoc_stream_t *stream = connect_host(dial, host, share_of_time(dial));

	(void)uri;
	if (stream && dial->tls)
		stream = secure(dial, host, stream, share_of_time(dial));
	if (stream)
		return lf_mongo_stream_new(stream, LF_MONGO_STREAM_OF_SERVER, dial->deadline);
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "%s", dial->failure);
	return NULL;
}
