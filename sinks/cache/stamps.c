#include "sinks/cache/stamps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/call.h"
#include "sinks/cache/stamp_table.h"

/* Another host's clock may be behind ours by so much, in a version's clock. */
#define SKEW (UINT64_C(1000) << 16)

/* --- names ----------------------------------------------------------------------------------------- */

size_t lf_stamp_name(const struct lf_cache *cache, char out[LF_STAMP_NAME_MAX], enum lf_stamp_kind kind, struct lf_text org,
                     struct lf_text name)
{
	static const char *const words[] = { "%tag:", "%type:", "%org:" };
	size_t len = cache->scope.len, word = strlen(words[kind]);

	memcpy(out, cache->scope.data, len);
	memcpy(out + len, words[kind], word);
	len += word;
	if (kind == LF_STAMP_TAG) {
		len += lf_key_escape(out + len, org);
		out[len++] = ':';
	}
	return len + lf_key_escape(out + len, name);
}

struct lf_stamp *lf_stamp_of_type(struct lf_cache *cache, struct lf_text type)
{
	char name[LF_STAMP_NAME_MAX];

	return lf_stamp_get(cache, (struct lf_text){ name, lf_stamp_name(cache, name, LF_STAMP_TYPE, type, type) }, true);
}

struct lf_stamp *lf_stamp_of_org(struct lf_cache *cache, struct lf_text org)
{
	char name[LF_STAMP_NAME_MAX];

	return lf_stamp_get(cache, (struct lf_text){ name, lf_stamp_name(cache, name, LF_STAMP_ORG, org, org) }, true);
}

/* --- what stands now ------------------------------------------------------------------------------- */

/* Some stamps of one space that are looked at together: those of its tags, its type, its organisation. */
enum { LOOKED_MAX = LF_CACHE_TAGS_MAX + 2 };

struct looked {
	struct lf_cache_space *space;
	size_t count;
	uint64_t value[LOOKED_MAX]; /* with LF_STAMP_UNKNOWN where it is */
	uint64_t heard[LOOKED_MAX];
	bool asked[LOOKED_MAX]; /* it was not known, and is what the tiers below say */
	struct lf_text tag[LF_CACHE_TAGS_MAX];
};

static void look_tag(struct looked *looked, size_t i)
{
	struct lf_cache *cache = looked->space->cache;
	char name[LF_STAMP_NAME_MAX];
	size_t len = lf_stamp_name(cache, name, LF_STAMP_TAG, looked->space->org, looked->tag[i]);

	lf_stamp_look(cache, (struct lf_text){ name, len }, &looked->value[i], &looked->heard[i]);
}

/* The tags first, then the type, then the organisation. */
static void look(struct looked *looked, struct lf_cache_space *space, size_t tags)
{
	looked->space = space;
	looked->count = tags + 2;
	for (size_t i = 0; i < tags; i++)
		look_tag(looked, i);
	lf_stamp_now(space->type_stamp, &looked->value[tags], &looked->heard[tags]);
	lf_stamp_now(space->org_stamp, &looked->value[tags + 1], &looked->heard[tags + 1]);
	memset(looked->asked, 0, sizeof(looked->asked));
}

/* --- asking the tiers below ------------------------------------------------------------------------- */

/* Of all that are up, the highest.  False: a shared one is up, and does not say. */
static bool ask_tiers(struct lf_cache *cache, const struct lf_text *names, size_t count, int64_t end_ms, uint64_t *out)
{
	static const enum lf_cache_tier tiers[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE };
	bool all = true;

	memset(out, 0, count * sizeof(*out));
	for (size_t t = 0; t < sizeof(tiers) / sizeof(*tiers); t++) {
		uint64_t said[LOOKED_MAX];

		if (!lf_tier_is_up(cache, tiers[t]))
			continue;
		if (lf_call_stamps(cache, tiers[t], names, count, said, end_ms, NULL) != LF_TIER_DONE) {
			all &= tiers[t] == LF_CACHE_SQLITE;
			continue;
		}
		for (size_t i = 0; i < count; i++)
			if (said[i] > out[i])
				out[i] = said[i];
	}
	return all;
}

static struct lf_text name_of(const struct looked *looked, size_t i, char out[LF_STAMP_NAME_MAX])
{
	const struct lf_cache_space *space = looked->space;
	size_t tags = looked->count - 2;
	struct lf_text name = i < tags ? looked->tag[i] : i == tags ? space->type : space->org;
	enum lf_stamp_kind kind = i < tags ? LF_STAMP_TAG : i == tags ? LF_STAMP_TYPE : LF_STAMP_ORG;

	return (struct lf_text){ out, lf_stamp_name(space->cache, out, kind, space->org, name) };
}

/* Asks for those that are not known, or for all.  False: a shared tier is there and did not say; no memory. */
static bool ask(struct looked *looked, bool all, int64_t end_ms)
{
	struct lf_cache *cache = looked->space->cache;
	uint64_t epoch = atomic_load_explicit(&cache->stamps->epoch, memory_order_acquire), said[LOOKED_MAX];
	char (*texts)[LF_STAMP_NAME_MAX] = malloc(looked->count * sizeof(*texts));
	struct lf_text names[LOOKED_MAX];
	size_t which[LOOKED_MAX], count = 0;
	bool done = texts != NULL;

	for (size_t i = 0; done && i < looked->count; i++) {
		if (!all && !(looked->value[i] & LF_STAMP_UNKNOWN))
			continue;
		names[count] = name_of(looked, i, texts[count]);
		/* It is there before anybody is asked, so that what is heard meanwhile finds it. */
		done = lf_stamp_get(cache, names[count], false) != NULL;
		which[count++] = i;
	}
	if (done && count)
		done = ask_tiers(cache, names, count, end_ms ? end_ms : lf_stack_deadline(cache), said);
	for (size_t n = 0; done && n < count; n++) {
		size_t i = which[n];

		looked->asked[i] = (looked->value[i] & LF_STAMP_UNKNOWN) != 0;
		looked->value[i] = lf_stamp_settle(cache, names[n], said[n], epoch, &looked->heard[i]);
	}
	free(texts);
	return done;
}

/* --- records --------------------------------------------------------------------------------------- */

/* 1: it is good, 0: one has risen, -1: one that is not known may have. */
static int compare(const struct looked *looked, const struct lf_record *record)
{
	size_t tags = looked->count - 2;
	int result = 1;

	for (size_t i = 0; i < looked->count; i++) {
		uint64_t has = i < tags ? record->tags[i].stamp : i == tags ? record->type_stamp : record->org_stamp;

		if ((looked->value[i] & ~LF_STAMP_UNKNOWN) > has)
			return 0;
		if (looked->value[i] & LF_STAMP_UNKNOWN)
			result = -1;
	}
	return result;
}

static int check(struct lf_cache_space *space, const struct lf_record *record, int64_t end_ms)
{
	struct looked looked;
	int result;

	if (record->tags_count > LF_CACHE_TAGS_MAX)
		return 0;
	for (size_t i = 0; i < record->tags_count; i++)
		looked.tag[i] = record->tags[i].name;
	look(&looked, space, record->tags_count);
	result = compare(&looked, record);
	if (result >= 0)
		return result;
	(void)ask(&looked, false, end_ms);
	return compare(&looked, record);
}

int lf_stamps_valid(struct lf_cache_space *space, struct lf_text key, const struct lf_record *record, int64_t end_ms)
{
	if (!lf_prefixes_pass(space->cache->stamps->prefixes, key, record))
		return 0;
	/* Both pair with the release in raise_one(). */
	if (!record->tags_count &&
	    atomic_load_explicit(&space->type_stamp->value, memory_order_acquire) <= record->type_stamp &&
	    atomic_load_explicit(&space->org_stamp->value, memory_order_acquire) <= record->org_stamp)
		return 1;
	return check(space, record, end_ms);
}

bool lf_stamps_allow(const struct lf_cache *cache, struct lf_text key, const struct lf_record *record)
{
	return lf_prefixes_pass(cache->stamps->prefixes, key, record);
}

struct lf_begun lf_begin(struct lf_cache *cache, struct lf_text key)
{
	struct lf_begun begun;

	/* Pairs with the release in raise_one(). */
	begun.heard = atomic_load_explicit(&cache->stamps->heard, memory_order_acquire);
	begun.ticket = lf_memory_ticket(cache->tier[LF_CACHE_MEMORY].tier, key);
	begun.version = lf_version_next(cache);
	return begun;
}

/* What a record carries of the i-th: one less where it rose after the making of the value began, or may have. */
static uint64_t taken(const struct looked *looked, size_t i, const struct lf_begun *begun)
{
	uint64_t value = looked->value[i] & ~LF_STAMP_UNKNOWN;

	if (!begun || !value)
		return value;
	if (looked->heard[i] > begun->heard && !looked->asked[i])
		return value - 1;
	return value + (looked->asked[i] ? SKEW : 0) > begun->version.clock ? value - 1 : value;
}

int lf_stamps_take(struct lf_cache_space *space, const struct lf_text *names, size_t count, const struct lf_begun *begun,
                   bool ask_first, int64_t end_ms, struct lf_record_tag *out, uint64_t *type_stamp, uint64_t *org_stamp,
                   struct lf_error *err)
{
	struct looked looked;
	bool unknown = ask_first;

	if (count > LF_CACHE_TAGS_MAX)
		return lf_fail(err, -EINVAL, "there are %zu tags: a value may have %d", count, LF_CACHE_TAGS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!names[i].len || names[i].len > LF_CACHE_NAME_MAX)
			return lf_fail(err, -EINVAL, "the name of tag %zu has %zu bytes: it may have 1 to %d", i + 1, names[i].len,
			               LF_CACHE_NAME_MAX);
		looked.tag[i] = names[i];
	}
	look(&looked, space, count);
	for (size_t i = 0; i < looked.count; i++)
		unknown |= (looked.value[i] & LF_STAMP_UNKNOWN) != 0;
	/* Where nobody says, what is known here: at worst the value is not handed out. */
	if (unknown)
		(void)ask(&looked, ask_first, end_ms);
	for (size_t i = 0; i < count; i++)
		out[i] = (struct lf_record_tag){ names[i], taken(&looked, i, begun) };
	*type_stamp = taken(&looked, count, begun);
	*org_stamp = taken(&looked, count + 1, begun);
	return 0;
}

int lf_stamps_prefix(struct lf_cache *cache, struct lf_text prefix, uint64_t upto)
{
	return lf_prefixes_note(cache->stamps->prefixes, prefix, upto);
}

/* --- changes --------------------------------------------------------------------------------------- */

int lf_stamps_raise(struct lf_cache *cache, struct lf_text name, uint64_t to)
{
	return lf_stamp_raise(cache, name, to, false);
}

void lf_stamps_heard(struct lf_cache *cache, const struct lf_tier_change *change)
{
	if (change->kind == LF_CHANGED_STAMP) {
		if (lf_stamp_raise(cache, change->name, change->version.clock, true))
			lf_stamps_forget(cache);
	} else if (change->kind == LF_CHANGED_PREFIX) {
		lf_version_seen(cache, change->version.clock);
		if (lf_stamps_prefix(cache, change->name, change->version.clock))
			lf_stamps_forget(cache);
	} else if (change->kind == LF_CHANGED_UNKNOWN) {
		lf_stamps_forget(cache);
	}
}

