/* Prefixes that were invalidated lately.
 *
 * What begins so was removed from every tier before the call returned; what was on its way from one tier to another at that
 * time is kept out by this list, for as long as anything can be on its way: a minute.  Only so many are kept.  Beyond
 * them, the oldest becomes a floor instead: no record up to its version is handed out, whatever its key, but for those
 * that are critical.
 */
#ifndef LOGFOLD_SINKS_CACHE_PREFIXES_H
#define LOGFOLD_SINKS_CACHE_PREFIXES_H

#include "sinks/cache/record.h"

struct lf_prefixes;

/* `scope`: the length of what all keys begin with.  That as a prefix leaves what is critical, too.  NULL: no memory. */
struct lf_prefixes *lf_prefixes_new(size_t scope);
void lf_prefixes_free(struct lf_prefixes *prefixes); /* NULL is fine */

/* What begins with the prefix and has a version's clock up to that is not handed out.  -ENOMEM. */
LF_MUST_CHECK int lf_prefixes_note(struct lf_prefixes *prefixes, struct lf_text prefix, uint64_t upto);

/* Whether it may be.  Where there was no prefix lately it is one load. */
bool lf_prefixes_pass(struct lf_prefixes *prefixes, struct lf_text key, const struct lf_record *record);

#endif
