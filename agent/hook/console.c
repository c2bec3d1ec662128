#include "agent/hook/console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "hashing/decimal.h"
#include "hashing/sys.h"

enum { STREAMS_MAX = 8 };

static struct {
	struct {
		uint64_t dev, ino;
	} streams[STREAMS_MAX];
	unsigned count;
	bool disabled;
	char for_children[2 * 2 * 21 + 1];
} consoles;

/* "dev:ino,dev:ino"; what does not parse ends the list. */
static void read_streams(const char *p)
{
	while (consoles.count < STREAMS_MAX) {
		uint64_t dev, ino;

		p = lf_decimal_read(p, UINT64_MAX, &dev);
		if (!p || *p != ':')
			return;
		p = lf_decimal_read(p + 1, UINT64_MAX, &ino);
		if (!p)
			return;
		consoles.streams[consoles.count].dev = dev;
		consoles.streams[consoles.count++].ino = ino;
		if (*p++ != ',')
			return;
	}
}

static void take_own_fds(void)
{
	char *out = consoles.for_children;

	for (int fd = 1; fd <= 2; fd++) {
		struct stat st;

		if (lf_sys_fstat(fd, &st) < 0)
			continue;
		if (out > consoles.for_children)
			*out++ = ',';
		out = lf_decimal_put(out, st.st_dev);
		*out++ = ':';
		out = lf_decimal_put(out, st.st_ino);
	}
	*out = '\0';
	read_streams(consoles.for_children);
}

void lf_console_start(void)
{
	const char *given = secure_getenv("LOGFOLD_STREAMS");

	consoles.count = 0;
	if (!given || !*given)
		given = secure_getenv("JOURNAL_STREAM");
	if (given && *given)
		read_streams(given);
	else
		take_own_fds();
}

void lf_console_disable(void)
{
	consoles.disabled = true;
}

const char *lf_console_streams_for_children(void)
{
	return consoles.for_children;
}

static bool is_handed_over(const struct stat *st)
{
	for (unsigned i = 0; i < consoles.count; i++)
		if (consoles.streams[i].dev == st->st_dev && consoles.streams[i].ino == st->st_ino)
			return true;
	return false;
}

static bool is_terminal(int fd, const struct stat *st)
{
	char settings[256]; /* the kernel's struct termios is smaller than this everywhere */

	return S_ISCHR(st->st_mode) && st->st_rdev != makedev(5, 2) && lf_sys_ioctl(fd, TCGETS, settings) == 0;
}

static bool is_writable(int fd)
{
	int flags = lf_sys_fcntl(fd, F_GETFL, 0);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static void remember(int fd, uint32_t before, enum lf_fd_class class)
{
	if (!lf_wiped_is_shared())
		(void)atomic_compare_exchange_strong_explicit(
			&lf_fd_classes[fd], &before,
			(before & ~(uint32_t)LF_FD_CLASSES) | (uint32_t)class, memory_order_relaxed,
			memory_order_relaxed);
}

enum lf_fd_class lf_console_classify(int fd)
{
	enum lf_fd_class class = LF_FD_OTHER;
	uint32_t before;
	struct stat st;

	if ((unsigned)fd >= LF_CONSOLE_FDS)
		return LF_FD_OTHER;
	/* Seen before the kernel is asked: pairs with lf_console_forget(). */
	before = atomic_load_explicit(&lf_fd_classes[fd], memory_order_acquire);
	if (!consoles.disabled && lf_sys_fstat(fd, &st) < 0)
		return LF_FD_OTHER; /* not open: do not remember */
	if (!consoles.disabled && (is_handed_over(&st) || is_terminal(fd, &st)) &&
	    is_writable(fd))
		class = LF_FD_CONSOLE;
	remember(fd, before, class);
	return class;
}

void lf_console_forget(int fd)
{
	uint32_t had, forgotten;

	if ((unsigned)fd >= LF_CONSOLE_FDS)
		return;
	had = atomic_load_explicit(&lf_fd_classes[fd], memory_order_relaxed);
	do
		forgotten = (had & ~(uint32_t)LF_FD_CLASSES) + LF_FD_FORGOTTEN;
	while (!atomic_compare_exchange_weak_explicit(&lf_fd_classes[fd], &had, forgotten,
	                                              memory_order_acq_rel,
	                                              memory_order_relaxed));
}

void lf_console_forget_from(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < LF_CONSOLE_FDS; fd++)
		lf_console_forget((int)fd);
}
