/* Import of JSON lines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/import.h"
#include "agent/cli/json_read.h"

enum { BAD_SHOWN = 10 };

struct lines {
	struct lf_import *import;
	FILE *in;
	struct lf_json_reader *reader;
	char *line;
	unsigned long long number;
};

enum { LINE_END = -1, LINE_TOO_LONG = -2 };

/* The length of the next line without its newline. */
static long next_line(struct lines *lines)
{
	size_t len = 0;
	int c = getc_unlocked(lines->in);

	if (c == EOF)
		return LINE_END;
	lines->number++;
	for (; c != EOF && c != '\n'; c = getc_unlocked(lines->in))
		if (len <= LF_JSON_LINE_MAX)
			lines->line[len++] = (char)c;
	return len > LF_JSON_LINE_MAX ? LINE_TOO_LONG : (long)len;
}

static int take_line(struct lines *lines, long len, struct lf_error *err)
{
	struct lf_import_counts counts = { 0 };
	struct lf_json_line line;
	int rc;

	if (len == LINE_TOO_LONG)
		return lf_fail(err, -EINVAL, "it is longer than %d bytes", (int)LF_JSON_LINE_MAX);
	rc = lf_json_read(lines->reader, (struct lf_text){ lines->line, (size_t)len }, &line, err);
	if (rc < 0)
		return rc;
	counts = (struct lf_import_counts){ line.has_total, line.has_passed, line.shares,
		                            line.shares_count, line.has_shares };
	return lf_import_take(lines->import, &line.entry, &counts, err);
}

/* With its place, and the remedy where the sentence has none yet. */
static int tell_bad(struct lines *lines, int rc, const struct lf_error *why, struct lf_error *err)
{
	struct lf_import *import = lines->import;
	const char *from = strcmp(import->from, "-") == 0 ? "stdin" : import->from;

	if (rc != -EINVAL)
		return lf_fail(err, rc, "%.200s:%llu: %.250s", from, lines->number, why->text);
	if (!import->options->skip_bad)
		return lf_fail(err, rc, "%.200s:%llu: %.200s: correct the line, or leave such lines out with "
		                        "--skip-bad; nothing is imported", from, lines->number, why->text);
	if (import->skipped++ < BAD_SHOWN)
		lf_complain("%.200s:%llu: %s: left out", from, lines->number, why->text);
	return 0;
}

static bool is_blank(const char *line, long len)
{
	for (long i = 0; i < len; i++)
		if (!strchr(" \t\r", line[i]) || !line[i])
			return false;
	return len >= 0;
}

static int read_all(struct lines *lines, struct lf_error *err)
{
	struct lf_error why = { "" };
	long len;
	int rc = 0;

	while (rc == 0 && (len = next_line(lines)) != LINE_END) {
		if (is_blank(lines->line, len))
			continue;
		rc = take_line(lines, len, &why);
		if (rc < 0)
			rc = tell_bad(lines, rc, &why, err);
		lf_import_progress(lines->import);
	}
	if (rc == 0 && ferror(lines->in))
		rc = lf_fail(err, -EIO, "'%.200s' cannot be read: %s", lines->import->from, strerror(errno));
	return rc;
}

int lf_import_lines(struct lf_import *import, struct lf_error *err)
{
	struct lines lines = { .import = import };
	int rc = 0;

	lines.in = strcmp(import->from, "-") == 0 ? stdin : fopen(import->from, "re");
	if (!lines.in)
		return lf_fail(err, -errno, "'%.200s' cannot be read: %s", import->from, strerror(errno));
	lines.line = malloc((size_t)LF_JSON_LINE_MAX + 1);
	if (!lines.line)
		rc = lf_fail(err, -ENOMEM, "there is no memory for a line");
	if (rc == 0)
		rc = lf_json_reader_new(&lines.reader, err);
	if (rc == 0)
		rc = read_all(&lines, err);
	lf_json_reader_free(lines.reader);
	free(lines.line);
	if (lines.in != stdin)
		(void)fclose(lines.in);
	return rc;
}
