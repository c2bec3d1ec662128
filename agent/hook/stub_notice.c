/* Calls after which an fd, a stream or an address means something else.
 *
 * The class of the fd is forgotten before the real call and after it: before, so that nobody goes on
 * with the old one while it lasts; after, because somebody may have looked in between.  Its open line
 * is over when the call has succeeded, unless the caller is a child in its parent's memory.
 */
#include <fcntl.h>
#include <linux/close_range.h>

#include "agent/hook/quiet.h"
#include "agent/hook/stub.h"
#include "hashing/sys.h"

#define CALLER __builtin_return_address(0)

/* The state of a process that has printed before; others have nothing to forget but classes. */
static struct lf_process *known_process(void)
{
	lf_process_start();
	return lf_process_now() ? lf_process_enter() : NULL;
}

static bool was_console(int fd)
{
	return lf_console_class(fd) & LF_FD_CONSOLE;
}

static void end_fd(int fd)
{
	struct lf_process *process = known_process();

	if (process && !lf_wiped_is_shared())
		lf_stream_end(process, lf_stream_of_fd(fd));
}

static void end_fds_from(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < LF_CONSOLE_FDS; fd++)
		if (was_console((int)fd))
			end_fd((int)fd);
	lf_console_forget_from(first, last);
}

static void end_file(FILE *file, const void *ret)
{
	struct lf_process *process = known_process();

	if (!process || lf_wiped_is_shared())
		return;
	lf_inline_putc_catch_up(process, file, ret);
	lf_stream_end(process, lf_stream_of_file(file));
}

#define LF_STUB_dup(symbol) \
	LF_EXPORT int symbol(int fd); \
	int symbol(int fd) \
	{ \
		int copy; \
\
		lf_process_start(); \
		copy = lf_real_##symbol(fd); \
		lf_console_forget(copy); \
		return copy; \
	}

#define LF_STUB_dup2(symbol) \
	LF_EXPORT int symbol(int fd, int target); \
	int symbol(int fd, int target) \
	{ \
		bool console; \
		int copy; \
\
		lf_process_start(); \
		if (fd == target) \
			return lf_real_##symbol(fd, target); \
		console = was_console(target); \
		lf_console_forget(target); \
		copy = lf_real_##symbol(fd, target); \
		lf_console_forget(target); \
		if (console && copy >= 0) \
			end_fd(target); \
		return copy; \
	}

#define LF_STUB_dup3(symbol) \
	LF_EXPORT int symbol(int fd, int target, int flags); \
	int symbol(int fd, int target, int flags) \
	{ \
		bool console; \
		int copy; \
\
		lf_process_start(); \
		console = was_console(target); \
		lf_console_forget(target); \
		copy = lf_real_##symbol(fd, target, flags); \
		lf_console_forget(target); \
		if (console && copy >= 0) \
			end_fd(target); \
		return copy; \
	}

#define LF_STUB_close(symbol) \
	LF_EXPORT int symbol(int fd); \
	int symbol(int fd) \
	{ \
		bool console; \
		int rc; \
\
		lf_process_start(); \
		console = was_console(fd); \
		lf_console_forget(fd); \
		rc = lf_real_##symbol(fd); \
		lf_console_forget(fd); \
		if (console) \
			end_fd(fd); \
		return rc; \
	}

#define LF_STUB_close_range(symbol) \
	LF_EXPORT int symbol(unsigned first, unsigned last, int flags); \
	int symbol(unsigned first, unsigned last, int flags) \
	{ \
		int rc; \
\
		lf_process_start(); \
		if ((unsigned)flags & CLOSE_RANGE_CLOEXEC) \
			return lf_real_##symbol(first, last, flags); \
		end_fds_from(first, last); \
		rc = lf_real_##symbol(first, last, flags); \
		lf_console_forget_from(first, last); \
		return rc; \
	}

#define LF_STUB_closefrom(symbol) \
	LF_EXPORT void symbol(int first); \
	void symbol(int first) \
	{ \
		unsigned from = first > 0 ? (unsigned)first : 0; \
\
		lf_process_start(); \
		end_fds_from(from, LF_CONSOLE_FDS); \
		lf_real_##symbol(first); \
		lf_console_forget_from(from, LF_CONSOLE_FDS); \
	}

/* The argument travels as a long, whatever its type: the registers are the same. */
#define LF_STUB_fcntl(symbol) \
	LF_EXPORT int symbol(int fd, int command, ...); \
	int symbol(int fd, int command, ...) \
	{ \
		va_list args; \
		long argument; \
		int result; \
\
		va_start(args, command); \
		argument = va_arg(args, long); \
		va_end(args); \
		lf_process_start(); \
		result = lf_real_##symbol(fd, command, argument); \
		if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) \
			lf_console_forget(result); \
		return result; \
	}

#define LF_STUB_fclose(symbol) \
	LF_EXPORT int symbol(FILE *file); \
	int symbol(FILE *file) \
	{ \
		int fd, rc; \
\
		lf_process_start(); \
		fd = lf_console_fd_of(file); \
		end_file(file, CALLER); \
		lf_console_forget(fd); \
		rc = lf_real_##symbol(file); \
		lf_console_forget(fd); \
		return rc; \
	}

#define LF_STUB_fcloseall(symbol) \
	LF_EXPORT int symbol(void); \
	int symbol(void) \
	{ \
		int rc; \
\
		lf_process_start(); \
		end_file(stdout, CALLER); \
		end_file(stderr, CALLER); \
		rc = lf_real_##symbol(); \
		lf_console_forget_from(0, LF_CONSOLE_FDS); \
		return rc; \
	}

#define LF_STUB_freopen(symbol) \
	LF_EXPORT FILE *symbol(const char *path, const char *mode, FILE *file); \
	FILE *symbol(const char *path, const char *mode, FILE *file) \
	{ \
		FILE *opened; \
		int fd; \
\
		lf_process_start(); \
		fd = lf_console_fd_of(file); \
		end_file(file, CALLER); \
		lf_console_forget(fd); \
		opened = lf_real_##symbol(path, mode, file); \
		lf_console_forget(fd); \
		if (opened) \
			lf_console_forget(lf_console_fd_of(opened)); \
		return opened; \
	}

/* What the program put into the buffer by itself must be seen before it leaves. */
static void catch_up(FILE *file, const void *ret)
{
	struct lf_process *process = known_process();

	if (!process)
		return;
	if (!file || file == stdout)
		lf_inline_putc_catch_up(process, stdout, ret);
	if (!file || file == stderr)
		lf_inline_putc_catch_up(process, stderr, ret);
}

static void mark(FILE *file)
{
	struct lf_process *process = known_process();

	if (!process)
		return;
	if (!file || file == stdout)
		lf_inline_putc_mark(process, stdout, NULL);
	if (!file || file == stderr)
		lf_inline_putc_mark(process, stderr, NULL);
}

#define LF_STUB_fflush(symbol) \
	LF_EXPORT int symbol(FILE *file); \
	int symbol(FILE *file) \
	{ \
		const struct lf_process *process = lf_process_now(); \
		int rc; \
\
		if (LF_LIKELY(process && !lf_process_puts_inline(process))) \
			return lf_real_##symbol(file); \
		catch_up(file, CALLER); \
		rc = lf_real_##symbol(file); \
		mark(file); \
		return rc; \
	}

/* Redirects the standard streams inside libc. */
#define LF_STUB_daemon(symbol) \
	LF_EXPORT int symbol(int nochdir, int noclose); \
	int symbol(int nochdir, int noclose) \
	{ \
		int rc; \
\
		lf_process_start(); \
		rc = lf_real_##symbol(nochdir, noclose); \
		lf_console_forget_from(0, 2); \
		return rc; \
	}

#define LF_STUB_login_tty(symbol) \
	LF_EXPORT int symbol(int fd); \
	int symbol(int fd) \
	{ \
		int rc; \
\
		lf_process_start(); \
		rc = lf_real_##symbol(fd); \
		lf_console_forget_from(0, 2); \
		lf_console_forget(fd); \
		return rc; \
	}

/* Another module may come to lie where this one was. */
static void forget_sites(struct lf_process *process)
{
	lf_sites_unload_begin(&process->cache);
	lf_quiet_forget();
}

static struct lf_process *begin_unloading(void)
{
	struct lf_process *process = known_process();

	if (process)
		forget_sites(process);
	return process;
}

/* What the module printed as it went may have made the process's state, or a child's: that did not know. */
static void end_unloading(const struct lf_process *begun)
{
	struct lf_process *process = known_process();

	if (process && process != begun)
		forget_sites(process);
	if (process)
		lf_sites_unload_end(&process->cache);
}

#define LF_UNLOADING(call) \
	const struct lf_process *process = begin_unloading(); \
\
	call; \
	end_unloading(process)

#define LF_STUB_dlclose(symbol) \
	LF_EXPORT int symbol(void *module); \
	int symbol(void *module) \
	{ \
		int rc; \
\
		LF_UNLOADING(rc = lf_real_##symbol(module)); \
		return rc; \
	}

/* What a module calls last before it is unmapped, whoever unloads it: libc by itself (character sets, name
 * services), or a library that does not find our dlclose.  One without the compiler's start files does
 * not; then the dlclose above is all we see. */
#define LF_STUB_finalize(symbol) \
	LF_EXPORT void symbol(void *module); \
	void symbol(void *module) \
	{ \
		LF_UNLOADING(lf_real_##symbol(module)); \
	}

#define LF_NOTICE_CALL(symbol, shape) LF_STUB_##shape(symbol)
#include "agent/hook/interposed.def"
