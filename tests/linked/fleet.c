/* One process of a fleet: fleet URL ID
 *
 * Says "ready" once Redis is there, waits for a line, and asks for the value of that id.  Its loader says "loads", and makes
 * a value that is this process's alone.
 */
#include <logfold/cache.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void wait_for_redis(struct lf_cache *cache)
{
	static const struct timespec pause = { 0, 5000000 };
	struct lf_cache_stats stats;

	for (lf_cache_stats(cache, &stats); stats.tier[LF_CACHE_REDIS].state != LF_CACHE_TIER_UP; lf_cache_stats(cache, &stats))
		(void)nanosleep(&pause, NULL);
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
	if (lf_cache_open(&cache, &options, &err) || lf_cache_space(&space, cache, "row", "fleet", &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	wait_for_redis(cache);
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
