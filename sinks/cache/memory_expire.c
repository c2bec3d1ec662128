/* Expired and forgotten nodes leave: some when they are met, all in steps of a bounded size. */
#include "sinks/cache/memory_internal.h"

void lf_expiry_init(struct lf_expiry *expiry)
{
	expiry->base = 0;
	lf_links_init(&expiry->due);
	for (unsigned i = 0; i < LF_EXPIRY_LEVELS; i++)
		lf_links_init(&expiry->level[i]);
}

static unsigned highest_bit(uint64_t number)
{
	return 63 - (unsigned)__builtin_clzll(number);
}

void lf_expiry_add(struct lf_expiry *expiry, struct lf_node *node)
{
	uint64_t at = node->record->expires_ms > 0 ? (uint64_t)node->record->expires_ms : 0;

	if (node->record->expires_ms == 0)
		return;
	lf_links_put_first(at <= expiry->base ? &expiry->due : &expiry->level[highest_bit(at ^ expiry->base)], &node->expiry);
}

/* Forwards or backwards: who is in a list above the highest bit that changes would be in the same one again. */
static void move_on(struct lf_expiry *expiry, int64_t now_ms)
{
	uint64_t now = now_ms > 0 ? (uint64_t)now_ms : 0;
	unsigned changed;

	if (now == expiry->base)
		return;
	changed = highest_bit(now ^ expiry->base);
	for (unsigned i = 0; i <= changed; i++)
		lf_links_move_all(&expiry->due, &expiry->level[i]);
	expiry->base = now;
}

static unsigned clean_expired(struct lf_tier *tier, struct lf_shard *shard, unsigned max, bool *more, struct lf_node **dead)
{
	int64_t now_ms = lf_memory_now(tier);
	unsigned count = 0;

	move_on(&shard->expiry, now_ms);
	for (unsigned looked = 0; looked < LF_MEMORY_STEP && count < max && !lf_links_empty(&shard->expiry.due); looked++) {
		struct lf_node *node = LF_LINKED(struct lf_node, expiry, shard->expiry.due.next);

		lf_links_take(&node->expiry);
		if (lf_record_expired(node->record, now_ms)) {
			lf_memory_leave(tier, shard, node, lf_memory_forgotten(tier, node) ? LF_LEFT_SILENTLY : LF_CACHE_EXPIRE, dead);
			count++;
		} else {
			lf_expiry_add(&shard->expiry, node);
		}
	}
	*more = *more || !lf_links_empty(&shard->expiry.due);
	return count;
}

static unsigned clean_bucket(struct lf_tier *tier, struct lf_shard *shard, struct lf_node *node, unsigned max,
                             struct lf_node **dead)
{
	unsigned count = 0;

	while (node && count < max) {
		struct lf_node *next = node->next;

		if (lf_memory_forgotten(tier, node)) {
			lf_memory_leave(tier, shard, node, LF_LEFT_SILENTLY, dead);
			count++;
		}
		node = next;
	}
	return count;
}

static unsigned clean_forgotten(struct lf_tier *tier, struct lf_shard *shard, unsigned max, bool *more,
                                struct lf_node **dead)
{
	uint32_t generation = atomic_load_explicit(&tier->generation, memory_order_acquire);
	unsigned count = 0;

	if (shard->swept == generation)
		return 0;
	if (shard->sweeping != generation) {
		shard->sweeping = generation;
		shard->sweep_at = 0;
	}
	for (unsigned looked = 0; looked < LF_MEMORY_STEP; looked++) {
		uint64_t next = shard->sweep_at;
		struct lf_node *first = lf_table_walk(&shard->table, &next);

		count += clean_bucket(tier, shard, first, max - count, dead);
		if (count == max)
			break; /* maybe in the middle of it */
		shard->sweep_at = next;
		if (next == 0) {
			shard->swept = generation;
			return count;
		}
	}
	*more = true;
	return count;
}

unsigned lf_memory_clean(struct lf_tier *tier, struct lf_shard *shard, unsigned max, bool *more, struct lf_node **dead)
{
	unsigned count = clean_expired(tier, shard, max, more, dead);

	if (count < max)
		count += clean_forgotten(tier, shard, max - count, more, dead);
	return count;
}

/* One round over the shards, beginning where the last one was full. */
enum lf_tier_result lf_memory_tend(struct lf_tier *tier, bool *more, int64_t end_ms, struct lf_error *err)
{
	uint32_t first = atomic_load_explicit(&tier->tended, memory_order_relaxed);
	unsigned left = LF_MEMORY_STEP;

	(void)end_ms;
	(void)err;
	*more = false;
	for (unsigned i = 0; i < tier->shards; i++) {
		struct lf_shard *shard = &tier->shard[(first + i) % tier->shards];
		struct lf_node *dead = NULL;
		unsigned gone;

		(void)pthread_mutex_lock(&shard->lock);
		gone = lf_memory_clean(tier, shard, left, more, &dead);
		(void)pthread_mutex_unlock(&shard->lock);
		lf_memory_bury(tier, dead);
		left = gone < left ? left - gone : 0;
		if (left == 0) {
			atomic_store_explicit(&tier->tended, first + i, memory_order_relaxed);
			*more = true;
			break;
		}
	}
	return LF_TIER_DONE;
}
