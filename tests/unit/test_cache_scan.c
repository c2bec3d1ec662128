#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/cache_fixture.h"

enum { IDS = 250 };

/* How often each id `id-0`… came, and how many others. */
struct found {
	unsigned times[IDS], others, all;
};

static struct found scan(struct lf_cache_space *space, const char *pattern, void (*between)(struct lf_cache_space *space))
{
	struct found found = { .all = 0 };
	struct lf_cache_scan *scan = NULL;
	struct lf_error err = { "" };
	struct lf_text id;
	char text[32];
	int rc;

	cr_assert_eq(lf_cache_scan_open(&scan, space, pattern, &err), 0);
	while ((rc = lf_cache_scan_next(scan, &id, &err)) == 1) {
		unsigned long number;

		(void)snprintf(text, sizeof(text), "%.*s", (int)id.len, id.data);
		number = strncmp(text, "id-", 3) == 0 ? strtoul(text + 3, NULL, 10) : IDS;
		found.all++;
		if (number < IDS)
			found.times[number]++;
		else
			found.others++;
		if (found.all == 20 && between)
			between(space);
	}
	cr_expect_eq(rc, 0, "%s", err.text);
	lf_cache_scan_close(scan);
	return found;
}

static void fill_with(struct lf_cache_space *space, int count)
{
	char id[32];

	for (int i = 0; i < count; i++) {
		(void)snprintf(id, sizeof(id), "id-%d", i);
		cr_assert_eq(lf_cache_set(space, text_of(id), text_of("v"), NULL, NULL), 1);
	}
}

static void fill(struct lf_cache_space *space)
{
	fill_with(space, IDS);
}

static const unsigned stacks[] = { WITH_MEMORY, WITH_SQLITE, WITH_MEMORY | WITH_SQLITE, WITH_MEMORY | WITH_REDIS,
	                           WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO };

Test(cache_scan, every_id_of_the_space_comes_once_and_no_other)
{
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");
		struct found found;

		fill(space);
		cr_expect_eq(lf_cache_set(fixture_space(cache, "user", "acme2"), text_of("theirs"), text_of("v"), NULL, NULL), 1);
		cr_expect_eq(lf_cache_del(space, text_of("id-7"), NULL), 1);
		found = scan(space, NULL, NULL);
		cr_expect_eq(found.all, IDS - 1, "with tiers %x: %u", stacks[i], found.all);
		cr_expect_eq(found.others, 0);
		for (int n = 0; n < IDS; n++)
			cr_expect_eq(found.times[n], n != 7, "id-%d with tiers %x", n, stacks[i]);
		cr_expect_eq(scan(space, "id-1?", NULL).all, 10);
		cr_expect_eq(scan(space, "nothing", NULL).all, 0);
		lf_cache_close(cache);
	}
}

Test(cache_scan, ids_of_any_bytes_come_as_they_were)
{
	static const char bytes[] = "a:\0%*?[\n\xff ";
	struct lf_text id = { bytes, sizeof(bytes) - 1 }, out;
	struct lf_cache *cache = fixture_cache(WITH_MEMORY | WITH_SQLITE);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct lf_cache_scan *scan;

	cr_expect_eq(lf_cache_set(space, id, text_of("v"), NULL, NULL), 1);
	cr_expect_eq(lf_cache_scan_open(&scan, space, NULL, NULL), 0);
	cr_expect_eq(lf_cache_scan_next(scan, &out, NULL), 1);
	cr_expect(out.len == id.len && memcmp(out.data, id.data, id.len) == 0);
	cr_expect_eq(lf_cache_scan_next(scan, &out, NULL), 0);
	cr_expect_eq(lf_cache_scan_next(scan, &out, NULL), 0);
	lf_cache_scan_close(scan);
	lf_cache_close(cache);
}

/* Everything goes from one tier to another while it is scanned: from redis into SQLite and memory. */
static void move_up(struct lf_cache_space *space)
{
	char id[32];

	for (int i = 0; i < IDS; i++) {
		(void)snprintf(id, sizeof(id), "id-%d", i);
		(void)fixture_get(space, id);
		fake_evict(fake_server(LF_CACHE_REDIS), fixture_key(space, id));
	}
}

Test(cache_scan, what_moves_between_tiers_meanwhile_is_not_missed)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct found found;

	fill(space);
	found = scan(space, NULL, move_up);
	for (int n = 0; n < IDS; n++)
		cr_expect_eq(found.times[n], 1, "id-%d came %u times", n, found.times[n]);
	lf_cache_close(cache);
}

static void lose_redis(struct lf_cache_space *space)
{
	fake_down(fake_server(LF_CACHE_REDIS), true);
	cr_expect(fixture_wait_state(space->cache, LF_CACHE_REDIS, LF_CACHE_TIER_AWAY));
}

Test(cache_scan, a_scan_goes_on_in_the_other_tiers_when_one_goes_away)
{
	struct lf_cache *cache = fixture_cache(WITH_SQLITE | WITH_REDIS);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");

	fill(space);
	cr_expect_eq(scan(space, NULL, lose_redis).all, IDS);
	lf_cache_close(cache);
}

Test(cache_scan, a_scan_brings_nothing_into_memory)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY | WITH_SQLITE);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct lf_cache_value value;

	fill(space);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_eq(scan(space, NULL, NULL).all, IDS);
	cr_expect_eq(lf_cache_get(space, text_of("id-1"), &value, NULL), 1);
	cr_expect_eq(value.tier, LF_CACHE_SQLITE);
	lf_cache_value_release(&value);
	lf_cache_close(cache);
}

static void ignore(void *arg, struct lf_text line)
{
	(void)arg;
	(void)line;
}

Test(cache_scan, an_export_goes_on_where_nothing_is_found_for_longer_than_a_call_may_take)
{
	enum { PAGES = 10, MANY = 100 * PAGES, DEADLINE_MS = 2000, DELAY_MS = DEADLINE_MS / (2 * PAGES) + 10 };
	struct fake *redis = fake_server(LF_CACHE_REDIS);
	struct lf_cache_options options;
	struct lf_cache_space *space;
	struct lf_error err = { "" };
	struct lf_cache *cache;
	uint64_t count = 0;
	int64_t began;
	char id[32];

	fixture_options(&options, WITH_REDIS)->deadline_ms = DEADLINE_MS;
	options.redis.timeout_ms = 30000;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	fill_with(space, MANY);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "id-%d", i);
		cr_assert_eq(lf_cache_del(space, text_of(id), NULL), 1);
	}
	cr_assert_eq(lf_cache_set(space, text_of("there"), text_of("v"), NULL, NULL), 1);
	fake_delay(redis, DELAY_MS); /* a scan and a load of each page */
	began = lf_clock_ms();
	cr_expect_eq(lf_cache_export(space, ignore, NULL, &count, &err), 0, "%s", err.text);
	cr_expect_gt(lf_clock_ms() - began, DEADLINE_MS);
	cr_expect_eq(count, 1);
	lf_cache_close(cache);
}
