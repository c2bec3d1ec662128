#include "sinks/cache/flights.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "hashing/clock.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { DEADLINE_MS = 20000 };

static struct lf_cache cache;

static void begin(void)
{
	memset(&cache, 0, sizeof(cache));
	cache.options.workers = 2;
	cr_assert_eq(lf_flights_new(&cache), 0);
	cr_assert_eq(lf_workers_new(&cache), 0);
}

static void end(void)
{
	lf_workers_close(&cache);
	lf_workers_free(&cache);
	lf_flights_free(&cache);
}

TestSuite(cache_flights, .init = begin, .fini = end);
TestSuite(cache_workers, .init = begin, .fini = end);

static struct lf_flight *joined(struct lf_text key, enum lf_flight_role expected)
{
	struct lf_flight *flight;
	enum lf_flight_role role;

	cr_assert_eq(lf_flight_join(cache.flights, key, &flight, &role), 0);
	cr_assert_eq(role, expected);
	return flight;
}

static struct lf_landing bringing(const char *value)
{
	struct lf_record record = { .type = LF_RECORD_STRING, .value = { value, strlen(value) } };

	return (struct lf_landing){ .rc = 1, .record = lf_record_new(&record) };
}

/* Ends it with that value, which nobody else keeps. */
static void land(struct lf_flight *flight, const char *value)
{
	struct lf_landing landing = bringing(value);

	lf_flight_end(flight, &landing);
	lf_record_drop(landing.record);
}

/* Somebody else who waits, in a thread of its own. */
struct waiter {
	pthread_t thread;
	struct lf_text key;
	int rc;
	bool leads;
	struct lf_landing landing;
};

static void *wait_for_it(void *arg)
{
	struct waiter *waiter = arg;
	struct lf_flight *flight;
	enum lf_flight_role role;

	waiter->rc = lf_flight_join(cache.flights, waiter->key, &flight, &role);
	waiter->leads = role == LF_FLIGHT_LEADS;
	if (waiter->rc == 0 && !waiter->leads) {
		waiter->rc = lf_flight_wait(flight, lf_clock_ms() + DEADLINE_MS, &waiter->landing);
		lf_flight_leave(flight);
	}
	return NULL;
}

static void start(struct waiter *waiter, struct lf_text key)
{
	*waiter = (struct waiter){ .key = key };
	cr_assert_eq(pthread_create(&waiter->thread, NULL, wait_for_it, waiter), 0);
}

static void until_waiting(struct lf_text key, unsigned count)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	while (lf_flights_waiting(cache.flights, key) != count) {
		cr_assert_lt(lf_clock_ms(), end_ms, "%u wait, not %u", lf_flights_waiting(cache.flights, key), count);
		(void)poll(NULL, 0, 1);
	}
}

Test(cache_flights, the_first_caller_leads_and_all_others_get_what_it_brings)
{
	enum { OTHERS = 20 };
	struct waiter others[OTHERS];
	struct lf_flight *flight = joined(TEXT("k"), LF_FLIGHT_LEADS);

	for (int i = 0; i < OTHERS; i++)
		start(&others[i], TEXT("k"));
	until_waiting(TEXT("k"), OTHERS);
	land(flight, "value");
	for (int i = 0; i < OTHERS; i++) {
		(void)pthread_join(others[i].thread, NULL);
		cr_assert_eq(others[i].rc, 0);
		cr_assert_not(others[i].landing.again);
		cr_assert_eq(memcmp(others[i].landing.record->value.data, "value", 5), 0);
		lf_record_drop(others[i].landing.record);
	}
}

Test(cache_flights, flights_of_two_keys_have_nothing_to_do_with_each_other)
{
	struct lf_flight *one = joined(TEXT("one"), LF_FLIGHT_LEADS), *two = joined(TEXT("two"), LF_FLIGHT_LEADS);

	struct waiter other;

	start(&other, TEXT("two"));
	until_waiting(TEXT("two"), 1);
	lf_flights_touch(&cache, TEXT("one"));
	land(one, "1");
	land(joined(TEXT("one"), LF_FLIGHT_LEADS), "1 again");
	land(two, "2");
	(void)pthread_join(other.thread, NULL);
	cr_assert_not(other.landing.again);
	cr_assert_eq(other.landing.record->value.data[0], '2');
	lf_record_drop(other.landing.record);
}

Test(cache_flights, a_failure_and_its_sentence_reach_who_waits)
{
	struct lf_landing failed = { .rc = -EIO };
	struct lf_flight *flight = joined(TEXT("k"), LF_FLIGHT_LEADS);
	struct waiter other;

	(void)lf_fail(&failed.err, -EIO, "the disk is gone");
	start(&other, TEXT("k"));
	until_waiting(TEXT("k"), 1);
	lf_flight_end(flight, &failed);
	(void)pthread_join(other.thread, NULL);
	cr_assert_eq(other.landing.rc, -EIO);
	cr_assert_str_eq(other.landing.err.text, "the disk is gone");
}

Test(cache_flights, who_waits_goes_at_its_deadline_and_the_flight_goes_on)
{
	struct lf_flight *flight = joined(TEXT("k"), LF_FLIGHT_LEADS);
	struct lf_landing landing;
	struct lf_flight *again;
	enum lf_flight_role role;

	/* Within the leader's own thread: it does not wait, as it would be for itself. */
	cr_assert_eq(lf_flight_join(cache.flights, TEXT("k"), &again, &role), -EDEADLK);
	cr_assert_eq(lf_flight_plan(cache.flights, TEXT("k"), &again), 0);
	land(flight, "value");
	cr_assert_eq(lf_flight_plan(cache.flights, TEXT("k"), &again), 1);
	cr_assert(lf_flight_board(again));
	flight = again;
	cr_assert_eq(lf_flight_wait(flight, lf_clock_ms() + 5, &landing), -ETIMEDOUT);
	land(flight, "late");
	flight = joined(TEXT("k"), LF_FLIGHT_LEADS);
	land(flight, "next");
}

Test(cache_flights, a_flight_that_is_planned_is_led_by_the_first_who_needs_it)
{
	struct lf_flight *planned, *taken;

	cr_assert_eq(lf_flight_plan(cache.flights, TEXT("k"), &planned), 1);
	taken = joined(TEXT("k"), LF_FLIGHT_LEADS);
	cr_assert_eq(planned, taken);
	cr_assert_not(lf_flight_board(planned));
	land(taken, "value");
}

Test(cache_flights, a_flight_that_was_planned_and_is_over_is_not_boarded)
{
	struct lf_flight *planned;

	cr_assert_eq(lf_flight_plan(cache.flights, TEXT("k"), &planned), 1);
	land(joined(TEXT("k"), LF_FLIGHT_LEADS), "value");
	cr_assert_not(lf_flight_board(planned));
}

Test(cache_flights, what_was_changed_meanwhile_is_not_handed_on)
{
	struct lf_flight *flight = joined(TEXT("k"), LF_FLIGHT_LEADS);
	struct waiter other;

	start(&other, TEXT("k"));
	until_waiting(TEXT("k"), 1);
	lf_flights_touch(&cache, TEXT("another"));
	lf_flights_touch(&cache, TEXT("k"));
	land(flight, "old");
	(void)pthread_join(other.thread, NULL);
	cr_assert_eq(other.rc, 0);
	cr_assert(other.landing.again);
	cr_assert_null(other.landing.record);
}

Test(cache_flights, a_caller_knows_what_took_off_and_what_ended_since_it_asked)
{
	struct lf_flights_moment before = lf_flights_now(cache.flights), between;
	struct lf_flight *flight = joined(TEXT("k"), LF_FLIGHT_LEADS);

	between = lf_flights_now(cache.flights);
	cr_assert(lf_flight_began_after(flight, &before));
	cr_assert_not(lf_flight_began_after(flight, &between));
	cr_assert_not(lf_flights_ended_after(cache.flights, &before));
	land(flight, "value");
	cr_assert(lf_flights_ended_after(cache.flights, &between));
}

/* Leads `mine`, says so, and then wants `other`. */
struct crossing {
	pthread_t thread;
	struct lf_text mine, other;
	pthread_barrier_t *both_lead;
	int rc;
};

static void *cross(void *arg)
{
	struct crossing *crossing = arg;
	struct lf_flight *mine = joined(crossing->mine, LF_FLIGHT_LEADS), *other;
	enum lf_flight_role role;
	struct lf_landing landing;

	(void)pthread_barrier_wait(crossing->both_lead);
	crossing->rc = lf_flight_join(cache.flights, crossing->other, &other, &role);
	if (crossing->rc == 0) {
		crossing->rc = lf_flight_wait(other, lf_clock_ms() + DEADLINE_MS, &landing);
		lf_record_drop(landing.record);
		lf_flight_leave(other);
	}
	land(mine, "value");
	return NULL;
}

Test(cache_flights, of_two_threads_that_would_wait_for_each_other_one_is_told)
{
	pthread_barrier_t both_lead;
	struct crossing one = { .mine = TEXT("a"), .other = TEXT("b"), .both_lead = &both_lead };
	struct crossing two = { .mine = TEXT("b"), .other = TEXT("a"), .both_lead = &both_lead };

	(void)pthread_barrier_init(&both_lead, NULL, 2);
	cr_assert_eq(pthread_create(&one.thread, NULL, cross, &one), 0);
	cr_assert_eq(pthread_create(&two.thread, NULL, cross, &two), 0);
	(void)pthread_join(one.thread, NULL);
	(void)pthread_join(two.thread, NULL);
	(void)pthread_barrier_destroy(&both_lead);
	cr_assert_eq(one.rc + two.rc, -EDEADLK, "%d and %d", one.rc, two.rc);
}

/* --- workers --------------------------------------------------------------------------------------- */

static pthread_barrier_t meeting;
static _Atomic int ran, given_up_count;
static _Atomic bool may_go;

static void meet(void *arg, bool given_up)
{
	(void)arg;
	(void)given_up;
	(void)pthread_barrier_wait(&meeting);
	atomic_fetch_add(&ran, 1);
}

static void count_job(void *arg, bool given_up)
{
	(void)arg;
	atomic_fetch_add(given_up ? &given_up_count : &ran, 1);
}

static void hold(void *arg, bool given_up)
{
	(void)given_up;
	(void)pthread_barrier_wait(&meeting);
	while (!atomic_load((_Atomic bool *)arg))
		(void)poll(NULL, 0, 1);
	atomic_fetch_add(&ran, 1);
}

Test(cache_workers, as_many_jobs_run_at_once_as_there_are_workers)
{
	(void)pthread_barrier_init(&meeting, NULL, 3);
	cr_assert_eq(lf_workers_run(&cache, meet, NULL), 0);
	cr_assert_eq(lf_workers_run(&cache, meet, NULL), 0);
	(void)pthread_barrier_wait(&meeting); /* two workers and we: it would not return otherwise */
}

Test(cache_workers, closing_waits_for_what_runs_and_gives_up_what_waits)
{
	(void)pthread_barrier_init(&meeting, NULL, 3);
	cr_assert_eq(lf_workers_run(&cache, hold, &may_go), 0);
	cr_assert_eq(lf_workers_run(&cache, hold, &may_go), 0);
	(void)pthread_barrier_wait(&meeting);
	for (int i = 0; i < 1024; i++)
		cr_assert_eq(lf_workers_run(&cache, count_job, NULL), 0);
	cr_assert_eq(lf_workers_run(&cache, count_job, NULL), -EAGAIN);
	/* One that is let go takes a job more before it sees that it is closed, or not. */
	atomic_store(&may_go, true);
	lf_workers_close(&cache);
	cr_assert_eq(lf_workers_run(&cache, count_job, NULL), -EAGAIN);
	cr_assert_eq(atomic_load(&ran) + atomic_load(&given_up_count), 2 + 1024);
	cr_assert_geq(atomic_load(&ran), 2);
}

Test(cache_workers, without_any_a_job_is_refused)
{
	lf_workers_close(&cache);
	lf_workers_free(&cache);
	cache.options.workers = 0;
	cr_assert_eq(lf_workers_new(&cache), 0);
	cr_assert_eq(lf_workers_run(&cache, count_job, NULL), -EAGAIN);
}
