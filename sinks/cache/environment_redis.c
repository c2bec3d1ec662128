/* REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB and REDIS_TLS as one url.  Without REDIS_HOST nothing is
 * read: container networks set a REDIS_PORT of their own, which is no port. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/environment.h"

enum { PORT = 6379, DB_MAX = 65535 };

struct account {
	const char *host, *user, *password;
	long port, db;
	bool tls;
};

static int read_number(const char *name, long min, long max, long *out, struct lf_error *err)
{
	const char *value = lf_environment_get(name);
	char *end;

	if (!value)
		return 0;
	errno = 0;
	*out = strtol(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || *out < min || *out > max)
		return lf_fail(err, -EINVAL, "%s is '%.60s': it takes a number from %ld to %ld", name, value, min, max);
	return 0;
}

static int read_tls(bool *out, struct lf_error *err)
{
	static const char *const words[] = { "0", "off", "false", "no", "1", "on", "true", "yes" };
	const char *value = lf_environment_get("REDIS_TLS");

	for (size_t i = 0; value && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(value, words[i]) == 0) {
			*out = i >= 4;
			return 0;
		}
	return value ? lf_fail(err, -EINVAL, "REDIS_TLS is '%.60s': it takes on or off", value) : 0;
}

static bool is_host(const char *host)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";

	return host[0] == '/' || host[strspn(host, letters)] == '\0';
}

static int read_account(struct account *account, struct lf_error *err)
{
	int rc;

	if (!is_host(account->host))
		return lf_fail(err, -EINVAL, "REDIS_HOST is '%.60s': it takes a name, an address, or the path of a socket "
		               "(LOGFOLD_CACHE_REDIS_URL takes a url)", account->host);
	account->user = lf_environment_get("REDIS_USERNAME");
	account->password = lf_environment_get("REDIS_PASSWORD");
	if (account->user && !account->password)
		return lf_fail(err, -EINVAL, "REDIS_USERNAME is set, and REDIS_PASSWORD is not: set both, or the password alone");
	rc = read_number("REDIS_PORT", 1, 65535, &account->port, err);
	if (rc == 0)
		rc = read_number("REDIS_DB", 0, DB_MAX, &account->db, err);
	if (rc == 0)
		rc = read_tls(&account->tls, err);
	if (rc == 0 && account->tls && account->host[0] == '/')
		rc = lf_fail(err, -EINVAL, "REDIS_TLS is on, and REDIS_HOST is a socket: there is no TLS on a socket");
	return rc;
}

/* As a url has it: all but letters, digits and . _ - ~ as %XX, in a path / as well. */
static void put_escaped(FILE *out, const char *text, bool path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~";

	for (; *text; text++) {
		if (strchr(plain, *text) || (path && *text == '/'))
			(void)fputc(*text, out);
		else
			(void)fprintf(out, "%%%02X", (unsigned char)*text);
	}
}

static void put_url(FILE *out, const struct account *account)
{
	bool socket = account->host[0] == '/', brackets = strchr(account->host, ':') != NULL;

	(void)fputs(socket ? "unix://" : account->tls ? "rediss://" : "redis://", out);
	if (account->password) {
		put_escaped(out, account->user ? account->user : "", false);
		(void)fputc(':', out);
		put_escaped(out, account->password, false);
		(void)fputc('@', out);
	}
	if (socket) {
		put_escaped(out, account->host, true);
		(void)fprintf(out, "?db=%ld", account->db);
	} else {
		(void)fprintf(out, brackets ? "[%s]:%ld/%ld" : "%s:%ld/%ld", account->host, account->port, account->db);
	}
}

int lf_environment_redis(char **url, struct lf_error *err)
{
	struct account account = { .host = lf_environment_get("REDIS_HOST"), .port = PORT };
	size_t len = 0;
	FILE *out;
	int rc;

	*url = NULL;
	if (!account.host)
		return 0;
	rc = read_account(&account, err);
	if (rc < 0)
		return rc;
	out = open_memstream(url, &len);
	if (out) {
		put_url(out, &account);
		if (fclose(out) == 0)
			return 0;
		free(*url);
	}
	*url = NULL;
	return lf_fail(err, -ENOMEM, "there is no memory for the url of REDIS_HOST");
}
