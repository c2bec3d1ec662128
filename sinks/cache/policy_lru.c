/* Least recently used: whoever was used is first in the queue again. */
#include "sinks/cache/policy.h"

static void used(struct lf_policy *policy, struct lf_node *node)
{
	if (policy->queue.next == &node->queue)
		return;
	lf_links_take(&node->queue);
	lf_links_put_first(&policy->queue, &node->queue);
}

const struct lf_policy_ops lf_policy_lru = {
	.added = lf_policy_put,
	.used = used,
	.removed = lf_policy_take,
	.victim = lf_policy_last,
};
