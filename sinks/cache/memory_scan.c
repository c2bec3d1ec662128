/* Walks over all shards: a page of keys, all of a prefix dropped.  A cursor is a shard and a position of its table
 * (memory_table.h), so the table may grow and shrink between two pages. */
#include "sinks/cache/memory_internal.h"

#include <stdlib.h>

#include "hashing/clock.h"

enum { BUCKETS_AT_ONCE = 128, BUCKETS_OF_A_PAGE = 65536, CURSOR_CHARS = 24 };

struct page {
	struct lf_tier *tier;
	struct lf_text prefix;
	int64_t now_ms;
	char **keys;
	size_t count, max;
};

static bool has_prefix(const struct lf_node *node, struct lf_text prefix)
{
	return node->key_len >= prefix.len && memcmp(node->key, prefix.data, prefix.len) == 0;
}

static bool belongs(const struct page *page, const struct lf_node *node)
{
	return has_prefix(node, page->prefix) && !lf_memory_forgotten(page->tier, node) &&
	       !lf_record_expired(node->record, page->now_ms);
}

static bool add_key(struct page *page, const struct lf_node *node)
{
	char *key = strndup(node->key, node->key_len);

	if (!key)
		return false;
	page->keys[page->count++] = key;
	return true;
}

/* The lowest position from `from` on that a node of the page has. */
static bool lowest(const struct page *page, const struct lf_node *node, uint64_t from, uint64_t *out)
{
	bool found = false;

	for (; node; node = node->next) {
		uint64_t at = lf_table_position(node->hash);

		if (at >= from && (!found || at < *out) && belongs(page, node)) {
			*out = at;
			found = true;
		}
	}
	return found;
}

/* Of one bucket, by rising positions.  False: no memory. */
static bool add_bucket(struct page *page, const struct lf_node *first, uint64_t *position, uint64_t next)
{
	uint64_t at = 0;

	while (lowest(page, first, *position, &at)) {
		size_t same = 0;

		for (const struct lf_node *node = first; node; node = node->next)
			same += lf_table_position(node->hash) == at && belongs(page, node);
		if (page->count && page->count + same > page->max)
			return true;
		for (const struct lf_node *node = first; node; node = node->next)
			if (lf_table_position(node->hash) == at && belongs(page, node) && page->count < page->max && !add_key(page, node))
				return false;
		*position = at + 1;
		if (*position == 0)
			return true;
	}
	*position = next;
	return true;
}

/* Some buckets of a shard.  `*position` is 0 when that were all. */
static bool add_buckets(struct page *page, struct lf_shard *shard, uint64_t *position)
{
	bool good = true;

	(void)pthread_mutex_lock(&shard->lock);
	for (unsigned i = 0; good && i < BUCKETS_AT_ONCE && page->count < page->max; i++) {
		uint64_t next = *position;
		const struct lf_node *first = lf_table_walk(&shard->table, &next);

		good = add_bucket(page, first, position, next);
		if (*position == 0)
			break;
	}
	(void)pthread_mutex_unlock(&shard->lock);
	return good;
}

static bool read_cursor(const struct lf_tier *tier, const char *cursor, unsigned *shard, uint64_t *position)
{
	unsigned long long at = 0;

	*shard = 0;
	if (*cursor && sscanf(cursor, "%u:%llx", shard, &at) != 2)
		return false;
	*position = at;
	return *shard < tier->shards;
}

static void give_up(struct page *page)
{
	while (page->count)
		free(page->keys[--page->count]);
	free(page->keys);
}

enum lf_tier_result lf_memory_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                   char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct page page = { .tier = tier, .prefix = prefix, .now_ms = lf_memory_now(tier), .max = max };
	uint64_t position;
	unsigned shard;

	if (!read_cursor(tier, cursor, &shard, &position) || max == 0) {
		(void)lf_fail(err, -EINVAL, "'%.40s' is no cursor of the memory tier's, or the page is empty", cursor);
		return LF_TIER_REJECTED;
	}
	page.keys = malloc(max * sizeof(*page.keys));
	for (unsigned looked = 0; looked < BUCKETS_OF_A_PAGE && page.count < max; looked += BUCKETS_AT_ONCE) {
		if (!page.keys || !add_buckets(&page, &tier->shard[shard], &position)) {
			give_up(&page);
			(void)lf_fail(err, -ENOMEM, "there is no memory for a page of %zu keys: ask for fewer", max);
			return LF_TIER_AWAY;
		}
		if ((position == 0 && ++shard == tier->shards) || lf_clock_ms() >= end_ms)
			break;
	}
	*keys = page.keys;
	*count = page.count;
	if (shard == tier->shards)
		cursor[0] = '\0';
	else
		(void)snprintf(cursor, CURSOR_CHARS, "%u:%llx", shard, (unsigned long long)position);
	return LF_TIER_DONE;
}

static void drop_bucket(struct lf_tier *tier, struct lf_shard *shard, struct lf_node *node, struct lf_text prefix,
                        uint64_t upto, struct lf_node **dead)
{
	while (node) {
		struct lf_node *next = node->next;

		if (node->record->version.clock <= upto && has_prefix(node, prefix)) {
			lf_memory_slot(tier, shard, node->hash)->changes++;
			lf_memory_leave(tier, shard, node, LF_LEFT_SILENTLY, dead);
		}
		node = next;
	}
}

/* Fills that are under way are the stack's to judge: it knows the prefix. */
enum lf_tier_result lf_memory_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                   struct lf_error *err)
{
	for (unsigned i = 0; i < tier->shards; i++) {
		struct lf_shard *shard = &tier->shard[i];
		uint64_t position = 0;

		do {
			struct lf_node *dead = NULL;

			(void)pthread_mutex_lock(&shard->lock);
			for (unsigned n = 0; n < BUCKETS_AT_ONCE && (n == 0 || position != 0); n++) {
				struct lf_node *first = lf_table_walk(&shard->table, &position);

				drop_bucket(tier, shard, first, prefix, upto, &dead);
			}
			(void)pthread_mutex_unlock(&shard->lock);
			lf_memory_bury(tier, dead);
			if (lf_clock_ms() >= end_ms && (position != 0 || i + 1 < tier->shards)) {
				(void)lf_fail(err, -ETIMEDOUT, "the time was over before all of a prefix was dropped from memory");
				return LF_TIER_AWAY;
			}
		} while (position != 0);
	}
	return LF_TIER_DONE;
}
