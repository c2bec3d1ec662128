/* Room in the memory tier: taken before anything is put in, so that the limits hold at every moment. */
#include "sinks/cache/memory_internal.h"

#include <stdlib.h>

enum { BATCH = 32 /* that go from another shard at once */, TRIES = 100 };

/* Two numbers with a limit each: both are raised, or none. */
static bool take_up_to(_Atomic uint64_t *used, uint64_t by, uint64_t max)
{
	uint64_t now = atomic_load_explicit(used, memory_order_relaxed);

	do {
		if (by > max || now > max - by)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(used, &now, now + by, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void give_back(struct lf_tier *tier, uint64_t entries, uint64_t bytes)
{
	(void)atomic_fetch_sub_explicit(&tier->entries, entries, memory_order_relaxed);
	(void)atomic_fetch_sub_explicit(&tier->bytes, bytes, memory_order_relaxed);
}

static bool reserve(struct lf_tier *tier, uint64_t entries, int64_t bytes)
{
	if (!take_up_to(&tier->entries, entries, tier->max_entries))
		return false;
	if (bytes <= 0 || take_up_to(&tier->bytes, (uint64_t)bytes, tier->max_bytes))
		return true;
	give_back(tier, entries, 0);
	return false;
}

static bool fits(const struct lf_tier *tier, uint64_t entries, int64_t bytes)
{
	uint64_t entries_now = atomic_load_explicit(&tier->entries, memory_order_relaxed);
	uint64_t bytes_now = atomic_load_explicit(&tier->bytes, memory_order_relaxed);

	return tier->max_entries - entries_now >= entries &&
	       (bytes <= 0 || tier->max_bytes - bytes_now >= (uint64_t)bytes);
}

static void count(struct lf_shard *shard, int64_t entries, int64_t bytes)
{
	(void)atomic_fetch_add_explicit(&shard->entries, (uint64_t)entries, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&shard->bytes, (uint64_t)bytes, memory_order_relaxed);
}

void lf_memory_leave(struct lf_tier *tier, struct lf_shard *shard, struct lf_node *node, unsigned why,
                     struct lf_node **dead)
{
	struct lf_slot *slot = lf_memory_slot(tier, shard, node->hash);
	size_t bytes;

	if (slot->floor < node->record->version.clock)
		slot->floor = node->record->version.clock;
	shard->policy.ops->removed(&shard->policy, node);
	lf_links_take(&node->expiry);
	lf_table_take(&shard->table, node);
	bytes = lf_node_bytes(node) + lf_table_shrink(&shard->table);
	count(shard, -1, -(int64_t)bytes);
	give_back(tier, 1, bytes);
	node->place = (uint8_t)why;
	node->next = *dead;
	*dead = node;
}

void lf_memory_bury(struct lf_tier *tier, struct lf_node *dead)
{
	while (dead) {
		struct lf_node *node = dead;

		dead = node->next;
		if (node->place != LF_LEFT_SILENTLY && tier->left)
			tier->left(tier->left_arg, (struct lf_text){ node->key, node->key_len }, node->record,
			           (enum lf_cache_event)node->place);
		lf_record_drop(node->record);
		free(node);
	}
}

/* One leaves: who expired or was forgotten before anybody whom the policy names.  `spare` goes silently. */
static struct lf_node *make_one_leave(struct lf_tier *tier, struct lf_shard *shard, const struct lf_node *spare,
                                      struct lf_node **dead)
{
	struct lf_node *victim;
	bool more;

	do {
		more = false;
		if (lf_memory_clean(tier, shard, 1, &more, dead))
			return *dead;
	} while (more);
	victim = shard->policy.ops->victim(&shard->policy);
	if (victim)
		lf_memory_leave(tier, shard, victim, victim == spare ? LF_LEFT_SILENTLY : LF_CACHE_EVICT, dead);
	return victim;
}

/* Whether the shard holds at least its share, of what there is too much of. */
static bool has_its_share(const struct lf_tier *tier, const struct lf_shard *shard, uint64_t entries)
{
	bool by_entries = !fits(tier, entries, 0);
	uint64_t own = atomic_load_explicit(by_entries ? &shard->entries : &shard->bytes, memory_order_relaxed);
	uint64_t all = atomic_load_explicit(by_entries ? &tier->entries : &tier->bytes, memory_order_relaxed);

	return own > 0 && own >= all / tier->shards;
}

static bool take_from(struct lf_tier *tier, struct lf_shard *shard, uint64_t entries, int64_t bytes, struct lf_node **dead)
{
	unsigned gone = 0;

	(void)pthread_mutex_lock(&shard->lock);
	while (gone < BATCH && !fits(tier, entries, bytes) && make_one_leave(tier, shard, NULL, dead))
		gone++;
	(void)pthread_mutex_unlock(&shard->lock);
	return gone > 0;
}

/* First from those that have more than others, then from anybody. */
static bool take_from_others(struct lf_tier *tier, const struct lf_shard *own, uint64_t entries, int64_t bytes,
                             struct lf_node **dead)
{
	for (unsigned i = 1; i <= 2 * tier->shards; i++) {
		struct lf_shard *shard = &tier->shard[((size_t)(own - tier->shard) + i) % tier->shards];

		if (fits(tier, entries, bytes))
			return true;
		if ((i > tier->shards || has_its_share(tier, shard, entries)) && take_from(tier, shard, entries, bytes, dead))
			return true;
	}
	return false;
}

static void replace(struct lf_tier *tier, struct lf_shard *shard, const struct lf_room_wish *wish, struct lf_node *node,
                    int64_t by)
{
	struct lf_record *before = node->record;

	lf_links_take(&node->expiry);
	node->record = lf_record_keep(wish->record);
	node->generation = wish->generation;
	lf_expiry_add(&shard->expiry, node);
	if (shard->policy.ops->resized)
		shard->policy.ops->resized(&shard->policy, node, by);
	shard->policy.ops->used(&shard->policy, node);
	count(shard, 0, by);
	if (by < 0)
		give_back(tier, 0, (uint64_t)-by);
	lf_record_drop(before);
}

static struct lf_node *new_node(const struct lf_room_wish *wish)
{
	struct lf_node *node = malloc(sizeof(*node) + wish->key.len);

	if (!node)
		return NULL;
	*node = (struct lf_node){
		.hash = wish->hash, .generation = wish->generation, .key_len = (uint16_t)wish->key.len,
		.record = lf_record_keep(wish->record),
	};
	memcpy(node->key, wish->key.data, wish->key.len);
	lf_links_init(&node->queue);
	lf_links_init(&node->expiry);
	return node;
}

/* What is reserved becomes a node, and `growth` what the table grows by; if it does not, that is given back. */
static enum lf_room add(struct lf_tier *tier, struct lf_shard *shard, const struct lf_room_wish *wish, size_t bytes,
                        size_t growth)
{
	struct lf_node *node = new_node(wish);

	if (!node) {
		give_back(tier, 1, bytes);
		return LF_ROOM_NONE;
	}
	if (lf_table_growth(&shard->table) != growth || !lf_table_grow(&shard->table)) {
		give_back(tier, 0, growth);
		bytes -= growth;
	}
	lf_table_put(&shard->table, node);
	shard->policy.ops->added(&shard->policy, node);
	lf_expiry_add(&shard->expiry, node);
	count(shard, 1, (int64_t)bytes);
	return LF_ROOM_PUT;
}

/* What is still to be taken for it. */
static int64_t missing(const struct lf_room_wish *wish, const struct lf_node *node, size_t growth)
{
	int64_t size = (int64_t)lf_block(wish->record->size);

	if (node)
		return size - (int64_t)lf_block(node->record->size);
	return size + (int64_t)(lf_block(sizeof(*node) + wish->key.len) + growth);
}

static bool try_to_put(struct lf_tier *tier, struct lf_shard *shard, const struct lf_room_wish *wish, struct lf_node *node,
                       size_t growth, enum lf_room *out)
{
	int64_t bytes = missing(wish, node, growth);

	if (!reserve(tier, node ? 0 : 1, bytes))
		return false;
	*out = LF_ROOM_PUT;
	if (node)
		replace(tier, shard, wish, node, bytes);
	else
		*out = add(tier, shard, wish, (size_t)bytes, growth);
	return true;
}

enum lf_room lf_memory_insert(struct lf_tier *tier, struct lf_shard *shard, struct lf_room_wish *wish, struct lf_node **node,
                              struct lf_node **dead)
{
	unsigned tries = shard->policy.ops == &lf_policy_none ? 1 : TRIES;
	enum lf_room room = LF_ROOM_NONE;
	size_t growth;
	int64_t bytes;
	bool found;

	for (;;) {
		struct lf_node *left;

		growth = *node ? 0 : lf_table_growth(&shard->table);
		if (try_to_put(tier, shard, wish, *node, growth, &room))
			return room;
		if (wish->in_vain == tries)
			return growth && try_to_put(tier, shard, wish, *node, 0, &room) ? room : LF_ROOM_NONE;
		if (!has_its_share(tier, shard, *node ? 0 : 1))
			break;
		left = make_one_leave(tier, shard, *node, dead);
		if (!left)
			break;
		if (left == *node)
			*node = NULL;
	}
	bytes = missing(wish, *node, growth);
	(void)pthread_mutex_unlock(&shard->lock);
	found = take_from_others(tier, shard, *node ? 0 : 1, bytes, dead);
	(void)pthread_mutex_lock(&shard->lock);
	wish->in_vain += !found;
	return LF_ROOM_AGAIN;
}
