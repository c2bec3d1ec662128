/* Two caches on one shared tier that fails now and then, and threads that count, set, delete, load and invalidate in them,
 * under ThreadSanitizer: no count is lost or made twice, who has set a key never reads an older value, and after an
 * invalidation has returned nobody is given what was made before it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/cache_fixture.h"
#include "tests/unit/fake_tier_fixture.h"
#include "tests/unit/folder_fixture.h"

enum { COUNTERS = 4, COUNTS = 100, SETTERS = 3, SETS = 100, READERS = 3, INVALIDATIONS = 100, KEYS = 3 };

static struct lf_cache *cache, *other;
static struct lf_cache_space *space, *theirs;
static _Atomic int64_t counted, perhaps; /* increments: known to be made, and not known to be or not */
static _Atomic int bad;
static _Atomic bool over;

static void complain(const char *what, const char *id, int64_t is, int64_t least)
{
	fprintf(stderr, "race_cache_stack: %s: %s is %lld after %lld\n", what, id, (long long)is, (long long)least);
	(void)atomic_fetch_add(&bad, 1);
}

static struct lf_text of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static int64_t number_of(const struct lf_cache_value *value)
{
	char text[32] = { 0 };

	memcpy(text, value->data, value->len < 31 ? value->len : 31);
	return strtoll(text, NULL, 10);
}

/* --- counting: both caches, one key ------------------------------------------------------------------ */

static void *count(void *which)
{
	struct lf_error err;

	for (int i = 0; i < COUNTS; i++) {
		int rc = lf_cache_incr(which, of("counter"), NULL, &err);

		(void)atomic_fetch_add(rc == 0 ? &counted : &perhaps, 1);
		if (rc && rc != -ETIMEDOUT)
			complain(err.text, "counter", rc, 0);
	}
	return NULL;
}

/* --- setting: each a key of its own ------------------------------------------------------------------ */

static void *set(void *name)
{
	char text[32];

	for (int64_t i = 1; i <= SETS; i++) {
		struct lf_cache_value value;
		struct lf_error err;

		(void)snprintf(text, sizeof(text), "%lld", (long long)i);
		if (lf_cache_set(space, of(name), of(text), NULL, &err) != 1)
			complain(err.text, name, i, i);
		if (lf_cache_get(space, of(name), &value, &err) == 1 && number_of(&value) != i)
			complain("set", name, number_of(&value), i);
		lf_cache_value_release(&value);
		if (i % 7)
			continue;
		if (lf_cache_del(space, of(name), &err) >= 0 && lf_cache_get(space, of(name), &value, NULL) == 1) {
			complain("deleted", name, number_of(&value), i);
			lf_cache_value_release(&value);
		}
	}
	return NULL;
}

/* --- invalidating: what is loaded is what the source was then ---------------------------------------- */

static _Atomic int64_t source, told[2]; /* up to what it was invalidated: by tag, by prefix */
static const char *const loaded_ids[2][KEYS] = { { "tag-0", "tag-1", "tag-2" }, { "prefix-0", "prefix-1", "prefix-2" } };
static const struct lf_text tag = { "source", 6 };

static void let_go(struct lf_cache_loaded *loaded)
{
	free(loaded->data);
}

static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	char *text = malloc(32);

	(void)arg;
	(void)id;
	(void)err;
	if (!text)
		abort();
	(void)snprintf(text, 32, "%lld", (long long)atomic_load(&source));
	out->value = of(text);
	out->how.tags = &tag;
	out->how.tags_count = *id.data == 't';
	out->data = text;
	out->release = let_go;
	return 1;
}

static void *invalidate(void *kind)
{
	int by_prefix = kind != NULL;

	for (int i = 0; i < INVALIDATIONS; i++) {
		int64_t now = atomic_fetch_add(&source, 1) + 1;
		struct lf_error err;
		int rc = by_prefix ? lf_cache_invalidate_prefix(space, of("prefix-"), &err) :
		                     lf_cache_invalidate_tag(cache, of("acme"), tag, &err);
		int64_t before = atomic_load(&told[by_prefix]);

		if (rc)
			complain(err.text, "invalidation", rc, 0);
		while (before < now && !atomic_compare_exchange_weak(&told[by_prefix], &before, now))
			;
	}
	return NULL;
}

static void *read_loaded(void *arg)
{
	struct lf_cache_load how = { .load = load };

	(void)arg;
	for (unsigned i = 0; !atomic_load(&over); i++) {
		int kind = i % 2;
		const char *id = loaded_ids[kind][i / 2 % KEYS];
		int64_t least = atomic_load(&told[kind]);
		struct lf_cache_value value;
		struct lf_error err;
		int rc = i % 5 ? lf_cache_get_or_set(space, of(id), &how, &value, &err) :
		                 lf_cache_get(space, of(id), &value, &err);

		if (rc < 0 && rc != -ETIMEDOUT)
			complain(err.text, id, rc, 0);
		if (rc == 1 && number_of(&value) < least)
			complain("invalidated", id, number_of(&value), least);
		lf_cache_value_release(&value);
	}
	return NULL;
}

/* --- what goes wrong --------------------------------------------------------------------------------- */

static void *fail(void *arg)
{
	struct fake *redis = fake_server(LF_CACHE_REDIS);
	unsigned seed = 1;

	(void)arg;
	while (!atomic_load(&over)) {
		unsigned dice = (unsigned)rand_r(&seed);

		if (dice % 16 == 0)
			fake_break_channel(redis);
		else
			fake_fail(redis, dice % 3 ? FAKE_STORE : dice % 2 ? FAKE_LOAD : FAKE_RAISE, 1, LF_TIER_AWAY, dice & 64);
		(void)poll(NULL, 0, 2);
	}
	return NULL;
}

/* --- all of it --------------------------------------------------------------------------------------- */

static struct lf_cache *open_one(const char *file)
{
	static const struct lf_tier_ops *const ops[LF_CACHE_TIERS] = { [LF_CACHE_REDIS] = &fake_tier };
	struct lf_cache_options options;
	struct lf_cache *opened = NULL;
	struct lf_error err;

	lf_cache_options_init(&options);
	options.app = "app";
	options.env = "race";
	options.sqlite.file = file;
	options.sqlite.timeout_ms = 20000;
	options.redis.url = "fake:redis";
	options.redis.timeout_ms = 10000;
	options.redis.connect_timeout_ms = 20000;
	options.deadline_ms = 20000;
	options.load_deadline_ms = 20000;
	options.failures = 100000; /* it stays the home: else each cache would count on for itself */
	if (lf_cache_open_with(&opened, &options, ops, &err)) {
		fprintf(stderr, "race_cache_stack: %s\n", err.text);
		exit(1);
	}
	return opened;
}

static pthread_t start(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		abort();
	return thread;
}

static void check_count(struct lf_cache_space *of_space, const char *where)
{
	struct lf_cache_value value;
	int64_t least = atomic_load(&counted), most = least + atomic_load(&perhaps);

	if (lf_cache_get(of_space, of("counter"), &value, NULL) != 1) {
		complain(where, "counter", -1, least);
		return;
	}
	if (number_of(&value) < least || number_of(&value) > most)
		complain(where, "counter", number_of(&value), least);
	lf_cache_value_release(&value);
}

int main(void)
{
	static char names[SETTERS][16];
	pthread_t workers[COUNTERS + SETTERS + 2], readers[READERS], failing;
	char folder[FOLDER_MAX], file[FOLDER_MAX + 16];
	int count_of = 0;

	new_folder(folder);
	(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
	cache = open_one(file);
	other = open_one(NULL);
	if (lf_cache_space(&space, cache, "user", "acme", NULL) || lf_cache_space(&theirs, other, "user", "acme", NULL))
		return 1;
	failing = start(fail, NULL);
	for (int i = 0; i < COUNTERS; i++)
		workers[count_of++] = start(count, i % 2 ? theirs : space);
	for (int i = 0; i < SETTERS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "own-%d", i);
		workers[count_of++] = start(set, names[i]);
	}
	workers[count_of++] = start(invalidate, NULL);
	workers[count_of++] = start(invalidate, names) /* anything: by prefix */;
	for (int i = 0; i < READERS; i++)
		readers[i] = start(read_loaded, NULL);
	while (count_of)
		(void)pthread_join(workers[--count_of], NULL);
	atomic_store(&over, true);
	for (int i = 0; i < READERS; i++)
		(void)pthread_join(readers[i], NULL);
	(void)pthread_join(failing, NULL);
	fake_fail(fake_server(LF_CACHE_REDIS), FAKE_STORE, 0, LF_TIER_DONE, true);
	fake_fail(fake_server(LF_CACHE_REDIS), FAKE_LOAD, 0, LF_TIER_DONE, true);
	if (lf_cache_settle(cache, 20000, NULL) || lf_cache_settle(other, 20000, NULL))
		complain("settling", "all", 0, 0);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	lf_memory_forget(other->tier[LF_CACHE_MEMORY].tier);
	check_count(space, "in one");
	check_count(theirs, "in the other");
	if (atomic_load(&perhaps) > atomic_load(&counted))
		complain("too many counts failed", "counter", atomic_load(&perhaps), atomic_load(&counted));
	lf_cache_close(other);
	lf_cache_close(cache);
	return atomic_load(&bad) != 0;
}
