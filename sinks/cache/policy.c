#include "sinks/cache/policy.h"

#include <errno.h>
#include <stdlib.h>

const struct lf_policy_ops *lf_policy_of(enum lf_cache_policy policy)
{
	switch (policy) {
	case LF_CACHE_LRU:
		return &lf_policy_lru;
	case LF_CACHE_LFU:
		return &lf_policy_lfu;
	case LF_CACHE_FIFO:
		return &lf_policy_fifo;
	case LF_CACHE_S3FIFO:
		return &lf_policy_s3fifo;
	case LF_CACHE_NONE:
		return &lf_policy_none;
	}
	return NULL;
}

int lf_policy_init(struct lf_policy *policy, const struct lf_policy_ops *ops, const struct lf_table *table)
{
	*policy = (struct lf_policy){ .ops = ops, .table = table };
	lf_links_init(&policy->queue);
	lf_links_init(&policy->small);
	if (!ops->lists)
		return 0;
	policy->lists = malloc(LF_POLICY_LISTS * sizeof(*policy->lists));
	if (!policy->lists)
		return -ENOMEM;
	for (size_t i = 0; i < LF_POLICY_LISTS; i++)
		lf_links_init(&policy->lists[i]);
	return 0;
}

void lf_policy_fini(struct lf_policy *policy)
{
	free(policy->lists);
}

void lf_policy_put(struct lf_policy *policy, struct lf_node *node)
{
	lf_links_put_first(&policy->queue, &node->queue);
}

void lf_policy_leave_alone(struct lf_policy *policy, struct lf_node *node)
{
	(void)policy;
	(void)node;
}

void lf_policy_take(struct lf_policy *policy, struct lf_node *node)
{
	(void)policy;
	lf_links_take(&node->queue);
}

struct lf_node *lf_policy_last(struct lf_policy *policy)
{
	return lf_links_empty(&policy->queue) ? NULL : LF_LINKED(struct lf_node, queue, policy->queue.prev);
}
