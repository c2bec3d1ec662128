/* (to be written: mask/1) */
#ifndef LOGFOLD_HASHING_MASK_H
#define LOGFOLD_HASHING_MASK_H

#include "logfold/entry.h"

/* Masks one line (without its newline) of at most LF_TEMPLATE_MAX bytes; a longer one is known by
 * its first LF_TEMPLATE_MAX bytes.  Writes at most LF_TEMPLATE_MAX bytes, valid UTF-8, no NUL, and
 * returns how many.  `hash` receives a 64-bit hash of what was written, for table look-ups within
 * this process; it is not part of the contract. */
size_t lf_mask(struct lf_text line, char out[LF_TEMPLATE_MAX], uint64_t *hash);

#endif
