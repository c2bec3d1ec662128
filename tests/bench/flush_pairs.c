#include "tests/bench/flush_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/core/sinks.h"
#include "hashing/entry_id.h"

enum { PAIRS_MAX = 1000, TIMEOUT_MS = 60000 };

static const double wanted = 0.9;

struct entry {
	struct lf_entry entry;
	struct lf_share share;
	char hash[LF_HASH_CHARS + 1], text[64], frame[64];
};

struct run {
	const struct flush_bench *bench;
	const struct lf_sink_ops *ops;
	struct lf_sink *sink;
	struct entry *entries;
	struct lf_sink_record *records;
	char last_seen[32];
	uint64_t writes;
	double ours_s, bare_s, ratio[PAIRS_MAX];
	size_t pairs;
};

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_flush: %s: %s\n", what, why);
	exit(1);
}

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

/* ---- What is written ---- */

static void make_entry(struct run *run, size_t i)
{
	struct entry *e = &run->entries[i];
	struct lf_identity identity;
	struct lf_id id;

	(void)snprintf(e->text, sizeof(e->text), "request %%s took %%d ms in worker pool %06zu\n", i);
	(void)snprintf(e->frame, sizeof(e->frame), "program!handle_request_%zu", i % 100);
	identity = (struct lf_identity){ text("printf"), text(e->text), text(e->frame) };
	lf_entry_id(&identity, &id);
	lf_id_to_hex(&id, e->hash);
	e->entry = (struct lf_entry){
		.hash = text(e->hash), .namespace = text("bench"), .method = identity.method,
		.message_template = identity.template, .template_kind = text("format"),
		.top_frame = identity.frame, .enabled = true, .persist_to_cache = true,
		.persist_to_db = true, .tags = text("[]"),
		.first_seen_at = text("2024-05-06T07:08:09.123Z"), .flags_writer = text(""),
	};
	memcpy(e->share.incarnation, run->bench->options.incarnation, LF_UUID_CHARS);
	run->records[i] = (struct lf_sink_record){ .entry = &e->entry, .shares = &e->share,
		                                   .shares_count = 1 };
}

/* Each of them was counted once more. */
static void count(struct run *run, const struct lf_sink_batch *batch)
{
	uint64_t n = ++run->writes;

	(void)snprintf(run->last_seen, sizeof(run->last_seen), "2024-05-07T%02u:%02u:%02u.%03uZ",
	               (unsigned)(n / 3600000 % 24), (unsigned)(n / 60000 % 60),
	               (unsigned)(n / 1000 % 60), (unsigned)(n % 1000));
	for (size_t i = 0; i < batch->count; i++) {
		struct entry *e = &run->entries[batch->records - run->records + (ptrdiff_t)i];

		e->entry.last_seen_at = text(run->last_seen);
		e->share.counts[LF_PASSED] = n;
	}
}

static struct lf_sink_batch batch_at(const struct run *run, size_t at)
{
	return (struct lf_sink_batch){ run->records + at, run->bench->batch, 0 };
}

/* ---- The two of them ---- */

static double ours(struct run *run, struct lf_sink_batch batch)
{
	struct lf_error err = { "" };
	double start;

	count(run, &batch);
	batch.sequence = run->writes;
	start = now_s();
	if (run->ops->flush(run->sink, &batch, TIMEOUT_MS, &err) != LF_SINK_DONE)
		die("flush", err.text);
	return now_s() - start;
}

static double bare(struct run *run, struct lf_sink_batch batch)
{
	double start;

	count(run, &batch);
	if (!run->bench->prepare(run->bench->arg, &batch))
		exit(1);
	start = now_s();
	if (!run->bench->send(run->bench->arg))
		exit(1);
	return now_s() - start;
}

/* Who begins changes: neither always follows the other. */
static void pair(struct run *run, size_t at)
{
	struct lf_sink_batch batch = batch_at(run, at);
	double first = run->pairs % 2 ? bare(run, batch) : ours(run, batch);
	double second = run->pairs % 2 ? ours(run, batch) : bare(run, batch);
	double ours_s = run->pairs % 2 ? second : first, bare_s = run->pairs % 2 ? first : second;

	run->ours_s += ours_s;
	run->bare_s += bare_s;
	run->ratio[run->pairs++] = bare_s / ours_s;
}

static void reach(struct run *run)
{
	struct lf_error err = { "" };
	struct lf_sink_hello hello;

	if (lf_sink_find(run->bench->tier, &run->ops, &err) < 0 ||
	    run->ops->open(&run->sink, &run->bench->options, &err) < 0 ||
	    run->ops->hello(run->sink, &hello, TIMEOUT_MS, &err) != LF_SINK_DONE)
		die(run->bench->tier, err.text);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int report(struct run *run, double new_s)
{
	double entries = (double)(run->pairs * run->bench->batch);

	qsort(run->ratio, run->pairs, sizeof(*run->ratio), compare);
	(void)printf("%s: flush %.0f entries/s, bare %.0f entries/s, ratio %.3f (median of %zu pairs), new ones "
	             "%.0f/s\n", run->bench->tier, entries / run->ours_s, entries / run->bare_s,
	             run->ratio[run->pairs / 2], run->pairs, (double)run->bench->entries / new_s);
	return run->ratio[run->pairs / 2] >= wanted ? 0 : 1;
}

int flush_bench_run(const struct flush_bench *bench)
{
	static struct run run;
	double new_s = 0, started = now_s();

	run = (struct run){ .bench = bench, .entries = calloc(bench->entries, sizeof(*run.entries)),
		            .records = calloc(bench->entries, sizeof(*run.records)) };
	if (!run.entries || !run.records)
		die(bench->tier, "no memory");
	for (size_t i = 0; i < bench->entries; i++)
		make_entry(&run, i);
	reach(&run);
	for (size_t at = 0; at < bench->entries; at += bench->batch)
		new_s += ours(&run, batch_at(&run, at));
	do
		pair(&run, run.pairs * bench->batch % bench->entries);
	while (now_s() - started < bench->budget_s && run.pairs < PAIRS_MAX);
	run.ops->close(run.sink);
	free(run.records);
	free(run.entries);
	return report(&run, new_s);
}
