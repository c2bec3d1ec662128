/* What an agent is asked by its control socket. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/agent_internal.h"

static int request_drain(struct lf_agent *agent, const struct lf_control_request *request,
                         const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)args;
	(void)reply;
	return lf_agent_drain_now(agent, err);
}

static int request_publish(struct lf_agent *agent, const struct lf_control_request *request,
                           const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)args;
	(void)reply;
	return lf_agent_publish_now(agent, err);
}

static int request_store(struct lf_agent *agent, const struct lf_control_request *request,
                         const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)args;
	(void)err;
	(void)fputs(agent->claim.store, reply);
	return LF_CONTROL_OK;
}

static int request_status(struct lf_agent *agent, const struct lf_control_request *request,
                          const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)args;
	(void)err;
	(void)fprintf(reply,
	              "pid=%d segments=%zu sequence=%llu interval_ms=%d observe=%d daemon=%d store=%s",
	              (int)getpid(), lf_drain_segments(agent->drain),
	              (unsigned long long)lf_drain_sequence(agent->drain), agent->interval_ms,
	              agent->observe, agent->place == LF_AGENT_BASE_DIRECTORY, agent->claim.store);
	return LF_CONTROL_OK;
}

static int request_run(struct lf_agent *agent, const struct lf_control_request *request,
                       const char *args, FILE *reply, struct lf_error *err)
{
	(void)reply;
	return lf_runs_request_run(agent->runs, agent->namespace, lf_agent_accepts, agent, request,
	                           args, err);
}

static int request_report(struct lf_agent *agent, const struct lf_control_request *request,
                          const char *args, FILE *reply, struct lf_error *err)
{
	const struct lf_runs_place place = { agent->runs, agent->store, agent->drain };

	return lf_runs_request_report(&place, request, args, reply, err);
}

/*   drain          drain now; answers when it is committed
 *   publish        what the store says of flags, to the processes of the directory
 *   store          the path of the agent's store
 *   status         one line of key=value; the store is the last
 *   run, report    agent/core/runs.h
 */
static const struct verb {
	const char *name;
	int (*run)(struct lf_agent *agent, const struct lf_control_request *request, const char *args,
	           FILE *reply, struct lf_error *err);
	bool changes; /* only for the agent's own user, and root */
} verbs[] = {
	{ "drain", request_drain, false },   { "publish", request_publish, true },
	{ "store", request_store, false },   { "status", request_status, false },
	{ "run", request_run, false },       { "report", request_report, false },
};

/*   mute <namespace> <hash>[,<hash>…]    from now on all processes of the directory obey that
 *   unmute, and so on
 */
static const struct lf_flag_verb flag_verbs[] = {
	{ "mute", LF_FLAG_ENABLED, false, "" },
	{ "unmute", LF_FLAG_ENABLED, true, "" },
	{ "policy", LF_FLAG_POLICY, false, "[<policy>]" },
	{ "tag", LF_FLAG_TAGS, true, "<JSON array of strings>" },
	{ "untag", LF_FLAG_TAGS, false, "<JSON array of strings>" },
};

static bool is_named(const char *name, const char *request, size_t len)
{
	return strlen(name) == len && memcmp(name, request, len) == 0;
}

static const struct verb *find_verb(const char *request, size_t len)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (is_named(verbs[i].name, request, len))
			return &verbs[i];
	return NULL;
}

static const struct lf_flag_verb *find_flag_verb(const char *request, size_t len)
{
	for (size_t i = 0; i < sizeof(flag_verbs) / sizeof(*flag_verbs); i++)
		if (is_named(flag_verbs[i].name, request, len))
			return &flag_verbs[i];
	return NULL;
}

int lf_agent_answer(void *arg, const struct lf_control_request *request, FILE *reply,
                          struct lf_error *err)
{
	struct lf_agent *agent = arg;
	size_t len = strcspn(request->line, " ");
	const char *args = request->line[len] ? request->line + len + 1 : "";
	const struct verb *verb = find_verb(request->line, len);
	const struct lf_flag_verb *flags = find_flag_verb(request->line, len);

	if ((flags || (verb && verb->changes)) && !request->may_change)
		return lf_fail(err, -EPERM, "only root and the user that the agent runs as may %s: this is "
		                            "user %u", flags ? flags->name : verb->name,
		               (unsigned)request->uid);
	lf_agent_set_patience(agent, LF_ANSWER_PATIENCE_MS);
	if (flags)
		return lf_agent_request_flags(agent, flags, args, err);
	if (verb)
		return verb->run(agent, request, args, reply, err);
	if (agent->request)
		return agent->request(agent->request_arg, request, reply, err);
	return lf_fail(err, -ENOSYS, "no such request");
}

bool lf_agent_reply(struct lf_agent *agent, struct lf_control_ticket ticket, int rc,
                    const char *text, size_t bytes)
{
	return agent->control && lf_control_reply(agent->control, ticket, rc, text, bytes);
}
