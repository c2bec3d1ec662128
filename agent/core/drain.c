#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/drain_internal.h"

/* Segments of one transaction.  Bounds what is open and what is held in memory at once when a crowd
 * of dead processes is taken over. */
enum { BATCH = 128 };

void lf_drain_reach(const struct lf_drain *drain, enum lf_drain_point point)
{
	if (drain->options.hooks && drain->options.hooks->at)
		drain->options.hooks->at(drain->options.hooks->arg, point);
}

static uint64_t now_ms(const struct lf_drain *drain)
{
	const struct lf_drain_hooks *hooks = drain->options.hooks;
	struct timespec now = { 0 };

	if (hooks && hooks->now_ms)
		return hooks->now_ms(hooks->arg);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Life cycle ---- */

static bool is_any(const struct lf_drain_segment *segment)
{
	(void)segment;
	return true;
}

void lf_drain_close(struct lf_drain *drain)
{
	if (!drain)
		return;
	lf_drain_forget(drain, is_any);
	lf_drain_users_close(drain);
	free(drain->segments);
	free(drain);
}

int lf_drain_open(struct lf_drain **out, struct lf_rundir *dir, struct lf_store *store,
                  const struct lf_drain_options *options, struct lf_error *err)
{
	struct lf_drain *drain = calloc(1, sizeof(*drain));
	int rc;

	if (!drain)
		return lf_fail(err, -ENOMEM, "there is no memory to drain '%s'", lf_rundir_path(dir));
	drain->dir = dir;
	drain->options = *options;
	drain->shared = lf_rundir_is_shared(dir);
	lf_host_read(&drain->host);
	(void)snprintf(drain->store_path, sizeof(drain->store_path), "%s",
	               options->observe_for ? options->observe_for : lf_store_path(store));
	rc = lf_drain_attach(drain, store, err);
	if (rc < 0)
		lf_drain_close(drain);
	else
		*out = drain;
	return rc;
}

int lf_drain_rebase(struct lf_drain *drain, struct lf_store *store, struct lf_error *err)
{
	return lf_drain_attach(drain, store, err);
}

uint64_t lf_drain_sequence(const struct lf_drain *drain)
{
	return drain->at.drain_sequence;
}

size_t lf_drain_segments(const struct lf_drain *drain)
{
	size_t listed = 0;

	for (size_t i = 0; i < drain->count; i++)
		listed += drain->segments[i]->listed;
	return listed;
}

/* ---- Quarantine ---- */

void lf_drain_quarantine(struct lf_drain *drain, const char *name, const char *reason)
{
	const struct lf_reporter *reporter = &drain->options.reporter;
	const char *path = lf_rundir_path(drain->dir);

	if (!lf_drain_keeps_quarantined(drain, name))
		(void)unlinkat(lf_rundir_segments_fd(drain->dir), name, 0);
	else if (drain->options.observe_for)
		lf_say(reporter, "segment '%s/segments/%s' is not counted: %s", path, name, reason);
	else if (renameat(lf_rundir_segments_fd(drain->dir), name,
	                  lf_rundir_quarantine_fd(drain->dir), name) == 0)
		lf_say(reporter, "segment '%s/quarantine/%s' was moved there and is not counted: %s", path,
		       name, reason);
	else if (errno != ENOENT)
		lf_say(reporter, "segment '%s/segments/%s' is not counted (%s) and cannot be moved away: %s",
		       path, name, reason, strerror(errno));
}

/* ---- One batch ---- */

struct batch {
	struct lf_drain *drain;
	struct lf_store *store;
	size_t count;
	struct lf_drain_segment *segments[BATCH];
};

static bool is_added(const struct lf_drain_segment *segment)
{
	return segment->work == LF_WORK_ADD || segment->work == LF_WORK_FINISH;
}

static bool needs_transaction(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (is_added(batch->segments[i]) || batch->segments[i]->work == LF_WORK_FORGET)
			return true;
	return false;
}

/* One try.  When a segment turns out to be broken, it is refused and 1 says: once more, without it. */
static int try_transaction(struct batch *batch, struct lf_error *err)
{
	struct lf_error reason = { "" };
	int rc = lf_store_begin(batch->store, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < batch->count; i++) {
		struct lf_drain_segment *segment = batch->segments[i];

		rc = lf_drain_add(batch->drain, segment, batch->store, &reason);
		if (rc == 0)
			continue;
		lf_store_rollback(batch->store);
		if (!segment->broken)
			return lf_fail(err, rc, "%s", reason.text);
		lf_drain_refuse(batch->drain, segment, reason.text);
		return 1;
	}
	lf_drain_reach(batch->drain, LF_DRAIN_ADDED);
	rc = lf_store_commit(batch->store, err);
	if (rc < 0)
		lf_store_rollback(batch->store);
	return rc;
}

static uint64_t sum(const struct lf_counts *counts)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++)
		total += counts->of[i];
	return total;
}

static uint64_t first_sights(const struct lf_counters *seen, const struct lf_counters *drained)
{
	uint64_t found = 0;

	for (uint32_t c = 0; c < seen->chunks; c++)
		for (uint32_t i = 0; i < seen->chunk[c].slots; i++) {
			struct lf_counts before = lf_counters_get(drained, c, i);

			found += sum(&before) == 0 && sum(&seen->chunk[c].slot[i]) > 0;
		}
	return found;
}

/* Where a counter may fall, less is counted than there was: a tally is no count. */
static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void tally(struct lf_drain *drain, const struct lf_drain_segment *segment)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);

	drain->tally.calls += more(lf_counters_total(seen), lf_counters_total(&segment->drained));
	drain->tally.first_sights += first_sights(seen, &segment->drained);
	drain->tally.overflow += more(sum(&seen->overflow), sum(&segment->drained.overflow));
}

const struct lf_drain_tally *lf_drain_tally(const struct lf_drain *drain)
{
	return &drain->tally;
}

static void take_as_drained(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	if (segment->work == LF_WORK_FORGET)
		segment->over = true;
	if (!is_added(segment))
		return;
	segment->retired = segment->work == LF_WORK_FINISH;
	tally(drain, segment);
	lf_drain_tell_suppressed(drain, segment);
	if (segment->retired)
		lf_drain_tell_folds(drain, segment, true);
	segment->in_store = true;
	/* Cannot fail: lf_drain_add() made room. */
	(void)lf_counters_raise(&segment->drained, lf_reader_counters(segment->reader));
}

static int commit_batch(struct batch *batch, struct lf_error *err)
{
	struct lf_drain *drain = batch->drain;
	struct lf_error reason;
	int rc;

	if (!needs_transaction(batch))
		return 0;
	do
		rc = try_transaction(batch, err);
	while (rc > 0);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < batch->count; i++)
		take_as_drained(drain, batch->segments[i]);
	lf_drain_reach(drain, LF_DRAIN_COMMITTED);
	/* Without a stamp all is still counted; only a store that is set back later finds less here. */
	rc = lf_drain_stamp(drain, batch->store, &reason);
	if (rc < 0 && !drain->stamp_failed)
		lf_say(&drain->options.reporter, "in run directory '%s', %s",
		       lf_rundir_path(drain->dir), reason.text);
	drain->stamp_failed = rc < 0;
	lf_drain_reach(drain, LF_DRAIN_STAMPED);
	return 0;
}

/* ---- What is drained to the end goes ---- */

static bool is_removable(const struct lf_drain *drain, const struct lf_drain_segment *segment)
{
	return segment->retired && segment->listed && !segment->over && !drain->options.observe_for;
}

/* True when a file went. */
static bool unlink_batch(const struct batch *batch)
{
	const struct lf_drain *drain = batch->drain;
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		struct lf_drain_segment *segment = batch->segments[i];

		if (!is_removable(drain, segment))
			continue;
		if (unlinkat(lf_rundir_segments_fd(drain->dir), segment->name, 0) == 0 ||
		    errno == ENOENT) {
			segment->listed = false;
			segment->work = LF_WORK_FORGET;
			any = true;
		} else if (!segment->told) {
			lf_say(&drain->options.reporter,
			       "segment '%s/segments/%s' is counted, but cannot be removed: %s",
			       lf_rundir_path(drain->dir), segment->name, strerror(errno));
			segment->told = true;
		}
	}
	return any;
}

static int drop_batch(const struct batch *batch, struct lf_error *err)
{
	int rc = lf_store_begin(batch->store, err);

	for (size_t i = 0; rc == 0 && i < batch->count; i++)
		if (batch->segments[i]->work == LF_WORK_FORGET && !batch->segments[i]->over)
			rc = lf_store_drop_segment(batch->store, batch->segments[i]->name, err);
	if (rc == 0)
		rc = lf_store_commit(batch->store, err);
	if (rc < 0) {
		lf_store_rollback(batch->store);
		return rc;
	}
	for (size_t i = 0; i < batch->count; i++)
		batch->segments[i]->over |= batch->segments[i]->work == LF_WORK_FORGET;
	return 0;
}

static int remove_batch(const struct batch *batch, struct lf_error *err)
{
	int rc;

	if (!unlink_batch(batch))
		return 0;
	lf_drain_reach(batch->drain, LF_DRAIN_UNLINKED);
	rc = drop_batch(batch, err);
	if (rc == 0)
		lf_drain_reach(batch->drain, LF_DRAIN_DROPPED);
	return rc;
}

/* ---- The whole directory ---- */

static void end_batch(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct lf_drain_segment *segment = batch->segments[i];

		if (!segment->reader)
			continue;
		lf_reader_rest(segment->reader);
		if (segment->retired) {
			lf_reader_free(segment->reader);
			segment->reader = NULL;
		}
	}
	batch->count = 0;
}

static int run_batch(struct batch *batch, struct lf_error *err)
{
	int rc = commit_batch(batch, err);

	if (rc == 0)
		rc = remove_batch(batch, err);
	end_batch(batch);
	return rc;
}

static bool is_over(const struct lf_drain_segment *segment)
{
	return segment->over;
}

static void tell_without_room(const struct lf_drain *drain)
{
	if (drain->without_room)
		lf_say(&drain->options.reporter,
		       "%u process%s could not be counted, as there is no space in '%s': make some, or "
		       "set " LF_RUNDIR_ENV " to another file system", drain->without_room,
		       drain->without_room == 1 ? "" : "es", lf_rundir_path(drain->dir));
}

int lf_drain_run(struct lf_drain *drain, struct lf_store *store, struct lf_error *err)
{
	struct batch batch = { .drain = drain, .store = store };
	int rc = lf_drain_list(drain, err);

	drain->now_ms = now_ms(drain);
	drain->without_room = 0;
	for (size_t i = 0; rc == 0 && i < drain->count; i++) {
		struct lf_drain_segment *segment = drain->segments[i];

		lf_drain_examine(drain, segment);
		if (segment->work == LF_WORK_FORGET && !segment->in_store)
			segment->over = true;
		else if (segment->work != LF_WORK_NONE)
			batch.segments[batch.count++] = segment;
		if (batch.count == BATCH)
			rc = run_batch(&batch, err);
	}
	if (rc == 0)
		rc = run_batch(&batch, err);
	else
		end_batch(&batch);
	lf_drain_forget(drain, is_over);
	tell_without_room(drain);
	return rc;
}
