/* Every counter of one segment: what a reader saw, and what was drained of it (a watermark).
 *
 * Slots are addressed as in the file, by chunk and index.  A counter that was never heard of is 0.
 * Belongs to one thread; agent side, on the heap.
 */
#ifndef LOGFOLD_MAP_COUNTERS_H
#define LOGFOLD_MAP_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/map/layout.h"
#include "logfold/error.h"

enum {
	/* A chunk cannot hold more: its header and text take some of it. */
	LF_CHUNK_SLOTS_MAX = (LF_CHUNK_BYTES - LF_CHUNK_HEADER_BYTES) / sizeof(struct lf_slot),
};

struct lf_counts {
	uint64_t of[LF_OUTCOME_COUNT];
};

struct lf_chunk_counters {
	uint32_t slots;
	struct lf_counts *slot; /* `slots` of them */
};

struct lf_counters {
	uint64_t taken_ms; /* CLOCK_REALTIME when they were read; 0: never */
	struct lf_counts overflow;
	uint32_t chunks;
	struct lf_chunk_counters *chunk; /* `chunks` of them */
};

/* All zero is an empty one: nothing has to be initialised. */
void lf_counters_fini(struct lf_counters *counters);

/* The counters of a slot, or zeros. */
struct lf_counts lf_counters_get(const struct lf_counters *counters, uint32_t chunk,
                                 uint32_t index);

/* Makes room for `slots` slots of a chunk; new ones are 0.  -ENOMEM. */
LF_MUST_CHECK int lf_counters_reserve(struct lf_counters *counters, uint32_t chunk, uint32_t slots);

/* Raises each counter of `to` to what it is in `from`; with an empty `to` that is a copy.  -ENOMEM,
 * unless room was reserved before. */
int lf_counters_raise(struct lf_counters *to, const struct lf_counters *from);

/* The sum of all, overflow included. */
uint64_t lf_counters_total(const struct lf_counters *counters);

/* A compact record: one byte for a slot of zeros, two or three for a typical one.  *out is from
 * malloc. */
LF_MUST_CHECK int lf_counters_encode(const struct lf_counters *counters, uint8_t **out,
                                     size_t *bytes);

/* Into an empty one.  -EBADMSG when the record is not one; then `out` is empty again. */
LF_MUST_CHECK int lf_counters_decode(struct lf_counters *out, const uint8_t *record, size_t bytes);

#endif
