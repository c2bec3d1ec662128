/* What the files of get_or_set share. */
#ifndef LOGFOLD_SINKS_CACHE_LOAD_H
#define LOGFOLD_SINKS_CACHE_LOAD_H

#include "sinks/cache/flights.h"

/* What is to be loaded, how, and by when somebody else's loader must have brought it. */
struct lf_loading {
	struct lf_cache_space *space;
	struct lf_text key, id;
	lf_cache_loader load;
	void *arg;
	int64_t end_ms;
	bool replaces; /* whatever is there is to go: it is loaded anew */
};

/* Whether there is something in the cache, be it that it is remembered that there is none.  A cache that fails is one
 * that has nothing.  `counted`: it is the caller's own lookup, not one more. */
bool lf_load_look(const struct lf_loading *loading, bool counted, struct lf_landing *out);

/* Runs the loader, and keeps what it made unless the key was changed meanwhile, or the fleet's lock is lost (token; 0:
 * there is none).  Not `keeping`: keeps nothing.  `*out` is for this caller; the result, whether others may have it, too. */
bool lf_load_make(const struct lf_loading *loading, bool keeping, uint64_t token, struct lf_landing *out);

/* --- load_fleet.c ---------------------------------------------------------------------------------- */

enum lf_fleet {
	LF_FLEET_OURS,  /* we have the lock; *token */
	LF_FLEET_NONE,  /* there is no fleet, or it cannot be reached: go on without */
	LF_FLEET_BUSY,  /* another process is making it, until the deadline or longer */
	LF_FLEET_FOUND, /* another process has made it; *out */
};

/* Waits until the value is there or ours to make. */
enum lf_fleet lf_fleet_enter(const struct lf_loading *loading, uint64_t *token, struct lf_landing *out);
/* The same without waiting, or looking: OURS, NONE or BUSY. */
enum lf_fleet lf_fleet_try(const struct lf_loading *loading, uint64_t *token);
void lf_fleet_leave(const struct lf_loading *loading, uint64_t token); /* 0: nothing */

/* --- load_refresh.c -------------------------------------------------------------------------------- */

enum lf_refresh { LF_REFRESH_NOT, LF_REFRESH_EARLY, LF_REFRESH_STALE };

/* `chance`: over 0, up to 1; the lower it is, the earlier. */
enum lf_refresh lf_refresh_due(const struct lf_cache_class *of, const struct lf_record *record, int64_t now_ms,
                               double chance);
double lf_refresh_chance(void); /* another one each time */

/* Loads it anew in the background, unless somebody does already. */
void lf_refresh_start(const struct lf_loading *loading, const struct lf_record *old);

#endif
