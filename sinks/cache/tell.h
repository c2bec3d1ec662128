/* Telling a tier what it missed: records by version, stamps, prefixes.  All of it may be told twice, in any order. */
#ifndef LOGFOLD_SINKS_CACHE_TELL_H
#define LOGFOLD_SINKS_CACHE_TELL_H

#include "sinks/cache/internal.h"

enum { LF_TELL_MAX = 256 }; /* at once */

struct lf_telling {
	enum lf_tier_change_kind kind;
	struct lf_text name;
	struct lf_version version;      /* stamp, prefix: its clock is the stamp, what goes up to */
	const struct lf_record *record; /* key; NULL: it is gone as of `version` */
	unsigned owed;                  /* SQLite: as in lf_tier_store */
	/* Out. */
	bool told;
};

/* Whatever the state of the tier.  Each round trip has the tier's timeout, and all end by end_ms.  A record that
 * the tier alone of all will not take (too long for it, say) goes there as a tombstone, so that an older one does
 * not stay. */
LF_MUST_CHECK enum lf_tier_result lf_tell(struct lf_cache *cache, enum lf_cache_tier to, struct lf_telling *what,
                                          size_t count,
                                          int64_t end_ms, struct lf_error *err);

#endif
