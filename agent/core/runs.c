#include "agent/core/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/drain.h"
#include "agent/core/json.h"
#include "agent/core/owner.h"
#include "hashing/clock.h"
#include "hashing/hex.h"

struct run {
	uint64_t id; /* 0: the place is free */
	uid_t uid;
	struct lf_process_id process; /* pid 0: not seen */
	int64_t heard_ms;
};

struct lf_runs {
	struct lf_host host;
	size_t count;
	struct run run[LF_RUNS_MAX];
};

int lf_runs_new(struct lf_runs **out, struct lf_error *err)
{
	struct lf_runs *runs = calloc(1, sizeof(*runs));

	if (!runs)
		return lf_fail(err, -ENOMEM, "there is no memory for runs");
	lf_host_read(&runs->host);
	*out = runs;
	return 0;
}

void lf_runs_free(struct lf_runs *runs)
{
	free(runs);
}

void lf_run_id_format(uint64_t id, char out[LF_RUN_ID_CHARS + 1])
{
	(void)snprintf(out, LF_RUN_ID_CHARS + 1, "%016llx", (unsigned long long)id);
}

uint64_t lf_run_id_parse(const char *text)
{
	return lf_hex_read(text);
}

/* 0 finds a free place. */
static struct run *find(const struct lf_runs *runs, uint64_t id)
{
	for (size_t i = 0; i < LF_RUNS_MAX; i++)
		if (runs->run[i].id == id)
			return (struct run *)&runs->run[i];
	return NULL;
}

static bool has_too_many(const struct lf_runs *runs, uid_t uid)
{
	size_t count = 0;

	for (size_t i = 0; i < LF_RUNS_MAX; i++)
		count += runs->run[i].id && runs->run[i].uid == uid;
	return count >= LF_RUNS_OF_A_USER && uid != 0 && uid != geteuid();
}

int lf_runs_begin(struct lf_runs *runs, uint64_t id, uid_t uid, pid_t pid, struct lf_error *err)
{
	struct run *place = find(runs, 0);

	if (find(runs, id))
		return lf_fail(err, -EEXIST, "there is a run with this id already");
	if (!place || has_too_many(runs, uid))
		return lf_fail(err, -EUSERS, "the agent counts %d runs, or %d of this user, already",
		               LF_RUNS_MAX, LF_RUNS_OF_A_USER);
	*place = (struct run){ .id = id, .uid = uid, .heard_ms = lf_clock_ms() };
	if (pid > 0)
		lf_process_id_read(&place->process, (uint32_t)pid);
	runs->count++;
	return 0;
}

bool lf_runs_heard(struct lf_runs *runs, uint64_t id)
{
	struct run *run = runs && runs->count && id ? find(runs, id) : NULL;

	if (run)
		run->heard_ms = lf_clock_ms();
	return run;
}

int lf_runs_check(const struct lf_runs *runs, uint64_t id, uid_t uid, struct lf_error *err)
{
	const struct run *run = id ? find(runs, id) : NULL;

	if (!run)
		return lf_fail(err, -ENOENT, "the agent was started anew during this run, and knows only the "
		                             "sums");
	if (uid != run->uid && uid != 0)
		return lf_fail(err, -EPERM, "this run is another user's");
	return 0;
}

void lf_runs_end(struct lf_runs *runs, uint64_t id)
{
	struct run *run = id ? find(runs, id) : NULL;

	if (!run)
		return;
	*run = (struct run){ 0 };
	runs->count--;
}

static bool is_lost(const struct lf_runs *runs, const struct run *run)
{
	if (run->process.pid)
		return lf_owner_is_dead(&runs->host, &run->process, runs->host.pid_namespace);
	return lf_clock_ms() - run->heard_ms > LF_RUNS_FORGET_MS;
}

uint64_t lf_runs_lost(const struct lf_runs *runs)
{
	for (size_t i = 0; runs->count && i < LF_RUNS_MAX; i++)
		if (runs->run[i].id && is_lost(runs, &runs->run[i]))
			return runs->run[i].id;
	return 0;
}

/* ---- What runs ask ---- */

static int no_runs(struct lf_error *err)
{
	return lf_fail(err, -ENOTSUP, "this agent counts one run only, its own");
}

int lf_runs_request_run(struct lf_runs *runs, const char *unnamed,
                        bool (*accepts)(void *arg, uid_t uid, const char *namespace),
                        void *accepts_arg, const struct lf_control_request *request,
                        const char *args, struct lf_error *err)
{
	char id[LF_RUN_ID_CHARS + 1] = "", namespace[LF_NAMESPACE_MAX + 1] = "";
	int used = 0;

	if (!runs)
		return no_runs(err);
	if (sscanf(args, "%16s%n %64s%n", id, &used, namespace, &used) < 1 || args[used] ||
	    !lf_run_id_parse(id))
		return lf_fail(err, -EINVAL, "say: run <id> [<namespace>]");
	if (!namespace[0])
		(void)snprintf(namespace, sizeof(namespace), "%s", unnamed);
	if (!accepts(accepts_arg, request->uid, namespace))
		return lf_fail(err, -EPERM, "it does not count what user %u prints in namespace '%s'",
		               (unsigned)request->uid, namespace);
	return lf_runs_begin(runs, lf_run_id_parse(id), request->uid, request->pid, err);
}

static int print_entry(void *reply, const struct lf_entry *entry)
{
	lf_json_entry(reply, entry);
	return 0;
}

static int end_run(const struct lf_runs_place *place, uint64_t run_id, struct lf_error *err)
{
	char id[LF_RUN_ID_CHARS + 1];

	lf_run_id_format(run_id, id);
	lf_runs_end(place->runs, run_id);
	return lf_store_forget_tally(place->store, id, err);
}

int lf_runs_request_report(const struct lf_runs_place *place,
                           const struct lf_control_request *request, const char *args, FILE *reply,
                           struct lf_error *err)
{
	struct lf_query query = { .this_run = true, .run = args };
	uint64_t run_id = lf_run_id_parse(args);
	int rc = place->runs ? lf_runs_check(place->runs, run_id, request->uid, err) : no_runs(err);

	if (rc == 0)
		rc = lf_store_each(place->store, &query, print_entry, reply, err);
	if (rc < 0)
		return rc;
	(void)fprintf(reply, "{\"living\":%u}\n", lf_drain_living(place->drain, run_id));
	rc = end_run(place, run_id, err);
	return rc < 0 ? rc : LF_CONTROL_DATA;
}

int lf_runs_forget_lost(const struct lf_runs_place *place, struct lf_error *err)
{
	uint64_t lost;
	int rc = 0;

	while (rc == 0 && (lost = lf_runs_lost(place->runs)))
		rc = end_run(place, lost, err);
	return rc;
}
