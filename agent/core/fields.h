/* The fields of an entry, for all that prints them: the names and the order of logfold/entry.h, then
 * those that may be absent. */
#ifndef LOGFOLD_CORE_FIELDS_H
#define LOGFOLD_CORE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/store/store.h"

enum lf_field_kind {
	LF_FIELD_TEXT,
	LF_FIELD_TAGS, /* text: a JSON array of strings */
	LF_FIELD_BOOL,
	LF_FIELD_COUNT,  /* uint64_t */
	LF_FIELD_NUMBER, /* int64_t */
};

struct lf_field {
	const char *name; /* NULL: the end */
	enum lf_field_kind kind;
	size_t offset; /* in struct lf_entry */
	bool optional; /* not printed when it is not known */
};

extern const struct lf_field lf_fields[];

/* The value, by the field's kind. */
struct lf_text lf_field_text(const struct lf_field *field, const struct lf_entry *entry);
bool lf_field_bool(const struct lf_field *field, const struct lf_entry *entry);
uint64_t lf_field_count(const struct lf_field *field, const struct lf_entry *entry);
int64_t lf_field_number(const struct lf_field *field, const struct lf_entry *entry);

/* Whether the entry has it to be printed. */
bool lf_field_is_known(const struct lf_field *field, const struct lf_entry *entry);

#endif
