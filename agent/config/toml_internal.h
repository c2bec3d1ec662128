/* What the parts of the TOML parser share. */
#ifndef LOGFOLD_CONFIG_TOML_INTERNAL_H
#define LOGFOLD_CONFIG_TOML_INTERNAL_H

#include "agent/config/pool.h"
#include "agent/config/toml.h"

enum { LF_TOML_BUCKETS = 1024 };

struct lf_toml {
	struct lf_pool pool;
	struct lf_toml_node root;
	/* By table and key, so that a file full of keys takes no quadratic time. */
	struct lf_toml_node *bucket[LF_TOML_BUCKETS];
};

/* The parser's place in a copy of the document whose lines end in LF.  A string with escapes is never
 * longer than its spelling, so it is spelled out in place. */
struct lf_toml_cursor {
	struct lf_toml *toml;
	const char *name;
	char *at, *end;
	unsigned line;
	struct lf_error *err;
};

/* -EINVAL, with the sentence behind name and line. */
__attribute__((format(printf, 2, 3))) int lf_toml_wrong(const struct lf_toml_cursor *cursor,
                                                        const char *format, ...);

/* The next character, or NUL at the end; a document holds no NUL. */
char lf_toml_peek(const struct lf_toml_cursor *cursor);
bool lf_toml_looking_at(const struct lf_toml_cursor *cursor, const char *text);
void lf_toml_skip_blanks(struct lf_toml_cursor *cursor); /* spaces and tabs */
LF_MUST_CHECK int lf_toml_skip_comment(struct lf_toml_cursor *cursor);

/* What stands at the cursor, up to the end of the line, for an error; but no part of an address. */
const char *lf_toml_here(const struct lf_toml_cursor *cursor, char out[LF_TOML_SHOWN_MAX]);

/* NULL: there is no such key. */
struct lf_toml_node *lf_toml_find(const struct lf_toml *toml, const struct lf_toml_node *table,
                                  struct lf_text key);

/* Adds a child, to arrays with an empty key; a table until it is made something else. */
LF_MUST_CHECK int lf_toml_add(struct lf_toml_cursor *cursor, struct lf_toml_node **out,
                              struct lf_toml_node *parent, struct lf_text key);

/* `key = value`, the key maybe dotted. */
LF_MUST_CHECK int lf_toml_pair(struct lf_toml_cursor *cursor, struct lf_toml_node *table);

/* One part of a key: bare or quoted. */
LF_MUST_CHECK int lf_toml_key(struct lf_toml_cursor *cursor, struct lf_text *out);

/* The string that begins at the cursor, of any of the four kinds. */
LF_MUST_CHECK int lf_toml_string(struct lf_toml_cursor *cursor, struct lf_text *out);

/* The number, boolean or time that begins at the cursor. */
LF_MUST_CHECK int lf_toml_scalar(struct lf_toml_cursor *cursor, struct lf_toml_node *node);

bool lf_toml_is_time(const struct lf_toml_cursor *cursor);
LF_MUST_CHECK int lf_toml_time(struct lf_toml_cursor *cursor, struct lf_toml_node *node);

LF_MUST_CHECK int lf_toml_value(struct lf_toml_cursor *cursor, struct lf_toml_node *node);

#endif
