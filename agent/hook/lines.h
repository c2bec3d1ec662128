/* Text that is counted by lines: from the bytes that a stream accepted to entries.
 *
 * A line is counted when its newline comes.  Until then its beginning waits in the segment, in the
 * tail of its stream, where even `kill -9` cannot lose it; the agent counts what is left there by a
 * process that has ended.  The line belongs to the call that began it.
 *
 * A stream is a FILE, or an fd with the calls that go past stdio.  Two threads that print parts of
 * lines to one stream at once have no defined order; whoever finds the tail busy counts its own
 * lines as they stand and drops the unfinished rest, so that the number of lines stays the number
 * of newlines, and nobody ever waits.
 */
#ifndef LOGFOLD_HOOK_LINES_H
#define LOGFOLD_HOOK_LINES_H

#include "agent/hook/message.h"

/* The stream of that key, or NULL; with `claim`, a free one is taken for it, and NULL then means
 * that LF_TAILS others are in use: its lines are counted as they stand. */
struct lf_stream *lf_stream_find(struct lf_process *process, uintptr_t key, bool claim);

/* The stream is gone (closed, redirected): its unfinished line is over. */
void lf_stream_end(struct lf_process *process, uintptr_t key);

/* Counts accepted text; `newline` says that a newline went out behind it. */
void lf_lines_count(struct lf_process *process, uintptr_t stream, struct lf_origin origin,
                    struct lf_text text, bool newline);

/* A call that counts by itself printed a newline: ends the line that was open before it. */
void lf_lines_newline(struct lf_process *process, uintptr_t stream);

/* Whether some stream has an unfinished line. */
static inline bool lf_lines_any_open(const struct lf_process *process)
{
	return (atomic_load_explicit(&process->attention, memory_order_relaxed) &
	        LF_ATTENTION_OPEN) != 0;
}

/* Whether the stream's line has begun to be printed: it is printed to its end then. */
bool lf_lines_has_begun(struct lf_process *process, uintptr_t stream);

/* Prints text without the lines that are left out by a rule, and counts all.  Returns the bytes disposed
 * of, printed or left out, or -1 with errno when the first byte could not be printed. */
ssize_t lf_lines_print_judged(struct lf_process *process, struct lf_origin origin,
                              struct lf_text text, const struct lf_console_out *out);

/* A call that counts by itself has left its line open.  The newline that follows at once ends that
 * line and is not a blank line of its own; where the call was left out, it goes, too. */
void lf_lines_leave_open(struct lf_process *process, uintptr_t stream, enum lf_outcome outcome);

#endif
