/* Which fds are console streams.
 *
 * An fd is one when its open file is a terminal, or the very file (device, inode) that was handed
 * over as stdout or stderr: by `logfold run` (LOGFOLD_STREAMS), by systemd (JOURNAL_STREAM), else
 * fds 1 and 2 as the first hooked process found them.  So the inner pipes of `a | b` stay untouched.
 *
 * The controlling side of a terminal (/dev/ptmx) is none: what is written there was typed.
 *
 * The answer is kept per fd until a call that gives the fd another meaning (stub_notice.c) makes it
 * unknown again, and a forked child asks anew.  Fds of 1024 and more are never consoles, nor is a
 * FILE without an fd.
 */
#ifndef LOGFOLD_HOOK_CONSOLE_H
#define LOGFOLD_HOOK_CONSOLE_H

#include <stdio.h>

#include "agent/hook/wiped.h"

/* Ours alone: no look-up through the global offset table. */
#pragma GCC visibility push(hidden)

/* Bits, so that one test tells; above them stands how often the class was forgotten: who asks the
 * kernel while somebody redirects the fd does not remember an answer of before. */
enum lf_fd_class {
	LF_FD_UNKNOWN = 0, /* what every fd is before the hook has started */
	LF_FD_OTHER = 1,
	LF_FD_CONSOLE = 2, /* and open for writing */
	LF_FD_CLASSES = 3,
	LF_FD_FORGOTTEN = 4,
};

/* Reads the environment and fds 1 and 2.  Once, before lf_console_classify(). */
void lf_console_start(void);

/* No console at all: every call passes through (LOGFOLD_DISABLE). */
void lf_console_disable(void);

/* "dev:ino,dev:ino" for LOGFOLD_STREAMS of the children, "" when it is in the environment already
 * or systemd's JOURNAL_STREAM says it. */
const char *lf_console_streams_for_children(void);

/* Asks the kernel and remembers, unless the caller is a child in its parent's memory: their fds
 * differ.  Touches no errno. */
enum lf_fd_class lf_console_classify(int fd);

/* The class, with other bits above it. */
static inline uint32_t lf_console_class(int fd)
{
	if ((unsigned)fd >= LF_CONSOLE_FDS)
		return LF_FD_UNKNOWN;
	return atomic_load_explicit(&lf_fd_classes[fd], memory_order_relaxed);
}

/* The fd of a FILE that has one, else -1: streams in memory and of cookies hold any number there. */
static inline int lf_console_fd_of(const FILE *file)
{
	enum { IS_FILEBUF = 0x2000 }; /* _IO_IS_FILEBUF of glibc's libio.h, as fileno(3) asks */

	return file->_flags & IS_FILEBUF ? file->_fileno : -1;
}

/* Whether the fd is a console, finding out where that is not known. */
static inline bool lf_console_is(int fd)
{
	uint32_t class = lf_console_class(fd);

	if (!(class & LF_FD_CLASSES))
		class = (uint32_t)lf_console_classify(fd);
	return class & LF_FD_CONSOLE;
}

void lf_console_forget(int fd);
void lf_console_forget_from(unsigned first, unsigned last); /* both included */

#pragma GCC visibility pop

#endif
