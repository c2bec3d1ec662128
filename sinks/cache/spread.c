#include "sinks/cache/spread.h"

#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/manager.h"
#include "sinks/cache/outbox.h"

struct spreading {
	struct lf_cache *cache;
	struct lf_spread *items;
	size_t count;
	int64_t end_ms;
	struct lf_error *err;
	enum lf_tier_result sqlite, memory; /* how they did, where they were asked */
};

unsigned lf_spread_owed(const struct lf_cache *cache, const struct lf_record *record)
{
	bool critical = record->flags & LF_RECORD_CRITICAL;
	unsigned tiers = 0;

	for (int i = LF_CACHE_REDIS; i < LF_CACHE_TIERS; i++)
		if (lf_tier_is_on(cache, (enum lf_cache_tier)i) &&
		    (critical || cache->tier[i].mode == LF_CACHE_THROUGH || !lf_tier_is_up(cache, (enum lf_cache_tier)i)))
			tiers |= 1u << i;
	return tiers;
}

static bool is_shared_on(const struct lf_cache *cache)
{
	return lf_tier_is_on(cache, LF_CACHE_REDIS) || lf_tier_is_on(cache, LF_CACHE_MONGO);
}

int64_t lf_spread_share(int64_t end_ms)
{
	int64_t now = lf_clock_ms();

	return end_ms > now ? now + (end_ms - now) * 3 / 4 : end_ms;
}

struct lf_record lf_tombstone(const struct lf_cache *cache, struct lf_version version, bool critical)
{
	return (struct lf_record){ .type = LF_RECORD_GONE,
		                   .flags = critical ? LF_RECORD_CRITICAL : 0,
		                   .version = version,
		                   .expires_ms = lf_cache_now(cache) + cache->options.tombstone_ms };
}

void lf_spread_bury(struct lf_cache *cache, struct lf_text key, struct lf_version version, unsigned tiers, int64_t end_ms)
{
	struct lf_record gone = lf_tombstone(cache, lf_version_next(cache), false);
	struct lf_tier_store store = { .key = key, .record = &gone, .condition = LF_IF_VERSION, .expected = version };

	for (int i = LF_CACHE_SQLITE; i < LF_CACHE_TIERS; i++)
		if (tiers & 1u << i)
			(void)lf_call_store(cache, (enum lf_cache_tier)i, &store, 1, end_ms, NULL);
}

int lf_spread_critical(const struct lf_cache *cache, struct lf_text key, struct lf_error *err)
{
	if (!lf_tier_is_on(cache, LF_CACHE_SQLITE))
		return lf_fail(err, -EHOSTDOWN, "'%.*s' is critical, and there is no SQLite tier to keep it: set sqlite.file",
		               (int)(key.len < 128 ? key.len : 128), key.data);
	if (!lf_tier_is_up(cache, LF_CACHE_SQLITE))
		return lf_fail(err, -EHOSTDOWN, "'%.*s' is critical, and the SQLite tier that is to keep it is away: "
		               "lf_cache_stats() says why", (int)(key.len < 128 ? key.len : 128), key.data);
	return 0;
}

static bool is_critical(const struct lf_spread *item)
{
	return item->record->flags & LF_RECORD_CRITICAL;
}

/* --- under way ------------------------------------------------------------------------------------- */

static bool is_any_critical(const struct spreading *spreading)
{
	bool any = false;

	for (size_t i = 0; i < spreading->count; i++)
		any |= is_critical(&spreading->items[i]);
	return any;
}

static void set_out(struct spreading *spreading)
{
	struct lf_cache *cache = spreading->cache;

	(void)pthread_mutex_lock(&cache->spreading_lock);
	for (size_t i = 0; i < spreading->count; i++) {
		spreading->items[i].next = atomic_load_explicit(&cache->spreading, memory_order_relaxed);
		atomic_store(&cache->spreading, &spreading->items[i]);
	}
	(void)pthread_mutex_unlock(&cache->spreading_lock);
}

/* They are in the list one behind the other, the first one last. */
static void arrive(struct spreading *spreading)
{
	struct lf_cache *cache = spreading->cache;
	struct lf_spread *last = &spreading->items[spreading->count - 1], *at;

	(void)pthread_mutex_lock(&cache->spreading_lock);
	at = atomic_load_explicit(&cache->spreading, memory_order_relaxed);
	if (at == last) {
		atomic_store(&cache->spreading, spreading->items->next);
	} else {
		while (at->next != last)
			at = at->next;
		at->next = spreading->items->next;
	}
	(void)pthread_mutex_unlock(&cache->spreading_lock);
}

struct lf_record *lf_spread_find(struct lf_cache *cache, struct lf_text key)
{
	const struct lf_record *newest = NULL;

	if (!atomic_load(&cache->spreading))
		return NULL;
	(void)pthread_mutex_lock(&cache->spreading_lock);
	for (const struct lf_spread *at = atomic_load(&cache->spreading); at; at = at->next)
		if (at->key.len == key.len && memcmp(at->key.data, key.data, key.len) == 0 &&
		    (!newest || lf_version_compare(at->record->version, newest->version) > 0))
			newest = at->record;
	newest = lf_record_keep(newest);
	(void)pthread_mutex_unlock(&cache->spreading_lock);
	return (struct lf_record *)(uintptr_t)newest;
}

/* --- one tier -------------------------------------------------------------------------------------- */

/* Stores those items in one call.  DONE: each of them, or something newer, is there. */
static enum lf_tier_result store(struct spreading *spreading, enum lf_cache_tier which, struct lf_spread **items,
                                 size_t count, int64_t end_ms)
{
	struct lf_tier_store stores[LF_SPREAD_MAX];
	enum lf_tier_result result;

	for (size_t i = 0; i < count; i++)
		stores[i] = (struct lf_tier_store){ .key = items[i]->key,
			                            .record = items[i]->record,
			                            .condition = LF_IF_NEWER,
			                            .owed = which == LF_CACHE_SQLITE ? items[i]->missed : 0 };
	result = lf_call_store(spreading->cache, which, stores, count, end_ms, spreading->err);
	for (size_t i = 0; i < count; i++)
		*(result == LF_TIER_DONE ? &items[i]->has : &items[i]->failed) |= 1u << which;
	return result;
}

static void to_shared(struct spreading *spreading, enum lf_cache_tier which)
{
	const struct lf_cache *cache = spreading->cache;
	struct lf_spread *now[LF_SPREAD_MAX];
	unsigned bit = 1u << which;
	size_t count = 0;

	if (!lf_tier_is_on(cache, which))
		return;
	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];

		if ((item->has | item->failed) & bit || !lf_tier_is_up(cache, which))
			continue;
		if (cache->tier[which].mode != LF_CACHE_BEHIND)
			now[count++] = item;
		else if (!is_critical(item)) /* SQLite notes it: what waits in memory would go with the process */
			item->later |= bit;
	}
	if (count)
		(void)store(spreading, which, now, count, lf_spread_share(spreading->end_ms));
	for (size_t i = 0; i < spreading->count; i++)
		spreading->items[i].missed |= bit & ~(spreading->items[i].has | spreading->items[i].later);
}

/* A shared tier lost what it had after the record was put there, and may have been noted as owed all that SQLite had then,
 * which was not this one. */
static void owe_what_was_lost(struct spreading *spreading)
{
	unsigned losses = atomic_load(&spreading->cache->losses), bit = 1u << LF_CACHE_SQLITE;

	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];

		if (!is_critical(item) || item->losses == losses || !(item->has & bit))
			continue;
		item->has &= ~bit;
		item->missed = lf_spread_owed(spreading->cache, item->record);
		spreading->sqlite = store(spreading, LF_CACHE_SQLITE, &item, 1, spreading->end_ms);
	}
}

/* With what the shared tiers missed.  What is critical is written at once, whatever the mode. */
static void to_sqlite(struct spreading *spreading)
{
	const struct lf_cache *cache = spreading->cache;
	struct lf_spread *now[LF_SPREAD_MAX];
	unsigned bit = 1u << LF_CACHE_SQLITE;
	size_t count = 0;

	if (!lf_tier_is_on(cache, LF_CACHE_SQLITE))
		return;
	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];

		if ((item->has | item->failed) & bit || !lf_tier_is_up(cache, LF_CACHE_SQLITE) ||
		    (cache->tier[LF_CACHE_SQLITE].mode == LF_CACHE_BEHIND && !is_critical(item)))
			continue;
		now[count++] = item;
	}
	if (count)
		spreading->sqlite = store(spreading, LF_CACHE_SQLITE, now, count, spreading->end_ms);
	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];

		if (item->has & bit)
			item->missed = 0;
		else
			item->later |= bit;
	}
	owe_what_was_lost(spreading);
}

/* There was no room in the outbox.  Tiers that are there are written to at once; an older record in SQLite, which could
 * not take this one, must not be believed. */
static void at_once(struct spreading *spreading, struct lf_spread *item, unsigned tiers)
{
	for (int i = 0; i < LF_CACHE_TIERS; i++)
		if (tiers & ~item->failed & 1u << i && lf_tier_is_up(spreading->cache, (enum lf_cache_tier)i))
			(void)store(spreading, (enum lf_cache_tier)i, &item, 1, spreading->end_ms);
	if (tiers & ~item->has & 1u << LF_CACHE_SQLITE)
		lf_sqlite_new_session(spreading->cache->tier[LF_CACHE_SQLITE].tier);
}

static void to_outbox(struct spreading *spreading)
{
	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];
		unsigned tiers = item->later | item->missed;

		if (!tiers)
			continue;
		item->waits = lf_outbox_put(spreading->cache, item->key, item->record, tiers) == 0;
		if (!item->waits)
			at_once(spreading, item, tiers);
	}
}

/* The key may have been changed elsewhere while this was on its way: SQLite has it, and must not trust it. */
static void distrust(struct spreading *spreading, const struct lf_spread *item)
{
	static const struct lf_version any = { UINT64_MAX, UINT64_MAX };
	struct lf_tier *sqlite = spreading->cache->tier[LF_CACHE_SQLITE].tier;

	if (!(item->has & 1u << LF_CACHE_SQLITE) || !is_shared_on(spreading->cache))
		return;
	if (lf_sqlite_distrust(sqlite, item->key, any, spreading->end_ms, NULL) != LF_TIER_DONE)
		lf_sqlite_new_session(sqlite);
}

static void to_memory(struct spreading *spreading)
{
	struct lf_cache *cache = spreading->cache;
	struct lf_tier *memory = cache->tier[LF_CACHE_MEMORY].tier;

	for (size_t i = 0; i < spreading->count; i++) {
		struct lf_spread *item = &spreading->items[i];
		bool current = true;

		if (item->has & 1u << LF_CACHE_MEMORY)
			continue;
		if (lf_tier_is_up(cache, LF_CACHE_MEMORY)) {
			spreading->memory = lf_memory_put(memory, item->key, item->record, item->ticket, &current);
			if (spreading->memory == LF_TIER_DONE)
				item->has |= 1u << LF_CACHE_MEMORY;
		} else {
			current = lf_memory_ticket(memory, item->key) == item->ticket;
			lf_memory_remove(memory, item->key, item->record->version);
		}
		if (!current)
			distrust(spreading, item);
	}
}

/* --- all of them ----------------------------------------------------------------------------------- */

/* Whether a tier was owed something though it is there: it failed just now. */
static bool is_to_be_told(const struct spreading *spreading)
{
	for (size_t i = 0; i < spreading->count; i++)
		for (int tier = LF_CACHE_REDIS; tier < LF_CACHE_TIERS; tier++)
			if (spreading->items[i].failed & 1u << tier && lf_tier_is_up(spreading->cache, (enum lf_cache_tier)tier))
				return true;
	return false;
}

static int judge(const struct spreading *spreading, const struct lf_spread *item)
{
	struct lf_error *err = spreading->err;

	if (is_critical(item) && !(item->has & 1u << LF_CACHE_SQLITE)) {
		int rc = lf_spread_critical(spreading->cache, item->key, err);

		return rc ? rc : lf_call_errno(spreading->sqlite, spreading->end_ms);
	}
	if (item->has || item->waits)
		return 0;
	if (spreading->memory == LF_TIER_FULL)
		return lf_fail(err, -ENOSPC, "memory is full, its policy lets nothing go, and no other tier could take the value: "
		               "raise memory.max_bytes and max_entries, or choose a policy that evicts");
	return lf_fail(err, -EHOSTDOWN, "no tier could take the value: lf_cache_stats() says what is wrong with each");
}

int lf_spread(struct lf_cache *cache, struct lf_spread *items, size_t count, int64_t end_ms, struct lf_error *err)
{
	struct spreading spreading = { .cache = cache,
		                       .items = items,
		                       .count = count,
		                       .end_ms = end_ms,
		                       .err = err,
		                       .sqlite = LF_TIER_AWAY,
		                       .memory = LF_TIER_DONE };
	bool critical = is_any_critical(&spreading);
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		items[i].missed = items[i].later = 0;
		items[i].waits = false;
	}
	if (critical)
		set_out(&spreading);
	to_shared(&spreading, LF_CACHE_REDIS);
	to_shared(&spreading, LF_CACHE_MONGO);
	to_sqlite(&spreading);
	to_outbox(&spreading);
	to_memory(&spreading);
	if (critical)
		arrive(&spreading);
	if (is_to_be_told(&spreading))
		lf_manager_poke(cache);
	for (size_t i = 0; !rc && i < count; i++)
		rc = judge(&spreading, &items[i]);
	return rc;
}
