#include "sinks/cache/memory_internal.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL /* short keys take half the time so */
#include <xxhash.h>

enum {
	SHARDS_MAX = 1024, SHARDS_CHOSEN = 64,
	SHARD_ENTRIES_MIN = 4096, SHARD_BYTES_MIN = 1 << 20, /* smaller shards would differ too much */
	SLOTS_MIN = 256, SLOTS_OF_ALL = 4096,
};

/* --- opening --------------------------------------------------------------------------------------- */

static unsigned choose_shards(const struct lf_cache_memory_options *options)
{
	unsigned shards = SHARDS_CHOSEN;

	if (options->shards)
		return options->shards;
	while (shards > 1 && ((options->max_entries && options->max_entries / shards < SHARD_ENTRIES_MIN) ||
	                      (options->max_bytes && options->max_bytes / shards < SHARD_BYTES_MIN)))
		shards /= 2;
	return shards;
}

static int init_shard(struct lf_tier *tier, struct lf_shard *shard, const struct lf_policy_ops *policy)
{
	pthread_mutexattr_t spins;
	int rc;

	lf_expiry_init(&shard->expiry);
	(void)pthread_mutexattr_init(&spins);
	(void)pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP); /* it is never held for long */
	(void)pthread_mutex_init(&shard->lock, &spins);
	(void)pthread_mutexattr_destroy(&spins);
	shard->slots = calloc((size_t)tier->slots_mask + 1, sizeof(*shard->slots));
	rc = lf_table_init(&shard->table, policy->marks);
	if (rc == 0)
		rc = lf_policy_init(&shard->policy, policy, &shard->table);
	return shard->slots ? rc : -ENOMEM;
}

static void fini_shard(struct lf_shard *shard)
{
	uint64_t position = 0;

	while (shard->table.nodes) {
		for (struct lf_node *node = lf_table_walk(&shard->table, &position), *next; node; node = next) {
			next = node->next;
			shard->table.nodes--;
			lf_record_drop(node->record);
			free(node);
		}
	}
	lf_policy_fini(&shard->policy);
	lf_table_fini(&shard->table);
	free(shard->slots);
	(void)pthread_mutex_destroy(&shard->lock);
}

static void close_memory(struct lf_tier *tier)
{
	if (!tier)
		return;
	for (unsigned i = 0; i < tier->shards; i++)
		fini_shard(&tier->shard[i]);
	free(tier->shard);
	free(tier);
}

static struct lf_tier *new_tier(const struct lf_tier_options *options, unsigned shards)
{
	struct lf_tier *tier = aligned_alloc(64, (sizeof(*tier) + 63) / 64 * 64);

	if (!tier)
		return NULL;
	*tier = (struct lf_tier){
		.shift = 64 - (unsigned)__builtin_ctz(shards),
		.max_entries = options->memory->max_entries ? options->memory->max_entries : UINT64_MAX,
		.max_bytes = options->memory->max_bytes ? options->memory->max_bytes : UINT64_MAX,
		.slots_mask = (SLOTS_OF_ALL / shards > SLOTS_MIN ? SLOTS_OF_ALL / shards : SLOTS_MIN) - 1,
		.clock_ms = options->clock_ms, .clock_arg = options->clock_arg,
		.left = options->left, .left_arg = options->left_arg,
	};
	if (getrandom(&tier->seed, sizeof(tier->seed), 0) != (ssize_t)sizeof(tier->seed))
		tier->seed = (uint64_t)(uintptr_t)tier ^ (uint64_t)options->clock_ms(options->clock_arg);
	tier->shard = aligned_alloc(64, shards * sizeof(*tier->shard));
	if (!tier->shard) {
		free(tier);
		return NULL;
	}
	memset(tier->shard, 0, shards * sizeof(*tier->shard));
	return tier;
}

static int open_memory(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	const struct lf_policy_ops *policy = lf_policy_of(options->memory->policy);
	unsigned shards = choose_shards(options->memory);
	struct lf_tier *tier;

	if (!policy)
		return lf_fail(err, -EINVAL, "%d is no policy of the memory tier: take LF_CACHE_LRU, LFU, FIFO, S3FIFO or NONE",
		               (int)options->memory->policy);
	if (shards > SHARDS_MAX || (shards & (shards - 1)) != 0)
		return lf_fail(err, -EINVAL, "the memory tier cannot have %u shards: take a power of two up to %d, or 0",
		               shards, SHARDS_MAX);
	tier = new_tier(options, shards);
	for (unsigned i = 0; tier && i < shards; i++) {
		tier->shards = i + 1;
		if (init_shard(tier, &tier->shard[i], policy) < 0) {
			close_memory(tier);
			tier = NULL;
		}
	}
	if (!tier)
		return lf_fail(err, -ENOMEM, "there is no memory for the memory tier's %u shards", shards);
	*out = tier;
	return 0;
}

/* --- reading --------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct lf_tier *tier, struct lf_text key)
{
	return XXH3_64bits_withSeed(key.data, key.len, tier->seed);
}

int64_t lf_memory_real_ms(void *arg)
{
	struct timespec now;

	(void)arg;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The clock that is as old as the last tick takes a quarter of the time, and is good for all but the last second. */
static bool is_far_off(const struct lf_tier *tier, int64_t expires_ms)
{
	struct timespec tick;

	if (tier->clock_ms != lf_memory_real_ms)
		return false;
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &tick);
	return expires_ms > ((int64_t)tick.tv_sec + 2) * 1000;
}

static bool is_over(const struct lf_tier *tier, const struct lf_record *record)
{
	return record->expires_ms != 0 && !is_far_off(tier, record->expires_ms) &&
	       lf_record_expired(record, lf_memory_now(tier));
}

/* The key's node.  One that expired or was forgotten leaves, and is none. */
static struct lf_node *find(struct lf_tier *tier, struct lf_shard *shard, uint64_t hash, struct lf_text key,
                            struct lf_node **dead)
{
	struct lf_node *node = lf_table_find(&shard->table, hash, key);
	bool forgotten;

	if (!node)
		return NULL;
	forgotten = lf_memory_forgotten(tier, node);
	if (!forgotten && !is_over(tier, node->record))
		return node;
	lf_memory_leave(tier, shard, node, forgotten ? LF_LEFT_SILENTLY : LF_CACHE_EXPIRE, dead);
	return NULL;
}

struct lf_record *lf_memory_get(struct lf_tier *tier, struct lf_text key)
{
	uint64_t hash = hash_of(tier, key);
	struct lf_shard *shard = lf_memory_shard(tier, hash);
	struct lf_record *record = NULL;
	struct lf_node *node, *dead = NULL;

	(void)pthread_mutex_lock(&shard->lock);
	node = find(tier, shard, hash, key, &dead);
	if (node) {
		record = lf_record_keep(node->record);
		shard->policy.ops->used(&shard->policy, node);
	}
	(void)pthread_mutex_unlock(&shard->lock);
	if (dead)
		lf_memory_bury(tier, dead);
	return record;
}

static enum lf_tier_result load(struct lf_tier *tier, const struct lf_text *keys, size_t count, struct lf_record **records,
                                int64_t end_ms, struct lf_error *err)
{
	(void)end_ms;
	(void)err;
	for (size_t i = 0; i < count; i++)
		records[i] = lf_memory_get(tier, keys[i]);
	return LF_TIER_DONE;
}

/* --- writing --------------------------------------------------------------------------------------- */

/* A store under way.  Its condition may become another one, where what was there had to make room. */
struct storing {
	struct lf_tier *tier;
	struct lf_shard *shard;
	struct lf_slot *slot;
	struct lf_room_wish wish;
	enum lf_tier_if condition;
	struct lf_version expected;
	bool ticketed; /* instead of that: nothing has changed since the ticket */
	uint64_t ticket;
	struct lf_node *dead;
};

static void begin(struct storing *storing, struct lf_tier *tier, struct lf_text key, const struct lf_record *record)
{
	uint64_t hash = hash_of(tier, key);
	struct lf_shard *shard = lf_memory_shard(tier, hash);

	*storing = (struct storing){
		.tier = tier, .shard = shard, .slot = lf_memory_slot(tier, shard, hash),
		.wish = { .hash = hash, .key = key, .record = record },
	};
	(void)pthread_mutex_lock(&shard->lock);
	storing->wish.generation = atomic_load_explicit(&tier->generation, memory_order_acquire);
}

static void end(struct storing *storing)
{
	(void)pthread_mutex_unlock(&storing->shard->lock);
	lf_memory_bury(storing->tier, storing->dead);
}

static struct lf_node *find_again(struct storing *storing)
{
	return find(storing->tier, storing->shard, storing->wish.hash, storing->wish.key, &storing->dead);
}

static void remove_node(struct storing *storing, struct lf_node *node)
{
	lf_memory_leave(storing->tier, storing->shard, node, LF_LEFT_SILENTLY, &storing->dead);
}

static uint64_t ticket_of(const struct storing *storing)
{
	return (uint64_t)storing->wish.generation << 32 | storing->slot->changes;
}

static int compare(const struct storing *storing, const struct lf_node *node)
{
	return lf_version_compare(storing->wish.record->version, node->record->version);
}

/* Of what was here and went we know only that it was not newer than the slot's floor. */
static bool holds(const struct storing *storing, const struct lf_node *node)
{
	const struct lf_version none = { 0, 0 };

	if (storing->ticketed)
		return storing->ticket == ticket_of(storing) && (!node || compare(storing, node) > 0);
	if (storing->condition == LF_IF_VERSION)
		return lf_version_compare(node ? node->record->version : none, storing->expected) == 0;
	return node ? compare(storing, node) > 0 : storing->wish.record->version.clock > storing->slot->floor;
}

static void raise_floor(struct lf_slot *slot, uint64_t clock)
{
	if (slot->floor < clock)
		slot->floor = clock;
}

static void bury_key(struct storing *storing, struct lf_node *node)
{
	if (node)
		remove_node(storing, node);
	raise_floor(storing->slot, storing->wish.record->version.clock);
}

/* Where what was there had to go for it, and others may have been here since, what they did decides. */
static enum lf_room put(struct storing *storing, struct lf_node *node)
{
	uint64_t ticket = ticket_of(storing);
	bool was = node != NULL;
	enum lf_room room = lf_memory_insert(storing->tier, storing->shard, &storing->wish, &node, &storing->dead);

	if (room == LF_ROOM_AGAIN && was && !node && !storing->ticketed) {
		storing->ticketed = true;
		storing->ticket = ticket;
	}
	return room;
}

/* LF_ROOM_NONE: nothing was stored. */
static enum lf_room store_held(struct storing *storing, enum lf_tier_stored *stored)
{
	enum lf_room room = LF_ROOM_AGAIN;

	while (room == LF_ROOM_AGAIN) {
		struct lf_node *node = find_again(storing);

		*stored = LF_NOT_STORED;
		if (!holds(storing, node))
			return LF_ROOM_PUT;
		if (storing->wish.record->type == LF_RECORD_GONE) {
			bury_key(storing, node);
			room = LF_ROOM_PUT;
		} else {
			room = put(storing, node);
		}
	}
	*stored = room == LF_ROOM_PUT ? LF_STORED : LF_NOT_STORED;
	return room;
}

static bool too_big(const struct lf_tier *tier, struct lf_text key, const struct lf_record *record)
{
	if (record->type == LF_RECORD_GONE)
		return false;
	return key.len > UINT16_MAX ||
	       lf_block(sizeof(struct lf_node) + key.len) + lf_block(record->size) > tier->max_bytes;
}

static enum lf_tier_result store_one(struct lf_tier *tier, struct lf_tier_store *store, struct lf_error *err)
{
	struct storing storing;
	enum lf_room room;

	store->stored = LF_NOT_STORED;
	if (too_big(tier, store->key, store->record)) {
		(void)lf_fail(err, -ENOSPC, "a value of %zu bytes does not fit into the memory tier's %llu bytes", store->record->size,
		              (unsigned long long)tier->max_bytes);
		return LF_TIER_FULL;
	}
	begin(&storing, tier, store->key, store->record);
	storing.condition = store->condition;
	storing.expected = store->expected;
	room = store_held(&storing, &store->stored);
	storing.slot->changes += store->stored == LF_STORED;
	end(&storing);
	if (room != LF_ROOM_NONE)
		return LF_TIER_DONE;
	(void)lf_fail(err, -ENOSPC, "the memory tier is full, and nothing may go: raise its limits, or give it another policy");
	return LF_TIER_FULL;
}

static enum lf_tier_result store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                 struct lf_error *err)
{
	enum lf_tier_result all = LF_TIER_DONE;

	(void)end_ms;
	for (size_t i = 0; i < count; i++) {
		enum lf_tier_result one = store_one(tier, &stores[i], err);

		if (one != LF_TIER_DONE)
			all = one;
	}
	return all;
}

/* --- filling --------------------------------------------------------------------------------------- */

uint64_t lf_memory_ticket(struct lf_tier *tier, struct lf_text key)
{
	struct storing reading;
	uint64_t ticket;

	begin(&reading, tier, key, NULL);
	ticket = ticket_of(&reading);
	end(&reading);
	return ticket;
}

/* What is older goes, whatever becomes of the record.  Returns whether nothing can have changed since the ticket. */
static bool place(struct storing *storing, uint64_t ticket, enum lf_room *room)
{
	enum lf_tier_stored stored = LF_NOT_STORED;
	struct lf_node *node;

	storing->ticketed = true;
	storing->ticket = ticket;
	*room = LF_ROOM_NONE;
	if (!too_big(storing->tier, storing->wish.key, storing->wish.record))
		*room = store_held(storing, &stored);
	node = find_again(storing);
	if (node && compare(storing, node) > 0) {
		remove_node(storing, node);
		node = NULL;
	}
	return ticket == ticket_of(storing) && (!node || compare(storing, node) == 0);
}

void lf_memory_fill(struct lf_tier *tier, struct lf_text key, const struct lf_record *record, uint64_t ticket)
{
	struct storing storing;
	enum lf_room room;

	begin(&storing, tier, key, record);
	(void)place(&storing, ticket, &room);
	end(&storing);
}

enum lf_tier_result lf_memory_put(struct lf_tier *tier, struct lf_text key, const struct lf_record *record, uint64_t ticket,
                                  bool *current)
{
	struct storing storing;
	enum lf_room room;

	begin(&storing, tier, key, record);
	*current = place(&storing, ticket, &room);
	storing.slot->changes++;
	raise_floor(storing.slot, record->version.clock);
	end(&storing);
	return room == LF_ROOM_NONE ? LF_TIER_FULL : LF_TIER_DONE;
}

void lf_memory_remove(struct lf_tier *tier, struct lf_text key, struct lf_version version)
{
	struct storing removing;
	struct lf_node *node;

	begin(&removing, tier, key, NULL);
	removing.slot->changes++;
	raise_floor(removing.slot, version.clock);
	node = find_again(&removing);
	if (node && (lf_version_is_none(version) || lf_version_compare(node->record->version, version) < 0))
		remove_node(&removing, node);
	end(&removing);
}

void lf_memory_forget(struct lf_tier *tier)
{
	(void)atomic_fetch_add_explicit(&tier->generation, 1, memory_order_acq_rel);
}

/* --- the rest of what a tier does ------------------------------------------------------------------- */

static enum lf_tier_result ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err)
{
	(void)tier;
	(void)end_ms;
	(void)err;
	mark[0] = '\0';
	return LF_TIER_DONE;
}

/* Where memory is the only tier, the stack's own stamps are all there are, and nobody else raises them. */
static enum lf_tier_result stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                  int64_t end_ms, struct lf_error *err)
{
	(void)tier;
	(void)names;
	(void)end_ms;
	(void)err;
	memset(out, 0, count * sizeof(*out));
	return LF_TIER_DONE;
}

static enum lf_tier_result raise_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                        uint64_t *out, int64_t end_ms, struct lf_error *err)
{
	(void)tier;
	(void)names;
	(void)end_ms;
	(void)err;
	for (size_t i = 0; i < count; i++)
		out[i] = to;
	return LF_TIER_DONE;
}

static enum lf_tier_result info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err)
{
	(void)end_ms;
	(void)err;
	*out = (struct lf_tier_info){
		.items = atomic_load_explicit(&tier->entries, memory_order_relaxed),
		.bytes = atomic_load_explicit(&tier->bytes, memory_order_relaxed),
		.limit_bytes = tier->max_bytes == UINT64_MAX ? 0 : tier->max_bytes,
	};
	return LF_TIER_DONE;
}

const struct lf_tier_ops lf_tier_memory = {
	.abi = LF_TIER_ABI,
	.name = "memory",
	.open = open_memory,
	.close = close_memory,
	.ping = ping,
	.load = load,
	.store = store,
	.scan = lf_memory_scan,
	.drop = lf_memory_drop,
	.stamps = stamps,
	.raise = raise_stamps,
	.tend = lf_memory_tend,
	.info = info,
};
