/* Calls every printing call that the hook takes, by every name libc has for it, and writes what each
 * returned, with errno, to fd 3.  Bytes and results must be the same hooked, muted and bare.
 *
 *   twins RESULTS-ON-FD-3
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#undef putc
#undef putc_unlocked
#undef putchar_unlocked
#undef fputc_unlocked
#undef fputs_unlocked
#undef fwrite_unlocked

int _IO_printf(const char *, ...);
int _IO_fprintf(FILE *, const char *, ...);
int _IO_vfprintf(FILE *, const char *, va_list);
int __printf_chk(int, const char *, ...);
int __fprintf_chk(FILE *, int, const char *, ...);
int __vprintf_chk(int, const char *, va_list);
int __vfprintf_chk(FILE *, int, const char *, va_list);
int __dprintf_chk(int, int, const char *, ...);
int __vdprintf_chk(int, int, const char *, va_list);
int _IO_puts(const char *);
int _IO_fputs(const char *, FILE *);
int _IO_putc(int, FILE *);
size_t _IO_fwrite(const void *, size_t, size_t, FILE *);
int __overflow(FILE *, int);
ssize_t __write(int, const void *, size_t);

static void result(const char *what, long value)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s=%ld errno=%d orientation=%d\n", what, value, errno,
	                   fwide(stdout, 0));
	struct iovec piece = { line, (size_t)len };

	/* Not write(2): fd 3 is no console, but the fewer of our own calls the better. */
	if (pwritev2(3, &piece, 1, -1, 0) < 0)
		abort();
	errno = 7; /* a call that succeeds leaves errno alone */
}
#define RESULT(expression) result(#expression, (long)(expression))

/* On the heap, so that it is no constant of the program. */
static char *dynamic(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

static int through_vprintf(const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vprintf(format, args);
	va_end(args);
	return len;
}

#define THROUGH(name, call) \
	static int name(const char *format, ...) \
	{ \
		va_list args; \
		int len; \
\
		va_start(args, format); \
		len = call; \
		va_end(args); \
		return len; \
	}
THROUGH(through_vprintf_chk, __vprintf_chk(1, format, args))
THROUGH(through_vfprintf, vfprintf(stderr, format, args))
THROUGH(through_io_vfprintf, _IO_vfprintf(stderr, format, args))
THROUGH(through_vfprintf_chk, __vfprintf_chk(stderr, 1, format, args))
THROUGH(through_vdprintf, vdprintf(2, format, args))
THROUGH(through_vdprintf_chk, __vdprintf_chk(2, 1, format, args))

static void formats(void)
{
	const char *volatile no_text = NULL;
	int seen = 0;

	RESULT(printf("printf of %d and %s\n", 1, "one"));
	RESULT(printf("a constant through printf, 100%%\n"));
	RESULT(_IO_printf("io printf of %d\n", 2));
	RESULT(__printf_chk(1, "checked printf of %d\n", 3));
	RESULT(fprintf(stderr, "fprintf of %ld\n", 4L));
	RESULT(_IO_fprintf(stderr, "io fprintf of %d\n", 5));
	RESULT(__fprintf_chk(stderr, 1, "checked fprintf of %.2f\n", 6.5));
	RESULT(through_vprintf("vprintf of %d\n", 7));
	RESULT(through_vprintf_chk("checked vprintf of %d\n", 8));
	RESULT(through_vfprintf("vfprintf of %d\n", 9));
	RESULT(through_io_vfprintf("io vfprintf of %d\n", 10));
	RESULT(through_vfprintf_chk("checked vfprintf of %d\n", 11));
	RESULT(dprintf(2, "dprintf of %d\n", 12));
	RESULT(__dprintf_chk(2, 1, "checked dprintf of %d\n", 13));
	RESULT(through_vdprintf("vdprintf of %d\n", 14));
	RESULT(through_vdprintf_chk("checked vdprintf of %d\n", 15));
	RESULT(printf("%s\n", dynamic("a carried line")));
	RESULT(printf("%s", dynamic("a carried line without newline")));
	RESULT(printf("\n"));
	RESULT(printf("%d:%c %s\n", 16, 'M', dynamic("rendered words")));
	RESULT(printf("%s\n", no_text));
	RESULT(printf("percent n after five%n\n", &seen));
	RESULT(seen);
	errno = 2;
	RESULT(printf("errno says %m\n"));
	RESULT(printf("%s", ""));
	RESULT(printf(dynamic("a format in writable memory %d\n"), 17));
	RESULT(printf("not at the end"));
	RESULT(putchar('\n'));
}

static void texts(void)
{
	RESULT(puts("a constant line"));
	RESULT(puts(dynamic("a dynamic line")));
	RESULT(_IO_puts("io constant line"));
	RESULT(puts(""));
	RESULT(puts(dynamic("two\nlines")));
	RESULT(fputs("constant fputs\n", stdout));
	RESULT(fputs(dynamic("dynamic fputs\n"), stdout));
	RESULT(_IO_fputs("io fputs\n", stderr));
	RESULT(fputs_unlocked("unlocked fputs\n", stderr));
	RESULT(fputs("", stdout));
	RESULT(fputc('c', stdout));
	RESULT(fputc_unlocked('h', stdout));
	RESULT(putc('a', stdout));
	RESULT(_IO_putc('r', stdout));
	RESULT(putc_unlocked('s', stdout));
	RESULT(putchar(0x1ff & 0x100 ? '!' : '?'));
	RESULT(putchar_unlocked('\n'));
	RESULT(fputc(0x141, stdout));
	RESULT(__overflow(stdout, '\n'));
	RESULT(fwrite("constant fwrite\n", 1, 16, stdout));
	RESULT(fwrite(dynamic("dynamic fwrite\n"), 5, 3, stdout));
	RESULT(_IO_fwrite("io fwrite\n", 2, 5, stderr));
	RESULT(fwrite_unlocked("unlocked fwrite\n", 1, 16, stderr));
	RESULT(fwrite("", 0, 5, stdout));
	RESULT(fwrite("", 5, 0, stdout));
}

static void on_fds(void)
{
	char first[] = "two ", second[] = "pieces\nand ", third[] = "more\n";
	struct iovec pieces[] = { { first, 4 }, { second, 11 }, { third, 5 } };

	fflush(stdout);
	RESULT(write(1, "constant write\n", 15));
	RESULT(write(1, dynamic("dynamic write\n"), 14));
	RESULT(__write(2, dynamic("other name\n"), 11));
	RESULT(write(1, dynamic("begun "), 6));
	RESULT(write(1, dynamic("and ended\n"), 10));
	RESULT(write(1, "", 0));
	RESULT(writev(1, pieces, 3));
	RESULT(writev(1, pieces, 0));
}

static void failures(void)
{
	FILE *reader = fopen("/dev/null", "r");
	char *volatile nowhere = (char *)8;

	RESULT(write(99, "no such fd\n", 11));
	RESULT(write(1, nowhere, 10));
	RESULT(dprintf(99, "no such fd %d\n", 1));
	RESULT(fprintf(reader, "not for writing %d\n", 1));
	RESULT(fputs("not for writing\n", reader));
	RESULT(fwrite("not for writing\n", 1, 16, reader));
	RESULT(fputc('x', reader));
	RESULT(writev(1, (const struct iovec *)nowhere, 1));
	RESULT(writev(1, (const struct iovec *)nowhere, 100000));
}

/* Streams that have no fd are nobody's console, whatever stands in their FILE. */
static void in_memory(void)
{
	char *memory = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&memory, &size);

	RESULT(fprintf(stream, "printf of %d and %s\n", 1, "one"));
	RESULT(fputs("a constant line\n", stream));
	RESULT(fputs(dynamic("a dynamic line\n"), stream));
	RESULT(fwrite(dynamic("bytes\n"), 1, 6, stream));
	RESULT(fputc('c', stream));
	RESULT(fclose(stream));
	RESULT(size);
}

/* Text in the very last bytes of a mapping. */
static void at_the_end_of_memory(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || munmap(page + 4096, 4096) < 0)
		abort();
	memcpy(page + 4091, "last\n", 5);
	RESULT(write(1, page + 4091, 5));
	RESULT(fwrite(page + 4091, 1, 5, stdout));
	fflush(stdout);
}

int main(void)
{
	errno = 7;
	formats();
	texts();
	on_fds();
	failures();
	in_memory();
	at_the_end_of_memory();
	return 0;
}
