/* Whose directory it is, and how far it was drained: the watermarks of the store and of the stamp.
 *
 * A counter counts as drained up to the higher of the two.  With a store that is what it was, the
 * store's are at least as new; with one that was set back, copied over or made anew, the stamp's
 * are, and what lies between is the gap.  So no call is ever added twice to one lineage of numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/drain_internal.h"
#include "agent/core/lineage.h"
#include "agent/core/stamp.h"

/* ---- Writing ---- */

struct walk {
	const struct lf_drain *drain;
	size_t at;
};

static int next_segment(void *arg, const char **name, const struct lf_counters **counters)
{
	struct walk *walk = arg;

	while (walk->at < walk->drain->count) {
		const struct lf_drain_segment *segment = walk->drain->segments[walk->at++];

		if (!segment->listed || segment->refused || segment->drained.chunks == 0)
			continue;
		*name = segment->name;
		*counters = &segment->drained;
		return 1;
	}
	return 0;
}

static int write_stamp(struct lf_drain *drain, struct lf_error *err)
{
	struct lf_stamp head = { .sequence = drain->at.drain_sequence };
	struct walk walk = { drain, 0 };

	memcpy(head.store, drain->store_path, sizeof(head.store));
	memcpy(head.incarnation, drain->at.uuid, sizeof(head.incarnation));
	return lf_stamp_write(lf_rundir_fd(drain->dir), &head, next_segment, &walk, err);
}

int lf_drain_stamp(struct lf_drain *drain, struct lf_store *store, struct lf_error *err)
{
	int rc;

	if (drain->options.observe_for)
		return 0;
	rc = lf_store_incarnation(store, &drain->at, err);
	return rc < 0 ? rc : write_stamp(drain, err);
}

/* The wish only: nothing is committed, so the store that the stamp names has all of it to count.  A
 * stamp that is there already stays. */
static int stamp_for_later(struct lf_drain *drain, struct lf_error *err)
{
	struct lf_stamp stamp = { .count = 0 };
	int rc = lf_stamp_read(lf_rundir_fd(drain->dir), &stamp, NULL);

	lf_stamp_fini(&stamp);
	return rc == -ENOENT ? write_stamp(drain, err) : 0;
}

/* ---- Taking over ---- */

struct takeover {
	struct lf_drain *drain;
	const struct lf_stamp *stamp;
	uint64_t stored; /* calls that the store has of the segments that are in the stamp */
};

static int take_watermark(struct takeover *take, struct lf_drain_segment *segment,
                          const struct lf_segment_row *row)
{
	struct lf_counters counters = { 0 };
	int rc = lf_counters_decode(&counters, row->watermark, row->watermark_bytes);

	if (rc == -EBADMSG) {
		/* Without it nobody knows what of the segment was counted. */
		lf_drain_refuse(take->drain, segment, "the store's record of it is damaged");
		return 0;
	}
	if (rc < 0)
		return rc;
	if (segment->listed && lf_stamp_find(take->stamp, segment->name))
		take->stored += lf_counters_total(&counters);
	rc = lf_counters_raise(&segment->drained, &counters);
	lf_counters_fini(&counters);
	return rc;
}

/* Rows of other directories are none of ours, unless the directory was moved here. */
static int take_row(void *arg, const struct lf_segment_row *row)
{
	struct takeover *take = arg;
	struct lf_drain_segment *segment = lf_drain_find_file(take->drain, row->name);

	if (!segment && strcmp(row->directory, lf_rundir_path(take->drain->dir)) == 0) {
		/* Its file is gone: known, so that the next drain drops the row. */
		segment = lf_drain_learn(take->drain, row->name);
		if (!segment)
			return -ENOMEM;
	}
	if (!segment)
		return 0;
	segment->retired |= row->retired;
	segment->in_store = true;
	return take_watermark(take, segment, row);
}

static int take_stamp(struct lf_drain *drain, const struct lf_stamp *stamp, uint64_t *calls)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < stamp->count; i++) {
		struct lf_drain_segment *segment = lf_drain_find_file(drain, stamp->segments[i].name);

		if (!segment || !segment->listed)
			continue;
		*calls += lf_counters_total(&stamp->segments[i].counters);
		rc = lf_counters_raise(&segment->drained, &stamp->segments[i].counters);
	}
	return rc;
}

static void tell_gap(const struct lf_drain *drain, uint64_t stamped, uint64_t stored)
{
	lf_say(&drain->options.reporter,
	       "store '%s' was restored, replaced or made anew: %llu calls that were counted before, "
	       "of processes in '%s', are not in it; counting goes on from there",
	       drain->store_path, (unsigned long long)(stamped > stored ? stamped - stored : 0),
	       lf_rundir_path(drain->dir));
}

static int take_over(struct lf_drain *drain, struct lf_store *store, const struct lf_stamp *stamp,
                     struct lf_error *err)
{
	struct takeover take = { drain, stamp, 0 };
	enum lf_history history;
	uint64_t stamped = 0;
	int rc = lf_lineage_check(store, stamp, &history, err);

	if (rc < 0)
		return rc;
	rc = lf_store_each_segment(store, NULL, take_row, &take, err);
	if (rc == 0)
		rc = take_stamp(drain, stamp, &stamped);
	if (rc == -ENOMEM)
		return lf_fail(err, rc, "there is no memory to take over '%s'",
		               lf_rundir_path(drain->dir));
	if (rc == 0 && history != LF_HISTORY_OURS)
		tell_gap(drain, stamped, take.stored);
	return rc;
}

static int read_stamp(const struct lf_drain *drain, struct lf_stamp *out, struct lf_error *err)
{
	struct lf_error why;
	int rc = lf_stamp_read(lf_rundir_fd(drain->dir), out, &why);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return lf_fail(err, rc, "run directory '%s' is left alone, as %s: move the directory "
		                        "away, what it has counted since its last drain is then left out",
		               lf_rundir_path(drain->dir), why.text);
	if (strcmp(out->store, drain->store_path) == 0)
		return 0;
	rc = lf_fail(err, -EPERM, "run directory '%s' belongs to store '%s'",
	             lf_rundir_path(drain->dir), out->store);
	lf_stamp_fini(out);
	return rc;
}

static int stamp_at_first(struct lf_drain *drain, struct lf_store *store, struct lf_error *err)
{
	struct lf_error why;
	int rc = lf_drain_stamp(drain, store, &why);

	return rc < 0 ? lf_fail(err, rc, "in run directory '%s', %s: set LOGFOLD_RUN_DIR to another place",
	                        lf_rundir_path(drain->dir), why.text) : 0;
}

int lf_drain_attach(struct lf_drain *drain, struct lf_store *store, struct lf_error *err)
{
	struct lf_stamp stamp = { .count = 0 };
	int rc = lf_drain_list(drain, err);

	if (rc == 0 && drain->options.observe_for)
		return stamp_for_later(drain, err);
	if (rc == 0)
		rc = read_stamp(drain, &stamp, err);
	if (rc == 0)
		rc = take_over(drain, store, &stamp, err);
	if (rc == 0)
		rc = stamp_at_first(drain, store, err);
	lf_stamp_fini(&stamp);
	return rc;
}
