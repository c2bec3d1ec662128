/* Text that we did not make, as it may stand in a sentence that goes to a terminal or into a log: on one
 * line, cut, and without a character that could do anything there. */
#ifndef LOGFOLD_CORE_EXCERPT_H
#define LOGFOLD_CORE_EXCERPT_H

#include "logfold/entry.h"

enum {
	LF_EXCERPT_CHARS = 60,
	LF_EXCERPT_MAX = 4 * LF_EXCERPT_CHARS + sizeof("…"),
	LF_SHORT_HASH_CHARS = 10, /* so much of a hash names a message to a person */
};

/* The first LF_EXCERPT_CHARS characters, without the newlines at the end; `…` stands for the rest.
 * Control characters become \n, \t or \xHH, as do the bytes of characters that are invisible or turn the
 * direction of text.  Ends with a NUL; returns `out`. */
const char *lf_excerpt(struct lf_text text, char out[LF_EXCERPT_MAX]);

#endif
