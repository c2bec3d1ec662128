/* The MongoDB sink: the module's only name is lf_sink_module.
 *
 * documents.h says what it writes, rollup.h how the sums come about, connection.h and stream.h how every
 * call ends in time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/internal.h"

static void sink_close(struct lf_sink *sink)
{
	if (!sink)
		return;
	lf_mongo_tend_fini(sink);
	lf_mongo_close(sink->mongo);
	free(sink->host);
	free(sink->incarnation);
	free(sink->namespace);
	free(sink);
}

/* The connection goes: what was found on it may be otherwise on the next. */
static void forget_connection(void *arg)
{
	struct lf_sink *sink = arg;

	lf_mongo_watch_drop(sink);
	sink->prepared[0] = '\0';
}

static int sink_open(struct lf_sink **out, const struct lf_sink_options *options, struct lf_error *err)
{
	struct lf_sink *sink = calloc(1, sizeof(*sink));
	int rc;

	if (!sink)
		return lf_fail(err, -ENOMEM, "mongo: there is no memory");
	sink->host = strdup(options->host ? options->host : "");
	sink->incarnation = strdup(options->incarnation ? options->incarnation : "");
	sink->namespace = strdup(options->namespace ? options->namespace : LF_NAMESPACE_DEFAULT);
	rc = sink->host && sink->incarnation && sink->namespace ?
	             lf_mongo_open(&sink->mongo, options, err) :
	             lf_fail(err, -ENOMEM, "mongo: there is no memory");
	if (rc != 0) {
		sink_close(sink);
		return rc;
	}
	lf_mongo_on_drop(sink->mongo, forget_connection, sink);
	*out = sink;
	return 0;
}

/* The library has no descriptor to wait on. */
static int sink_watch_fd(const struct lf_sink *sink)
{
	(void)sink;
	return -1;
}

extern const struct lf_sink_ops lf_sink_module;

__attribute__((visibility("default"))) const struct lf_sink_ops lf_sink_module = {
	.abi = LF_SINK_ABI,
	.name = "mongo",
	.open = sink_open,
	.close = sink_close,
	.hello = lf_mongo_hello,
	.flush = lf_mongo_flush,
	.read = lf_mongo_read,
	.tend = lf_mongo_tend,
	.watch = lf_mongo_watch,
	.watch_fd = sink_watch_fd,
	.changes = lf_mongo_changes,
};
