/* The runs that a daemon counts: each `logfold run` that found it, and wants a summary of its own.
 *
 *   run <id> [<namespace>] before the command starts; <id> is 16 hex digits, made at random by the run;
 *                          the namespace is the one that its processes name, if they name one
 *   report <id>            when it has ended: what the run counted, as `ls --json` prints it, one entry
 *                          a line and the most frequent first, then {"living":N}: so many of its
 *                          processes have not ended.  The run is over then, and its tally forgotten
 *
 * The run's processes have the id in their segments (LOGFOLD_RUN_ID), and the drain adds what they
 * count to the run's tally, in the transaction that counts it.  Nothing of that is durable: counts are,
 * summaries are not.  A run whose `logfold run` has died is forgotten; so is one of which nothing was
 * heard for LF_RUNS_FORGET_MS when nobody can see whether it lives.
 */
#ifndef LOGFOLD_CORE_RUNS_H
#define LOGFOLD_CORE_RUNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/core/control.h"
#include "agent/store/store.h"
#include "logfold/error.h"

struct lf_drain;

enum {
	LF_RUNS_MAX = 256,
	LF_RUNS_OF_A_USER = 64, /* who is neither the agent's user nor root */
	LF_RUNS_FORGET_MS = 3600 * 1000,
	LF_RUN_ID_CHARS = 16,
};

struct lf_runs;

LF_MUST_CHECK int lf_runs_new(struct lf_runs **out, struct lf_error *err);
void lf_runs_free(struct lf_runs *runs); /* NULL is fine */

/* Writes LF_RUN_ID_CHARS digits and a NUL. */
void lf_run_id_format(uint64_t id, char out[LF_RUN_ID_CHARS + 1]);
/* 0 when the text is none; no id is 0. */
uint64_t lf_run_id_parse(const char *text);

/* From now on the run is counted.  `pid` is its `logfold run`; 0: not seen from here.  -EEXIST, or
 * -EUSERS when there are too many. */
LF_MUST_CHECK int lf_runs_begin(struct lf_runs *runs, uint64_t id, uid_t uid, pid_t pid,
                                struct lf_error *err);

/* Whether a segment of the run is to be tallied; notes that the run was heard of. */
bool lf_runs_heard(struct lf_runs *runs, uint64_t id);

/* Whether this user may have its report: -ENOENT, -EPERM. */
LF_MUST_CHECK int lf_runs_check(const struct lf_runs *runs, uint64_t id, uid_t uid,
                                struct lf_error *err);

void lf_runs_end(struct lf_runs *runs, uint64_t id);

/* A run that is to be forgotten, or 0: end it, and ask again. */
uint64_t lf_runs_lost(const struct lf_runs *runs);

/* ---- What runs ask ---- */

/* All of one agent; runs NULL: it serves one run only, and says so. */
struct lf_runs_place {
	struct lf_runs *runs;
	struct lf_store *store;
	const struct lf_drain *drain;
};

/* `accepts` as in lf_drain_options: who is not counted has to have an agent of his own.  `unnamed` is the
 * namespace of processes that name none. */
LF_MUST_CHECK int lf_runs_request_run(struct lf_runs *runs, const char *unnamed,
                                      bool (*accepts)(void *arg, uid_t uid, const char *namespace),
                                      void *accepts_arg, const struct lf_control_request *request,
                                      const char *args, struct lf_error *err);
LF_MUST_CHECK int lf_runs_request_report(const struct lf_runs_place *place,
                                         const struct lf_control_request *request, const char *args,
                                         FILE *reply, struct lf_error *err);

/* Drops the tallies of runs whose `logfold run` has died. */
LF_MUST_CHECK int lf_runs_forget_lost(const struct lf_runs_place *place, struct lf_error *err);

#endif
