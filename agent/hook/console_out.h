/* Where a call prints to, and how bytes get there past our own stubs. */
#ifndef LOGFOLD_HOOK_CONSOLE_OUT_H
#define LOGFOLD_HOOK_CONSOLE_OUT_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A stream by one number: a FILE, or an fd with the calls that go past stdio. */
static inline uintptr_t lf_stream_of_file(const FILE *file)
{
	return (uintptr_t)file;
}

static inline uintptr_t lf_stream_of_fd(int fd)
{
	return (uintptr_t)fd << 1 | 1; /* odd: no FILE lies there */
}

struct lf_console_out {
	/* As write(2): bytes taken, or -1 with errno. */
	ssize_t (*write)(const struct lf_console_out *out, const char *data, size_t len);
	FILE *file; /* NULL: to the fd */
	int fd;
};

static inline uintptr_t lf_stream_of(const struct lf_console_out *out)
{
	return out->file ? lf_stream_of_file(out->file) : lf_stream_of_fd(out->fd);
}

#endif
