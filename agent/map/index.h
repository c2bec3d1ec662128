/* A hash index over references, private to the owner: 8 bytes a cell, in anonymous memory.
 *
 * Lock-free and lossy on purpose: an insertion that races with growth may be forgotten, and the
 * caller then adds the same thing once more, which the layout allows.  Outgrown tables stay mapped
 * for readers that are still in them; they are at most as large as the current one together.
 */
#ifndef LOGFOLD_MAP_INDEX_H
#define LOGFOLD_MAP_INDEX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/map/layout.h"

enum { LF_INDEX_FIRST_CELLS = 256 };

struct lf_index_table {
	uint32_t mask; /* cells - 1 */
	_Atomic uint32_t used;
	_Atomic uint64_t cells[]; /* upper half of the hash | reference; 0: empty */
};

struct lf_index {
	_Atomic(struct lf_index_table *) table;
};

/* A walk over the references whose hash looks alike; the caller compares the things themselves. */
struct lf_index_walk {
	const struct lf_index_table *table;
	uint32_t tag, at, left;
};

/* `first` is zeroed memory of LF_INDEX_FIRST_BYTES. */
void lf_index_init(struct lf_index *index, struct lf_index_table *first);
#define LF_INDEX_FIRST_BYTES (sizeof(struct lf_index_table) + LF_INDEX_FIRST_CELLS * sizeof(uint64_t))

void lf_index_add(struct lf_index *index, uint64_t hash, lf_ref ref);
struct lf_index_walk lf_index_start(const struct lf_index *index, uint64_t hash);
lf_ref lf_index_next(struct lf_index_walk *walk); /* 0 at the end */
size_t lf_index_bytes(const struct lf_index *index);

#endif
