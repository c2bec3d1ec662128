/* Where the server is and who we are there, as options say it: taken apart, checked, and kept. */
#ifndef LOGFOLD_SINKS_REDIS_ACCOUNT_H
#define LOGFOLD_SINKS_REDIS_ACCOUNT_H

#include "sinks/redis/connection.h"
#include "sinks/redis/url.h"

struct lf_redis_account {
	struct lf_redis_url url;
	struct lf_redis_tls_files files;
	struct lf_redis_place place;
	struct lf_redis_login login; /* points into this: an account stays where it is */
};

/* What is NULL or empty was not given. */
struct lf_redis_account_options {
	const char *url, *password; /* the latter instead of the one in the URL */
	struct lf_redis_tls_files files;
	const char *name; /* CLIENT LIST shows it */
	const struct lf_redis_scripts *scripts;
};

/* -EINVAL, -ENOMEM.  To be ended in any case. */
LF_MUST_CHECK int lf_redis_account_init(struct lf_redis_account *account,
                                        const struct lf_redis_account_options *options,
                                        struct lf_error *err);
void lf_redis_account_fini(struct lf_redis_account *account);

#endif
