/* The owner's side of a segment: insert, find and count entries.
 *
 * A hooked process creates one map for itself and is its only writer; the agent reads the file
 * (agent/map/reader.h).  Any number of threads may call anything here at once, signal handlers too:
 * there is no lock, no heap, no errno, and no step that another thread waits for.  Two threads that
 * insert the same message at once may make two slots for it, which the agent adds up.
 *
 * A map that cannot grow any more (entries_max, LF_CHUNKS_MAX, a full file system) stays usable:
 * lf_map_add() then returns NULL and the caller counts into the overflow entry.
 *
 * The map is never torn down: hosts print from their last destructors.  A forked child does not use
 * its parent's map (agent/hook/process.c sees to that) and creates its own.
 */
#ifndef LOGFOLD_MAP_MAP_H
#define LOGFOLD_MAP_MAP_H

#include <stdbool.h>

#include "agent/map/layout.h"
#include "logfold/error.h"

struct lf_map;

struct lf_map_options {
	const char *run_dir;   /* absolute; `segments` below it must exist */
	const char *namespace; /* checked by the caller */
	uint32_t entries_max;  /* 0: LF_ENTRIES_DEFAULT */
	uint32_t owner_pid;    /* whose life the segment's is; 0: the caller's */
	uint64_t run_id;       /* of the `logfold run` that it belongs to; 0: none */
};

/* Reserves the first chunk before it is mapped.  -ENOSPC leaves an empty file behind, so that the
 * agent can tell that a process had no room; any other failure leaves nothing. */
LF_MUST_CHECK int lf_map_create(struct lf_map **out, const struct lf_map_options *options);

/* For the loser of a race to create: removes the file and the mapping.  Nobody else may have seen
 * the map. */
void lf_map_discard(struct lf_map *map);

/* What tells entries apart within a map.  `hash` is any 64-bit hash of the template's bytes. */
struct lf_map_key {
	lf_ref method; /* lf_map_intern() */
	lf_ref frame;  /* lf_map_intern() */
	struct lf_text template;
	uint64_t hash;
	lf_ref source;         /* as in struct lf_slot: of a new entry, no part of the key */
	uint32_t source_at;
	const void *caller;    /* the call's return address, for a source that is not known yet; NULL: unknown */
};

/* The reference of a string that the map keeps once; 0 when the map is full. */
lf_ref lf_map_intern(struct lf_map *map, struct lf_text text);

/* The string of a reference. */
struct lf_text lf_map_text(const struct lf_map *map, lf_ref ref);

/* The slot of an entry, or NULL. */
struct lf_slot *lf_map_find(const struct lf_map *map, const struct lf_map_key *key);

/* Adds an entry that lf_map_find() did not know; NULL when the map is full.  `fixed_len` as in
 * struct lf_slot. */
struct lf_slot *lf_map_add(struct lf_map *map, const struct lf_map_key *key, enum lf_kind kind,
                           uint32_t fixed_len);

/* The tail number `i` < LF_TAILS; NULL when it was never used.  With `make` it is allocated then,
 * and NULL means that the map is full. */
struct lf_tail *lf_map_tail(struct lf_map *map, unsigned i, bool make);

void lf_map_count_overflow(struct lf_map *map, enum lf_outcome outcome, uint64_t n);

/* Bytes of this process's own memory that the map's indexes take, for measurements. */
size_t lf_map_private_bytes(const struct lf_map *map);

/* Bytes of shared memory that are reserved. */
size_t lf_map_shared_bytes(const struct lf_map *map);

/* A 64-bit hash for lf_map_key.hash. */
uint64_t lf_map_hash(struct lf_text text);

static inline void lf_slot_count(struct lf_slot *slot, enum lf_outcome outcome)
{
	/* Relaxed: a counter orders nothing; the agent only needs that it grows. */
	atomic_fetch_add_explicit(&slot->counts[outcome], 1, memory_order_relaxed);
}

#endif
