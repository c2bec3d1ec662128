/* Bytes that a program puts into a stdio buffer without a call.
 *
 * In C, putc_unlocked and putchar_unlocked are macros: they store into the FILE's buffer and call
 * __overflow only when it is full, or on each byte of a line-buffered stream.  GNU tools print
 * their newlines that way.  So in a program that imports __overflow, the hook remembers up to where
 * it has seen the buffers of stdout and stderr, and counts what lies behind that mark as text of
 * method putc when the next call on that stream comes, when it is flushed, and at the end.
 *
 * They belong to whoever printed to that stream last: that is nearest to the truth, and does not
 * depend on who flushes.
 *
 * Only while the process has one thread: with more, another thread's call in progress looks the
 * same.  These bytes are printed already: they can be counted, not muted.
 */
#ifndef LOGFOLD_HOOK_INLINE_PUTC_H
#define LOGFOLD_HOOK_INLINE_PUTC_H

#include <stdbool.h>
#include <stdio.h>

struct lf_process;

/* Before a call on the stream, made by the caller that returns to `ret`: theirs is what was put
 * there before anybody printed. */
void lf_inline_putc_catch_up(struct lf_process *process, FILE *file, const void *ret);

/* After it: what is in the buffer now has been counted.  `ret` as above, of a call that printed;
 * else NULL. */
void lf_inline_putc_mark(struct lf_process *process, FILE *file, const void *ret);

/* Before a call that empties the buffer and may not return: what is there after it is new. */
void lf_inline_putc_flushed(struct lf_process *process, FILE *file);

/* At an fwrite() of nothing that returns to `ret`.  liblogfold counts by itself and prints around the hook
 * (agent/api/print.c).  It says so by fwrite(CALLER, 0, 1, file) before and fwrite(CALLER, 1, 0, file) after
 * that, where CALLER is who made its call; anybody else's means nothing. */
void lf_inline_putc_linked(struct lf_process *process, FILE *file, const void *ret,
                           const void *caller, bool begins);

#endif
