/* Flushing beside a bare client that writes the same documents: what the benchmarks of all tiers share.
 *
 * Both write the same entries to the same server, batch by batch and in turns, so that a busy machine
 * slows both.  Between two writes every entry was counted once more, so that each write changes all that
 * it is told.  The bare client's documents are made before its clock starts: it only sends them and reads
 * what is answered.
 */
#ifndef LOGFOLD_BENCH_FLUSH_PAIRS_H
#define LOGFOLD_BENCH_FLUSH_PAIRS_H

#include "sinks/sink.h"

struct flush_bench {
	const char *tier; /* as in agent.toml */
	struct lf_sink_options options;
	size_t entries, batch; /* all of them, a multiple of those in one write */
	double budget_s; /* no new pair begins after it */
	/* The bare client: makes a batch ready, and sends it.  False: it failed, and said why. */
	bool (*prepare)(void *arg, const struct lf_sink_batch *batch);
	bool (*send)(void *arg);
	void *arg;
};

/* Prints one line; the exit status: 0 when the module reaches 90 % of the bare client. */
int flush_bench_run(const struct flush_bench *bench);

#endif
