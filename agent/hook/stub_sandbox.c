/* Calls by which a process may enter a seccomp sandbox (sandbox.h). */
#include <stdarg.h>

#include "agent/hook/libc.h"
#include "agent/hook/process.h"
#include "agent/hook/sandbox.h"

/* The arguments travel as longs, whatever their types: the registers are the same. */
#define LF_STUB_prctl(symbol) \
	LF_EXPORT int symbol(int option, ...); \
	int symbol(int option, ...) \
	{ \
		long a, b, c, d; \
		va_list args; \
		bool sealed; \
		int rc; \
\
		va_start(args, option); \
		a = va_arg(args, long); \
		b = va_arg(args, long); \
		c = va_arg(args, long); \
		d = va_arg(args, long); \
		va_end(args); \
		lf_process_start(); \
		sealed = lf_sandbox_is_prctl(option, a) && lf_sandbox_enter(); \
		rc = lf_real_##symbol(option, a, b, c, d); \
		if (sealed && rc < 0) \
			lf_sandbox_leave(); \
		return rc; \
	}

static __attribute__((noinline)) long syscall_into_sandbox(long number, long a, long b, long c, long d,
                                                           long e, long f)
{
	bool sealed;
	long rc;

	lf_process_start();
	sealed = lf_sandbox_is_syscall(number, a, b) && lf_sandbox_enter();
	rc = lf_real_syscall(number, a, b, c, d, e, f);
	if (sealed && rc < 0)
		lf_sandbox_leave();
	return rc;
}

/* Any other call is a jump into libc's function, with everything where it was: a clone may begin its child
 * on another stack right behind it.  unistd.h declares it with `...`, hence the other name in C. */
#define LF_STUB_syscall(symbol) \
	LF_EXPORT long lf_stub_##symbol(long number, long a, long b, long c, long d, long e, long f) \
		__asm__(#symbol); \
	long lf_stub_##symbol(long number, long a, long b, long c, long d, long e, long f) \
	{ \
		if (LF_UNLIKELY(!lf_real_##symbol || lf_sandbox_is_syscall(number, a, b))) \
			return syscall_into_sandbox(number, a, b, c, d, e, f); \
		return lf_real_##symbol(number, a, b, c, d, e, f); \
	}

#define LF_SANDBOX_CALL(symbol, shape) LF_STUB_##shape(symbol)
#include "agent/hook/interposed.def"
