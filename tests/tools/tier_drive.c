/* A tier of the cache by itself, for tests: one that is a module, found as the stack finds it.
 *
 * usage: tier_drive redis|mongo NAME=VALUE…    url password database ca certificate key scope writer value_max
 *        timeout connect_timeout pool_min pool_max compress_min
 *
 * Reads a command a line, with an optional @MS before it, its deadline (5000), and answers each with a line: the
 * result, how many ms it took, and what it found; where it failed, the sentence behind a |.  Keys and names are words,
 * a version is CLOCK or CLOCK.WRITER, values are hex (-: empty).
 *
 *   ping                                    the mark
 *   load KEY…                               for each: - or KEY CLOCK.WRITER TYPE EXPIRES VALUE, separated by ;
 *   store KEY VERSION VALUE [CONDITION…]    stored or not; newer, version=V, locked=TOKEN; expires=MS type=N
 *                                           size=BYTES owed=N
 *   fill PREFIX COUNT VERSION BYTES         stores so many in one call; how many of them were stored
 *   scan PREFIX MAX                         how many calls that took, the most keys of one, and all keys
 *   drop PREFIX CLOCK
 *   stamps NAME…      raise TO NAME…        the numbers
 *   lock KEY TTL      unlock KEY TOKEN      the token
 *   watch
 *   changes           woken                 until the deadline; with a wake_fd that is readable: kind name version;…
 *   tend              info
 *   storm THREADS CALLS KEY                 loads; how many ended how: done away rejected full
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/modules.h"

enum { WORDS_MAX = 1100, DEADLINE_MS = 5000 };

static const struct lf_tier_ops *ops;
static struct lf_tier *tier;
static char *words[WORDS_MAX];
static size_t words_count;
static int64_t end_ms;
static struct lf_error why;

static int64_t now(void *arg)
{
	struct timespec at;

	(void)arg;
	(void)clock_gettime(CLOCK_REALTIME, &at);
	return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

static const char *word(size_t i)
{
	return i < words_count ? words[i] : "";
}

static struct lf_version version(const char *said)
{
	char *rest;
	struct lf_version found = { .clock = strtoull(said, &rest, 10) };

	found.writer = *rest == '.' ? strtoull(rest + 1, NULL, 10) : 0;
	return found;
}

static void *allocated(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* --- hex ------------------------------------------------------------------------------------------- */

static struct lf_text from_hex(const char *hex)
{
	size_t len = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
	char *out = allocated(malloc(len + 1));

	for (size_t i = 0; i < len; i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (char)strtoul(pair, NULL, 16);
	}
	return (struct lf_text){ out, len };
}

static void print_hex(struct lf_text bytes)
{
	if (bytes.len == 0)
		(void)printf("-");
	for (size_t i = 0; i < bytes.len; i++)
		(void)printf("%02x", (unsigned char)bytes.data[i]);
}

/* --- commands: they print what they found, behind the result ---------------------------------------- */

static int64_t begun_ms;

static bool answered(enum lf_tier_result result)
{
	static const char *const names[] = { "done", "away", "rejected", "full" };

	(void)printf("%s %lld", names[result], (long long)(lf_clock_ms() - begun_ms));
	if (result != LF_TIER_DONE)
		(void)printf(" | %s", why.text);
	return result == LF_TIER_DONE;
}

static void do_ping(void)
{
	char mark[LF_TIER_MARK_MAX] = "";

	if (answered(ops->ping(tier, mark, end_ms, &why)))
		(void)printf(" %s", mark);
}

static void print_record(const char *key, struct lf_record *record)
{
	if (!record) {
		(void)printf(" -;");
		return;
	}
	(void)printf(" %s %llu.%llu %u %lld ", key, (unsigned long long)record->version.clock,
	             (unsigned long long)record->version.writer, record->type, (long long)record->expires_ms);
	print_hex(record->value);
	(void)printf(";");
	lf_record_drop(record);
}

static void do_load(void)
{
	size_t count = words_count - 1;
	struct lf_text *keys = allocated(calloc(count + 1, sizeof(*keys)));
	struct lf_record **records = allocated(calloc(count + 1, sizeof(struct lf_record *)));

	for (size_t i = 0; i < count; i++)
		keys[i] = text(words[i + 1]);
	if (answered(ops->load(tier, keys, count, records, end_ms, &why)))
		for (size_t i = 0; i < count; i++)
			print_record(words[i + 1], records[i]);
	free(keys);
	free((void *)records);
}

static void take_condition(struct lf_tier_store *store, struct lf_record *record, const char *said)
{
	if (strncmp(said, "version=", 8) == 0) {
		store->condition = LF_IF_VERSION;
		store->expected = version(said + 8);
	} else if (strncmp(said, "locked=", 7) == 0) {
		store->condition = LF_IF_LOCKED;
		store->token = strtoull(said + 7, NULL, 10);
	} else if (strncmp(said, "expires=", 8) == 0) {
		record->expires_ms = strtoll(said + 8, NULL, 10);
	} else if (strncmp(said, "type=", 5) == 0) {
		record->type = (uint8_t)atoi(said + 5);
	} else if (strncmp(said, "owed=", 5) == 0) {
		store->owed = (unsigned)atoi(said + 5);
	} else if (strncmp(said, "size=", 5) == 0) {
		record->value.len = strtoull(said + 5, NULL, 10);
		free((void *)(uintptr_t)record->value.data);
		record->value.data = allocated(memset(allocated(malloc(record->value.len + 1)), 'x', record->value.len + 1));
	}
}

static void do_store(void)
{
	struct lf_record record = { .type = LF_RECORD_STRING, .version = version(word(2)), .value = from_hex(word(3)) };
	struct lf_tier_store store = { .key = text(word(1)), .record = &record };

	for (size_t i = 4; i < words_count; i++)
		take_condition(&store, &record, words[i]);
	if (answered(ops->store(tier, &store, 1, end_ms, &why)))
		(void)printf(" %s", store.stored == LF_STORED ? "stored" : "not");
	free((void *)(uintptr_t)record.value.data);
}

static void do_fill(void)
{
	size_t count = strtoull(word(2), NULL, 10), len = strtoull(word(4), NULL, 10), stored = 0;
	struct lf_record record = { .type = LF_RECORD_STRING, .version = version(word(3)),
		                        .value = { allocated(calloc(1, len + 1)), len } };
	struct lf_tier_store *stores = allocated(calloc(count + 1, sizeof(*stores)));

	for (size_t i = 0; i < count; i++) {
		char *key;

		if (asprintf(&key, "%s%zu", word(1), i) < 0)
			abort();
		stores[i] = (struct lf_tier_store){ .key = text(key), .record = &record, .stored = LF_NOT_STORED };
	}
	if (answered(ops->store(tier, stores, count, end_ms, &why))) {
		for (size_t i = 0; i < count; i++)
			stored += stores[i].stored == LF_STORED;
		(void)printf(" %zu", stored);
	}
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)stores[i].key.data);
	free(stores);
	free((void *)(uintptr_t)record.value.data);
}

static void do_scan(void)
{
	char cursor[LF_TIER_CURSOR_MAX] = "", *all = NULL;
	enum lf_tier_result result;
	size_t size = 0, calls = 0, most = 0;
	FILE *found = allocated(open_memstream(&all, &size));

	do {
		size_t count = 0;
		char **keys = NULL;

		result = ops->scan(tier, text(word(1)), cursor, (size_t)atoi(word(2)), &keys, &count, end_ms, &why);
		calls++;
		most = count > most ? count : most;
		for (size_t i = 0; i < count && result == LF_TIER_DONE; i++) {
			(void)fprintf(found, " %s", keys[i]);
			free(keys[i]);
		}
		if (result == LF_TIER_DONE)
			free((void *)keys);
	} while (result == LF_TIER_DONE && *cursor);
	(void)fclose(found);
	if (answered(result))
		(void)printf(" %zu %zu%s", calls, most, all);
	free(all);
}

static void do_drop(void)
{
	(void)answered(ops->drop(tier, text(word(1)), strtoull(word(2), NULL, 10), end_ms, &why));
}

static void do_numbers(bool raise)
{
	size_t first = raise ? 2 : 1, count = words_count - first;
	struct lf_text *names = allocated(calloc(count + 1, sizeof(*names)));
	uint64_t *out = allocated(calloc(count + 1, sizeof(*out)));
	enum lf_tier_result result;

	for (size_t i = 0; i < count; i++)
		names[i] = text(words[first + i]);
	if (raise)
		result = ops->raise(tier, names, count, strtoull(word(1), NULL, 10), out, end_ms, &why);
	else
		result = ops->stamps(tier, names, count, out, end_ms, &why);
	if (answered(result))
		for (size_t i = 0; i < count; i++)
			(void)printf(" %llu", (unsigned long long)out[i]);
	free(names);
	free(out);
}

static void do_stamps(void)
{
	do_numbers(false);
}

static void do_raise(void)
{
	do_numbers(true);
}

static void do_lock(void)
{
	uint64_t token = 0;

	if (answered(ops->lock(tier, text(word(1)), atoi(word(2)), &token, end_ms, &why)))
		(void)printf(" %llu", (unsigned long long)token);
}

static void do_unlock(void)
{
	(void)answered(ops->unlock(tier, text(word(1)), strtoull(word(2), NULL, 10), end_ms, &why));
}

static void do_watch(void)
{
	(void)answered(ops->watch(tier, end_ms, &why));
}

static void hear(void *arg, const struct lf_tier_change *change)
{
	static const char *const kinds[] = { "key", "stamp", "prefix", "unknown" };

	(void)fprintf(arg, " %s %.*s %llu.%llu;", kinds[change->kind], (int)change->name.len,
	              change->name.len ? change->name.data : "", (unsigned long long)change->version.clock,
	              (unsigned long long)change->version.writer);
}

static void listen_until(int wake_fd)
{
	char *all = NULL;
	size_t size = 0;
	FILE *heard = allocated(open_memstream(&all, &size));
	enum lf_tier_result result = ops->changes(tier, wake_fd, hear, heard, end_ms, &why);

	(void)fclose(heard);
	if (answered(result))
		(void)printf("%s", all);
	free(all);
}

static void do_changes(void)
{
	listen_until(-1);
}

static void do_woken(void)
{
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], "", 1) != 1)
		abort();
	listen_until(ends[0]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void do_tend(void)
{
	bool more = false;

	if (!ops->tend)
		(void)answered(LF_TIER_DONE);
	else if (answered(ops->tend(tier, &more, end_ms, &why)))
		(void)printf(" %d", more);
}

static void do_info(void)
{
	struct lf_tier_info info;

	if (answered(ops->info(tier, &info, end_ms, &why)))
		(void)printf(" items=%lld bytes=%lld limit=%llu reconnects=%llu connections=%u", (long long)info.items,
		             (long long)info.bytes, (unsigned long long)info.limit_bytes, (unsigned long long)info.reconnects,
		             info.connections);
}

/* --- storm ----------------------------------------------------------------------------------------- */

struct caller {
	pthread_t thread;
	unsigned ended[4];
};

static void *call_often(void *arg)
{
	struct lf_text key = text(word(3));
	struct caller *caller = arg;

	for (int i = 0; i < atoi(word(2)); i++) {
		struct lf_record *record = NULL;
		struct lf_error said;

		caller->ended[ops->load(tier, &key, 1, &record, end_ms, &said)]++;
		lf_record_drop(record);
	}
	return NULL;
}

static void do_storm(void)
{
	int threads = atoi(word(1));
	struct caller *callers = allocated(calloc((size_t)threads, sizeof(*callers)));
	unsigned ended[4] = { 0 };

	for (int i = 0; i < threads; i++)
		if (pthread_create(&callers[i].thread, NULL, call_often, &callers[i]) != 0)
			abort();
	for (int i = 0; i < threads; i++) {
		(void)pthread_join(callers[i].thread, NULL);
		for (int j = 0; j < 4; j++)
			ended[j] += callers[i].ended[j];
	}
	(void)answered(LF_TIER_DONE);
	(void)printf(" %u %u %u %u", ended[0], ended[1], ended[2], ended[3]);
	free(callers);
}

/* --- the program ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "ping", do_ping }, { "load", do_load }, { "store", do_store }, { "fill", do_fill }, { "scan", do_scan },
	{ "drop", do_drop }, { "stamps", do_stamps }, { "raise", do_raise }, { "lock", do_lock }, { "unlock", do_unlock },
	{ "watch", do_watch }, { "changes", do_changes }, { "woken", do_woken }, { "tend", do_tend }, { "info", do_info },
	{ "storm", do_storm },
};

static void run(char *line)
{
	int64_t timeout_ms = DEADLINE_MS;
	char *save = NULL;

	words_count = 0;
	for (char *one = strtok_r(line, " \n", &save); one && words_count < WORDS_MAX; one = strtok_r(NULL, " \n", &save))
		if (*one == '@')
			timeout_ms = atoi(one + 1);
		else
			words[words_count++] = one;
	why = (struct lf_error){ "" };
	begun_ms = lf_clock_ms();
	end_ms = begun_ms + timeout_ms;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(word(0), commands[i].name) == 0) {
			commands[i].run();
			(void)printf("\n");
			(void)fflush(stdout);
			return;
		}
	(void)fprintf(stderr, "tier_drive: no command '%s'\n", word(0));
	exit(64);
}

static const char *given(char **argv, const char *name)
{
	size_t len = strlen(name);

	for (; *argv; argv++)
		if (strncmp(*argv, name, len) == 0 && (*argv)[len] == '=')
			return *argv + len + 1;
	return NULL;
}

static int number(char **argv, const char *name, int otherwise)
{
	const char *said = given(argv, name);

	return said ? atoi(said) : otherwise;
}

static int open_tier(const char *which, char **argv)
{
	const struct lf_cache_server_options server = {
		.url = given(argv, "url"), .password = given(argv, "password"), .database = given(argv, "database"),
		.tls_ca_file = given(argv, "ca"), .tls_certificate_file = given(argv, "certificate"),
		.tls_key_file = given(argv, "key"), .timeout_ms = number(argv, "timeout", 2000),
		.connect_timeout_ms = number(argv, "connect_timeout", 5000),
		.pool_min = (unsigned)number(argv, "pool_min", 1), .pool_max = (unsigned)number(argv, "pool_max", 8),
		.compress_min = (size_t)number(argv, "compress_min", 0),
	};
	const char *scope = given(argv, "scope");
	const struct lf_tier_options options = {
		.scope = scope ? scope : "app:test:", .self = { 0, (uint64_t)number(argv, "writer", 1) },
		.value_max = (size_t)number(argv, "value_max", 1 << 20), .tombstone_ms = 60000, .clock_ms = now, .server = &server,
	};
	int rc = lf_tier_find(strcmp(which, "mongo") == 0 ? LF_CACHE_MONGO : LF_CACHE_REDIS, &ops, &why);

	return rc == 0 ? ops->open(&tier, &options, &why) : rc;
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: tier_drive redis|mongo NAME=VALUE…\n");
		return 64;
	}
	if (open_tier(argv[1], argv + 2) < 0) {
		(void)fprintf(stderr, "tier_drive: %s\n", why.text);
		return 1;
	}
	(void)printf("open\n");
	(void)fflush(stdout);
	while (getline(&line, &size, stdin) > 0)
		run(line);
	ops->close(tier);
	free(line);
	return 0;
}
