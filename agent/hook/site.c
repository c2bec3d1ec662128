#include "agent/hook/site.h"

#include "hashing/sys.h"

static const uintptr_t CLAIMED = 1; /* no code returns there */

static size_t table_bytes(uint32_t mask)
{
	return sizeof(struct lf_sites) + mask + sizeof(struct lf_site);
}

static uint32_t mask_of(uint32_t cells)
{
	return (cells - 1) * (uint32_t)sizeof(struct lf_site);
}

static uint32_t cells_of(const struct lf_sites *sites)
{
	return sites->mask / (uint32_t)sizeof(struct lf_site) + 1;
}

static uint32_t next(const struct lf_sites *sites, uint32_t at)
{
	return (at + (uint32_t)sizeof(struct lf_site)) & sites->mask;
}

static struct lf_sites *new_table(uint32_t cells)
{
	void *memory;
	struct lf_sites *sites;

	if (lf_sys_mmap(NULL, table_bytes(mask_of(cells)), PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
		return NULL;
	sites = memory;
	sites->mask = mask_of(cells);
	return sites;
}

bool lf_sites_init(struct lf_site_cache *cache)
{
	struct lf_sites *first = new_table(LF_SITES_FIRST);

	atomic_store_explicit(&cache->sites, first, memory_order_release);
	return first != NULL;
}

uint64_t lf_site_find(const struct lf_site_cache *cache, const void *ret, uint64_t text,
                      uint64_t len)
{
	const struct lf_sites *sites = atomic_load_explicit(&cache->sites, memory_order_acquire);
	uint32_t at = lf_site_start((uintptr_t)ret, text, sites->mask);

	for (unsigned tries = 0; tries < LF_SITES_PROBES; tries++, at = next(sites, at)) {
		const struct lf_site *cell = lf_site_at(sites, at);
		uint64_t target;

		if (lf_site_match(cell, ret, text, len, &target))
			return target;
		if (!atomic_load_explicit(&cell->ret, memory_order_relaxed))
			break;
	}
	return 0;
}

/* The cell with that key: the one that has it, or a free one that is given it.  NULL where neither is
 * near. */
static struct lf_site *cell_for(const struct lf_site_cache *cache, struct lf_sites *sites, uintptr_t ret,
                                uint64_t text, uint64_t len)
{
	uint32_t at = lf_site_start(ret, text, sites->mask);

	for (unsigned tries = 0; tries < LF_SITES_PROBES; tries++, at = next(sites, at)) {
		struct lf_site *cell = lf_site_at(sites, at);
		uintptr_t found = 0;

		if (atomic_compare_exchange_strong_explicit(&cell->ret, &found, CLAIMED,
		                                            memory_order_acquire,
		                                            memory_order_acquire)) {
			/* In a table that was replaced, and emptied since, the cell may have had
			 * another key, which somebody has just found there: it gets no new one. */
			if (atomic_load(&cache->sites) != sites)
				return NULL;
			cell->text = text;
			cell->len = len;
			/* Release pairs with the acquire in lf_site_match(). */
			atomic_store_explicit(&cell->ret, ret, memory_order_release);
			atomic_fetch_add_explicit(&sites->used, 1, memory_order_relaxed);
			return cell;
		}
		if (found == ret && cell->text == text && cell->len == len)
			return cell;
	}
	return NULL;
}

/* Twice as large, unless most of its sites have lost their targets: code that came and went. */
static uint32_t cells_wanted(const struct lf_sites *old)
{
	uint32_t cells = cells_of(old), live = 0;

	for (uint32_t i = 0; i < cells; i++)
		live += atomic_load_explicit(&old->cells[i].target, memory_order_relaxed) != 0;
	return live > cells / 2 ? cells * 2 : cells;
}

/* Of two threads that replace the table at once one wins. */
static struct lf_sites *replace(struct lf_site_cache *cache, struct lf_sites *old)
{
	struct lf_sites *full = old, *fresh = new_table(cells_wanted(old));
	size_t bytes = table_bytes(old->mask);

	if (!fresh)
		return old;
	if (!atomic_compare_exchange_strong(&cache->sites, &old, fresh)) {
		(void)lf_sys_munmap(fresh, table_bytes(fresh->mask));
		return old;
	}
	/* Who is still in it finds zeros from now on, and so no site; a mask of 0 is one cell. */
	(void)lf_sys_madvise(full, bytes, MADV_DONTNEED);
	return fresh;
}

void lf_site_add(struct lf_site_cache *cache, const void *ret, uint64_t text, uint64_t len,
                 uint64_t target)
{
	struct lf_sites *table = atomic_load(&cache->sites);
	uint32_t used = atomic_load_explicit(&table->used, memory_order_relaxed);
	struct lf_site *cell;

	if (atomic_load(&cache->unloading))
		return;
	if (used > cells_of(table) / 4 * 3)
		table = replace(cache, table);
	cell = cell_for(cache, table, (uintptr_t)ret, text, len);
	if (!cell)
		cell = cell_for(cache, replace(cache, table), (uintptr_t)ret, text, len);
	if (!cell)
		return;
	/* The caller is in a call of that code, which goes when it has returned at the earliest.  A
	 * module that began to go meanwhile either found this target when it took them away, or is
	 * seen here: all four steps are sequentially consistent. */
	atomic_store(&cell->target, target);
	if (atomic_load(&cache->unloading))
		atomic_store(&cell->target, 0);
}

/* As above; of another step that came into that place meanwhile, too, nothing is left. */
void lf_step_put(struct lf_site_cache *cache, const void *ret, uint64_t step)
{
	_Atomic uint64_t *place = &cache->steps[(uintptr_t)ret % LF_STEPS];

	if (atomic_load(&cache->unloading))
		return;
	atomic_store(place, step);
	if (atomic_load(&cache->unloading))
		atomic_store(place, 0);
}

void lf_sites_unload_begin(struct lf_site_cache *cache)
{
	struct lf_sites *sites;

	atomic_fetch_add(&cache->unloading, 1);
	/* Who replaces the table from here on sees `unloading`. */
	sites = atomic_load(&cache->sites);
	for (uint32_t i = 0; i < cells_of(sites); i++)
		if (atomic_load(&sites->cells[i].target))
			atomic_store(&sites->cells[i].target, 0);
	for (uint32_t i = 0; i < LF_STEPS; i++)
		if (atomic_load(&cache->steps[i]))
			atomic_store(&cache->steps[i], 0);
}

void lf_sites_unload_end(struct lf_site_cache *cache)
{
	atomic_fetch_sub_explicit(&cache->unloading, 1, memory_order_release);
}
