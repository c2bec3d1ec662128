/* cost WHAT COUNT: makes one kind of call COUNT times and nothing else that depends on COUNT, so that
 * the difference of two runs is what the calls cost.
 *
 *   format    printf with three arguments
 *   constant  printf whose format has no conversions
 *   puts      puts of a constant
 *   wrapper   the same by way of a variadic function and vprintf
 *   nested    the same with one more function between the two
 *   nothing   no call at all
 *   inner     write to a file that is no console
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Through a pointer: the compiler would make it a puts. */
static int (*volatile print)(const char *, ...) = printf;

static void format(long i, int file)
{
	(void)file;
	printf("request %ld of %s took %d ms\n", i & 7, "alice", 12);
}

__attribute__((noinline)) static void log_info(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vprintf(text, args);
	va_end(args);
}

static void wrapper(long i, int file)
{
	(void)file;
	log_info("request %ld of %s took %d ms\n", i & 7, "alice", 12);
}

/* What is done after the call keeps it from being a jump. */
__attribute__((noinline)) static void log_args(const char *text, va_list args)
{
	if (vprintf(text, args) < 0)
		exit(1);
}

__attribute__((noinline)) static void log_debug(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	log_args(text, args);
	va_end(args);
}

static void nested(long i, int file)
{
	(void)file;
	log_debug("request %ld of %s took %d ms\n", i & 7, "alice", 12);
}

static void constant(long i, int file)
{
	(void)i;
	(void)file;
	print("cannot reach the database, trying again\n");
}

static void puts_constant(long i, int file)
{
	(void)i;
	(void)file;
	puts("cannot reach the database, trying again");
}

static void nothing(long i, int file)
{
	(void)i;
	(void)file;
}

static void inner(long i, int file)
{
	(void)i;
	(void)!write(file, "data\n", 5);
}

static const struct {
	const char *name;
	void (*call)(long i, int file);
} kinds[] = {
	{ "format", format }, { "constant", constant }, { "puts", puts_constant },
	{ "wrapper", wrapper }, { "nested", nested }, { "inner", inner }, { "nothing", nothing },
};

int main(int argc, char **argv)
{
	int file = memfd_create("inner", 0);
	long count = argc == 3 ? atol(argv[2]) : 0;

	for (size_t k = 0; argc == 3 && k < sizeof(kinds) / sizeof(*kinds); k++)
		if (strcmp(kinds[k].name, argv[1]) == 0)
			for (long i = 0; i < count; i++)
				kinds[k].call(i, file);
	return file < 0 || count == 0;
}
