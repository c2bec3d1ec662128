#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/cache_fixture.h"

#define SET(space_, id_, value_) set_how(space_, id_, value_, NULL)
#define HOW(...) &(struct lf_cache_set){ __VA_ARGS__ }

static int set_how(struct lf_cache_space *space, const char *id, const char *value, const struct lf_cache_set *how)
{
	struct lf_error err = { "" };
	int rc = lf_cache_set(space, text_of(id), text_of(value), how, &err);

	cr_expect(rc >= 0 || err.text[0], "a failure has a sentence");
	return rc;
}

/* --- what every stack does -------------------------------------------------------------------------- */

static const unsigned stacks[] = {
	WITH_MEMORY, WITH_SQLITE, WITH_MEMORY | WITH_SQLITE, WITH_REDIS, WITH_MEMORY | WITH_REDIS, WITH_SQLITE | WITH_REDIS,
	WITH_MEMORY | WITH_SQLITE | WITH_REDIS, WITH_MEMORY | WITH_MONGO, WITH_MEMORY | WITH_SQLITE | WITH_REDIS | WITH_MONGO,
};

/* Runs on each; criterion's own parameters would be a process each, and some of them take longer than the test. */
#define EACH_STACK(i_) for (size_t i_ = 0; i_ < sizeof(stacks) / sizeof(*stacks); i_++)

Test(cache_stack, what_is_set_is_there_with_every_set_of_tiers)
{
	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");

		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		cr_expect_eq(SET(space, "a", "1"), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "1", "with tiers %x", stacks[i]);
		cr_expect_eq(SET(space, "a", ""), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "", "with tiers %x", stacks[i]);
		cr_expect_eq(lf_cache_del(space, text_of("a"), NULL), 1);
		cr_expect_eq(lf_cache_del(space, text_of("a"), NULL), 0);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)", "with tiers %x", stacks[i]);
		lf_cache_close(cache);
	}
}

Test(cache_stack, counters_count_with_every_set_of_tiers)
{
	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");
		int64_t number = 0;

		cr_expect_eq(lf_cache_incr(space, text_of("n"), &number, NULL), 0);
		cr_expect_eq(number, 1);
		cr_expect_eq(lf_cache_incrby(space, text_of("n"), 41, &number, NULL), 0);
		cr_expect_eq(number, 42, "with tiers %x: %lld", stacks[i], (long long)number);
		cr_expect_eq(lf_cache_decrby(space, text_of("n"), 2, &number, NULL), 0);
		cr_expect_eq(number, 40);
		cr_expect_str_eq(fixture_get(space, "n"), "40");
		lf_cache_close(cache);
	}
}

Test(cache_stack, many_are_set_and_got_with_every_set_of_tiers)
{
	enum { MANY = 300 };
	static char names[MANY][16];
	struct lf_text ids[MANY], values[MANY];
	struct lf_cache_value out[MANY];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "id-%d", i);
		ids[i] = values[i] = text_of(names[i]);
	}
	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");
		struct lf_cache_field field = { text_of("f"), text_of("v") };

		cr_expect_eq(lf_cache_mset(space, ids, values, MANY, NULL, NULL), 0);
		cr_expect_eq(lf_cache_del(space, ids[7], NULL), 1);
		cr_expect_eq(lf_cache_del(space, ids[8], NULL), 1);
		cr_expect_eq(lf_cache_hset(space, ids[8], &field, 1, NULL), 1);
		cr_expect_eq(lf_cache_mget(space, ids, MANY, out, NULL), MANY - 2, "with tiers %x", stacks[i]);
		for (int n = 0; n < MANY; n++) {
			if (n == 7 || n == 8)
				cr_expect_null(out[n].record);
			else
				cr_expect(out[n].record && out[n].len == strlen(names[n]) &&
				          memcmp(out[n].data, names[n], out[n].len) == 0);
			lf_cache_value_release(&out[n]);
		}
		lf_cache_close(cache);
	}
}

Test(cache_stack, hashes_are_kept_with_every_set_of_tiers)
{
	const struct lf_cache_field fields[] = { { text_of("a"), text_of("1") }, { text_of(""), text_of("") } };
	const struct lf_text names[] = { text_of("a"), text_of("none"), text_of("") };

	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");
		struct lf_cache_field field;
		struct lf_cache_value value;
		size_t at = 0, count = 0;

		cr_expect_eq(lf_cache_hset(space, text_of("h"), fields, 2, NULL), 2);
		cr_expect_eq(lf_cache_hset(space, text_of("h"), fields, 1, NULL), 0);
		cr_expect_eq(lf_cache_hget(space, text_of("h"), text_of("a"), &value, NULL), 1);
		cr_expect(value.len == 1 && *value.data == '1');
		lf_cache_value_release(&value);
		cr_expect_eq(lf_cache_hexists(space, text_of("h"), text_of(""), NULL), 1);
		cr_expect_eq(lf_cache_hexists(space, text_of("h"), text_of("b"), NULL), 0);
		cr_expect_eq(lf_cache_hgetall(space, text_of("h"), &value, NULL), 1);
		cr_expect_eq(lf_cache_hdel(space, text_of("h"), names, 3, NULL), 2);
		cr_expect_eq(lf_cache_exists(space, text_of("h"), NULL), 0, "a hash without fields is gone");
		while (lf_cache_next_field(&value, &at, &field))
			count++;
		cr_expect_eq(count, 2, "a value that was read stays as it was");
		lf_cache_value_release(&value);
		lf_cache_close(cache);
	}
}

Test(cache_stack, ttls_are_kept_with_every_set_of_tiers)
{
	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");
		int64_t ttl = 7;

		cr_expect_eq(lf_cache_ttl(space, text_of("a"), &ttl, NULL), 0);
		cr_expect_eq(set_how(space, "a", "1", HOW(.ttl_ms = 86400000)), 1);
		atomic_fetch_add(&fake_now_ms, 86399999);
		cr_expect_eq(lf_cache_ttl(space, text_of("a"), &ttl, NULL), 1);
		cr_expect_eq(ttl, 1);
		cr_expect_eq(set_how(space, "a", "2", HOW(.ttl_ms = LF_CACHE_TTL_KEEP)), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "2");
		atomic_fetch_add(&fake_now_ms, 1);
		cr_expect_str_eq(fixture_get(space, "a"), "(none)", "with tiers %x", stacks[i]);
		cr_expect_eq(lf_cache_expire(space, text_of("a"), 1000, NULL), 0, "what has expired is not there");
		cr_expect_eq(SET(space, "a", "3"), 1);
		cr_expect_eq(lf_cache_expire(space, text_of("a"), 1000, NULL), 1);
		cr_expect_eq(lf_cache_persist(space, text_of("a"), NULL), 1);
		cr_expect_eq(lf_cache_persist(space, text_of("a"), NULL), 0);
		cr_expect_eq(lf_cache_ttl(space, text_of("a"), &ttl, NULL), 1);
		cr_expect_eq(ttl, LF_CACHE_TTL_NONE);
		cr_expect_eq(lf_cache_expire(space, text_of("a"), -5, NULL), 1, "a time that has passed deletes");
		cr_expect_str_eq(fixture_get(space, "a"), "(none)");
		lf_cache_close(cache);
	}
}

Test(cache_stack, conditions_hold_with_every_set_of_tiers)
{
	EACH_STACK(i) {
		struct lf_cache *cache = fixture_cache(stacks[i]);
		struct lf_cache_space *space = fixture_space(cache, "user", "acme");

		cr_expect_eq(set_how(space, "a", "1", HOW(.when = LF_CACHE_IF_PRESENT)), 0);
		cr_expect_eq(set_how(space, "a", "1", HOW(.when = LF_CACHE_IF_ABSENT)), 1);
		cr_expect_eq(set_how(space, "a", "2", HOW(.when = LF_CACHE_IF_ABSENT)), 0);
		cr_expect_eq(set_how(space, "a", "3", HOW(.when = LF_CACHE_IF_PRESENT)), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "3");
		cr_expect_eq(lf_cache_set_if_newer(space, text_of("b"), text_of("x"), 10, NULL, NULL), 1);
		cr_expect_eq(lf_cache_set_if_newer(space, text_of("b"), text_of("y"), 10, NULL, NULL), 0);
		cr_expect_eq(lf_cache_set_if_newer(space, text_of("b"), text_of("z"), 11, NULL, NULL), 1);
		cr_expect_str_eq(fixture_get(space, "b"), "z");
		lf_cache_close(cache);
	}
}

/* --- what is wrong says so --------------------------------------------------------------------------- */

static const char *refused(const struct lf_cache_options *options)
{
	static struct lf_error err;
	struct lf_cache *cache = NULL;

	err.text[0] = '\0';
	cr_expect_eq(lf_cache_open(&cache, options, &err), -EINVAL, "%s", err.text);
	cr_expect_null(cache);
	return err.text;
}

Test(cache_stack, options_that_cannot_be_say_which_and_what_they_take)
{
	const struct lf_cache_class twice[] = { { .type = "user" }, { .type = "user" } };
	const struct lf_cache_class stale[] = { { .type = "user", .ttl_ms = 10, .stale_ms = 10 } };
	const struct lf_cache_class jitter[] = { { .jitter_pct = 51 } };
	const char *const empty[] = { "" };
	struct lf_cache_options options;
	char name[200];

#define EXPECT(part_) cr_expect(strstr(refused(&options), part_), "'%s' does not say '%s'", refused(&options), part_)
	fixture_options(&options, WITH_MEMORY)->app = "";
	EXPECT("app");
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	fixture_options(&options, WITH_MEMORY)->env = name;
	EXPECT("env");
	fixture_options(&options, WITH_MEMORY)->deadline_ms = 0;
	EXPECT("deadline_ms");
	fixture_options(&options, WITH_MEMORY)->memory.policy = (enum lf_cache_policy)9;
	EXPECT("memory.policy");
	fixture_options(&options, WITH_MEMORY)->memory.shards = 3;
	EXPECT("power of two");
	fixture_options(&options, WITH_REDIS)->redis.pool_min = 100;
	options.redis.pool_max = 10;
	EXPECT("redis.pool_min");
	fixture_options(&options, 0);
	EXPECT("no tier is on");
	fixture_options(&options, WITH_MEMORY)->classes = twice;
	options.classes_count = 2;
	EXPECT("two classes for 'user'");
	fixture_options(&options, WITH_MEMORY)->classes = stale;
	options.classes_count = 1;
	EXPECT("old from the start");
	options.classes = jitter;
	EXPECT("jitter");
	fixture_options(&options, WITH_MEMORY)->critical = empty;
	options.critical_count = 1;
	EXPECT("pattern");
#undef EXPECT
}

Test(cache_stack, a_tier_whose_module_is_not_there_is_an_error_when_it_is_opened)
{
	struct lf_cache_options options;
	struct lf_cache *cache = NULL;
	struct lf_error err = { "" };

	(void)setenv("LOGFOLD_MODULE_DIR", "/nowhere", 1);
	fixture_options(&options, WITH_MEMORY | WITH_REDIS)->redis.url = "redis://127.0.0.1:1";
	cr_expect_lt(lf_cache_open(&cache, &options, &err), 0);
	cr_expect(strstr(err.text, "redis"), "%s", err.text);
}

Test(cache_stack, the_options_are_copied)
{
	char type[] = "user", pattern[] = "user:acme:important*", app[] = "shop";
	struct lf_cache_class class = { .type = type, .ttl_ms = 1000 };
	const char *patterns[] = { pattern };
	struct lf_cache_options options;
	struct lf_cache_space *space;
	struct lf_cache *cache;
	int64_t ttl = 0;

	fixture_options(&options, WITH_MEMORY)->app = app;
	options.classes = &class;
	options.classes_count = 1;
	options.critical = patterns;
	options.critical_count = 1;
	cache = fixture_open(&options);
	memset(type, 'x', 4);
	memset(pattern, '*', 4);
	memset(app, 'x', 4);
	class.ttl_ms = 5;
	patterns[0] = NULL;
	space = fixture_space(cache, "user", "acme");
	cr_expect_eq(SET(space, "a", "1"), 1);
	cr_expect_eq(lf_cache_ttl(space, text_of("a"), &ttl, NULL), 1);
	cr_expect_eq(ttl, 1000);
	cr_expect_eq(SET(space, "important 1", "1"), -EHOSTDOWN);
	lf_cache_close(cache);
}

Test(cache_stack, bad_input_gets_a_sentence_and_changes_nothing)
{
	struct lf_cache_options options;
	struct lf_cache *cache;
	struct lf_cache_space *space;
	struct lf_cache_value value;
	struct lf_error err = { "" };
	char id[LF_CACHE_ID_MAX + 1] = { 0 };
	struct lf_text tag = { "", 0 };

	fixture_options(&options, WITH_MEMORY)->value_max = 10;
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	cr_expect_eq(lf_cache_get(space, (struct lf_text){ id, 0 }, &value, &err), -EINVAL);
	cr_expect_null(value.record);
	cr_expect_eq(lf_cache_set(space, (struct lf_text){ id, sizeof(id) }, text_of("1"), NULL, &err), -EINVAL);
	cr_expect_eq(lf_cache_set(space, (struct lf_text){ id, sizeof(id) - 1 }, text_of("1"), NULL, &err), 1, "%s", err.text);
	cr_expect_eq(SET(space, "a", "12345678901"), -EFBIG);
	cr_expect_eq(set_how(space, "a", "1", HOW(.ttl_ms = -3)), -EINVAL);
	cr_expect_eq(set_how(space, "a", "1", HOW(.when = (enum lf_cache_when)3)), -EINVAL);
	cr_expect_eq(set_how(space, "a", "1", HOW(.tags = &tag, .tags_count = 1)), -EINVAL);
	cr_expect_eq(set_how(space, "a", "1", HOW(.tags = &tag, .tags_count = 33)), -EINVAL);
	cr_expect_eq(lf_cache_set_if_newer(space, text_of("a"), text_of("1"), 0, NULL, &err), -EINVAL);
	cr_expect_eq(lf_cache_hset(space, text_of("a"), NULL, 0, &err), -EINVAL);
	cr_expect_eq(lf_cache_invalidate_tag(cache, text_of("acme"), tag, &err), -EINVAL);
	cr_expect_eq(lf_cache_invalidate_type(cache, tag, &err), -EINVAL);
	cr_expect_eq(lf_cache_space(&space, cache, "", "acme", &err), -EINVAL);
	cr_expect_eq(lf_cache_space(&space, cache, "user", NULL, &err), -EINVAL);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}

Test(cache_stack, a_key_of_the_other_type_is_refused_and_stays)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY | WITH_SQLITE);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct lf_cache_field field = { text_of("f"), text_of("v") };
	struct lf_cache_value value;

	cr_expect_eq(lf_cache_hset(space, text_of("h"), &field, 1, NULL), 1);
	cr_expect_str_eq(fixture_get(space, "h"), "(error -91)"); /* EPROTOTYPE */
	cr_expect_eq(lf_cache_incr(space, text_of("h"), NULL, NULL), -EPROTOTYPE);
	cr_expect_eq(SET(space, "s", "x"), 1);
	cr_expect_eq(lf_cache_hget(space, text_of("s"), text_of("f"), &value, NULL), -EPROTOTYPE);
	cr_expect_null(value.record);
	cr_expect_eq(lf_cache_incr(space, text_of("s"), NULL, NULL), -EBADMSG);
	cr_expect_eq(SET(space, "h", "1"), 1, "SET takes any type's place");
	cr_expect_str_eq(fixture_get(space, "h"), "1");
	lf_cache_close(cache);
}

Test(cache_stack, one_space_is_one_handle_and_no_other_reaches_it)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme"), *other = fixture_space(cache, "user", "acme:x");

	cr_expect_eq(fixture_space(cache, "user", "acme"), space);
	cr_expect_eq(SET(other, "y", "theirs"), 1);
	cr_expect_eq(SET(space, "x:y", "ours"), 1);
	cr_expect_str_eq(fixture_get(other, "y"), "theirs");
	cr_expect_str_eq(fixture_get(space, "x:y"), "ours");
	cr_expect_eq(lf_space_of_key(cache, fixture_key(space, "x")), space);
	cr_expect_null(lf_space_of_key(cache, text_of("app:test:user:nobody:x")));
	lf_cache_close(cache);
}

/* --- full, disabled, critical ------------------------------------------------------------------------ */

Test(cache_stack, memory_that_lets_nothing_go_refuses_unless_another_tier_takes_it)
{
	struct lf_cache_options options;
	struct lf_cache *cache;
	struct lf_cache_space *space;

	for (int lower = 0; lower < 2; lower++) {
		fixture_options(&options, lower ? WITH_MEMORY | WITH_SQLITE : WITH_MEMORY);
		options.memory.policy = LF_CACHE_NONE;
		options.memory.max_entries = 1;
		options.memory.shards = 1;
		cache = fixture_open(&options);
		space = fixture_space(cache, "user", "acme");
		cr_expect_eq(SET(space, "a", "1"), 1);
		cr_expect_eq(SET(space, "b", "1"), lower ? 1 : -ENOSPC);
		cr_expect_str_eq(fixture_get(space, "b"), lower ? "1" : "(none)");
		cr_expect_eq(SET(space, "a", "2"), 1);
		cr_expect_str_eq(fixture_get(space, "a"), "2");
		lf_cache_close(cache);
	}
}

Test(cache_stack, disabled_it_finds_nothing_keeps_nothing_and_asks_nobody)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct lf_cache_field field = { text_of("f"), text_of("v") };
	struct lf_text id = text_of("a");
	struct lf_cache_value value;
	unsigned loads, stores;
	int64_t number;

	cr_expect_eq(SET(space, "a", "1"), 1);
	lf_cache_enable(cache, false);
	loads = fake_calls(fake_server(LF_CACHE_REDIS), FAKE_LOAD);
	stores = fake_calls(fake_server(LF_CACHE_REDIS), FAKE_STORE);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	cr_expect_eq(lf_cache_mget(space, &id, 1, &value, NULL), 0);
	cr_expect_eq(SET(space, "a", "2"), 1);
	cr_expect_eq(lf_cache_mset(space, &id, &id, 1, NULL, NULL), 0);
	cr_expect_eq(set_how(space, "a", "2", HOW(.when = LF_CACHE_IF_PRESENT)), 0);
	cr_expect_eq(lf_cache_del(space, id, NULL), 0);
	cr_expect_eq(lf_cache_hset(space, id, &field, 1, NULL), 1);
	cr_expect_eq(lf_cache_incr(space, id, &number, NULL), -ECANCELED);
	cr_expect_eq(fake_calls(fake_server(LF_CACHE_REDIS), FAKE_LOAD), loads);
	cr_expect_eq(fake_calls(fake_server(LF_CACHE_REDIS), FAKE_STORE), stores);
	lf_cache_enable(cache, true);
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	lf_cache_close(cache);
}

Test(cache_stack, an_invalidation_while_it_is_disabled_holds)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY);
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");
	struct lf_text tag = text_of("t");

	cr_expect_eq(set_how(space, "a", "1", HOW(.tags = &tag, .tags_count = 1)), 1);
	lf_cache_enable(cache, false);
	cr_expect_eq(lf_cache_invalidate_tag(cache, text_of("acme"), tag, NULL), 0);
	lf_cache_enable(cache, true);
	cr_expect_str_eq(fixture_get(space, "a"), "(none)");
	lf_cache_close(cache);
}

Test(cache_stack, what_is_critical_is_in_sqlite_or_refused)
{
	static const char *const patterns[] = { "order:*" };
	struct lf_cache_options options;
	struct lf_cache *cache;
	struct lf_cache_space *orders, *users;
	struct lf_cache_value value;

	fixture_options(&options, WITH_MEMORY | WITH_SQLITE | WITH_REDIS);
	options.critical = patterns;
	options.critical_count = 1;
	options.sqlite.mode = LF_CACHE_BEHIND;
	cache = fixture_open(&options);
	orders = fixture_space(cache, "order", "acme");
	users = fixture_space(cache, "user", "acme");
	cr_expect(lf_stack_is_critical(orders, text_of("1")));
	cr_expect_not(lf_stack_is_critical(users, text_of("1")));
	cr_expect_eq(SET(orders, "1", "paid"), 1);
	fake_down(fake_server(LF_CACHE_REDIS), true);
	cr_expect_eq(SET(orders, "2", "paid"), 1);
	cr_expect_eq(lf_cache_incr(orders, text_of("3"), NULL, NULL), 0);
	cr_expect_eq(lf_sqlite_owed_count(cache->tier[LF_CACHE_SQLITE].tier), 2, "%llu",
	             (unsigned long long)lf_sqlite_owed_count(cache->tier[LF_CACHE_SQLITE].tier));
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	cr_expect_eq(lf_cache_get(orders, text_of("1"), &value, NULL), 1);
	cr_expect_eq(value.tier, LF_CACHE_SQLITE);
	lf_cache_value_release(&value);
	cr_expect_eq(lf_cache_switch(cache, LF_CACHE_SQLITE, false, NULL), 0);
	cr_expect_eq(SET(orders, "4", "paid"), -EHOSTDOWN);
	cr_expect_eq(lf_cache_del(orders, text_of("1"), NULL), -EHOSTDOWN);
	cr_expect_str_eq(fixture_get(orders, "4"), "(none)", "what was refused is nowhere");
	cr_expect_eq(SET(users, "1", "x"), 1, "what is not critical goes on in memory");
	lf_cache_close(cache);
}

Test(cache_stack, what_sqlite_keeps_is_there_in_the_next_life)
{
	struct lf_cache_options options;
	struct lf_cache *cache = fixture_open(fixture_options(&options, WITH_MEMORY | WITH_SQLITE));
	struct lf_text tag = text_of("t");
	struct lf_cache_space *space = fixture_space(cache, "user", "acme");

	cr_expect_eq(SET(space, "a", "1"), 1);
	cr_expect_eq(set_how(space, "b", "2", HOW(.tags = &tag, .tags_count = 1)), 1);
	cr_expect_eq(set_how(space, "c", "3", HOW(.tags = &tag, .tags_count = 1)), 1);
	cr_expect_eq(lf_cache_invalidate_tag(cache, text_of("acme"), tag, NULL), 0);
	cr_expect_eq(set_how(space, "c", "4", HOW(.tags = &tag, .tags_count = 1)), 1);
	lf_cache_close(cache);
	cache = fixture_open(&options);
	space = fixture_space(cache, "user", "acme");
	cr_expect_str_eq(fixture_get(space, "a"), "1");
	cr_expect_str_eq(fixture_get(space, "b"), "(none)", "so is what was invalidated");
	cr_expect_str_eq(fixture_get(space, "c"), "4");
	lf_cache_close(cache);
}

Test(cache_stack, a_class_says_when_its_values_end_within_its_jitter)
{
	const struct lf_cache_class classes[] = { { .type = NULL, .ttl_ms = 5000 },
		                                  { .type = "user", .ttl_ms = 10000, .jitter_pct = 20 } };
	struct lf_cache_options options;
	struct lf_cache *cache;
	struct lf_cache_space *users, *others;
	int64_t least = INT64_MAX, most = 0, ttl = 0;
	char id[16];

	fixture_options(&options, WITH_MEMORY)->classes = classes;
	options.classes_count = 2;
	cache = fixture_open(&options);
	users = fixture_space(cache, "user", "acme");
	others = fixture_space(cache, "other", "acme");
	for (int i = 0; i < 200; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		cr_expect_eq(i % 2 ? SET(users, id, "1") : lf_cache_incr(users, text_of(id), NULL, NULL), i % 2);
		cr_expect_eq(lf_cache_ttl(users, text_of(id), &ttl, NULL), 1);
		least = ttl < least ? ttl : least;
		most = ttl > most ? ttl : most;
	}
	cr_expect(least >= 8000 && least < 8500 && most <= 10000 && most > 9500, "%lld to %lld", (long long)least, (long long)most);
	cr_expect_eq(SET(others, "a", "1"), 1);
	cr_expect_eq(lf_cache_ttl(others, text_of("a"), &ttl, NULL), 1);
	cr_expect_eq(ttl, 5000);
	cr_expect_eq(set_how(others, "a", "1", HOW(.ttl_ms = LF_CACHE_TTL_NONE)), 1);
	cr_expect_eq(lf_cache_ttl(others, text_of("a"), &ttl, NULL), 1);
	cr_expect_eq(ttl, LF_CACHE_TTL_NONE);
	cr_expect_eq(set_how(others, "a", "1", HOW(.ttl_ms = INT64_MAX)), 1, "no overflow");
	cr_expect_str_eq(fixture_get(others, "a"), "1");
	cr_expect_eq(set_how(others, "a", "1", HOW(.expires_ms = fake_now_ms - 1)), 1);
	cr_expect_str_eq(fixture_get(others, "a"), "(none)", "a time that has passed deletes");
	lf_cache_close(cache);
}

Test(cache_stack, versions_rise_with_every_change_and_go_on_from_what_was_seen)
{
	struct lf_cache *cache = fixture_cache(WITH_MEMORY);
	struct lf_version first = lf_version_next(cache), second = lf_version_next(cache);

	cr_expect_lt(lf_version_compare(first, second), 0);
	cr_expect_eq(first.clock >> 16, fake_now_ms);
	lf_version_seen(cache, second.clock + 1000);
	cr_expect_eq(lf_version_next(cache).clock, second.clock + 1001);
	lf_version_seen(cache, UINT64_MAX);
	cr_expect_eq(lf_version_next(cache).clock, second.clock + 1002, "what cannot be a time is not followed");
	lf_cache_close(cache);
}
