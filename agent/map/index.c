#include "agent/map/index.h"

#include <sys/mman.h>

#include "hashing/sys.h"

void lf_index_init(struct lf_index *index, struct lf_index_table *first)
{
	first->mask = LF_INDEX_FIRST_CELLS - 1;
	atomic_store_explicit(&index->table, first, memory_order_release);
}

static size_t table_bytes(uint32_t mask)
{
	return sizeof(struct lf_index_table) + ((size_t)mask + 1) * sizeof(uint64_t);
}

/* A cell keeps the upper half of the hash, so that half alone decides where it goes: a table can be
 * copied into a larger one without asking what the references refer to. */
static uint32_t place_of(uint32_t tag, uint32_t mask)
{
	return (uint32_t)(((uint64_t)tag * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
}

static void put(struct lf_index_table *table, uint64_t cell)
{
	uint32_t at = place_of((uint32_t)(cell >> 32), table->mask);

	for (uint32_t tries = 0; tries <= table->mask; tries++, at = (at + 1) & table->mask) {
		uint64_t empty = 0;

		/* Release pairs with the acquire in lf_index_next(): who finds the reference
		 * finds what it refers to. */
		if (atomic_compare_exchange_strong_explicit(&table->cells[at], &empty, cell,
		                                            memory_order_release,
		                                            memory_order_relaxed)) {
			atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed);
			return;
		}
	}
}

/* The full table is copied into one of twice the size.  Of two threads that grow it at once, one
 * wins; what a third adds to the old table meanwhile is forgotten. */
static struct lf_index_table *grow(struct lf_index *index, struct lf_index_table *old)
{
	uint32_t mask = old->mask * 2 + 1;
	struct lf_index_table *bigger;
	void *memory;

	if (lf_sys_mmap(NULL, table_bytes(mask), PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
		return old;
	bigger = memory;
	bigger->mask = mask;
	for (uint32_t at = 0; at <= old->mask; at++) {
		uint64_t cell = atomic_load_explicit(&old->cells[at], memory_order_acquire);

		if (cell)
			put(bigger, cell);
	}
	if (atomic_compare_exchange_strong_explicit(&index->table, &old, bigger,
	                                            memory_order_acq_rel, memory_order_acquire))
		return bigger;
	(void)lf_sys_munmap(bigger, table_bytes(mask));
	return old;
}

void lf_index_add(struct lf_index *index, uint64_t hash, lf_ref ref)
{
	struct lf_index_table *table = atomic_load_explicit(&index->table, memory_order_acquire);
	uint32_t used = atomic_load_explicit(&table->used, memory_order_relaxed);

	if (used > table->mask / 4 * 3)
		table = grow(index, table);
	put(table, (hash & ~UINT64_C(0xffffffff)) | ref);
}

struct lf_index_walk lf_index_start(const struct lf_index *index, uint64_t hash)
{
	const struct lf_index_table *table =
		atomic_load_explicit(&index->table, memory_order_acquire);
	uint32_t tag = (uint32_t)(hash >> 32);

	return (struct lf_index_walk){
		.table = table,
		.tag = tag,
		.at = place_of(tag, table->mask),
		.left = table->mask + 1,
	};
}

lf_ref lf_index_next(struct lf_index_walk *walk)
{
	while (walk->left) {
		uint64_t cell = atomic_load_explicit(&walk->table->cells[walk->at],
		                                     memory_order_acquire);

		if (!cell)
			break;
		walk->left--;
		walk->at = (walk->at + 1) & walk->table->mask;
		if ((uint32_t)(cell >> 32) == walk->tag)
			return (lf_ref)cell;
	}
	return 0;
}

size_t lf_index_bytes(const struct lf_index *index)
{
	return table_bytes(atomic_load_explicit(&index->table, memory_order_acquire)->mask);
}
