#include "tests/unit/cache_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/manager.h"
#include "tests/unit/fake_tier_fixture.h"
#include "tests/unit/folder_fixture.h"

_Atomic int64_t fake_now_ms = INT64_C(1767225600000);

int64_t fake_clock_ms(void *arg)
{
	(void)arg;
	return atomic_load(&fake_now_ms);
}

/* --- the cache -------------------------------------------------------------------------------------- */

/* A tier that is there is up when the cache is open, however slow the machine: opening waits for so long. */
static void server_options(struct lf_cache_server_options *server, const char *url)
{
	server->url = url;
	server->timeout_ms = 300;
	server->connect_timeout_ms = 20000;
}

struct lf_cache_options *fixture_options(struct lf_cache_options *options, unsigned tiers)
{
	static char file[FOLDER_MAX + 16];
	char folder[FOLDER_MAX];

	lf_cache_options_init(options);
	options->app = "app";
	options->env = "test";
	options->clock_ms = fake_clock_ms;
	options->memory.off = !(tiers & WITH_MEMORY);
	options->health_interval_ms = 50;
	options->backoff_min_ms = 5;
	options->backoff_max_ms = 20;
	options->failures = 3;
	options->deadline_ms = 2000;
	if (tiers & WITH_SQLITE) {
		new_folder(folder);
		(void)snprintf(file, sizeof(file), "%s/cache.db", folder);
		options->sqlite.file = file;
	}
	if (tiers & WITH_REDIS)
		server_options(&options->redis, "fake:redis");
	if (tiers & WITH_MONGO)
		server_options(&options->mongo, "fake:mongo");
	return options;
}

struct lf_cache *fixture_open(const struct lf_cache_options *options)
{
	static const struct lf_tier_ops *const ops[LF_CACHE_TIERS] = { [LF_CACHE_REDIS] = &fake_tier,
		                                                       [LF_CACHE_MONGO] = &fake_tier };
	struct lf_cache *cache = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_open_with(&cache, options, ops, &err), 0, "%s", err.text);
	return cache;
}

struct lf_cache *fixture_cache(unsigned tiers)
{
	struct lf_cache_options options;

	return fixture_open(fixture_options(&options, tiers));
}

struct lf_cache_space *fixture_space(struct lf_cache *cache, const char *type, const char *org)
{
	struct lf_cache_space *space = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_cache_space(&space, cache, type, org, &err), 0, "%s", err.text);
	return space;
}

struct lf_text fixture_key(const struct lf_cache_space *space, const char *id)
{
	static _Thread_local char keys[4][512];
	static _Thread_local unsigned turn;
	char *key = keys[turn++ % 4];
	int len = snprintf(key, 512, "%.*s%s", (int)space->prefix.len, space->prefix.data, id);

	return (struct lf_text){ key, (size_t)len };
}

bool fixture_wait(bool (*is)(void *arg), void *arg)
{
	int64_t end = lf_clock_ms() + 10000;

	while (!is(arg)) {
		if (lf_clock_ms() > end)
			return false;
		(void)poll(NULL, 0, 1);
	}
	return true;
}

struct awaited {
	struct lf_cache *cache;
	enum lf_cache_tier which;
	int state;
};

/* One that is up again still forgets what was read before, until it counts as recovered. */
static bool has_state(void *arg)
{
	const struct awaited *awaited = arg;
	struct lf_manager_stats stats;

	if (atomic_load(&awaited->cache->tier[awaited->which].state) != awaited->state)
		return false;
	lf_manager_stats(awaited->cache, awaited->which, &stats);
	return awaited->state != LF_CACHE_TIER_UP || stats.recoveries >= stats.failovers;
}

bool fixture_wait_state(struct lf_cache *cache, enum lf_cache_tier which, enum lf_cache_tier_state state)
{
	struct awaited awaited = { cache, which, (int)state };

	return fixture_wait(has_state, &awaited);
}

const char *fixture_get(struct lf_cache_space *space, const char *id)
{
	static _Thread_local char texts[4][256];
	static _Thread_local unsigned turn;
	char *text = texts[turn++ % 4];
	struct lf_cache_value value;
	struct lf_error err = { "" };
	int rc = lf_cache_get(space, text_of(id), &value, &err);

	if (rc == 1)
		(void)snprintf(text, 256, "%.*s", (int)value.len, value.data);
	else if (rc == 0)
		(void)snprintf(text, 256, "(none)");
	else
		(void)snprintf(text, 256, "(error %d)", rc);
	lf_cache_value_release(&value);
	return text;
}
