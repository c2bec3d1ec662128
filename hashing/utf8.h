/* Makes any bytes valid UTF-8 text without NUL: what is not becomes \xHH. */
#ifndef LOGFOLD_HASHING_UTF8_H
#define LOGFOLD_HASHING_UTF8_H

#include <stdbool.h>

#include "logfold/entry.h"

/* Whether the text is valid UTF-8 (no overlong forms, no surrogates) and holds no NUL. */
bool lf_utf8_is_clean(struct lf_text text);

/* Copies the text, escaped where needed, cut between two characters (an escape counts as one) so
 * that at most `size` bytes are written.  Returns how many.  No NUL is written.  `out` may not
 * overlap the text. */
size_t lf_utf8_escape(struct lf_text text, char *out, size_t size);

#endif
