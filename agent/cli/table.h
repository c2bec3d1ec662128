/* A table for people: rows are collected, then printed in columns that fit the terminal.
 *
 * Where the width is limited, the widest of the columns that may shrink gives way first, and no line
 * is wider than the terminal.  Where it is not, nothing is cut; a cell wider than LF_TABLE_ALIGN_MAX
 * then pushes the rest of its own line to the right, not that of all others.
 */
#ifndef LOGFOLD_CLI_TABLE_H
#define LOGFOLD_CLI_TABLE_H

#include <stdio.h>

#include "agent/cli/terminal.h"
#include "logfold/entry.h"
#include "logfold/error.h"

enum { LF_TABLE_COLUMNS_MAX = 12, LF_TABLE_ALIGN_MAX = 72 };

enum lf_align {
	LF_ALIGN_LEFT,
	LF_ALIGN_RIGHT,
};

struct lf_column {
	const char *title;
	enum lf_align align;
	size_t shrinks_to; /* cells; 0: keeps its width */
	bool optional;     /* left out when all its cells are empty */
	const char *colour; /* of its cells: the parameters of an SGR sequence; NULL: none */
};

struct lf_table;

/* The columns, at most LF_TABLE_COLUMNS_MAX, must outlive the table. */
LF_MUST_CHECK int lf_table_new(struct lf_table **out, const struct lf_column *columns, size_t count);
void lf_table_free(struct lf_table *table); /* NULL is fine */

/* Adds a row: a text for each column, copied.  -ENOMEM. */
LF_MUST_CHECK int lf_table_add(struct lf_table *table, const struct lf_text *cells);

/* Titles and rows.  Whether the bytes got there is the stream's to say. */
void lf_table_print(const struct lf_table *table, FILE *out, struct lf_terminal terminal);

#endif
