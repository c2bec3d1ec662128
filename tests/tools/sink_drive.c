/* Drives a sink from lines on stdin: for tests that look at a tier with another reader's eyes.
 *
 * usage: sink_drive MODULE [OPTION=VALUE]…     uri, password, database, tls_ca_file, tls_certificate_file,
 *                                              tls_key_file, connect_timeout_ms, ttl_s, host, incarnation,
 *                                              namespace
 *
 * A line is words between TABs: what to do, then NAME=VALUE.  Every line but `record` is answered by a
 * JSON object on a line of its own, {"result": "done|retry|rejected", "error": …, "ms": …}.
 *
 *   record  namespace hash method template kind frame enabled persistToCache persistToDb tags first last
 *           version writer policy family file line, share=INCARNATION:passed,muted,sampled,limited,folded
 *           (any number), flagsChanged=1, frozen=1: waits for the next flush or evict
 *   flush   sequence timeout     evict  timeout
 *   hello   timeout              … epoch, sequence, notifies
 *   read    namespace flagged=1 shares=1 hash=… (any number), timeout, stop=N: an {"entry": …} each first
 *   tend    namespace=… (any number), timeout   … busy
 *   watch   namespace=… timeout
 *   changes                      … a {"changed": [namespace, hash]} each first
 *   state   timeout              … used, limit
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "logfold/time.h"
#include "sinks/sink.h"

enum { WORDS_MAX = 4096, RECORDS_MAX = 100000, TIMEOUT_MS = 30000 };

struct words {
	char *name[WORDS_MAX], *value[WORDS_MAX];
	size_t count;
};

static struct lf_sink_record records[RECORDS_MAX];
static size_t records_count;

static const char *word(const struct words *words, const char *name, const char *otherwise)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->name[i], name) == 0)
			return words->value[i];
	return otherwise;
}

static long long number(const struct words *words, const char *name, long long otherwise)
{
	const char *value = word(words, name, NULL);

	return value ? strtoll(value, NULL, 10) : otherwise;
}

static size_t every(const struct words *words, const char *name, const char **out)
{
	size_t count = 0;

	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->name[i], name) == 0)
			out[count++] = words->value[i];
	return count;
}

static void split(char *line, struct words *out)
{
	char *save = NULL;

	out->count = 0;
	for (char *at = strtok_r(line, "\t", &save); at && out->count < WORDS_MAX;
	     at = strtok_r(NULL, "\t", &save)) {
		char *equals = strchr(at, '=');

		out->name[out->count] = at;
		out->value[out->count++] = equals ? equals + 1 : at + strlen(at);
		if (equals)
			*equals = '\0';
	}
}

/* --- output ----------------------------------------------------------------------------------- */

static void put_text(struct lf_text text)
{
	(void)putchar('"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '"' || c == '\\')
			(void)printf("\\%c", c);
		else if (c < 0x20)
			(void)printf("\\u%04x", c);
		else
			(void)putchar(c);
	}
	(void)putchar('"');
}

static void put_string(const char *string)
{
	if (string)
		put_text((struct lf_text){ string, strlen(string) });
	else
		(void)fputs("null", stdout);
}

static void put_field(const char *name, struct lf_text text)
{
	(void)printf("\"%s\": ", name);
	put_text(text);
	(void)fputs(", ", stdout);
}

static void put_counts(const uint64_t counts[LF_OUTCOME_COUNT])
{
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		(void)printf("%s%llu", i ? ", " : "[", (unsigned long long)counts[i]);
	(void)putchar(']');
}

static int put_entry(void *arg, const struct lf_entry *e, const struct lf_share *shares, size_t count)
{
	int *left = arg;

	(void)fputs("{\"entry\": {", stdout);
	put_field("hash", e->hash);
	put_field("namespace", e->namespace);
	put_field("method", e->method);
	put_field("messageTemplate", e->message_template);
	put_field("templateKind", e->template_kind);
	put_field("topFrame", e->top_frame);
	put_field("firstSeenAt", e->first_seen_at);
	put_field("lastSeenAt", e->last_seen_at);
	put_field("sourceFile", e->source_file);
	put_field("family", e->family);
	put_field("policy", e->policy);
	put_field("flagsWriter", e->flags_writer);
	(void)printf("\"enabled\": %d, \"persistToCache\": %d, \"persistToDb\": %d, \"sourceLine\": %lld, "
	             "\"flagsVersion\": %lld, \"countTotal\": %llu, \"tags\": %.*s, \"counts\": ",
	             e->enabled, e->persist_to_cache, e->persist_to_db, (long long)e->source_line,
	             (long long)e->flags_version, (unsigned long long)e->count_total,
	             e->tags.len ? (int)e->tags.len : 2, e->tags.len ? e->tags.data : "[]");
	put_counts(e->counts);
	(void)fputs("}, \"shares\": ", stdout);
	(void)fputs(shares ? "{" : "null", stdout);
	for (size_t i = 0; shares && i < count; i++) {
		(void)printf("%s\"%s\": ", i ? ", " : "", shares[i].incarnation);
		put_counts(shares[i].counts);
	}
	(void)fputs(shares ? "}}\n" : "}\n", stdout);
	return --*left == 0;
}

static void put_changed(void *arg, const char *namespace, const char *hash)
{
	(void)arg;
	(void)fputs("{\"changed\": [", stdout);
	put_string(namespace);
	(void)fputs(", ", stdout);
	put_string(hash);
	(void)fputs("]}\n", stdout);
}

/* --- records ---------------------------------------------------------------------------------- */

static struct lf_text text_of(const struct words *words, const char *name, const char *otherwise)
{
	char *copy = strdup(word(words, name, otherwise));

	return (struct lf_text){ copy, strlen(copy) };
}

static bool yes(const struct words *words, const char *name, int otherwise)
{
	return number(words, name, otherwise) != 0;
}

static struct lf_entry *entry_of(const struct words *words)
{
	struct lf_entry *e = calloc(1, sizeof(*e));

	e->namespace = text_of(words, "namespace", "shop");
	e->hash = text_of(words, "hash", "");
	e->method = text_of(words, "method", "printf");
	e->message_template = text_of(words, "template", "hello %s\\n");
	e->template_kind = text_of(words, "kind", "format");
	e->top_frame = text_of(words, "frame", "shop!main");
	e->enabled = yes(words, "enabled", 1);
	e->persist_to_cache = yes(words, "persistToCache", 1);
	e->persist_to_db = yes(words, "persistToDb", 1);
	e->tags = text_of(words, "tags", "[]");
	e->first_seen_at = text_of(words, "first", "2024-05-06T07:08:09.123Z");
	e->last_seen_at = text_of(words, "last", "2024-05-06T07:08:10.456Z");
	e->flags_version = number(words, "version", 0);
	e->flags_writer = text_of(words, "writer", "");
	e->policy = text_of(words, "policy", "");
	e->family = text_of(words, "family", "");
	e->source_file = text_of(words, "file", "");
	e->source_line = number(words, "line", 0);
	return e;
}

static size_t shares_of(const struct words *words, struct lf_share **out)
{
	const char *texts[WORDS_MAX];
	size_t count = every(words, "share", texts);

	*out = calloc(count + 1, sizeof(**out));
	for (size_t i = 0; i < count; i++) {
		struct lf_share *share = &(*out)[i];
		char *at = strchr(texts[i], ':');

		(void)snprintf(share->incarnation, sizeof(share->incarnation), "%.*s",
		               (int)(at ? at - texts[i] : 0), texts[i]);
		for (int outcome = 0; at && outcome < LF_OUTCOME_COUNT && *at; outcome++)
			share->counts[outcome] = strtoull(at + 1, &at, 10);
	}
	return count;
}

static void record(const struct words *words)
{
	struct lf_sink_record *r = &records[records_count];
	struct lf_share *shares;

	if (records_count == RECORDS_MAX)
		return;
	r->entry = entry_of(words);
	r->shares_count = shares_of(words, &shares);
	r->shares = shares;
	r->flags_changed = yes(words, "flagsChanged", 0);
	r->frozen = yes(words, "frozen", 0);
	records_count++;
}

static void forget_records(void)
{
	while (records_count > 0) {
		const struct lf_sink_record *r = &records[--records_count];
		const struct lf_entry *e = r->entry;
		const struct lf_text *texts[] = { &e->namespace, &e->hash, &e->method, &e->message_template,
			                          &e->template_kind, &e->top_frame, &e->tags,
			                          &e->first_seen_at, &e->last_seen_at, &e->flags_writer,
			                          &e->policy, &e->family, &e->source_file };

		for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
			free((char *)texts[i]->data);
		free((void *)e);
		free((void *)r->shares);
	}
}

/* --- one line --------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void answer(enum lf_sink_result result, const struct lf_error *err, uint64_t began_ms,
                   const char *more)
{
	static const char *const names[] = { "done", "retry", "rejected" };

	(void)printf("{\"result\": \"%s\", \"error\": ", names[result]);
	put_string(result == LF_SINK_DONE ? NULL : err->text);
	(void)printf(", \"ms\": %llu%s}\n", (unsigned long long)(now_ms() - began_ms), more);
	(void)fflush(stdout);
}

static enum lf_sink_result read_all(const struct lf_sink_ops *ops, struct lf_sink *sink,
                                    const struct words *words, int timeout, struct lf_error *err)
{
	const char *hashes[WORDS_MAX];
	int left = (int)number(words, "stop", -1);
	struct lf_sink_query query = {
		.namespace = word(words, "namespace", "shop"),
		.what = yes(words, "flagged", 0) ? LF_SINK_FLAGGED : LF_SINK_ALL,
		.with_shares = yes(words, "shares", 0),
	};

	query.hashes_count = every(words, "hash", hashes);
	query.hashes = query.hashes_count ? hashes : NULL;
	return ops->read(sink, &query, put_entry, &left, timeout, err);
}

static enum lf_sink_result tend(const struct lf_sink_ops *ops, struct lf_sink *sink,
                                const struct words *words, int timeout, char *more, size_t size,
                                struct lf_error *err)
{
	const char *namespaces[WORDS_MAX] = { "shop" };
	size_t count = every(words, "namespace", namespaces);
	bool busy = false;
	enum lf_sink_result result = ops->tend(sink, namespaces, count ? count : 1, &busy, timeout, err);

	(void)snprintf(more, size, ", \"busy\": %s", busy ? "true" : "false");
	return result;
}

static enum lf_sink_result hello(const struct lf_sink_ops *ops, struct lf_sink *sink, int timeout,
                                 char *more, size_t size, struct lf_error *err)
{
	struct lf_sink_hello out = { 0 };
	enum lf_sink_result result = ops->hello(sink, &out, timeout, err);

	(void)snprintf(more, size, ", \"epoch\": \"%s\", \"sequence\": %llu, \"notifies\": %s", out.epoch,
	               (unsigned long long)out.sequence, out.notifies ? "true" : "false");
	return result;
}

static enum lf_sink_result state(const struct lf_sink_ops *ops, struct lf_sink *sink, int timeout,
                                 char *more, size_t size, struct lf_error *err)
{
	struct lf_sink_state out = { 0 };
	enum lf_sink_result result = ops->state(sink, &out, timeout, err);

	(void)snprintf(more, size, ", \"used\": %lld, \"limit\": %lld", (long long)out.used_bytes,
	               (long long)out.limit_bytes);
	return result;
}

static enum lf_sink_result watch(const struct lf_sink_ops *ops, struct lf_sink *sink,
                                 const struct words *words, int timeout, struct lf_error *err)
{
	const char *namespaces[WORDS_MAX] = { "shop" };
	size_t count = every(words, "namespace", namespaces);

	return ops->watch(sink, namespaces, count ? count : 1, timeout, err);
}

static enum lf_sink_result flush(const struct lf_sink_ops *ops, struct lf_sink *sink,
                                 const struct words *words, int timeout, struct lf_error *err)
{
	struct lf_sink_batch batch = { records, records_count, (uint64_t)number(words, "sequence", 0) };
	enum lf_sink_result result = ops->flush(sink, &batch, timeout, err);

	forget_records();
	return result;
}

static void obey(const struct lf_sink_ops *ops, struct lf_sink *sink, const struct words *words)
{
	const char *verb = words->name[0];
	int timeout = (int)number(words, "timeout", TIMEOUT_MS);
	struct lf_error err = { "no such word, or this sink cannot" };
	enum lf_sink_result result = LF_SINK_REJECTED;
	uint64_t began_ms = now_ms();
	char more[256] = "";

	if (strcmp(verb, "hello") == 0)
		result = hello(ops, sink, timeout, more, sizeof(more), &err);
	else if (strcmp(verb, "flush") == 0)
		result = flush(ops, sink, words, timeout, &err);
	else if (strcmp(verb, "read") == 0)
		result = read_all(ops, sink, words, timeout, &err);
	else if (strcmp(verb, "tend") == 0 && ops->tend)
		result = tend(ops, sink, words, timeout, more, sizeof(more), &err);
	else if (strcmp(verb, "evict") == 0 && ops->evict)
		result = ops->evict(sink, records, records_count, timeout, &err), forget_records();
	else if (strcmp(verb, "watch") == 0 && ops->watch)
		result = watch(ops, sink, words, timeout, &err);
	else if (strcmp(verb, "changes") == 0 && ops->changes)
		result = ops->changes(sink, put_changed, NULL, &err);
	else if (strcmp(verb, "state") == 0 && ops->state)
		result = state(ops, sink, timeout, more, sizeof(more), &err);
	answer(result, &err, began_ms, more);
}

/* --- the module ------------------------------------------------------------------------------- */

static struct lf_sink_options options_of(const struct words *words)
{
	return (struct lf_sink_options){
		.uri = word(words, "uri", NULL),
		.password = word(words, "password", NULL),
		.database = word(words, "database", NULL),
		.tls_ca_file = word(words, "tls_ca_file", NULL),
		.tls_certificate_file = word(words, "tls_certificate_file", NULL),
		.tls_key_file = word(words, "tls_key_file", NULL),
		.connect_timeout_ms = (int)number(words, "connect_timeout_ms", 0),
		.ttl_s = (int)number(words, "ttl_s", 0),
		.host = word(words, "host", "testhost"),
		.incarnation = word(words, "incarnation", "00000000-0000-4000-8000-000000000001"),
		.namespace = word(words, "namespace", "shop"),
	};
}

static const struct lf_sink_ops *load(const char *path)
{
	void *module;

	/* One client library touches shared memory in its constructor, which a full /dev/shm kills. */
	(void)setenv("MONGOC_DISABLE_SHM", "1", 1);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module) {
		(void)fprintf(stderr, "sink_drive: %s\n", dlerror());
		exit(1);
	}
	return dlsym(module, LF_SINK_MODULE);
}

int main(int argc, char **argv)
{
	static struct words given, words;
	const struct lf_sink_ops *ops;
	struct lf_sink_options options;
	struct lf_error err = { "" };
	struct lf_sink *sink = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc;

	if (argc < 2)
		return 64;
	for (int i = 2; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (!equals)
			return 64;
		*equals = '\0';
		given.name[given.count] = argv[i];
		given.value[given.count++] = equals + 1;
	}
	ops = load(argv[1]);
	options = options_of(&given);
	rc = ops->open(&sink, &options, &err);
	answer(rc == 0 ? LF_SINK_DONE : LF_SINK_REJECTED, &err, now_ms(), "");
	if (rc != 0)
		return 1;
	while ((len = getline(&line, &size, stdin)) > 0) {
		line[len - 1] = line[len - 1] == '\n' ? '\0' : line[len - 1];
		split(line, &words);
		if (words.count > 0 && strcmp(words.name[0], "record") == 0)
			record(&words);
		else if (words.count > 0)
			obey(ops, sink, &words);
	}
	ops->close(sink);
	forget_records();
	free(line);
	return 0;
}
