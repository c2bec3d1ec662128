/* logfold run: a command, and the agent that counts what it prints. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/guest.h"
#include "agent/cli/living.h"
#include "agent/cli/output.h"
#include "agent/cli/place.h"
#include "agent/cli/preload.h"
#include "agent/cli/spawn.h"
#include "agent/cli/summary.h"
#include "agent/core/agent.h"
#include "agent/core/announce.h"
#include "hashing/clock.h"

struct run {
	const struct lf_options *options;
	struct lf_guest guest;  /* of a daemon, or else … */
	struct lf_agent *agent; /* … its own */
	struct lf_signals signals;
	int summary_fd; /* stderr, or the file of --summary-file */
	int64_t started_ms;
};

/* A store that cannot be used is not the command's problem: what it prints is counted all the same,
 * and waits in the run directory for an agent that can. */
static int open_agent(struct run *run, struct lf_error *err)
{
	struct lf_place place = { 0 };
	struct lf_agent_options options = { .place = LF_AGENT_OWN_DIRECTORY,
		                            .reporter = lf_complainer,
		                            .announce_interval_s = LF_ANNOUNCE_INTERVAL_S };
	bool store_failed = false;
	int rc = lf_place_find(&place, run->options, err);

	if (rc == 0) {
		options.store_path = place.store;
		options.base_dir = lf_place_base(&place);
		if (run->options->fold_ms)
			options.defaults.rule = lf_rule_make(LF_RULE_FOLD, 0, run->options->fold_ms);
		rc = lf_agent_open(&run->agent, &options, &store_failed, err);
	}
	if (rc == 0 || !store_failed)
		return rc;
	options.observe = true;
	lf_complain("%s", err->text);
	rc = lf_agent_open(&run->agent, &options, NULL, err);
	if (rc == 0)
		lf_complain("the command runs all the same; its counts wait in %s",
			    lf_agent_run_dir(run->agent));
	return rc;
}

static bool is_guest(const struct run *run)
{
	return run->guest.dirfd >= 0;
}

static const char *run_dir_of(const struct run *run)
{
	return is_guest(run) ? run->guest.run_dir : lf_agent_run_dir(run->agent);
}

/* Now, so that a mistake is told before the command and not after hours. */
static void open_summary(struct run *run)
{
	const char *file = run->options->summary_file;
	int fd;

	run->summary_fd = STDERR_FILENO;
	if (!file || run->options->summary == LF_SUMMARY_NONE)
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		lf_complain("the summary file '%s' cannot be written: %s; the summary goes to stderr",
			    file, strerror(errno));
	else
		run->summary_fd = fd;
}

static int start(struct run *run, const char *library, struct lf_child *child, int *not_run,
                 struct lf_error *err)
{
	char streams[LF_STREAMS_MAX];
	char *preload = lf_preload_append(getenv("LD_PRELOAD"), library);
	const struct lf_variable variables[] = {
		{ "LD_PRELOAD", preload },
		{ "LOGFOLD_RUN_DIR", run_dir_of(run) },
		{ "LOGFOLD_RUN_ID", is_guest(run) ? run->guest.id : NULL },
		{ "LOGFOLD_STREAMS", streams },
		{ "LOGFOLD_NAMESPACE", run->options->namespace },
		{ 0 },
	};
	const struct lf_spawn how = { .argv = run->options->words,
		                      .variables = variables,
		                      .signals = &run->signals };
	int rc;

	if (!preload)
		return lf_fail(err, -ENOMEM, "out of memory");
	lf_spawn_streams(streams);
	run->started_ms = lf_clock_ms();
	rc = lf_spawn(&child->pid, &how, not_run, err);
	free(preload);
	return rc;
}

/* SIGCHLD makes the fd readable, and so does every other signal.  An agent that cannot go on must
 * not become a busy loop beside the command. */
static void serve_until_signal(struct run *run)
{
	struct pollfd signal = { .fd = run->signals.fd, .events = POLLIN };
	int rc;

	if (is_guest(run)) {
		(void)poll(&signal, 1, -1);
		return;
	}
	rc = lf_agent_serve(run->agent, run->signals.fd, -1);
	if (rc < 0 && rc != -EINTR)
		(void)poll(&signal, 1, LF_DRAIN_INTERVAL_MS);
}

/* Serves until the command has ended; its status. */
static int accompany(struct run *run, struct lf_child *child)
{
	bool continued = false;
	int status;

	while (!lf_child_ended(child, continued, &status)) {
		serve_until_signal(run);
		continued = lf_signals_forward(&run->signals, child->pid);
	}
	return status;
}

/* `store` has only what the daemon reported; NULL: the agent's own. */
static void summarise(struct run *run, struct lf_store *store, unsigned living, uint64_t elapsed_ms)
{
	struct lf_summary_wish wish = {
		.kind = run->options->summary,
		.fd = run->summary_fd,
		.out = lf_output_open(run->summary_fd),
		.store_argument = run->options->store,
		.agent_argument = store ? run->guest.run_dir : NULL,
		.only_run = store != NULL,
		.elapsed_ms = elapsed_ms,
		.living = living,
	};
	struct lf_error err;

	if (!wish.out) {
		lf_complain("out of memory for the summary");
		return;
	}
	if (lf_summary_print(store ? store : lf_agent_store(run->agent), &wish, &err) < 0)
		lf_complain("%s", err.text);
	(void)fclose(wish.out);
}

static int status_of_exec(int error)
{
	return error == ENOENT ? LF_EXIT_NOT_FOUND : LF_EXIT_NOT_EXECUTABLE;
}

/* The last resort, when we cannot do our part: the command runs as if we were not there. */
static int step_aside(struct run *run, const char *why)
{
	int error;

	lf_complain("%s; the command runs uncounted", why);
	error = lf_spawn_in_place(run->options->words, &run->signals);
	lf_complain("'%s' cannot be run: %s", run->options->words[0], strerror(error));
	return status_of_exec(error);
}

/* The run directory of an agent that counted nothing is gone with it. */
static void close_all(struct run *run)
{
	lf_agent_close(run->agent);
	lf_guest_leave(&run->guest);
	if (run->summary_fd > STDERR_FILENO)
		(void)close(run->summary_fd);
}

static void end_own(struct run *run, uint64_t elapsed_ms)
{
	(void)lf_agent_drain(run->agent);
	/* All is counted: from here on a person may interrupt us. */
	lf_signals_release(&run->signals);
	lf_agent_find_sources(run->agent);
	summarise(run, NULL, lf_living_count(lf_agent_run_dir(run->agent)), elapsed_ms);
}

static void end_guest(struct run *run, uint64_t elapsed_ms)
{
	struct lf_store *store = NULL;
	unsigned living = 0;
	struct lf_error err;

	/* Whatever becomes of us, the daemon counts. */
	lf_signals_release(&run->signals);
	if (lf_guest_report(&run->guest, &store, &living, &err) < 0)
		lf_announce("%s", err.text);
	else
		summarise(run, store, living, elapsed_ms);
	lf_store_close(store);
}

/* The command has been started: until its end, and what is to be told then. */
static int finish(struct run *run, struct lf_child *child)
{
	int status = accompany(run, child);
	uint64_t elapsed_ms = (uint64_t)(lf_clock_ms() - run->started_ms);

	if (is_guest(run))
		end_guest(run, elapsed_ms);
	else
		end_own(run, elapsed_ms);
	close_all(run);
	return status;
}

static int run_counted(struct run *run, const char *library)
{
	struct lf_child child = { 0 };
	struct lf_error err;
	int rc, not_run = 0;
	/* What is to hold for this run alone needs a directory of its own. */
	bool own = run->options->fold_ms || !lf_guest_enter(&run->guest, run->options);

	if (own && open_agent(run, &err) < 0)
		return step_aside(run, err.text);
	open_summary(run);
	rc = lf_signals_take(&run->signals, &err);
	if (rc == 0) {
		rc = start(run, library, &child, &not_run, &err);
		if (rc == 0)
			return finish(run, &child);
		lf_signals_release(&run->signals);
	}
	close_all(run);
	if (!not_run)
		return step_aside(run, err.text);
	lf_complain("%s", err.text);
	return status_of_exec(not_run);
}

int lf_cmd_run(const struct lf_options *options)
{
	struct run run = { .options = options, .guest.dirfd = -1, .summary_fd = STDERR_FILENO };
	char library[PATH_MAX];
	struct lf_error err;

	lf_signals_outlive_pipes(&run.signals);
	if (lf_preload_find(library, &err) < 0) {
		lf_complain("%s", err.text);
		return LF_EXIT_RUN_FAILED;
	}
	return run_counted(&run, library);
}
