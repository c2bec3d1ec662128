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

static bool put(struct lf_sites *sites, uintptr_t ret, uint64_t text, uint64_t len,
                uint64_t target)
{
	uint32_t at = lf_site_start(ret, text, sites->mask);

	for (unsigned tries = 0; tries < LF_SITES_PROBES; tries++, at = next(sites, at)) {
		struct lf_site *cell = lf_site_at(sites, at);
		uintptr_t empty = 0;

		if (!atomic_compare_exchange_strong_explicit(&cell->ret, &empty, CLAIMED,
		                                             memory_order_acquire,
		                                             memory_order_relaxed))
			continue;
		atomic_store_explicit(&cell->text, text, memory_order_relaxed);
		atomic_store_explicit(&cell->len, len, memory_order_relaxed);
		atomic_store_explicit(&cell->target, target, memory_order_relaxed);
		/* Release pairs with the acquire in lf_site_find(). */
		atomic_store_explicit(&cell->ret, ret, memory_order_release);
		atomic_fetch_add_explicit(&sites->used, 1, memory_order_relaxed);
		return true;
	}
	return false;
}

/* Of two threads that grow the table at once one wins. */
static struct lf_sites *grow(struct lf_site_cache *cache, struct lf_sites *old)
{
	struct lf_sites *bigger = new_table(cells_of(old) * 2);

	if (!bigger)
		return old;
	if (atomic_compare_exchange_strong_explicit(&cache->sites, &old, bigger,
	                                            memory_order_acq_rel, memory_order_acquire))
		return bigger;
	(void)lf_sys_munmap(bigger, table_bytes(bigger->mask));
	return old;
}

void lf_site_add(struct lf_site_cache *cache, const void *ret, uint64_t text, uint64_t len,
                 uint64_t target)
{
	struct lf_sites *table = atomic_load_explicit(&cache->sites, memory_order_acquire);
	uint32_t used = atomic_load_explicit(&table->used, memory_order_relaxed);

	if (atomic_load_explicit(&cache->unloading, memory_order_acquire))
		return;
	if (used > cells_of(table) / 4 * 3)
		table = grow(cache, table);
	if (!put(table, (uintptr_t)ret, text, len, target))
		(void)put(grow(cache, table), (uintptr_t)ret, text, len, target);
}

void lf_step_put(struct lf_site_cache *cache, const void *ret, uint64_t step)
{
	if (!atomic_load_explicit(&cache->unloading, memory_order_acquire))
		atomic_store_explicit(&cache->steps[(uintptr_t)ret % LF_STEPS], step,
		                      memory_order_relaxed);
}

void lf_sites_unload_begin(struct lf_site_cache *cache)
{
	struct lf_sites *sites = atomic_load_explicit(&cache->sites, memory_order_acquire);

	/* Whoever adds a site after this line sees `unloading`; whoever was adding one before is in
	 * a call of that very module, which the host therefore may not unload yet. */
	atomic_fetch_add_explicit(&cache->unloading, 1, memory_order_seq_cst);
	for (uint32_t i = 0; i < cells_of(sites); i++) {
		uintptr_t ret = atomic_load_explicit(&sites->cells[i].ret, memory_order_relaxed);

		/* A claimed cell is left to its claimer. */
		if (ret > CLAIMED)
			atomic_compare_exchange_strong_explicit(&sites->cells[i].ret, &ret, 0,
			                                        memory_order_release,
			                                        memory_order_relaxed);
	}
	atomic_store_explicit(&sites->used, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < LF_STEPS; i++)
		atomic_store_explicit(&cache->steps[i], 0, memory_order_relaxed);
}

void lf_sites_unload_end(struct lf_site_cache *cache)
{
	atomic_fetch_sub_explicit(&cache->unloading, 1, memory_order_release);
}
