/* Which entries a command is about, as its user writes it.
 *
 *   3f2a9c            a hash prefix: 4 to 32 hex characters
 *   method=printf     exactly this method
 *   template~=REGEX   a POSIX extended regular expression finds something in messageTemplate
 *   frame~=REGEX      the same in topFrame
 *   tag=NAME          one of the tags
 *   family=ID         exactly this family
 *
 * Several selectors of one kind widen the choice, those of different kinds narrow it: `3f2a 77bc` are
 * two entries, `method=printf frame~=main` are those of which both are true.  In a regular
 * expression `^` and `$` match at the line breaks of a template, too.
 */
#ifndef LOGFOLD_CLI_SELECTOR_H
#define LOGFOLD_CLI_SELECTOR_H

#include <stdbool.h>

#include "agent/store/store.h"
#include "logfold/error.h"

struct lf_selectors;

enum { LF_HASH_PREFIX_MIN = 4 };

/* The words must outlive the result.  No words: every entry.  -EINVAL with a sentence when a word is
 * no selector, -ENOMEM. */
LF_MUST_CHECK int lf_selectors_new(struct lf_selectors **out, const char *const *words, size_t count,
                                   struct lf_error *err);
void lf_selectors_free(struct lf_selectors *selectors); /* NULL is fine */

bool lf_selectors_match(const struct lf_selectors *selectors, const struct lf_entry *entry);

/* The hash prefixes, in lower case, one by one: NULL behind the last. */
const char *lf_selectors_prefix(const struct lf_selectors *selectors, size_t i);

/* Narrows a query by what the store can look up itself. */
void lf_selectors_narrow(const struct lf_selectors *selectors, struct lf_query *query);

#endif
