/* A table of the caller's own, moved in. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sinks/cache/commands.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/workers.h"

struct adoption {
	struct lf_cache_space *space;
	const struct lf_cache_table *table;
	struct lf_version version; /* what is changed in the cache from here on is newer than the table */
	uint64_t heard;
	uint64_t moved;
};

/* Memory alone keeps no tombstones.  What is deleted goes from the table first: so what is there after `begun` was not
 * deleted before it. */
static bool is_in_table(const struct lf_cache_table *table, struct lf_text id)
{
	struct lf_cache_loaded found = { 0 };
	struct lf_error ignored;
	int rc = table->lookup(table->arg, id, &found, &ignored);

	if (rc >= 0 && found.release)
		found.release(&found);
	return rc != 0;
}

static int is_there(struct lf_cache *cache, struct lf_text key, struct lf_error *err)
{
	struct lf_record *record;
	enum lf_cache_tier from;
	int rc = lf_stack_find(cache, NULL, key, lf_stack_deadline(cache), &record, &from, err);

	if (rc == 1)
		lf_record_drop(record);
	return rc;
}

static int store(struct adoption *adoption, struct lf_text key, const struct lf_command *set, const struct lf_begun *begun,
                 struct lf_error *err)
{
	struct lf_record from = { .type = LF_RECORD_STRING,
		                  .flags = set->critical ? LF_RECORD_CRITICAL : 0,
		                  .version = begun->version,
		                  .expires_ms = set->expires_ms,
		                  .fresh_until_ms = set->fresh_until_ms,
		                  .type_stamp = set->type_stamp,
		                  .org_stamp = set->org_stamp,
		                  .tags = set->tags,
		                  .tags_count = set->tags_count,
		                  .value = set->value };
	struct lf_record *record = lf_record_new(&from);
	int rc;

	if (!record)
		return lf_fail(err, -ENOMEM, "there is no memory for a value of %zu bytes", set->value.len);
	rc = lf_stack_store(adoption->space, key, record, 0, begun, lf_stack_deadline(adoption->space->cache), err);
	lf_record_drop(record);
	return rc;
}

static int move_one(struct adoption *adoption, struct lf_text id, struct lf_text value, int64_t ttl_ms,
                    struct lf_error *err)
{
	struct lf_cache_space *space = adoption->space;
	struct lf_cache_set how = { .ttl_ms = ttl_ms == LF_CACHE_TTL_KEEP ? LF_CACHE_TTL_CLASS : ttl_ms };
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_command set;
	struct lf_begun begun;
	struct lf_text key;
	char text[LF_KEY_MAX];
	int rc = lf_key_make(text, &key.len, space->prefix, id, err);

	if (rc < 0)
		return rc;
	if (value.len > space->cache->options.value_max)
		return lf_fail(err, -EFBIG, "the table's value of '%.*s' has %zu bytes, more than value_max", (int)key.len, text,
		               value.len);
	key.data = text;
	begun = lf_begin(space->cache, key);
	begun.version = adoption->version;
	begun.heard = adoption->heard;
	rc = is_there(space->cache, key, err);
	if (rc != 0 || !is_in_table(adoption->table, id))
		return rc < 0 ? rc : 0;
	rc = lf_stack_prepare(space, id, value, &how, &begun, lf_stack_deadline(space->cache), tags, &set, err);
	if (rc == 0)
		rc = store(adoption, key, &set, &begun, err);
	adoption->moved += rc == 1;
	return rc < 0 ? rc : 0;
}

/* Readers are between two loads of theirs, or in a lookup: neither lasts, and there is nobody who could wake us. */
static void wait_for_readers(struct lf_cache_space *space)
{
	while (atomic_load(&space->adopting_users))
		(void)poll(NULL, 0, 1);
}

int lf_cache_adopt(struct lf_cache_space *space, const struct lf_cache_table *table, uint64_t *moved, struct lf_error *err)
{
	struct lf_begun begun = lf_begin(space->cache, space->prefix);
	struct adoption adoption = { .space = space, .table = table, .version = begun.version, .heard = begun.heard };
	const struct lf_cache_table *none = NULL;
	struct lf_text id, value;
	int64_t ttl_ms;
	int rc;

	if (!table->next || !table->lookup)
		return lf_fail(err, -EINVAL, "a table that is to be moved in needs both next and lookup");
	if (!atomic_load_explicit(&space->cache->enabled, memory_order_acquire))
		return lf_fail(err, -ECANCELED, "the cache is disabled: nothing can be moved into it");
	if (!atomic_compare_exchange_strong(&space->adopting, &none, table))
		return lf_fail(err, -EBUSY, "another table is being moved into this space: wait until it is in");
	do {
		ttl_ms = LF_CACHE_TTL_CLASS;
		rc = table->next(table->arg, &id, &value, &ttl_ms);
		if (rc < 0)
			(void)lf_fail(err, rc, "the table has no more to give: %s", strerror(-rc));
		if (rc != 1)
			break;
		rc = move_one(&adoption, id, value, ttl_ms, err);
	} while (rc == 0);
	atomic_store(&space->adopting, NULL);
	wait_for_readers(space);
	if (moved)
		*moved = adoption.moved;
	return rc;
}
