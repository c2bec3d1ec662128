/* The Redis sink: a shared copy of the hot set, and the quick way of a flag between hosts. */
#include "sinks/redis/room.h"

#include <errno.h>
#include <stdlib.h>

static int take_options(struct lf_sink *sink, const struct lf_sink_options *options,
                        struct lf_error *err)
{
	char name[128];
	const struct lf_redis_account_options account = {
		.url = options->uri,
		.password = options->password,
		.files = { options->tls_ca_file, options->tls_certificate_file, options->tls_key_file },
		.name = name,
		.scripts = lf_redis_sink_scripts(),
	};
	int rc;

	sink->options = *options;
	(void)snprintf(name, sizeof(name), "logfold@%s",
	               options->host && *options->host ? options->host : "unknown");
	rc = lf_redis_account_init(&sink->account, &account, err);
	if (rc == 0 && options->ttl_s <= 0)
		rc = lf_fail(err, -EINVAL, "ttl_s of [redis] must be at least 1");
	return rc;
}

static void close_sink(struct lf_sink *sink)
{
	if (!sink)
		return;
	lf_redis_watch_fini(&sink->watch);
	lf_redis_nodes_fini(&sink->nodes);
	lf_redis_account_fini(&sink->account);
	free(sink);
}

static int open_sink(struct lf_sink **out, const struct lf_sink_options *options,
                     struct lf_error *err)
{
	struct lf_sink *sink = calloc(1, sizeof(*sink));
	int rc;

	if (!sink)
		return lf_fail(err, -ENOMEM, "no memory for the connection to redis");
	rc = take_options(sink, options, err);
	if (rc == 0) {
		rc = lf_redis_nodes_init(&sink->nodes, &sink->account.place, &sink->account.login,
		                         options->connect_timeout_ms);
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
