/* One process of a fleet: fleet URL ID
 *
 * A server that is too slow would be done without, and each process would make the value: here it has time.
 *
 * Says "ready" once Redis is there, waits for a line, and asks for the value of that id.  Its loader says "loads", and makes
 * a value that is this process's alone.
 */
#include <logfold/cache.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WITHIN_MS = 20000, PAUSE_MS = 5 };

static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	static const struct timespec while_others_ask = { 0, 300000000 };
	static char value[32];

	(void)arg, (void)id, (void)err;
	printf("loads\n");
	(void)nanosleep(&while_others_ask, NULL);
	out->value.data = value;
	out->value.len = (size_t)snprintf(value, sizeof(value), "made by %ld", (long)getpid());
	return 1;
}

static int wait_for_redis(struct lf_cache *cache)
{
	static const struct timespec pause = { 0, PAUSE_MS * 1000000 };
	struct lf_cache_stats stats;

	for (int left_ms = WITHIN_MS; left_ms > 0; left_ms -= PAUSE_MS) {
		lf_cache_stats(cache, &stats);
		if (stats.tier[LF_CACHE_REDIS].state == LF_CACHE_TIER_UP)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	fprintf(stderr, "Redis is not there: %s\n", stats.tier[LF_CACHE_REDIS].trouble);
	return -1;
}

int main(int argc, char **argv)
{
	const struct lf_cache_load how = { .load = load };
	struct lf_cache_options options;
	struct lf_cache_space *space;
	struct lf_cache_value value;
	struct lf_cache *cache;
	struct lf_error err;
	int rc = 1;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	lf_cache_options_init(&options);
	options.redis.url = argv[1];
	options.redis.timeout_ms = options.redis.connect_timeout_ms = WITHIN_MS;
	options.deadline_ms = options.load_deadline_ms = WITHIN_MS;
	if (lf_cache_open(&cache, &options, &err) || lf_cache_space(&space, cache, "row", "fleet", &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (wait_for_redis(cache))
		return 1;
	printf("ready\n");
	(void)getchar();
	if (lf_cache_get_or_set(space, (struct lf_text){ argv[2], strlen(argv[2]) }, &how, &value, &err) == 1) {
		printf("%.*s\n", (int)value.len, value.data);
		lf_cache_value_release(&value);
		rc = 0;
	} else {
		fprintf(stderr, "%s\n", err.text);
	}
	lf_cache_close(cache);
	return rc;
}
