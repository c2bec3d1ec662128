/* Who goes when room is needed: one of these for each shard of the memory tier, under its lock. */
#ifndef LOGFOLD_SINKS_CACHE_POLICY_H
#define LOGFOLD_SINKS_CACHE_POLICY_H

#include "sinks/cache/memory_table.h"

enum { LF_POLICY_LISTS = 256 };

struct lf_policy {
	const struct lf_policy_ops *ops;
	const struct lf_table *table;
	struct lf_links queue; /* the last one put in is first */
	/* S3-FIFO. */
	struct lf_links small;
	uint64_t small_bytes, bytes; /* of `small`; of both */
	/* LFU. */
	struct lf_links *lists;
	uint64_t filled[LF_POLICY_LISTS / 64]; /* lists that are not empty, at times more */
	uint8_t age;
};

struct lf_policy_ops {
	bool lists, marks; /* what it needs: policy->lists, lf_table_mark() */
	void (*added)(struct lf_policy *policy, struct lf_node *node);
	void (*used)(struct lf_policy *policy, struct lf_node *node);
	void (*removed)(struct lf_policy *policy, struct lf_node *node);
	void (*resized)(struct lf_policy *policy, struct lf_node *node, int64_t by); /* NULL: it does not mind */
	/* Who goes now: it is removed next.  NULL: nobody. */
	struct lf_node *(*victim)(struct lf_policy *policy);
};

extern const struct lf_policy_ops lf_policy_lru, lf_policy_lfu, lf_policy_fifo, lf_policy_s3fifo, lf_policy_none;

/* NULL: there is no such policy. */
const struct lf_policy_ops *lf_policy_of(enum lf_cache_policy policy);

LF_MUST_CHECK int lf_policy_init(struct lf_policy *policy, const struct lf_policy_ops *ops, const struct lf_table *table);
void lf_policy_fini(struct lf_policy *policy);

/* All bytes that are a node's. */
static inline size_t lf_node_bytes(const struct lf_node *node)
{
	return lf_block(sizeof(*node) + node->key_len) + lf_block(node->record->size);
}

/* What several policies do. */
void lf_policy_put(struct lf_policy *policy, struct lf_node *node);
void lf_policy_leave_alone(struct lf_policy *policy, struct lf_node *node);
void lf_policy_take(struct lf_policy *policy, struct lf_node *node);
struct lf_node *lf_policy_last(struct lf_policy *policy);

#endif
