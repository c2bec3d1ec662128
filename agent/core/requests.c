/* What an agent is asked by its control socket. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/agent_internal.h"
#include "agent/core/publish.h"

static int count_words(const char *text)
{
	int words = 0;

	for (; *text; text++)
		words += *text != ' ' && (text[1] == ' ' || text[1] == '\0');
	return words;
}

static int set_muted(struct lf_agent *agent, const char *args, bool muted, struct lf_error *err)
{
	char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1], writer[LF_WRITER_MAX];
	struct lf_flag_change change = { namespace, hash, !muted, writer };
	bool changed;
	int rc, published;

	if (count_words(args) != 2 || sscanf(args, "%64s %32s", namespace, hash) != 2 ||
	    strlen(hash) != LF_HASH_CHARS)
		return lf_fail(err, -EINVAL, "say: %s <namespace> <hash>", muted ? "mute" : "unmute");
	lf_flags_writer(writer);
	rc = lf_store_set_flags(agent->store, &change, &changed, err);
	if (rc < 0 && rc != -EBUSY)
		return rc;
	/* Also when nothing changed, or cannot be: who asks may have set it in the store. */
	published = lf_publish_one(agent->store, agent->dir, &change, rc < 0 ? NULL : err);
	lf_agent_tell_changed(agent);
	return published == 0 || rc == 0 ? published : rc;
}

static int request_drain(struct lf_agent *agent, const struct lf_control_request *request,
                         const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)args;
	(void)reply;
	return lf_agent_drain_now(agent, err);
}

static int request_mute(struct lf_agent *agent, const struct lf_control_request *request,
                        const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)reply;
	return set_muted(agent, args, true, err);
}

static int request_unmute(struct lf_agent *agent, const struct lf_control_request *request,
                          const char *args, FILE *reply, struct lf_error *err)
{
	(void)request;
	(void)reply;
	return set_muted(agent, args, false, err);
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

/*   drain                      drain now; answers when it is committed
 *   mute <namespace> <hash>    from now on it prints nothing; all processes of the directory obey
 *   unmute <namespace> <hash>
 *   store                      the path of the agent's store
 *   status                     one line of key=value; the store is the last
 *   run, report                agent/core/runs.h
 */
static const struct verb {
	const char *name;
	int (*run)(struct lf_agent *agent, const struct lf_control_request *request, const char *args,
	           FILE *reply, struct lf_error *err);
	bool changes; /* only for the agent's own user, and root */
} verbs[] = {
	{ "drain", request_drain, false }, { "mute", request_mute, true },
	{ "unmute", request_unmute, true }, { "store", request_store, false },
	{ "status", request_status, false }, { "run", request_run, false },
	{ "report", request_report, false },
};

static const struct verb *find_verb(const char *request, size_t len)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strlen(verbs[i].name) == len && memcmp(verbs[i].name, request, len) == 0)
			return &verbs[i];
	return NULL;
}

int lf_agent_answer(void *arg, const struct lf_control_request *request, FILE *reply,
                          struct lf_error *err)
{
	struct lf_agent *agent = arg;
	size_t len = strcspn(request->line, " ");
	const struct verb *verb = find_verb(request->line, len);

	if (verb && verb->changes && !request->may_change)
		return lf_fail(err, -EPERM, "only root and the user that the agent runs as may %s: this is "
		                            "user %u", verb->name, (unsigned)request->uid);
	lf_agent_set_patience(agent, LF_ANSWER_PATIENCE_MS);
	if (verb)
		return verb->run(agent, request, request->line[len] ? request->line + len + 1 : "", reply,
		                 err);
	if (agent->request)
		return agent->request(agent->request_arg, request, reply, err);
	return lf_fail(err, -ENOSYS, "no such request");
}

bool lf_agent_reply(struct lf_agent *agent, struct lf_control_ticket ticket, int rc,
                    const char *text, size_t bytes)
{
	return agent->control && lf_control_reply(agent->control, ticket, rc, text, bytes);
}
