#include "sinks/cache/tell.h"

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/stamps.h"

/* What one round trip carries, but for a record that is longer: what is slow to send must not look like a tier that
 * does not answer. */
enum { ROUND_TRIP_BYTES = 1 << 20 };

struct teller {
	struct lf_cache *cache;
	enum lf_cache_tier to;
	int64_t end_ms;
	struct lf_error *err;
	struct lf_telling *key[LF_TELL_MAX]; /* of the round trip that is being put together */
	size_t keys, bytes;
};

/* A call may take what the tier's timeout says (call.h), however many there are. */
static enum lf_tier_result store(struct teller *teller, struct lf_tier_store *stores, size_t count)
{
	return lf_call_store_anyway(teller->cache, teller->to, stores, count, teller->end_ms, teller->err);
}

static struct lf_record tombstone(const struct lf_cache *cache, struct lf_version version)
{
	return (struct lf_record){ .type = LF_RECORD_GONE,
		                   .version = version,
		                   .expires_ms = lf_cache_now(cache) + cache->options.tombstone_ms };
}

/* A prefix may have been dropped since the record was taken from where it waited: then it must go again. */
static enum lf_tier_result take_back(struct teller *teller, struct lf_telling *what)
{
	struct lf_record gone;
	struct lf_tier_store bury = { .key = what->name, .record = &gone, .condition = LF_IF_VERSION };
	enum lf_tier_result result;

	if (!what->told || !what->record || lf_stamps_allow(teller->cache, what->name, what->record))
		return LF_TIER_DONE;
	gone = tombstone(teller->cache, lf_version_next(teller->cache));
	bury.expected = what->record->version;
	result = store(teller, &bury, 1);
	what->told = result == LF_TIER_DONE;
	return result;
}

static enum lf_tier_result tell_key(struct teller *teller, struct lf_telling *what)
{
	struct lf_record gone = tombstone(teller->cache, what->version);
	struct lf_tier_store one = { .key = what->name, .record = what->record, .owed = what->owed };
	enum lf_tier_result result = LF_TIER_REJECTED;

	if (one.record)
		result = store(teller, &one, 1);
	if (result == LF_TIER_REJECTED) {
		one.record = &gone;
		result = store(teller, &one, 1);
	}
	what->told = result == LF_TIER_DONE;
	return result;
}

/* One refusal among many would hold back all of them. */
static enum lf_tier_result tell_one_by_one(struct teller *teller)
{
	enum lf_tier_result result = LF_TIER_DONE;

	for (size_t i = 0; i < teller->keys && result == LF_TIER_DONE; i++)
		result = tell_key(teller, teller->key[i]);
	return result;
}

static enum lf_tier_result tell_keys(struct teller *teller)
{
	struct lf_record gone[LF_TELL_MAX];
	struct lf_tier_store stores[LF_TELL_MAX];
	enum lf_tier_result result;

	if (teller->keys == 0)
		return LF_TIER_DONE;
	for (size_t i = 0; i < teller->keys; i++) {
		const struct lf_telling *what = teller->key[i];

		gone[i] = tombstone(teller->cache, what->version);
		stores[i] = (struct lf_tier_store){ .key = what->name,
			                            .record = what->record ? what->record : &gone[i],
			                            .condition = LF_IF_NEWER,
			                            .owed = what->owed };
	}
	result = store(teller, stores, teller->keys);
	for (size_t i = 0; i < teller->keys; i++)
		teller->key[i]->told = result == LF_TIER_DONE;
	if (result == LF_TIER_REJECTED)
		result = tell_one_by_one(teller);
	for (size_t i = 0; i < teller->keys && result == LF_TIER_DONE; i++)
		result = take_back(teller, teller->key[i]);
	teller->keys = teller->bytes = 0;
	return result;
}

static enum lf_tier_result add_key(struct teller *teller, struct lf_telling *what)
{
	size_t bytes = what->name.len + (what->record ? what->record->size : 0);
	enum lf_tier_result result = LF_TIER_DONE;

	if (teller->keys == LF_TELL_MAX || teller->bytes + bytes > ROUND_TRIP_BYTES)
		result = tell_keys(teller);
	if (result == LF_TIER_DONE) {
		teller->key[teller->keys++] = what;
		teller->bytes += bytes;
	}
	return result;
}

static enum lf_tier_result tell_stamp(struct teller *teller, struct lf_telling *what)
{
	uint64_t is = 0;
	enum lf_tier_result result;

	result = lf_call_raise_anyway(teller->cache, teller->to, &what->name, 1, what->version.clock, &is, teller->end_ms,
	                              teller->err);
	what->told = result == LF_TIER_DONE;
	if (what->told)
		lf_version_seen(teller->cache, is);
	return result;
}

static enum lf_tier_result tell_prefix(struct teller *teller, struct lf_telling *what)
{
	enum lf_tier_result result = lf_call_drop_anyway(teller->cache, teller->to, what->name, what->version.clock,
	                                                 teller->end_ms, teller->err);

	what->told = result == LF_TIER_DONE;
	return result;
}

enum lf_tier_result lf_tell(struct lf_cache *cache, enum lf_cache_tier to, struct lf_telling *what, size_t count,
                            int64_t end_ms, struct lf_error *err)
{
	struct teller teller = { .cache = cache, .to = to, .end_ms = end_ms, .err = err };
	enum lf_tier_result result = LF_TIER_DONE;

	for (size_t i = 0; i < count; i++)
		what[i].told = false;
	for (size_t i = 0; i < count && result == LF_TIER_DONE; i++) {
		if (what[i].kind == LF_CHANGED_STAMP)
			result = tell_stamp(&teller, &what[i]);
		else if (what[i].kind == LF_CHANGED_PREFIX)
			result = tell_prefix(&teller, &what[i]);
		else
			result = add_key(&teller, &what[i]);
	}
	return result == LF_TIER_DONE ? tell_keys(&teller) : result;
}
