/* Entries as JSON: one object on one line, with the fields of agent/core/fields.h in that order.
 *
 * Always valid JSON in UTF-8, whatever the store holds: a byte that is not UTF-8 becomes the four
 * characters \xHH, tags that are no array of strings become [].
 */
#ifndef LOGFOLD_CORE_JSON_H
#define LOGFOLD_CORE_JSON_H

#include <stdio.h>

#include "agent/store/store.h"

void lf_json_string(FILE *out, struct lf_text text);

/* The object and a newline. */
void lf_json_entry(FILE *out, const struct lf_entry *entry);

/* The same with a last field `shares`: what each incarnation counted. */
void lf_json_entry_with(FILE *out, const struct lf_entry *entry, const struct lf_share *shares,
                        size_t count);

#endif
