#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/adopt.h"
#include "agent/core/agent_internal.h"
#include "agent/core/announce.h"
#include "agent/core/control.h"
#include "agent/core/drain.h"
#include "agent/core/publish.h"
#include "agent/core/stamp.h"
#include "agent/map/verdict.h"
#include "hashing/clock.h"

enum {
	LOCK_TRIES = 20, /* another agent may be adopting the directory just now */
	LOCK_PAUSE_MS = 100,
	ADOPT_INTERVAL_MS = 30000, /* of an agent that stays */
	/* How long the store may hold up signals and the control socket; what fails is tried again. */
	DRAIN_PATIENCE_MS = 50,
	BUSY_IS_NEWS_MS = 5000,
	SOURCES_MS = 500, /* of the end of a run, for lines of source that are not known by then */
};

/* What goes wrong at every interval is told when it begins. */
void lf_agent_tell_once(struct lf_agent *agent, struct lf_error *last, const char *sentence)
{
	if (strcmp(last->text, sentence) == 0)
		return;
	lf_say(&agent->reporter, "%s", sentence);
	(void)lf_fail(last, 0, "%s", sentence);
}

const char *lf_agent_run_dir(const struct lf_agent *agent)
{
	return lf_rundir_path(agent->dir);
}

const char *lf_agent_store_path(const struct lf_agent *agent)
{
	return agent->claim.store;
}

struct lf_store *lf_agent_store(struct lf_agent *agent)
{
	return agent->store;
}

void lf_agent_tell_changed(const struct lf_agent *agent)
{
	if (agent->changed)
		agent->changed(agent->changed_arg);
}

/* ---- The store, when its file is replaced ---- */

/* Keeps this run's tally and lets go of the file. */
static int lose_store(struct lf_agent *agent, struct lf_error *err)
{
	struct lf_store *keep;
	int rc = lf_store_open(&keep, LF_STORE_MEMORY, LF_STORE_WRITE, err);

	if (rc == 0)
		rc = lf_store_carry_tally(keep, agent->store, err);
	if (rc < 0)
		return rc;
	lf_sources_forget(agent->sources);
	lf_store_abandon(agent->store);
	agent->store = keep;
	agent->store_lost = true;
	return 0;
}

static int find_store(struct lf_agent *agent, struct lf_error *err)
{
	struct lf_store *store;
	int rc = lf_store_open(&store, agent->claim.store, LF_STORE_WRITE, err);

	if (rc < 0)
		return rc;
	rc = lf_store_carry_tally(store, agent->store, err);
	if (rc == 0)
		rc = lf_drain_rebase(agent->drain, store, err);
	if (rc < 0) {
		lf_store_close(store);
		return rc;
	}
	lf_store_close(agent->store);
	agent->store = store;
	agent->store_lost = false;
	lf_store_set_patience(store, agent->patience_ms);
	lf_agent_publish_store(agent);
	return 0;
}

static int check_store(struct lf_agent *agent, struct lf_error *err)
{
	int rc = 0;

	if (agent->observe)
		return 0;
	if (!agent->store_lost &&
	    lf_store_still_there(agent->store, lf_drain_sequence(agent->drain)) == -ESTALE)
		rc = lose_store(agent, err);
	if (rc == 0 && agent->store_lost)
		rc = find_store(agent, err);
	return rc;
}

void lf_agent_set_patience(struct lf_agent *agent, int ms)
{
	agent->patience_ms = ms;
	lf_store_set_patience(agent->store, ms);
}

int lf_agent_drain_now(struct lf_agent *agent, struct lf_error *err)
{
	uint64_t before = lf_drain_sequence(agent->drain);
	int rc = check_store(agent, err);

	if (rc == 0)
		rc = lf_drain_run(agent->drain, agent->store, err);
	lf_announcer_end_folds(agent->announcer);
	if (lf_drain_sequence(agent->drain) != before)
		lf_agent_tell_changed(agent);
	return rc;
}

/* Another program that writes just now is no news, one that holds the store is. */
static void drain_at_interval(struct lf_agent *agent)
{
	int64_t now = lf_clock_ms();
	struct lf_error err;
	int rc = lf_agent_drain_now(agent, &err);

	if (rc != -EBUSY)
		agent->busy_since_ms = 0;
	else if (!agent->busy_since_ms)
		agent->busy_since_ms = now;
	if (rc == 0)
		agent->last_trouble.text[0] = '\0';
	else if (rc != -EBUSY || now - agent->busy_since_ms >= BUSY_IS_NEWS_MS)
		lf_agent_tell_once(agent, &agent->last_trouble, err.text);
}

void lf_agent_find_sources(struct lf_agent *agent)
{
	if (lf_sources_finish(agent->sources, agent->store, SOURCES_MS))
		lf_agent_tell_changed(agent);
}

int lf_agent_drain(struct lf_agent *agent)
{
	struct lf_error err;
	int rc;

	lf_agent_set_patience(agent, LF_STORE_PATIENCE_MS);
	rc = lf_agent_drain_now(agent, &err);
	if (rc < 0)
		lf_agent_tell_once(agent, &agent->last_trouble, err.text);
	else
		agent->last_trouble.text[0] = '\0';
	return rc;
}

/* ---- Opening ---- */

bool lf_agent_accepts(void *arg, uid_t uid, const char *namespace)
{
	const struct lf_agent *agent = arg;

	return !agent->accepts || agent->accepts(agent->accepts_arg, uid, namespace);
}

void lf_agent_accept_anew(struct lf_agent *agent, void *accepts_arg)
{
	agent->accepts_arg = accepts_arg;
	lf_drain_accept_anew(agent->drain);
}

static int open_drain(struct lf_rundir *dir, void *arg, struct lf_error *err)
{
	struct lf_agent *agent = arg;
	struct lf_drain_options options = {
		.reporter = agent->reporter,
		.accepts = lf_agent_accepts,
		.accepts_arg = agent,
		.tally = agent->place == LF_AGENT_OWN_DIRECTORY,
		.runs = agent->runs,
		.announcer = agent->announcer,
		.observe_for = agent->observe ? agent->claim.store : NULL,
	};

	return lf_drain_open(&agent->drain, dir, agent->store, &options, err);
}

static int open_base(struct lf_agent *agent, struct lf_error *err)
{
	static const struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000L };
	int rc = lf_rundir_open(&agent->dir, agent->claim.base, LF_RUNDIR_CREATE, err);

	if (rc < 0)
		return rc;
	rc = lf_rundir_lock(agent->dir, err);
	for (int tries = 0; rc == -EBUSY && tries < LOCK_TRIES; tries++) {
		(void)nanosleep(&pause, NULL);
		rc = lf_rundir_lock(agent->dir, err);
	}
	if (rc == 0)
		rc = lf_rundir_share(agent->dir, agent->all_users, err);
	return rc < 0 ? rc : open_drain(agent->dir, agent, err);
}

static int open_directory(struct lf_agent *agent, struct lf_error *err)
{
	if (agent->place == LF_AGENT_BASE_DIRECTORY)
		return open_base(agent, err);
	return lf_rundir_create_own(&agent->dir, agent->claim.base, open_drain, agent, err);
}

static int open_store(struct lf_agent *agent, bool *failed, struct lf_error *err)
{
	int rc = lf_store_open(&agent->store, agent->observe ? LF_STORE_MEMORY : agent->claim.store,
	                       LF_STORE_WRITE, err);

	if (failed)
		*failed = rc < 0;
	return rc;
}

static void open_control(struct lf_agent *agent)
{
	struct lf_error err;

	if (lf_control_listen(&agent->control, lf_rundir_fd(agent->dir), agent->all_users,
	                      lf_agent_answer, agent, &err) < 0)
		lf_say(&agent->reporter, "in run directory '%s', %s", lf_rundir_path(agent->dir), err.text);
}

/* Releases without the last drain: for what was not opened to the end. */
static void release(struct lf_agent *agent)
{
	lf_control_close(agent->control);
	lf_sources_free(agent->sources);
	lf_drain_close(agent->drain);
	lf_announcer_free(agent->announcer);
	lf_rundir_close(agent->dir);
	lf_store_close(agent->store);
	lf_runs_free(agent->runs);
	free(agent);
}

/* An incomplete installation is to be told by the daemon, not by each run. */
static const struct lf_reporter *of_the_daemon(const struct lf_agent *agent)
{
	static const struct lf_reporter nobody;

	return agent->place == LF_AGENT_BASE_DIRECTORY ? &agent->reporter : &nobody;
}

int lf_agent_open(struct lf_agent **out, const struct lf_agent_options *options,
                  bool *store_failed, struct lf_error *err)
{
	struct lf_agent *agent = calloc(1, sizeof(*agent));
	int rc;

	if (store_failed)
		*store_failed = false;
	if (!agent)
		return lf_fail(err, -ENOMEM, "there is no memory for the agent");
	agent->reporter = options->reporter;
	agent->place = options->place;
	agent->observe = options->observe;
	agent->all_users = options->all_users;
	agent->accepts = options->accepts;
	agent->accepts_arg = options->accepts_arg;
	agent->request = options->request;
	agent->request_arg = options->request_arg;
	agent->changed = options->changed;
	agent->changed_arg = options->changed_arg;
	rc = lf_claim_init(&agent->claim, options->store_path, options->base_dir, err);
	if (rc == 0)
		rc = lf_sources_new(&agent->sources, of_the_daemon(agent), err);
	if (rc == 0)
		rc = lf_agent_begin_announcing(agent, options->announce_interval_s, err);
	if (rc == 0 && agent->place == LF_AGENT_BASE_DIRECTORY)
		rc = lf_runs_new(&agent->runs, err);
	if (rc == 0)
		rc = open_store(agent, store_failed, err);
	if (rc == 0)
		rc = open_directory(agent, err);
	if (rc < 0) {
		release(agent);
		return rc;
	}
	lf_agent_configure(agent, options->interval_ms, &options->defaults);
	lf_agent_publish(agent);
	open_control(agent);
	*out = agent;
	return 0;
}

/* ---- Working ---- */

static void adopt(struct lf_agent *agent, int64_t now)
{
	if (agent->observe || agent->store_lost || now < agent->next_adopt_ms)
		return;
	lf_adopt_all(&agent->claim, agent->store, &agent->reporter);
	agent->next_adopt_ms = agent->place == LF_AGENT_BASE_DIRECTORY ? now + ADOPT_INTERVAL_MS :
	                                                                 INT64_MAX;
}

static void forget_lost_runs(struct lf_agent *agent)
{
	const struct lf_runs_place place = { agent->runs, agent->store, agent->drain };
	struct lf_error err;

	if (lf_runs_forget_lost(&place, &err) < 0)
		lf_agent_tell_once(agent, &agent->last_trouble, err.text);
}

static void look(struct lf_agent *agent, int64_t now)
{
	if (now < agent->next_drain_ms)
		return;
	lf_agent_set_patience(agent, LF_ANSWER_PATIENCE_MS);
	adopt(agent, now);
	lf_agent_set_patience(agent, DRAIN_PATIENCE_MS);
	drain_at_interval(agent);
	lf_agent_announce(agent);
	lf_sources_look(agent->sources, agent->store);
	if (agent->runs)
		forget_lost_runs(agent);
	if (lf_store_changed_elsewhere(agent->store)) {
		lf_agent_publish_store(agent);
		lf_agent_tell_changed(agent);
	}
	agent->next_drain_ms = lf_clock_ms() + agent->interval_ms;
}

static int time_left(const struct lf_agent *agent, int64_t now, int64_t end)
{
	int64_t until = agent->next_drain_ms < end ? agent->next_drain_ms : end;

	if (lf_sources_deadline_ms(agent->sources) < until)
		until = lf_sources_deadline_ms(agent->sources);
	return until > now ? (int)(until - now) : 0;
}

/* An answer came, or will never come. */
static void go_on_with_sources(struct lf_agent *agent)
{
	lf_agent_set_patience(agent, DRAIN_PATIENCE_MS);
	if (lf_sources_go_on(agent->sources, agent->store))
		lf_agent_tell_changed(agent);
}

int lf_agent_serve(struct lf_agent *agent, int fd, int timeout_ms)
{
	struct pollfd fds[3 + LF_CONTROL_CLIENTS];
	int64_t now = lf_clock_ms();
	int64_t end = timeout_ms < 0 ? INT64_MAX : now + timeout_ms;

	for (;;) {
		size_t count = 0;

		look(agent, now);
		now = lf_clock_ms();
		fds[0] = (struct pollfd){ fd, POLLIN, 0 };
		fds[1] = (struct pollfd){ lf_sources_fd(agent->sources), POLLIN, 0 };
		if (agent->control)
			count = lf_control_fds(agent->control, fds + 2);
		if (poll(fds, 2 + count, time_left(agent, now, end)) < 0)
			return -errno;
		if (agent->control)
			lf_control_handle(agent->control, fds + 2, count);
		go_on_with_sources(agent);
		if (fds[0].revents)
			return 1;
		now = lf_clock_ms();
		if (now >= end)
			return 0;
	}
}

void lf_agent_configure(struct lf_agent *agent, unsigned interval_ms,
                        const struct lf_flags_defaults *defaults)
{
	struct lf_flags_defaults given = *defaults;
	struct lf_error err;

	agent->interval_ms = interval_ms ? (int)interval_ms : LF_DRAIN_INTERVAL_MS;
	/* Between the end of a fold's period and the time from which on a process leaves it to us, we look. */
	given.fold_grace_ms = (uint32_t)agent->interval_ms + LF_FOLD_GRACE_MS / 2;
	if (given.fold_grace_ms < LF_FOLD_GRACE_MS)
		given.fold_grace_ms = LF_FOLD_GRACE_MS;
	(void)snprintf(agent->namespace, sizeof(agent->namespace), "%s",
	               defaults->namespace ? defaults->namespace : LF_NAMESPACE_DEFAULT);
	if (lf_publish_defaults(agent->dir, &given, &err) < 0)
		lf_agent_tell_once(agent, &agent->last_flags_trouble, err.text);
}

void lf_agent_tally(const struct lf_agent *agent, struct lf_agent_tally *out)
{
	const struct lf_drain_tally *tally = lf_drain_tally(agent->drain);

	*out = (struct lf_agent_tally){ tally->calls, tally->first_sights, tally->overflow,
		                        lf_drain_segments(agent->drain) };
}

const char *lf_agent_trouble(const struct lf_agent *agent)
{
	return agent->last_trouble.text;
}

/* ---- Closing ---- */

static void leave(struct lf_agent *agent)
{
	if (!lf_rundir_is_empty(agent->dir))
		return;
	if (lf_rundir_is_own(agent->dir))
		(void)lf_rundir_remove(agent->dir);
	else if (!agent->observe)
		lf_stamp_remove(lf_rundir_fd(agent->dir));
}

void lf_agent_close(struct lf_agent *agent)
{
	if (!agent)
		return;
	(void)lf_agent_drain(agent);
	if (agent->place == LF_AGENT_BASE_DIRECTORY)
		lf_announcer_end(agent->announcer);
	lf_control_close(agent->control);
	agent->control = NULL;
	leave(agent);
	release(agent);
}
