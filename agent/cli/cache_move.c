/* logfold cache warm, export, import: many values at once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cache.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"

/* ---- Lines of a file ---- */

struct lines {
	FILE *in;
	char *line;
	size_t size;
};

/* Without its newline.  False: that was all. */
static bool next_line(struct lines *lines, struct lf_text *out)
{
	ssize_t len = getline(&lines->line, &lines->size, lines->in);

	if (len < 0)
		return false;
	if (len > 0 && lines->line[len - 1] == '\n')
		len--;
	*out = (struct lf_text){ lines->line, (size_t)len };
	return true;
}

/* ---- warm ---- */

enum { PROGRESS_MS = 500 };

static int next_id(void *arg, struct lf_text *id)
{
	while (next_line(arg, id))
		if (id->len > 0)
			return 1;
	return 0;
}

static void print_progress(const char *how, const struct lf_cache_progress *progress)
{
	char of[32] = "";

	if (progress->total)
		(void)snprintf(of, sizeof(of), " of %" PRIu64, progress->total);
	lf_complain("%s: %" PRIu64 "%s warmed, %" PRIu64 " not found", how, progress->done, of, progress->failed);
}

/* A line on stderr at times, as long as it goes on. */
static int wait_for(struct lf_cache_warming *warming, struct lf_error *err)
{
	struct lf_cache_progress progress = { 0 };
	int rc;

	while ((rc = lf_cache_warm_wait(warming, PROGRESS_MS, &progress, err)) == -ETIMEDOUT)
		print_progress("warming", &progress);
	if (rc == 1)
		print_progress("done", &progress);
	return rc;
}

int lf_cache_task_warm(const struct lf_options *options)
{
	struct lines lines = { .in = stdin };
	struct lf_cache_warm warm = { .from = LF_CACHE_WARM_TIERS, .arg = &lines };
	struct lf_cache_warming *warming = NULL;
	struct lf_opened opened;
	struct lf_error err;
	int rc;

	if (options->words_count && strcmp(options->words[0], "-") != 0)
		return lf_cache_misused("warm takes ids from stdin, `-`, or none");
	if (options->words_count)
		warm.next = next_id;
	rc = lf_opened_reach(&opened, options, &err);
	if (rc == 0)
		rc = lf_cache_warm(&warming, opened.space, &warm, &err);
	if (rc == 0)
		rc = wait_for(warming, &err);
	lf_opened_close(&opened);
	free(lines.line);
	return rc < 0 ? lf_cache_failed(&err) : LF_EXIT_OK;
}

/* ---- export ---- */

static void print_line(void *arg, struct lf_text line)
{
	(void)arg;
	(void)fwrite(line.data, 1, line.len, stdout);
	if (line.len == 0 || line.data[line.len - 1] != '\n')
		(void)putchar('\n');
}

int lf_cache_task_export(const struct lf_options *options)
{
	struct lf_opened opened;
	struct lf_error err;
	int rc = lf_opened_reach(&opened, options, &err);

	if (rc == 0)
		rc = lf_cache_export(opened.space, print_line, NULL, NULL, &err);
	lf_opened_close(&opened);
	return rc < 0 ? lf_cache_failed(&err) : LF_EXIT_OK;
}

/* ---- import ---- */

static int import_lines(struct lf_opened *opened, struct lines *lines, const char *name, struct lf_error *err)
{
	uint64_t number = 0, count = 0;
	struct lf_text line;
	struct lf_error why = { "" };
	int rc = 0;

	while (rc >= 0 && next_line(lines, &line)) {
		number++;
		if (line.len == 0)
			continue;
		rc = lf_cache_import(opened->space, line, &why);
		count += rc >= 0;
	}
	if (rc < 0)
		return lf_fail(err, rc, "%.200s:%" PRIu64 ": %s; the %" PRIu64 " before it are there", name, number, why.text,
		               count);
	if (ferror(lines->in))
		return lf_fail(err, -EIO, "'%.200s' cannot be read: %s", name, strerror(errno));
	lf_complain("%" PRIu64 " imported", count);
	return 0;
}

int lf_cache_task_import(const struct lf_options *options)
{
	const char *name = options->words[0];
	bool is_stdin = strcmp(name, "-") == 0;
	struct lines lines = { .in = is_stdin ? stdin : fopen(name, "re") };
	struct lf_opened opened;
	struct lf_error err;
	int rc;

	if (!lines.in) {
		lf_complain("'%.200s' cannot be read: %s", name, strerror(errno));
		return LF_EXIT_FAILED;
	}
	rc = lf_opened_reach(&opened, options, &err);
	if (rc == 0)
		rc = import_lines(&opened, &lines, name, &err);
	lf_opened_close(&opened);
	free(lines.line);
	if (!is_stdin)
		(void)fclose(lines.in);
	return rc < 0 ? lf_cache_failed(&err) : LF_EXIT_OK;
}
