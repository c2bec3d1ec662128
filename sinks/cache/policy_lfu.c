/* Least frequently used, in constant time, with ageing (Arlitt, Cherkasova, Dilley, Friedrich, Jin: Evaluating content
 * management techniques for web proxy caches, 2000: LFU with dynamic ageing).
 *
 * A node's rank is how often it was used, plus the age when it was last used; the lowest rank goes first, of equals the one
 * that was not used for longest.  The age is the rank of the last one that went, so that what was used often, but long ago,
 * is reached some day.  Uses are counted up to USES_MAX: ranks stay within one turn of the lists.
 */
#include "sinks/cache/policy.h"

enum { USES_MAX = LF_POLICY_LISTS - 2 };

static void put(struct lf_policy *policy, struct lf_node *node)
{
	node->place = (uint8_t)(policy->age + node->uses);
	lf_links_put_first(&policy->lists[node->place], &node->queue);
	policy->filled[node->place / 64] |= UINT64_C(1) << node->place % 64;
}

static void added(struct lf_policy *policy, struct lf_node *node)
{
	node->uses = 1;
	put(policy, node);
}

static void used(struct lf_policy *policy, struct lf_node *node)
{
	lf_links_take(&node->queue);
	if (node->uses < USES_MAX)
		node->uses++;
	put(policy, node);
}

/* The first list from `from` on that is said to be filled; LF_POLICY_LISTS: none. */
static unsigned filled_from(const struct lf_policy *policy, unsigned from)
{
	uint64_t word = policy->filled[from / 64] & UINT64_MAX << from % 64;

	for (unsigned i = from / 64;; word = policy->filled[i]) {
		if (word)
			return 64 * i + (unsigned)__builtin_ctzll(word);
		if (++i == LF_POLICY_LISTS / 64)
			return LF_POLICY_LISTS;
	}
}

static struct lf_node *victim(struct lf_policy *policy)
{
	for (;;) {
		unsigned at = filled_from(policy, policy->age);

		if (at == LF_POLICY_LISTS)
			at = filled_from(policy, 0);
		if (at == LF_POLICY_LISTS)
			return NULL;
		if (!lf_links_empty(&policy->lists[at])) {
			policy->age = (uint8_t)at;
			return LF_LINKED(struct lf_node, queue, policy->lists[at].prev);
		}
		policy->filled[at / 64] &= ~(UINT64_C(1) << at % 64);
	}
}

const struct lf_policy_ops lf_policy_lfu = {
	.lists = true,
	.added = added,
	.used = used,
	.removed = lf_policy_take,
	.victim = victim,
};
