#include "agent/http/routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/cache_json.h"
#include "agent/core/json.h"
#include "agent/store/store.h"
#include "hashing/namespace.h"

enum {
	DESK_TIMEOUT_MS = 3000,
	HEALTH_TTL_MS = 500, /* together with what it takes to ask, it is less than a second old */
	LIMIT_MAX = 1000,
	LIMIT_DEFAULT = 100,
	OFFSET_MAX = 1000000,
};

/* ---- /api/health ---- */

static int make_health(void *arg, const struct lf_http_request *request, FILE *body, struct lf_error *err)
{
	static const char critical[] = ",\"state\":\"critical\"}\n"; /* the last field */
	const struct lf_serving *serving = arg;
	char *json = NULL;
	size_t len = 0, tail = sizeof(critical) - 1;
	int rc = lf_desk_ask(serving->desk, serving->cached, LF_ASKED_HEALTH, DESK_TIMEOUT_MS, &json, &len, err);
	bool bad;

	(void)request;
	if (rc < 0)
		return rc;
	bad = len >= tail && memcmp(json + len - tail, critical, tail) == 0;
	(void)fwrite(json, 1, len, body);
	free(json);
	return bad ? 503 : 200;
}

/* ---- /api/cache/stats ---- */

static int make_stats(void *arg, const struct lf_http_request *request, FILE *body, struct lf_error *err)
{
	const struct lf_serving *serving = arg;
	struct lf_cached_state state;

	(void)request;
	(void)err;
	lf_cached_look(serving->cached, &state);
	lf_cache_stats_write(body, &state.stats);
	(void)fputc('\n', body);
	return 200;
}

/* ---- /api/entries ---- */

struct page {
	FILE *body;
	uint64_t skip;
	bool first;
};

static int check_number(const struct lf_http_request *request, const char *name, uint64_t least, uint64_t most,
                        uint64_t *out, struct lf_error *err)
{
	const struct lf_text *text = lf_http_value(request, name);
	uint64_t number = 0;

	if (!text)
		return 0;
	for (size_t i = 0; i < text->len && i < 9; i++) {
		if (text->data[i] < '0' || text->data[i] > '9')
			number = UINT64_MAX / 16;
		number = number * 10 + (uint64_t)(text->data[i] - '0');
	}
	if (text->len == 0 || text->len > 8 || number < least || number > most)
		return lf_fail(err, -EINVAL, "%s takes a number from %" PRIu64 " to %" PRIu64, name, least, most);
	*out = number;
	return 0;
}

static int read_page(const struct lf_http_request *request, char namespace[LF_NAMESPACE_MAX + 1], uint64_t *limit,
                     uint64_t *offset, struct lf_error *err)
{
	const struct lf_text *name = lf_http_value(request, "namespace");
	int rc;

	namespace[0] = '\0';
	if (name && name->len <= LF_NAMESPACE_MAX && !memchr(name->data, '\0', name->len))
		(void)snprintf(namespace, LF_NAMESPACE_MAX + 1, "%.*s", (int)name->len, name->data);
	if (name && !lf_namespace_is(namespace))
		return lf_fail(err, -EINVAL, "namespace takes 1 to %d of letters, digits, '.', '_' and '-'",
		               (int)LF_NAMESPACE_MAX);
	*limit = LIMIT_DEFAULT;
	*offset = 0;
	rc = check_number(request, "limit", 1, LIMIT_MAX, limit, err);
	return rc < 0 ? rc : check_number(request, "offset", 0, OFFSET_MAX, offset, err);
}

static int check_entries(const struct lf_http_request *request, struct lf_error *err)
{
	char namespace[LF_NAMESPACE_MAX + 1];
	uint64_t limit, offset;

	return read_page(request, namespace, &limit, &offset, err);
}

static int write_entry(void *arg, const struct lf_entry *entry)
{
	struct page *page = arg;

	if (page->skip > 0) {
		page->skip--;
		return 0;
	}
	(void)fputs(page->first ? "\n" : ",", page->body);
	lf_json_entry(page->body, entry);
	page->first = false;
	return 0;
}

static int write_entries(struct lf_store *store, const struct lf_http_request *request, FILE *body, struct lf_error *err)
{
	char namespace[LF_NAMESPACE_MAX + 1];
	struct lf_query query = { .order = LF_BY_COUNT };
	struct lf_store_totals totals;
	struct page page = { .body = body, .first = true };
	uint64_t limit;
	int rc = read_page(request, namespace, &limit, &page.skip, err);

	query.namespace = namespace[0] ? namespace : NULL;
	if (rc == 0)
		rc = lf_store_totals(store, &query, &totals, err);
	if (rc < 0)
		return rc;
	(void)fprintf(body, "{\"total\":%" PRIu64 ",\"entries\":[", totals.entries);
	query.limit = limit + page.skip;
	rc = lf_store_each(store, &query, write_entry, &page, err);
	(void)fputs("]}\n", body);
	return rc < 0 ? rc : 200;
}

/* By a connection of its own: the agent's is the main thread's. */
static int make_entries(void *arg, const struct lf_http_request *request, FILE *body, struct lf_error *err)
{
	const struct lf_serving *serving = arg;
	struct lf_store *store = NULL;
	int rc = lf_store_open(&store, serving->store_path, LF_STORE_READ_ONLY, err);

	if (rc == 0)
		rc = write_entries(store, request, body, err);
	lf_store_close(store);
	return rc;
}

/* ---- The table ---- */

static const char *const no_names[] = { NULL };
static const char *const entries_names[] = { "limit", "namespace", "offset", NULL };

static const struct lf_http_route routes[] = {
	{ "/api/health", no_names, NULL, make_health, HEALTH_TTL_MS, NULL },
	{ "/api/cache/stats", no_names, NULL, make_stats, 0, NULL },
	{ "/api/entries", entries_names, check_entries, make_entries, 0, LF_CACHED_TAG },
};

const struct lf_http_route *lf_http_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

bool lf_http_is_private(const struct lf_http_route *route)
{
	return route->make == make_entries;
}

static bool is_named(const struct lf_http_route *route, struct lf_text name)
{
	for (const char *const *known = route->names; *known; known++)
		if (strlen(*known) == name.len && memcmp(*known, name.data, name.len) == 0)
			return true;
	return false;
}

int lf_http_check(const struct lf_http_route *route, const struct lf_http_request *request, struct lf_error *err)
{
	for (size_t i = 0; i < request->pairs; i++)
		if (!is_named(route, request->pair[i].name))
			return lf_fail(err, -EINVAL, "%s has no parameter '%.*s'", route->path,
			               (int)(request->pair[i].name.len < 100 ? request->pair[i].name.len : 100),
			               request->pair[i].name.data);
	return route->check ? route->check(request, err) : 0;
}
