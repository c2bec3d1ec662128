/* Invalidations.  First this process keeps to them, then the tiers: whoever is given a value in between is given it as
 * of before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/events.h"
#include "sinks/cache/manager.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/spread.h"
#include "sinks/cache/stamps.h"

/* What is to be brought to every tier: stamps, or one prefix. */
struct telling {
	struct lf_cache *cache;
	enum lf_tier_change_kind kind;
	const struct lf_text *names;
	size_t count;
	uint64_t clock; /* the stamp, or up to which version */
	unsigned told, missed; /* tiers */
	unsigned losses;       /* of the cache, before any tier was told */
	int64_t end_ms;
};

/* --- what tiers missed ------------------------------------------------------------------------------ */

static bool owe_in_sqlite(const struct telling *telling, unsigned tiers)
{
	struct lf_version version = { telling->clock, telling->cache->writer };
	struct lf_tier *sqlite = telling->cache->tier[LF_CACHE_SQLITE].tier;
	bool noted = lf_tier_is_up(telling->cache, LF_CACHE_SQLITE);

	for (size_t i = 0; noted && i < telling->count; i++)
		noted = lf_sqlite_owe(sqlite, telling->kind, telling->names[i], version, tiers, telling->end_ms, NULL) == LF_TIER_DONE;
	return noted;
}

/* Where there is no room either, the outbox knows that a tier has lost track. */
static void owe_in_outbox(const struct telling *telling, unsigned tiers)
{
	for (size_t i = 0; i < telling->count; i++) {
		if (telling->kind == LF_CHANGED_PREFIX)
			(void)!lf_outbox_put_prefix(telling->cache, telling->names[i], telling->clock, tiers);
		else
			(void)!lf_outbox_put_stamp(telling->cache, telling->names[i], telling->clock, tiers);
	}
}

/* A shared tier lost what it had since it was told this, perhaps, and was noted as owed what SQLite had then, which was not
 * this. */
static void owe_what_was_lost(struct telling *telling)
{
	if (atomic_load(&telling->cache->losses) == telling->losses || !lf_tier_is_on(telling->cache, LF_CACHE_SQLITE))
		return;
	for (int i = LF_CACHE_REDIS; i < LF_CACHE_TIERS; i++)
		if (lf_tier_is_on(telling->cache, (enum lf_cache_tier)i))
			telling->missed |= 1u << i;
}

/* 0: whoever missed it is told, even if this process dies now; where SQLite is off, as far as the outbox lives. */
static int owe(struct telling *telling, struct lf_error *err)
{
	unsigned shared, left, sqlite = 1u << LF_CACHE_SQLITE;
	bool kept;

	owe_what_was_lost(telling);
	left = telling->missed;
	shared = left & LF_SHARED_TIERS;
	if (shared && owe_in_sqlite(telling, shared))
		left &= ~shared;
	/* A stamp that a shared tier has is asked for there. */
	kept = !lf_tier_is_on(telling->cache, LF_CACHE_SQLITE) ||
	       !(left & LF_SHARED_TIERS || (left & sqlite && !(telling->told & LF_SHARED_TIERS)));
	if (left)
		owe_in_outbox(telling, left);
	for (int i = LF_CACHE_REDIS; i < LF_CACHE_TIERS; i++)
		if (shared & 1u << i && lf_tier_is_up(telling->cache, (enum lf_cache_tier)i)) {
			lf_manager_poke(telling->cache);
			break;
		}
	if (kept)
		return 0;
	return lf_fail(err, lf_clock_ms() < telling->end_ms ? -EHOSTDOWN : -ETIMEDOUT,
	               "this process keeps to the invalidation, and others are told as soon as can be; but SQLite, which should "
	               "remember that, did not answer: invalidate again");
}

/* --- stamps ---------------------------------------------------------------------------------------- */

/* The highest that a tier says they are; less than asked for where it does not answer. */
static uint64_t raise_in(struct telling *telling, enum lf_cache_tier which, uint64_t *is)
{
	uint64_t highest = telling->clock;
	enum lf_tier_result result = lf_call_raise(telling->cache, which, telling->names, telling->count, telling->clock, is,
	                                           lf_spread_share(telling->end_ms), NULL);

	*(result == LF_TIER_DONE ? &telling->told : &telling->missed) |= 1u << which;
	for (size_t i = 0; result == LF_TIER_DONE && i < telling->count; i++)
		if (is[i] > highest)
			highest = is[i];
	return highest;
}

/* Once.  False: somebody has raised one higher than this, before: what he made since has that stamp, and is to go, too. */
static bool raise_all(struct telling *telling, uint64_t *is)
{
	static const enum lf_cache_tier tiers[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE };

	telling->clock = lf_version_next(telling->cache).clock;
	telling->told = 0;
	/* Without memory for one, all that is not known here counts as risen: that is more than was asked for. */
	for (size_t i = 0; i < telling->count; i++)
		(void)!lf_stamps_raise(telling->cache, telling->names[i], telling->clock);
	for (size_t t = 0; t < sizeof(tiers) / sizeof(*tiers); t++) {
		uint64_t highest;

		if (!lf_tier_is_on(telling->cache, tiers[t]) || telling->missed & 1u << tiers[t])
			continue;
		highest = raise_in(telling, tiers[t], is);
		if (highest > telling->clock) {
			lf_version_seen(telling->cache, highest);
			return false;
		}
	}
	return true;
}

static int raise_stamps(struct lf_cache *cache, const struct lf_text *names, size_t count, int64_t end_ms,
                        struct lf_error *err)
{
	struct telling telling = { .cache = cache,
		                   .kind = LF_CHANGED_STAMP,
		                   .names = names,
		                   .count = count,
		                   .losses = atomic_load(&cache->losses),
		                   .end_ms = end_ms };
	uint64_t *is = calloc(count + 1, sizeof(*is));

	if (!is)
		return lf_fail(err, -ENOMEM, "no memory for %zu invalidations", count);
	while (!raise_all(&telling, is) && lf_clock_ms() < telling.end_ms)
		;
	free(is);
	if (telling.told & 1u << LF_CACHE_SQLITE || (telling.told && !telling.missed))
		for (size_t i = 0; i < count; i++)
			lf_stamps_kept_below(cache, names[i], telling.clock);
	return owe(&telling, err);
}

/* Here at least. */
static bool is_made(int rc)
{
	return rc == 0 || rc == -EHOSTDOWN || rc == -ETIMEDOUT;
}

/* --- telling who wants to know ---------------------------------------------------------------------- */

static void tell(struct lf_cache *cache, struct lf_cache_space *space, const char *what, struct lf_text org,
                 struct lf_text name, int64_t end_ms)
{
	const struct lf_cache_log_line line = { .at_ms = lf_cache_now(cache), .what = what, .org = org, .name = name };
	const struct lf_cache_notice notice = { .event = LF_CACHE_INVALIDATE,
		                                .tier = lf_stack_home(cache) == LF_CACHE_TIERS ? LF_CACHE_MEMORY : lf_stack_home(cache),
		                                .space = space,
		                                .id = name };

	lf_invalidations_note(cache, &line, end_ms);
	lf_event(cache, &notice);
}

/* --- by tag, type, organisation ---------------------------------------------------------------------- */

static int check(const char *what, struct lf_text name, struct lf_error *err)
{
	if (!name.len || name.len > LF_CACHE_NAME_MAX)
		return lf_fail(err, -EINVAL, "the name of the %s has %zu bytes: it may have 1 to %d", what, name.len, LF_CACHE_NAME_MAX);
	return 0;
}

int lf_cache_invalidate_tags(struct lf_cache *cache, struct lf_text org, const struct lf_text *tags, size_t count,
                             struct lf_error *err)
{
	struct lf_text *names = calloc(count + 1, sizeof(*names));
	int64_t end_ms = lf_stack_deadline(cache);
	char (*texts)[LF_STAMP_NAME_MAX] = malloc((count + 1) * sizeof(*texts));
	int rc = names && texts ? check("organisation", org, err) : lf_fail(err, -ENOMEM, "no memory for %zu tags", count);

	for (size_t i = 0; !rc && i < count; i++) {
		rc = check("tag", tags[i], err);
		if (!rc)
			names[i] = (struct lf_text){ texts[i], lf_stamp_name(cache, texts[i], LF_STAMP_TAG, org, tags[i]) };
	}
	if (!rc && count)
		rc = raise_stamps(cache, names, count, end_ms, err);
	for (size_t i = 0; is_made(rc) && i < count; i++)
		tell(cache, NULL, "tag", org, tags[i], end_ms);
	free(names);
	free(texts);
	return rc;
}

int lf_cache_invalidate_tag(struct lf_cache *cache, struct lf_text org, struct lf_text tag, struct lf_error *err)
{
	return lf_cache_invalidate_tags(cache, org, &tag, 1, err);
}

static int invalidate_name(struct lf_cache *cache, enum lf_stamp_kind kind, const char *what, struct lf_text name,
                           struct lf_error *err)
{
	char text[LF_STAMP_NAME_MAX];
	struct lf_text full = { text, 0 };
	int64_t end_ms = lf_stack_deadline(cache);
	int rc = check(kind == LF_STAMP_TYPE ? "type" : "organisation", name, err);

	if (rc)
		return rc;
	full.len = lf_stamp_name(cache, text, kind, name, name);
	rc = raise_stamps(cache, &full, 1, end_ms, err);
	if (is_made(rc))
		tell(cache, NULL, what, kind == LF_STAMP_ORG ? name : (struct lf_text){ "", 0 }, name, end_ms);
	return rc;
}

int lf_cache_invalidate_type(struct lf_cache *cache, struct lf_text type, struct lf_error *err)
{
	return invalidate_name(cache, LF_STAMP_TYPE, "type", type, err);
}

int lf_cache_invalidate_org(struct lf_cache *cache, struct lf_text org, struct lf_error *err)
{
	return invalidate_name(cache, LF_STAMP_ORG, "org", org, err);
}

/* --- by prefix -------------------------------------------------------------------------------------- */

/* The lower tiers first, so that what a reader lifts from one to the next while this goes on is caught above. */
static void drop_all(struct telling *telling)
{
	static const enum lf_cache_tier upwards[] = { LF_CACHE_MONGO, LF_CACHE_REDIS, LF_CACHE_SQLITE, LF_CACHE_MEMORY };

	for (size_t i = 0; i < sizeof(upwards) / sizeof(*upwards); i++) {
		int64_t end_ms = upwards[i] == LF_CACHE_MEMORY ? telling->end_ms : lf_spread_share(telling->end_ms);

		if (lf_tier_is_on(telling->cache, upwards[i]) &&
		    lf_call_drop(telling->cache, upwards[i], *telling->names, telling->clock, end_ms, NULL) != LF_TIER_DONE)
			telling->missed |= 1u << upwards[i];
	}
	/* Nobody tells memory later: what it had no time to drop, or is there while it is switched off, goes with all else. */
	if (telling->missed & 1u << LF_CACHE_MEMORY)
		lf_memory_forget(telling->cache->tier[LF_CACHE_MEMORY].tier);
	telling->missed &= ~(1u << LF_CACHE_MEMORY);
}

static int drop_prefix(struct lf_cache *cache, struct lf_text prefix, int64_t end_ms, struct lf_error *err)
{
	struct telling telling = { .cache = cache,
		                   .kind = LF_CHANGED_PREFIX,
		                   .names = &prefix,
		                   .count = 1,
		                   .clock = lf_version_next(cache).clock,
		                   .losses = atomic_load(&cache->losses),
		                   .end_ms = end_ms };

	if (lf_stamps_prefix(cache, prefix, telling.clock))
		return lf_fail(err, -ENOMEM, "no memory for an invalidation");
	(void)!lf_outbox_put_prefix(cache, prefix, telling.clock, 0);
	drop_all(&telling);
	return owe(&telling, err);
}

int lf_cache_invalidate_prefix(struct lf_cache_space *space, struct lf_text id_prefix, struct lf_error *err)
{
	char text[LF_KEY_MAX];
	struct lf_text prefix = { text, space->prefix.len };
	int64_t end_ms = lf_stack_deadline(space->cache);
	int rc;

	if (id_prefix.len > LF_CACHE_ID_MAX)
		return lf_fail(err, -EINVAL, "the prefix has %zu bytes: an id has %d at most", id_prefix.len, LF_CACHE_ID_MAX);
	memcpy(text, space->prefix.data, space->prefix.len);
	prefix.len += lf_key_escape(text + prefix.len, id_prefix);
	rc = drop_prefix(space->cache, prefix, end_ms, err);
	if (is_made(rc))
		tell(space->cache, space, "prefix", space->org, id_prefix, end_ms);
	return rc;
}

int lf_cache_flush(struct lf_cache_space *space, struct lf_error *err)
{
	int64_t end_ms = lf_stack_deadline(space->cache);
	int rc = drop_prefix(space->cache, space->prefix, end_ms, err);

	if (is_made(rc))
		tell(space->cache, space, "flush", space->org, space->type, end_ms);
	return rc;
}
