#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "hashing/clock.h"
#include "logfold/cache.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;
static struct lf_error why;

static struct lf_text text_of(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

static void set_up(void)
{
	struct lf_cache_options options;

	lf_cache_options_init(&options);
	cr_assert_eq(lf_cache_open(&cache, &options, &why), 0, "%s", why.text);
	cr_assert_eq(lf_cache_space(&space, cache, "profile", "acme", &why), 0, "%s", why.text);
}

static void tear_down(void)
{
	lf_cache_close(cache);
}

TestSuite(cache_rules, .init = set_up, .fini = tear_down, .timeout = 60);

static int add(const char *event, struct lf_cache_space *of, const char *tag, const char *warm)
{
	struct lf_cache_rule rule = { .event = event, .tag = tag, .space = of, .warm = warm };

	return lf_cache_rule(cache, &rule, &why);
}

static void set_tagged(const char *id, const char *tag)
{
	struct lf_text tags[] = { text_of(tag) };
	struct lf_cache_set how = { .tags = tags, .tags_count = 1 };

	cr_assert_eq(lf_cache_set(space, text_of(id), text_of("old"), &how, &why), 1, "%s", why.text);
}

static bool is_there(const char *id)
{
	int rc = lf_cache_exists(space, text_of(id), &why);

	cr_assert_geq(rc, 0, "%s", why.text);
	return rc;
}

/* --- loaded in the background ---------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static char loaded[64];

static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	(void)arg;
	(void)err;
	out->value = text_of("new");
	(void)pthread_mutex_lock(&lock);
	(void)snprintf(loaded, sizeof(loaded), "%.*s", (int)id.len, id.data);
	(void)pthread_cond_broadcast(&done);
	(void)pthread_mutex_unlock(&lock);
	return 1;
}

static void expect_loaded(const char *id)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 20;
	(void)pthread_mutex_lock(&lock);
	while (strcmp(loaded, id) != 0)
		cr_assert_eq(pthread_cond_clockwait(&done, &lock, CLOCK_MONOTONIC, &end), 0, "'%s' was loaded, not %s", loaded, id);
	(void)pthread_mutex_unlock(&lock);
}

Test(cache_rules, an_event_invalidates_the_tag_of_its_id_and_no_other)
{
	set_tagged("one", "user:1");
	set_tagged("two", "user:2");
	cr_assert_eq(add("user.changed", space, "user:{id}", NULL), 0, "%s", why.text);
	cr_assert_eq(lf_cache_emit(cache, "user.deleted", text_of("1"), &why), 0);
	cr_assert(is_there("one"));
	cr_assert_eq(lf_cache_emit(cache, "user.changed", text_of("1"), &why), 1, "%s", why.text);
	cr_assert_not(is_there("one"));
	cr_assert(is_there("two"));
}

Test(cache_rules, an_event_warms_what_it_invalidated)
{
	struct lf_cache_value value;

	lf_cache_space_loader(space, load, NULL);
	set_tagged("p7-7", "user:7");
	cr_assert_eq(add("user.changed", space, NULL, "p{id}-{id}"), 0, "%s", why.text);
	cr_assert_eq(add("user.changed", space, "user:{id}", NULL), 0, "%s", why.text);
	cr_assert_eq(lf_cache_emit(cache, "user.changed", text_of("7"), &why), 2, "%s", why.text);
	expect_loaded("p7-7");
	cr_assert_eq(lf_cache_fetch(space, text_of("p7-7"), &value, &why), 1, "%s", why.text);
	cr_assert_eq(value.len, 3);
	cr_assert_arr_eq(value.data, "new", 3);
	lf_cache_value_release(&value);
}

Test(cache_rules, a_rule_that_can_do_nothing_is_refused)
{
	cr_assert_eq(add(NULL, space, "t", NULL), -EINVAL);
	cr_assert_eq(add("", space, "t", NULL), -EINVAL);
	cr_assert_eq(add("e", NULL, "t", NULL), -EINVAL);
	cr_assert_eq(add("e", space, NULL, NULL), -EINVAL);
	cr_assert_eq(add("e", space, "", NULL), -EINVAL);
	cr_assert_eq(add("e", space, NULL, ""), -EINVAL);
	cr_assert_eq(lf_cache_emit(cache, "e", text_of("1"), &why), 0);
	cr_assert_eq(lf_cache_emit(cache, NULL, text_of("1"), &why), -EINVAL);
}

Test(cache_rules, a_rule_that_fails_is_told_and_the_others_are_set_off)
{
	char id[LF_CACHE_NAME_MAX + 1];

	memset(id, 'x', sizeof(id));
	cr_assert_eq(add("e", space, "t{id}", NULL), 0);
	cr_assert_eq(add("e", space, "plain", NULL), 0);
	set_tagged("k", "plain");
	cr_assert_eq(lf_cache_emit(cache, "e", (struct lf_text){ id, sizeof(id) }, &why), -EINVAL);
	cr_assert(strstr(why.text, "t{id}"), "%s", why.text);
	cr_assert_not(is_there("k"));
	cr_assert_eq(add("f", space, NULL, "w"), 0);
	cr_assert_eq(lf_cache_emit(cache, "f", text_of("1"), &why), -EINVAL);
	cr_assert(strstr(why.text, "loader"), "%s", why.text);
}
