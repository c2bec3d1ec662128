/* TOML 1.0, read into a tree.
 *
 * Our own, as no C library for it is packaged where logfold is built.  It takes and refuses what Python's
 * tomllib does, and a test holds the two against each other.  On purpose it is narrower in three points:
 * integers beyond 64 bits, more than LF_TOML_DEPTH_MAX levels and more than LF_TOML_BYTES_MAX bytes are
 * errors.
 *
 * The tree belongs to the document: nodes and texts are valid until lf_toml_free().  Texts may hold NUL.
 */
#ifndef LOGFOLD_CONFIG_TOML_H
#define LOGFOLD_CONFIG_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/entry.h"
#include "logfold/error.h"

enum {
	LF_TOML_BYTES_MAX = 1 << 20,
	LF_TOML_DEPTH_MAX = 64,
	LF_TOML_SHOWN_MAX = 48,
};

enum lf_toml_type {
	LF_TOML_TABLE,
	LF_TOML_ARRAY,
	LF_TOML_STRING,
	LF_TOML_INTEGER,
	LF_TOML_FLOAT,
	LF_TOML_BOOLEAN,
	LF_TOML_TIME,
	LF_TOML_TYPES
};

/* A date, a time of day, or both; a real one, as far as a calendar knows. */
struct lf_toml_time {
	bool has_date, has_time, has_offset;
	int year, month, day, hour, minute, second, microsecond;
	int offset_minutes; /* east of UTC */
};

struct lf_toml_node {
	enum lf_toml_type type;
	unsigned line;      /* of its key, or where it begins; from 1 on */
	struct lf_text key; /* in its table */
	union {
		struct lf_text string;
		int64_t integer;
		double number;
		bool boolean;
		struct lf_toml_time time;
	} as;
	struct lf_toml_node *first, *last; /* of a table or an array, in the order of the file */
	struct lf_toml_node *next;         /* beside it */

	/* What the parser has to know of tables and arrays: who may still add to them. */
	const struct lf_toml_node *parent;
	struct lf_toml_node *chain; /* in the index of keys */
	unsigned depth;
	bool is_dotted; /* made by a dotted key */
	bool is_headed; /* by [its name] or [[its name]] */
	bool is_closed; /* written as a value: { … } or [ … ] */
};

struct lf_toml;

/* `name` is what errors call the document: `name:LINE: what is wrong`.  -EINVAL, -E2BIG, -ENOMEM. */
LF_MUST_CHECK int lf_toml_parse(struct lf_toml **out, const char *name, struct lf_text text,
                                struct lf_error *err);
const struct lf_toml_node *lf_toml_root(const struct lf_toml *toml);
void lf_toml_free(struct lf_toml *toml); /* NULL is fine */

/* "a string", "an integer", … */
const char *lf_toml_type_name(enum lf_toml_type type);

/* Text from a file as it may stand in a one-line sentence: cut, without control characters, and no address, in
 * which a password may stand.  Returns `out`. */
const char *lf_toml_shown(struct lf_text text, char out[LF_TOML_SHOWN_MAX]);

#endif
