/* Import from MongoDB: mongodb://…/database[.collection], read through the module that writes there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/import.h"
#include "agent/core/sinks.h"

enum { CONNECT_TIMEOUT_MS = 5000, READ_TIMEOUT_MS = 600000 };

static const char *const schemes[] = { "mongodb://", "mongodb+srv://", NULL };

bool lf_import_is_mongo(const char *from)
{
	for (const char *const *scheme = schemes; *scheme; scheme++)
		if (strncmp(from, *scheme, strlen(*scheme)) == 0)
			return true;
	return false;
}

struct source {
	char *uri; /* without the collection */
	char *database, *collection; /* NULL: the usual one */
};

static void source_fini(struct source *source)
{
	free(source->uri);
	free(source->database);
	free(source->collection);
}

/* Behind the hosts: /database[.collection][?options]. */
static int take_apart(const char *from, struct source *out, struct lf_error *err)
{
	const char *hosts = strstr(from, "://") + 3;
	const char *path = hosts + strcspn(hosts, "/?");
	size_t len = *path == '/' ? strcspn(path + 1, "?") : 0;
	size_t name = len ? strcspn(path + 1, ".?") : 0;

	if (name == 0)
		return lf_fail(err, -EINVAL, "the MongoDB URI names no database: end it with /DATABASE, or "
		                             "/DATABASE.COLLECTION");
	out->database = strndup(path + 1, name);
	if (name + 1 < len)
		out->collection = strndup(path + 2 + name, len - name - 1);
	if (asprintf(&out->uri, "%.*s%s", (int)(path + 1 + name - from), from, path + 1 + len) < 0)
		out->uri = NULL;
	if (!out->uri || !out->database || (name + 1 < len && !out->collection))
		return lf_fail(err, -ENOMEM, "there is no memory to read from MongoDB");
	return 0;
}

struct reading {
	struct lf_import *import;
	struct lf_error *err;
	int rc;
};

static int take(void *arg, const struct lf_entry *entry, const struct lf_share *shares, size_t count)
{
	struct reading *reading = arg;
	struct lf_import_counts counts = { .has_total = true, .shares = shares, .shares_count = count,
		                           .has_shares = count > 0 };
	struct lf_import *import = reading->import;
	struct lf_error why = { "" };
	uint64_t sum = 0;

	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		sum += entry->counts[i];
	counts.has_passed = sum >= entry->count_total;
	reading->rc = lf_import_take(import, entry, &counts, &why);
	if (reading->rc == -EINVAL && import->options->skip_bad) {
		import->skipped++;
		reading->rc = 0;
	} else if (reading->rc < 0) {
		(void)lf_fail(reading->err, reading->rc, "entry %.*s: %.300s%s",
		              (int)(entry->hash.len < 64 ? entry->hash.len : 64), entry->hash.data, why.text,
		              reading->rc == -EINVAL ? ": leave such ones out with --skip-bad; nothing is imported" :
		                                       "");
	}
	lf_import_progress(import);
	return reading->rc;
}

static int read_all(struct lf_import *import, const struct lf_sink_ops *ops, struct lf_sink *sink,
                    struct lf_error *err)
{
	const char *wanted = import->options->namespace;
	struct reading reading = { import, err, 0 };
	struct lf_sink_query query = { .namespace = wanted ? wanted : LF_NAMESPACE_DEFAULT,
		                       .what = LF_SINK_ALL,
		                       .with_shares = true };

	/* Without a hello(): that would make indexes and a mark where we only read. */
	if (ops->read(sink, &query, take, &reading, READ_TIMEOUT_MS, err) != LF_SINK_DONE)
		return reading.rc < 0 ? reading.rc : -EIO;
	return reading.rc;
}

int lf_import_mongo(struct lf_import *import, struct lf_error *err)
{
	struct source source = { NULL, NULL, NULL };
	struct lf_sink_options options = { .connect_timeout_ms = CONNECT_TIMEOUT_MS };
	const struct lf_sink_ops *ops = NULL;
	struct lf_sink *sink = NULL;
	int rc = take_apart(import->from, &source, err);

	if (rc == 0)
		rc = lf_sink_find("mongo", &ops, err);
	if (rc == 0) {
		options.uri = source.uri;
		options.database = source.database;
		options.collection = source.collection;
		rc = ops->open(&sink, &options, err);
	}
	if (rc == 0)
		rc = read_all(import, ops, sink, err);
	if (ops)
		ops->close(sink);
	source_fini(&source);
	return rc;
}
