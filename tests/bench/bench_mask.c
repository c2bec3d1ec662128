/* How many lines a second lf_mask() takes, beside the least that any such function must do: copy
 * the line and hash it.  The two run in turns, so that a busy machine slows both.
 *
 * usage: bench_mask [FILE]     masks the lines of FILE instead of those made here
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hashing/mask.h"

enum {
	LINES = 4096,
	ROUNDS = 61,
	MAX_ROUND_NS = 45000000, /* 61 rounds of this are under 3 s */
};

struct lines {
	struct lf_text text[LINES];
	size_t count;
	size_t bytes;
};

static uint64_t random_state = 88172645463325252u;
static volatile uint64_t sink; /* so that no result is computed in vain */

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 32) % n;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *pick_word(void)
{
	static const char *const words[] = { "alice", "backup", "eu-west", "Worker", "cache", "db" };

	return words[random_below(6)];
}

/* One line of a daemon, a web server, a compiler, a kernel, a library: about 72 bytes on average. */
static int make_line(char *line, size_t size)
{
	unsigned a = random_below(100000), b = random_below(256), c = random_below(60);

	switch (random_below(10)) {
	case 0: return snprintf(line, size, "Accepted password for %s from 10.%u.%u.7 port %u ssh2",
				pick_word(), b, c, a);
	case 1: return snprintf(line, size, "192.168.%u.%u - - [10/Oct/2023:13:%02u:36 +0000] "
				"\"GET /item/%u?page=%u HTTP/1.1\" 200 %u", b, c, c, a, b, a);
	case 2: return snprintf(line, size, "level=info ts=2023-10-10T13:55:%02u.%03uZ caller=main.go:%u "
				"msg=\"request done\" duration=%ums", c, b, b, c);
	case 3: return snprintf(line, size, "could not open configuration file: No such file or directory");
	case 4: return snprintf(line, size, "[%5u.%06u] usb 1-%u: new high-speed USB device number %u "
				"using xhci_hcd", a, a, c, b);
	case 5: return snprintf(line, size, "src/module_%s.c:%u:%u: warning: unused variable '%s' "
				"[-Wunused-variable]", pick_word(), a, c, pick_word());
	case 6: return snprintf(line, size, "Received block blk_%u%u of size %u from /10.250.%u.%u",
				a, a, a * 37, b, c);
	case 7: return snprintf(line, size, "connection from client closed after %u seconds, %u bytes "
				"(%u.%u KB) sent", c, a, a / 1000, b);
	case 8: return snprintf(line, size, "Server started, waiting for workers of pool %s to connect",
				pick_word());
	default: return snprintf(line, size, "%s: updating index of table \"%s\" in transaction %u done, "
				 "state=running", pick_word(), pick_word(), a);
	}
}

static void add_line(struct lines *lines, const char *line, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		exit(1);
	memcpy(copy, line, len);
	lines->text[lines->count++] = (struct lf_text){ copy, len };
	lines->bytes += len;
}

static void generate(struct lines *lines)
{
	char line[256];

	while (lines->count < LINES)
		add_line(lines, line, (size_t)make_line(line, sizeof(line)));
}

static void read_lines(struct lines *lines, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (!file) {
		(void)fprintf(stderr, "bench_mask: '%s' cannot be read\n", path);
		exit(1);
	}
	while (lines->count < LINES && (len = getline(&line, &size, file)) > 0)
		add_line(lines, line, (size_t)len - (line[len - 1] == '\n'));
	free(line);
	(void)fclose(file);
}

/* The work that no mask can avoid. */
static size_t copy_and_hash(struct lf_text line, char *out, uint64_t *hash)
{
	uint64_t word, h = line.len;
	size_t i, len = line.len < LF_TEMPLATE_MAX ? line.len : LF_TEMPLATE_MAX;

	memcpy(out, line.data, len);
	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, out + i, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
	}
	for (; i < len; i++)
		h = (h ^ (unsigned char)out[i]) * 0x9e3779b97f4a7c15u;
	*hash = h ^ h >> 32;
	return len;
}

typedef size_t line_function(struct lf_text line, char out[LF_TEMPLATE_MAX], uint64_t *hash);

/* Nanoseconds per line. */
static double measure(const struct lines *lines, line_function *run)
{
	static char out[LF_TEMPLATE_MAX];
	uint64_t start = now_ns(), hash, stop;
	size_t i, done = 0;

	do {
		for (i = 0; i < lines->count; i++) {
			sink += run(lines->text[i], out, &hash);
			sink += hash;
		}
		done += lines->count;
		stop = now_ns();
	} while (stop - start < MAX_ROUND_NS / 2 && done < 4 * LINES);
	return (double)(stop - start) / (double)done;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct lines lines;
	double mask[ROUNDS], bare[ROUNDS], ratio[ROUNDS];
	int i;

	if (argc > 1)
		read_lines(&lines, argv[1]);
	else
		generate(&lines);
	if (lines.count == 0) {
		(void)fprintf(stderr, "bench_mask: no lines\n");
		return 1;
	}
	for (i = 0; i < ROUNDS; i++) {
		mask[i] = measure(&lines, lf_mask);
		bare[i] = measure(&lines, copy_and_hash);
		ratio[i] = mask[i] / bare[i];
	}
	qsort(mask, ROUNDS, sizeof(*mask), compare);
	qsort(bare, ROUNDS, sizeof(*bare), compare);
	qsort(ratio, ROUNDS, sizeof(*ratio), compare);
	(void)printf("mask: %.2f million lines/s (%.0f ns a line of %.0f bytes on average, median of %d), "
		     "copy+hash %.0f ns, ratio %.1f\n",
		     1e3 / mask[ROUNDS / 2], mask[ROUNDS / 2],
		     (double)lines.bytes / (double)lines.count, ROUNDS, bare[ROUNDS / 2],
		     ratio[ROUNDS / 2]);
	return 0;
}
