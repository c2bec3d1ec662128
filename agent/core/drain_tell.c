/* What a drain tells of calls that were not printed: to the announcer. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/drain_internal.h"
#include "agent/map/verdict.h"
#include "hashing/clock.h"

/* A process that was held up just before it tells a fold may be so late. */
enum { LATE_MS = 200 };

/* The template, where it can still be read. */
static struct lf_text template_of(const struct lf_drain_segment *segment, uint32_t chunk, uint32_t index,
                                  struct lf_reader_entry *room)
{
	if (lf_reader_entry(segment->reader, chunk, index, room, NULL) < 0)
		return (struct lf_text){ "", 0 };
	return room->identity.template;
}

/* ---- Muted, sampled, limited ---- */

static void tell_slot(const struct lf_drain *drain, const struct lf_drain_segment *segment,
                      uint64_t namespace_key, uint32_t chunk, uint32_t index)
{
	struct lf_announcer *announcer = drain->options.announcer;
	struct lf_counts before = lf_counters_get(&segment->drained, chunk, index);
	struct lf_counts now = lf_counters_get(lf_reader_counters(segment->reader), chunk, index);
	const struct lf_id *id = lf_reader_id(segment->reader, chunk, index);
	struct lf_reader_entry room;

	for (unsigned i = LF_MUTED; id && i <= LF_LIMITED; i++) {
		struct lf_announced what = { namespace_key, *id, (enum lf_outcome)i };

		if (now.of[i] > before.of[i] &&
		    lf_announcer_add(announcer, &what, now.of[i] - before.of[i]))
			lf_announcer_name(announcer, &what, template_of(segment, chunk, index, &room));
	}
}

void lf_drain_tell_suppressed(const struct lf_drain *drain, const struct lf_drain_segment *segment)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);
	uint64_t key;

	if (!drain->options.announcer)
		return;
	key = lf_flags_namespace_key(lf_reader_header(segment->reader).namespace);
	for (uint32_t c = 0; c < seen->chunks; c++)
		for (uint32_t i = 0; i < seen->chunk[c].slots; i++)
			tell_slot(drain, segment, key, c, i);
}

/* ---- Folded ---- */

/* An agent's look at one segment. */
struct moment {
	const struct lf_flags *flags; /* NULL: there is no table */
	uint64_t namespace_key, now_ms;
	uint64_t known_ms; /* how long ago an earlier agent told what was due then */
	bool last;         /* the owner is dead */
};

/* What the flags table says of an entry's fold. */
struct fold {
	bool in_force;
	uint64_t period_ms, left_ms; /* so long it is left to its process */
	uint64_t due_ms;
};

static struct fold fold_of(const struct moment *moment, const struct lf_id *id)
{
	static const struct fold unknown = { true, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	struct fold fold = { .in_force = false };
	uint32_t generation;
	uint64_t rule;

	if (!moment->flags)
		return fold;
	/* While it is being rewritten nobody is told anything. */
	if (lf_flags_look_up(moment->flags, id, moment->namespace_key, &generation, &rule) < 0)
		return unknown;
	if (lf_rule_kind(rule) != LF_RULE_FOLD)
		return fold;
	fold.in_force = true;
	fold.period_ms = lf_rule_period_ms(rule);
	fold.left_ms = fold.period_ms + lf_fold_grace_ms(moment->flags);
	fold.due_ms = fold.left_ms + LATE_MS;
	return fold;
}

/* Where it is kept how far a slot's fold was told; NULL without memory. */
static struct lf_drain_fold *kept_of(struct lf_drain_segment *segment, uint32_t chunk, uint32_t index)
{
	struct lf_drain_told *told;

	if (chunk >= segment->told_chunks) {
		struct lf_drain_told *more = realloc(segment->told_folds, (chunk + 1) * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + segment->told_chunks, 0, (chunk + 1 - segment->told_chunks) * sizeof(*more));
		segment->told_folds = more;
		segment->told_chunks = chunk + 1;
	}
	told = &segment->told_folds[chunk];
	if (index >= told->slots) {
		uint32_t slots = lf_reader_counters(segment->reader)->chunk[chunk].slots;
		struct lf_drain_fold *more = realloc(told->fold, slots * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + told->slots, 0, (slots - told->slots) * sizeof(*more));
		told->fold = more;
		told->slots = slots;
	}
	return &told->fold[index];
}

/* How many of the word's repeats were not told yet: it may have gone on since. */
static uint32_t untold(uint64_t word, uint64_t told)
{
	if (told >> LF_POLICED_SINCE_SHIFT != word >> LF_POLICED_SINCE_SHIFT ||
	    lf_policed_count(told) > lf_policed_count(word))
		return lf_policed_count(word);
	return lf_policed_count(word) - lf_policed_count(told);
}

/* The process has had its time, or has none any more. */
static bool is_due(const struct moment *moment, const struct fold *fold, uint64_t age_ms)
{
	return moment->last || !fold->in_force || age_ms >= fold->due_ms;
}

/* An earlier agent has told it. */
static bool is_known(const struct moment *moment, const struct fold *fold, uint64_t age_ms)
{
	return fold->in_force && age_ms >= moment->known_ms && age_ms - moment->known_ms >= fold->due_ms;
}

/* The process has begun another period, or has another rule, and left the repeats of the one before to us: a
 * call that comes between our time and our look. */
static bool is_left_behind(const struct fold *fold, uint64_t seen, uint64_t word)
{
	if ((seen & 15) != LF_RULE_FOLD || !lf_policed_count(seen))
		return false;
	if ((word & 15) != LF_RULE_FOLD)
		return true;
	return seen >> LF_POLICED_SINCE_SHIFT != word >> LF_POLICED_SINCE_SHIFT &&
	       lf_policed_age_ms(seen, word >> LF_POLICED_SINCE_SHIFT) >= fold->left_ms;
}

/* One fold of one slot. */
struct place {
	const struct lf_drain *drain;
	struct lf_drain_segment *segment;
	uint32_t chunk, index;
	const struct lf_id *id;
};

static void tell(const struct place *place, const struct fold *fold, uint32_t repeats, uint64_t age_ms)
{
	struct lf_reader_entry room;

	if (repeats == 0)
		return;
	if (fold->in_force && age_ms > fold->period_ms)
		age_ms = fold->period_ms;
	lf_announcer_fold(place->drain->options.announcer, place->id,
	                  template_of(place->segment, place->chunk, place->index, &room), repeats,
	                  age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX);
}

static void tell_due(const struct place *place, const struct moment *moment, const struct fold *fold,
                     struct lf_drain_fold *kept)
{
	uint64_t word = kept->seen, age_ms = lf_policed_age_ms(word, moment->now_ms);
	uint32_t repeats;

	if ((word & 15) != LF_RULE_FOLD || !lf_policed_count(word) || kept->told == word ||
	    !is_due(moment, fold, age_ms))
		return;
	repeats = untold(word, kept->told);
	kept->told = word;
	if (!is_known(moment, fold, age_ms))
		tell(place, fold, repeats, age_ms);
}

static bool is_fold(const struct lf_drain_segment *segment, uint32_t chunk, uint32_t index)
{
	return (lf_reader_policed(segment->reader, chunk, index) & 15) == LF_RULE_FOLD ||
	       (chunk < segment->told_chunks && index < segment->told_folds[chunk].slots &&
	        segment->told_folds[chunk].fold[index].seen);
}

static void tell_fold(const struct lf_drain *drain, struct lf_drain_segment *segment,
                      const struct moment *moment, uint32_t chunk, uint32_t index)
{
	struct place place = { drain, segment, chunk, index, lf_reader_id(segment->reader, chunk, index) };
	uint64_t seen, word = lf_reader_policed(segment->reader, chunk, index);
	struct lf_drain_fold *kept;
	struct fold fold;

	if (!place.id || !is_fold(segment, chunk, index))
		return;
	kept = kept_of(segment, chunk, index);
	if (!kept || (kept->seen == word && (kept->told == word || !lf_policed_count(word))))
		return;
	fold = fold_of(moment, place.id);
	if (fold.left_ms == UINT64_MAX && !moment->last)
		return;
	seen = kept->seen;
	kept->seen = (word & 15) == LF_RULE_FOLD ? word : 0;
	if (is_left_behind(&fold, seen, word))
		tell(&place, &fold, untold(seen, kept->told), lf_policed_age_ms(seen, moment->now_ms));
	tell_due(&place, moment, &fold, kept);
}

static bool any_fold(const struct lf_drain_segment *segment)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);

	for (uint32_t c = 0; c < seen->chunks; c++)
		for (uint32_t i = 0; i < seen->chunk[c].slots; i++)
			if (is_fold(segment, c, i))
				return true;
	return false;
}

void lf_drain_tell_folds(const struct lf_drain *drain, struct lf_drain_segment *segment, bool last)
{
	const struct lf_counters *seen = lf_reader_counters(segment->reader);
	struct moment moment = { .now_ms = (uint64_t)lf_clock_ms(), .known_ms = UINT64_MAX, .last = last };
	uint64_t drained_ms = segment->drained.taken_ms;
	struct lf_flags *flags;
	int rc;

	/* The first look at a segment that another agent has drained. */
	if (!segment->folds_seen && segment->in_store && drain->now_ms > drained_ms)
		moment.known_ms = drain->now_ms - drained_ms;
	segment->folds_seen = true;
	if (!drain->options.announcer || !any_fold(segment))
		return;
	flags = lf_flags_map(lf_rundir_fd(drain->dir), 0, &rc);
	moment.flags = flags;
	moment.namespace_key = lf_flags_namespace_key(lf_reader_header(segment->reader).namespace);
	for (uint32_t c = 0; c < seen->chunks; c++)
		for (uint32_t i = 0; i < seen->chunk[c].slots; i++)
			tell_fold(drain, segment, &moment, c, i);
	lf_flags_unmap(flags);
}

void lf_drain_forget_folds(struct lf_drain_segment *segment)
{
	for (uint32_t c = 0; c < segment->told_chunks; c++)
		free(segment->told_folds[c].fold);
	free(segment->told_folds);
	segment->told_folds = NULL;
	segment->told_chunks = 0;
}
