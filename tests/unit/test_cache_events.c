#include "sinks/cache/events.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "hashing/clock.h"
#include "tests/unit/cache_sqlite_fixture.h"

static struct lf_cache *cache;
static struct lf_cache_space *space;

static void set_up(void)
{
	struct lf_cache_options options;

	sqlite_set_up();
	lf_cache_options_init(&options);
	options.app = "a";
	options.env = "t";
	cr_assert_eq(lf_cache_open(&cache, &options, &why), 0, "%s", why.text);
	cr_assert_eq(lf_cache_space(&space, cache, "user", "acme", &why), 0, "%s", why.text);
}

static void tear_down(void)
{
	lf_cache_close(cache);
}

TestSuite(cache_events, .init = set_up, .fini = tear_down, .timeout = 60);

enum { ALL = (1u << LF_CACHE_EVENTS) - 1 };

/* Each as "set k ", one that happened elsewhere as "set k! ". */
static void write_notice(void *arg, const struct lf_cache_notice *notice)
{
	char *all = arg;

	(void)snprintf(all + strlen(all), 256 - strlen(all), "%s %.*s%s ", lf_cache_event_name(notice->event), (int)notice->id.len,
	               notice->id.len ? notice->id.data : "", notice->elsewhere ? "!" : "");
}

static int listen_to(unsigned events, void (*told)(void *arg, const struct lf_cache_notice *notice), void *arg)
{
	int number = lf_cache_listen(cache, events, told, arg, &why);

	cr_assert_gt(number, 0, "%s", why.text);
	return number;
}

static void happens(enum lf_cache_event event, const char *id)
{
	struct lf_cache_notice notice = { .event = event, .id = text_of(id) };

	lf_event(cache, &notice);
}

Test(cache_events, who_listens_is_told_of_what_it_asked_for_and_of_nothing_else)
{
	char sets[256] = "", all[256] = "";
	int first = listen_to(1u << LF_CACHE_SET, write_notice, sets), second = listen_to(ALL, write_notice, all);

	happens(LF_CACHE_SET, "k");
	happens(LF_CACHE_DELETE, "l");
	cr_assert_str_eq(sets, "set k ");
	cr_assert_str_eq(all, "set k delete l ");
	cr_assert(lf_event_heard(cache, LF_CACHE_HIT));
	lf_cache_unlisten(cache, second);
	cr_assert_not(lf_event_heard(cache, LF_CACHE_HIT));
	happens(LF_CACHE_SET, "m");
	cr_assert_str_eq(sets, "set k set m ");
	cr_assert_str_eq(all, "set k delete l ");
	lf_cache_unlisten(cache, first);
	lf_cache_unlisten(cache, first);
	happens(LF_CACHE_SET, "n");
	cr_assert_str_eq(sets, "set k set m ");
}

Test(cache_events, what_is_no_event_and_who_is_no_listener_is_refused)
{
	cr_assert_eq(lf_cache_listen(cache, 0, write_notice, NULL, &why), -EINVAL);
	cr_assert_eq(lf_cache_listen(cache, 1u << LF_CACHE_EVENTS, write_notice, NULL, &why), -EINVAL);
	cr_assert_eq(lf_cache_listen(cache, ALL, NULL, NULL, &why), -EINVAL);
}

Test(cache_events, what_happens_is_counted_heard_or_not_and_what_happens_elsewhere_is_not)
{
	char all[256] = "";
	struct lf_cache_notice there = { .event = LF_CACHE_INVALIDATE, .id = text_of("k"), .elsewhere = true };

	happens(LF_CACHE_EVICT, "k");
	(void)listen_to(ALL, write_notice, all);
	happens(LF_CACHE_EVICT, "k");
	happens(LF_CACHE_INVALIDATE, "k");
	lf_event(cache, &there);
	cr_assert_eq(lf_counted(cache->counters, LF_COUNT_EVICTIONS), 2);
	cr_assert_eq(lf_counted(cache->counters, LF_COUNT_INVALIDATIONS), 1);
	cr_assert_str_eq(all, "evict k invalidate k invalidate k! ");
}

static void note_space(void *arg, const struct lf_cache_notice *notice)
{
	*(struct lf_cache_space **)arg = notice->space;
}

Test(cache_events, a_key_is_told_as_its_space_and_its_id_as_it_was_given)
{
	struct lf_cache_space *told = NULL;
	char all[256] = "";

	(void)listen_to(ALL, write_notice, all);
	(void)listen_to(ALL, note_space, &told);
	lf_event_key(cache, LF_CACHE_EXPIRE, LF_CACHE_MEMORY, text_of("a:t:user:acme:x%3Ay"), false);
	cr_assert_eq(told, space);
	lf_event_key(cache, LF_CACHE_SET, LF_CACHE_REDIS, text_of("a:t:user:other:z"), true);
	cr_assert_null(told);
	lf_event_key(cache, LF_CACHE_SET, LF_CACHE_REDIS, text_of("no key"), true);
	cr_assert_str_eq(all, "expire x:y set z! set no key! ");
}

/* --- while it is called ---------------------------------------------------------------------------- */

struct once {
	int number, calls;
};

static void unlisten_itself(void *arg, const struct lf_cache_notice *notice)
{
	struct once *once = arg;

	(void)notice;
	once->calls++;
	lf_cache_unlisten(cache, once->number);
	happens(LF_CACHE_SET, "inside");
}

Test(cache_events, a_listener_may_go_from_its_own_call_and_cause_events_in_it)
{
	char all[256] = "";
	struct once once = { 0 };

	(void)listen_to(ALL, write_notice, all);
	once.number = listen_to(ALL, unlisten_itself, &once);
	happens(LF_CACHE_SET, "k");
	happens(LF_CACHE_SET, "l");
	cr_assert_eq(once.calls, 1);
	cr_assert_str_eq(all, "set inside set k set l ");
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool inside, open, left;
};

static void wait_at_gate(void *arg, const struct lf_cache_notice *notice)
{
	struct gate *gate = arg;

	(void)notice;
	(void)pthread_mutex_lock(&gate->lock);
	gate->inside = true;
	(void)pthread_cond_broadcast(&gate->moved);
	while (!gate->open)
		(void)pthread_cond_wait(&gate->moved, &gate->lock);
	gate->left = true;
	(void)pthread_mutex_unlock(&gate->lock);
}

static void *make_event(void *arg)
{
	(void)arg;
	happens(LF_CACHE_SET, "k");
	return NULL;
}

/* Opens the gate once somebody waits for the listener's call. */
static void *open_gate(void *arg)
{
	struct gate *gate = arg;

	while (lf_event_heard(cache, LF_CACHE_SET))
		(void)sched_yield();
	(void)pthread_mutex_lock(&gate->lock);
	gate->open = true;
	(void)pthread_cond_broadcast(&gate->moved);
	(void)pthread_mutex_unlock(&gate->lock);
	return NULL;
}

Test(cache_events, who_ends_listening_waits_for_a_call_that_is_under_way)
{
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, false };
	int number = listen_to(ALL, wait_at_gate, &gate);
	pthread_t caller, opener;

	cr_assert_eq(pthread_create(&caller, NULL, make_event, NULL), 0);
	(void)pthread_mutex_lock(&gate.lock);
	while (!gate.inside)
		(void)pthread_cond_wait(&gate.moved, &gate.lock);
	(void)pthread_mutex_unlock(&gate.lock);
	cr_assert_eq(pthread_create(&opener, NULL, open_gate, &gate), 0);
	lf_cache_unlisten(cache, number);
	cr_assert(gate.left);
	(void)pthread_join(caller, NULL);
	(void)pthread_join(opener, NULL);
}

static void count_call(void *arg, const struct lf_cache_notice *notice)
{
	_Atomic int *calls = arg;

	(void)notice;
	(*calls)++;
}

static void *listen_and_leave(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		_Atomic int calls = 0;
		int number = listen_to(1u << LF_CACHE_HIT, count_call, (void *)&calls), heard;

		happens(LF_CACHE_HIT, "k");
		lf_cache_unlisten(cache, number);
		heard = calls;
		cr_assert_geq(heard, 1, "round %d", i);
		(void)sched_yield();
		cr_assert_eq(calls, heard, "it was called afterwards");
	}
	return NULL;
}

Test(cache_events, listeners_that_come_and_go_in_many_threads_hear_what_happens_between)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, listen_and_leave, NULL), 0);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	cr_assert_not(lf_event_heard(cache, LF_CACHE_HIT));
}

/* --- the log --------------------------------------------------------------------------------------- */

static void note(int64_t at_ms, const char *what, const char *name, bool elsewhere)
{
	struct lf_cache_log_line line = { at_ms, what, text_of("acme"), text_of(name), elsewhere };

	lf_invalidations_note(cache, &line, lf_clock_ms() + 10000);
}

struct lines {
	char text[256];
	size_t count, max;
};

static int write_line(void *arg, const struct lf_cache_log_line *line)
{
	struct lines *lines = arg;

	if (!lines->count++)
		(void)snprintf(lines->text, sizeof(lines->text), "%lld %s %.*s %.*s%s", (long long)line->at_ms, line->what,
		               (int)line->org.len, line->org.data, (int)line->name.len, line->name.data,
		               line->elsewhere ? " there" : "");
	return lines->count == lines->max;
}

static void expect_lines(size_t max, size_t enough, const char *first, size_t count)
{
	struct lines lines = { .max = enough };

	cr_assert_eq(lf_cache_log(cache, max, write_line, &lines, &why), 0, "%s", why.text);
	cr_assert_str_eq(lines.text, first);
	cr_assert_eq(lines.count, count);
}

Test(cache_events, the_log_in_memory_keeps_the_last_thousand_newest_first)
{
	char name[16];

	expect_lines(10, 0, "", 0);
	for (int i = 0; i < 1500; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		note(i, i % 2 ? "tag" : "prefix", name, i % 3 == 0);
	}
	expect_lines(5000, 0, "1499 tag acme n1499", 1000);
	expect_lines(3, 0, "1499 tag acme n1499", 3);
	expect_lines(100, 2, "1499 tag acme n1499", 2);
	note(7, "flush", "", true);
	expect_lines(1, 0, "7 flush acme  there", 1);
}

Test(cache_events, the_log_of_a_cache_with_a_file_outlives_it)
{
	struct lf_cache_options options;

	lf_cache_close(cache);
	lf_cache_options_init(&options);
	options.app = "a";
	options.env = "t";
	options.sqlite = sqlite_options;
	options.sqlite.timeout_ms = ANSWER_MS;
	cr_assert_eq(lf_cache_open(&cache, &options, &why), 0, "%s", why.text);
	note(5, "org", "o", false);
	lf_cache_close(cache);
	cr_assert_eq(lf_cache_open(&cache, &options, &why), 0, "%s", why.text);
	expect_lines(10, 0, "5 org acme o there", 1);
}
