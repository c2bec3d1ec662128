/* What only reads.  A hit in memory is what all of this is for: it builds the key on the stack, takes one shard's lock,
 * and looks at two stamps. */
#include <errno.h>
#include <stdlib.h>

#include "hashing/clock.h"
#include "sinks/cache/bytes.h"
#include "sinks/cache/commands.h"
#include "sinks/cache/events.h"
#include "sinks/cache/look.h"

int64_t lf_stack_deadline(const struct lf_cache *cache)
{
	return lf_clock_ms() + cache->options.deadline_ms;
}

void lf_stack_hand_out(struct lf_record *record, struct lf_text value, enum lf_cache_tier from, struct lf_cache_value *out)
{
	*out = (struct lf_cache_value){
		.data = value.data,
		.len = value.len,
		.expires_ms = record->expires_ms,
		.version = record->version.clock,
		.revision = record->revision,
		.tier = from,
		.record = record,
	};
}

void lf_cache_value_release(struct lf_cache_value *value)
{
	lf_record_drop(value->record);
	value->record = NULL;
}

/* --- one key --------------------------------------------------------------------------------------- */

static void tell(struct lf_cache_space *space, struct lf_text key, bool hit, enum lf_cache_tier from)
{
	struct lf_cache *cache = space->cache;
	enum lf_cache_event event = hit ? LF_CACHE_HIT : LF_CACHE_MISS;

	if (lf_event_heard(cache, event))
		lf_event_key(cache, event, from, key, false);
	else
		lf_count(cache->counters, hit ? LF_COUNT_HITS : LF_COUNT_MISSES, 1);
}

/* The record in `look` where it is usable; NULL where there is nothing, not even in a table that is being moved in. */
static int find(struct lf_cache_space *space, struct lf_look *look, bool adopting, int64_t end_ms, struct lf_error *err)
{
	int rc;

	look->record = NULL;
	look->from = LF_CACHE_MEMORY;
	if (!atomic_load_explicit(&space->cache->enabled, memory_order_acquire))
		return 0;
	rc = lf_look(space, look, 1, end_ms, err);
	if (rc < 0 || look->usable)
		return rc;
	/* Deleted is not the same as never there. */
	if (!look->record && adopting)
		return lf_look_adopting(space, look->key, end_ms, &look->record, err);
	lf_look_free(look, 1);
	return 0;
}

static bool is_value(const struct lf_record *record)
{
	return record && record->type != LF_RECORD_NEGATIVE;
}

/* A lookup of a user's: 1 with the record for the caller to drop, 0, or a failure. */
static int look_up(struct lf_cache_space *space, struct lf_text id, struct lf_look *look, struct lf_error *err)
{
	char key[LF_KEY_MAX];
	int rc;

	look->key.data = key;
	rc = lf_key_make(key, &look->key.len, space->prefix, id, err);
	if (!rc)
		rc = find(space, look, true, 0, err);
	if (rc < 0)
		return rc;
	tell(space, look->key, is_value(look->record), look->from);
	if (is_value(look->record))
		return 1;
	lf_look_free(look, 1);
	return 0;
}

/* A space for a key that came without: only what is valid depends on it. */
static int space_of(struct lf_cache *cache, struct lf_text key, struct lf_cache_space **out, struct lf_error *err)
{
	char type[LF_CACHE_NAME_MAX], org[LF_CACHE_NAME_MAX];
	struct lf_text names[2] = { { type, 0 }, { org, 0 } }, parts[5];

	*out = lf_space_of_key(cache, key);
	if (*out)
		return 0;
	if (!lf_key_split(key, parts) || !lf_key_unescape(type, &names[0].len, parts[2]) ||
	    !lf_key_unescape(org, &names[1].len, parts[3]))
		return lf_fail(err, -EINVAL, "'%.*s' is no key", (int)key.len, key.data);
	return lf_cache_space_bytes(out, cache, names[0], names[1], err);
}

int lf_stack_find(struct lf_cache *cache, struct lf_cache_space *space, struct lf_text key, int64_t end_ms,
                  struct lf_record **out, enum lf_cache_tier *from, struct lf_error *err)
{
	struct lf_look look = { .key = key };
	struct lf_cache_space *of = space;
	int rc = space ? 0 : space_of(cache, key, &of, err);

	if (!rc)
		rc = find(of, &look, space != NULL, end_ms, err);
	if (rc < 0)
		return rc;
	if (space)
		tell(space, key, look.record != NULL, look.from);
	*out = look.record;
	if (from)
		*from = look.from;
	return look.record != NULL;
}

/* --- what users ask -------------------------------------------------------------------------------- */

/* What a command finds in a record becomes the user's value, which keeps the record. */
static int hand_out(struct lf_look *look, int found, struct lf_text value, struct lf_cache_value *out)
{
	if (found == 1)
		lf_stack_hand_out(look->record, value, look->from, out);
	else
		lf_look_free(look, 1);
	return found;
}

int lf_cache_get(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_text value = { NULL, 0 };
	struct lf_look look;
	int rc = look_up(space, id, &look, err);

	out->record = NULL;
	return rc == 1 ? hand_out(&look, lf_command_get(look.record, &value, err), value, out) : rc;
}

int lf_cache_hget(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_cache_value *out,
                  struct lf_error *err)
{
	struct lf_text value = { NULL, 0 };
	struct lf_look look;
	int rc = look_up(space, id, &look, err);

	out->record = NULL;
	return rc == 1 ? hand_out(&look, lf_command_hget(look.record, field, &value, err), value, out) : rc;
}

int lf_cache_hgetall(struct lf_cache_space *space, struct lf_text id, struct lf_cache_value *out, struct lf_error *err)
{
	struct lf_text value = { NULL, 0 };
	struct lf_look look;
	int rc = look_up(space, id, &look, err);

	out->record = NULL;
	return rc == 1 ? hand_out(&look, lf_command_hgetall(look.record, &value, err), value, out) : rc;
}

int lf_cache_hexists(struct lf_cache_space *space, struct lf_text id, struct lf_text field, struct lf_error *err)
{
	struct lf_cache_value value;
	int rc = lf_cache_hget(space, id, field, &value, err);

	lf_cache_value_release(&value);
	return rc;
}

int lf_cache_exists(struct lf_cache_space *space, struct lf_text id, struct lf_error *err)
{
	struct lf_look look;
	int rc = look_up(space, id, &look, err);

	if (rc == 1)
		lf_look_free(&look, 1);
	return rc;
}

int lf_cache_ttl(struct lf_cache_space *space, struct lf_text id, int64_t *ttl_ms, struct lf_error *err)
{
	struct lf_look look;
	int rc = look_up(space, id, &look, err);
	int64_t left;

	if (rc != 1)
		return rc;
	left = look.record->expires_ms - lf_cache_now(space->cache);
	*ttl_ms = !look.record->expires_ms ? LF_CACHE_TTL_NONE : left > 0 ? left : 0;
	lf_look_free(&look, 1);
	return 1;
}

bool lf_cache_next_field(const struct lf_cache_value *hash, size_t *at, struct lf_cache_field *out)
{
	return lf_next_field((struct lf_text){ hash->data, hash->len }, at, out);
}

/* --- many keys ------------------------------------------------------------------------------------- */

enum { MGET_AT_ONCE = 128 };

/* Of one that was looked for: 1 and the value, or 0.  A hash is none. */
static int take(struct lf_cache_space *space, struct lf_look *look, struct lf_cache_value *out, int64_t end_ms,
                struct lf_error *err)
{
	int rc = 0;

	if (!look->usable && look->record)
		lf_look_free(look, 1);
	else if (!look->usable)
		rc = lf_look_adopting(space, look->key, end_ms, &look->record, err);
	if (rc < 0)
		return rc;
	tell(space, look->key, is_value(look->record), look->from);
	if (look->record && look->record->type == LF_RECORD_STRING) {
		lf_stack_hand_out(look->record, look->record->value, look->from, out);
		look->record = NULL;
		return 1;
	}
	lf_look_free(look, 1);
	return 0;
}

/* Some of them, whose keys have room. */
static int mget_some(struct lf_cache_space *space, const struct lf_text *ids, size_t count, struct lf_cache_value *out,
                     char (*keys)[LF_KEY_MAX], int64_t end_ms, struct lf_error *err)
{
	struct lf_look looks[MGET_AT_ONCE];
	int rc = 0, found = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		looks[i] = (struct lf_look){ .key = { keys[i], 0 } };
		rc = lf_key_make(keys[i], &looks[i].key.len, space->prefix, ids[i], err);
	}
	if (rc)
		return rc;
	if (!atomic_load_explicit(&space->cache->enabled, memory_order_acquire)) {
		for (size_t i = 0; i < count; i++)
			tell(space, looks[i].key, false, LF_CACHE_MEMORY);
		return 0;
	}
	rc = lf_look(space, looks, count, end_ms, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		rc = take(space, &looks[i], &out[i], end_ms, err);
		if (rc < 0) {
			lf_look_free(looks + i, count - i);
			return rc;
		}
		found += rc;
	}
	return found;
}

int lf_cache_mget(struct lf_cache_space *space, const struct lf_text *ids, size_t count, struct lf_cache_value *out,
                  struct lf_error *err)
{
	int64_t end_ms = lf_stack_deadline(space->cache);
	char (*keys)[LF_KEY_MAX] = malloc((count < MGET_AT_ONCE ? count + 1 : MGET_AT_ONCE) * sizeof(*keys));
	int found = 0, rc = keys ? 0 : lf_fail(err, -ENOMEM, "no memory for %zu keys", count);

	for (size_t i = 0; i < count; i++)
		out[i] = (struct lf_cache_value){ .record = NULL };
	for (size_t at = 0; rc >= 0 && at < count; at += MGET_AT_ONCE) {
		size_t some = count - at < MGET_AT_ONCE ? count - at : MGET_AT_ONCE;

		rc = mget_some(space, ids + at, some, out + at, keys, end_ms, err);
		found += rc;
	}
	free(keys);
	if (rc >= 0)
		return found;
	for (size_t i = 0; i < count; i++)
		lf_cache_value_release(&out[i]);
	return rc;
}
