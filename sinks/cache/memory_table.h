/* The hash table of one shard of the memory tier, by linear hashing (Litwin, VLDB 1980): it grows and shrinks by one
 * bucket at a time, in pieces of LF_SEGMENT buckets, so that no call pays for a whole table being made anew.
 *
 * Walking.  A *position* is a hash read backwards, from its lowest bit on.  A bucket is a range of positions, whatever the
 * size of the table, and growing only ever cuts such a range in two.  So a walk by rising positions meets every node that
 * is there from beginning to end, exactly once.
 *
 * Not safe for threads: its shard's lock is held.
 */
#ifndef LOGFOLD_SINKS_CACHE_MEMORY_TABLE_H
#define LOGFOLD_SINKS_CACHE_MEMORY_TABLE_H

#include <string.h>

#include "sinks/cache/links.h"
#include "sinks/cache/record.h"

enum { LF_SEGMENT = 256 };

/* What is kept of a key besides its record.  What is needed to find it is in its first line. */
struct lf_node {
	struct lf_node *next; /* of the same bucket; once it was taken out, of those that are to be freed */
	uint64_t hash;
	struct lf_record *record;
	uint32_t generation; /* the tier's when it was stored */
	uint16_t key_len;
	uint8_t uses;  /* the policy's: how often it was used */
	uint8_t place; /* the policy's: in which of its queues it is; once it was taken out: why */
	struct lf_links queue;  /* the policy's */
	struct lf_links expiry; /* of those that expire at about the same time */
	char key[];
};

struct lf_segment {
	struct lf_node *buckets[LF_SEGMENT];
	uint32_t marks[]; /* one for each bucket, for the policy; none, if it asked for none */
};

struct lf_table {
	struct lf_segment **segments;
	uint64_t buckets, mask; /* as many bits as the last bucket's number has */
	uint64_t nodes;
	uint32_t capacity; /* of `segments` */
	bool marked;
};

/* What malloc() takes for so many bytes: its own word, and up to a multiple of 16. */
static inline size_t lf_block(size_t size)
{
	return (size + sizeof(size_t) + 15) / 16 * 16;
}

LF_MUST_CHECK int lf_table_init(struct lf_table *table, bool marked); /* -ENOMEM */
void lf_table_fini(struct lf_table *table);                           /* the nodes stay */

static inline uint64_t lf_table_bucket(const struct lf_table *table, uint64_t hash)
{
	uint64_t bucket = hash & table->mask;

	return bucket < table->buckets ? bucket : bucket & table->mask >> 1;
}

static inline struct lf_node **lf_table_head(const struct lf_table *table, uint64_t bucket)
{
	return &table->segments[bucket / LF_SEGMENT]->buckets[bucket % LF_SEGMENT];
}

static inline uint32_t *lf_table_mark(const struct lf_table *table, uint64_t hash)
{
	uint64_t bucket = lf_table_bucket(table, hash);

	return &table->segments[bucket / LF_SEGMENT]->marks[bucket % LF_SEGMENT];
}

static inline struct lf_node *lf_table_find(const struct lf_table *table, uint64_t hash, struct lf_text key)
{
	struct lf_node *node = *lf_table_head(table, lf_table_bucket(table, hash));

	for (; node; node = node->next) {
		if (node->hash != hash || node->key_len != key.len)
			continue;
		/* It is the one, but for one in 2^64: what is needed next may come while the key is compared. */
		__builtin_prefetch(node->record, 1);
		__builtin_prefetch((const char *)node->record + 64);
		__builtin_prefetch(node->queue.prev, 1);
		__builtin_prefetch(node->queue.next, 1);
		if (memcmp(node->key, key.data, key.len) == 0)
			break;
	}
	return node;
}

void lf_table_put(struct lf_table *table, struct lf_node *node);
void lf_table_take(struct lf_table *table, struct lf_node *node);

/* How many bytes the table would take for one node more; most of the time none. */
size_t lf_table_growth(const struct lf_table *table);
/* Makes room for it.  Where there is no memory the chains get longer instead, and it is false. */
bool lf_table_grow(struct lf_table *table);
/* After nodes were taken out.  How many bytes that gave back. */
size_t lf_table_shrink(struct lf_table *table);
/* All bytes beyond those of an empty table. */
size_t lf_table_bytes(const struct lf_table *table);

uint64_t lf_table_position(uint64_t hash);
/* The nodes of the bucket that `*position` is in, and the position of the next bucket: 0 after the last. */
struct lf_node *lf_table_walk(const struct lf_table *table, uint64_t *position);

#endif
