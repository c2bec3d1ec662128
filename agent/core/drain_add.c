/* From a segment's counters to the store's entries, inside a transaction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/drain_internal.h"
#include "hashing/entry_id.h"
#include "hashing/mask.h"

struct target {
	struct lf_drain *drain;
	struct lf_drain_segment *segment;
	struct lf_store *store;
	enum lf_add_flags flags;
	char run[LF_RUN_ID_CHARS + 1]; /* empty: none, or the only one */
	uint64_t source_key;           /* whose `site` and `source` are the last ones that were found */
	int64_t site;
	struct lf_source source;       /* its file is ours */
};

static bool differs(const struct lf_counts *drained, const struct lf_counts *seen)
{
	return memcmp(drained, seen, sizeof(*seen)) != 0;
}

static bool is_new(const struct lf_counts *drained)
{
	static const struct lf_counts none;

	return !differs(&none, drained);
}

/* The owner's word, within the life of the segment. */
static uint64_t first_seen(const struct target *to, uint64_t claimed_ms)
{
	uint64_t created_ms = lf_reader_header(to->segment->reader).created_ms;

	if (claimed_ms < created_ms)
		claimed_ms = created_ms;
	return claimed_ms > to->drain->now_ms ? to->drain->now_ms : claimed_ms;
}

static struct lf_addition addition_of(const struct target *to, const struct lf_counts *drained,
                                      const struct lf_counts *seen, const char *hash)
{
	struct lf_addition addition = {
		.namespace = lf_reader_header(to->segment->reader).namespace,
		.hash = hash,
		.last_seen_ms = to->drain->now_ms,
		.run = to->run,
	};

	/* A counter may have fallen where that is forgiven: then it adds nothing. */
	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++)
		if (seen->of[i] > drained->of[i])
			addition.counts[i] = seen->of[i] - drained->of[i];
	return addition;
}

/* Of a place in a program, which somebody will look at (agent/core/sources.c). */
static int find_site(struct target *to, const struct lf_addition *addition,
                     const struct lf_reader_source *source, struct lf_error *err)
{
	struct lf_site site = { 0, lf_reader_header(to->segment->reader).uid, source->path,
		                source->build_id, source->at };
	int rc = lf_store_find_site(to->store, addition->namespace, addition->hash, &site, &to->source,
	                            err);

	to->site = site.id;
	return rc;
}

/* Where the entry of `key` is printed from.  Many entries of one place come one behind the other: lines that a
 * program writes from a buffer. */
static int find_source(struct target *to, uint64_t key, uint32_t chunk, uint32_t index,
                       const struct lf_addition *addition, struct lf_error *err)
{
	struct lf_reader_source source;
	int rc;

	if (to->source_key == key && to->site)
		return 0;
	free((char *)to->source.file.data);
	to->source = (struct lf_source){ { NULL, 0 }, 0 };
	to->site = 0;
	to->source_key = key;
	rc = lf_reader_source(to->segment->reader, chunk, index, &source, err);
	if (rc < 0)
		to->segment->broken = true;
	if (rc <= 0)
		return rc;
	if (source.build_id)
		return find_site(to, addition, &source, err);
	to->source.file.data = strdup(source.path);
	if (!to->source.file.data)
		return lf_fail(err, -ENOMEM, "there is no memory to drain a segment");
	to->source.file.len = strlen(source.path);
	to->source.line = source.at;
	return 0;
}

/* Once of each process: another may be of a newer build. */
static int add_source(struct target *to, uint32_t chunk, uint32_t index,
                      struct lf_addition *addition, struct lf_error *err)
{
	uint64_t key = lf_reader_source_key(to->segment->reader, chunk, index);
	int rc = key ? find_source(to, key, chunk, index, addition, err) : 0;

	if (key && rc == 0) {
		addition->site = to->site;
		addition->source = to->source;
	}
	return rc;
}

/* An entry that the store does not have yet: its texts are read from the segment. */
static int add_unknown(const struct target *to, uint32_t chunk, uint32_t index,
                       struct lf_addition *addition, struct lf_error *err)
{
	struct lf_reader_entry entry;
	struct lf_new_entry what;
	char hash[LF_HASH_CHARS + 1];
	int rc = lf_reader_entry(to->segment->reader, chunk, index, &entry, err);

	if (rc < 0) {
		to->segment->broken = true;
		return rc;
	}
	lf_id_to_hex(&entry.id, hash);
	what = (struct lf_new_entry){ entry.identity, entry.kind };
	addition->hash = hash;
	addition->first_seen_ms = first_seen(to, entry.first_seen_ms);
	return lf_store_add_new(to->store, &what, addition, to->flags, err);
}

static int add_slot(struct target *to, uint32_t chunk, uint32_t index,
                    const struct lf_counts *seen, struct lf_error *err)
{
	struct lf_counts drained = lf_counters_get(&to->segment->drained, chunk, index);
	const struct lf_id *id = lf_reader_id(to->segment->reader, chunk, index);
	struct lf_addition addition;
	char hash[LF_HASH_CHARS + 1];
	int rc = 0;

	if (!id || !differs(&drained, seen))
		return 0;
	lf_id_to_hex(id, hash);
	addition = addition_of(to, &drained, seen, hash);
	if (is_new(&drained)) {
		addition.first_seen_ms = first_seen(
			to, lf_reader_first_seen_ms(to->segment->reader, chunk, index));
		rc = add_source(to, chunk, index, &addition, err);
	}
	if (rc == 0)
		rc = lf_store_add(to->store, &addition, to->flags, err);
	return rc == -ENOENT ? add_unknown(to, chunk, index, &addition, err) : rc;
}

static int add_identity(const struct target *to, const struct lf_identity *identity,
                        enum lf_kind kind, const struct lf_counts *drained,
                        const struct lf_counts *seen, struct lf_error *err)
{
	struct lf_new_entry what = { *identity, kind };
	struct lf_addition addition;
	char hash[LF_HASH_CHARS + 1];
	struct lf_id id;

	lf_entry_id(identity, &id);
	lf_id_to_hex(&id, hash);
	addition = addition_of(to, drained, seen, hash);
	return lf_store_add_new(to->store, &what, &addition, to->flags, err);
}

static const struct lf_identity overflow_identity = {
	{ LF_OVERFLOW_METHOD, sizeof(LF_OVERFLOW_METHOD) - 1 },
	{ LF_OVERFLOW_TEMPLATE, sizeof(LF_OVERFLOW_TEMPLATE) - 1 },
	{ LF_OVERFLOW_FRAME, sizeof(LF_OVERFLOW_FRAME) - 1 },
};

static int add_overflow(const struct target *to, struct lf_error *err)
{
	const struct lf_counts *seen = &lf_reader_counters(to->segment->reader)->overflow;

	if (!differs(&to->segment->drained.overflow, seen))
		return 0;
	return add_identity(to, &overflow_identity, LF_KIND_OVERFLOW,
	                    &to->segment->drained.overflow, seen, err);
}

/* The owner is dead: what its streams had begun is a line. */
static int add_tail(const struct target *to, unsigned i, struct lf_error *err)
{
	static const struct lf_counts none;
	struct lf_counts one = { 0 };
	struct lf_reader_tail tail;
	struct lf_identity identity;
	char masked[LF_TEMPLATE_MAX];
	uint64_t hash;
	int rc = lf_reader_tail(to->segment->reader, i, &tail, err);

	if (rc < 0)
		to->segment->broken = true;
	if (rc <= 0)
		return rc;
	one.of[tail.outcome] = 1;
	if (tail.overflow)
		return add_identity(to, &overflow_identity, LF_KIND_OVERFLOW, &none, &one, err);
	identity = (struct lf_identity){
		.method = tail.method,
		.template = { masked, lf_mask(tail.line, masked, &hash) },
		.frame = tail.frame,
	};
	return add_identity(to, &identity, LF_KIND_MASK1, &none, &one, err);
}

static int add_counts(struct target *to, struct lf_error *err)
{
	const struct lf_counters *seen = lf_reader_counters(to->segment->reader);
	int rc = add_overflow(to, err);

	for (uint32_t c = 0; rc == 0 && c < seen->chunks; c++)
		for (uint32_t i = 0; rc == 0 && i < seen->chunk[c].slots; i++)
			rc = add_slot(to, c, i, &seen->chunk[c].slot[i], err);
	return rc;
}

static int put_watermark(const struct target *to, bool retired, struct lf_error *err)
{
	struct lf_segment_row row = {
		.name = to->segment->name,
		.directory = lf_rundir_path(to->drain->dir),
		.retired = retired,
	};
	uint8_t *record;
	int rc = lf_counters_encode(lf_reader_counters(to->segment->reader), &record,
	                            &row.watermark_bytes);

	if (rc < 0)
		return lf_fail(err, rc, "there is no memory to drain segment '%s'", row.name);
	row.watermark = record;
	rc = lf_store_put_segment(to->store, &row, err);
	free(record);
	return rc;
}

/* After the commit the new watermark must find its place: there is no way back then. */
static int make_room(struct lf_drain_segment *segment)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);
	int rc = 0;

	for (uint32_t c = 0; rc == 0 && c < seen->chunks; c++)
		rc = lf_counters_reserve(&segment->drained, c, seen->chunk[c].slots);
	return rc;
}

static void choose_tally(struct target *to)
{
	uint64_t run_id = lf_reader_header(to->segment->reader).run_id;

	to->flags = to->drain->options.tally ? LF_ADD_TALLY : LF_ADD_PLAIN;
	if (to->flags == LF_ADD_TALLY || !lf_runs_heard(to->drain->options.runs, run_id))
		return;
	to->flags = LF_ADD_TALLY;
	lf_run_id_format(run_id, to->run);
}

int lf_drain_add(struct lf_drain *drain, struct lf_drain_segment *segment, struct lf_store *store,
                 struct lf_error *err)
{
	bool finish = segment->work == LF_WORK_FINISH;
	struct target to = { .drain = drain, .segment = segment, .store = store };
	int rc;

	if (segment->work == LF_WORK_FORGET)
		return lf_store_drop_segment(store, segment->name, err);
	if (segment->work != LF_WORK_ADD && !finish)
		return 0;
	choose_tally(&to);
	rc = make_room(segment);
	if (rc < 0)
		return lf_fail(err, rc, "there is no memory to drain segment '%s'", segment->name);
	rc = add_counts(&to, err);
	for (unsigned i = 0; rc == 0 && finish && i < LF_TAILS; i++)
		rc = add_tail(&to, i, err);
	free((char *)to.source.file.data);
	return rc < 0 ? rc : put_watermark(&to, finish, err);
}
