/* verdicts ROUNDS: makes the same calls, out of the same places, so many times, and writes on fd 3 what
 * each gave back, with errno and the orientation of its stream.  That must be the same whatever becomes
 * of a call.  stdout is open for reading, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

int __printf_chk(int, const char *, ...);

static FILE *unwritable;

static void result(const char *what, long value)
{
	char line[160];
	int len = snprintf(line, sizeof(line), "%s=%ld errno=%d orientation=%d\n", what, value, errno,
	                   fwide(stdout, 0));

	if (pwrite(3, line, (size_t)len, lseek(3, 0, SEEK_END)) != len)
		abort();
	errno = 7; /* a call that succeeds leaves errno alone */
}
#define RESULT(expression) result(#expression, (long)(expression))

/* libc checks that a format with %n is no writable memory, where it is asked to. */
static int with_check(void)
{
	char format[] = "checked %n\n";
	int status, n;
	pid_t child = fork();

	if (child == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		(void)dup2(open("/dev/null", 1), 2);
		_exit(__printf_chk(1, format, &n));
	}
	return waitpid(child, &status, 0) == child ? status & ~0x80 : -1;
}

/* One place, wherever stdout leads to, and whichever stream it is. */
static __attribute__((noinline)) int say(void)
{
	volatile int said = puts("said where it goes");

	return said;
}

static __attribute__((noinline)) int say_to(FILE *file)
{
	volatile int said = fputs("said to a stream\n", file), printed = fprintf(file, "printed to it\n");

	return said * 1000 + printed;
}

static void redirect(void)
{
	int console = dup(1), file = memfd_create("file", 0);

	RESULT(say());
	RESULT(say());
	(void)fflush(stdout);
	(void)dup2(file, 1);
	RESULT(say());
	(void)fflush(stdout);
	RESULT(lseek(file, 0, SEEK_END));
	(void)dup2(console, 1);
	(void)close(console);
	(void)close(file);
	RESULT(say());
}

/* Two texts, and two calls, out of one place each. */
static __attribute__((noinline)) int say_either(const char *text)
{
	volatile int said = fputs(text, stdout);

	return said;
}

static __attribute__((noinline)) int say_by(int (*call)(const char *))
{
	volatile int said = call("said by somebody\n");

	return said;
}

static void go_on_with_a_line(void)
{
	(void)fflush(stdout);
	RESULT(printf("begun: "));
	RESULT(say());
	RESULT(fputc('\n', stdout));
}

static void change_streams(void)
{
	char *memory = NULL;
	size_t size = 0;
	FILE *usual = stdout, *file;

	RESULT(say_to(stdout));
	RESULT(say_to(stdout));
	RESULT(say_to(unwritable));
	file = fdopen(memfd_create("file", 0), "w");
	(void)fputs("so that it has an orientation\n", file);
	RESULT(say_to(file));
	RESULT(ftell(file));
	(void)fclose(file);
	stdout = open_memstream(&memory, &size);
	RESULT(say());
	RESULT(say_to(stdout));
	(void)fclose(stdout);
	stdout = usual;
	RESULT(size);
	free(memory);
}

static void calls(int number)
{
	const char *volatile no_format = NULL, *volatile nowhere = (const char *)8;
	char text[] = "some text in memory\n", pieces[2][8] = { "piece", "s\n" };
	struct iovec iov[2] = { { pieces[0], 5 }, { pieces[1], 2 } };
	int n = 0;

	RESULT(puts("abc"));
	RESULT(fputs("a constant\n", stdout));
	RESULT(fputs(text, stdout));
	RESULT(puts(text));
	RESULT(fputc(0x1ff, stdout));
	RESULT(fputc('\n', stdout));
	RESULT(fwrite("", 0, 9, stdout));
	RESULT(fwrite("", 9, 0, stdout));
	RESULT(fwrite("items\n", 2, 3, stdout));
	RESULT(fwrite(text, 4, 5, stdout));
	RESULT(printf("%d of %s\n", number % 7, "them"));
	RESULT(printf("no conversion at all\n"));
	RESULT(printf("%s\n", text));
	RESULT(printf("so far%n and on\n", &n));
	RESULT(n);
	RESULT(printf("%m\n"));
	RESULT(printf("%5000d\n", number % 7));
	RESULT(printf(no_format));
	RESULT(fprintf(stderr, "to %s\n", "stderr"));
	RESULT(fprintf(unwritable, "not for %s\n", "writing"));
	RESULT(fputs("not for writing\n", unwritable));
	RESULT(fputc('\n', unwritable));
	RESULT(fwrite("not for writing\n", 1, 16, unwritable));
	RESULT(ferror(unwritable) != 0);
	(void)fflush(stdout);
	RESULT(dprintf(1, "through an fd %d\n", number % 7));
	RESULT(dprintf(99, "no such fd\n"));
	RESULT(write(1, "constant\n", 9));
	RESULT(write(1, text, sizeof(text) - 1));
	RESULT(write(99, text, sizeof(text) - 1));
	RESULT(write(1, nowhere, 10));
	RESULT(write(1, text, 0));
	RESULT(writev(1, iov, 2));
	RESULT(with_check() == SIGABRT);
	redirect();
	change_streams();
	for (int i = 0; i < 6; i++) {
		RESULT(say_either(i % 3 ? "the one\n" : "the other\n"));
		RESULT(say_by(i % 3 ? puts : (int (*)(const char *))printf));
	}
	go_on_with_a_line();
}

int main(int argc, char **argv)
{
	unwritable = fdopen(1, "r");
	if (argc != 2 || !unwritable)
		return 64;
	(void)fwide(unwritable, -1);
	errno = 7;
	for (int i = 0; i < atoi(argv[1]); i++)
		calls(i);
	return 0;
}
