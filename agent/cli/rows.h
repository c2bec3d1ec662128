/* Entries as rows of a table: COUNT METHOD MESSAGE FRAME HASH, and what of MUTED SAMPLED LIMITED FOLDED
 * POLICY TAGS any of them has. */
#ifndef LOGFOLD_CLI_ROWS_H
#define LOGFOLD_CLI_ROWS_H

#include "agent/cli/table.h"
#include "agent/core/excerpt.h"
#include "agent/store/store.h"

LF_MUST_CHECK int lf_rows_new(struct lf_table **out);

/* MUTED is how many calls were, and ` now` when more will be. */
LF_MUST_CHECK int lf_rows_add(struct lf_table *table, const struct lf_entry *entry);

#endif
