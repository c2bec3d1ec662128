/* What the files of the agent share.  Nobody else includes this. */
#ifndef LOGFOLD_CORE_AGENT_INTERNAL_H
#define LOGFOLD_CORE_AGENT_INTERNAL_H

#include "agent/core/agent.h"
#include "agent/core/claim.h"
#include "agent/core/drain.h"
#include "agent/core/sources.h"

/* How long the store may hold up the answer to a request. */
enum { LF_ANSWER_PATIENCE_MS = 250 };

struct lf_agent {
	struct lf_claim claim;
	struct lf_reporter reporter;
	enum lf_agent_place place;
	int interval_ms;
	char namespace[LF_NAMESPACE_MAX + 1]; /* of processes that name none */
	bool observe;
	bool all_users;
	bool (*accepts)(void *arg, uid_t uid, const char *namespace);
	void *accepts_arg;
	lf_control_handler request;
	void *request_arg;
	struct lf_runs *runs; /* NULL: this agent is one run's own */
	void (*changed)(void *arg);
	void *changed_arg;
	struct lf_store *store;
	int patience_ms;
	bool store_lost; /* `store` only holds this run's tally until the file can be opened again */
	struct lf_rundir *dir;
	struct lf_announcer *announcer;
	struct lf_drain *drain;
	struct lf_sources *sources;
	struct lf_control *control; /* NULL: it could not be made */
	int64_t next_drain_ms, next_adopt_ms; /* monotonic */
	int64_t busy_since_ms;                /* 0: the last drain did not find the store locked */
	struct lf_error last_trouble, last_flags_trouble, last_useless;
};

/* agent.c */
void lf_agent_set_patience(struct lf_agent *agent, int ms);
int lf_agent_drain_now(struct lf_agent *agent, struct lf_error *err);
void lf_agent_tell_changed(const struct lf_agent *agent);
/* Tells what is another sentence than the last. */
void lf_agent_tell_once(struct lf_agent *agent, struct lf_error *last, const char *sentence);
bool lf_agent_accepts(void *agent, uid_t uid, const char *namespace); /* as lf_drain_options */

/* requests.c: what is asked by the control socket; a lf_control_handler, its argument is the agent */
int lf_agent_answer(void *arg, const struct lf_control_request *request, FILE *reply,
                    struct lf_error *err);

/* agent_flags.c */
void lf_agent_publish_store(struct lf_agent *agent); /* what fails is told */
/* The same for somebody who asks, and lets the tiers know that the store may have changed. */
int lf_agent_publish_now(struct lf_agent *agent, struct lf_error *err);
int lf_agent_begin_announcing(struct lf_agent *agent, unsigned interval_s, struct lf_error *err);
void lf_agent_announce(struct lf_agent *agent);

/* requests_flags.c */
struct lf_flag_verb {
	const char *name;
	unsigned what;     /* enum lf_flag: the one that it sets */
	bool enabled;      /* whether it is printed; of tags, whether they are added */
	const char *value; /* what stands behind the hashes, for people; "": nothing does */
};
int lf_agent_request_flags(struct lf_agent *agent, const struct lf_flag_verb *verb, const char *args,
                           struct lf_error *err);

#endif
