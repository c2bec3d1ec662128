/* The shipper's thread: when it does what. */
#include "agent/core/shipper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/shipper_internal.h"
#include "hashing/clock.h"

enum {
	TEND_INTERVAL_MS = 500,    /* while there is something to tend */
	CHANGES_INTERVAL_MS = 300, /* of a tier that tells of changes, but only when it is asked */
	GREET_RETRY_MS = 1000,
	STATE_TIMEOUT_MS = 1000,
};

/* ---- What is due ---- */

static void read_state(struct lf_shipper *shipper)
{
	struct lf_sink_state state = { -1, -1 };
	int timeout = lf_shipper_timeout(shipper);
	struct lf_error err;

	if (timeout > STATE_TIMEOUT_MS)
		timeout = STATE_TIMEOUT_MS;
	if (shipper->options.ops->state &&
	    shipper->options.ops->state(shipper->sink, &state, timeout, &err) != LF_SINK_DONE)
		state = (struct lf_sink_state){ -1, -1 };
	(void)pthread_mutex_lock(&shipper->lock);
	shipper->status.used_bytes = state.used_bytes;
	shipper->status.limit_bytes = state.limit_bytes;
	(void)pthread_mutex_unlock(&shipper->lock);
}

/* A new connection reads everything before it sends anything: what is muted there is muted here before the
 * first number goes out. */
static bool poll_tier(struct lf_shipper *shipper, int64_t now)
{
	bool first = !shipper->greeted || (lf_shipper_may_watch(shipper) && !shipper->watching);

	if (!first && now < shipper->next_poll_ms)
		return true;
	if (!lf_shipper_greet(shipper) || !lf_shipper_watch(shipper) || !lf_shipper_read_flags(shipper, first))
		return false;
	read_state(shipper);
	shipper->next_poll_ms = lf_clock_ms() + shipper->options.tier->poll_interval_ms;
	return true;
}

static bool tend(struct lf_shipper *shipper, int64_t now)
{
	struct lf_error err = { "" };

	if (!shipper->busy || now < shipper->next_tend_ms)
		return true;
	shipper->next_tend_ms = now + TEND_INTERVAL_MS;
	return lf_shipper_took(
		shipper,
		shipper->options.ops->tend(shipper->sink, (const char *const *)shipper->namespaces.name,
	                                   shipper->namespaces.count, &shipper->busy,
	                                   lf_shipper_timeout(shipper), &err),
		&err);
}

/* Once the tier has been told our version of what was set there by hand: who sees it obeyed may set it again, and what
 * we write later would undo that. */
static void tell_adopted(struct lf_shipper *shipper)
{
	if (shipper->adopted)
		shipper->options.adopted(shipper->options.arg);
	shipper->adopted = false;
}

static bool flush(struct lf_shipper *shipper, int64_t now)
{
	/* What was just adopted counts, too. */
	if (!lf_shipper_look_at_store(shipper) || !lf_shipper_flush_flags(shipper))
		return false;
	tell_adopted(shipper);
	if (now < shipper->next_flush_ms && !shipper->more)
		return true;
	shipper->next_flush_ms = now + shipper->options.config->agent.flush_interval_ms;
	shipper->left = !lf_shipper_flush(shipper);
	return !shipper->left;
}

/* ---- Looking up ---- */

static struct lf_lookup *take_lookups(struct lf_shipper *shipper)
{
	struct lf_lookup *taken;

	(void)pthread_mutex_lock(&shipper->lock);
	taken = shipper->lookups;
	shipper->lookups = NULL;
	(void)pthread_mutex_unlock(&shipper->lock);
	return taken;
}

struct answering {
	struct lf_lookup *lookup;
	bool found;
};

static int answer(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                  size_t shares_count)
{
	struct answering *answering = arg;

	(void)shares;
	(void)shares_count;
	answering->found = true;
	answering->lookup->done(answering->lookup, entry);
	return 1;
}

static void look_up(struct lf_shipper *shipper, struct lf_lookup *lookup)
{
	struct answering answering = { lookup, false };
	/* Who is answered may be gone before the sink has ended. */
	struct lf_lookup copy = *lookup;
	const char *hashes[] = { copy.hash };
	struct lf_sink_query query = { .namespace = copy.namespace, .hashes = hashes, .hashes_count = 1 };
	struct lf_error err = { "" };

	if (shipper->sink && shipper->greeted)
		(void)lf_shipper_took(shipper,
		                      shipper->options.ops->read(shipper->sink, &query, answer, &answering,
		                                                 lf_shipper_timeout(shipper), &err),
		                      &err);
	if (!answering.found)
		lookup->done(lookup, NULL);
}

static void look_up_all(struct lf_shipper *shipper)
{
	struct lf_lookup *lookup = take_lookups(shipper), *next;

	for (; lookup; lookup = next) {
		next = lookup->next;
		look_up(shipper, lookup);
	}
}

/* ---- The loop ---- */

static void count_waiting(struct lf_shipper *shipper)
{
	uint64_t waiting = 0;
	struct lf_error err;

	if (!shipper->store ||
	    lf_store_count_changed(shipper->store, shipper->mark.sequence, &waiting, &err) < 0)
		return;
	(void)pthread_mutex_lock(&shipper->lock);
	shipper->status.waiting = waiting;
	shipper->status.since_success_ms =
		shipper->succeeded_ms ? lf_clock_ms() - shipper->succeeded_ms : -1;
	(void)pthread_mutex_unlock(&shipper->lock);
}

static void work(struct lf_shipper *shipper)
{
	int64_t now = lf_clock_ms();

	if (lf_breaker_allows(&shipper->breaker, now) && lf_shipper_prepare(shipper)) {
		bool fine = poll_tier(shipper, now);

		look_up_all(shipper);
		if (fine && shipper->watching)
			fine = lf_shipper_take_changes(shipper);
		fine = fine && flush(shipper, now);
		fine = fine && tend(shipper, now);
		if (fine && shipper->rest_ms <= now)
			shipper->store_said[0] = '\0';
	}
	tell_adopted(shipper);
	look_up_all(shipper);
	count_waiting(shipper);
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t latest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Without a change in the store, and with nothing left from before, nothing is due but the poll. */
static int time_to_wait(const struct lf_shipper *shipper, bool woken_early)
{
	int64_t now = lf_clock_ms(), until = shipper->next_poll_ms;

	if (!lf_breaker_allows(&shipper->breaker, now))
		until = shipper->breaker.retry_ms;
	else if (!shipper->greeted)
		until = earliest(until, now + GREET_RETRY_MS);
	else {
		if (shipper->more)
			until = now;
		if (woken_early || shipper->left)
			until = earliest(until, shipper->next_flush_ms);
		if (shipper->busy)
			until = earliest(until, shipper->next_tend_ms);
		if (shipper->renew_ms)
			until = earliest(until, latest(shipper->renew_ms, shipper->next_flush_ms));
		if (shipper->watching && shipper->options.ops->watch_fd(shipper->sink) < 0)
			until = earliest(until, now + CHANGES_INTERVAL_MS);
	}
	until = latest(until, shipper->rest_ms);
	return until > now ? (int)earliest(until - now, INT32_MAX) : 0;
}

/* Whether somebody woke us. */
static bool wait_for_work(struct lf_shipper *shipper, bool woken_early)
{
	struct pollfd fds[2] = { { shipper->wake_fd, POLLIN, 0 }, { -1, POLLIN, 0 } };
	uint64_t count;

	/* What the tier tells is not taken from there before the store can take it. */
	if (shipper->watching && lf_clock_ms() >= shipper->rest_ms)
		fds[1].fd = shipper->options.ops->watch_fd(shipper->sink);
	if (poll(fds, 2, time_to_wait(shipper, woken_early)) < 0)
		return false;
	return fds[0].revents && read(shipper->wake_fd, &count, sizeof(count)) == sizeof(count);
}

static bool has_time(const struct lf_shipper *shipper)
{
	return lf_clock_ms() < atomic_load(&shipper->deadline_ms);
}

/* The last changes, once; a tier that is down is not waited for. */
static void finish(struct lf_shipper *shipper)
{
	if (!lf_breaker_is_open(&shipper->breaker) && has_time(shipper) && lf_shipper_prepare(shipper)) {
		bool fine = (shipper->greeted || lf_shipper_greet(shipper)) && lf_shipper_flush_flags(shipper);

		do
			fine = fine && lf_shipper_flush(shipper);
		while (fine && shipper->more && has_time(shipper));
		while (fine && shipper->busy && has_time(shipper)) {
			shipper->next_tend_ms = 0;
			fine = tend(shipper, lf_clock_ms());
			if (shipper->busy)
				(void)poll(NULL, 0, 50);
		}
	}
	tell_adopted(shipper);
	look_up_all(shipper);
}

static void *run(void *arg)
{
	struct lf_shipper *shipper = arg;
	bool woken_early = true;

	while (!atomic_load(&shipper->stopping)) {
		int64_t flushed = shipper->next_flush_ms;

		work(shipper);
		/* A wake that came between two flushes is remembered until the next one. */
		if (flushed != shipper->next_flush_ms)
			woken_early = false;
		woken_early |= wait_for_work(shipper, woken_early);
	}
	finish(shipper);
	lf_shipper_close_sink(shipper);
	lf_store_close(shipper->store);
	return NULL;
}

/* ---- From other threads ---- */

void lf_shipper_wake(struct lf_shipper *shipper)
{
	uint64_t one = 1;

	/* It can only fail when it is about to be read anyway. */
	if (write(shipper->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}


void lf_shipper_find(struct lf_shipper *shipper, struct lf_lookup *lookup)
{
	bool down;

	(void)pthread_mutex_lock(&shipper->lock);
	down = !shipper->status.connected;
	if (!down) {
		lookup->next = shipper->lookups;
		shipper->lookups = lookup;
	}
	(void)pthread_mutex_unlock(&shipper->lock);
	if (down)
		lookup->done(lookup, NULL);
	else
		lf_shipper_wake(shipper);
}

void lf_shipper_status(struct lf_shipper *shipper, struct lf_tier_status *out)
{
	(void)pthread_mutex_lock(&shipper->lock);
	*out = shipper->status;
	(void)pthread_mutex_unlock(&shipper->lock);
}

void lf_shipper_ask_to_stop(struct lf_shipper *shipper, int64_t deadline_ms)
{
	if (!shipper)
		return;
	atomic_store(&shipper->deadline_ms, deadline_ms);
	atomic_store(&shipper->stopping, true);
	lf_shipper_wake(shipper);
}

static void release(struct lf_shipper *shipper)
{
	lf_config_forget_password(shipper->password);
	if (shipper->wake_fd >= 0)
		(void)close(shipper->wake_fd);
	lf_shipper_free_namespaces(&shipper->namespaces);
	lf_hot_fini(&shipper->hot);
	lf_batch_fini(&shipper->batch);
	(void)pthread_mutex_destroy(&shipper->lock);
	free(shipper);
}

void lf_shipper_join(struct lf_shipper *shipper)
{
	if (shipper && shipper->started)
		(void)pthread_join(shipper->thread, NULL);
}

void lf_shipper_free(struct lf_shipper *shipper)
{
	if (shipper)
		release(shipper);
}

/* ---- Starting ---- */

int lf_shipper_new(struct lf_shipper **out, const struct lf_shipper_options *options,
                   struct lf_error *err)
{
	struct lf_shipper *shipper = calloc(1, sizeof(*shipper));
	const struct lf_config *config = options->config;
	uint64_t seed = 0;
	int rc;

	if (!shipper)
		return lf_fail(err, -ENOMEM, "there is no memory for tier %s", options->name);
	shipper->options = *options;
	shipper->piece = (size_t)options->tier->batch_size;
	shipper->status = (struct lf_tier_status){ .name = options->name, .since_success_ms = -1,
		                                   .used_bytes = -1, .limit_bytes = -1 };
	(void)pthread_mutex_init(&shipper->lock, NULL);
	(void)getrandom(&seed, sizeof(seed), 0);
	lf_breaker_init(&shipper->breaker, (unsigned)config->breaker.failures,
	                config->breaker.backoff_min_ms, config->breaker.backoff_max_ms, seed);
	lf_flags_writer(shipper->writer);
	shipper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = shipper->wake_fd < 0 ? lf_fail(err, -errno, "there is no eventfd for tier %s", options->name) :
	                            lf_shipper_check_options(shipper, err);
	if (rc < 0)
		release(shipper);
	else
		*out = shipper;
	return rc;
}

int lf_shipper_start(struct lf_shipper *shipper, struct lf_error *err)
{
	sigset_t all, before;
	int rc;

	/* Signals are for the main thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&shipper->thread, NULL, run, shipper);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	shipper->started = rc == 0;
	if (rc < 0) {
		(void)lf_fail(err, rc, "the thread of tier %s cannot be started: %s", shipper->options.name,
		              strerror(-rc));
		(void)snprintf(shipper->status.trouble, sizeof(shipper->status.trouble), "%s", err->text);
	}
	return rc;
}
