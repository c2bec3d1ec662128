/* What the manager's files share: a keeper for each tier, with one thread that looks after it, and where it can tell of
 * changes a second one that listens. */
#ifndef LOGFOLD_SINKS_CACHE_MANAGER_INTERNAL_H
#define LOGFOLD_SINKS_CACHE_MANAGER_INTERNAL_H

#include "sinks/breaker.h"
#include "sinks/cache/manager.h"

/* The channel of a tier: what other processes changed. */
enum lf_channel_state {
	LF_CHANNEL_NONE,    /* the tier has none, or refuses it */
	LF_CHANNEL_BROKEN,  /* changes are missed */
	LF_CHANNEL_WATCHED,
};

struct lf_keeper {
	struct lf_cache *cache;
	enum lf_cache_tier which;
	_Atomic unsigned failures; /* calls in a row; any thread's */
	_Atomic int channel;       /* enum lf_channel_state; the listener's to set */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* of what follows, all under the lock; nothing is called under it */
	bool closing;
	bool ask;          /* whether the tier is there must be asked now */
	bool poked;        /* it is owed something */
	bool lost;         /* it went away, and nobody has been told */
	unsigned tries;    /* to come back */
	unsigned watch_asked, watch_done; /* turns of watching anew */
	uint64_t failovers, recoveries, pings;
	char trouble[256];

	/* The thread's own. */
	pthread_t thread, listener;
	bool has_thread, has_listener;
	int wake_fd; /* ends what the listener waits for */
	struct lf_breaker retry, rewatch;
	int64_t ping_ms, tend_ms, sync_ms, forget_ms; /* when each is due */
	int64_t checked_ms, back_ms; /* when it was asked last, when it came back */
	bool reconciled; /* all that SQLite knows of what it is owed has been told */
	char mark[LF_TIER_MARK_MAX]; /* of the last answer; "": none yet */
	char paid[LF_TIER_MARK_MAX]; /* the mark when this process had told it all; "": it has not yet */
};

struct lf_manager {
	struct lf_keeper keeper[LF_CACHE_TIERS];
};

static inline bool lf_is_shared(enum lf_cache_tier which)
{
	return which == LF_CACHE_REDIS || which == LF_CACHE_MONGO;
}
static inline const struct lf_tier_ops *lf_keeper_ops(const struct lf_keeper *keeper)
{
	return keeper->cache->tier[keeper->which].ops;
}
static inline struct lf_tier *lf_keeper_tier(const struct lf_keeper *keeper)
{
	return keeper->cache->tier[keeper->which].tier;
}
static inline int lf_keeper_state(const struct lf_keeper *keeper)
{
	return atomic_load(&keeper->cache->tier[keeper->which].state);
}

/* manager.c */

bool lf_keeper_closing(struct lf_keeper *keeper);
/* From being up to being away. */
void lf_keeper_lost(struct lf_keeper *keeper, const struct lf_error *err);
/* From being away to being up.  False: it was switched off meanwhile. */
bool lf_keeper_returned(struct lf_keeper *keeper);
void lf_keeper_trouble(struct lf_keeper *keeper, const struct lf_error *err);
/* How long a tier may take to answer: one that is away, to be connected, too. */
int lf_keeper_ping_ms(const struct lf_keeper *keeper);
/* What was changed elsewhere may have been missed. */
void lf_manager_forget(struct lf_cache *cache);

/* manager_health.c */

/* Makes a tier that is away come back, if it is there: it is told what it missed, then it is up. */
void lf_keeper_try(struct lf_keeper *keeper);
void *lf_keeper_run(void *keeper);

/* manager_channel.c */

void *lf_channel_run(void *keeper);
/* Watches anew, and waits until that is done or has failed. */
void lf_channel_watch(struct lf_keeper *keeper);
/* Whether a shared tier that is up tells of changes, but for `other_than`; LF_CACHE_TIERS: any. */
bool lf_channel_is_open(struct lf_cache *cache, enum lf_cache_tier other_than);

#endif
