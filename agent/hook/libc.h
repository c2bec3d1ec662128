/* The real calls behind the interposed ones.
 *
 * Resolved once, in the constructor, or on the first call where another library's constructor
 * prints before ours has run.  None of these is ever called through our own PLT: programs export
 * functions of their own called `write` or `error`.
 */
#ifndef LOGFOLD_HOOK_LIBC_H
#define LOGFOLD_HOOK_LIBC_H

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <wchar.h>
#include <time.h>

/* Ours alone: no look-up through the global offset table. */
#pragma GCC visibility push(hidden)

#define LF_EXPORT __attribute__((visibility("default")))
#define LF_LIKELY(x) __builtin_expect(!!(x), 1)
#define LF_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* symbol, result, parameters */
#define LF_REAL_CALLS(X) \
	X(vfprintf, int, (FILE *, const char *, va_list)) \
	X(__vfprintf_chk, int, (FILE *, int, const char *, va_list)) \
	X(vdprintf, int, (int, const char *, va_list)) \
	X(__vdprintf_chk, int, (int, int, const char *, va_list)) \
	X(vsnprintf, int, (char *, size_t, const char *, va_list)) \
	X(__vsnprintf_chk, int, (char *, size_t, int, size_t, const char *, va_list)) \
	X(puts, int, (const char *)) \
	X(fputs, int, (const char *, FILE *)) \
	X(fputs_unlocked, int, (const char *, FILE *)) \
	X(fputc, int, (int, FILE *)) \
	X(fputc_unlocked, int, (int, FILE *)) \
	X(putc, int, (int, FILE *)) \
	X(putc_unlocked, int, (int, FILE *)) \
	X(putchar, int, (int)) \
	X(putchar_unlocked, int, (int)) \
	X(fwrite, size_t, (const void *, size_t, size_t, FILE *)) \
	X(fwrite_unlocked, size_t, (const void *, size_t, size_t, FILE *)) \
	X(__overflow, int, (FILE *, int)) \
	X(write, ssize_t, (int, const void *, size_t)) \
	X(writev, ssize_t, (int, const struct iovec *, int)) \
	X(dup, int, (int)) \
	X(dup2, int, (int, int)) \
	X(dup3, int, (int, int, int)) \
	X(close, int, (int)) \
	X(close_range, int, (unsigned, unsigned, int)) \
	X(closefrom, void, (int)) \
	X(fcntl, int, (int, int, ...)) \
	X(fcntl64, int, (int, int, ...)) \
	X(fclose, int, (FILE *)) \
	X(pclose, int, (FILE *)) \
	X(fcloseall, int, (void)) \
	X(freopen, FILE *, (const char *, const char *, FILE *)) \
	X(freopen64, FILE *, (const char *, const char *, FILE *)) \
	X(fflush, int, (FILE *)) \
	X(fflush_unlocked, int, (FILE *)) \
	X(daemon, int, (int, int)) \
	X(login_tty, int, (int)) \
	X(dlclose, int, (void *)) \
	X(__cxa_finalize, void, (void *)) \
	X(prctl, int, (int, ...)) \
	X(syscall, long, (long, long, long, long, long, long, long)) \
	X(clock_gettime, int, (clockid_t, struct timespec *)) \
	X(vsyslog, void, (int, const char *, va_list)) \
	X(__vsyslog_chk, void, (int, int, const char *, va_list)) \
	X(setlogmask, int, (int)) \
	X(perror, void, (const char *)) \
	X(herror, void, (const char *)) \
	X(psignal, void, (int, const char *)) \
	X(psiginfo, void, (const siginfo_t *, const char *)) \
	X(__assert_fail, void, (const char *, const char *, unsigned, const char *)) \
	X(__assert_perror_fail, void, (int, const char *, unsigned, const char *)) \
	X(__assert, void, (const char *, const char *, int)) \
	X(vfwprintf, int, (FILE *, const wchar_t *, va_list)) \
	X(__vfwprintf_chk, int, (FILE *, int, const wchar_t *, va_list)) \
	X(vswprintf, int, (wchar_t *, size_t, const wchar_t *, va_list)) \
	X(__vswprintf_chk, int, (wchar_t *, size_t, int, size_t, const wchar_t *, va_list)) \
	X(fputws, int, (const wchar_t *, FILE *)) \
	X(fputws_unlocked, int, (const wchar_t *, FILE *)) \
	X(fputwc, wint_t, (wchar_t, FILE *)) \
	X(fputwc_unlocked, wint_t, (wchar_t, FILE *)) \
	X(putwc, wint_t, (wchar_t, FILE *)) \
	X(putwc_unlocked, wint_t, (wchar_t, FILE *)) \
	X(putwchar, wint_t, (wchar_t)) \
	X(putwchar_unlocked, wint_t, (wchar_t)) \
	X(putw, int, (int, FILE *)) \
	X(pwritev2, ssize_t, (int, const struct iovec *, int, off_t, int)) \
	X(pwritev64v2, ssize_t, (int, const struct iovec *, int, off_t, int))

/* The same, of calls whose names other libraries have functions of their own under (versioned.h). */
#define LF_REAL_VERSIONED_CALLS(X) \
	X(vwarn, void, (const char *, va_list)) \
	X(vwarnx, void, (const char *, va_list)) \
	X(verr, void, (int, const char *, va_list)) \
	X(verrx, void, (int, const char *, va_list)) \
	X(error, void, (int, int, const char *, ...)) \
	X(error_at_line, void, (int, int, const char *, unsigned, const char *, ...))

#define LF_DECLARE_REAL(symbol, result, parameters) extern result(*lf_real_##symbol) parameters;
LF_REAL_CALLS(LF_DECLARE_REAL)
LF_REAL_VERSIONED_CALLS(LF_DECLARE_REAL)
#undef LF_DECLARE_REAL

/* Other names of the same function. */
#define lf_real__IO_puts lf_real_puts
#define lf_real__IO_fputs lf_real_fputs
#define lf_real__IO_putc lf_real_putc
#define lf_real__IO_fwrite lf_real_fwrite
#define lf_real___write lf_real_write
#define lf_real___dup2 lf_real_dup2
#define lf_real___close lf_real_close
#define lf_real___fcntl lf_real_fcntl
#define lf_real__IO_fclose lf_real_fclose
#define lf_real__IO_fflush lf_real_fflush

/* Idempotent; any thread may run it, even two at once. */
void lf_libc_resolve(void);

#pragma GCC visibility pop

#endif
