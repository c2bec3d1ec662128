/* What `logfold run` tells when its command has ended: of this run alone. */
#ifndef LOGFOLD_CLI_SUMMARY_H
#define LOGFOLD_CLI_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "agent/cli/options.h"
#include "agent/store/store.h"

enum { LF_SUMMARY_ROWS_MAX = 40 };

struct lf_summary_wish {
	enum lf_summary kind;
	FILE *out;                  /* where the summary goes */
	int fd;                     /* its fd, for width and colour */
	const char *store_argument; /* what --store said; NULL: the default */
	const char *agent_argument; /* not NULL: the directory of the agent that has the store */
	bool only_run;              /* the store has nothing but this run: no tally is asked for */
	uint64_t elapsed_ms;
	unsigned living;            /* processes of the run that have not ended */
};

/* Prints the summary; what was suppressed, and that processes still run, is said on stderr whatever
 * the kind. */
LF_MUST_CHECK int lf_summary_print(struct lf_store *store, const struct lf_summary_wish *wish,
                                   struct lf_error *err);

#endif
