/* Threads that call out of libraries which others unload and replace, under ThreadSanitizer: no site
 * counts for what lay at its address before.
 *
 * A library is a generation: its calls hold it in place (a read lock), and whoever unloads it waits for
 * them, as a destructor that joins its threads does, after the cache has been told.  So a call may be
 * adding a site while the cache is being emptied.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/hook/site.h"

enum { LIBRARIES = 3, CALLERS = 4, CALLS = 100000, SITES = 300, UNLOADS = 300 };

#define RET(library, site) ((const void *)(uintptr_t)(0x400000 + 0x100000 * (library) + 16 * (site)))

static struct lf_site_cache cache;
static struct {
	pthread_rwlock_t in_place;
	uint64_t generation;
} libraries[LIBRARIES];
static _Atomic int running = CALLERS;
static _Atomic unsigned stale, hits;

static void call(unsigned library, unsigned site)
{
	uint64_t text = lf_site_text(RET(library, site), 1), found, mine;

	pthread_rwlock_rdlock(&libraries[library].in_place);
	mine = (libraries[library].generation * SITES + site + 1) * 8;
	found = lf_site_find_near(atomic_load(&cache.sites), RET(library, site), text, 0);
	if (!found)
		found = lf_site_find(&cache, RET(library, site), text, 0);
	if (!found)
		lf_site_add(&cache, RET(library, site), text, 0, mine);
	else if (found == mine)
		hits++;
	else
		stale++;
	pthread_rwlock_unlock(&libraries[library].in_place);
}

static void *make_calls(void *number)
{
	uint64_t state = (uintptr_t)number + 1;

	for (int i = 0; i < CALLS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		/* Few sites mostly, so that there are hits; all of them now and then, so that it grows. */
		call((unsigned)(state >> 33) % LIBRARIES,
		     (unsigned)(state >> 40) % (i % 8 ? 4 : SITES));
	}
	running--;
	return NULL;
}

static void *unload(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < UNLOADS || running; i++) {
		unsigned library = i % LIBRARIES;

		lf_sites_unload_begin(&cache);
		pthread_rwlock_wrlock(&libraries[library].in_place);
		libraries[library].generation++;
		pthread_rwlock_unlock(&libraries[library].in_place);
		lf_sites_unload_end(&cache);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread[CALLERS + 1];

	if (!lf_sites_init(&cache))
		abort();
	for (int i = 0; i < LIBRARIES; i++)
		(void)pthread_rwlock_init(&libraries[i].in_place, NULL);
	for (uintptr_t i = 0; i < CALLERS + 1; i++)
		if (pthread_create(&thread[i], NULL, i < CALLERS ? make_calls : unload, (void *)i))
			abort();
	for (int i = 0; i < CALLERS + 1; i++)
		(void)pthread_join(thread[i], NULL);
	if (!stale && hits)
		return 0;
	(void)fprintf(stderr, "race_site: %u calls met what lay there before, %u their own\n", stale, hits);
	return 1;
}
