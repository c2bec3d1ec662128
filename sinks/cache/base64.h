/* Base64 (RFC 4648, with padding), strictly. */
#ifndef LOGFOLD_SINKS_CACHE_BASE64_H
#define LOGFOLD_SINKS_CACHE_BASE64_H

#include <stdbool.h>

#include "logfold/text.h"

static inline size_t lf_base64_size(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* `out` has room for lf_base64_size(). */
void lf_base64_encode(struct lf_text bytes, char *out);

/* `out` has room for text.len / 4 * 3.  False: it is none: another character, a wrong length, bits beyond the end. */
bool lf_base64_decode(struct lf_text text, char *out, size_t *len);

#endif
