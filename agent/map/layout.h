/* The segment file: one process's hot map of entries, as it lies in shared memory.
 *
 * Written by the process that owns it and by nobody else; the agent reads it with pread and trusts
 * nothing in it.  All numbers are native-endian: a segment never leaves its machine.
 *
 *   run directory/
 *     lock                held by the agent that owns the directory (flock)
 *     stamp               store, incarnation, drain sequence, watermarks
 *     flags               the flags table (agent/map/flags.h)
 *     control             the agent's Unix socket
 *     segments/           <boot id>-<pid>-<start time>-<random>.seg, one per process image
 *     quarantine/         what could not be trusted
 *
 * The file is a row of chunks of LF_CHUNK_BYTES; each is reserved on disk before it is mapped, so
 * that a full file system is an error code and never SIGBUS.  In a chunk, slots grow upwards behind
 * the chunk's header and text grows downwards from its end:
 *
 *   chunk 0:  | segment header | slots →            ← text |
 *   chunk n:  | chunk header   | slots →            ← text |
 *
 * A reference (lf_ref) is a byte offset in the file; 0 is none.
 *
 * The owner can be killed between any two instructions.  What a reader then finds:
 *   before magic is set      a file that counted nothing: remove it when its owner is dead
 *   slot claimed, not ready  a hole: skip it
 *   text claimed, no slot    wasted bytes, referenced by nobody
 *   slot ready               complete; its counters only ever grow
 *   tail busy                the line as it stood before the last call of that stream
 */
#ifndef LOGFOLD_MAP_LAYOUT_H
#define LOGFOLD_MAP_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/entry.h"

#define LF_SEGMENT_MAGIC UINT64_C(0x314745534d46474c) /* "LGFMSEG1" */

enum {
	LF_SEGMENT_LAYOUT = 2,
	LF_CHUNK_BYTES = 32768,
	LF_CHUNKS_MAX = 512,   /* 16 MiB a process */
	LF_ENTRIES_DEFAULT = 16384,
	LF_TAILS = 8,          /* streams with an unfinished line at the same time */
	LF_TAIL_BYTES = LF_TEMPLATE_MAX + 8, /* so that a line that goes on is seen to be longer */
	LF_SEGMENT_NAME_MAX = 128,
	LF_SOURCE_MAX = 1089,  /* a build id and a path of hashing/module.h, and what is between them */
};

#define LF_SEGMENT_SUFFIX ".seg"

typedef uint32_t lf_ref;

/* A string in a chunk: 16-bit length, then that many bytes; 2-byte aligned. */
struct lf_string {
	uint16_t len;
	char bytes[];
};

enum lf_slot_state {
	LF_SLOT_CLAIMED = 0, /* being filled; what a fresh chunk reads as */
	LF_SLOT_READY = 1,   /* set last, with release; then only counts and verdict change */
};

/* One entry.  Two slots of a segment may name the same entry: the agent adds them up. */
struct lf_slot {
	_Atomic uint64_t counts[LF_OUTCOME_COUNT]; /* any thread of the owner adds; only grow */
	uint64_t first_seen_ms;                    /* CLOCK_REALTIME */
	struct lf_id id;                           /* for the owner; a reader computes its own */
	lf_ref method;
	lf_ref template;
	lf_ref frame;
	_Atomic uint32_t verdict;  /* owner's cache of the entry's rule; agent/map/verdict.h */
	uint32_t fixed_len;        /* bytes that a call prints, plus 1; 0: differs from call to call */
	uint8_t kind;              /* enum lf_kind */
	_Atomic uint8_t state;     /* enum lf_slot_state */
	uint8_t reserved[2];
	_Atomic uint64_t policed;  /* how far the entry's policy is in this process; agent/map/verdict.h */
	lf_ref source;             /* where the first call stands; 0: not known, else one of
	                            *   "BUILDID PATH"  a module: its build id in hex or "-", its file
	                            *   "=FILE"         a source file */
	uint32_t source_at;        /* the call's address in that module's file, or the line */
};
_Static_assert(sizeof(struct lf_slot) == 104, "shared layout changed: raise LF_SEGMENT_LAYOUT");

/* The unfinished line of one stream: begun, and its newline has not come yet. */
enum {
	LF_TAIL_LEN = 0x0000ffff,        /* bytes kept of the line, at most LF_TAIL_BYTES */
	LF_TAIL_BEGUN = 0x00010000,      /* a line is open (it may be of 0 kept bytes) */
	LF_TAIL_COUNTED = 0x00020000,    /* left open by a call that has been counted by itself */
	LF_TAIL_BUSY = 0x00040000,       /* a thread of the owner is at it */
	LF_TAIL_OUTCOME_SHIFT = 20,      /* enum lf_outcome: what became of its text */
	LF_TAIL_OUTCOME = 7 << LF_TAIL_OUTCOME_SHIFT,
};
struct lf_tail {
	_Atomic uint32_t state; /* LF_TAIL_…; bytes beyond its length are not the line's */
	lf_ref method;          /* of the call that began the line; valid while BEGUN; 0 when the
	                         * map was full: the line belongs to the overflow entry */
	lf_ref frame;
	uint32_t reserved;
	char bytes[LF_TAIL_BYTES];
};
_Static_assert(sizeof(struct lf_tail) == 16 + LF_TAIL_BYTES, "shared layout changed");

/* The outcome in a tail's state; LF_OUTCOME_COUNT and more in a file that lies. */
static inline uint32_t lf_tail_outcome(uint32_t state)
{
	return (state & LF_TAIL_OUTCOME) >> LF_TAIL_OUTCOME_SHIFT;
}

static inline uint32_t lf_tail_with(enum lf_outcome outcome)
{
	return (uint32_t)outcome << LF_TAIL_OUTCOME_SHIFT;
}

/* How much of a chunk is used; one atomic word, so that a claim is all or nothing. */
struct lf_chunk {
	_Atomic uint64_t used; /* low half: slots; high half: bytes of text */
	uint64_t reserved;
};
_Static_assert(sizeof(struct lf_chunk) == 16, "shared layout changed");

struct lf_segment {
	struct lf_chunk chunk;          /* chunk 0's own */
	_Atomic uint64_t magic;         /* set last, with release */
	uint32_t layout;                /* LF_SEGMENT_LAYOUT */
	uint32_t chunk_bytes;           /* LF_CHUNK_BYTES */
	_Atomic uint32_t chunks;        /* how many are reserved and initialised; only grows */
	uint32_t pid;                   /* as the owner sees itself */
	uint64_t pid_namespace;         /* inode of /proc/self/ns/pid; 0: unknown */
	uint64_t start_time;            /* field 22 of /proc/self/stat; 0: unknown */
	uint64_t created_ms;            /* CLOCK_REALTIME */
	_Atomic uint64_t overflow[LF_OUTCOME_COUNT]; /* counts of the overflow entry */
	_Atomic lf_ref tails[LF_TAILS]; /* struct lf_tail; 0: not allocated */
	char namespace[LF_NAMESPACE_MAX + 8]; /* NUL-terminated */
	char program[64];               /* basename of the executable, NUL-terminated, maybe cut */
	uint64_t run_id;                /* LOGFOLD_RUN_ID; 0: none.  Behind the rest, where a segment of an
	                                 * older program has zeros */
};
_Static_assert(sizeof(struct lf_segment) <= 512, "the header outgrew its room");
_Static_assert(offsetof(struct lf_segment, program) + 64 == offsetof(struct lf_segment, run_id) &&
               sizeof(struct lf_segment) == offsetof(struct lf_segment, run_id) + 8,
               "shared layout changed: raise LF_SEGMENT_LAYOUT");

enum {
	LF_SEGMENT_HEADER_BYTES = 512, /* chunk 0's slots begin here */
	LF_CHUNK_HEADER_BYTES = sizeof(struct lf_chunk),
};

static inline uint32_t lf_chunk_first_slot(uint32_t chunk)
{
	return chunk == 0 ? (uint32_t)LF_SEGMENT_HEADER_BYTES : (uint32_t)LF_CHUNK_HEADER_BYTES;
}

static inline uint32_t lf_chunk_used_slots(uint64_t used)
{
	return (uint32_t)used;
}

static inline uint32_t lf_chunk_used_text(uint64_t used)
{
	return (uint32_t)(used >> 32);
}

#endif
