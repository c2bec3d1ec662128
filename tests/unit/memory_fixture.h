/* A memory tier of a test's own, and a walk over all that is in it. */
#ifndef LOGFOLD_TESTS_UNIT_MEMORY_FIXTURE_H
#define LOGFOLD_TESTS_UNIT_MEMORY_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "sinks/cache/memory_internal.h"

struct memory {
	struct lf_tier *tier;
	_Atomic int64_t now_ms;
	_Atomic unsigned left[LF_CACHE_EVENTS];
	_Atomic uint64_t clock; /* of the last version */
	char last_left[64];
	bool one_thread;
};

static inline int64_t memory_clock(void *arg)
{
	return ((struct memory *)arg)->now_ms;
}

static inline void memory_left(void *arg, struct lf_text key, const struct lf_record *record, enum lf_cache_event why)
{
	struct memory *memory = arg;

	(void)record;
	memory->left[why]++;
	if (memory->one_thread)
		(void)snprintf(memory->last_left, sizeof(memory->last_left), "%.*s", (int)key.len, key.data);
}

static inline int memory_open(struct memory *memory, const struct lf_cache_memory_options *options, struct lf_error *err)
{
	struct lf_tier_options all = {
		.scope = "app:env:", .clock_ms = memory_clock, .clock_arg = memory, .left = memory_left, .left_arg = memory,
		.memory = options,
	};

	*memory = (struct memory){ .now_ms = 1000000, .one_thread = true };
	return lf_tier_memory.open(&memory->tier, &all, err);
}

static inline struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static inline struct lf_record *a_record(struct memory *memory, size_t size, int64_t ttl_ms)
{
	char *value = calloc(1, size + 1);
	struct lf_record from = { .type = LF_RECORD_STRING, .value = { value, size } }, *record;

	from.version.clock = ++memory->clock;
	from.expires_ms = ttl_ms ? memory->now_ms + ttl_ms : 0;
	record = lf_record_new(&from);
	free(value);
	return record;
}

static inline struct lf_record *a_tombstone(struct memory *memory)
{
	const struct lf_record from = { .type = LF_RECORD_GONE, .version.clock = ++memory->clock };

	return lf_record_new(&from);
}

/* Stores it and lets it go. */
static inline enum lf_tier_result memory_store(struct memory *memory, const char *key, struct lf_record *record,
                                               enum lf_tier_stored *stored)
{
	struct lf_tier_store store = { .key = text_of(key), .record = record, .condition = LF_IF_NEWER };
	enum lf_tier_result result = lf_tier_memory.store(memory->tier, &store, 1, 0, NULL);

	lf_record_drop(record);
	if (stored)
		*stored = store.stored;
	return result;
}

static inline enum lf_tier_result memory_set(struct memory *memory, const char *key, size_t size)
{
	return memory_store(memory, key, a_record(memory, size, 0), NULL);
}

static inline bool memory_has(struct memory *memory, const char *key)
{
	struct lf_record *record = lf_memory_get(memory->tier, text_of(key));

	lf_record_drop(record);
	return record != NULL;
}

static inline uint64_t bytes_of_one(const char *key, size_t size)
{
	struct memory none = { 0 };
	struct lf_record *record = a_record(&none, size, 0);
	uint64_t bytes = lf_block(sizeof(struct lf_node) + strlen(key)) + lf_block(record->size);

	lf_record_drop(record);
	return bytes;
}

/* What is there, each node by itself; NULL, or what does not agree with what is accounted. */
struct walked {
	uint64_t entries, bytes;
};
static inline const char *walk_shard(struct lf_shard *shard, struct walked *out)
{
	struct walked own = { 0, lf_table_bytes(&shard->table) };
	uint64_t position = 0;

	do {
		for (struct lf_node *node = lf_table_walk(&shard->table, &position); node; node = node->next) {
			own.entries++;
			own.bytes += lf_node_bytes(node);
			if (lf_table_find(&shard->table, node->hash, (struct lf_text){ node->key, node->key_len }) != node)
				return "a node is not found by its key";
		}
	} while (position != 0);
	if (own.entries != shard->table.nodes || own.entries != shard->entries)
		return "a shard counts other entries than it has";
	if (own.bytes != shard->bytes)
		return "a shard counts other bytes than it has";
	out->entries += own.entries;
	out->bytes += own.bytes;
	return NULL;
}

static inline const char *memory_walk(struct memory *memory, struct walked *out)
{
	const char *wrong = NULL;

	*out = (struct walked){ 0, 0 };
	for (unsigned i = 0; !wrong && i < memory->tier->shards; i++)
		wrong = walk_shard(&memory->tier->shard[i], out);
	if (!wrong && (out->entries != memory->tier->entries || out->bytes != memory->tier->bytes))
		wrong = "the tier counts other than it has";
	if (!wrong && (out->entries > memory->tier->max_entries || out->bytes > memory->tier->max_bytes))
		wrong = "there is more than there may be";
	return wrong;
}

/* For Criterion's tests. */
#ifdef cr_assert
static inline void memory_open_with(struct memory *memory, enum lf_cache_policy policy, uint64_t max_entries, uint64_t max_bytes,
                                    unsigned shards)
{
	const struct lf_cache_memory_options options = {
		.policy = policy, .max_entries = max_entries, .max_bytes = max_bytes, .shards = shards,
	};
	struct lf_error err = { "" };

	cr_assert_eq(memory_open(memory, &options, &err), 0, "%s", err.text);
}

static inline void assert_exact(struct memory *memory)
{
	struct walked walked;
	const char *wrong = memory_walk(memory, &walked);

	cr_assert_null(wrong, "%s", wrong);
}

static inline void memory_close(struct memory *memory)
{
	assert_exact(memory);
	lf_tier_memory.close(memory->tier);
}
#endif

#endif
