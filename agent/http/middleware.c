#include "agent/http/middleware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* What is kept is a line, `STATUS "ETAG"`, and the body. */
enum { HEAD_BYTES = 4 + 34 + 1 };

struct making {
	const struct lf_http_route *route;
	const struct lf_http_request *request;
	void *arg;
	int64_t ttl_ms;
	struct lf_text tag;
	bool made;
};

static void release(struct lf_cache_loaded *loaded)
{
	free(loaded->data);
}

/* The body behind room for the line. */
static int write_body(struct making *making, char **text, size_t *bytes, struct lf_error *err)
{
	FILE *out = open_memstream(text, bytes);
	int status;

	if (!out)
		return lf_fail(err, -ENOMEM, "there is no memory for the response");
	(void)fprintf(out, "%*s", HEAD_BYTES, "");
	status = making->route->make(making->arg, making->request, out, err);
	if (fclose(out) != 0 && status >= 0)
		status = lf_fail(err, -ENOMEM, "there is no memory for the response");
	return status;
}

static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	struct making *making = arg;
	char *text = NULL, head[2 * HEAD_BYTES];
	size_t bytes = 0;
	int status = write_body(making, &text, &bytes, err);
	XXH128_hash_t hash;

	(void)id;
	if (status < 0) {
		free(text);
		return status;
	}
	hash = XXH3_128bits(text + HEAD_BYTES, bytes - HEAD_BYTES);
	(void)snprintf(head, sizeof(head), "%03d \"%016llx%016llx\"\n", status, (unsigned long long)hash.high64,
	               (unsigned long long)hash.low64);
	memcpy(text, head, HEAD_BYTES);
	making->made = true;
	out->value = (struct lf_text){ text, bytes };
	out->data = text;
	out->release = release;
	out->how.ttl_ms = making->ttl_ms;
	out->how.tags = &making->tag;
	out->how.tags_count = making->tag.data ? 1 : 0;
	return 1;
}

int lf_http_answer(struct lf_cache_space *space, const struct lf_http_route *route, int64_t ttl_ms,
                   const struct lf_http_request *request, void *arg, struct lf_http_answer *out, struct lf_error *err)
{
	struct making making = { .route = route, .request = request, .arg = arg, .ttl_ms = ttl_ms };
	struct lf_cache_load how = { .load = load, .arg = &making };
	struct lf_text id;
	char key[LF_HTTP_KEY_MAX];
	int rc;

	*out = (struct lf_http_answer){ .status = 0 };
	if (route->ttl_max_ms && route->ttl_max_ms < ttl_ms)
		making.ttl_ms = route->ttl_max_ms;
	if (route->tag)
		making.tag = (struct lf_text){ route->tag, strlen(route->tag) };
	id.data = key;
	rc = lf_http_key(request, key, &id.len, err);
	if (rc == 0)
		rc = lf_cache_get_or_set(space, id, &how, &out->value, err);
	if (rc < 0)
		return rc;
	out->made = making.made;
	out->status = (unsigned)strtoul(out->value.data, NULL, 10);
	(void)snprintf(out->etag, sizeof(out->etag), "%.34s", out->value.data + 4);
	out->body = (struct lf_text){ out->value.data + HEAD_BYTES, out->value.len - HEAD_BYTES };
	return 0;
}

void lf_http_release(struct lf_http_answer *answer)
{
	lf_cache_value_release(&answer->value);
}
