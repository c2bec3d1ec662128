/* Invalidations that SQLite could not remember for a server that is away. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>

#include "sinks/cache/internal.h"
#include "tests/unit/cache_fixture.h"

static struct lf_cache_options options;
static struct lf_cache *cache;
static struct lf_cache_space *space;
static sqlite3 *other;

/* Another process writes into the file, and takes its time.  It waits for what the cache itself is writing. */
static void hold_the_file(void)
{
	cr_assert_eq(sqlite3_open(options.sqlite.file, &other), SQLITE_OK);
	cr_assert_eq(sqlite3_busy_timeout(other, 20000), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static void let_it_go(void)
{
	cr_assert_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_close(other), SQLITE_OK);
}

static void open_cache(void)
{
	fixture_options(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	options.deadline_ms = 200;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
}

static void set(const char *id)
{
	const struct lf_text tag = text_of("x");
	const struct lf_cache_set how = { .tags = &tag, .tags_count = 1 };

	cr_assert_eq(lf_cache_set(space, text_of(id), text_of(id), &how, NULL), 1);
}

static bool is_told(void *arg)
{
	struct lf_cache_stats stats;

	(void)arg;
	lf_cache_stats(cache, &stats);
	return stats.pending == 0;
}

Test(cache_unkept, an_invalidation_that_could_be_lost_with_this_process_is_no_success)
{
	struct lf_error err = { "" };
	const struct lf_text acme = text_of("acme");

	open_cache();
	set("a");
	fake_down(fake_server(LF_CACHE_REDIS), true);
	cr_assert(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_AWAY));
	hold_the_file();
	cr_expect_lt(lf_cache_invalidate_tag(cache, acme, text_of("x"), &err), 0);
	cr_expect(err.text[0]);
	cr_expect_lt(lf_cache_invalidate_org(cache, acme, NULL), 0);
	cr_expect_lt(lf_cache_flush(space, NULL), 0);
	let_it_go();
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	/* It is told for all that: this process lives. */
	fake_down(fake_server(LF_CACHE_REDIS), false);
	cr_expect(fixture_wait_state(cache, LF_CACHE_REDIS, LF_CACHE_TIER_UP));
	cr_expect(fixture_wait(is_told, NULL));
	cr_expect_gt(fake_peek_stamp(fake_server(LF_CACHE_REDIS), text_of("app:test:%tag:acme:x")), 0);
	lf_cache_close(cache);
}

Test(cache_unkept, a_tag_that_the_shared_tier_has_needs_no_remembering)
{
	open_cache();
	set("a");
	hold_the_file();
	cr_expect_eq(lf_cache_invalidate_tag(cache, text_of("acme"), text_of("x"), NULL), 0);
	let_it_go();
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}
