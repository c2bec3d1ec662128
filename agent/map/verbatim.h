/* Entries whose template is a text as it stands, made clean where it is not: and the room that takes.
 *
 * Lock-free, no heap, no errno; any thread, signal handlers too.
 */
#ifndef LOGFOLD_MAP_VERBATIM_H
#define LOGFOLD_MAP_VERBATIM_H

#include "agent/map/map.h"

enum { LF_SCRATCHES = 16 };

/* Room to make one text in: hosts may have stacks of a few kilobytes.  Never held across a call that the
 * host may leave by longjmp or cancellation. */
struct lf_scratch {
	char masked[LF_TEMPLATE_MAX];
};

/* All zero at first. */
struct lf_scratches {
	_Atomic uint32_t taken; /* a bit for each */
	struct lf_scratch each[LF_SCRATCHES];
};

/* NULL when all are taken; the caller then counts into the overflow entry. */
struct lf_scratch *lf_scratches_take(struct lf_scratches *scratches);
void lf_scratches_give(struct lf_scratches *scratches, struct lf_scratch *scratch); /* NULL is fine */

/* The slot of an entry, added where the map does not know it; NULL: count into the overflow entry.
 * `fixed_len` as in struct lf_slot. */
struct lf_slot *lf_map_find_or_add(struct lf_map *map, const struct lf_map_key *key,
                                   enum lf_kind kind, uint32_t fixed_len);

/* The same for a key without a hash, whose template may be too long or not UTF-8. */
struct lf_slot *lf_map_verbatim(struct lf_map *map, struct lf_scratches *scratches,
                                struct lf_map_key key, enum lf_kind kind, uint32_t fixed_len);

#endif
