/* A library to preload: on each call that takes a va_list it climbs out of the wrappers as the hook
 * does, from the caches and without, and by the unwinder of the compiler's own library, and compares.
 *
 * $COMPARE_FRAMES is a file of one struct tally, mapped by all processes of a test; what differs is
 * written to the end of the file of that name with ".text" behind it.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unwind.h>

#include "agent/hook/caller.h"
#include "hashing/sys.h"

#pragma GCC visibility push(default)
#define EXPORT __attribute__((visibility("default")))

/* tests/integration/test_wrappers.py reads it. */
struct tally {
	_Atomic uint64_t calls;
	_Atomic uint64_t climbed;  /* the frame is not the direct caller */
	_Atomic uint64_t quick;    /* it was found in the few instructions */
	_Atomic uint64_t unknown;  /* the direct caller for want of knowledge */
	_Atomic uint64_t wrong;
};

enum { CHAIN_MAX = 48 };

struct chain {
	const void *ret[CHAIN_MAX];
	size_t count;
};

static struct tally none, *tally = &none;
static char text_file[4096];
static _Thread_local bool is_inside;

/* By LOGFOLD_RUN_DIR a process of its own, so that the climb has caches; without one it has none. */
static struct lf_process *process;

__attribute__((constructor)) static void start(void)
{
	const char *file = getenv("COMPARE_FRAMES");
	int fd = file ? lf_sys_open(file, O_RDWR | O_CLOEXEC, 0) : -1;
	void *memory;

	if (fd < 0)
		return;
	if (lf_sys_mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &memory) == 0)
		tally = memory;
	(void)lf_sys_close(fd);
	(void)snprintf(text_file, sizeof(text_file), "%s.text", file);
	process = lf_process_enter();
}

static _Unwind_Reason_Code add(struct _Unwind_Context *context, void *to)
{
	struct chain *chain = to;

	if (chain->count == CHAIN_MAX)
		return _URC_END_OF_STACK;
	chain->ret[chain->count++] = (const void *)_Unwind_GetIP(context);
	return _URC_NO_REASON;
}

/* The answer that the unwinder's chain leads to, by the rules of caller.h. */
static const void *expected_of(const void *ret)
{
	struct chain chain = { .count = 0 };
	size_t at = 0;

	(void)_Unwind_Backtrace(add, &chain);
	while (at < chain.count && chain.ret[at] != ret)
		at++;
	for (size_t level = 0; level < LF_CALLER_LEVELS && at + level + 1 < chain.count; level++) {
		enum lf_unwind_variadic variadic = lf_unwind_of(chain.ret[at + level]).variadic;

		if (variadic == LF_UNWIND_MAYBE_VARIADIC)
			break;
		if (variadic == LF_UNWIND_VARIADIC)
			return chain.ret[at + level + 1];
	}
	return ret;
}

static void tell(const void *ret, const void *expected, const void *found, const char *how)
{
	char line[256];
	int fd = lf_sys_open(text_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600), len;

	len = snprintf(line, sizeof(line), "pid %d, from %p: %s says %p, the unwinder %p\n",
	               (int)getpid(), ret, how, found, expected);
	(void)lf_sys_write(fd, line, (size_t)len);
	(void)lf_sys_close(fd);
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static __attribute__((noinline)) void compare(const void *ret, const void *frame, const void *quick)
{
	int saved = errno;
	const void *found, *expected;

	if (is_inside)
		return;
	is_inside = true;
	found = lf_caller_of_wrapper(ret, frame);
	expected = expected_of(ret);
	count(&tally->calls);
	if (found != ret)
		count(&tally->climbed);
	if (quick)
		count(&tally->quick);
	if (found == ret && expected != ret) {
		count(&tally->unknown);
		tell(ret, expected, found, "the climb (unknown)");
	} else if (found != expected || (quick && quick != expected)) {
		count(&tally->wrong);
		tell(ret, expected, found == expected ? quick : found, "the climb");
	}
	is_inside = false;
	errno = saved;
}

#define COMPARE \
	compare(__builtin_return_address(0), __builtin_frame_address(0), \
	        process && process == lf_process_now() ? lf_caller_quick(process) : NULL)

/* The real call, and ours in its place. */
#define INSTEAD(result, symbol, parameters, arguments) \
	EXPORT result symbol parameters; \
	EXPORT result symbol parameters \
	{ \
		static result (*real) parameters; \
\
		if (!real) \
			real = (result(*) parameters)(uintptr_t)dlsym(RTLD_NEXT, #symbol); \
		COMPARE; \
		return real arguments; \
	}

INSTEAD(int, vprintf, (const char *format, va_list args), (format, args))
INSTEAD(int, __vprintf_chk, (int flag, const char *format, va_list args), (flag, format, args))
INSTEAD(int, vfprintf, (FILE * file, const char *format, va_list args), (file, format, args))
INSTEAD(int, __vfprintf_chk, (FILE * file, int flag, const char *format, va_list args),
        (file, flag, format, args))
INSTEAD(int, vsnprintf, (char *out, size_t size, const char *format, va_list args),
        (out, size, format, args))
INSTEAD(int, __vsnprintf_chk,
        (char *out, size_t size, int flag, size_t room, const char *format, va_list args),
        (out, size, flag, room, format, args))
INSTEAD(int, vsprintf, (char *out, const char *format, va_list args), (out, format, args))
INSTEAD(int, __vsprintf_chk, (char *out, int flag, size_t room, const char *format, va_list args),
        (out, flag, room, format, args))
INSTEAD(int, vasprintf, (char **out, const char *format, va_list args), (out, format, args))
INSTEAD(int, __vasprintf_chk, (char **out, int flag, const char *format, va_list args),
        (out, flag, format, args))
INSTEAD(int, vdprintf, (int fd, const char *format, va_list args), (fd, format, args))
INSTEAD(int, __vdprintf_chk, (int fd, int flag, const char *format, va_list args),
        (fd, flag, format, args))
