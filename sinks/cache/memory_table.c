#include "sinks/cache/memory_table.h"

#include <errno.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 8, SLACK = 2 * LF_SEGMENT /* free buckets that it does not shrink for */ };

static size_t segment_size(const struct lf_table *table)
{
	return sizeof(struct lf_segment) + (table->marked ? LF_SEGMENT * sizeof(uint32_t) : 0);
}

static size_t directory_block(uint32_t capacity)
{
	return lf_block(capacity * sizeof(struct lf_segment *));
}

static uint64_t segments(const struct lf_table *table)
{
	return (table->buckets + LF_SEGMENT - 1) / LF_SEGMENT;
}

int lf_table_init(struct lf_table *table, bool marked)
{
	*table = (struct lf_table){ .buckets = LF_SEGMENT, .mask = 2 * LF_SEGMENT - 1, .capacity = CAPACITY_MIN, .marked = marked };
	table->segments = calloc(CAPACITY_MIN, sizeof(struct lf_segment *));
	if (!table->segments)
		return -ENOMEM;
	table->segments[0] = calloc(1, segment_size(table));
	return table->segments[0] ? 0 : -ENOMEM;
}

void lf_table_fini(struct lf_table *table)
{
	for (uint64_t i = 0; table->segments && i < segments(table); i++)
		free(table->segments[i]);
	free(table->segments);
	*table = (struct lf_table){ 0 };
}

void lf_table_put(struct lf_table *table, struct lf_node *node)
{
	struct lf_node **head = lf_table_head(table, lf_table_bucket(table, node->hash));

	node->next = *head;
	*head = node;
	table->nodes++;
}

void lf_table_take(struct lf_table *table, struct lf_node *node)
{
	struct lf_node **at = lf_table_head(table, lf_table_bucket(table, node->hash));

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->nodes--;
}

static bool needs_segment(const struct lf_table *table)
{
	return table->nodes >= table->buckets && table->buckets % LF_SEGMENT == 0;
}

static bool needs_directory(const struct lf_table *table)
{
	return segments(table) == table->capacity;
}

size_t lf_table_growth(const struct lf_table *table)
{
	if (!needs_segment(table))
		return 0;
	return lf_block(segment_size(table)) +
	       (needs_directory(table) ? directory_block(2 * table->capacity) - directory_block(table->capacity) : 0);
}

static bool set_capacity(struct lf_table *table, uint32_t capacity)
{
	struct lf_segment **moved = realloc(table->segments, capacity * sizeof(struct lf_segment *));

	if (!moved)
		return false;
	table->segments = moved;
	table->capacity = capacity;
	return true;
}

static bool add_segment(struct lf_table *table)
{
	struct lf_segment *segment = calloc(1, segment_size(table));

	if (!segment || (needs_directory(table) && !set_capacity(table, 2 * table->capacity))) {
		free(segment);
		return false;
	}
	table->segments[segments(table)] = segment;
	return true;
}

/* Half of one bucket's nodes become the new last one's. */
static void split(struct lf_table *table)
{
	uint64_t made = table->buckets++, mask = table->mask;
	struct lf_node **from = lf_table_head(table, made & mask >> 1), **to = lf_table_head(table, made);

	while (*from) {
		struct lf_node *node = *from;

		if ((node->hash & mask) != made) {
			from = &node->next;
			continue;
		}
		*from = node->next;
		node->next = *to;
		*to = node;
	}
	if (made == mask)
		table->mask = 2 * mask + 1;
}

bool lf_table_grow(struct lf_table *table)
{
	if (needs_segment(table) && !add_segment(table))
		return false;
	if (table->nodes >= table->buckets)
		split(table);
	return true;
}

/* The last bucket's nodes go where they came from. */
static size_t merge(struct lf_table *table)
{
	uint64_t last = table->buckets - 1;
	struct lf_node **from = lf_table_head(table, last), **to;

	if (last == table->mask >> 1)
		table->mask >>= 1;
	to = lf_table_head(table, last & table->mask >> 1);
	while (*to)
		to = &(*to)->next;
	*to = *from;
	*from = NULL;
	table->buckets = last;
	if (last % LF_SEGMENT != 0)
		return 0;
	free(table->segments[last / LF_SEGMENT]);
	return lf_block(segment_size(table));
}

size_t lf_table_shrink(struct lf_table *table)
{
	size_t freed = 0;

	while (table->buckets > LF_SEGMENT && (table->nodes == 0 || table->buckets > table->nodes + SLACK))
		freed += merge(table);
	while (table->capacity > CAPACITY_MIN && segments(table) <= table->capacity / 4) {
		uint32_t before = table->capacity;

		if (!set_capacity(table, before / 2))
			break;
		freed += directory_block(before) - directory_block(before / 2);
	}
	return freed;
}

size_t lf_table_bytes(const struct lf_table *table)
{
	return (segments(table) - 1) * lf_block(segment_size(table)) + directory_block(table->capacity) -
	       directory_block(CAPACITY_MIN);
}

uint64_t lf_table_position(uint64_t hash)
{
	hash = (hash >> 1 & UINT64_C(0x5555555555555555)) | (hash & UINT64_C(0x5555555555555555)) << 1;
	hash = (hash >> 2 & UINT64_C(0x3333333333333333)) | (hash & UINT64_C(0x3333333333333333)) << 2;
	hash = (hash >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (hash & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	return __builtin_bswap64(hash);
}

struct lf_node *lf_table_walk(const struct lf_table *table, uint64_t *position)
{
	uint64_t bucket = lf_table_bucket(table, lf_table_position(*position)), half = (table->mask >> 1) + 1;
	bool whole = bucket < half && bucket + half >= table->buckets; /* it was not split yet */
	uint64_t mask = whole ? table->mask >> 1 : table->mask;

	/* The bits that the bucket's number has are the highest of its positions. */
	*position = (*position | ~lf_table_position(mask)) + 1;
	return *lf_table_head(table, bucket);
}
