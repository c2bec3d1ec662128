/* The call-site cache: from the addresses of a call to what it counts into, in a few loads.
 *
 * The key is the return address, the address of the format or text (LF_SITE_ANY_TEXT: whatever the text), the
 * method with its fd, and the length of a text that does not end itself.  An address may be cached
 * only while what stands there cannot change: both in a loaded module, the text in a constant segment
 * (hashing/frame.h).  When a module goes, the targets of all sites are taken away, and while one goes
 * none is given.
 *
 * Lock-free.  A cell is claimed by CAS on its return address, filled, then published; from then on its
 * key never changes, only its target does, in one word.  So whoever has found the key needs no second
 * look at it.  A table that is full is replaced by an empty one, which the sites find their way into
 * again: copying could bring back what an unloading thread has just removed.
 */
#ifndef LOGFOLD_HOOK_SITE_H
#define LOGFOLD_HOOK_SITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LF_SITES_FIRST = 128, LF_SITES_PROBES = 16, LF_STEPS = 1024 };

struct lf_site {
	_Atomic uintptr_t ret;   /* 0: empty; 1: being filled; then constant */
	uint64_t text;           /* lf_site_text(); constant once `ret` is there */
	uint64_t len;            /* the same; 0 where the method's texts end themselves */
	_Atomic uint64_t target; /* 0: taken away */
};
_Static_assert(sizeof(struct lf_site) == 32, "two cells a cache line");

struct lf_sites {
	uint32_t mask; /* of byte offsets into `cells`: a multiple of the cell's size, less one cell */
	_Atomic uint32_t used;
	uint64_t reserved[3];
	struct lf_site cells[];
};

/* Outgrown tables stay mapped for readers that are still in them, but their memory is given back. */
struct lf_site_cache {
	_Atomic(struct lf_sites *) sites;
	_Atomic int unloading; /* modules that are going */
	_Atomic uint64_t steps[LF_STEPS]; /* caller.h: by the lowest bits of a return address */
};

/* Where no text is; not NULL, which programs do print. */
#define LF_SITE_ANY_TEXT ((const void *)1)

/* Text address and method in one word, so that one comparison does for both: addresses in user
 * space have 47 bits, and a method code (message.h) has 16. */
static inline uint64_t lf_site_text(const void *text, uint32_t method)
{
	return (uint64_t)(uintptr_t)text ^ (uint64_t)method << 48;
}

/* Byte offset of the site's own cell: a mask of byte offsets saves the shift, and one
 * multiplication mixes both words (Fibonacci hashing; its upper half is the well-mixed one). */
static inline uint32_t lf_site_start(uintptr_t ret, uint64_t text, uint32_t mask)
{
	return (uint32_t)((((uint64_t)ret + text * 9) * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
}

static inline struct lf_site *lf_site_at(const struct lf_sites *sites, uint32_t offset)
{
	return (struct lf_site *)(uintptr_t)((const char *)sites->cells + offset);
}

/* Whether this is the site's cell, and then its target, which may be 0. */
static inline bool lf_site_match(const struct lf_site *cell, const void *ret, uint64_t text,
                                 uint64_t len, uint64_t *target)
{
	/* Acquire pairs with the release that publishes the key in lf_site_add(). */
	if (atomic_load_explicit(&cell->ret, memory_order_acquire) != (uintptr_t)ret ||
	    cell->text != text || (len && cell->len != len))
		return false;
	/* Acquire: who finds the slot finds what is in it. */
	*target = atomic_load_explicit(&cell->target, memory_order_acquire);
	return true;
}

/* The target from the two cells where most sites are, without a loop; 0 says nothing about the
 * others. */
static inline uint64_t lf_site_find_near(const struct lf_sites *sites, const void *ret,
                                         uint64_t text, uint64_t len)
{
	uint32_t at = lf_site_start((uintptr_t)ret, text, sites->mask);
	uint64_t target = 0;

	if (__builtin_expect(lf_site_match(lf_site_at(sites, at), ret, text, len, &target), 1))
		return target;
	at = (at + (uint32_t)sizeof(struct lf_site)) & sites->mask;
	return lf_site_match(lf_site_at(sites, at), ret, text, len, &target) ? target : 0;
}

/* The target, or 0. */
uint64_t lf_site_find(const struct lf_site_cache *cache, const void *ret, uint64_t text,
                      uint64_t len);

/* Puts a step into its place; nothing while a module goes. */
void lf_step_put(struct lf_site_cache *cache, const void *ret, uint64_t step);

/* The first table; false when there is no memory. */
bool lf_sites_init(struct lf_site_cache *cache);

/* Adds, growing the table where it is full.  Forgets rather than waits: a cache may. */
void lf_site_add(struct lf_site_cache *cache, const void *ret, uint64_t text, uint64_t len,
                 uint64_t target);

/* Around the going of a module, while its code can still run: no site has a target any more, and none is
 * given one until the matching _end. */
void lf_sites_unload_begin(struct lf_site_cache *cache);
void lf_sites_unload_end(struct lf_site_cache *cache);

#endif
