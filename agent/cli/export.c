/* logfold export: entries as JSON lines, with what each incarnation counted: what `logfold import` takes.
 *
 * By namespace and hash, so that equal stores give equal files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/place.h"
#include "agent/cli/selector.h"
#include "agent/core/json.h"

struct exporting {
	struct lf_store *store;
	const struct lf_selectors *selectors;
	FILE *out;
	struct lf_error *err;
};

static int print_entry(void *arg, const struct lf_entry *entry)
{
	struct exporting *to = arg;
	struct lf_share *shares;
	size_t count;
	int rc;

	if (!lf_selectors_match(to->selectors, entry))
		return 0;
	rc = lf_store_shares(to->store, entry->namespace, entry->hash, &shares, &count, to->err);
	if (rc < 0)
		return rc;
	lf_json_entry_with(to->out, entry, shares, count);
	free(shares);
	return ferror(to->out) ? -EPIPE : 0;
}

static int print_all(struct exporting *to, const struct lf_options *options)
{
	struct lf_query query = { .namespace = options->namespace, .order = LF_BY_KEY };
	int rc;

	lf_selectors_narrow(to->selectors, &query);
	rc = lf_store_each(to->store, &query, print_entry, to, to->err);
	return rc == -EPIPE && to->out == stdout ? 0 : rc; /* main() tells about stdout */
}

/* ---- Into a file ---- */

static int fail_file(const char *path, struct lf_error *err)
{
	return lf_fail(err, -errno, "'%.200s' cannot be written: %s", path, strerror(errno));
}

/* A pipe or a device takes what comes. */
static int print_to_special(struct exporting *to, const struct lf_options *options)
{
	int rc;

	to->out = fopen(options->output, "we");
	if (!to->out)
		return fail_file(options->output, to->err);
	rc = print_all(to, options);
	errno = EIO;
	if (fclose(to->out) != 0 || rc == -EPIPE)
		rc = fail_file(options->output, to->err);
	return rc;
}

/* 0600, as the store is: messages may be confidential. */
static int print_to_new(struct exporting *to, const struct lf_options *options, char *temporary)
{
	int fd = mkostemp(temporary, O_CLOEXEC), rc;

	to->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!to->out)
		return fail_file(options->output, to->err);
	rc = print_all(to, options);
	if (rc == 0 && (fflush(to->out) != 0 || fsync(fd) != 0))
		rc = fail_file(options->output, to->err);
	if (rc == -EPIPE)
		rc = fail_file(options->output, to->err);
	(void)fclose(to->out);
	if (rc == 0 && rename(temporary, options->output) != 0)
		rc = fail_file(options->output, to->err);
	if (rc < 0)
		(void)unlink(temporary);
	return rc;
}

/* Whoever finds the file finds all of it. */
static int print_to_file(struct exporting *to, const struct lf_options *options)
{
	char temporary[PATH_MAX];
	struct stat st;

	if (stat(options->output, &st) == 0 && !S_ISREG(st.st_mode))
		return print_to_special(to, options);
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", options->output) >= (int)sizeof(temporary))
		return lf_fail(to->err, -ENAMETOOLONG, "'%.200s' is too long a name", options->output);
	return print_to_new(to, options, temporary);
}

int lf_cmd_export(const struct lf_options *options)
{
	struct lf_selectors *selectors = NULL;
	struct exporting to = { .out = stdout };
	struct lf_place place;
	struct lf_error err;
	int rc = lf_selectors_new(&selectors, (const char *const *)options->words,
	                          (size_t)options->words_count, &err);

	if (rc < 0) {
		lf_complain("%s", err.text);
		return rc == -EINVAL ? LF_EXIT_USAGE : LF_EXIT_FAILED;
	}
	to.selectors = selectors;
	to.err = &err;
	rc = lf_place_find(&place, options, &err);
	if (rc == 0)
		rc = lf_place_open(&to.store, &place, &err);
	if (rc == 0)
		rc = options->output ? print_to_file(&to, options) : print_all(&to, options);
	if (rc < 0)
		lf_complain("%s", err.text);
	lf_store_close(to.store);
	lf_selectors_free(selectors);
	return rc < 0 ? LF_EXIT_FAILED : LF_EXIT_OK;
}
