#include "tests/contract/cache/stand.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "hashing/clock.h"

struct lf_cache *cache;
struct lf_cache_space *users;
struct lf_error err;

static _Atomic int64_t now_ms;
static char app[40], folder[200], file[220];

/* --- what the environment says ------------------------------------------------------------------------ */

static const char *setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

bool has(enum lf_cache_tier tier)
{
	return strstr(setting("LOGFOLD_TEST_CACHE", "memory"), lf_cache_tier_name(tier)) != NULL;
}

bool is_behind(void)
{
	return getenv("LOGFOLD_TEST_BEHIND") != NULL;
}

bool is_shared(void)
{
	return has(LF_CACHE_SQLITE) || has(LF_CACHE_REDIS) || has(LF_CACHE_MONGO);
}

int many(void)
{
	return has(LF_CACHE_MONGO) ? 350 : MANY_MAX;
}

/* --- the clock ---------------------------------------------------------------------------------------- */

static int64_t read_clock(void *arg)
{
	(void)arg;
	return atomic_load(&now_ms);
}

int64_t clock_is(void)
{
	return atomic_load(&now_ms);
}

void clock_moves(int64_t by_ms)
{
	(void)atomic_fetch_add(&now_ms, by_ms);
}

/* --- caches ------------------------------------------------------------------------------------------- */

/* The class of "session" has a TTL, that of "job" one that is at random up to a half shorter. */
static const struct lf_cache_class classes[] = {
	{ .type = "session", .ttl_ms = DAY_MS },
	{ .type = "job", .ttl_ms = 1000000, .jitter_pct = 50 },
	{ .type = "guess", .ttl_ms = DAY_MS, .negative_ms = 5000 },
};
static const char *const critical[] = { "order:*:paid-*" };

struct lf_cache_options stand_options(void)
{
	struct lf_cache_options options;
	enum lf_cache_mode mode = is_behind() ? LF_CACHE_BEHIND : LF_CACHE_THROUGH;

	lf_cache_options_init(&options);
	options.app = app;
	options.memory.off = !has(LF_CACHE_MEMORY);
	options.sqlite.file = has(LF_CACHE_SQLITE) ? file : NULL;
	options.redis.url = has(LF_CACHE_REDIS) ? setting("LOGFOLD_TEST_REDIS", NULL) : NULL;
	options.mongo.url = has(LF_CACHE_MONGO) ? setting("LOGFOLD_TEST_MONGO", NULL) : NULL;
	options.mongo.database = "cache_contract";
	options.sqlite.mode = options.redis.mode = options.mongo.mode = mode;
	options.classes = classes;
	options.classes_count = COUNT_OF(classes);
	options.critical = critical;
	options.critical_count = COUNT_OF(critical);
	options.value_max = VALUE_MAX;
	options.clock_ms = read_clock;
	/* Here a slow machine is no failure. */
	options.deadline_ms = options.load_deadline_ms = WITHIN_MS;
	options.sqlite.timeout_ms = options.redis.timeout_ms = options.mongo.timeout_ms = WITHIN_MS;
	options.redis.connect_timeout_ms = options.mongo.connect_timeout_ms = WITHIN_MS;
	return options;
}

static bool all_up(struct lf_cache *of)
{
	struct lf_cache_stats stats;

	lf_cache_stats(of, &stats);
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		if (has((enum lf_cache_tier)i) != (stats.tier[i].state == LF_CACHE_TIER_UP))
			return false;
	return true;
}

struct lf_cache *open_another(void)
{
	static const struct timespec pause = { 0, 2000000 };
	int64_t end_ms = lf_clock_ms() + WITHIN_MS;
	struct lf_cache_options options = stand_options();
	struct lf_cache *opened = NULL;

	expect(0, lf_cache_open(&opened, &options, &err));
	while (!all_up(opened)) {
		cr_assert(lf_clock_ms() < end_ms, "the tiers are not up: %s", setting("LOGFOLD_TEST_CACHE", "memory"));
		(void)nanosleep(&pause, NULL);
	}
	return opened;
}

struct lf_cache_space *space_of(struct lf_cache *of, const char *type, const char *org)
{
	struct lf_cache_space *space = NULL;

	expect(0, lf_cache_space(&space, of, type, org, &err));
	return space;
}

void open_stand(void)
{
	uint64_t number = 0;

	/* One client library touches shared memory in its constructor, which a full /dev/shm kills. */
	(void)setenv("MONGOC_DISABLE_SHM", "1", 1);
	cr_assert(getrandom(&number, sizeof(number), 0) == (ssize_t)sizeof(number));
	(void)snprintf(app, sizeof(app), "contract-%016llx", (unsigned long long)number);
	(void)snprintf(folder, sizeof(folder), "%s/cache-XXXXXX", setting("TMPDIR", "/tmp"));
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
	atomic_store(&now_ms, (int64_t)time(NULL) * 1000);
	cache = open_another();
	users = space_of(cache, "user", "acme");
}

void close_stand(void)
{
	lf_cache_close(cache);
}

void reopen(void)
{
	lf_cache_close(cache);
	cache = open_another();
	users = space_of(cache, "user", "acme");
}

void only_below(void)
{
	expect(0, lf_cache_settle(cache, WITHIN_MS, &err));
	if (!is_shared() || !has(LF_CACHE_MEMORY))
		return;
	expect(0, lf_cache_switch(cache, LF_CACHE_MEMORY, false, &err));
	expect(0, lf_cache_switch(cache, LF_CACHE_MEMORY, true, &err));
}

/* --- short forms -------------------------------------------------------------------------------------- */

struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

void set_to(struct lf_cache_space *space, struct lf_text id, struct lf_text value)
{
	expect(1, lf_cache_set(space, id, value, NULL, &err));
}

void set_tagged(struct lf_cache_space *space, struct lf_text id, const char *tag)
{
	struct lf_text tags[] = { text(tag) };
	struct lf_cache_set how = { .tags = tags, .tags_count = 1 };

	expect(1, lf_cache_set(space, id, TEXT("tagged"), &how, &err));
}

static void expect_text(const struct lf_cache_value *found, struct lf_text want)
{
	cr_assert(found->len == want.len && (!want.len || memcmp(found->data, want.data, want.len) == 0),
	          "'%.*s' of %zu bytes is not '%.*s' of %zu", (int)found->len, found->data, found->len, (int)want.len, want.data,
	          want.len);
}

void expect_value(struct lf_cache_space *space, struct lf_text id, struct lf_text want)
{
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_get(space, id, &found, &err));
	expect_text(&found, want);
	lf_cache_value_release(&found);
}

void expect_nothing(struct lf_cache_space *space, struct lf_text id)
{
	struct lf_cache_value found = { .record = NULL };
	int64_t left;

	expect(0, lf_cache_get(space, id, &found, &err));
	expect(0, lf_cache_exists(space, id, &err));
	expect(0, lf_cache_ttl(space, id, &left, &err));
}

void expect_field(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_text want)
{
	struct lf_cache_value found = { .record = NULL };

	expect(1, lf_cache_hget(space, id, field, &found, &err));
	expect_text(&found, want);
	lf_cache_value_release(&found);
}

void expect_ttl(struct lf_cache_space *space, struct lf_text id, int64_t want)
{
	int64_t left = 0;

	expect(1, lf_cache_ttl(space, id, &left, &err));
	cr_assert_eq(left, want, "%lld ms are left, not %lld", (long long)left, (long long)want);
}

void set_field(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_text value)
{
	struct lf_cache_field one = { field, value };

	cr_assert_geq(lf_cache_hset(space, id, &one, 1, &err), 0, "%s", err.text);
}

static unsigned scan(struct lf_cache_space *space, const char *pattern, const struct lf_text *only)
{
	struct lf_cache_scan *all = NULL;
	struct lf_text id;
	unsigned count = 0;
	int rc;

	expect(0, lf_cache_scan_open(&all, space, pattern, &err));
	while ((rc = lf_cache_scan_next(all, &id, &err)) == 1)
		count += !only || (only->len == id.len && memcmp(only->data, id.data, id.len) == 0);
	cr_assert_eq(rc, 0, "%s", err.text);
	lf_cache_scan_close(all);
	return count;
}

unsigned times_in_scan(struct lf_cache_space *space, const char *pattern, struct lf_text id)
{
	return scan(space, pattern, &id);
}

unsigned count_of_scan(struct lf_cache_space *space, const char *pattern)
{
	return scan(space, pattern, NULL);
}
