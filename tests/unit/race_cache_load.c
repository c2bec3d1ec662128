/* 1000 callers of one cold key, and callers of a few keys that are changed, invalidated and forgotten meanwhile, under
 * ThreadSanitizer: the loader of the cold key runs once, and no caller gets what was invalidated before it asked. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/internal.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { CALLERS = 1000, THREADS = 4, ROUNDS = 2000, KEYS = 4 };

static struct lf_cache *cache;
static struct lf_cache_space *space, *cold_space;
static _Atomic int loads, wrong;
static _Atomic long row[KEYS]; /* the database, so to speak */

static void die(const char *what)
{
	fprintf(stderr, "race_cache_load: %s\n", what);
	abort();
}

/* --- one cold key ---------------------------------------------------------------------------------- */

static int load_cold(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	(void)arg;
	(void)id;
	(void)err;
	atomic_fetch_add(&loads, 1);
	(void)poll(NULL, 0, 50); /* so that many come meanwhile */
	out->value = TEXT("value");
	return 1;
}

static void *call_cold(void *arg)
{
	struct lf_cache_load load = { .load = load_cold };
	struct lf_cache_value value;

	(void)arg;
	if (lf_cache_get_or_set(cold_space, TEXT("cold"), &load, &value, NULL) != 1 || value.len != 5 ||
	    memcmp(value.data, "value", 5) != 0)
		atomic_fetch_add(&wrong, 1);
	lf_cache_value_release(&value);
	return NULL;
}

static int cold(void)
{
	static pthread_t threads[CALLERS];
	pthread_attr_t small;

	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, 256 * 1024);
	for (int i = 0; i < CALLERS; i++)
		if (pthread_create(&threads[i], &small, call_cold, NULL) != 0)
			die("no thread can be had");
	for (int i = 0; i < CALLERS; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_attr_destroy(&small);
	if (atomic_load(&loads) == 1 && atomic_load(&wrong) == 0)
		return 0;
	fprintf(stderr, "race_cache_load: %d loads, %d wrong answers of one cold key\n", atomic_load(&loads), atomic_load(&wrong));
	return 1;
}

/* --- keys that change ------------------------------------------------------------------------------ */

static void free_made(struct lf_cache_loaded *loaded)
{
	free(loaded->data);
}

static int load_row(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	static const struct lf_text tags[KEYS] = { TEXT("row:0"), TEXT("row:1"), TEXT("row:2"), TEXT("row:3") };
	int key = id.data[0] - '0';
	long *made = malloc(sizeof(*made));

	(void)arg;
	if (!made)
		return lf_fail(err, -12, "no memory");
	*made = atomic_load(&row[key]);
	out->value = (struct lf_text){ (const char *)made, sizeof(*made) };
	out->how.tags = &tags[key];
	out->how.tags_count = 1;
	out->data = made;
	out->release = free_made;
	return 1;
}

/* What is asked for after a change was told is not older than it. */
static void read_one(int key)
{
	char name = (char)('0' + key);
	struct lf_cache_load load = { .load = load_row };
	struct lf_cache_value value;
	long least = atomic_load(&row[key]) - 1, got; /* one change may be under way */

	if (lf_cache_get_or_set(space, (struct lf_text){ &name, 1 }, &load, &value, NULL) != 1 || value.len != sizeof(got)) {
		atomic_fetch_add(&wrong, 1);
		return;
	}
	memcpy(&got, value.data, sizeof(got));
	if (got < least)
		atomic_fetch_add(&wrong, 1);
	lf_cache_value_release(&value);
}

/* Each row has one writer: it is changed, and then what was made of it goes, in either way. */
static void change_one(int key, int round)
{
	char name = (char)('0' + key), tag[] = "row:0";
	int rc;

	tag[4] = name;
	atomic_fetch_add(&row[key], 1);
	if (round % 2)
		rc = lf_cache_invalidate_tag(cache, TEXT("acme"), (struct lf_text){ tag, 5 }, NULL);
	else
		rc = lf_cache_del(space, (struct lf_text){ &name, 1 }, NULL);
	if (rc < 0)
		atomic_fetch_add(&wrong, 1);
}

static void *work(void *arg)
{
	int own = *(int *)arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (int key = 0; key < KEYS; key++)
			read_one(key);
		if (round % 5 == 0)
			change_one(own, round / 5);
	}
	return NULL;
}

static int changing(void)
{
	pthread_t threads[THREADS];
	int own[THREADS];

	for (int i = 0; i < THREADS; i++) {
		own[i] = i;
		if (pthread_create(&threads[i], NULL, work, &own[i]) != 0)
			die("no thread can be had");
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	if (atomic_load(&wrong) == 0)
		return 0;
	fprintf(stderr, "race_cache_load: %d answers were older than a change that was told before\n", atomic_load(&wrong));
	return 1;
}

int main(void)
{
	struct lf_cache_class rows = { .type = "row", .ttl_ms = 60000, .stale_ms = 59999, .early = 1.0 };
	struct lf_cache_options options;
	struct lf_error err;
	int failed;

	lf_cache_options_init(&options);
	options.classes = &rows;
	options.classes_count = 1;
	options.load_deadline_ms = 60000;
	if (lf_cache_open(&cache, &options, &err) < 0 || lf_cache_space(&space, cache, "row", "acme", &err) < 0 ||
	    lf_cache_space(&cold_space, cache, "cold", "acme", &err) < 0)
		die(err.text);
	failed = cold();
	failed |= changing();
	lf_cache_close(cache);
	return failed;
}
