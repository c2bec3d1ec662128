/* What SQLite notes as owed is told to a shared tier, in batches, and taken off once that has confirmed it. */
#include <errno.h>
#include <stdlib.h>

#include "sinks/cache/manager.h"
#include "sinks/cache/tell.h"

struct batch {
	struct lf_owed *owed;
	size_t count;
	struct lf_telling what[LF_TELL_MAX];
	struct lf_record *record[LF_TELL_MAX];
};

static struct lf_text name_of(const struct lf_owed *owed)
{
	return (struct lf_text){ owed->name, owed->name_len };
}

/* Those of the batch that are keys, in its order. */
static size_t keys_of(const struct batch *batch, struct lf_text *keys)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->owed[i].kind == LF_CHANGED_KEY)
			keys[count++] = name_of(&batch->owed[i]);
	return count;
}

static enum lf_tier_result load_records(struct lf_cache *cache, struct batch *batch, int64_t end_ms,
                                        struct lf_error *err)
{
	const struct lf_stack_tier *sqlite = &cache->tier[LF_CACHE_SQLITE];
	struct lf_text keys[LF_TELL_MAX];
	size_t count = keys_of(batch, keys);

	return count ? sqlite->ops->load(sqlite->tier, keys, count, batch->record, end_ms, err) : LF_TIER_DONE;
}

/* What a record says now is what the tier is told, be it newer than what was noted.  One that is gone from SQLite,
 * or has expired, has nothing to say but that. */
static void put_together(struct lf_cache *cache, struct batch *batch)
{
	int64_t now = lf_cache_now(cache);
	size_t keys = 0;

	for (size_t i = 0; i < batch->count; i++) {
		const struct lf_owed *owed = &batch->owed[i];
		struct lf_telling *what = &batch->what[i];

		*what = (struct lf_telling){ .kind = owed->kind, .name = name_of(owed), .version = owed->version };
		if (owed->kind != LF_CHANGED_KEY)
			continue;
		what->record = batch->record[keys++];
		if (what->record && lf_record_expired(what->record, now))
			what->record = NULL;
	}
}

static enum lf_tier_result pay(struct lf_cache *cache, enum lf_cache_tier to, struct batch *batch, size_t *paid,
                               int64_t end_ms, struct lf_error *err)
{
	struct lf_owed told[LF_TELL_MAX];

	*paid = 0;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->what[i].told)
			told[(*paid)++] = batch->owed[i];
	if (*paid == 0)
		return LF_TIER_DONE;
	return lf_sqlite_paid(cache->tier[LF_CACHE_SQLITE].tier, to, told, *paid, end_ms, err);
}

static enum lf_sync tell_and_pay(struct lf_cache *cache, enum lf_cache_tier to, struct batch *batch, size_t *paid,
                                 int64_t end_ms, struct lf_error *err)
{
	enum lf_tier_result telling, paying;

	if (load_records(cache, batch, end_ms, err) != LF_TIER_DONE)
		return LF_SYNC_SQLITE_FAILED;
	put_together(cache, batch);
	telling = lf_tell(cache, to, batch->what, batch->count, end_ms, err);
	paying = pay(cache, to, batch, paid, end_ms, err);
	if (telling != LF_TIER_DONE)
		return LF_SYNC_TIER_FAILED;
	if (paying != LF_TIER_DONE)
		return LF_SYNC_SQLITE_FAILED;
	return batch->count == LF_TELL_MAX ? LF_SYNC_MORE : LF_SYNC_ALL;
}

static enum lf_sync step(struct lf_cache *cache, enum lf_cache_tier to, struct batch *batch, int64_t end_ms,
                         struct lf_error *err)
{
	struct lf_tier *sqlite = cache->tier[LF_CACHE_SQLITE].tier;
	enum lf_sync synced;
	size_t paid = 0;

	if (lf_sqlite_owed(sqlite, to, LF_TELL_MAX, &batch->owed, &batch->count, end_ms, err) != LF_TIER_DONE)
		return LF_SYNC_SQLITE_FAILED;
	if (batch->count == 0)
		return LF_SYNC_ALL;
	synced = tell_and_pay(cache, to, batch, &paid, end_ms, err);
	lf_count(cache->counters, LF_COUNT_SYNC_BATCHES, 1);
	lf_count(cache->counters, LF_COUNT_SYNCED, paid);
	if (synced == LF_SYNC_TIER_FAILED || synced == LF_SYNC_SQLITE_FAILED)
		lf_count(cache->counters, LF_COUNT_SYNC_RETRIES, 1);
	return synced;
}

enum lf_sync lf_sync_step(struct lf_cache *cache, enum lf_cache_tier to, int64_t end_ms, struct lf_error *err)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	enum lf_sync synced;

	if (!batch) {
		(void)lf_fail(err, -ENOMEM, "no memory to send what the %s tier missed", lf_cache_tier_name(to));
		return LF_SYNC_SQLITE_FAILED;
	}
	synced = step(cache, to, batch, end_ms, err);
	for (size_t i = 0; i < LF_TELL_MAX; i++)
		lf_record_drop(batch->record[i]);
	lf_owed_free(batch->owed, batch->count);
	free(batch);
	return synced;
}
