/* The tags of an entry, as they lie in the store: a JSON array of strings. */
#ifndef LOGFOLD_CORE_TAGS_H
#define LOGFOLD_CORE_TAGS_H

#include <stdbool.h>

#include "logfold/entry.h"

/* Whether the text is such an array, and nothing else. */
bool lf_tags_are_valid(struct lf_text tags);

/* The next string, without its quotes, still with its escapes.  *at is 0 at first.  False at the end,
 * and where the text ceases to be an array of strings. */
bool lf_tags_next(struct lf_text tags, size_t *at, struct lf_text *tag);

/* Whether the array holds this string. */
bool lf_tags_have(struct lf_text tags, struct lf_text wanted);

#endif
