/* What the hook knows in one process: its map, its caches, its streams.
 *
 * The pointer to it lies in memory that the kernel wipes in a forked child (wiped.h), however the
 * child was made (fork, _Fork, clone without CLONE_VM): the child finds NULL and makes its own.
 * A child that shares our memory (vfork, posix_spawn) counts as its parent, and must not change what
 * its parent knows of streams: its fds are its own.  Making it is lock-free:
 * threads that race each make one, the first to publish wins, and the others remove theirs.
 *
 * Nothing is ever torn down: hosts print from their last destructors.
 */
#ifndef LOGFOLD_HOOK_PROCESS_H
#define LOGFOLD_HOOK_PROCESS_H

#include "agent/hook/known.h"
#include "agent/hook/site.h"
#include "agent/hook/wiped.h"
#include "agent/map/flags.h"
#include "agent/map/verbatim.h"

/* Ours alone: no look-up through the global offset table. */
#pragma GCC visibility push(hidden)

enum { LF_FOLDS = 16 };

/* One stream, by its FILE or by its fd.  Its unfinished line is the map's tail of the same number. */
struct lf_stream {
	_Atomic uintptr_t key;          /* lf_stream_of_file(), lf_stream_of_fd(); 0: free */
	_Atomic(char *) seen;           /* inline_putc.h: up to where the FILE's buffer was counted */
	_Atomic(const void *) ret;      /* inline_putc.h: who printed to it last */
	_Atomic(const char *) resume;   /* where the rest of a constant text cut short continues */
};

/* A folded message whose repeats have not been told (fold.h). */
struct lf_fold {
	_Atomic uintptr_t stream; /* 0: free */
	_Atomic(struct lf_slot *) slot;
	_Atomic uint32_t period_ms;
};

/* lf_process.attention: why the shortest way is not enough. */
enum {
	LF_ATTENTION_INLINE = 1 << 30, /* the program puts bytes into stdio buffers by itself */
	LF_ATTENTION_REMAINDER = 1 << 29, /* a constant text was cut short once */
	LF_ATTENTION_FOLD = 1 << 28,      /* repeats of a folded message wait to be told */
	LF_ATTENTION_OPEN = LF_ATTENTION_FOLD - 1,
	/* the bits below: how many streams have an unfinished line */
};

struct lf_process {
	struct lf_map *map;
	const struct lf_flags *flags;
	uint64_t namespace_key;
	struct lf_site_cache cache;
	_Atomic uint32_t attention;
	struct lf_stream streams[LF_TAILS];
	struct lf_fold folds[LF_FOLDS];
	struct lf_scratches scratches;
	struct lf_known_lines known; /* of who holds scratches.each[0] */
	char skip_frames[LF_SKIP_FRAMES_MAX]; /* the flags table's, as it was when the process began */
};

static inline struct lf_process *lf_process_now(void)
{
	return atomic_load_explicit(&lf_wiped.process, memory_order_acquire);
}

/* The program puts bytes into stdio buffers by itself (inline_putc.h).  That never changes. */
static inline bool lf_process_puts_inline(const struct lf_process *process)
{
	return atomic_load_explicit(&process->attention, memory_order_relaxed) & LF_ATTENTION_INLINE;
}

/* Starts the hook where that has not happened: real calls, environment, consoles.  Idempotent. */
void lf_process_start(void);

/* The process's state, made on its first console call; NULL when it cannot be had, and then every
 * call passes through.  Touches no errno. */
struct lf_process *lf_process_enter(void);

/* The same, but NULL where the fd is no console: a process that prints to none has no state. */
struct lf_process *lf_process_of_console(int fd);

/* As lf_scratches_take() and _give(). */
static inline struct lf_scratch *lf_scratch_take(struct lf_process *process)
{
	return lf_scratches_take(&process->scratches);
}

static inline void lf_scratch_give(struct lf_process *process, struct lf_scratch *scratch)
{
	lf_scratches_give(&process->scratches, scratch);
}

#pragma GCC visibility pop

#endif
