/* The fleet's lock of a key.  Its value is a number that only grows, and who has it: where the server was emptied the
 * numbers begin anew, but no two processes ever have one value. */
#include "sinks/redis/cache.h"
#include "sinks/redis/fields.h"

#include <string.h>

void lf_redis_lock_make(struct lf_redis_lock *out, const struct lf_tier *tier, struct lf_text key, uint64_t token)
{
	out->key_len = (size_t)snprintf(out->key, sizeof(out->key), "{%.*s}#lock", (int)key.len, key.data);
	out->value_len = (size_t)snprintf(out->value, sizeof(out->value), "%llu-%016llx", (unsigned long long)token,
	                                  (unsigned long long)tier->self.writer);
}

static struct lf_text key_of(const struct lf_redis_lock *lock)
{
	return (struct lf_text){ lock->key, lock->key_len };
}

/* The next number, and whether somebody has the lock anyway. */
static enum lf_tier_result draw(struct lf_tier *tier, struct lf_redis_session *session,
                                const struct lf_redis_lock *lock, uint64_t *token, int64_t end_ms, struct lf_error *err)
{
	const struct lf_text exists[] = { LF_REDIS_WORD("EXISTS"), key_of(lock) };
	char fence[LF_KEY_PREFIX_MAX + 16];
	struct lf_text incr[] = { LF_REDIS_WORD("INCR"), { fence, 0 } };
	struct lf_redis_pipeline p = { 0 };
	enum lf_tier_result result;

	incr[1].len = (size_t)snprintf(fence, sizeof(fence), "%s%%fence", tier->scope);
	lf_redis_pipeline_add(&p, exists[1], exists, 2);
	lf_redis_pipeline_add(&p, incr[1], incr, 2);
	result = lf_redis_tier_run(session, &p, NULL, end_ms, err);
	*token = 0;
	if (result == LF_TIER_DONE && lf_redis_pipeline_reply(&p, 0)->integer == 0)
		*token = (uint64_t)lf_redis_pipeline_reply(&p, 1)->integer;
	lf_redis_pipeline_fini(&p);
	return result;
}

static enum lf_tier_result set(struct lf_redis_session *session, const struct lf_redis_lock *lock, int ttl_ms,
                               bool *ours, int64_t end_ms, struct lf_error *err)
{
	char digits[LF_DECIMAL_MAX];
	const struct lf_text words[] = { LF_REDIS_WORD("SET"), key_of(lock), { lock->value, lock->value_len },
		                             LF_REDIS_WORD("NX"), LF_REDIS_WORD("PX"),
		                             lf_redis_number(ttl_ms > 0 ? (uint64_t)ttl_ms : 1, digits) };
	struct lf_redis_pipeline p = { 0 };
	enum lf_tier_result result;

	lf_redis_pipeline_add(&p, words[1], words, 6);
	result = lf_redis_tier_run(session, &p, NULL, end_ms, err);
	*ours = result == LF_TIER_DONE && lf_redis_pipeline_reply(&p, 0)->type == REDIS_REPLY_STATUS;
	lf_redis_pipeline_fini(&p);
	return result;
}

enum lf_tier_result lf_redis_cache_lock(struct lf_tier *tier, struct lf_text key, int ttl_ms, uint64_t *token,
                                        int64_t end_ms, struct lf_error *err)
{
	struct lf_redis_session *session = lf_redis_session_take(tier, end_ms, err);
	struct lf_redis_lock lock;
	enum lf_tier_result result;
	uint64_t drawn = 0;
	bool ours = false;

	*token = 0;
	if (!session)
		return LF_TIER_AWAY;
	lf_redis_lock_make(&lock, tier, key, 0);
	result = draw(tier, session, &lock, &drawn, end_ms, err);
	if (result == LF_TIER_DONE && drawn != 0) {
		lf_redis_lock_make(&lock, tier, key, drawn);
		result = set(session, &lock, ttl_ms, &ours, end_ms, err);
	}
	lf_redis_session_give(tier, session);
	if (ours)
		*token = drawn;
	return result;
}

enum lf_tier_result lf_redis_cache_unlock(struct lf_tier *tier, struct lf_text key, uint64_t token, int64_t end_ms,
                                          struct lf_error *err)
{
	struct lf_redis_pipeline p = { 0 };
	enum lf_tier_result result;
	struct lf_redis_lock lock;
	struct lf_text words[5];
	size_t used;

	lf_redis_lock_make(&lock, tier, key, token);
	used = lf_redis_cache_call(words, LF_REDIS_CACHE_UNLOCK, key_of(&lock));
	words[used++] = (struct lf_text){ lock.value, lock.value_len };
	lf_redis_pipeline_add(&p, words[3], words, used);
	result = lf_redis_tier_send(tier, &p, NULL, end_ms, err);
	lf_redis_pipeline_fini(&p);
	return result;
}
