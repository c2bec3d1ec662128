/* A hooked process without the stubs: a run directory of its own, and fd 1 or a pipe as console. */
#ifndef LOGFOLD_TESTS_HOST_FIXTURE_H
#define LOGFOLD_TESTS_HOST_FIXTURE_H

#include "agent/hook/lines.h"
#include "agent/map/flags.h"

/* A new, empty run directory, or the one that $LOGFOLD_UNIT_RUN_DIR names; its path stays valid. */
const char *host_run_dir(void);

/* Starts the hook in this process, with that run directory and that fd as its one console. */
struct lf_process *host_start(int console_fd);

/* The counts of the entry with this template in the process's own segment, read from the file. */
uint64_t host_count(const char *template, enum lf_outcome outcome);

/* All counts of that outcome, the overflow entry's too. */
uint64_t host_total(enum lf_outcome outcome);

/* How many entries the segment has. */
unsigned host_entries(void);

/* Gives the entry with that template a rule, as an agent would, and takes all others away. */
void host_rule(const char *template, uint64_t rule);

/* The same for an entry of that origin that need not be there. */
void host_rule_unseen(const struct lf_process *process, struct lf_origin origin,
                      const char *template, uint64_t rule);

/* Gives one to all entries. */
void host_default_rule(uint64_t rule);

/* The rule that mutes it. */
void host_mute(const char *template);
void host_unmute_all(void);

/* For programs without a test framework: says what is not as wanted; 1 then, else 0. */
int host_expect(const char *what, uint64_t got, uint64_t wanted);

#endif
