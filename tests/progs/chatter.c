/* chatter HOW PROGRESS [COUNT]: prints without end, or COUNT times, and counts in the file PROGRESS
 * (a 64-bit number, mapped) the calls that have returned, so that a test that kills it knows them.
 *
 *   format   printf("chatter number %ld\n")          one message, one count a call
 *   puts     puts of a changing text                 one message, one count a call
 *   halves   write of "alpha N " and "beta\n" in turn  one line every two calls
 *   constant puts of a constant, with a flush after each call, and reads a byte from stdin before each
 *   slow     format, with a flush after each call, and reads a byte from stdin before each
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile uint64_t *map_progress(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	void *memory;

	if (fd < 0 || ftruncate(fd, 8) < 0)
		abort();
	memory = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		abort();
	close(fd);
	return memory;
}

static void print(const char *how, long i)
{
	char text[64], byte;

	if (strcmp(how, "puts") == 0) {
		snprintf(text, sizeof(text), "chatter item %ld of many", i);
		puts(text);
	} else if (strcmp(how, "halves") == 0) {
		int len = i % 2 ? snprintf(text, sizeof(text), "beta\n")
		                : snprintf(text, sizeof(text), "alpha %ld ", i);

		if (write(1, text, (size_t)len) != len)
			abort();
	} else if (strcmp(how, "constant") == 0) {
		if (read(0, &byte, 1) != 1)
			exit(0);
		puts("chatter says the same");
		fflush(stdout);
	} else {
		if (strcmp(how, "slow") == 0 && read(0, &byte, 1) != 1)
			exit(0);
		printf("chatter number %ld\n", i);
		if (strcmp(how, "slow") == 0)
			fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	volatile uint64_t *progress = map_progress(argv[2]);
	long count = argc > 3 ? atol(argv[3]) : -1;

	for (long i = 0; count < 0 || i < count; i++) {
		print(argv[1], i);
		*progress = (uint64_t)i + 1;
	}
	return 0;
}
