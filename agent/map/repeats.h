/* The sentence that tells what a fold has left out:
 *
 *     user %s in … repeated 12 times in 5.0 s
 */
#ifndef LOGFOLD_MAP_REPEATS_H
#define LOGFOLD_MAP_REPEATS_H

#include <stddef.h>
#include <stdint.h>

#include "logfold/entry.h"

enum { LF_REPEATS_MAX = 384 };

/* Writes it with a newline, and returns its length.  Of the template at most 60 characters, without what
 * would leave the line.  No heap, no libc, no errno. */
size_t lf_repeats_tell(struct lf_text template, uint32_t repeats, uint32_t over_ms,
                       char out[LF_REPEATS_MAX]);

#endif
