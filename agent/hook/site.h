/* The call-site cache: from the addresses of a call to what it counts into, in a few loads.
 *
 * The key is the return address, the address of the format or text (NULL: whatever the text), and
 * the call (method, fd, length).  An address may be cached only while what stands there cannot
 * change: both in a loaded module, the text in a constant segment (hashing/frame.h).  When a module
 * goes (dlclose) the whole cache is emptied, and while one goes nothing is added.
 *
 * Lock-free.  A cell is claimed by CAS on its return address, filled, then published; a reader
 * checks the return address again after it has read the rest, because an emptied cell may be filled
 * anew under its eyes.
 */
#ifndef LOGFOLD_HOOK_SITE_H
#define LOGFOLD_HOOK_SITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LF_SITES_FIRST = 128, LF_SITES_PROBES = 16 };

struct lf_site {
	_Atomic uintptr_t ret; /* 0: empty; 1: being filled */
	_Atomic uintptr_t text;
	_Atomic uint64_t call;
	_Atomic uint64_t target; /* never 0 */
};
_Static_assert(sizeof(struct lf_site) == 32, "two cells a cache line");

struct lf_sites {
	uint32_t mask;
	_Atomic uint32_t used;
	uint64_t reserved[3];
	struct lf_site cells[];
};

/* Outgrown tables stay mapped for readers that are still in them; together they are at most as
 * large as the current one. */
struct lf_site_cache {
	_Atomic(struct lf_sites *) sites;
	_Atomic int unloading; /* dlclose calls under way in this process */
};

/* `call` of a call with a text of `len` bytes (0 where the text ends itself); `method` as
 * lf_method_code(). */
static inline uint64_t lf_site_call(uint32_t method, size_t len)
{
	return (uint64_t)len << 32 | method;
}

static inline uint32_t lf_site_start(uintptr_t ret, uintptr_t text, uint32_t mask)
{
	/* Fibonacci hashing of both addresses; the upper half is the well-mixed one. */
	return (uint32_t)((ret * UINT64_C(0x9e3779b97f4a7c15) ^
	                   text * UINT64_C(0xc2b2ae3d27d4eb4f)) >> 32) & mask;
}

/* The target, or 0. */
static inline uint64_t lf_site_find(const struct lf_sites *sites, const void *ret,
                                    const void *text, uint64_t call)
{
	uint32_t at = lf_site_start((uintptr_t)ret, (uintptr_t)text, sites->mask);

	for (unsigned tries = 0; tries < LF_SITES_PROBES; tries++, at = (at + 1) & sites->mask) {
		const struct lf_site *cell = &sites->cells[at];
		/* Acquire pairs with the release in lf_site_add(). */
		uintptr_t found = atomic_load_explicit(&cell->ret, memory_order_acquire);

		if (found == (uintptr_t)ret &&
		    atomic_load_explicit(&cell->text, memory_order_acquire) == (uintptr_t)text &&
		    atomic_load_explicit(&cell->call, memory_order_acquire) == call) {
			uint64_t target = atomic_load_explicit(&cell->target, memory_order_acquire);

			if (atomic_load_explicit(&cell->ret, memory_order_relaxed) == found)
				return target;
		}
		if (!found)
			break;
	}
	return 0;
}

/* The first table; false when there is no memory. */
bool lf_sites_init(struct lf_site_cache *cache);

/* Adds, growing the table where it is full.  Forgets rather than waits: a cache may. */
void lf_site_add(struct lf_site_cache *cache, const void *ret, const void *text, uint64_t call,
                 uint64_t target);

/* Around a dlclose: empties the cache, and nothing is added until the matching _end. */
void lf_sites_unload_begin(struct lf_site_cache *cache);
void lf_sites_unload_end(struct lf_site_cache *cache);

#endif
