/* One call of one tier.  A tier that is off, away or switched off is LF_TIER_AWAY at once.  The call ends by the
 * earlier of `end_ms` and the tier's own timeout (dropping a prefix, which is many round trips: ten seconds); how long
 * it took and how it went is counted, and failures count towards the tier's being away (manager.h). */
#ifndef LOGFOLD_SINKS_CACHE_CALL_H
#define LOGFOLD_SINKS_CACHE_CALL_H

#include "sinks/cache/internal.h"

static inline bool lf_tier_is_up(const struct lf_cache *cache, enum lf_cache_tier which)
{
	return atomic_load_explicit(&cache->tier[which].state, memory_order_acquire) == LF_CACHE_TIER_UP;
}
static inline bool lf_tier_is_on(const struct lf_cache *cache, enum lf_cache_tier which) /* be it away */
{
	return cache->tier[which].ops != NULL;
}

enum lf_tier_result lf_call_load(struct lf_cache *cache, enum lf_cache_tier which, const struct lf_text *keys, size_t count,
                                 struct lf_record **records, int64_t end_ms, struct lf_error *err);
/* Of SQLite, one key: whether it is trusted, too. */
enum lf_tier_result lf_call_load_local(struct lf_cache *cache, struct lf_text key, struct lf_record **record, bool *trusted,
                                       int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_call_store(struct lf_cache *cache, enum lf_cache_tier which, struct lf_tier_store *stores, size_t count,
                                  int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_call_scan(struct lf_cache *cache, enum lf_cache_tier which, struct lf_text prefix,
                                 char cursor[LF_TIER_CURSOR_MAX], size_t max, char ***keys, size_t *count, int64_t end_ms,
                                 struct lf_error *err);
enum lf_tier_result lf_call_drop(struct lf_cache *cache, enum lf_cache_tier which, struct lf_text prefix, uint64_t upto,
                                 int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_call_stamps(struct lf_cache *cache, enum lf_cache_tier which, const struct lf_text *names, size_t count,
                                   uint64_t *out, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_call_raise(struct lf_cache *cache, enum lf_cache_tier which, const struct lf_text *names, size_t count,
                                  uint64_t to, uint64_t *out, int64_t end_ms, struct lf_error *err);
enum lf_tier_result lf_call_lock(struct lf_cache *cache, struct lf_text key, int ttl_ms, uint64_t *token, int64_t end_ms,
                                 struct lf_error *err); /* Redis's */
enum lf_tier_result lf_call_unlock(struct lf_cache *cache, struct lf_text key, uint64_t token, int64_t end_ms, struct lf_error *err);

/* The same, whatever the state of the tier: for what it missed. */
enum lf_tier_result lf_call_store_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                         struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                         struct lf_error *err);
enum lf_tier_result lf_call_drop_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                        struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                        struct lf_error *err);
enum lf_tier_result lf_call_raise_anyway(struct lf_cache *cache, enum lf_cache_tier which,
                                         const struct lf_text *names, size_t count, uint64_t to,
                                         uint64_t *out, int64_t end_ms, struct lf_error *err);

/* -EHOSTDOWN, -ETIMEDOUT, -ENOSPC…: what a caller of the cache is told of such a result. */
int lf_call_errno(enum lf_tier_result result, int64_t end_ms);

#endif
