#include "agent/core/daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/core/agent.h"
#include "agent/core/allowed.h"
#include "agent/core/cache_json.h"
#include "agent/core/health.h"
#include "agent/core/lookup.h"
#include "agent/core/notify.h"
#include "hashing/clock.h"

/* What the tiers lack then is sent under the new configuration; until they have stopped nobody is drained or
 * answered. */
enum { RELOAD_TIMEOUT_MS = 1000 };

struct daemon {
	struct lf_config *config;
	const char *file;
	struct lf_reporter reporter;
	struct lf_allowed *allowed;
	struct lf_agent *agent;
	struct lf_tiers *tiers;
	struct lf_lookups *lookups;
	struct lf_cached *cached;
	struct lf_desk *desk;
	const struct lf_server_ops *server_ops;
	struct lf_server *server; /* NULL: there is none, or it could not be opened */
	int signal_fd; /* signalfd */
	int wake_fd;   /* eventfd: a tier's thread has something for us */
	int events_fd; /* epoll: readable when one of the two is */
	_Atomic bool adopted;
	int64_t began_ms;
};

/* ---- From the tiers' threads ---- */

static void wake(void *arg)
{
	struct daemon *daemon = arg;
	uint64_t one = 1;

	/* It can only fail when it is about to be read anyway. */
	if (write(daemon->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

static void note_adopted(void *arg)
{
	struct daemon *daemon = arg;

	atomic_store(&daemon->adopted, true);
	wake(daemon);
}

/* ---- Requests ---- */

static void found(void *arg, struct lf_control_ticket ticket, struct lf_text entry, const char *source)
{
	struct daemon *daemon = arg;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = entry.len ? open_memstream(&text, &bytes) : NULL;

	if (out) {
		(void)fwrite(entry.data, 1, entry.len, out);
		(void)fprintf(out, "%s\n", source);
		(void)fclose(out);
		(void)lf_agent_reply(daemon->agent, ticket, LF_CONTROL_DATA, text, bytes);
	} else {
		(void)lf_agent_reply(daemon->agent, ticket, LF_CONTROL_OK, "", 0);
	}
	free(text);
}

static void write_answer(void *arg, enum lf_question question, const struct lf_cached_state *state, FILE *out)
{
	struct daemon *daemon = arg;

	if (question == LF_ASKED_HEALTH) {
		lf_health_write(out, daemon->config, daemon->agent, daemon->tiers, state,
		                lf_clock_ms() - daemon->began_ms);
		return;
	}
	lf_cache_stats_write(out, &state->stats);
	(void)fputc('\n', out);
}

static void send_answer(void *arg, struct lf_control_ticket ticket, const char *text, size_t bytes)
{
	struct daemon *daemon = arg;

	(void)lf_agent_reply(daemon->agent, ticket, LF_CONTROL_DATA, text, bytes);
}

static int ask_desk(struct daemon *daemon, enum lf_question question, const struct lf_control_request *request,
                    struct lf_error *err)
{
	int rc = lf_desk_ask_for(daemon->desk, daemon->cached, question, request->ticket, err);

	return rc < 0 ? rc : LF_CONTROL_LATER;
}

static int find(struct daemon *daemon, const struct lf_control_request *request,
                struct lf_error *err)
{
	char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1], more;
	int rc, words = sscanf(request->line, "find %64s %32s %c", namespace, hash, &more);

	if (words == 1) {
		words = sscanf(request->line, "find %32s%c", hash, &more) + 1;
		(void)snprintf(namespace, sizeof(namespace), "%s", daemon->config->agent.namespace);
	}
	if (words != 2 || strlen(hash) != LF_HASH_CHARS)
		return lf_fail(err, -EINVAL, "say: find [<namespace>] <hash>");
	/* Who may not count there may not read there. */
	if (!request->may_change && !lf_allowed_is(daemon->allowed, request->uid, namespace))
		return lf_fail(err, -EPERM, "namespace '%s' is not for user %u", namespace,
		               (unsigned)request->uid);
	rc = lf_lookups_begin(daemon->lookups, namespace, hash, request->ticket, err);
	return rc < 0 ? rc : LF_CONTROL_LATER;
}

static int handle_request(void *arg, const struct lf_control_request *request, FILE *reply,
                          struct lf_error *err)
{
	struct daemon *daemon = arg;

	(void)reply;
	if (!daemon->tiers || !daemon->cached || !daemon->lookups)
		return lf_fail(err, -ENOMEM, "there was no memory for the tiers: start the agent anew");
	if (strcmp(request->line, "health") == 0)
		return ask_desk(daemon, LF_ASKED_HEALTH, request, err);
	if (strcmp(request->line, "cache") == 0)
		return ask_desk(daemon, LF_ASKED_CACHE, request, err);
	if (strncmp(request->line, "find ", 5) == 0)
		return find(daemon, request, err);
	return lf_fail(err, -ENOSYS, "there is no such request");
}

/* ---- The parts ---- */

static void store_changed(void *arg)
{
	struct daemon *daemon = arg;

	if (daemon->tiers)
		lf_tiers_wake(daemon->tiers);
	if (!daemon->cached)
		return;
	lf_cached_store_changed(daemon->cached);
	lf_cached_follow(daemon->cached, lf_agent_store(daemon->agent));
}

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int read_allowed(const struct lf_config *config, struct lf_allowed **out, struct lf_error *err)
{
	const struct lf_strings *namespaces = &config->agent.namespaces;

	return lf_allowed_new(out, namespaces->item, namespaces->count, err);
}

static struct lf_flags_defaults defaults_of(const struct lf_config *config)
{
	return (struct lf_flags_defaults){ .entries_max = (uint32_t)config->hook.max_entries,
		                           .namespace = config->agent.namespace,
		                           .skip_frames = config->hook.skip_frames };
}

static int open_agent(struct daemon *daemon, struct lf_error *err)
{
	const struct lf_config *config = daemon->config;
	struct lf_agent_options options = {
		.store_path = given(config->agent.store),
		.base_dir = given(config->agent.run_dir),
		.place = LF_AGENT_BASE_DIRECTORY,
		.interval_ms = (unsigned)config->agent.drain_interval_ms,
		.announce_interval_s = (unsigned)config->agent.announce_interval_s,
		.defaults = defaults_of(config),
		.reporter = daemon->reporter,
		.all_users = config->agent.all_users,
		.accepts = lf_allowed_is,
		.accepts_arg = daemon->allowed,
		.request = handle_request,
		.request_arg = daemon,
		.changed = store_changed,
		.changed_arg = daemon,
	};

	return lf_agent_open(&daemon->agent, &options, NULL, err);
}

static int open_tiers(struct daemon *daemon, struct lf_error *err)
{
	struct lf_tiers_options tiers = {
		.config = daemon->config,
		.store_path = lf_agent_store_path(daemon->agent),
		.reporter = daemon->reporter,
		.adopted = note_adopted,
		.arg = daemon,
	};
	struct lf_cached_options cached = { .config = daemon->config,
		                            .store_path = lf_agent_store_path(daemon->agent),
		                            .reporter = daemon->reporter, .wake = wake, .arg = daemon };
	struct lf_lookups_options lookups = { .config = daemon->config, .wake = wake, .found = found,
		                              .arg = daemon };
	int rc = lf_tiers_start(&daemon->tiers, &tiers, err);

	if (rc == 0)
		rc = lf_cached_new(&daemon->cached, &cached, err);
	lookups.tiers = daemon->tiers;
	lookups.cached = daemon->cached;
	return rc < 0 ? rc : lf_lookups_new(&daemon->lookups, &lookups, err);
}

/* An agent without it still counts. */
static void open_server(struct daemon *daemon)
{
	const struct lf_serving serving = { .config = daemon->config,
		                            .store_path = lf_agent_store_path(daemon->agent),
		                            .cached = daemon->cached, .desk = daemon->desk,
		                            .reporter = daemon->reporter };
	struct lf_error err = { "" };

	lf_desk_shut(daemon->desk, false);
	if (daemon->server_ops && daemon->cached &&
	    daemon->server_ops->open(&daemon->server, &serving, &err) < 0)
		lf_say(&daemon->reporter, "%s; the agent goes on without it", err.text);
}

static void close_server(struct daemon *daemon)
{
	if (!daemon->server)
		return;
	lf_desk_shut(daemon->desk, true);
	daemon->server_ops->close(daemon->server);
	daemon->server = NULL;
}

/* First who may ask, then who may answer. */
static void close_tiers(struct daemon *daemon, int64_t timeout_ms)
{
	close_server(daemon);
	lf_tiers_stop(daemon->tiers, lf_clock_ms() + timeout_ms);
	daemon->tiers = NULL;
	lf_cached_free(daemon->cached);
	daemon->cached = NULL;
	lf_lookups_free(daemon->lookups);
	daemon->lookups = NULL;
}

/* ---- Reading agent.toml again ---- */

static bool is_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The run directory and the store are the agent's life: they stay, and that is told. */
static void tell_what_stays(const struct daemon *daemon, const struct lf_config *next)
{
	const struct lf_config *now = daemon->config;

	if (!is_same(now->agent.run_dir, next->agent.run_dir) ||
	    !is_same(now->agent.store, next->agent.store) ||
	    now->agent.all_users != next->agent.all_users)
		lf_say(&daemon->reporter, "agent.run_dir, agent.store and agent.users change when the agent is "
		                          "started anew; the rest is in force");
}

static void reload(struct daemon *daemon)
{
	struct lf_flags_defaults defaults;
	struct lf_config *next = NULL;
	struct lf_allowed *allowed = NULL;
	struct lf_error err = { "" };

	if (lf_config_read(&next, daemon->file, &err) < 0 || read_allowed(next, &allowed, &err) < 0) {
		lf_say(&daemon->reporter, "%s; the configuration in force stays", err.text);
		lf_config_free(next);
		return;
	}
	tell_what_stays(daemon, next);
	close_tiers(daemon, RELOAD_TIMEOUT_MS);
	lf_config_free(daemon->config);
	daemon->config = next;
	lf_agent_accept_anew(daemon->agent, allowed);
	lf_allowed_free(daemon->allowed);
	daemon->allowed = allowed;
	defaults = defaults_of(next);
	lf_agent_configure(daemon->agent, (unsigned)next->agent.drain_interval_ms, &defaults);
	lf_agent_announce_every(daemon->agent, (unsigned)next->agent.announce_interval_s);
	if (open_tiers(daemon, &err) < 0)
		lf_say(&daemon->reporter, "%s", err.text);
	open_server(daemon);
	lf_say(&daemon->reporter, "the configuration was read again");
}

/* ---- Serving ---- */

/* False: it is time to go. */
static bool take_signals(struct daemon *daemon)
{
	struct signalfd_siginfo signal;

	while (read(daemon->signal_fd, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo != SIGHUP)
			return false;
		lf_notify_reloading();
		reload(daemon);
		lf_notify("READY=1");
	}
	return true;
}

static void take_news(struct daemon *daemon)
{
	uint64_t count;

	if (read(daemon->wake_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (atomic_exchange(&daemon->adopted, false))
		lf_agent_publish(daemon->agent);
	if (daemon->lookups)
		lf_lookups_go_on(daemon->lookups, lf_agent_store(daemon->agent));
	if (daemon->cached)
		lf_cached_follow(daemon->cached, lf_agent_store(daemon->agent));
	if (daemon->tiers && daemon->cached)
		lf_desk_serve(daemon->desk);
}

static void serve(struct daemon *daemon)
{
	do {
		int rc = lf_agent_serve(daemon->agent, daemon->events_fd, -1);

		/* An agent that cannot go on must not become a busy loop. */
		if (rc < 0 && rc != -EINTR)
			(void)poll(NULL, 0, LF_DRAIN_INTERVAL_MS);
		take_news(daemon);
	} while (take_signals(daemon));
}

/* ---- Life cycle ---- */

static int open_signals(struct daemon *daemon, struct lf_error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/* A tier that hangs up is no reason to die. */
	(void)signal(SIGPIPE, SIG_IGN);
	daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	daemon->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	daemon->events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (daemon->signal_fd < 0 || daemon->wake_fd < 0 || daemon->events_fd < 0 ||
	    epoll_ctl(daemon->events_fd, EPOLL_CTL_ADD, daemon->signal_fd,
	              &(struct epoll_event){ .events = EPOLLIN }) < 0 ||
	    epoll_ctl(daemon->events_fd, EPOLL_CTL_ADD, daemon->wake_fd,
	              &(struct epoll_event){ .events = EPOLLIN }) < 0)
		return lf_fail(err, -errno, "the agent cannot wait for signals: %s", strerror(errno));
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

/* First what the processes counted comes into the store, then the store's changes go to the tiers. */
static void close_all(struct daemon *daemon)
{
	if (daemon->agent) {
		(void)lf_agent_drain(daemon->agent);
		close_tiers(daemon, daemon->config->agent.stop_timeout_ms);
		lf_agent_close(daemon->agent);
	}
	lf_desk_free(daemon->desk);
	close_fd(daemon->events_fd);
	close_fd(daemon->wake_fd);
	close_fd(daemon->signal_fd);
	lf_allowed_free(daemon->allowed);
	lf_config_free(daemon->config);
}

static int open_desk(struct daemon *daemon, struct lf_error *err)
{
	struct lf_desk_options options = { .wake = wake, .write = write_answer, .reply = send_answer, .arg = daemon };

	return lf_desk_new(&daemon->desk, &options, err);
}

int lf_daemon_run(struct lf_config *config, const char *file, const struct lf_reporter *reporter,
                  const struct lf_server_ops *server, struct lf_error *err)
{
	struct daemon daemon = { .config = config, .file = file, .reporter = *reporter, .server_ops = server,
		                 .signal_fd = -1, .wake_fd = -1, .events_fd = -1, .began_ms = lf_clock_ms() };
	int rc = open_signals(&daemon, err);

	if (rc == 0)
		rc = read_allowed(config, &daemon.allowed, err);
	if (rc == 0)
		rc = open_agent(&daemon, err);
	if (rc == 0)
		rc = open_desk(&daemon, err);
	if (rc == 0)
		rc = open_tiers(&daemon, err);
	if (rc == 0) {
		open_server(&daemon);
		lf_notify("READY=1");
		serve(&daemon);
		lf_notify("STOPPING=1");
	}
	close_all(&daemon);
	return rc;
}
