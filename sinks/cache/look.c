#include "sinks/cache/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/commands.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/spread.h"
#include "sinks/cache/stamps.h"

enum {
	AT_ONCE = 128, /* keys of one round trip */
	SHARED = 1u << LF_CACHE_REDIS | 1u << LF_CACHE_MONGO,
};

/* Some keys on their way down the tiers. */
struct walk {
	struct lf_cache_space *space;
	struct lf_cache *cache;
	struct lf_look *look[AT_ONCE];
	size_t count;
	int64_t end_ms;
	bool lifts;                 /* tiers above are given what is found */
	bool answered;              /* a tier did */
	enum lf_tier_result failed; /* what the last did that did not */
	struct lf_error *err;
};

static bool is_expired(const struct lf_cache *cache, const struct lf_record *record)
{
	return record->expires_ms != 0 && lf_record_expired(record, lf_cache_now(cache));
}

/* --- memory ---------------------------------------------------------------------------------------- */

/* On the hot path.  What has expired memory does not give. */
static bool look_in_memory(struct lf_cache_space *space, struct lf_look *look, int64_t end_ms)
{
	struct lf_cache *cache = space->cache;

	look->record = NULL;
	look->from = LF_CACHE_MEMORY;
	look->usable = false;
	if (!lf_tier_is_up(cache, LF_CACHE_MEMORY))
		return false;
	look->record = lf_memory_get(cache->tier[LF_CACHE_MEMORY].tier, look->key);
	if (look->record)
		look->usable = lf_stamps_valid(space, look->key, look->record, end_ms) == 1;
	lf_count_tier(cache->counters, LF_CACHE_MEMORY, look->usable ? LF_COUNT_TIER_HITS : LF_COUNT_TIER_MISSES, 1);
	return look->usable;
}

/* --- down ------------------------------------------------------------------------------------------ */

/* A record that was seen, which this takes over.  `held`: who has it has it for good. */
static void consider(struct walk *walk, struct lf_look *look, struct lf_record *record, enum lf_cache_tier from, bool held)
{
	int order;

	if (!record)
		return;
	lf_version_seen(walk->cache, record->version.clock);
	order = look->record ? lf_version_compare(record->version, look->record->version) : 1;
	if (order > 0) {
		lf_record_drop(look->record);
		look->record = lf_record_keep(record);
		look->from = from;
		look->has = 0;
	}
	if (order >= 0 && held)
		look->has |= 1u << from;
	lf_record_drop(record);
}

static void look_in_outbox(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		struct lf_record *record = lf_outbox_find(walk->cache, walk->look[i]->key);

		walk->answered |= record != NULL;
		consider(walk, walk->look[i], record, LF_CACHE_MEMORY, false);
	}
}

static void look_in_sqlite(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		struct lf_look *look = walk->look[i];
		struct lf_record *record = NULL;
		bool trusted = false;
		enum lf_tier_result result = lf_call_load_local(walk->cache, look->key, &record, &trusted, walk->end_ms, walk->err);

		if (result != LF_TIER_DONE) {
			walk->failed = result;
			for (; i < walk->count; i++)
				walk->look[i]->doubted = walk->look[i]->unsure = true;
			return;
		}
		walk->answered = true;
		look->asked |= 1u << LF_CACHE_SQLITE;
		look->settled = record && trusted;
		consider(walk, look, record, LF_CACHE_SQLITE, trusted);
	}
}

/* Those that no tier above has settled, in one round trip. */
static void look_in_shared(struct walk *walk, enum lf_cache_tier which)
{
	struct lf_record *records[AT_ONCE] = { NULL };
	struct lf_text keys[AT_ONCE];
	struct lf_look *asked[AT_ONCE];
	enum lf_tier_result result;
	size_t count = 0;

	for (size_t i = 0; i < walk->count; i++) {
		if (walk->look[i]->settled)
			continue;
		asked[count] = walk->look[i];
		keys[count++] = walk->look[i]->key;
	}
	if (!count)
		return;
	result = lf_call_load(walk->cache, which, keys, count, records, walk->end_ms, walk->err);
	if (result != LF_TIER_DONE) {
		walk->failed = result;
		for (size_t i = 0; i < count; i++)
			asked[i]->doubted |= result == LF_TIER_AWAY;
		return;
	}
	walk->answered = true;
	for (size_t i = 0; i < count; i++) {
		asked[i]->asked |= 1u << which;
		asked[i]->settled = records[i] != NULL;
		consider(walk, asked[i], records[i], which, true);
	}
}

/* A shared tier said that it has nothing: what is only left in SQLite from before is out of date, unless it is critical.
 * Then the shared tier has lost it. */
static bool is_left_over(const struct lf_look *look)
{
	return !look->settled && (look->asked & SHARED) && look->from == LF_CACHE_SQLITE &&
	       !(look->record->flags & LF_RECORD_CRITICAL);
}

/* What nobody says is a miss.  But what is critical is not said to be gone: a tier that does not answer is away in a moment,
 * and then it is known. */
static int is_valid(const struct walk *walk, const struct lf_look *look)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	bool critical = look->record->flags & LF_RECORD_CRITICAL;
	int valid;

	while ((valid = lf_stamps_valid(walk->space, look->key, look->record, walk->end_ms)) < 0 && critical &&
	       lf_clock_ms() < walk->end_ms)
		(void)nanosleep(&pause, NULL);
	if (valid < 0 && critical)
		return lf_fail(walk->err, -ETIMEDOUT, "it is not known whether '%.*s' was invalidated: a shared tier does not answer",
		               (int)(look->key.len < 128 ? look->key.len : 128), look->key.data);
	return valid == 1;
}

/* Nor that it was never there. */
static bool is_unsure(const struct walk *walk, const struct lf_look *look)
{
	char bytes[LF_CACHE_ID_MAX];
	struct lf_text id = { bytes, 0 };

	return !look->record && look->unsure && lf_space_id(walk->space, look->key, bytes, &id.len) &&
	       lf_stack_is_critical(walk->space, id);
}

static int judge(struct walk *walk)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < walk->count; i++) {
		struct lf_look *look = walk->look[i];

		if (is_unsure(walk, look))
			return lf_call_errno(walk->failed, walk->end_ms);
		if (!look->record || look->record->type == LF_RECORD_GONE || is_left_over(look) ||
		    is_expired(walk->cache, look->record))
			continue;
		rc = is_valid(walk, look);
		look->usable = rc == 1;
	}
	return rc < 0 ? rc : 0;
}

/* --- up -------------------------------------------------------------------------------------------- */

/* What a tier that is there might have said otherwise is handed out, as that is better than nothing; were it put anywhere,
 * that tier would not be asked again, and need not be away long enough for all to be forgotten when it is back. */
static bool is_liftable(const struct lf_look *look)
{
	return look->usable && !look->doubted;
}

/* The tiers that were asked and do not have the record that counts. */
static unsigned lacking(const struct lf_look *look)
{
	return is_liftable(look) && look->from != LF_CACHE_MEMORY ? look->asked & ~look->has : 0;
}

static void lift_to(struct walk *walk, enum lf_cache_tier which)
{
	struct lf_tier_store stores[AT_ONCE];
	size_t count = 0;

	for (size_t i = 0; i < walk->count; i++) {
		struct lf_look *look = walk->look[i];

		if (!(lacking(look) & 1u << which))
			continue;
		if (walk->cache->tier[which].mode == LF_CACHE_BEHIND &&
		    lf_outbox_put(walk->cache, look->key, look->record, 1u << which) == 0)
			continue;
		stores[count++] = (struct lf_tier_store){ .key = look->key, .record = look->record, .condition = LF_IF_NEWER };
	}
	/* Where it fails, the next reader tries. */
	if (!count || lf_call_store(walk->cache, which, stores, count, walk->end_ms, NULL) != LF_TIER_DONE)
		return;
	for (size_t i = 0; i < count; i++)
		/* Between the answer and now a prefix may have been dropped from the tier. */
		if (!lf_stamps_allow(walk->cache, stores[i].key, stores[i].record))
			lf_spread_bury(walk->cache, stores[i].key, stores[i].record->version, 1u << which, walk->end_ms);
}

/* SQLite trusts what was just put there.  If the key may have been changed elsewhere meanwhile, it must not. */
static void check_trust(struct walk *walk, const struct lf_look *look)
{
	static const struct lf_version any = { UINT64_MAX, UINT64_MAX };
	struct lf_tier *memory = walk->cache->tier[LF_CACHE_MEMORY].tier, *sqlite = walk->cache->tier[LF_CACHE_SQLITE].tier;

	if (lf_memory_ticket(memory, look->key) == look->ticket)
		return;
	if (lf_sqlite_distrust(sqlite, look->key, any, walk->end_ms, NULL) != LF_TIER_DONE)
		lf_sqlite_new_session(sqlite);
}

static void lift(struct walk *walk)
{
	static const enum lf_cache_tier upwards[] = { LF_CACHE_MONGO, LF_CACHE_REDIS, LF_CACHE_SQLITE };
	struct lf_tier *memory = walk->cache->tier[LF_CACHE_MEMORY].tier;

	for (size_t i = 0; i < sizeof(upwards) / sizeof(*upwards); i++)
		if (lf_tier_is_up(walk->cache, upwards[i]))
			lift_to(walk, upwards[i]);
	for (size_t i = 0; i < walk->count; i++) {
		struct lf_look *look = walk->look[i];

		if (lacking(look) & 1u << LF_CACHE_SQLITE)
			check_trust(walk, look);
		if (is_liftable(look) && lf_tier_is_up(walk->cache, LF_CACHE_MEMORY))
			lf_memory_fill(memory, look->key, look->record, look->ticket);
	}
}

/* --- all of it ------------------------------------------------------------------------------------- */

static int walk_down(struct walk *walk)
{
	int rc;

	look_in_outbox(walk);
	if (lf_tier_is_up(walk->cache, LF_CACHE_SQLITE))
		look_in_sqlite(walk);
	if (lf_tier_is_up(walk->cache, LF_CACHE_REDIS))
		look_in_shared(walk, LF_CACHE_REDIS);
	if (lf_tier_is_up(walk->cache, LF_CACHE_MONGO))
		look_in_shared(walk, LF_CACHE_MONGO);
	/* With memory, that nothing is found is an answer. */
	if (!walk->answered && !lf_tier_is_up(walk->cache, LF_CACHE_MEMORY))
		return walk->failed == LF_TIER_DONE ?
		               lf_fail(walk->err, -EHOSTDOWN, "no tier is there: lf_cache_stats() says what is wrong with each") :
		               lf_call_errno(walk->failed, walk->end_ms);
	rc = judge(walk);
	if (!rc && walk->lifts)
		lift(walk);
	return rc;
}

static int look_below(struct lf_cache_space *space, struct lf_look *looks, size_t count, bool lifts, int64_t end_ms,
                      struct lf_error *err)
{
	struct walk walk = { .space = space, .cache = space->cache, .lifts = lifts, .err = err, .failed = LF_TIER_DONE };
	struct lf_tier *memory = space->cache->tier[LF_CACHE_MEMORY].tier;

	walk.end_ms = end_ms ? end_ms : lf_stack_deadline(space->cache);
	for (size_t i = 0; i < count; i++) {
		struct lf_look *look = &looks[i];

		if (look->usable)
			continue;
		look->asked = look->has = 0;
		look->settled = look->doubted = look->unsure = false;
		/* Before any tier below is asked. */
		look->ticket = lf_memory_ticket(memory, look->key);
		walk.look[walk.count++] = look;
	}
	return walk.count ? walk_down(&walk) : 0;
}

static int look(struct lf_cache_space *space, struct lf_look *looks, size_t count, bool lifts, int64_t end_ms,
                struct lf_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		looks[i].record = NULL;
		looks[i].usable = false;
	}
	for (size_t at = 0; !rc && at < count; at += AT_ONCE) {
		size_t some = count - at < AT_ONCE ? count - at : AT_ONCE;
		bool all = true;

		for (size_t i = at; i < at + some; i++)
			all &= look_in_memory(space, &looks[i], end_ms);
		if (!all)
			rc = look_below(space, looks + at, some, lifts, end_ms, err);
	}
	if (rc)
		lf_look_free(looks, count);
	return rc;
}

int lf_look(struct lf_cache_space *space, struct lf_look *looks, size_t count, int64_t end_ms, struct lf_error *err)
{
	return look(space, looks, count, true, end_ms, err);
}

int lf_look_only(struct lf_cache_space *space, struct lf_look *looks, size_t count, int64_t end_ms, struct lf_error *err)
{
	return look(space, looks, count, false, end_ms, err);
}

void lf_look_free(struct lf_look *looks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lf_record_drop(looks[i].record);
		looks[i].record = NULL;
	}
}

/* --- tables that are being moved in ----------------------------------------------------------------- */

/* As a record, older than any other. */
static int make_adopted(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_loaded *loaded,
                        int64_t end_ms, struct lf_record **out, struct lf_error *err)
{
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_command_result result = { 0 };
	struct lf_command command;
	int rc = lf_stack_prepare(space, id, loaded->value, &loaded->how, NULL, end_ms, tags, &command, err);

	if (!rc)
		rc = lf_command_apply(&command, NULL, (struct lf_version){ 1, 0 }, lf_cache_now(space->cache), &result, err);
	*out = result.record;
	return rc;
}

static int ask_table(struct lf_cache_space *space, const struct lf_cache_table *table, struct lf_text id, int64_t end_ms,
                     struct lf_record **out, struct lf_error *err)
{
	struct lf_cache_loaded loaded = { 0 };
	int rc;

	if (!table)
		return 0;
	rc = table->lookup(table->arg, id, &loaded, err);
	if (rc == 1)
		rc = make_adopted(space, id, &loaded, end_ms, out, err);
	if (loaded.release)
		loaded.release(&loaded);
	return rc < 0 ? rc : 0;
}

int lf_look_adopting(struct lf_cache_space *space, struct lf_text key, int64_t end_ms, struct lf_record **out,
                     struct lf_error *err)
{
	char bytes[LF_CACHE_ID_MAX];
	struct lf_text id = { bytes, 0 };
	int rc = 0;

	*out = NULL;
	if (!atomic_load_explicit(&space->adopting, memory_order_relaxed) || !lf_space_id(space, key, bytes, &id.len))
		return 0;
	(void)atomic_fetch_add(&space->adopting_users, 1);
	rc = ask_table(space, atomic_load(&space->adopting), id, end_ms, out, err);
	(void)atomic_fetch_sub(&space->adopting_users, 1);
	return rc;
}
