/* The Redis sink: a shared copy of the hot set, and the quick way of a flag between hosts. */
#include "sinks/redis/room.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* CLIENT LIST shows it; a name with a space is refused. */
static void name_ourselves(struct lf_redis_login *login, const char *host)
{
	(void)snprintf(login->name, sizeof(login->name), "logfold@%s", host && *host ? host : "unknown");
	for (char *c = login->name; *c; c++)
		if (!isgraph((unsigned char)*c))
			*c = '-';
}

static void take_options(struct lf_sink *sink, const struct lf_sink_options *options)
{
	sink->options = *options;
	sink->files = (struct lf_redis_tls_files){ options->tls_ca_file, options->tls_certificate_file,
		                                       options->tls_key_file };
	sink->login.user = sink->url.user;
	sink->login.password = options->password && *options->password ? options->password :
	                                                                 sink->url.password;
	sink->login.db = sink->url.db;
	sink->login.tls = sink->url.tls ? &sink->files : NULL;
	name_ourselves(&sink->login, options->host);
}

/* What is empty was not given. */
static void drop_empty(const char **text)
{
	if (*text && !**text)
		*text = NULL;
}

static int check(struct lf_sink *sink, struct lf_error *err)
{
	drop_empty(&sink->files.ca);
	drop_empty(&sink->files.certificate);
	drop_empty(&sink->files.key);
	if (*sink->login.user && !*sink->login.password)
		return lf_fail(err, -EINVAL,
		               "the Redis URL names a user without a password: write user:password@, or set "
		               "password_file of [redis]");
	if (!sink->url.tls && (sink->files.ca || sink->files.certificate))
		return lf_fail(err, -EINVAL, "TLS files are given for Redis, but the URL does not ask for TLS: "
		               "write rediss://");
	if (sink->files.key && !sink->files.certificate)
		return lf_fail(err, -EINVAL, "tls_key_file of [redis] is of no use without a "
		               "tls_certificate_file");
	if (sink->options.ttl_s <= 0)
		return lf_fail(err, -EINVAL, "ttl_s of [redis] must be at least 1");
	return 0;
}

static void close_sink(struct lf_sink *sink)
{
	if (!sink)
		return;
	lf_redis_watch_fini(&sink->watch);
	lf_redis_nodes_fini(&sink->nodes);
	explicit_bzero(sink->url.password, sizeof(sink->url.password));
	free(sink);
}

static int open_sink(struct lf_sink **out, const struct lf_sink_options *options,
                     struct lf_error *err)
{
	struct lf_sink *sink = calloc(1, sizeof(*sink));
	struct lf_redis_place place;
	int rc;

	if (!sink)
		return lf_fail(err, -ENOMEM, "no memory for the connection to redis");
	rc = lf_redis_url_parse(&sink->url, options->uri ? options->uri : "", err);
	if (rc == 0) {
		take_options(sink, options);
		rc = check(sink, err);
	}
	if (rc == 0) {
		lf_redis_place_set(&place, sink->url.local, sink->url.name, sink->url.port);
		rc = lf_redis_nodes_init(&sink->nodes, &place, &sink->login, options->connect_timeout_ms);
		if (rc < 0)
			(void)lf_fail(err, rc, "no memory for the connection to redis");
	}
	if (rc == 0)
		*out = sink;
	else
		close_sink(sink);
	return rc;
}

__attribute__((visibility("default"))) extern const struct lf_sink_ops lf_sink_module;

const struct lf_sink_ops lf_sink_module = {
	.abi = LF_SINK_ABI,
	.name = "redis",
	.open = open_sink,
	.close = close_sink,
	.hello = lf_redis_hello,
	.flush = lf_redis_flush,
	.read = lf_redis_read,
	.evict = lf_redis_evict,
	.watch = lf_redis_watch,
	.watch_fd = lf_redis_watch_fd,
	.changes = lf_redis_changes,
	.state = lf_redis_state,
};
