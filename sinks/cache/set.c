#include "sinks/cache/set.h"

#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/spread.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/workers.h"

/* Some keys on their way into the first tier that takes them. */
struct setting {
	struct lf_cache *cache;
	struct lf_spread *items;
	size_t count;
	const struct lf_command *commands; /* that make the records anew; NULL: they are as they are */
	const struct lf_begun *begun;
	unsigned failed; /* tiers */
	int64_t end_ms;
	struct lf_error *err;
};

bool lf_set_is_blind(const struct lf_command *command)
{
	return command->kind == LF_COMMAND_SET && command->when == LF_CACHE_ALWAYS && !command->keep_ttl;
}

static bool is_placed(const struct lf_spread *item)
{
	return item->has != 0;
}

/* --- where ----------------------------------------------------------------------------------------- */

/* The first tier that is there, and is written at once; LF_CACHE_TIERS: none.  Its word counts as to whether something
 * newer is there. */
static enum lf_cache_tier first(const struct setting *setting)
{
	static const enum lf_cache_tier order[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE, LF_CACHE_MEMORY };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (!(setting->failed & 1u << order[i]) && lf_tier_is_up(setting->cache, order[i]) &&
		    setting->cache->tier[order[i]].mode == LF_CACHE_THROUGH)
			return order[i];
	return LF_CACHE_TIERS;
}

/* Memory is the first, and holds no tombstone: whether the key was changed since its making began, its ticket says. */
static enum lf_tier_result put_in_memory(struct setting *setting, struct lf_spread *item, bool *placed)
{
	return lf_memory_put(setting->cache->tier[LF_CACHE_MEMORY].tier, item->key, item->record, item->ticket, placed);
}

/* Those that are nowhere yet. */
static enum lf_tier_result place(struct setting *setting, enum lf_cache_tier which, size_t *left)
{
	struct lf_tier_store stores[LF_SET_MAX];
	struct lf_spread *items[LF_SET_MAX];
	enum lf_tier_result result;
	size_t count = 0;

	for (size_t i = 0; i < setting->count; i++) {
		struct lf_spread *item = &setting->items[i];

		if (is_placed(item))
			continue;
		items[count] = item;
		stores[count++] = (struct lf_tier_store){
			.key = item->key,
			.record = item->record,
			.condition = LF_IF_NEWER,
			.owed = which == LF_CACHE_SQLITE ? lf_spread_owed(setting->cache, item->record) : 0,
		};
	}
	result = lf_call_store(setting->cache, which, stores, count,
	                       which == LF_CACHE_MEMORY ? setting->end_ms : lf_spread_share(setting->end_ms), setting->err);
	*left = 0;
	for (size_t i = 0; i < count; i++) {
		if (result != LF_TIER_DONE)
			items[i]->failed |= 1u << which;
		else if (stores[i].stored == LF_STORED)
			items[i]->has |= 1u << which;
		else
			++*left;
	}
	return result;
}

/* --- later than what is there ---------------------------------------------------------------------- */

static int make(struct setting *setting, size_t i)
{
	struct lf_version version = lf_version_next(setting->cache);
	struct lf_command_result result = { 0 };
	int rc = lf_command_apply(&setting->commands[i], NULL, version, lf_cache_now(setting->cache), &result, setting->err);
	struct lf_record gone;

	if (rc)
		return rc;
	lf_record_drop(setting->items[i].record);
	if (result.outcome == LF_COMMAND_REMOVE) {
		gone = lf_tombstone(setting->cache, version, setting->commands[i].critical);
		result.record = lf_record_new(&gone);
	}
	setting->items[i].record = result.record;
	return result.record ? 0 : lf_fail(setting->err, -ENOMEM, "no memory for a record");
}

/* Hears of the versions that are there. */
static void see(struct setting *setting, enum lf_cache_tier which)
{
	struct lf_record *records[LF_SET_MAX] = { NULL };
	struct lf_text keys[LF_SET_MAX];
	size_t count = 0;

	for (size_t i = 0; i < setting->count; i++)
		if (!is_placed(&setting->items[i]))
			keys[count++] = setting->items[i].key;
	if (!count || lf_call_load(setting->cache, which, keys, count, records, setting->end_ms, NULL) != LF_TIER_DONE)
		return;
	for (size_t i = 0; i < count; i++) {
		if (records[i])
			lf_version_seen(setting->cache, records[i]->version.clock);
		lf_record_drop(records[i]);
	}
}

/* The same call sets it once more: that is what is to stay. */
static bool is_set_again(const struct setting *setting, size_t i)
{
	struct lf_text key = setting->items[i].key;

	for (size_t j = i + 1; j < setting->count; j++)
		if (setting->items[j].key.len == key.len && memcmp(setting->items[j].key.data, key.data, key.len) == 0)
			return true;
	return false;
}

static int renew(struct setting *setting, enum lf_cache_tier which)
{
	int rc = 0;

	see(setting, which);
	for (size_t i = 0; !rc && i < setting->count; i++) {
		if (is_placed(&setting->items[i]))
			continue;
		if (is_set_again(setting, i))
			setting->items[i].has |= 1u << which; /* something newer */
		else
			rc = make(setting, i);
	}
	return rc;
}

/* Until each is in some tier, or no tier is left. */
static int place_all(struct setting *setting)
{
	enum lf_cache_tier which;

	while ((which = first(setting)) != LF_CACHE_TIERS) {
		size_t left;
		int rc;

		if (place(setting, which, &left) != LF_TIER_DONE) {
			setting->failed |= 1u << which;
			continue;
		}
		if (!left)
			break;
		rc = renew(setting, which);
		if (rc)
			return rc;
		if (lf_clock_ms() >= setting->end_ms)
			return lf_fail(setting->err, -ETIMEDOUT, "others set the key faster, for all the time that there was");
	}
	return 0;
}

/* --- many, one, one that was made elsewhere --------------------------------------------------------- */

static int check_critical(const struct setting *setting)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < setting->count; i++)
		if (setting->items[i].record->flags & LF_RECORD_CRITICAL)
			rc = lf_spread_critical(setting->cache, setting->items[i].key, setting->err);
	return rc;
}

static enum lf_cache_tier tier_of(unsigned has)
{
	for (int i = LF_CACHE_REDIS; i < LF_CACHE_TIERS; i++)
		if (has & 1u << i)
			return (enum lf_cache_tier)i;
	return has & 1u << LF_CACHE_SQLITE ? LF_CACHE_SQLITE : LF_CACHE_MEMORY;
}

static void tell(const struct setting *setting)
{
	for (size_t i = 0; i < setting->count; i++) {
		const struct lf_spread *item = &setting->items[i];

		lf_event_key(setting->cache, item->record->type == LF_RECORD_GONE ? LF_CACHE_DELETE : LF_CACHE_SET,
		             tier_of(item->has), item->key, false);
	}
}

int lf_set_all(struct lf_cache_space *space, const struct lf_text *keys, const struct lf_command *commands, size_t count,
               int64_t end_ms, struct lf_error *err)
{
	struct lf_cache *cache = space->cache;
	struct lf_spread items[LF_SET_MAX];
	struct setting setting = { .cache = cache,
		                   .items = items,
		                   .count = count,
		                   .commands = commands,
		                   .end_ms = end_ms,
		                   .err = err };
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		items[i] = (struct lf_spread){ .key = keys[i] };
		items[i].losses = atomic_load(&cache->losses);
		items[i].ticket = lf_memory_ticket(cache->tier[LF_CACHE_MEMORY].tier, keys[i]);
		lf_flights_touch(cache, keys[i]);
	}
	for (size_t i = 0; !rc && i < count; i++)
		rc = make(&setting, i);
	if (!rc)
		rc = check_critical(&setting);
	if (!rc)
		rc = place_all(&setting);
	if (!rc)
		rc = lf_spread(cache, items, count, end_ms, err);
	if (!rc)
		tell(&setting);
	for (size_t i = 0; i < count; i++)
		lf_record_drop(items[i].record);
	return rc;
}

/* 1: it is in Redis, as the lock is still held; 0: it is not, as it is not; -1: Redis does not say. */
static int place_locked(struct setting *setting, uint64_t token)
{
	struct lf_tier_store store = { .key = setting->items->key,
		                       .record = setting->items->record,
		                       .condition = LF_IF_LOCKED,
		                       .token = token };

	if (lf_call_store(setting->cache, LF_CACHE_REDIS, &store, 1, lf_spread_share(setting->end_ms), setting->err) !=
	    LF_TIER_DONE) {
		setting->failed |= 1u << LF_CACHE_REDIS;
		setting->items->failed |= 1u << LF_CACHE_REDIS;
		return -1;
	}
	if (store.stored != LF_STORED)
		return 0;
	setting->items->has |= 1u << LF_CACHE_REDIS;
	return 1;
}

/* 1: it is in a tier, or every tier that it would be in is behind; 0: something newer is there. */
static int place_made(struct setting *setting)
{
	struct lf_spread *item = setting->items;
	enum lf_cache_tier which;
	size_t left = 0;

	while ((which = first(setting)) != LF_CACHE_TIERS) {
		enum lf_tier_result result;
		bool placed = false;

		if (which == LF_CACHE_MEMORY && setting->begun) {
			result = put_in_memory(setting, item, &placed);
			item->has |= result == LF_TIER_DONE && placed ? 1u << which : 0;
		} else {
			result = place(setting, which, &left);
		}
		if (result == LF_TIER_DONE && !is_placed(item)) {
			see(setting, which);
			return 0;
		}
		if (result == LF_TIER_DONE)
			break;
		item->failed |= 1u << which;
		setting->failed |= 1u << which;
	}
	return 1;
}

/* A prefix was dropped since its making began: who was told of that hands it out no more, but nobody else knows. */
static bool is_dropped(struct setting *setting)
{
	struct lf_spread *item = setting->items;

	if (lf_stamps_allow(setting->cache, item->key, item->record))
		return false;
	lf_spread_bury(setting->cache, item->key, item->record->version, item->has, setting->end_ms);
	if (item->waits)
		(void)!lf_outbox_put_prefix(setting->cache, item->key, item->record->version.clock, 0);
	return true;
}

int lf_stack_store(struct lf_cache_space *space, struct lf_text key, const struct lf_record *record, uint64_t token,
                   const struct lf_begun *begun, int64_t end_ms, struct lf_error *err)
{
	struct lf_cache *cache = space->cache;
	struct lf_spread item = { .key = key, .record = record };
	struct setting setting = { .cache = cache,
		                   .items = &item,
		                   .count = 1,
		                   .begun = begun,
		                   .end_ms = end_ms,
		                   .err = err };
	int rc;

	if (!atomic_load_explicit(&cache->enabled, memory_order_acquire))
		return 1;
	item.losses = atomic_load(&cache->losses);
	item.ticket = begun ? begun->ticket : lf_memory_ticket(cache->tier[LF_CACHE_MEMORY].tier, key);
	lf_version_seen(cache, record->version.clock);
	rc = check_critical(&setting);
	if (rc || is_dropped(&setting))
		return rc;
	rc = token && lf_tier_is_up(cache, LF_CACHE_REDIS) ? place_locked(&setting, token) : -1;
	if (rc < 0)
		rc = place_made(&setting);
	if (rc <= 0)
		return rc;
	rc = lf_spread(cache, &item, 1, end_ms, err);
	if (rc || is_dropped(&setting))
		return rc;
	tell(&setting);
	return 1;
}
