/* Whether a tier is there: asking, leaving it alone, taking it back. */
#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"
#include "sinks/cache/manager_internal.h"
#include "sinks/cache/outbox.h"

enum {
	TEND_MS = 1000,       /* where there is nothing to tend */
	TEND_AGAIN_MS = 20,   /* where there is more */
	TEND_STEP_MS = 10,    /* of memory, which is used meanwhile */
	SYNC_AGAIN_MS = 100,  /* where it failed */
	CHECK_GAP_MS = 20,    /* when call after call fails */
	REWATCH_MS = 60000,   /* where a tier refused to tell of changes */
	SYNC_STEP_MS = 60000, /* of one batch, each round trip of which has its own timeout */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static struct lf_tier *sqlite_of(const struct lf_keeper *keeper)
{
	return keeper->cache->tier[LF_CACHE_SQLITE].tier;
}

static int64_t sqlite_end(const struct lf_keeper *keeper)
{
	return lf_clock_ms() + keeper->cache->tier[LF_CACHE_SQLITE].timeout_ms;
}

static void notify(struct lf_keeper *keeper, enum lf_cache_event event)
{
	const struct lf_cache_notice notice = { .event = event, .tier = keeper->which };

	lf_event(keeper->cache, &notice);
}

/* ---- Asking ---- */

static enum lf_tier_result ping_once(struct lf_keeper *keeper, char mark[LF_TIER_MARK_MAX], bool *late,
                                     struct lf_error *err)
{
	int64_t end_ms = lf_clock_ms() + lf_keeper_ping_ms(keeper);
	enum lf_tier_result result;

	mark[0] = '\0';
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->pings++;
	keeper->ask = false;
	(void)pthread_mutex_unlock(&keeper->lock);
	result = lf_keeper_ops(keeper)->ping(lf_keeper_tier(keeper), mark, end_ms, err);
	*late = lf_clock_ms() >= end_ms;
	return result;
}

/* What broke may have been a connection that nobody had used for long: the second time it is a new one. */
static enum lf_tier_result ping(struct lf_keeper *keeper, char mark[LF_TIER_MARK_MAX], bool *late, struct lf_error *err)
{
	enum lf_tier_result result = ping_once(keeper, mark, late, err);

	return result == LF_TIER_AWAY && !*late ? ping_once(keeper, mark, late, err) : result;
}

static bool was_restarted(const struct lf_keeper *keeper, const char *mark)
{
	return lf_is_shared(keeper->which) && keeper->mark[0] && strcmp(keeper->mark, mark) != 0;
}

/* The tier is up: is it? */
static void check(struct lf_keeper *keeper)
{
	struct lf_error err = { "" };
	char mark[LF_TIER_MARK_MAX];
	bool late;
	enum lf_tier_result result = ping(keeper, mark, &late, &err);

	keeper->ping_ms = lf_clock_ms() + keeper->cache->options.health_interval_ms;
	if (result == LF_TIER_DONE && was_restarted(keeper, mark)) {
		(void)lf_fail(&err, -ESTALE, "the %s tier was restarted or emptied", lf_cache_tier_name(keeper->which));
		lf_keeper_lost(keeper, &err);
	} else if (result == LF_TIER_DONE) {
		atomic_store(&keeper->failures, 0);
	} else if (result == LF_TIER_AWAY && late &&
	           atomic_fetch_add(&keeper->failures, 1) + 1 < keeper->cache->options.failures) {
		keeper->ping_ms = lf_clock_ms();
	} else if (result != LF_TIER_FULL) { /* what is full can be read */
		lf_keeper_lost(keeper, &err);
	}
}

/* ---- What it missed ---- */

static enum lf_sync sync_all(struct lf_keeper *keeper, struct lf_error *err)
{
	enum lf_sync synced = LF_SYNC_MORE;

	while (synced == LF_SYNC_MORE) {
		if (lf_keeper_closing(keeper))
			return LF_SYNC_TIER_FAILED;
		synced = lf_sync_step(keeper->cache, keeper->which, lf_clock_ms() + SYNC_STEP_MS, err);
	}
	return synced;
}

/* There may be more than can be noted within the time of one call. */
static enum lf_tier_result owe_all(struct lf_keeper *keeper, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	struct lf_owing at = { .all = false };

	/* First: what is committed behind this look at SQLite is seen to by who commits it (spread.c). */
	(void)atomic_fetch_add(&keeper->cache->losses, 1);
	while (result == LF_TIER_DONE && !at.all) {
		if (lf_keeper_closing(keeper))
			return LF_TIER_AWAY;
		result = lf_sqlite_owe_all(sqlite_of(keeper), keeper->which, &at, sqlite_end(keeper), err);
	}
	return result;
}

/* A tier with another mark than when it had been told all may have lost anything since.  Another process of this host may
 * have told it all under its new mark; what this one committed behind that is owed all the same. */
static enum lf_tier_result owe_what_it_lost(struct lf_keeper *keeper, struct lf_error *err)
{
	char known[LF_TIER_MARK_MAX] = "";
	enum lf_tier_result result;

	result = lf_sqlite_mark_get(sqlite_of(keeper), keeper->which, known, sqlite_end(keeper), err);
	if (result != LF_TIER_DONE)
		return result;
	if (strcmp(known, keeper->mark) == 0 && (!keeper->paid[0] || strcmp(keeper->paid, keeper->mark) == 0))
		return LF_TIER_DONE;
	return owe_all(keeper, err);
}

/* A disk that is full, or SQLite's being away itself, must not keep the tier from being used: then it is told later. */
static enum lf_sync reconcile(struct lf_keeper *keeper, struct lf_error *err)
{
	enum lf_sync synced;

	keeper->reconciled = !lf_tier_is_on(keeper->cache, LF_CACHE_SQLITE);
	if (keeper->reconciled)
		return LF_SYNC_ALL;
	if (!lf_tier_is_up(keeper->cache, LF_CACHE_SQLITE) || owe_what_it_lost(keeper, err) != LF_TIER_DONE)
		return LF_SYNC_SQLITE_FAILED;
	synced = sync_all(keeper, err);
	if (synced == LF_SYNC_ALL &&
	    lf_sqlite_mark_set(sqlite_of(keeper), keeper->which, keeper->mark, sqlite_end(keeper), err) != LF_TIER_DONE)
		synced = LF_SYNC_SQLITE_FAILED;
	keeper->reconciled = synced == LF_SYNC_ALL;
	if (keeper->reconciled)
		(void)memcpy(keeper->paid, keeper->mark, sizeof(keeper->paid));
	return synced;
}

/* ---- Coming back ---- */

/* Then critical records are gone from there, too, and owed again. */
static enum lf_tier_result drop_lost(struct lf_keeper *keeper, struct lf_error *err)
{
	bool dropped = false;
	enum lf_tier_result result = lf_outbox_drop_lost(keeper->cache, keeper->which, &dropped, err);

	if (result == LF_TIER_DONE && dropped && lf_is_shared(keeper->which) &&
	    lf_tier_is_on(keeper->cache, LF_CACHE_SQLITE))
		result = owe_all(keeper, err);
	return result;
}

static enum lf_tier_result catch_up(struct lf_keeper *keeper, struct lf_error *err)
{
	enum lf_tier_result result = LF_TIER_DONE;
	bool late;

	result = ping(keeper, keeper->mark, &late, err);
	if (result == LF_TIER_FULL) /* it can be read, and perhaps it is owed nothing */
		result = LF_TIER_DONE;
	if (result == LF_TIER_DONE)
		result = drop_lost(keeper, err);
	if (result == LF_TIER_DONE && lf_is_shared(keeper->which) && reconcile(keeper, err) == LF_SYNC_TIER_FAILED)
		result = LF_TIER_AWAY;
	if (result == LF_TIER_DONE)
		result = lf_outbox_catch_up(keeper->cache, keeper->which, err);
	if (result == LF_TIER_DONE)
		lf_channel_watch(keeper);
	return result;
}

/* False: it was there from the beginning, or is not. */
static bool has_recovered(struct lf_keeper *keeper, bool back)
{
	bool recovered;

	(void)pthread_mutex_lock(&keeper->lock);
	recovered = back && keeper->tries > 0;
	keeper->tries++;
	keeper->recoveries += recovered;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	return recovered;
}

/* There was no room for what came while it was told the rest. */
static void send_away_again(struct lf_keeper *keeper)
{
	struct lf_error err = { "" };

	(void)lf_fail(&err, -ENOSPC, "the %s tier missed more than there is room for while it came back",
	              lf_cache_tier_name(keeper->which));
	lf_keeper_lost(keeper, &err);
}

/* Who looked when the tier was not up yet takes what SQLite has for good.  Once memory has forgotten, such a reader's
 * ticket is old, and what it brings to SQLite is not trusted; what was brought before is of an old session; and what
 * memory was given between the two goes last. */
static void forget_again(struct lf_cache *cache)
{
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
	if (lf_tier_is_on(cache, LF_CACHE_SQLITE))
		lf_sqlite_new_session(cache->tier[LF_CACHE_SQLITE].tier);
	lf_memory_forget(cache->tier[LF_CACHE_MEMORY].tier);
}

/* Forgotten is before the tier is up, so that nobody reads here what is newer there; and once more
 * afterwards.  Where another tier told of
 * all changes meanwhile nothing was missed. */
static bool take_back(struct lf_keeper *keeper)
{
	struct lf_cache *cache = keeper->cache;
	bool missed = !lf_is_shared(keeper->which) || !lf_channel_is_open(cache, keeper->which), back;

	if (missed)
		lf_manager_forget(cache);
	back = lf_keeper_returned(keeper);
	if (missed)
		forget_again(cache);
	keeper->ping_ms = lf_clock_ms() + cache->options.health_interval_ms;
	keeper->sync_ms = 0; /* what was noted since the last batch */
	keeper->back_ms = lf_clock_ms();
	/* Asked when it is up: from now on who finds no room writes there himself. */
	if (back && lf_outbox_has_lost(cache, keeper->which))
		send_away_again(keeper);
	return back;
}

void lf_keeper_try(struct lf_keeper *keeper)
{
	struct lf_error err = { "" };

	bool back = false;

	if (catch_up(keeper, &err) == LF_TIER_DONE) {
		back = take_back(keeper);
	} else {
		lf_keeper_trouble(keeper, &err);
		lf_breaker_failed(&keeper->retry, lf_clock_ms());
	}
	if (has_recovered(keeper, back))
		notify(keeper, LF_CACHE_RECOVER);
	if (back && keeper->which == LF_CACHE_SQLITE)
		lf_manager_poke(keeper->cache);
}

/* ---- While it is up ---- */

/* A write that found the tier away just before it was back, or that it did not answer in time. */
static void sync(struct lf_keeper *keeper)
{
	struct lf_cache *cache = keeper->cache;
	enum lf_sync synced = LF_SYNC_ALL;
	struct lf_error err = { "" };

	if (!lf_tier_is_on(cache, LF_CACHE_SQLITE))
		synced = LF_SYNC_ALL; /* the outbox has what there is */
	else if (!keeper->reconciled)
		synced = reconcile(keeper, &err);
	else if (lf_tier_is_up(cache, LF_CACHE_SQLITE) && lf_sqlite_owed_count(sqlite_of(keeper)))
		synced = sync_all(keeper, &err);
	keeper->sync_ms = synced == LF_SYNC_ALL ? INT64_MAX : lf_clock_ms() + SYNC_AGAIN_MS;
}

static void rewatch(struct lf_keeper *keeper)
{
	int64_t now = lf_clock_ms();

	if (atomic_load(&keeper->channel) == LF_CHANNEL_WATCHED || keeper->wake_fd < 0 ||
	    !lf_breaker_allows(&keeper->rewatch, now))
		return;
	lf_channel_watch(keeper);
	if (atomic_load(&keeper->channel) == LF_CHANNEL_WATCHED) {
		lf_breaker_succeeded(&keeper->rewatch);
		if (!lf_channel_is_open(keeper->cache, keeper->which))
			lf_manager_forget(keeper->cache); /* what was changed meanwhile */
		return;
	}
	lf_breaker_failed(&keeper->rewatch, lf_clock_ms());
	if (atomic_load(&keeper->channel) == LF_CHANNEL_NONE)
		keeper->rewatch.retry_ms = lf_clock_ms() + REWATCH_MS;
}

static void forget_unwatched(struct lf_keeper *keeper)
{
	int64_t now = lf_clock_ms();

	if (!lf_is_shared(keeper->which) || keeper->cache->options.unwatched_ms <= 0 ||
	    lf_channel_is_open(keeper->cache, LF_CACHE_TIERS)) {
		keeper->forget_ms = 0;
	} else if (keeper->forget_ms == 0 || now >= keeper->forget_ms) {
		/* Not at once: a channel that broke is mostly a server that went, and then memory is what is left. */
		if (keeper->forget_ms)
			lf_manager_forget(keeper->cache);
		keeper->forget_ms = now + keeper->cache->options.unwatched_ms;
	}
}

static void tend(struct lf_keeper *keeper)
{
	const struct lf_tier_ops *ops = lf_keeper_ops(keeper);
	int64_t now = lf_clock_ms();
	int step_ms = keeper->which == LF_CACHE_MEMORY ? TEND_STEP_MS : keeper->cache->tier[keeper->which].timeout_ms;
	struct lf_error err;
	bool more = false;

	if (!ops->tend || now < keeper->tend_ms)
		return;
	if (ops->tend(lf_keeper_tier(keeper), &more, now + step_ms, &err) != LF_TIER_DONE)
		more = false;
	keeper->tend_ms = lf_clock_ms() + (more ? TEND_AGAIN_MS : TEND_MS);
}

/* ---- The thread ---- */

struct call_for {
	bool check, sync;
};

/* When there is next something to do without being asked. */
static int64_t next_due(const struct lf_keeper *keeper)
{
	int64_t due = lf_keeper_ops(keeper)->tend ? keeper->tend_ms : INT64_MAX;

	if (keeper->which == LF_CACHE_MEMORY)
		return due;
	if (lf_keeper_state(keeper) == LF_CACHE_TIER_AWAY)
		return keeper->retry.retry_ms;
	due = earlier(due, keeper->ping_ms);
	if (lf_is_shared(keeper->which))
		due = earlier(due, keeper->sync_ms);
	if (keeper->wake_fd >= 0 && atomic_load(&keeper->channel) != LF_CHANNEL_WATCHED)
		due = earlier(due, keeper->rewatch.retry_ms);
	return keeper->forget_ms ? earlier(due, keeper->forget_ms) : due;
}

/* What is there to do, once there is something.  False: it is over. */
static bool wait_for_work(struct lf_keeper *keeper, struct call_for *work, bool *lost)
{
	bool go_on;

	(void)pthread_mutex_lock(&keeper->lock);
	while (!keeper->closing && !keeper->lost && !keeper->ask && !keeper->poked) {
		/* Anew each time: the listener wakes us where its channel broke. */
		int64_t due_ms = next_due(keeper);
		const struct timespec due = { .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000 };
		bool off = lf_keeper_state(keeper) == LF_CACHE_TIER_SWITCHED_OFF;

		if (off || due_ms == INT64_MAX)
			(void)pthread_cond_wait(&keeper->changed, &keeper->lock);
		else if (pthread_cond_clockwait(&keeper->changed, &keeper->lock, CLOCK_MONOTONIC, &due) == ETIMEDOUT)
			break;
	}
	*work = (struct call_for){ .check = keeper->ask, .sync = keeper->poked };
	*lost = keeper->lost;
	keeper->lost = keeper->poked = keeper->ask = false;
	go_on = !keeper->closing;
	(void)pthread_mutex_unlock(&keeper->lock);
	return go_on;
}

static bool is_to_be_checked(struct lf_keeper *keeper, bool asked)
{
	int64_t now = lf_clock_ms();

	if (asked)
		keeper->ping_ms = earlier(keeper->ping_ms, keeper->checked_ms + CHECK_GAP_MS);
	if (keeper->which == LF_CACHE_MEMORY || now < keeper->ping_ms)
		return false;
	keeper->checked_ms = now;
	return true;
}

/* One that failed is tried again in a while, however much is owed meanwhile. */
static bool is_to_be_synced(const struct lf_keeper *keeper, bool asked)
{
	return lf_is_shared(keeper->which) &&
	       (lf_clock_ms() >= keeper->sync_ms || (asked && keeper->sync_ms == INT64_MAX));
}

static void while_up(struct lf_keeper *keeper, const struct call_for *work)
{
	bool checked = is_to_be_checked(keeper, work->check);

	if (checked)
		check(keeper);
	if (lf_keeper_state(keeper) != LF_CACHE_TIER_UP)
		return;
	rewatch(keeper);
	if (is_to_be_synced(keeper, work->sync || checked))
		sync(keeper);
	forget_unwatched(keeper);
	tend(keeper);
}

/* One that is lost is tried at once: mostly a server was started anew.  But one that is lost as soon as it is back, as it
 * is too slow for what it is asked, is left alone for longer and longer: each time all is forgotten. */
static bool is_to_be_tried(struct lf_keeper *keeper, bool asked, bool lost)
{
	int64_t now = lf_clock_ms();

	if (lf_keeper_state(keeper) != LF_CACHE_TIER_AWAY)
		return false;
	if (!lost)
		return asked || lf_breaker_allows(&keeper->retry, now);
	if (now - keeper->back_ms < keeper->cache->options.health_interval_ms)
		lf_breaker_failed(&keeper->retry, now);
	else
		lf_breaker_succeeded(&keeper->retry);
	return lf_breaker_allows(&keeper->retry, now);
}

void *lf_keeper_run(void *arg)
{
	struct lf_keeper *keeper = arg;
	struct call_for work;
	bool lost;

	if (lf_keeper_state(keeper) == LF_CACHE_TIER_AWAY)
		lf_keeper_try(keeper);
	while (wait_for_work(keeper, &work, &lost)) {
		if (lost)
			notify(keeper, LF_CACHE_FAILOVER);
		if (is_to_be_tried(keeper, work.check, lost))
			lf_keeper_try(keeper);
		else if (lf_keeper_state(keeper) == LF_CACHE_TIER_UP)
			while_up(keeper, &work);
	}
	return NULL;
}
