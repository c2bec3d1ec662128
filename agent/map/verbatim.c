#include "agent/map/verbatim.h"

#include "agent/map/source.h"
#include "hashing/utf8.h"

struct lf_scratch *lf_scratches_take(struct lf_scratches *scratches)
{
	uint32_t taken = atomic_load_explicit(&scratches->taken, memory_order_relaxed);

	while (taken != (1U << LF_SCRATCHES) - 1) {
		unsigned i = (unsigned)__builtin_ctz(~taken);

		/* Acquire pairs with the release of the thread that had it before. */
		if (atomic_compare_exchange_weak_explicit(&scratches->taken, &taken,
		                                          taken | 1U << i, memory_order_acquire,
		                                          memory_order_relaxed))
			return &scratches->each[i];
	}
	return NULL;
}

void lf_scratches_give(struct lf_scratches *scratches, struct lf_scratch *scratch)
{
	if (scratch)
		atomic_fetch_and_explicit(&scratches->taken, ~(1U << (scratch - scratches->each)),
		                          memory_order_release);
}

struct lf_slot *lf_map_find_or_add(struct lf_map *map, const struct lf_map_key *key,
                                   enum lf_kind kind, uint32_t fixed_len)
{
	struct lf_slot *slot = lf_map_find(map, key);
	struct lf_map_key complete;

	if (slot)
		return slot;
	complete = *key;
	lf_source_find(map, &complete);
	return lf_map_add(map, &complete, kind, fixed_len);
}

struct lf_slot *lf_map_verbatim(struct lf_map *map, struct lf_scratches *scratches,
                                struct lf_map_key key, enum lf_kind kind, uint32_t fixed_len)
{
	struct lf_scratch *scratch = NULL;
	struct lf_slot *slot;

	if (key.template.len > LF_TEMPLATE_MAX || !lf_utf8_is_clean(key.template)) {
		scratch = lf_scratches_take(scratches);
		if (!scratch)
			return NULL;
		key.template.len = lf_utf8_escape(key.template, scratch->masked, LF_TEMPLATE_MAX);
		key.template.data = scratch->masked;
		fixed_len = 0; /* another text may come to the same template */
	}
	key.hash = lf_map_hash(key.template);
	slot = lf_map_find_or_add(map, &key, kind, fixed_len);
	lf_scratches_give(scratches, scratch);
	return slot;
}
