/* Reading a segment for a drain: what there is to do for it, and whether it can be trusted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/drain_internal.h"

/* No machine counts 10^9 calls a second in one entry; a minute of slack lets clocks be set. */
static const uint64_t counts_per_ms_max = 1000000;
static const uint64_t slack_ms = 60000;
/* Beyond this a counter is no count, whatever its age; the store's sums rely on it. */
static const uint64_t counter_max = UINT64_C(1) << 59;
/* The owner may be of a process namespace that we do not see; then its header comes within this. */
static const uint64_t birth_ms = 1000;

void lf_drain_refuse(struct lf_drain *drain, struct lf_drain_segment *segment, const char *reason)
{
	segment->refused = true;
	segment->work = LF_WORK_NONE;
	lf_drain_release(drain, segment);
	lf_owner_unwatch(&segment->watch);
	if (segment->reader)
		lf_reader_rest(segment->reader);
	lf_drain_quarantine(drain, segment->name, reason);
}

/* ---- Counters ---- */

struct comparison {
	uint64_t leap;     /* a counter that grew by more did not count calls */
	bool may_fall;
	bool moved;
	const char *wrong; /* why the segment cannot be trusted */
};

static void compare(struct comparison *c, const struct lf_counts *drained,
                    const struct lf_counts *seen)
{
	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++) {
		if (seen->of[i] == drained->of[i])
			continue;
		if (seen->of[i] < drained->of[i]) {
			if (!c->may_fall)
				c->wrong = "a counter fell";
			continue;
		}
		if (seen->of[i] >= counter_max || seen->of[i] - drained->of[i] > c->leap)
			c->wrong = "a counter leapt further than calls can be made";
		c->moved = true;
	}
}

static struct comparison compare_all(const struct lf_drain *drain,
                                     const struct lf_drain_segment *segment)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);
	uint64_t since_ms = segment->drained.taken_ms;
	struct comparison c = {
		/* A file system that lost its last writes with the power has an older state. */
		.may_fall = lf_owner_is_of_another_boot(&drain->host, &segment->owner),
	};

	if (!since_ms)
		since_ms = lf_reader_header(segment->reader).created_ms;
	c.leap = counts_per_ms_max *
	         (slack_ms + (drain->now_ms > since_ms ? drain->now_ms - since_ms : 0));
	compare(&c, &segment->drained.overflow, &seen->overflow);
	for (uint32_t n = 0; n < seen->chunks; n++)
		for (uint32_t i = 0; i < seen->chunk[n].slots; i++) {
			struct lf_counts drained = lf_counters_get(&segment->drained, n, i);

			compare(&c, &drained, &seen->chunk[n].slot[i]);
		}
	return c;
}

/* ---- Reading ---- */

/* Its owner died before it could count anything: the file goes. */
static void remove_unborn(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	if (lf_reader_had_no_room(segment->reader) && !segment->told)
		drain->without_room += lf_drain_tells_waiting(drain, segment);
	segment->told = true;
	if (drain->options.observe_for ||
	    lf_reader_age_ms(segment->reader, drain->now_ms) < birth_ms)
		return;
	(void)unlinkat(lf_rundir_segments_fd(drain->dir), segment->name, 0);
}

static void cannot_read(struct lf_drain *drain, struct lf_drain_segment *segment, int rc,
                        const struct lf_error *err)
{
	if (rc == -ENOENT) {
		segment->listed = false;
		return;
	}
	if (rc == -EBADMSG) {
		lf_drain_refuse(drain, segment, err->text);
		return;
	}
	/* It is tried again at each drain, and told once. */
	if (!segment->told && lf_drain_tells_waiting(drain, segment))
		lf_say(&drain->options.reporter, "segment '%s/segments/%s' waits: %s",
		       lf_rundir_path(drain->dir), segment->name, err->text);
	segment->told = true;
}

/* Reads the segment; true when its counters are good, and *dead says whether they are the last. */
static bool read_all(struct lf_drain *drain, struct lf_drain_segment *segment, bool *dead)
{
	int dirfd = lf_rundir_segments_fd(drain->dir);
	struct lf_error err = { "" };
	int rc = lf_reader_read(segment->reader, dirfd, drain->now_ms, &err);

	if (rc == -EAGAIN) {
		if (lf_owner_is_dead(&drain->host, &segment->owner, drain->host.pid_namespace))
			remove_unborn(drain, segment);
		return false;
	}
	*dead = rc == 0 && lf_owner_has_died(&drain->host, &segment->owner,
	                                     lf_reader_header(segment->reader).pid_namespace,
	                                     &segment->watch);
	/* Between the first reading and its death it may have counted more. */
	if (*dead) {
		lf_drain_reach(drain, LF_DRAIN_FOUND_DEAD);
		rc = lf_reader_read(segment->reader, dirfd, drain->now_ms, &err);
	}
	if (rc == 0)
		return true;
	cannot_read(drain, segment, rc, &err);
	return false;
}

/* The first look at a name. */
static bool is_readable(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	if (segment->reader)
		return true;
	if (!lf_process_id_parse(segment->name, &segment->owner)) {
		lf_drain_refuse(drain, segment, "its name is not a segment's");
		return false;
	}
	return lf_reader_new(&segment->reader, segment->name,
	                     drain->shared ? LF_READER_ANYBODY : LF_READER_OURS) == 0;
}

/* True when it is to be counted.  What is not goes with its owner. */
static bool is_accepted(struct lf_drain *drain, struct lf_drain_segment *segment, bool dead)
{
	struct lf_error err;
	bool accepted;

	if (lf_drain_is_accepted(drain, segment, &accepted, &err) < 0) {
		lf_drain_refuse(drain, segment, err.text);
		return false;
	}
	if (!accepted && dead && !drain->options.observe_for)
		(void)unlinkat(lf_rundir_segments_fd(drain->dir), segment->name, 0);
	return accepted;
}

static enum lf_drain_work judge(struct lf_drain *drain, struct lf_drain_segment *segment, bool dead)
{
	struct comparison found = compare_all(drain, segment);

	if (found.wrong) {
		lf_drain_refuse(drain, segment, found.wrong);
		return LF_WORK_NONE;
	}
	segment->told = false;
	if (dead)
		return LF_WORK_FINISH;
	lf_drain_tell_folds(drain, segment, false);
	if (found.moved)
		return LF_WORK_ADD;
	/* From here on a leap is measured from now.  Where something moved, the commit says so: as long as
	 * none succeeds, what waits grows for all of that time. */
	segment->drained.taken_ms = drain->now_ms;
	return LF_WORK_NONE;
}

void lf_drain_examine(struct lf_drain *drain, struct lf_drain_segment *segment)
{
	bool dead = false;

	segment->work = LF_WORK_NONE;
	if (!segment->listed)
		segment->work = LF_WORK_FORGET;
	else if (segment->refused)
		return;
	else if (segment->retired)
		segment->work = drain->options.observe_for ? LF_WORK_NONE : LF_WORK_REMOVE;
	else if (lf_drain_admits(drain, segment) && is_readable(drain, segment) &&
	         read_all(drain, segment, &dead) && is_accepted(drain, segment, dead))
		segment->work = judge(drain, segment, dead);
	if (segment->work != LF_WORK_ADD && segment->work != LF_WORK_FINISH && segment->reader)
		lf_reader_rest(segment->reader);
}
