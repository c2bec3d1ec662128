/* logfold ls: the messages of a store, most frequent first. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/cli/catalog.h"
#include "agent/cli/cli.h"
#include "agent/core/json.h"
#include "agent/cli/place.h"
#include "agent/cli/rows.h"

/* A reader that has gone away (`logfold ls | head`, where SIGPIPE is ignored) needs no more. */
static int print_object(void *arg, const struct lf_entry *entry)
{
	(void)arg;
	lf_json_entry(stdout, entry);
	return ferror(stdout) ? -EIO : 0;
}

static int add_row(void *arg, const struct lf_entry *entry)
{
	return lf_rows_add(arg, entry);
}

static int list(struct lf_store *store, const struct lf_options *options,
                const struct lf_selectors *selectors, struct lf_error *err)
{
	struct lf_table *table = NULL;
	int rc;

	if (options->json) {
		rc = store ? lf_catalog_each(store, options, selectors, print_object, NULL, err) : 0;
		return ferror(stdout) ? 0 : rc; /* main() tells about stdout */
	}
	rc = lf_rows_new(&table);
	if (rc == 0 && store)
		rc = lf_catalog_each(store, options, selectors, add_row, table, err);
	if (rc == -ENOMEM)
		rc = lf_fail(err, rc, "out of memory for so many entries: choose some, or use --json");
	if (rc == 0)
		lf_table_print(table, stdout, lf_terminal_of(STDOUT_FILENO));
	lf_table_free(table);
	return rc;
}

int lf_cmd_ls(const struct lf_options *options)
{
	struct lf_selectors *selectors = NULL;
	struct lf_store *store = NULL;
	struct lf_place place;
	struct lf_error err;
	int rc = lf_selectors_new(&selectors, (const char *const *)options->words,
	                          (size_t)options->words_count, &err);

	if (rc < 0) {
		lf_complain("%s", err.text);
		return rc == -EINVAL ? LF_EXIT_USAGE : LF_EXIT_FAILED;
	}
	rc = lf_place_find(&place, options, &err);
	if (rc == 0) {
		rc = lf_place_open(&store, &place, &err);
		if (rc == -ENOENT) { /* an empty list, and a hint */
			lf_complain("%s", err.text);
			rc = 0;
		}
	}
	if (rc == 0)
		rc = list(store, options, selectors, &err);
	if (rc < 0)
		lf_complain("%s", err.text);
	lf_store_close(store);
	lf_selectors_free(selectors);
	return rc < 0 ? LF_EXIT_FAILED : LF_EXIT_OK;
}
