#include "agent/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/json.h"
#include "agent/http/library.h"
#include "agent/http/listen.h"
#include "agent/http/routes.h"

enum {
	THREADS = 4,             /* one that makes a response may wait for the main thread */
	REQUEST_BYTES = 32 * 1024, /* of a connection: request, headers and those of the response */
	CONTENT_TOO_LARGE = 413, /* whose name is another in each version of libmicrohttpd */
};

struct lf_server {
	struct lf_serving serving;
	struct lf_http_listener listener;
	struct lf_cache_space *space;
	struct MHD_Daemon *mhd;
};

struct exchange {
	struct lf_server *server;
	struct MHD_Connection *connection;
	struct lf_http_request request;
	struct lf_error err; /* of its parameters */
	int rc;
};

/* ---- Responses ---- */

static const struct header {
	const char *name, *value;
} always[] = {
	{ MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8" },
	{ MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache" }, /* ask again, with the ETag */
	{ "X-Content-Type-Options", "nosniff" },
};

/* The response becomes the connection's; NULL is fine. */
static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
                                     const struct header *more, size_t count)
{
	enum MHD_Result sent;

	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		(void)lf_mhd.add_response_header(response, always[i].name, always[i].value);
	for (size_t i = 0; i < count; i++)
		(void)lf_mhd.add_response_header(response, more[i].name, more[i].value);
	sent = lf_mhd.queue_response(connection, status, response);
	lf_mhd.destroy_response(response);
	return sent;
}

static enum MHD_Result send_copy(struct MHD_Connection *connection, unsigned status, struct lf_text body,
                                 const struct header *more, size_t count)
{
	struct MHD_Response *response = lf_mhd.create_response_from_buffer(
		body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);

	return send_response(connection, status, response, more, count);
}

static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned status, const char *sentence)
{
	static const struct header allow = { MHD_HTTP_HEADER_ALLOW, "GET, HEAD" };
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	enum MHD_Result sent = MHD_NO;

	if (!out)
		return MHD_NO;
	(void)fputs("{\"error\":", out);
	lf_json_string(out, (struct lf_text){ sentence, strlen(sentence) });
	(void)fputs("}\n", out);
	if (fclose(out) == 0)
		sent = send_copy(connection, status, (struct lf_text){ text, bytes }, &allow,
		                 status == MHD_HTTP_METHOD_NOT_ALLOWED);
	free(text);
	return sent;
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
	return lf_mhd.lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void release_answer(void *answer)
{
	lf_http_release(answer);
	free(answer);
}

/* Takes the answer over.  Its body stays the cache's until it is sent: clients that read slowly share one. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct lf_http_answer *answer)
{
	const struct header more[] = {
		{ MHD_HTTP_HEADER_ETAG, answer->etag },
		{ "X-Cache", answer->made ? "miss" : "hit" },
	};
	bool known = answer->status == MHD_HTTP_OK &&
	             lf_http_names_etag(header_of(connection, MHD_HTTP_HEADER_IF_NONE_MATCH), answer->etag);
	struct MHD_Response *response = NULL;
	enum MHD_Result sent;

	if (!known)
		response = lf_mhd.create_response_from_buffer_with_free_callback_cls(
			answer->body.len, (void *)(uintptr_t)answer->body.data, release_answer, answer);
	if (response)
		return send_response(connection, answer->status, response, more, 2);
	sent = known ? send_copy(connection, MHD_HTTP_NOT_MODIFIED, (struct lf_text){ "", 0 }, more, 2) : MHD_NO;
	release_answer(answer);
	return sent;
}

/* ---- Requests ---- */

static enum MHD_Result take_pair(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
	struct exchange *exchange = arg;

	(void)kind;
	exchange->rc = lf_http_add(&exchange->request, (struct lf_text){ name, name_len },
	                           (struct lf_text){ value ? value : "", value ? value_len : 0 }, &exchange->err);
	return exchange->rc == 0 ? MHD_YES : MHD_NO;
}

static enum MHD_Result answer(struct exchange *exchange, const struct lf_http_route *route)
{
	struct lf_server *server = exchange->server;
	struct lf_http_answer *found;

	(void)lf_mhd.get_connection_values_n(exchange->connection, MHD_GET_ARGUMENT_KIND, take_pair, exchange);
	if (exchange->rc == 0)
		exchange->rc = lf_http_check(route, &exchange->request, &exchange->err);
	if (exchange->rc < 0)
		return send_error(exchange->connection, MHD_HTTP_BAD_REQUEST, exchange->err.text);
	found = calloc(1, sizeof(*found));
	if (!found)
		return MHD_NO;
	exchange->rc = lf_http_answer(server->space, route, server->serving.config->http.ttl_ms, &exchange->request,
	                              &server->serving, found, &exchange->err);
	if (exchange->rc == 0)
		return send_answer(exchange->connection, found);
	free(found);
	if (exchange->rc == -EMSGSIZE)
		return send_error(exchange->connection, MHD_HTTP_URI_TOO_LONG, exchange->err.text);
	return send_error(exchange->connection, MHD_HTTP_SERVICE_UNAVAILABLE, exchange->err.text);
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return header_of(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && strcmp(length, "0") != 0);
}

static bool is_secret(const struct lf_server *server, const struct lf_http_route *route)
{
	return server->serving.config->agent.all_users && server->listener.port && lf_http_is_private(route);
}

/* libmicrohttpd asks twice: first when the headers are there, again behind the body, of which there is none. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_len, void **seen)
{
	static int once;
	struct lf_server *server = arg;
	struct exchange exchange = { .server = server, .connection = connection, .request = { .path = url } };
	const struct lf_http_route *route = lf_http_route(url);

	(void)version;
	(void)body;
	(void)body_len;
	if (!*seen && !has_body(connection)) {
		*seen = &once;
		return MHD_YES;
	}
	if (!*seen)
		return send_error(connection, CONTENT_TOO_LARGE, "a request has no body here: leave it out");
	if (server->listener.port &&
	    !lf_http_is_our_host(header_of(connection, MHD_HTTP_HEADER_HOST), server->listener.port))
		return send_error(connection, MHD_HTTP_FORBIDDEN, "the Host is not this machine's loopback: ask 127.0.0.1");
	if (!route)
		return send_error(connection, MHD_HTTP_NOT_FOUND,
		                  "there is only /api/health, /api/cache/stats and /api/entries");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "nothing can be changed here: GET or HEAD");
	if (is_secret(server, route))
		return send_error(connection, MHD_HTTP_FORBIDDEN, "this agent serves all users, and the loopback is all "
		                                                  "users': let http.listen be a Unix socket");
	return answer(&exchange, route);
}

/* ---- Life cycle ---- */

static int start(struct lf_server *server, struct lf_error *err)
{
	const struct lf_config *config = server->serving.config;

	server->mhd = lf_mhd.start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, (uint16_t)server->listener.port, NULL, NULL, handle, server,
		MHD_OPTION_LISTEN_SOCKET, server->listener.fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->http.max_connections,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)config->http.timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (server->mhd)
		return 0;
	(void)close(server->listener.fd);
	return lf_fail(err, -EIO, "the HTTP server cannot be started: is there memory for its threads?");
}

static void close_server(struct lf_server *server)
{
	if (!server)
		return;
	if (server->mhd)
		lf_mhd.stop_daemon(server->mhd);
	lf_http_unlink(&server->listener);
	free(server);
}

static int open_server(struct lf_server **out, const struct lf_serving *serving, struct lf_error *err)
{
	struct lf_server *server;
	int rc;

	if (!serving->config->http.enabled)
		return 0;
	server = calloc(1, sizeof(*server));
	if (!server)
		return lf_fail(err, -ENOMEM, "there is no memory for the HTTP server");
	server->serving = *serving;
	rc = lf_cache_space(&server->space, lf_cached_own(serving->cached), "response", LF_CACHED_HTTP, err);
	if (rc == 0)
		rc = lf_mhd_load(err);
	if (rc == 0)
		rc = lf_http_listen(&server->listener, serving->config->http.listen, err);
	if (rc == 0)
		rc = start(server, err);
	if (rc < 0)
		close_server(server);
	else
		*out = server;
	return rc;
}

const struct lf_server_ops lf_http_server = { .open = open_server, .close = close_server };
