/* What the sources of `logfold import` have in common.
 *
 * Everything is read into a store in memory first: so nothing is imported of what cannot be read to its
 * end, and the store that others use is held for as short as it can be.
 */
#ifndef LOGFOLD_CLI_IMPORT_H
#define LOGFOLD_CLI_IMPORT_H

#include "agent/cli/options.h"
#include "agent/store/store.h"

struct lf_import {
	const struct lf_options *options;
	const char *from;
	struct lf_store *staged; /* in a transaction */
	char foreign[LF_UUID_CHARS + 1]; /* of --as */
	char now[LF_TIME_CHARS + 1];     /* stands for a time that nobody knows */
	uint64_t taken, renamed, skipped;
	int64_t started_ms, shown_ms; /* shown_ms 0: no progress was shown */
};

/* How much an entry says of who counted it. */
struct lf_import_counts {
	bool has_total, has_passed;
	const struct lf_share *shares; /* with none, the entry's own counts are those of --as */
	size_t shares_count;
	bool has_shares; /* even if it is none */
};

/* Takes an entry in: 0, also when it is of another namespace than was asked for.  -EINVAL: it cannot be;
 * -ENODATA: nobody said whose the numbers are. */
LF_MUST_CHECK int lf_import_take(struct lf_import *import, const struct lf_entry *entry,
                                 const struct lf_import_counts *counts, struct lf_error *err);

/* Now and then, while something is read. */
void lf_import_progress(struct lf_import *import);

/* The UUID of version 5 that stands for a name. */
void lf_import_uuid(const char *name, char out[LF_UUID_CHARS + 1]);

LF_MUST_CHECK int lf_import_lines(struct lf_import *import, struct lf_error *err);

bool lf_import_is_mongo(const char *from);
LF_MUST_CHECK int lf_import_mongo(struct lf_import *import, struct lf_error *err);

#endif
