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
#include "agent/store/clock.h"

enum {
	TEND_INTERVAL_MS = 500,    /* while there is something to tend */
	CHANGES_INTERVAL_MS = 300, /* of a tier that tells of changes, but only when it is asked */
	GREET_RETRY_MS = 1000,
	STATE_TIMEOUT_MS = 1000,
};

/* ---- The store and the sink ---- */

static void close_sink(struct lf_shipper *shipper)
{
	shipper->options.ops->close(shipper->sink);
	shipper->sink = NULL;
	shipper->greeted = shipper->watching = false;
}

/* What the thread knows of the store's numbers is no longer true. */
static void forget_store(struct lf_shipper *shipper)
{
	close_sink(shipper);
	shipper->mark = (struct lf_tier_mark){ .sequence = 0 };
	lf_hot_fini(&shipper->hot);
}

/* A store that was set back must not be counted on before the tier is asked what it was told. */
static int open_store(struct lf_shipper *shipper, struct lf_error *err)
{
	int rc = 0;

	if (shipper->store &&
	    lf_store_still_there(shipper->store, shipper->at.drain_sequence) == -ESTALE) {
		lf_store_abandon(shipper->store);
		shipper->store = NULL;
		forget_store(shipper);
	}
	if (!shipper->store)
		rc = lf_store_open(&shipper->store, shipper->options.store_path, LF_STORE_WRITE, err);
	return rc < 0 ? rc : lf_store_incarnation(shipper->store, &shipper->at, err);
}

bool lf_shipper_look_at_store(struct lf_shipper *shipper)
{
	struct lf_incarnation at;
	struct lf_error err = { "" };

	if (lf_store_incarnation(shipper->store, &at, &err) < 0) {
		lf_shipper_trouble(shipper, err.text);
		return false;
	}
	if (strcmp(at.uuid, shipper->at.uuid) != 0) {
		shipper->next_poll_ms = 0;
		return false;
	}
	shipper->at.drain_sequence = at.drain_sequence;
	return true;
}

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int open_sink(struct lf_shipper *shipper, struct lf_error *err)
{
	const struct lf_tier_config *tier = shipper->options.tier;
	char host[sizeof(shipper->writer)];
	struct lf_sink_options options = {
		.uri = tier->uri,
		.password = shipper->password,
		.database = given(tier->database),
		.tls_ca_file = given(tier->tls_ca_file),
		.tls_certificate_file = given(tier->tls_certificate_file),
		.tls_key_file = given(tier->tls_key_file),
		.connect_timeout_ms = (int)tier->connect_timeout_ms,
		.ttl_s = (int)tier->ttl_s,
		.host = host,
		.incarnation = shipper->at.uuid,
		.namespace = shipper->options.config->agent.namespace,
	};

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(shipper->writer, ":"), shipper->writer);
	return shipper->options.ops->open(&shipper->sink, &options, err);
}

/* ---- Namespaces ---- */

static void free_namespaces(struct lf_namespaces *namespaces)
{
	for (size_t i = 0; i < namespaces->count; i++)
		free(namespaces->name[i]);
	free(namespaces->name);
	*namespaces = (struct lf_namespaces){ NULL, 0 };
}

static int add_namespace(void *arg, const char *name)
{
	struct lf_namespaces *namespaces = arg;
	char **larger;

	for (size_t i = 0; i < namespaces->count; i++)
		if (strcmp(namespaces->name[i], name) == 0)
			return 0;
	larger = reallocarray(namespaces->name, namespaces->count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	namespaces->name = larger;
	larger[namespaces->count] = strdup(name);
	if (!larger[namespaces->count])
		return -ENOMEM;
	namespaces->count++;
	return 0;
}

/* A namespace that is new is watched and read from now on. */
static int look_for_namespaces(struct lf_shipper *shipper, struct lf_error *err)
{
	struct lf_namespaces now = { NULL, 0 };
	int rc = add_namespace(&now, shipper->options.config->agent.namespace);

	if (rc == 0)
		rc = lf_store_each_namespace(shipper->store, add_namespace, &now, err);
	if (rc < 0) {
		free_namespaces(&now);
		return rc == -ENOMEM ? lf_fail(err, rc, "there is no memory for the namespaces") : rc;
	}
	if (now.count != shipper->namespaces.count) {
		shipper->watching = false;
		shipper->next_poll_ms = 0;
	}
	free_namespaces(&shipper->namespaces);
	shipper->namespaces = now;
	return 0;
}

/* ---- Greeting ---- */

static int64_t clock_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool ask(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };
	int64_t began = clock_us();
	bool done = lf_shipper_took(shipper,
	                            shipper->options.ops->hello(shipper->sink, &shipper->hello,
	                                                        lf_shipper_timeout(shipper), &err),
	                            &err);

	/* The first one connects, and makes what is missing: that is no small round trip. */
	if (!done || !shipper->greeted)
		return done;
	(void)pthread_mutex_lock(&shipper->lock);
	lf_vitals_probe(&shipper->status.vitals, clock_us() - began);
	(void)pthread_mutex_unlock(&shipper->lock);
	return true;
}

/* More was sent under this incarnation than the store holds: the store was set back. */
static bool begin_anew(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };

	lf_say(&shipper->options.reporter,
	       "%s: store '%s' was set back: %s had been told its state %llu, it is at %llu; a new "
	       "incarnation begins, so that nothing is counted twice", shipper->options.name,
	       shipper->options.store_path, shipper->options.name,
	       (unsigned long long)shipper->hello.sequence,
	       (unsigned long long)shipper->at.drain_sequence);
	if (lf_store_mint(shipper->store, "a tier had been told more than the store holds", &err) < 0)
		lf_shipper_trouble(shipper, err.text);
	close_sink(shipper);
	return false;
}

/* Another epoch than at the last flush: the tier knows nothing of us.  The same, but less than it was told:
 * somebody brought an older state of it back, or what took over for it had not heard all. */
static bool compare_epochs(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };

	if (!shipper->mark.epoch[0] &&
	    lf_store_get_tier(shipper->store, shipper->options.name, &shipper->mark, &err) < 0) {
		lf_shipper_trouble(shipper, err.text);
		return false;
	}
	if (strcmp(shipper->mark.epoch, shipper->hello.epoch) == 0 &&
	    shipper->hello.sequence >= shipper->mark.sequence) {
		/* What was sent behind the mark may be missing there. */
		shipper->cursor = (struct lf_store_mark){ shipper->mark.sequence, INT64_MAX };
		shipper->flags = shipper->cursor;
	} else {
		if (shipper->mark.sequence > 0)
			lf_say(&shipper->options.reporter,
			       "%s: it was emptied or set back, or is another server than before: it is "
			       "told all again", shipper->options.name);
		lf_shipper_forget_all(shipper);
	}
	shipper->told = shipper->hello.sequence;
	return true;
}

static bool greet(struct lf_shipper *shipper)
{
	char epoch[sizeof(shipper->hello.epoch)];

	memcpy(epoch, shipper->hello.epoch, sizeof(epoch));
	if (!ask(shipper))
		return false;
	/* Another agent of the store may have sent since we looked. */
	if (shipper->hello.sequence > shipper->at.drain_sequence && !lf_shipper_look_at_store(shipper))
		return false;
	if (shipper->hello.sequence > shipper->at.drain_sequence)
		return begin_anew(shipper);
	if ((!shipper->greeted || strcmp(epoch, shipper->hello.epoch) != 0 ||
	     shipper->hello.sequence < shipper->told) && !compare_epochs(shipper))
		return false;
	shipper->greeted = true;
	/* Another agent, or an earlier life of this one, may have died at its sums. */
	shipper->busy |= shipper->options.ops->tend != NULL;
	return true;
}

static bool may_watch(const struct lf_shipper *shipper)
{
	return shipper->options.ops->watch && shipper->hello.notifies;
}

static bool watch(struct lf_shipper *shipper)
{
	const struct lf_sink_ops *ops = shipper->options.ops;
	struct lf_error err = { "" };

	if (!may_watch(shipper) || shipper->watching)
		return true;
	shipper->watching = lf_shipper_took(
		shipper,
		ops->watch(shipper->sink, (const char *const *)shipper->namespaces.name,
	                   shipper->namespaces.count, lf_shipper_timeout(shipper), &err),
		&err);
	return shipper->watching;
}

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
	bool first = !shipper->greeted || (may_watch(shipper) && !shipper->watching);

	if (!first && now < shipper->next_poll_ms)
		return true;
	if (!greet(shipper) || !watch(shipper) || !lf_shipper_read_flags(shipper, first))
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

static bool flush(struct lf_shipper *shipper, int64_t now)
{
	/* What was just adopted counts, too. */
	if (!lf_shipper_look_at_store(shipper) || !lf_shipper_flush_flags(shipper))
		return false;
	if (now < shipper->next_flush_ms && !shipper->more)
		return true;
	shipper->next_flush_ms = now + shipper->options.config->agent.flush_interval_ms;
	return lf_shipper_flush(shipper);
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

static bool prepare(struct lf_shipper *shipper)
{
	char uuid[LF_UUID_CHARS + 1];
	struct lf_error err = { "" };
	int rc;

	memcpy(uuid, shipper->at.uuid, sizeof(uuid));
	rc = open_store(shipper, &err);
	/* A sink speaks for one incarnation, and so does a mark. */
	if (rc == 0 && strcmp(uuid, shipper->at.uuid) != 0)
		forget_store(shipper);
	if (rc == 0)
		rc = look_for_namespaces(shipper, &err);
	if (rc == 0 && !shipper->sink)
		rc = open_sink(shipper, &err);
	if (rc < 0)
		lf_shipper_trouble(shipper, err.text);
	return rc == 0;
}

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

	if (lf_breaker_allows(&shipper->breaker, now) && prepare(shipper)) {
		bool fine = poll_tier(shipper, now);

		look_up_all(shipper);
		if (fine && shipper->watching)
			fine = lf_shipper_take_changes(shipper);
		fine = fine && flush(shipper, now);
		fine = fine && tend(shipper, now);
		if (fine && shipper->rest_ms <= now)
			shipper->store_said[0] = '\0';
	}
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

/* Without a change in the store nothing is due but the poll. */
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
		if (woken_early)
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
	if (!lf_breaker_is_open(&shipper->breaker) && has_time(shipper) && prepare(shipper)) {
		bool fine = (shipper->greeted || greet(shipper)) && lf_shipper_flush_flags(shipper);

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
	close_sink(shipper);
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
	free_namespaces(&shipper->namespaces);
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

/* So that a wrong option is told now, and not by the thread. */
static int check_options(struct lf_shipper *shipper, struct lf_error *err)
{
	const char *file = given(shipper->options.tier->password_file);
	int rc = file ? lf_config_password(file, &shipper->password, err) : 0;

	if (rc == 0)
		rc = open_sink(shipper, err);
	if (rc == 0)
		close_sink(shipper);
	return rc;
}

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
	                            check_options(shipper, err);
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
