/* Calls what libc has for complaining, logging and printing wide characters, by every name, and writes
 * what each returned to fd 3, with errno, both streams' orientation and error_message_count.  Bytes and
 * results must be the same hooked and bare; muted, whatever may be left out is.
 *
 *   voices RESULTS-ON-FD-3
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <error.h>
#include <locale.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <wchar.h>

#undef putwc
#undef putwc_unlocked
#undef fputwc_unlocked
#undef putwchar_unlocked
#undef fputws_unlocked

void __syslog_chk(int, int, const char *, ...);
void __vsyslog_chk(int, int, const char *, va_list);
int __wprintf_chk(int, const wchar_t *, ...);
int __fwprintf_chk(FILE *, int, const wchar_t *, ...);
int __vwprintf_chk(int, const wchar_t *, va_list);
int __vfwprintf_chk(FILE *, int, const wchar_t *, va_list);
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int);

static void result(const char *what, long value)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "%s=%ld errno=%d out=%d err=%d errors=%u\n", what,
	                   value, errno, fwide(stdout, 0), fwide(stderr, 0), error_message_count);

	if (write(3, line, (size_t)len) < 0)
		abort();
	errno = 7; /* a call that succeeds leaves errno alone */
}
#define RESULT(expression) result(#expression, (long)(expression))
#define CALL(expression) (expression, result(#expression, 0))

/* On the heap, so that it is no constant of the program. */
static char *dynamic(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

#define THROUGH(name, call) \
	static void name(const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		call; \
		va_end(args); \
	}
THROUGH(through_vwarn, vwarn(format, args))
THROUGH(through_vwarnx, vwarnx(format, args))
THROUGH(through_verr, verr(5, format, args))
THROUGH(through_verrx, verrx(6, format, args))
THROUGH(through_vsyslog, vsyslog(LOG_WARNING, format, args))
THROUGH(through_vsyslog_chk, __vsyslog_chk(LOG_DAEMON | LOG_DEBUG, 1, format, args))

#define THROUGH_WIDE(name, call) \
	static int name(const wchar_t *format, ...) \
	{ \
		va_list args; \
		int len; \
\
		va_start(args, format); \
		len = call; \
		va_end(args); \
		return len; \
	}
THROUGH_WIDE(through_vwprintf, vwprintf(format, args))
THROUGH_WIDE(through_vwprintf_chk, __vwprintf_chk(1, format, args))
THROUGH_WIDE(through_vfwprintf, vfwprintf(stdout, format, args))
THROUGH_WIDE(through_vfwprintf_chk, __vfwprintf_chk(stdout, 1, format, args))

/* The first to print: stderr has no orientation yet. */
static void meanings(void)
{
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_USER };

	errno = ENOENT;
	perror("opening");
	errno = 7; /* where it could not open stderr to read, too, it says so here */
	result("perror", 0);
	CALL(perror(NULL));
	CALL(perror(""));
	CALL(perror(dynamic("/var/tmp/12345")));
	h_errno = HOST_NOT_FOUND;
	CALL(herror("looking up"));
	CALL(psignal(SIGINT, "told"));
	CALL(psignal(SIGINT, NULL));
	CALL(psiginfo(&info, "told in full"));
}

static void warnings(void)
{
	int upto = 0;

	errno = EACCES;
	CALL(warn("warn of %d and %s", 1, "one"));
	CALL(through_vwarn("vwarn of %f", 2.5));
	CALL(warnx("warnx of %d", 3));
	CALL(through_vwarnx("vwarnx of %d%%", 4));
	CALL(warn(NULL));
	CALL(warnx(NULL));
	errno = EACCES;
	CALL(warn("%s", dynamic("a carried text")));
	CALL(warnx("%s", "two\nlines of text"));
	errno = EIO;
	CALL(warnx("with %m in it"));
	warnx("up to here%n and on", &upto);
	result("warnx %n", upto);
}

static void print_name(void)
{
	fflush(stdout);
	fprintf(stderr, "my own name, ");
}

static void errors(void)
{
	int upto = 0;

	CALL(error(0, ENOENT, "error of %d %s %f %d %d %d %f", 1, "a", 2.5, 3, 4, 5, 6.25));
	CALL(error(0, 0, "%s %d", dynamic("carried by error"), 7));
	error(0, 0, "error %d up to here%n and on", 7, &upto);
	result("error %n", upto);
	CALL(error_at_line(0, EACCES, "file.c", 12, "error at a line of %d %f", 8, 9.5));
	CALL(error_at_line(0, 0, NULL, 0, "error of no file, %d", 10));
	CALL(error_at_line(0, 0, "file.c", 13, "%s", dynamic("carried from a line")));
	error_one_per_line = 1;
	for (int i = 0; i < 3; i++)
		CALL(error_at_line(0, 0, "file.c", 14, "once a line: %d", i));
	error_one_per_line = 0;
	error_print_progname = print_name;
	CALL(error(0, 0, "after a name of %s own", "its"));
	error_print_progname = NULL;
}

static void logs(void)
{
	int upto = 0;

	openlog("voices", LOG_PERROR, LOG_USER);
	errno = ENOENT;
	CALL(syslog(LOG_ERR, "logged %d: %m", 1));
	CALL(__syslog_chk(LOG_INFO | LOG_MAIL, 1, "logged and checked %d", 2));
	CALL(through_vsyslog("vlogged %d\n", 3));
	CALL(through_vsyslog_chk("vlogged and checked %d", 4));
	CALL(syslog(LOG_ALERT, "%s", dynamic("carried to the log")));
	CALL(syslog(LOG_ALERT, "%s", dynamic("two lines\nto the log\n")));
	syslog(LOG_ERR, "logged up to here%n and on", &upto);
	result("syslog %n", upto);
	RESULT(setlogmask(LOG_UPTO(LOG_ERR)));
	CALL(syslog(LOG_INFO, "masked out"));
	RESULT(setlogmask(0));
	closelog();
}

static void wide(void)
{
	RESULT(wprintf(L"w\u00efde of %d and %ls\n", 1, L"one"));
	RESULT(__wprintf_chk(1, L"checked wide of %d\n", 2));
	RESULT(fwprintf(stdout, L"fwide of %d\n", 3));
	RESULT(__fwprintf_chk(stdout, 1, L"checked fwide of %d\n", 4));
	RESULT(through_vwprintf(L"vwide of %d\n", 5));
	RESULT(through_vwprintf_chk(L"checked vwide of %d\n", 6));
	RESULT(through_vfwprintf(L"vfwide of %d\n", 7));
	RESULT(through_vfwprintf_chk(L"checked vfwide of %d\n", 8));
	RESULT(wprintf(L"%s %d\n", dynamic("carried wide"), 9));
	RESULT(wprintf(L"a wide character: %lc\n", (wint_t)0x1f600));
	RESULT(fputws(L"constant wide\n", stdout));
	RESULT(fputws_unlocked(L"unlocked wide\n", stdout));
	RESULT(fputws(wcsdup(L"dynamic wide\n"), stdout));
	RESULT(fputwc(L'p', stdout));
	RESULT(fputwc_unlocked(L'u', stdout));
	RESULT(putwc(L't', stdout));
	RESULT(putwc_unlocked(L' ', stdout));
	RESULT(putwchar(L'w'));
	RESULT(putwchar_unlocked(L'\n'));
	RESULT(fputwc(0x7fffffff, stdout));
	RESULT(wprintf(L"not at the end"));
	RESULT(fputws(L"\n", stdout));
	RESULT(printf("narrow on a wide stream\n"));
	fflush(stdout);
}

static void on_fds(void)
{
	char first[] = "two ", second[] = "pieces\n";
	struct iovec pieces[] = { { first, 4 }, { second, 7 } };

	RESULT(pwritev2(2, pieces, 2, -1, 0));
	RESULT(pwritev64v2(2, pieces, 2, -1, RWF_DSYNC) < 0);
	RESULT(pwritev2(2, pieces, 2, -1, -2)); /* no flags that there are */
	RESULT(pwritev2(2, pieces, 2, -2, 0));
	RESULT(pwritev2(99, pieces, 2, -1, 0));
	RESULT(putw(0x0a6b6f6b, stderr)); /* "kok\n" where the lowest byte comes first */
}

static void last_words(void)
{
	fputs("at exit\n", stderr);
}

/* Ends a child of its own. */
#define FATAL(expression) \
	do { \
		int status = 0; \
		pid_t child; \
\
		fflush(NULL); \
		child = fork(); \
		if (!child) { \
			atexit(last_words); \
			errno = EDOM; \
			expression; \
			_exit(99); \
		} \
		if (child < 0 || waitpid(child, &status, 0) != child) \
			abort(); \
		result(#expression, status); \
	} while (0)

static void ends(void)
{
	FATAL(err(3, "err of %d", 1));
	FATAL(errx(4, "errx of %d", 2));
	FATAL(through_verr("verr of %d", 3));
	FATAL(through_verrx("verrx of %d", 4));
	FATAL(err(7, "%s", dynamic("carried by err")));
	FATAL(error(8, EDOM, "ending error of %d", 5));
	FATAL(error_at_line(9, 0, "file.c", 15, "ending at a line, %d", 6));
	FATAL(assert(errno != EDOM));
	FATAL(assert_perror(errno));
}

/* A stream that is wide already. */
static void wide_errors(void)
{
	fwide(stderr, 1);
	errno = EDOM;
	warn("warned on a wide stream, %d", 1);
	error(0, 0, "error on a wide stream, %d", 2);
	perror("wide perror");
	exit((int)error_message_count);
}

/* Told before what follows on stderr, whether that is printed or not. */
static void flushes(void)
{
	fputws(L"waiting\n", stdout);
	error(0, 0, "flushes stdout, %d", 1);
	_exit((int)__fpending(stdout));
}

int main(void)
{
	struct rlimit no_core = { 0, 0 };

	setlocale(LC_ALL, "C.UTF-8");
	(void)setrlimit(RLIMIT_CORE, &no_core);
	FATAL(wide_errors());
	FATAL(flushes());
	errno = 7;
	meanings();
	warnings();
	errors();
	logs();
	wide();
	on_fds();
	ends();
	return 0;
}
