/* The whole stack under load: memory that holds a tenth of the keys, SQLite, Redis.  Then how long another cache on the
 * same Redis takes to hear of a change.
 *
 * usage: bench_cache_stack FILE URL      of the SQLite tier, which is made; of a redis-server
 *
 * Prints percentiles over all calls of all threads, in milliseconds.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "logfold/cache.h"

enum { THREADS = 16, CALLS = 3000, KEYS = 20000, IN_MEMORY = KEYS / 10, VALUE_BYTES = 200, A_SET_EACH = 5, ROUNDS = 100 };

struct caller {
	pthread_t thread;
	struct lf_cache_space *space;
	uint64_t random;
	size_t gets, sets;
	double get_ms[CALLS], set_ms[CALLS];
};

static void must(bool good, const char *what, const struct lf_error *err)
{
	if (good)
		return;
	(void)fprintf(stderr, "bench_cache_stack: %s: %s\n", what, err->text);
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Marsaglia's xorshift64. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct lf_cache_space *open_space(const char *file, const char *url)
{
	struct lf_cache_options options;
	struct lf_cache_space *space;
	struct lf_error err = { "" };
	struct lf_cache *cache;

	lf_cache_options_init(&options);
	options.app = "bench";
	options.memory.max_entries = IN_MEMORY;
	options.sqlite.file = file;
	options.redis.url = url;
	must(lf_cache_open(&cache, &options, &err) == 0, "open", &err);
	must(lf_cache_space(&space, cache, "row", "acme", &err) == 0, "space", &err);
	return space;
}

static void one_call(struct caller *caller, bool set)
{
	static const char value[VALUE_BYTES];
	struct lf_cache_value found = { .record = NULL };
	struct lf_error err = { "" };
	char id[32];
	struct lf_text key = { id, 0 };
	double start;
	int rc;

	key.len = (size_t)snprintf(id, sizeof(id), "%u", (unsigned)(next_random(&caller->random) % KEYS));
	start = now_ms();
	if (set) {
		rc = lf_cache_set(caller->space, key, (struct lf_text){ value, sizeof(value) }, NULL, &err);
		caller->set_ms[caller->sets++] = now_ms() - start;
	} else {
		rc = lf_cache_get(caller->space, key, &found, &err);
		caller->get_ms[caller->gets++] = now_ms() - start;
	}
	lf_cache_value_release(&found);
	must(rc >= 0, set ? "set" : "get", &err);
}

static void *call(void *arg)
{
	struct caller *caller = arg;

	for (int i = 0; i < CALLS; i++)
		one_call(caller, i % A_SET_EACH == 0);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print(const char *what, double *ms, size_t count)
{
	qsort(ms, count, sizeof(*ms), by_value);
	(void)printf("%s p50 %.3f p99 %.3f max %.3f ms\n", what, ms[count / 2], ms[count * 99 / 100], ms[count - 1]);
}

static void load(struct lf_cache_space *space)
{
	static struct caller callers[THREADS];
	static double get_ms[THREADS * CALLS], set_ms[THREADS * CALLS];
	size_t gets = 0, sets = 0;

	for (int i = 0; i < THREADS; i++) {
		callers[i].space = space;
		callers[i].random = (uint64_t)i * 2654435761u + 1;
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0)
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		(void)pthread_join(callers[i].thread, NULL);
		memcpy(get_ms + gets, callers[i].get_ms, callers[i].gets * sizeof(*get_ms));
		memcpy(set_ms + sets, callers[i].set_ms, callers[i].sets * sizeof(*set_ms));
		gets += callers[i].gets;
		sets += callers[i].sets;
	}
	print("get", get_ms, gets);
	print("set", set_ms, sets);
}

/* From the end of a set here until a get there has it. */
static double heard_after_ms(struct lf_cache_space *here, struct lf_cache_space *there, int round)
{
	static const struct lf_text id = { "told", 4 };
	struct lf_cache_value found;
	struct lf_error err = { "" };
	char text[16];
	size_t len = (size_t)snprintf(text, sizeof(text), "%d", round);
	bool same = false;
	double start;

	must(lf_cache_get(there, id, &found, &err) >= 0, "get", &err);
	lf_cache_value_release(&found);
	must(lf_cache_set(here, id, (struct lf_text){ text, len }, NULL, &err) == 1, "set", &err);
	for (start = now_ms(); !same;) {
		must(lf_cache_get(there, id, &found, &err) == 1 && now_ms() - start < 10000, "hearing of it", &err);
		same = found.len == len && memcmp(found.data, text, len) == 0;
		lf_cache_value_release(&found);
	}
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	struct lf_cache_space *here, *there;
	double ms[ROUNDS];

	if (argc != 3) {
		(void)fprintf(stderr, "usage: bench_cache_stack FILE URL\n");
		return 64;
	}
	here = open_space(argv[1], argv[2]);
	there = open_space(NULL, argv[2]);
	load(here);
	(void)heard_after_ms(here, there, ROUNDS);
	for (int i = 0; i < ROUNDS; i++)
		ms[i] = heard_after_ms(here, there, i);
	print("told", ms, ROUNDS);
	return 0;
}
