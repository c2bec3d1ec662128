/* Flags, as an agent hands them on, and what it tells of calls that are not printed. */
#include <errno.h>
#include <time.h>

#include "agent/core/agent_internal.h"
#include "agent/core/announce.h"
#include "agent/core/publish.h"

/* What has no effect is told when it is found, and again when it is something else. */
static int publish_telling(struct lf_agent *agent, struct lf_error *err)
{
	struct lf_error useless = { "" };
	int rc = lf_publish(agent->store, agent->dir, &useless, err);

	if (useless.text[0])
		lf_agent_tell_once(agent, &agent->last_useless, useless.text);
	else if (rc == 0)
		agent->last_useless.text[0] = '\0';
	return rc;
}

void lf_agent_publish_store(struct lf_agent *agent)
{
	struct lf_error err;

	if (publish_telling(agent, &err) < 0)
		lf_agent_tell_once(agent, &agent->last_flags_trouble, err.text);
	else
		agent->last_flags_trouble.text[0] = '\0';
}

int lf_agent_publish_now(struct lf_agent *agent, struct lf_error *err)
{
	int rc;

	if (agent->store_lost)
		return lf_fail(err, -ESTALE, "the agent has lost its store '%s': it obeys when it is there again",
		               agent->claim.store);
	rc = publish_telling(agent, err);
	lf_agent_tell_changed(agent);
	return rc;
}

void lf_agent_publish(struct lf_agent *agent)
{
	(void)lf_store_changed_elsewhere(agent->store);
	lf_agent_publish_store(agent);
}

/* ---- Announcements ---- */

static uint64_t wall_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int lf_agent_begin_announcing(struct lf_agent *agent, unsigned interval_s, struct lf_error *err)
{
	return lf_announcer_new(&agent->announcer, &agent->reporter, interval_s, wall_ms(), err);
}

void lf_agent_announce_every(struct lf_agent *agent, unsigned interval_s)
{
	lf_announcer_set_interval(agent->announcer, interval_s);
}

void lf_agent_announce(struct lf_agent *agent)
{
	int rc;
	struct lf_flags *flags = lf_flags_map(lf_rundir_fd(agent->dir), 0, &rc);

	lf_announcer_look(agent->announcer, flags, wall_ms());
	lf_flags_unmap(flags);
}
