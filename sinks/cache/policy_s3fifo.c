/* S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023).
 *
 * What is new waits in a small queue of a tenth of the bytes.  What was used twice there moves on into the main queue; the
 * rest goes and leaves a ghost, its hash, and if it comes back while that is known, it is put into the main queue at once.
 * There, whoever was used gets another turn for each use, up to three.  So what is read once, a scan, never gets as far as
 * the main queue.
 *
 * Ghosts are the table's marks, one for each bucket, and the next one of the same bucket takes its place: about as many as
 * there are nodes, not in a queue, but each is the sooner forgotten the older it is.
 */
#include "sinks/cache/policy.h"

enum { USES_MAX = 3, USES_TO_MOVE_ON = 2, SMALL_SHARE = 10, IN_MAIN = 0, IN_SMALL = 1 };

/* Of bits that the bucket's number is not made of, in tables of up to 2^24 buckets. */
static uint32_t ghost_of(uint64_t hash)
{
	return (uint32_t)(hash >> 24) | 1;
}

static void added(struct lf_policy *policy, struct lf_node *node)
{
	uint32_t *ghost = lf_table_mark(policy->table, node->hash);
	size_t bytes = lf_node_bytes(node);

	node->uses = 0;
	node->place = *ghost == ghost_of(node->hash) ? IN_MAIN : IN_SMALL;
	lf_links_put_first(node->place == IN_SMALL ? &policy->small : &policy->queue, &node->queue);
	if (node->place == IN_SMALL)
		policy->small_bytes += bytes;
	else
		*ghost = 0;
	policy->bytes += bytes;
}

static void used(struct lf_policy *policy, struct lf_node *node)
{
	(void)policy;
	if (node->uses < USES_MAX)
		node->uses++;
}

static void removed(struct lf_policy *policy, struct lf_node *node)
{
	size_t bytes = lf_node_bytes(node);

	lf_links_take(&node->queue);
	if (node->place == IN_SMALL)
		policy->small_bytes -= bytes;
	policy->bytes -= bytes;
}

static void resized(struct lf_policy *policy, struct lf_node *node, int64_t by)
{
	if (node->place == IN_SMALL)
		policy->small_bytes += (uint64_t)by;
	policy->bytes += (uint64_t)by;
}

static void move_on(struct lf_policy *policy, struct lf_node *node)
{
	lf_links_take(&node->queue);
	lf_links_put_first(&policy->queue, &node->queue);
	policy->small_bytes -= lf_node_bytes(node);
	node->place = IN_MAIN;
	node->uses = 0;
}

static struct lf_node *victim_of_small(struct lf_policy *policy)
{
	while (!lf_links_empty(&policy->small)) {
		struct lf_node *node = LF_LINKED(struct lf_node, queue, policy->small.prev);

		if (node->uses < USES_TO_MOVE_ON) {
			*lf_table_mark(policy->table, node->hash) = ghost_of(node->hash);
			return node;
		}
		move_on(policy, node);
	}
	return NULL;
}

static struct lf_node *victim_of_main(struct lf_policy *policy)
{
	while (!lf_links_empty(&policy->queue)) {
		struct lf_node *node = LF_LINKED(struct lf_node, queue, policy->queue.prev);

		if (node->uses == 0)
			return node;
		node->uses--;
		lf_links_take(&node->queue);
		lf_links_put_first(&policy->queue, &node->queue);
	}
	return NULL;
}

static struct lf_node *victim(struct lf_policy *policy)
{
	struct lf_node *node = NULL;

	if (policy->small_bytes * SMALL_SHARE > policy->bytes || lf_links_empty(&policy->queue))
		node = victim_of_small(policy);
	return node ? node : victim_of_main(policy);
}

const struct lf_policy_ops lf_policy_s3fifo = {
	.marks = true,
	.added = added,
	.used = used,
	.removed = removed,
	.resized = resized,
	.victim = victim,
};
