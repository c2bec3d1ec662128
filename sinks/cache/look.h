/* Looking for keys: in memory, then down the tiers, and the tiers above are given what was found.
 *
 * Of one key the newest record counts, wherever it lies, be it expired, deleted or invalidated: then there is nothing.
 * Only what may know better is asked: a record that SQLite trusts is the end of the way, and so is any record that a
 * shared tier has.
 */
#ifndef LOGFOLD_SINKS_CACHE_LOOK_H
#define LOGFOLD_SINKS_CACHE_LOOK_H

#include "sinks/cache/internal.h"

struct lf_look {
	struct lf_text key;
	/* Out.  The newest record that was seen, for the caller to drop, or NULL; where it was; whether it may be handed out. */
	struct lf_record *record;
	enum lf_cache_tier from;
	bool usable;
	/* Between the steps. */
	uint64_t ticket;
	unsigned asked, has; /* tiers that said what they have; tiers that have this very record, and trust it */
	bool settled;        /* no tier below can know better */
	bool doubted;        /* a tier that is there and may know better did not answer */
	bool unsure;         /* that was SQLite, which has what is critical */
};

/* Fills in what is out, of all.  `end_ms` 0: it is made when it is needed, by the options.  0, or a negative errno: no tier
 * could be asked of any (the records are NULL then). */
LF_MUST_CHECK int lf_look(struct lf_cache_space *space, struct lf_look *looks, size_t count, int64_t end_ms,
                          struct lf_error *err);
/* The same, and no tier is given anything: for who looks at everything once. */
LF_MUST_CHECK int lf_look_only(struct lf_cache_space *space, struct lf_look *looks, size_t count, int64_t end_ms,
                               struct lf_error *err);

/* Drops what was not taken (set to NULL). */
void lf_look_free(struct lf_look *looks, size_t count);

/* A record as of the tables that are being moved into the space (lf_cache_adopt); NULL: it has none. */
LF_MUST_CHECK int lf_look_adopting(struct lf_cache_space *space, struct lf_text key, int64_t end_ms,
                                   struct lf_record **out, struct lf_error *err);

#endif
