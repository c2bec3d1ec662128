/* One call of one tier: whether it may be made, by when, how long it took, what a failure means. */
#include "sinks/cache/call.h"

#include <errno.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/manager.h"

enum {
	MEMORY_TIMED_ONE_IN = 64, /* a clock costs as much as the call */
	DROP_MS = 10000,          /* all of a prefix, which may be in millions of keys */
	NS_PER_S = 1000000000,
};

/* A call under way. */
struct call {
	struct lf_cache *cache;
	enum lf_cache_tier which;
	const struct lf_tier_ops *ops;
	struct lf_tier *tier;
	int64_t begun_ns; /* 0: not timed */
	int64_t end_ms;
	bool fair; /* it has as much time as the tier may need, so that being late is the tier's failure */
};

static int64_t clock_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool is_timed(enum lf_cache_tier which)
{
	static _Thread_local unsigned turn;

	return which != LF_CACHE_MEMORY || turn++ % MEMORY_TIMED_ONE_IN == 0;
}

static int at_most(int a, int b)
{
	return a < b ? a : b;
}

/* When a caller has hardly any time left, the tier's being late says nothing about the tier. */
static void limit(struct call *call, int64_t end_ms)
{
	const struct lf_stack_tier *tier = &call->cache->tier[call->which];
	int64_t now;

	call->end_ms = end_ms;
	if (call->which == LF_CACHE_MEMORY)
		return;
	now = lf_clock_ms();
	if (tier->timeout_ms > 0 && call->end_ms > now + tier->timeout_ms)
		call->end_ms = now + tier->timeout_ms;
	call->fair = call->end_ms - now >= at_most(tier->timeout_ms, call->cache->options.deadline_ms) / 2;
}

/* False: the call is not made. */
static bool begin(struct call *call, struct lf_cache *cache, enum lf_cache_tier which, int64_t end_ms,
                  struct lf_error *err)
{
	if (!lf_tier_is_up(cache, which)) {
		(void)lf_fail(err, -EHOSTDOWN, "the %s tier is not there: it is used again when it answers",
		              lf_cache_tier_name(which));
		return false;
	}
	*call = (struct call){ .cache = cache,
		               .which = which,
		               .ops = cache->tier[which].ops,
		               .tier = cache->tier[which].tier };
	limit(call, end_ms);
	if (is_timed(which))
		call->begun_ns = clock_ns();
	return true;
}

/* The same, whatever the state of the tier. */
static bool begin_anyway(struct call *call, struct lf_cache *cache, enum lf_cache_tier which, int64_t end_ms)
{
	*call = (struct call){ .cache = cache,
		               .which = which,
		               .ops = cache->tier[which].ops,
		               .tier = cache->tier[which].tier };
	limit(call, end_ms);
	call->begun_ns = clock_ns();
	return call->ops != NULL;
}

static enum lf_tier_result end(const struct call *call, enum lf_timed kind, enum lf_tier_result result,
                               const struct lf_error *err)
{
	enum lf_tier_fault fault = LF_FAULT_BROKEN;

	if (call->begun_ns && result == LF_TIER_DONE)
		lf_timed(call->cache->counters, call->which, kind, clock_ns() - call->begun_ns);
	if (result == LF_TIER_DONE) {
		lf_manager_succeeded(call->cache, call->which);
		return result;
	}
	lf_count_tier(call->cache->counters, call->which, LF_COUNT_TIER_FAILURES, 1);
	if (result != LF_TIER_AWAY)
		fault = LF_FAULT_REFUSED;
	else if (lf_clock_ms() >= call->end_ms)
		fault = call->fair ? LF_FAULT_LATE : LF_FAULT_HURRIED;
	lf_manager_failed(call->cache, call->which, fault, err);
	return result;
}

/* What a tier says of a call that failed must be known here, even if the caller does not care. */
#define CALL(result_, kind_, operation_, ...)                                          \
	do {                                                                           \
		struct lf_error said_ = { "" };                                        \
		struct lf_error *where_ = err ? err : &said_;                          \
                                                                                       \
		(result_) = call.ops->operation_(call.tier, __VA_ARGS__, call.end_ms, where_); \
		(result_) = end(&call, (kind_), (result_), where_);                    \
	} while (0)

/* ---- Reading ---- */

static void count_found(const struct call *call, struct lf_record *const *records, size_t count)
{
	int64_t now = lf_cache_now(call->cache);
	size_t hits = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i] && records[i]->type != LF_RECORD_GONE && !lf_record_expired(records[i], now))
			hits++;
	if (hits)
		lf_count_tier(call->cache->counters, call->which, LF_COUNT_TIER_HITS, hits);
	if (hits < count)
		lf_count_tier(call->cache->counters, call->which, LF_COUNT_TIER_MISSES, count - hits);
}

enum lf_tier_result lf_call_load(struct lf_cache *cache, enum lf_cache_tier which,
                                 const struct lf_text *keys, size_t count, struct lf_record **records,
                                 int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, which, end_ms, err))
		return LF_TIER_AWAY;
	CALL(result, LF_TIMED_LOAD, load, keys, count, records);
	if (result == LF_TIER_DONE)
		count_found(&call, records, count);
	return result;
}

enum lf_tier_result lf_call_load_local(struct lf_cache *cache, struct lf_text key,
                                       struct lf_record **record, bool *trusted, int64_t end_ms,
                                       struct lf_error *err)
{
	struct lf_error said = { "" };
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, LF_CACHE_SQLITE, end_ms, err))
		return LF_TIER_AWAY;
	result = lf_sqlite_load(call.tier, key, record, trusted, call.end_ms, err ? err : &said);
	result = end(&call, LF_TIMED_LOAD, result, err ? err : &said);
	if (result == LF_TIER_DONE)
		count_found(&call, record, 1);
	return result;
}

enum lf_tier_result lf_call_scan(struct lf_cache *cache, enum lf_cache_tier which, struct lf_text prefix,
                                 char cursor[LF_TIER_CURSOR_MAX], size_t max, char ***keys, size_t *count,
                                 int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, which, end_ms, err))
		return LF_TIER_AWAY;
	CALL(result, LF_TIMED_LOAD, scan, prefix, cursor, max, keys, count);
	return result;
}

enum lf_tier_result lf_call_stamps(struct lf_cache *cache, enum lf_cache_tier which,
                                   const struct lf_text *names, size_t count, uint64_t *out, int64_t end_ms,
                                   struct lf_error *err)
{
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, which, end_ms, err))
		return LF_TIER_AWAY;
	CALL(result, LF_TIMED_LOAD, stamps, names, count, out);
	return result;
}

/* ---- Changing ---- */

/* Either the tier's return saw what is owed now, or it is seen here that the tier has returned. */
static bool is_owed_to_one_that_is_up(const struct lf_cache *cache, const struct lf_tier_store *stores, size_t count)
{
	unsigned owed = 0;

	for (size_t i = 0; i < count; i++)
		owed |= stores[i].owed;
	for (int i = 0; i < LF_CACHE_TIERS && owed; i++)
		if (owed & (1u << i) && lf_tier_is_up(cache, (enum lf_cache_tier)i))
			return true;
	return false;
}

static enum lf_tier_result store(struct call call, struct lf_tier_store *stores, size_t count,
                                 struct lf_error *err)
{
	enum lf_tier_result result;

	CALL(result, LF_TIMED_STORE, store, stores, count);
	if (result != LF_TIER_DONE)
		return result;
	lf_count_tier(call.cache->counters, call.which, LF_COUNT_TIER_STORES, count);
	if (call.which == LF_CACHE_SQLITE && is_owed_to_one_that_is_up(call.cache, stores, count))
		lf_manager_poke(call.cache);
	return result;
}

/* Many round trips: that each of them has the tier's timeout is for the tier to see to, and that there were too many
 * for the caller's time says nothing about it. */
static void take_time(struct call *call, int64_t end_ms)
{
	int64_t most = lf_clock_ms() + DROP_MS;

	if (call->which == LF_CACHE_MEMORY)
		return;
	call->end_ms = end_ms < most ? end_ms : most;
	call->fair = false;
}

static enum lf_tier_result drop(struct call call, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                struct lf_error *err)
{
	enum lf_tier_result result;

	take_time(&call, end_ms);
	CALL(result, LF_TIMED_STORE, drop, prefix, upto);
	return result;
}

static enum lf_tier_result raise_to(struct call call, const struct lf_text *names, size_t count,
                                    uint64_t to, uint64_t *out, struct lf_error *err)
{
	enum lf_tier_result result;

	CALL(result, LF_TIMED_STORE, raise, names, count, to, out);
	return result;
}

enum lf_tier_result lf_call_store(struct lf_cache *cache, enum lf_cache_tier which,
                                  struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                  struct lf_error *err)
{
	struct call call;

	return begin(&call, cache, which, end_ms, err) ? store(call, stores, count, err) : LF_TIER_AWAY;
}

enum lf_tier_result lf_call_drop(struct lf_cache *cache, enum lf_cache_tier which, struct lf_text prefix,
                                 uint64_t upto, int64_t end_ms, struct lf_error *err)
{
	struct call call;

	return begin(&call, cache, which, end_ms, err) ? drop(call, prefix, upto, end_ms, err) : LF_TIER_AWAY;
}

enum lf_tier_result lf_call_raise(struct lf_cache *cache, enum lf_cache_tier which,
                                  const struct lf_text *names, size_t count, uint64_t to, uint64_t *out,
                                  int64_t end_ms, struct lf_error *err)
{
	struct call call;

	return begin(&call, cache, which, end_ms, err) ? raise_to(call, names, count, to, out, err) : LF_TIER_AWAY;
}

enum lf_tier_result lf_call_lock(struct lf_cache *cache, struct lf_text key, int ttl_ms, uint64_t *token,
                                 int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, LF_CACHE_REDIS, end_ms, err) || !call.ops->lock)
		return LF_TIER_AWAY;
	CALL(result, LF_TIMED_STORE, lock, key, ttl_ms, token);
	return result;
}

enum lf_tier_result lf_call_unlock(struct lf_cache *cache, struct lf_text key, uint64_t token,
                                   int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result result;
	struct call call;

	if (!begin(&call, cache, LF_CACHE_REDIS, end_ms, err) || !call.ops->unlock)
		return LF_TIER_AWAY;
	CALL(result, LF_TIMED_STORE, unlock, key, token);
	return result;
}

/* ---- Whatever the state ---- */

enum lf_tier_result lf_call_store_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                         struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                         struct lf_error *err)
{
	struct call call;

	return begin_anyway(&call, cache, which, end_ms) ? store(call, stores, count, err) : LF_TIER_AWAY;
}

enum lf_tier_result lf_call_drop_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                        struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err)
{
	struct call call;

	return begin_anyway(&call, cache, which, end_ms) ? drop(call, prefix, upto, end_ms, err) : LF_TIER_AWAY;
}

enum lf_tier_result lf_call_raise_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                         const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err)
{
	struct call call;

	return begin_anyway(&call, cache, which, end_ms) ? raise_to(call, names, count, to, out, err) : LF_TIER_AWAY;
}

int lf_call_errno(enum lf_tier_result result, int64_t end_ms)
{
	switch (result) {
	case LF_TIER_DONE:
		return 0;
	case LF_TIER_FULL:
		return -ENOSPC;
	case LF_TIER_AWAY:
		return lf_clock_ms() >= end_ms ? -ETIMEDOUT : -EHOSTDOWN;
	case LF_TIER_REJECTED:
		break;
	}
	return -EHOSTDOWN;
}
