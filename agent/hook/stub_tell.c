/* Calls that say what a number means, behind a text of the program: perror, psignal; and assert. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "agent/hook/said.h"
#include "hashing/sys.h"

#define CALLER __builtin_return_address(0)

enum { ORIENTS = 1, RETURNS = 2 };

/* perror leaves a stream without orientation alone, and prints to a stream of its own on a copy of the
 * fd; but that it opens to read, too, and where it cannot, it prints to stderr after all. */
static unsigned perror_orients(void)
{
	int flags = lf_sys_fcntl(lf_console_fd_of(stderr), F_GETFL, 0);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDWR ? ORIENTS : 0;
}

/* What comes before the real call. */
static bool begin(struct lf_said *said, const void *ret, enum lf_method method, const char *text,
                  unsigned how)
{
	*said = (struct lf_said){
		.ret = ret,
		.method = lf_method_code(method, LF_NO_FD),
		.text = text,
		.may_leave_out = how & RETURNS,
		.orients = how & ORIENTS,
	};
	lf_process_start();
	lf_said_on(said, stderr);
	return lf_said(said);
}

#define DEFINE_MEANING(symbol, method, how) \
	LF_EXPORT void symbol(const char *text); \
	void symbol(const char *text) \
	{ \
		struct lf_said said; \
\
		if (begin(&said, CALLER, LF_METHOD_##method, text, how)) \
			return; \
		lf_real_##symbol(text); \
		lf_said_end(&said); \
	}
#define LF_STUB_perror(symbol, method) DEFINE_MEANING(symbol, method, RETURNS | perror_orients())
#define LF_STUB_herror(symbol, method) DEFINE_MEANING(symbol, method, RETURNS)

#define LF_STUB_psignal(symbol, method) \
	LF_EXPORT void symbol(int number, const char *text); \
	void symbol(int number, const char *text) \
	{ \
		struct lf_said said; \
\
		if (begin(&said, CALLER, LF_METHOD_##method, text, RETURNS | ORIENTS)) \
			return; \
		lf_real_##symbol(number, text); \
		lf_said_end(&said); \
	}

#define LF_STUB_psiginfo(symbol, method) \
	LF_EXPORT void symbol(const siginfo_t *info, const char *text); \
	void symbol(const siginfo_t *info, const char *text) \
	{ \
		struct lf_said said; \
\
		if (begin(&said, CALLER, LF_METHOD_##method, text, RETURNS | ORIENTS)) \
			return; \
		lf_real_##symbol(info, text); \
		lf_said_end(&said); \
	}

/* Never left out, and counted before they end the program. */
#define BEFORE_ABORT(method, text) \
	do { \
		struct lf_said said; \
\
		(void)!begin(&said, CALLER, LF_METHOD_##method, text, ORIENTS); \
	} while (0)

#define LF_STUB_assert_fail(symbol, method) \
	LF_EXPORT _Noreturn void symbol(const char *assertion, const char *file, unsigned line, \
	                                const char *function); \
	void symbol(const char *assertion, const char *file, unsigned line, const char *function) \
	{ \
		BEFORE_ABORT(method, assertion); \
		lf_real_##symbol(assertion, file, line, function); \
		__builtin_unreachable(); \
	}

#define LF_STUB_assert_perror_fail(symbol, method) \
	LF_EXPORT _Noreturn void symbol(int error, const char *file, unsigned line, \
	                                const char *function); \
	void symbol(int error, const char *file, unsigned line, const char *function) \
	{ \
		BEFORE_ABORT(method, "Unexpected error"); /* then what errno says */ \
		lf_real_##symbol(error, file, line, function); \
		__builtin_unreachable(); \
	}

#define LF_STUB_assert(symbol, method) \
	LF_EXPORT _Noreturn void symbol(const char *assertion, const char *file, int line); \
	void symbol(const char *assertion, const char *file, int line) \
	{ \
		BEFORE_ABORT(method, assertion); \
		lf_real_##symbol(assertion, file, line); \
		__builtin_unreachable(); \
	}

#define LF_TELL_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"
