/* Copies of entries, for whoever keeps one longer than it was handed out for. */
#ifndef LOGFOLD_SINKS_COPY_H
#define LOGFOLD_SINKS_COPY_H

#include "logfold/entry.h"
#include "logfold/error.h"

/* All texts of the copy lie in one block of its own.  -ENOMEM; *out is then left alone. */
LF_MUST_CHECK int lf_entry_copy(struct lf_entry *out, const struct lf_entry *entry);
void lf_entry_fini(struct lf_entry *entry); /* of a copy; all zero is fine */

#endif
