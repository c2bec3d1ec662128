/* Which fds are console streams.
 *
 * An fd is one when its open file is a terminal, or the very file (device, inode) that was handed
 * over as stdout or stderr: by `logfold run` (LOGFOLD_STREAMS), by systemd (JOURNAL_STREAM), else
 * fds 1 and 2 as the first hooked process found them.  So the inner pipes of `a | b` stay untouched.
 *
 * The answer is kept per fd in one byte, until a call that gives the fd another meaning
 * (stub_notice.c) makes it unknown again.  Fds of 1024 and more are never consoles.
 */
#ifndef LOGFOLD_HOOK_CONSOLE_H
#define LOGFOLD_HOOK_CONSOLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Ours alone: no look-up through the global offset table. */
#pragma GCC visibility push(hidden)

enum { LF_CONSOLE_FDS = 1024 };

enum lf_fd_class {
	LF_FD_UNKNOWN = 0, /* what every fd is before the hook has started */
	LF_FD_OTHER,
	LF_FD_CONSOLE, /* and open for writing */
};

extern _Atomic uint8_t lf_fd_classes[LF_CONSOLE_FDS];

/* Reads the environment and fds 1 and 2.  Once, before lf_console_classify(). */
void lf_console_start(void);

/* No console at all: every call passes through (LOGFOLD_DISABLE). */
void lf_console_disable(void);

/* "dev:ino,dev:ino" for LOGFOLD_STREAMS of the children, "" when it is in the environment already
 * or systemd's JOURNAL_STREAM says it. */
const char *lf_console_streams_for_children(void);

/* Asks the kernel and remembers.  Touches no errno. */
enum lf_fd_class lf_console_classify(int fd);

static inline enum lf_fd_class lf_console_class(int fd)
{
	if ((unsigned)fd >= LF_CONSOLE_FDS)
		return LF_FD_UNKNOWN;
	return (enum lf_fd_class)atomic_load_explicit(&lf_fd_classes[fd], memory_order_relaxed);
}

/* Whether the fd is a console, finding out where that is not known. */
static inline bool lf_console_is(int fd)
{
	enum lf_fd_class class = lf_console_class(fd);

	return (class == LF_FD_UNKNOWN ? lf_console_classify(fd) : class) == LF_FD_CONSOLE;
}

void lf_console_forget(int fd);
void lf_console_forget_from(unsigned first, unsigned last); /* both included */

#pragma GCC visibility pop

#endif
