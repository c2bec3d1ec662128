/* The flags table: how the agent tells every process of a run directory what not to print, and how often.
 *
 * One file, `flags` in the run directory.  The agent that holds the directory's lock writes it;
 * processes map it read-only and look at `generation` on every call.  A process may create the
 * file, empty, when it comes before any agent; whoever creates it first wins (link(2) of a finished
 * temporary), and a writer never replaces it, because processes keep their mapping; but for one of another
 * layout, which they do not believe anyway.
 *
 * The writer makes `generation` odd, rewrites the rows, and makes it even again.  A process that
 * sees an odd generation, or a change while it looked, goes on with the verdict it had.  A writer
 * killed in between leaves it odd; the next writer begins by publishing anew.  The texts have a generation of
 * their own, because a process reads them once in its life: rows that change must not keep them from it.
 */
#ifndef LOGFOLD_MAP_FLAGS_H
#define LOGFOLD_MAP_FLAGS_H

#include <stdatomic.h>
#include <stdint.h>

#include "logfold/entry.h"
#include "logfold/error.h"

#define LF_FLAGS_MAGIC UINT64_C(0x3147414c464d474c) /* "LGMFLAG1" */
#define LF_FLAGS_FILE "flags"

enum {
	LF_FLAGS_LAYOUT = 3,
	LF_FLAGS_CELLS = 4096,             /* a power of two */
	LF_FLAGS_ROWS_MAX = LF_FLAGS_CELLS / 2, /* entries with flags at the same time */
	LF_SKIP_FRAMES_MAX = 2048,
};

/* What is to become of the calls of an entry, in 64 bits: kind, n and period.  A rule holds in each
 * process by itself. */
enum lf_rule_kind {
	LF_RULE_NONE,   /* all pass: the rule is 0 */
	LF_RULE_MUTE,   /* none passes */
	LF_RULE_SAMPLE, /* one in n passes: the first, then each n-th */
	LF_RULE_LIMIT,  /* n in a period pass */
	LF_RULE_FOLD,   /* the first of a period passes, and the number of the others is told */
};
#define LF_RULE_N_MAX ((UINT32_C(1) << 28) - 1)

static inline uint64_t lf_rule_make(enum lf_rule_kind kind, uint32_t n, uint32_t period_ms)
{
	return (uint64_t)kind | (uint64_t)(n & LF_RULE_N_MAX) << 4 | (uint64_t)period_ms << 32;
}

static inline enum lf_rule_kind lf_rule_kind(uint64_t rule)
{
	return (enum lf_rule_kind)(rule & 15);
}

static inline uint32_t lf_rule_n(uint64_t rule)
{
	return (uint32_t)(rule >> 4) & LF_RULE_N_MAX;
}

static inline uint32_t lf_rule_period_ms(uint64_t rule)
{
	return (uint32_t)(rule >> 32);
}

/* A cell is empty while `rule` is 0.  Open addressing: start at the id's first four bytes as a
 * native integer modulo the cells, step by one. */
struct lf_flags_cell {
	uint8_t id[LF_ID_BYTES];
	uint64_t namespace_key; /* lf_flags_namespace_key() */
	uint64_t rule;
};

struct lf_flags {
	uint64_t magic;
	uint32_t layout;
	uint32_t cells_count;         /* LF_FLAGS_CELLS */
	_Atomic uint32_t generation;  /* 0 at first; odd while the rows are being rewritten */
	_Atomic uint32_t rows;        /* how many cells are in use: 0 lets a process skip the look-up */
	_Atomic uint32_t entries_max; /* entries of one process; 0: LF_ENTRIES_DEFAULT */
	_Atomic uint32_t fold_grace_ms; /* agent/map/verdict.h; 0: LF_FOLD_GRACE_MS */
	_Atomic uint64_t default_rule; /* of entries that have no cell */
	_Atomic uint32_t texts;       /* as `generation`, of the two texts below alone */
	uint32_t reserved[3];
	char namespace[LF_NAMESPACE_MAX + 8]; /* of a process that names none; empty: the default */
	char skip_frames[LF_SKIP_FRAMES_MAX]; /* "module!function" or "function" of wrappers, each with a
	                                       * newline behind it; NUL-terminated */
	struct lf_flags_cell cells[LF_FLAGS_CELLS];
};
_Static_assert(sizeof(struct lf_flags_cell) == 32, "shared layout changed: raise LF_FLAGS_LAYOUT");
_Static_assert(sizeof(struct lf_flags) == 128 + LF_SKIP_FRAMES_MAX + 32 * LF_FLAGS_CELLS, "shared layout changed");

struct lf_flags_row {
	struct lf_id id;
	uint64_t namespace_key;
	uint64_t rule; /* not LF_RULE_NONE */
};

/* A 64-bit FNV-1a of the namespace's name. */
uint64_t lf_flags_namespace_key(const char *namespace);

/* Both sides.  Opens the table below `dirfd`, creating it when it is missing; the mapping is
 * read-only or, for the agent, writable.  NULL with a negative errno in *rc when it cannot be had.
 * No heap, no stdio, no errno. */
struct lf_flags *lf_flags_map(int dirfd, int writable, int *rc);
void lf_flags_unmap(struct lf_flags *flags);

/* The agent: replaces all rows, unless the table says just that already.  -ENOSPC above LF_FLAGS_ROWS_MAX, and then nothing is changed. */
LF_MUST_CHECK int lf_flags_publish(struct lf_flags *flags, const struct lf_flags_row *rows,
                                   size_t count);

/* The agent: what a process that starts from now on shall take where it is told nothing else. */
struct lf_flags_defaults {
	uint32_t entries_max;    /* 0: LF_ENTRIES_DEFAULT */
	const char *namespace;   /* "": the default one */
	const char *skip_frames; /* as in struct lf_flags; NULL: none */
	uint64_t rule;           /* for entries without a row; living processes obey it at once */
	uint32_t fold_grace_ms;  /* how long a fold's repeats are left to the process */
};
void lf_flags_set_defaults(struct lf_flags *flags, const struct lf_flags_defaults *defaults);

/* A process: the namespace to take when it is given none; 0 when nobody said. */
int lf_flags_namespace(const struct lf_flags *flags, char out[LF_NAMESPACE_MAX + 1]);

/* A process: the wrappers' names, as in struct lf_flags; 0 when there are none. */
int lf_flags_skip_frames(const struct lf_flags *flags, char out[LF_SKIP_FRAMES_MAX]);

/* A process: the rule of an entry, with the generation it belongs to.  Returns a negative errno
 * (-EAGAIN) when the table is being rewritten. */
LF_MUST_CHECK int lf_flags_look_up(const struct lf_flags *flags, const struct lf_id *id,
                                   uint64_t namespace_key, uint32_t *generation, uint64_t *rule);

/* A process: whether the entry has a rule of its own, and not just the default one. */
int lf_flags_has_own(const struct lf_flags *flags, const struct lf_id *id, uint64_t namespace_key);

#endif
