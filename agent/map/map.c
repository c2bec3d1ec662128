#include "agent/map/map.h"

#include <string.h>

#include "agent/map/index.h"
#include "agent/map/segment_file.h"
#include "hashing/entry_id.h"
#include "hashing/sys.h"
#include "hashing/utf8.h"

/* The owner's handle, in anonymous memory of its own. */
struct lf_map {
	struct lf_segment *segment; /* chunk 0 */
	_Atomic(char *) chunks[LF_CHUNKS_MAX];
	struct lf_index entries;    /* struct lf_slot, by key */
	struct lf_index strings;    /* struct lf_string, by content */
	_Atomic uint32_t entries_count;
	uint32_t entries_max;
	_Atomic uint32_t full;      /* growing failed once: do not try on each new message */
	struct lf_segment_file file;
	char first_entries[LF_INDEX_FIRST_BYTES] __attribute__((aligned(8)));
	char first_strings[LF_INDEX_FIRST_BYTES] __attribute__((aligned(8)));
};

static void *at(const struct lf_map *map, lf_ref ref)
{
	return atomic_load_explicit(&map->chunks[ref / LF_CHUNK_BYTES], memory_order_acquire) +
	       ref % LF_CHUNK_BYTES;
}

uint64_t lf_map_hash(struct lf_text text)
{
	uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ text.len;

	for (; text.len >= 8; text.data += 8, text.len -= 8) {
		uint64_t word;

		memcpy(&word, text.data, 8);
		hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
		hash ^= hash >> 32;
	}
	for (; text.len; text.data++, text.len--)
		hash = (hash ^ (uint8_t)*text.data) * UINT64_C(0x100000001b3);
	hash ^= hash >> 29;
	return hash * UINT64_C(0xc4ceb9fe1a85ec53);
}

int lf_map_create(struct lf_map **out, const struct lf_map_options *options)
{
	const struct lf_segment_facts facts = { options->namespace, options->owner_pid,
		                                options->run_id };
	struct lf_map *map;
	void *memory;
	int rc = lf_sys_mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory);

	if (rc < 0)
		return rc;
	map = memory;
	rc = lf_segment_file_create(&map->file, options->run_dir, &facts, &map->segment);
	if (rc < 0) {
		(void)lf_sys_munmap(map, sizeof(*map));
		return rc;
	}
	map->entries_max = options->entries_max ? options->entries_max : LF_ENTRIES_DEFAULT;
	lf_index_init(&map->entries, (struct lf_index_table *)map->first_entries);
	lf_index_init(&map->strings, (struct lf_index_table *)map->first_strings);
	atomic_store_explicit(&map->chunks[0], (char *)map->segment, memory_order_release);
	*out = map;
	return 0;
}

void lf_map_discard(struct lf_map *map)
{
	lf_segment_file_remove(&map->file);
	(void)lf_sys_munmap(map->segment, LF_CHUNK_BYTES);
	(void)lf_sys_munmap(map, sizeof(*map));
}

/* Several threads may add chunk `n` at once: the reservation is the same for all, one mapping is
 * kept, and the chunk counts as there once `chunks` says so. */
static int grow(struct lf_map *map, uint32_t n)
{
	char *none = NULL, *mapped;
	int rc;

	if (n >= LF_CHUNKS_MAX || atomic_load_explicit(&map->full, memory_order_relaxed))
		return -ENOSPC;
	rc = lf_segment_file_grow(&map->file, n, &mapped);
	/* Want of fds or memory passes; want of room is not asked about on each new message. */
	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG)
		atomic_store_explicit(&map->full, 1, memory_order_relaxed);
	if (rc < 0)
		return rc;
	if (!atomic_compare_exchange_strong_explicit(&map->chunks[n], &none, mapped,
	                                             memory_order_release, memory_order_relaxed))
		(void)lf_sys_munmap(mapped, LF_CHUNK_BYTES);
	/* Release pairs with the acquire in claim(): who may use the chunk finds its mapping. */
	atomic_compare_exchange_strong_explicit(&map->segment->chunks, &n, n + 1,
	                                        memory_order_release, memory_order_relaxed);
	return 0;
}

struct claim {
	lf_ref slot; /* 0 when none was asked for */
	lf_ref text;
};

static bool claim_in(struct lf_map *map, uint32_t n, uint32_t slots, uint32_t text_bytes,
                     struct claim *out)
{
	struct lf_chunk *chunk = at(map, n * LF_CHUNK_BYTES);
	uint64_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
	uint64_t next;

	do {
		uint64_t all = lf_chunk_first_slot(n) + lf_chunk_used_text(used) + text_bytes +
		               (lf_chunk_used_slots(used) + slots) * sizeof(struct lf_slot);

		if (all > LF_CHUNK_BYTES)
			return false;
		next = used + slots + ((uint64_t)text_bytes << 32);
	} while (!atomic_compare_exchange_weak_explicit(&chunk->used, &used, next,
	                                                memory_order_relaxed, memory_order_relaxed));
	out->slot = slots ? n * LF_CHUNK_BYTES + lf_chunk_first_slot(n) +
	                            lf_chunk_used_slots(used) * (uint32_t)sizeof(struct lf_slot)
	                  : 0;
	out->text = (n + 1) * LF_CHUNK_BYTES - lf_chunk_used_text(next);
	return true;
}

/* Room for `slots` slots (0 or 1) and so many bytes of text, in the newest chunk or a new one. */
static int claim(struct lf_map *map, uint32_t slots, size_t text_bytes, struct claim *out)
{
	uint32_t text = (uint32_t)((text_bytes + 7) & ~(size_t)7);

	for (;;) {
		uint32_t chunks = atomic_load_explicit(&map->segment->chunks, memory_order_acquire);
		int rc;

		if (claim_in(map, chunks - 1, slots, text, out))
			return 0;
		rc = grow(map, chunks);
		if (rc < 0)
			return rc;
	}
}

static void put_string(const struct lf_map *map, lf_ref ref, struct lf_text text)
{
	struct lf_string *string = at(map, ref);

	string->len = (uint16_t)text.len;
	memcpy(string->bytes, text.data, text.len);
}

static bool string_equals(const struct lf_map *map, lf_ref ref, struct lf_text text)
{
	const struct lf_string *string = at(map, ref);

	return string->len == text.len && memcmp(string->bytes, text.data, text.len) == 0;
}

struct lf_text lf_map_text(const struct lf_map *map, lf_ref ref)
{
	const struct lf_string *string = at(map, ref);

	return (struct lf_text){ string->bytes, string->len };
}

lf_ref lf_map_intern(struct lf_map *map, struct lf_text text)
{
	uint64_t hash = lf_map_hash(text);
	struct lf_index_walk walk = lf_index_start(&map->strings, hash);
	struct claim claimed;
	lf_ref ref;

	while ((ref = lf_index_next(&walk)))
		if (string_equals(map, ref, text))
			return ref;
	if (claim(map, 0, sizeof(struct lf_string) + text.len, &claimed) < 0)
		return 0;
	put_string(map, claimed.text, text);
	lf_index_add(&map->strings, hash, claimed.text);
	return claimed.text;
}

static uint64_t key_hash(const struct lf_map_key *key)
{
	uint64_t hash = key->hash ^ ((uint64_t)key->method << 32 | key->frame);

	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static bool slot_is(const struct lf_map *map, const struct lf_slot *slot,
                    const struct lf_map_key *key)
{
	return slot->method == key->method && slot->frame == key->frame &&
	       string_equals(map, slot->template, key->template);
}

struct lf_slot *lf_map_find(const struct lf_map *map, const struct lf_map_key *key)
{
	struct lf_index_walk walk = lf_index_start(&map->entries, key_hash(key));
	lf_ref ref;

	while ((ref = lf_index_next(&walk))) {
		struct lf_slot *slot = at(map, ref);

		if (slot_is(map, slot, key))
			return slot;
	}
	return NULL;
}

static void fill_slot(const struct lf_map *map, struct lf_slot *slot, const struct lf_map_key *key)
{
	struct lf_identity identity = {
		.method = lf_map_text(map, key->method),
		.template = key->template,
		.frame = lf_map_text(map, key->frame),
	};

	lf_entry_id(&identity, &slot->id);
	slot->first_seen_ms = lf_segment_now_ms();
	if (!slot->first_seen_ms) /* in a sandbox nobody says */
		slot->first_seen_ms = map->segment->created_ms;
	slot->method = key->method;
	slot->frame = key->frame;
	slot->source = key->source;
	slot->source_at = key->source_at;
}

struct lf_slot *lf_map_add(struct lf_map *map, const struct lf_map_key *key, enum lf_kind kind,
                           uint32_t fixed_len)
{
	struct claim claimed;
	struct lf_slot *slot;

	if (atomic_fetch_add_explicit(&map->entries_count, 1, memory_order_relaxed) >=
	            map->entries_max ||
	    claim(map, 1, sizeof(struct lf_string) + key->template.len, &claimed) < 0) {
		atomic_fetch_sub_explicit(&map->entries_count, 1, memory_order_relaxed);
		return NULL;
	}
	put_string(map, claimed.text, key->template);
	slot = at(map, claimed.slot);
	fill_slot(map, slot, key);
	slot->template = claimed.text;
	slot->fixed_len = fixed_len;
	slot->kind = (uint8_t)kind;
	/* Release: a reader that sees READY and then reads the slot reads all of it. */
	atomic_store_explicit(&slot->state, LF_SLOT_READY, memory_order_release);
	lf_index_add(&map->entries, key_hash(key), claimed.slot);
	return slot;
}

struct lf_tail *lf_map_tail(struct lf_map *map, unsigned i, bool make)
{
	lf_ref ref = atomic_load_explicit(&map->segment->tails[i], memory_order_acquire);
	struct claim claimed;

	if (!ref) {
		if (!make || claim(map, 0, sizeof(struct lf_tail), &claimed) < 0)
			return NULL;
		/* The loser of a race wastes its bytes and takes the winner's. */
		if (atomic_compare_exchange_strong_explicit(&map->segment->tails[i], &ref,
		                                            claimed.text, memory_order_acq_rel,
		                                            memory_order_acquire))
			ref = claimed.text;
	}
	return at(map, ref);
}

void lf_map_count_overflow(struct lf_map *map, enum lf_outcome outcome, uint64_t n)
{
	atomic_fetch_add_explicit(&map->segment->overflow[outcome], n, memory_order_relaxed);
}

size_t lf_map_private_bytes(const struct lf_map *map)
{
	return sizeof(*map) + lf_index_bytes(&map->entries) + lf_index_bytes(&map->strings);
}

size_t lf_map_shared_bytes(const struct lf_map *map)
{
	return (size_t)atomic_load_explicit(&map->segment->chunks, memory_order_relaxed) *
	       LF_CHUNK_BYTES;
}
