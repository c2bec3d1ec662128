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
#include "tests/bench/lines.h"

enum {
	LINES = 4096,
	ROUNDS = 201, /* each short: of many, the lower quartile is what a line takes with nothing else there */
};

struct lines {
	struct lf_text text[LINES];
	size_t count;
	size_t bytes;
};

static volatile uint64_t sink; /* so that no result is computed in vain */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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
	uint64_t start = now_ns(), hash;
	size_t i;

	for (i = 0; i < lines->count; i++) {
		sink += run(lines->text[i], out, &hash);
		sink += hash;
	}
	return (double)(now_ns() - start) / (double)lines->count;
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
	(void)printf("mask: %.2f million lines/s (%.0f ns a line of %.0f bytes on average, of %d rounds), "
		     "copy+hash %.0f ns, ratio %.1f\n",
		     1e3 / mask[ROUNDS / 4], mask[ROUNDS / 4],
		     (double)lines.bytes / (double)lines.count, ROUNDS, bare[ROUNDS / 4],
		     ratio[ROUNDS / 2]);
	return 0;
}
