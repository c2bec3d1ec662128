#include "sinks/redis/account.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A name with a space is refused. */
static void take_name(struct lf_redis_login *login, const char *name)
{
	(void)snprintf(login->name, sizeof(login->name), "%s", name);
	for (char *c = login->name; *c; c++)
		if (!isgraph((unsigned char)*c))
			*c = '-';
}

static int take_password(struct lf_redis_url *url, const char *password, struct lf_error *err)
{
	if (!password || !*password)
		return 0;
	if (strlen(password) >= sizeof(url->password))
		return lf_fail(err, -EINVAL, "the password of Redis is longer than %zu bytes",
		               sizeof(url->password) - 1);
	(void)snprintf(url->password, sizeof(url->password), "%s", password);
	return 0;
}

static int take_file(const char **out, const char *file, struct lf_error *err)
{
	if (!file || !*file)
		return 0;
	*out = strdup(file);
	return *out ? 0 : lf_fail(err, -ENOMEM, "no memory for the connection to redis");
}

static int take_files(struct lf_redis_tls_files *out, const struct lf_redis_tls_files *files,
                      struct lf_error *err)
{
	int rc = take_file(&out->ca, files->ca, err);

	if (rc == 0)
		rc = take_file(&out->certificate, files->certificate, err);
	if (rc == 0)
		rc = take_file(&out->key, files->key, err);
	return rc;
}

static int check(const struct lf_redis_account *account, struct lf_error *err)
{
	const struct lf_redis_tls_files *files = &account->files;

	if (*account->url.user && !*account->url.password)
		return lf_fail(err, -EINVAL, "the Redis URL names a user without a password: write user:password@, or give "
		               "the password beside it");
	if (!account->url.tls && (files->ca || files->certificate))
		return lf_fail(err, -EINVAL, "TLS files are given for Redis, but the URL does not ask for TLS: "
		               "write rediss://");
	if (files->key && !files->certificate)
		return lf_fail(err, -EINVAL, "tls_key_file of Redis is of no use without a tls_certificate_file");
	return 0;
}

int lf_redis_account_init(struct lf_redis_account *account,
                          const struct lf_redis_account_options *options, struct lf_error *err)
{
	struct lf_redis_url *url = &account->url;
	int rc = lf_redis_url_parse(url, options->url ? options->url : "", err);

	if (rc == 0)
		rc = take_password(url, options->password, err);
	if (rc == 0)
		rc = take_files(&account->files, &options->files, err);
	if (rc == 0)
		rc = check(account, err);
	if (rc < 0)
		return rc;
	lf_redis_place_set(&account->place, url->local, url->name, url->port);
	account->login.user = url->user;
	account->login.password = url->password;
	account->login.db = url->db;
	account->login.tls = url->tls ? &account->files : NULL;
	account->login.scripts = options->scripts;
	take_name(&account->login, options->name);
	return 0;
}

void lf_redis_account_fini(struct lf_redis_account *account)
{
	explicit_bzero(account->url.password, sizeof(account->url.password));
	free((void *)(uintptr_t)account->files.ca);
	free((void *)(uintptr_t)account->files.certificate);
	free((void *)(uintptr_t)account->files.key);
	account->files = (struct lf_redis_tls_files){ NULL };
}
