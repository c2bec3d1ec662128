/* Prints before every constructor, out of one, after main has returned and out of the last destructor, and
 * has functions of its own that are called like libc's.  Then says how many files it has open, and in
 * its status whether libc or a library called one of those functions.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int own_calls;

/* The linker exports these, as libc has the same names. */
ssize_t write(int fd, const void *data, size_t len)
{
	own_calls++;
	return syscall(SYS_write, fd, data, len);
}

int close(int fd)
{
	own_calls++;
	return (int)syscall(SYS_close, fd);
}

void warn(const char *format, ...)
{
	(void)format;
	own_calls++;
}

void error(int status, int number, const char *format, ...)
{
	(void)status;
	(void)number;
	(void)format;
	own_calls++;
}

int vsnprintf(char *out, size_t size, const char *format, va_list args)
{
	(void)out;
	(void)size;
	(void)format;
	(void)args;
	own_calls++;
	return -1;
}

static void first(void)
{
	(void)fputs("before the constructors\n", stdout);
	(void)fwrite("and again\n", 1, 10, stdout);
	(void)fputc('c', stdout);
	(void)putchar('\n');
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = first;

__attribute__((constructor(101))) static void construct(void)
{
	(void)fputs("in a constructor\n", stderr);
}

__attribute__((destructor(101))) static void destruct(void)
{
	(void)puts("in the last destructor");
	(void)fflush(stdout);
	if (own_calls)
		_exit(10 + own_calls);
}

static void at_exit(void)
{
	(void)printf("after %s\n", "main");
}

static int open_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	int count = 0;

	while (files && readdir(files))
		count++;
	if (files)
		(void)closedir(files);
	return count;
}

int main(void)
{
	(void)atexit(at_exit);
	(void)printf("%s\n", "a line of text");
	(void)printf("%s %s\n", "two", "words");
	(void)printf("%d open files\n", open_files());
	return 0;
}
