/* Lines of text that were seen before, and what they count into: so that a line need not be masked again
 * that differs from an earlier one in digits alone (lf_mask_alike() in hashing/mask.h).
 *
 * One table a process, for one thread at a time: whoever holds the process's first scratch.  It holds the
 * lines themselves, so that no line is ever taken for another; of two that want the same cell the later
 * one has it.
 */
#ifndef LOGFOLD_HOOK_KNOWN_H
#define LOGFOLD_HOOK_KNOWN_H

#include "agent/map/layout.h"
#include "hashing/mask.h"

enum { LF_KNOWN_LINES = 256 };

/* Of one origin: the method and frame of its entry. */
struct lf_known {
	struct lf_slot *slot; /* NULL: not known yet */
	lf_ref method, frame;
	uint32_t len;         /* 0: never used */
	uint32_t reserved[3];
	char line[LF_MASK_ALIKE_MAX]; /* with each digit as 0 */
};
_Static_assert(sizeof(struct lf_known) == 192, "three cache lines");

/* All zero at first. */
struct lf_known_lines {
	char line[LF_MASK_ALIKE_MAX]; /* the one that is looked for */
	struct lf_known cells[LF_KNOWN_LINES];
};

#pragma GCC visibility push(hidden)

/* The line's cell; NULL when it can have none.  Where `slot` is NULL, whoever asked masks the cell's line,
 * which comes to the same, and puts the slot there: the caller's may be changed by another thread. */
struct lf_known *lf_known_line(struct lf_known_lines *lines, lf_ref method, lf_ref frame,
                               struct lf_text line);

#pragma GCC visibility pop

#endif
