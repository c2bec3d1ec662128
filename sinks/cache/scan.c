/* All ids of a space: those that each tier has, one tier after the other, each once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sinks/cache/call.h"
#include "sinks/cache/look.h"

enum {
	PAGE = 100,
	SEEN_MIN = 1024,
	SEEN_MAX = 1 << 21, /* 32 MiB; of more ids, some come twice */
};

/* Ids that were told, by their hashes: an id lies in several tiers, and may come up or go down between two pages. */
struct seen {
	XXH128_hash_t *hashes;
	size_t room, count;
};

struct lf_cache_scan {
	struct lf_cache_space *space;
	char *pattern;
	int turn; /* of the tiers, see order */
	char cursor[LF_TIER_CURSOR_MAX];
	bool begun; /* the tier has given a page */
	uint64_t pages; /* of all tiers */
	char **keys;
	size_t count, at;
	struct lf_look looks[PAGE]; /* of those of keys[] that are next */
	size_t looked, look_at;
	char id[LF_CACHE_ID_MAX];
	struct seen seen;
};

static const enum lf_cache_tier order[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE, LF_CACHE_MEMORY };
enum { TURNS = sizeof(order) / sizeof(*order) };

/* --- what was told already -------------------------------------------------------------------------- */

static bool is_none(XXH128_hash_t hash)
{
	return hash.low64 == 0 && hash.high64 == 0;
}

static XXH128_hash_t *place_of(XXH128_hash_t *hashes, size_t room, XXH128_hash_t hash)
{
	size_t at = hash.low64 & (room - 1);

	while (!is_none(hashes[at]) && !XXH128_isEqual(hashes[at], hash))
		at = (at + 1) & (room - 1);
	return &hashes[at];
}

/* To twice the room.  Where there is none, ids come twice: that is allowed. */
static void grow(struct seen *seen)
{
	size_t room = seen->room ? 2 * seen->room : SEEN_MIN;
	XXH128_hash_t *hashes = room <= SEEN_MAX ? calloc(room, sizeof(*hashes)) : NULL;

	if (!hashes)
		return;
	for (size_t i = 0; i < seen->room; i++)
		if (!is_none(seen->hashes[i]))
			*place_of(hashes, room, seen->hashes[i]) = seen->hashes[i];
	free(seen->hashes);
	seen->hashes = hashes;
	seen->room = room;
}

static bool is_new(struct seen *seen, struct lf_text key)
{
	XXH128_hash_t hash = XXH3_128bits(key.data, key.len), *place;

	if (2 * seen->count >= seen->room)
		grow(seen);
	if (!seen->room)
		return true;
	place = place_of(seen->hashes, seen->room, hash);
	if (!is_none(*place))
		return false;
	if (4 * seen->count < 3 * seen->room) {
		*place = hash;
		seen->count++;
	}
	return true;
}

/* --- pages ------------------------------------------------------------------------------------------ */

static void drop_page(struct lf_cache_scan *scan)
{
	lf_look_free(scan->looks, scan->looked);
	scan->looked = scan->look_at = 0;
	for (size_t i = 0; i < scan->count; i++)
		free(scan->keys[i]);
	free(scan->keys);
	scan->keys = NULL;
	scan->count = scan->at = 0;
}

static void next_tier(struct lf_cache_scan *scan)
{
	scan->turn++;
	scan->cursor[0] = '\0';
	scan->begun = false;
}

/* 1 and a page, which may be empty; 0: that was all.  What a tier that is away has is not there. */
static int next_page(struct lf_cache_scan *scan, int64_t end_ms, struct lf_error *err)
{
	struct lf_cache *cache = scan->space->cache;
	enum lf_tier_result result;

	drop_page(scan);
	if (scan->begun && !scan->cursor[0])
		next_tier(scan);
	while (scan->turn < TURNS && !lf_tier_is_up(cache, order[scan->turn]))
		next_tier(scan);
	if (scan->turn == TURNS)
		return 0;
	result = lf_call_scan(cache, order[scan->turn], scan->space->prefix, scan->cursor, PAGE, &scan->keys, &scan->count,
	                      end_ms, err);
	if (result != LF_TIER_DONE) {
		scan->keys = NULL;
		scan->count = 0;
		return lf_tier_is_up(cache, order[scan->turn]) ? lf_call_errno(result, end_ms) : 1;
	}
	scan->begun = true;
	scan->pages++;
	return 1;
}

/* --- ids -------------------------------------------------------------------------------------------- */

static bool is_asked_for(struct lf_cache_scan *scan, struct lf_text key)
{
	struct lf_text id = { scan->id, 0 };

	if (!lf_space_id(scan->space, key, scan->id, &id.len))
		return false;
	return !scan->pattern || lf_glob((struct lf_text){ scan->pattern, strlen(scan->pattern) }, id);
}

/* Which of the next keys of the page are there: deleted ones lie in the tiers, too. */
static int look_at_some(struct lf_cache_scan *scan, int64_t end_ms, struct lf_error *err)
{
	size_t from = scan->at;
	int rc;

	lf_look_free(scan->looks, scan->looked);
	scan->looked = scan->look_at = 0;
	for (; scan->at < scan->count && scan->looked < PAGE; scan->at++) {
		struct lf_text key = { scan->keys[scan->at], strlen(scan->keys[scan->at]) };

		if (is_asked_for(scan, key))
			scan->looks[scan->looked++] = (struct lf_look){ .key = key };
	}
	rc = scan->looked ? lf_look_only(scan->space, scan->looks, scan->looked, end_ms, err) : 0;
	if (rc) {
		scan->at = from;
		scan->looked = 0;
	}
	return rc;
}

static bool is_there(struct lf_cache_scan *scan, const struct lf_look *look)
{
	return look->usable && look->record->type != LF_RECORD_NEGATIVE && is_new(&scan->seen, look->key);
}

int lf_cache_scan_next(struct lf_cache_scan *scan, struct lf_text *id, struct lf_error *err)
{
	int64_t end_ms = lf_stack_deadline(scan->space->cache);
	int rc;

	if (!atomic_load_explicit(&scan->space->cache->enabled, memory_order_acquire))
		return 0;
	for (;;) {
		while (scan->look_at < scan->looked) {
			const struct lf_look *look = &scan->looks[scan->look_at++];

			if (!is_there(scan, look) || !lf_space_id(scan->space, look->key, scan->id, &id->len))
				continue;
			id->data = scan->id;
			return 1;
		}
		if (scan->at < scan->count) {
			rc = look_at_some(scan, end_ms, err);
			if (rc < 0)
				return rc;
			continue;
		}
		rc = next_page(scan, end_ms, err);
		if (rc <= 0)
			return rc;
	}
}

int lf_scan_on(struct lf_cache_scan *scan, struct lf_text *id, struct lf_error *err)
{
	uint64_t before;
	int rc;

	do {
		before = scan->pages;
		rc = lf_cache_scan_next(scan, id, err);
	} while (rc == -ETIMEDOUT && scan->pages != before && !atomic_load(&scan->space->cache->closing));
	return rc;
}

int lf_cache_scan_open(struct lf_cache_scan **out, struct lf_cache_space *space, const char *pattern, struct lf_error *err)
{
	struct lf_cache_scan *scan = calloc(1, sizeof(*scan));

	if (scan && pattern)
		scan->pattern = strdup(pattern);
	if (!scan || (pattern && !scan->pattern)) {
		free(scan);
		return lf_fail(err, -ENOMEM, "no memory for a scan");
	}
	scan->space = space;
	*out = scan;
	return 0;
}

void lf_cache_scan_close(struct lf_cache_scan *scan)
{
	if (!scan)
		return;
	drop_page(scan);
	free(scan->seen.hashes);
	free(scan->pattern);
	free(scan);
}
