#include "agent/http/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The query ---- */

static int compare(struct lf_text a, struct lf_text b)
{
	size_t least = a.len < b.len ? a.len : b.len;
	int order = least ? memcmp(a.data, b.data, least) : 0;

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

int lf_http_add(struct lf_http_request *request, struct lf_text name, struct lf_text value, struct lf_error *err)
{
	size_t at = request->pairs;

	if (request->pairs == LF_HTTP_PAIRS_MAX)
		return lf_fail(err, -EINVAL, "there are more than %d parameters: leave some out", LF_HTTP_PAIRS_MAX);
	while (at > 0 && compare(name, request->pair[at - 1].name) < 0)
		at--;
	if (at > 0 && compare(name, request->pair[at - 1].name) == 0)
		return lf_fail(err, -EINVAL, "a parameter is given twice: give it once");
	memmove(&request->pair[at + 1], &request->pair[at], (request->pairs - at) * sizeof(request->pair[0]));
	request->pair[at] = (struct lf_http_pair){ name, value };
	request->pairs++;
	return 0;
}

const struct lf_text *lf_http_value(const struct lf_http_request *request, const char *name)
{
	for (size_t i = 0; i < request->pairs; i++)
		if (compare(request->pair[i].name, (struct lf_text){ name, strlen(name) }) == 0)
			return &request->pair[i].value;
	return NULL;
}

/* ---- One text for all spellings ---- */

struct line {
	char *out;
	size_t len;
	bool full;
};

static void put(struct line *line, char c)
{
	if (line->len == LF_HTTP_KEY_MAX)
		line->full = true;
	else
		line->out[line->len++] = c;
}

static void put_escaped(struct line *line, struct lf_text text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c && (isalnum(c) || strchr("-._~", c)) && c < 0x80) {
			put(line, (char)c);
			continue;
		}
		put(line, '%');
		put(line, hex[c >> 4]);
		put(line, hex[c & 15]);
	}
}

int lf_http_key(const struct lf_http_request *request, char out[LF_HTTP_KEY_MAX], size_t *len, struct lf_error *err)
{
	struct line line = { .out = out };
	const char *c;

	for (c = "GET "; *c; c++)
		put(&line, *c);
	for (c = request->path; *c; c++)
		put(&line, *c);
	for (size_t i = 0; i < request->pairs; i++) {
		put(&line, i ? '&' : '?');
		put_escaped(&line, request->pair[i].name);
		put(&line, '=');
		put_escaped(&line, request->pair[i].value);
	}
	if (line.full)
		return lf_fail(err, -EMSGSIZE, "the request is longer than %d bytes: shorten it", LF_HTTP_KEY_MAX);
	*len = line.len;
	return 0;
}

/* ---- Headers ---- */

static bool is_ip4_loopback(const char *host, size_t len)
{
	return len >= 7 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}

bool lf_http_is_our_host(const char *host, unsigned port)
{
	const char *end;
	size_t len;

	if (!host)
		return false;
	end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":");
	if (!end)
		return false;
	end += host[0] == '[';
	len = (size_t)(end - host);
	if (!(len == 9 && strncasecmp(host, "localhost", 9) == 0) && !is_ip4_loopback(host, len) &&
	    !(len == 5 && strncmp(host, "[::1]", 5) == 0))
		return false;
	if (*end == '\0')
		return port == 80;
	return *end == ':' && isdigit((unsigned char)end[1]) && strtoul(end + 1, (char **)&end, 10) == port && *end == '\0';
}

bool lf_http_names_etag(const char *list, const char *etag)
{
	size_t len = strlen(etag);

	while (list && *list) {
		list += strspn(list, " \t,");
		if (*list == '*')
			return true;
		/* Weak or not: bytes that are the same are the same in either sense. */
		if (strncmp(list, "W/", 2) == 0)
			list += 2;
		if (strncmp(list, etag, len) == 0)
			return true;
		if (*list == '"') {
			list++;
			list += strcspn(list, "\"");
			list += *list == '"';
		} else {
			list += strcspn(list, ",");
		}
	}
	return false;
}
