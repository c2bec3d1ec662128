/* warn, err and their like: "program: message: what errno says", on stderr. */
#include <errno.h>
#include <err.h>

#include "agent/hook/caller.h"
#include "agent/hook/said.h"
#include "agent/hook/versioned.h"

extern char *__progname; /* as libc's own calls have it */

static void render(const struct lf_said *said, struct lf_said_text *out)
{
	int error = errno;
	va_list args;

	lf_said_add(out, "%s: ", __progname);
	errno = error;
	va_copy(args, *said->args);
	lf_said_add_format(out, said->fortify, said->text, args);
	va_end(args);
	errno = error;
	lf_said_add(out, said->errnum ? ": %m\n" : "\n");
}

enum { WITHOUT_ERRNO, WITH_ERRNO };

/* What comes before the real call. */
static __attribute__((noinline)) bool begin(struct lf_said *said, const void *ret, uint32_t method,
                                            const char *format, va_list args, int with_errno,
                                            bool returns)
{
	va_list copy;
	bool left_out;

	*said = (struct lf_said){
		.ret = ret,
		.method = method,
		.text = format,
		.fortify = LF_NOT_FORTIFIED,
		.args = &copy,
		.render = render,
		.errnum = with_errno,
		.may_leave_out = returns,
		.orients = true,
	};
	lf_said_on(said, stderr);
	va_copy(copy, args);
	left_out = lf_said(said);
	va_end(copy);
	return left_out;
}

static bool is_console(void)
{
	lf_process_start();
	return lf_console_is(lf_console_fd_of(stderr));
}

#define DIRECT_CALLER __builtin_return_address(0)
#define CODE(method) lf_method_code(LF_METHOD_##method, LF_NO_FD)

#define WARNING(caller, method, real, format, args, with_errno) \
	do { \
		struct lf_said said; \
\
		if (!is_console()) \
			real(format, args); \
		else if (!begin(&said, caller, CODE(method), format, args, with_errno, true)) { \
			real(format, args); \
			lf_said_end(&said); \
		} \
	} while (0)

/* Never left out, and counted before it ends the program. */
#define FATAL(caller, method, real, status, format, args, with_errno) \
	do { \
		struct lf_said said; \
\
		if (is_console()) \
			(void)!begin(&said, caller, CODE(method), format, args, with_errno, false); \
		real(status, format, args); \
	} while (0)

#define DEFINE_WARNING(symbol, method, real, with_errno) \
	LF_VERSIONED(symbol); \
	LF_EXPORT void lf_hooked_##symbol(const char *format, ...); \
	void lf_hooked_##symbol(const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		WARNING(DIRECT_CALLER, method, real, format, args, with_errno); \
		va_end(args); \
	}
#define DEFINE_V_WARNING(symbol, method, real, with_errno) \
	LF_VERSIONED(symbol); \
	LF_EXPORT void lf_hooked_##symbol(const char *format, va_list args); \
	void lf_hooked_##symbol(const char *format, va_list args) \
	{ \
		WARNING(LF_WRAPPER_CALLER, method, real, format, args, with_errno); \
	}
#define DEFINE_FATAL(symbol, method, real, with_errno) \
	LF_VERSIONED(symbol); \
	LF_EXPORT _Noreturn void lf_hooked_##symbol(int status, const char *format, ...); \
	void lf_hooked_##symbol(int status, const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		FATAL(DIRECT_CALLER, method, real, status, format, args, with_errno); \
		__builtin_unreachable(); \
	}
#define DEFINE_V_FATAL(symbol, method, real, with_errno) \
	LF_VERSIONED(symbol); \
	LF_EXPORT _Noreturn void lf_hooked_##symbol(int status, const char *format, va_list args); \
	void lf_hooked_##symbol(int status, const char *format, va_list args) \
	{ \
		FATAL(LF_WRAPPER_CALLER, method, real, status, format, args, with_errno); \
		__builtin_unreachable(); \
	}

#define LF_STUB_warn(symbol, method) DEFINE_WARNING(symbol, method, lf_real_vwarn, WITH_ERRNO)
#define LF_STUB_warnx(symbol, method) DEFINE_WARNING(symbol, method, lf_real_vwarnx, WITHOUT_ERRNO)
#define LF_STUB_vwarn(symbol, method) DEFINE_V_WARNING(symbol, method, lf_real_vwarn, WITH_ERRNO)
#define LF_STUB_vwarnx(symbol, method) \
	DEFINE_V_WARNING(symbol, method, lf_real_vwarnx, WITHOUT_ERRNO)
#define LF_STUB_err(symbol, method) DEFINE_FATAL(symbol, method, lf_real_verr, WITH_ERRNO)
#define LF_STUB_errx(symbol, method) DEFINE_FATAL(symbol, method, lf_real_verrx, WITHOUT_ERRNO)
#define LF_STUB_verr(symbol, method) DEFINE_V_FATAL(symbol, method, lf_real_verr, WITH_ERRNO)
#define LF_STUB_verrx(symbol, method) DEFINE_V_FATAL(symbol, method, lf_real_verrx, WITHOUT_ERRNO)

#define LF_WARN_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"
