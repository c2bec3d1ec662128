/* Keys: `app:env:type:org:id`.
 *
 * Letters, digits and . _ - @ / + = , ~ stay as they are, every other byte is %HH (upper case).  So a colon only
 * ever separates, nothing in a key means anything to a glob pattern or a Redis cluster's {tag}, no two inputs
 * give one key, and what begins with `app:env:type:org:` is of that space, whatever its bytes.
 */
#ifndef LOGFOLD_SINKS_CACHE_KEY_H
#define LOGFOLD_SINKS_CACHE_KEY_H

#include "logfold/cache.h"

enum {
	LF_KEY_PREFIX_MAX = 4 * (3 * LF_CACHE_NAME_MAX + 1),
	LF_KEY_MAX = LF_KEY_PREFIX_MAX + 3 * LF_CACHE_ID_MAX,
};

/* Appends one part, escaped, and how long it is then; `out` has room for 3 bytes of each. */
size_t lf_key_escape(char *out, struct lf_text part);

/* Back again, into `out`, which has room for as many bytes as the text.  False: it is no escaped text. */
bool lf_key_unescape(char *out, size_t *len, struct lf_text escaped);

/* The key: the prefix (of names, each escaped and followed by a colon) and the id.  `out` has room for LF_KEY_MAX.
 * -EINVAL: a name or the id is empty or too long; `err` says which. */
LF_MUST_CHECK int lf_key_prefix(char *out, size_t *len, const struct lf_text *names, size_t count, struct lf_error *err);
LF_MUST_CHECK int lf_key_make(char *out, size_t *len, struct lf_text prefix, struct lf_text id, struct lf_error *err);

/* Takes `app:env:type:org:id` apart into five parts, still escaped.  False: it is no key. */
bool lf_key_split(struct lf_text key, struct lf_text parts[5]);

/* Redis's patterns: * ? [ab] [a-z] [^a] \x; any bytes.  Takes time linear in text times pattern at most. */
bool lf_glob(struct lf_text pattern, struct lf_text text);

#endif
