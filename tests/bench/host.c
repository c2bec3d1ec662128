/* The host of the benchmarks: does one kind of work, with the hook or without, and writes what run.py
 * asks for to the file $BENCH_RESULT.
 *
 *   host format|constant|write|fresh COUNT   makes COUNT calls or a few less; nanoseconds a call.  `fresh`
 *                                      writes lines no two of which differ in digits alone
 *   host entries COUNT                 prints COUNT different messages; then its /proc/self/smaps
 *   host starts ROUNDS PROGRAM LIBRARY LIBRARY
 *                                      starts PROGRAM, each time once with each library preloaded;
 *                                      median milliseconds with the first, and with the second
 *   host report COUNT                  a program that works for its lines: sorts, sums, prints
 *   host line                          mean bytes of a line of `write`
 *   host live FIRST COUNT              prints that many messages, and again for each byte that it reads;
 *                                      then a byte each time.  Ends with its stdin
 *   host flags COUNT FD                prints COUNT messages again and again into a pipe whose other end
 *                                      is FD; "message silent nanoseconds" whenever one falls silent or
 *                                      is heard again.  Ends with its stdin
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"

enum { LINES = 4096, WARM = 2000, ROUNDS_MAX = 1000, CALL_ROUNDS = 60, SAMPLE = 100 };

/* Through a pointer: the compiler would make it a puts. */
static int (*volatile print)(const char *, ...) = printf;

static int result;
static char lines[LINES][256];
static size_t lengths[LINES];

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void format_call(long i)
{
	printf("request %ld of %s took %d ms\n", i & 1023, "alice", 12);
}

static void constant_call(long i)
{
	(void)i;
	print("cannot reach the database, trying again\n");
}

static void write_call(long i)
{
	(void)!write(STDOUT_FILENO, lines[i % LINES], lengths[i % LINES]);
}

static double make_lines(bool fresh)
{
	size_t bytes = 0;

	for (int i = 0; i < LINES; i++) {
		lengths[i] = (size_t)make_line(lines[i], sizeof(lines[i]));
		if (fresh)
			lengths[i] += (size_t)sprintf(lines[i] + lengths[i], " /t/%c%c%c", 'a' + i % 16,
			                              'a' + i / 16 % 16, 'a' + i / 256);
		lines[i][lengths[i]++] = '\n';
		bytes += lengths[i];
	}
	return (double)bytes / LINES;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Of many short rounds the lower quartile: what a call takes while nothing else has the processor. */
static void time_calls(void (*call)(long), long count)
{
	double ns[CALL_ROUNDS];
	uint64_t start;

	for (long i = 0; i < WARM + LINES; i++)
		call(i);
	for (int round = 0; round < CALL_ROUNDS; round++) {
		start = now_ns();
		for (long i = 0; i < count / CALL_ROUNDS; i++)
			call(i);
		ns[round] = (double)(now_ns() - start) / (double)(count / CALL_ROUNDS);
	}
	qsort(ns, CALL_ROUNDS, sizeof(*ns), by_value);
	dprintf(result, "%.3f\n", ns[CALL_ROUNDS / 4]);
}

/* About 50 bytes; they differ in a word of letters, so that each is an entry. */
static void print_entry(long i)
{
	char text[128], word[8];
	int len;

	for (int k = 0, n = (int)i; k < 6; k++, n /= 10)
		word[k] = (char)('k' + n % 10);
	word[6] = '\0';
	len = snprintf(text, sizeof(text), "worker %s has finished its share of the work\n", word);
	(void)!write(STDOUT_FILENO, text, (size_t)len);
}

static void print_entries(long count)
{
	char part[4096];
	ssize_t len;
	int smaps;

	for (long i = 0; i < count; i++)
		print_entry(i);
	smaps = open("/proc/self/smaps", O_RDONLY);
	while ((len = read(smaps, part, sizeof(part))) > 0)
		(void)!write(result, part, (size_t)len);
}

static void live(long first, long count)
{
	char byte;

	do {
		for (long i = first; i < first + count; i++)
			print_entry(i);
		(void)!write(result, ".", 1);
	} while (read(STDIN_FILENO, &byte, 1) == 1);
}

/* Whether something came out; it is read away. */
static int was_heard(int fd)
{
	char text[4096];
	int waiting = 0;

	(void)ioctl(fd, FIONREAD, &waiting);
	return waiting > 0 && read(fd, text, sizeof(text)) > 0;
}

static void watch_flags(long count, int fd)
{
	static char silent[LINES];
	struct pollfd end = { STDIN_FILENO, POLLIN, 0 };

	while (poll(&end, 1, 1) == 0)
		for (long i = 0; i < count && i < LINES; i++) {
			char now;

			print_entry(i);
			now = !was_heard(fd);
			if (now != silent[i])
				dprintf(result, "%ld %d %llu\n", i, now, (unsigned long long)now_ns());
			silent[i] = now;
		}
}

static double start_ms(char *program, const char *library)
{
	char *argv[] = { program, NULL }, preload[512], run_dir[512];
	char *env[] = { preload, run_dir, NULL };
	uint64_t start = now_ns();
	pid_t pid;
	int status;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
	snprintf(run_dir, sizeof(run_dir), "LOGFOLD_RUN_DIR=%s", getenv("LOGFOLD_RUN_DIR"));
	if (posix_spawn(&pid, program, NULL, NULL, argv, env) != 0 || waitpid(pid, &status, 0) < 0 ||
	    status != 0)
		exit(1);
	return (double)(now_ns() - start) / 1e6;
}

static void time_starts(int rounds, char *program, char *const library[2])
{
	static double ms[2][ROUNDS_MAX];

	rounds = rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX;
	for (int i = 0; i < rounds; i++)
		for (int which = 0; which < 2; which++)
			ms[which][i] = start_ms(program, library[which]);
	for (int which = 0; which < 2; which++)
		qsort(ms[which], (size_t)rounds, sizeof(double), by_value);
	dprintf(result, "%.4f %.4f\n", ms[0][rounds / 2], ms[1][rounds / 2]);
}

/* A line for each batch of samples, which is sorted first: a job that logs its progress. */
static void report(long count)
{
	double sample[SAMPLE];

	for (long i = 0; i < count; i++) {
		for (int k = 0; k < SAMPLE; k++)
			sample[k] = (double)random_below(1000000);
		qsort(sample, SAMPLE, sizeof(*sample), by_value);
		printf("batch %ld: median %.1f us, 99th percentile %.1f us\n", i, sample[SAMPLE / 2],
		       sample[SAMPLE * 99 / 100]);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 0;
	double mean = make_lines(strcmp(what, "fresh") == 0);

	result = open(getenv("BENCH_RESULT") ? getenv("BENCH_RESULT") : "/dev/null",
	              O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (strcmp(what, "format") == 0)
		time_calls(format_call, count);
	else if (strcmp(what, "constant") == 0)
		time_calls(constant_call, count);
	else if (strcmp(what, "write") == 0 || strcmp(what, "fresh") == 0)
		time_calls(write_call, count);
	else if (strcmp(what, "entries") == 0)
		print_entries(count);
	else if (strcmp(what, "starts") == 0 && argc == 6)
		time_starts((int)count, argv[3], argv + 4);
	else if (strcmp(what, "report") == 0)
		report(count);
	else if (strcmp(what, "live") == 0 && argc == 4)
		live(count, atol(argv[3]));
	else if (strcmp(what, "flags") == 0 && argc == 4)
		watch_flags(count, atoi(argv[3]));
	else if (strcmp(what, "line") == 0)
		dprintf(result, "%.1f\n", mean);
	else
		return 64;
	return 0;
}
