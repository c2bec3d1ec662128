#include "sinks/redis/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define SHAPE "redis://[user:password@]host[:port][/db], rediss://… or unix:///path[?db=N]"

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at;

	if (c >= 'A' && c <= 'F')
		c = (char)(c + 'a' - 'A');
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Copies text..end with %XX taken apart.  A NUL would cut off what comes behind it. */
static int decode(char *out, size_t size, const char *text, const char *end, const char *what,
                  struct lf_error *err)
{
	size_t used = 0;

	while (text < end) {
		char c = *text++;

		if (c == '%') {
			int high = end - text >= 2 ? hex_value(text[0]) : -1;
			int low = high >= 0 ? hex_value(text[1]) : -1;

			if (low < 0 || high + low == 0)
				return lf_fail(err, -EINVAL,
				               "the Redis URL has a %% in its %s that is not one of %%01 to %%FF: "
				               "write a percent sign as %%25", what);
			c = (char)(high * 16 + low);
			text += 2;
		}
		if (used + 1 >= size)
			return lf_fail(err, -EINVAL, "the %s of the Redis URL is longer than %zu bytes", what,
			               size - 1);
		out[used++] = c;
	}
	out[used] = '\0';
	return 0;
}

static int parse_number(const char *text, const char *end, long max, long *out)
{
	char *stop;

	if (text == end || *text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtol(text, &stop, 10);
	return stop == end && errno == 0 && *out <= max ? 0 : -EINVAL;
}

static int parse_db(struct lf_redis_url *url, const char *text, const char *end,
                    struct lf_error *err)
{
	long db;

	if (parse_number(text, end, 1000000, &db) < 0)
		return lf_fail(err, -EINVAL, "the database in the Redis URL is not a number: write " SHAPE);
	url->db = (int)db;
	return 0;
}

/* user:password@, a lone name being the user.  The last @ ends it: a password may hold one. */
static int parse_user(struct lf_redis_url *url, const char **text, const char *end,
                      struct lf_error *err)
{
	const char *at = memrchr(*text, '@', (size_t)(end - *text)), *colon;
	int rc;

	if (!at)
		return 0;
	colon = memchr(*text, ':', (size_t)(at - *text));
	rc = decode(url->user, sizeof(url->user), *text, colon ? colon : at, "user", err);
	if (rc == 0 && colon)
		rc = decode(url->password, sizeof(url->password), colon + 1, at, "password", err);
	*text = at + 1;
	return rc;
}

static int parse_host(struct lf_redis_url *url, const char *text, const char *end,
                      struct lf_error *err)
{
	bool bracketed = *text == '['; /* an IPv6 address */
	const char *host_end, *port;
	long number = LF_REDIS_PORT;

	text += bracketed;
	host_end = text + strcspn(text, bracketed ? "]/?#" : ":/?#");
	port = host_end + bracketed;
	if (host_end == text || (bracketed && *host_end != ']'))
		return lf_fail(err, -EINVAL, "the Redis URL names no host: write " SHAPE);
	if (port < end && (*port != ':' || parse_number(port + 1, end, UINT16_MAX, &number) < 0 ||
	                   number == 0))
		return lf_fail(err, -EINVAL, "the port in the Redis URL is not one of 1 to 65535");
	url->port = (uint16_t)number;
	return decode(url->name, sizeof(url->name), text, host_end, "host", err);
}

/* The part between // and /, ? or #.  A / may stand in a password only as %2F. */
static int parse_network(struct lf_redis_url *url, const char *text, struct lf_error *err)
{
	const char *end = text + strcspn(text, "/?#"), *rest = end;
	int rc = parse_user(url, &text, end, err);

	if (rc == 0)
		rc = parse_host(url, text, end, err);
	if (rc < 0)
		return rc;
	if (*rest == '/')
		rest++;
	if (strchr(rest, '?') || strchr(rest, '#'))
		return lf_fail(err, -EINVAL, "the Redis URL has options behind ? or #, and none is known "
		               "there: write " SHAPE);
	return *rest ? parse_db(url, rest, rest + strlen(rest), err) : 0;
}

static int parse_local(struct lf_redis_url *url, const char *text, struct lf_error *err)
{
	const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	const char *slash = strchr(text, '/'), *end;
	int rc;

	if (!slash)
		return lf_fail(err, -EINVAL, "the Redis URL names no absolute path: write " SHAPE);
	rc = parse_user(url, &text, slash, err);
	if (rc < 0)
		return rc;
	if (text != slash)
		return lf_fail(err, -EINVAL, "the Redis URL of a Unix socket has no host: it has three "
		               "slashes, unix:///path");
	end = slash + strcspn(slash, "?");
	url->local = true;
	rc = decode(url->name, room < sizeof(url->name) ? room : sizeof(url->name), slash, end, "path",
	            err);
	if (rc < 0 || !*end)
		return rc;
	if (strncmp(end, "?db=", 4) != 0)
		return lf_fail(err, -EINVAL, "the Redis URL has another option than ?db=N: write " SHAPE);
	return parse_db(url, end + 4, end + strlen(end), err);
}

int lf_redis_url_parse(struct lf_redis_url *out, const char *text, struct lf_error *err)
{
	struct lf_redis_url url = { .port = LF_REDIS_PORT };
	int rc;

	if (strncasecmp(text, "unix://", 7) == 0) {
		rc = parse_local(&url, text + 7, err);
	} else if (strncasecmp(text, "redis://", 8) == 0) {
		rc = parse_network(&url, text + 8, err);
	} else if (strncasecmp(text, "rediss://", 9) == 0) {
		url.tls = true;
		rc = parse_network(&url, text + 9, err);
	} else {
		rc = lf_fail(err, -EINVAL, "the Redis URL has no known scheme: write " SHAPE);
	}
	if (rc == 0)
		*out = url;
	explicit_bzero(url.password, sizeof(url.password));
	return rc;
}
