#include "sinks/cache/prefixes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PREFIXES = 64, KEPT_MS = 60000 };

struct prefix {
	char *text;
	size_t len;
	uint64_t upto;
	int64_t since_ms;
};

struct lf_prefixes {
	/* Whether there is anything to look at; set before the prefix holds, cleared by who finds them all old. */
	_Atomic bool any;
	_Atomic int64_t until_ms; /* when the youngest is old */
	_Atomic uint64_t floor;
	size_t scope;
	pthread_rwlock_t lock; /* of what follows */
	unsigned count;
	struct prefix at[PREFIXES];
};

/* Exact to a few milliseconds, and a quarter of the price: read on the way of a hit. */
static int64_t coarse_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct lf_prefixes *lf_prefixes_new(size_t scope)
{
	struct lf_prefixes *prefixes = calloc(1, sizeof(*prefixes));

	if (!prefixes)
		return NULL;
	(void)pthread_rwlock_init(&prefixes->lock, NULL);
	prefixes->scope = scope;
	return prefixes;
}

void lf_prefixes_free(struct lf_prefixes *prefixes)
{
	if (!prefixes)
		return;
	for (unsigned i = 0; i < prefixes->count; i++)
		free(prefixes->at[i].text);
	(void)pthread_rwlock_destroy(&prefixes->lock);
	free(prefixes);
}

/* --- with the lock held for writing ---------------------------------------------------------------- */

static void take_off(struct lf_prefixes *prefixes, unsigned i)
{
	free(prefixes->at[i].text);
	prefixes->at[i] = prefixes->at[--prefixes->count];
}

static void take_off_old(struct lf_prefixes *prefixes, int64_t now_ms)
{
	for (unsigned i = prefixes->count; i-- > 0;)
		if (prefixes->at[i].since_ms + KEPT_MS <= now_ms)
			take_off(prefixes, i);
}

static void raise_floor(struct lf_prefixes *prefixes)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < prefixes->count; i++)
		if (prefixes->at[i].since_ms < prefixes->at[oldest].since_ms)
			oldest = i;
	if (prefixes->at[oldest].upto > atomic_load_explicit(&prefixes->floor, memory_order_relaxed))
		/* Pairs with the acquire in lf_prefixes_pass(). */
		atomic_store_explicit(&prefixes->floor, prefixes->at[oldest].upto, memory_order_release);
	take_off(prefixes, oldest);
}

static struct prefix *find(struct lf_prefixes *prefixes, struct lf_text prefix)
{
	for (unsigned i = 0; i < prefixes->count; i++)
		if (prefixes->at[i].len == prefix.len && memcmp(prefixes->at[i].text, prefix.data, prefix.len) == 0)
			return &prefixes->at[i];
	return NULL;
}

static int note(struct lf_prefixes *prefixes, struct lf_text prefix, uint64_t upto, int64_t now_ms)
{
	struct prefix *place = find(prefixes, prefix);
	char *text;

	if (!place) {
		text = malloc(prefix.len + 1);
		if (!text)
			return -ENOMEM;
		if (prefix.len)
			memcpy(text, prefix.data, prefix.len);
		if (prefixes->count == PREFIXES)
			raise_floor(prefixes);
		place = &prefixes->at[prefixes->count++];
		*place = (struct prefix){ .text = text, .len = prefix.len };
	}
	if (place->upto < upto)
		place->upto = upto;
	place->since_ms = now_ms;
	/* Both pair with the acquire in lf_prefixes_pass(): who sees `any` waits for the lock. */
	atomic_store_explicit(&prefixes->until_ms, now_ms + KEPT_MS, memory_order_release);
	atomic_store_explicit(&prefixes->any, true, memory_order_release);
	return 0;
}

int lf_prefixes_note(struct lf_prefixes *prefixes, struct lf_text prefix, uint64_t upto)
{
	int64_t now = coarse_ms();
	int rc;

	(void)pthread_rwlock_wrlock(&prefixes->lock);
	take_off_old(prefixes, now);
	rc = note(prefixes, prefix, upto, now);
	(void)pthread_rwlock_unlock(&prefixes->lock);
	return rc;
}

/* --- on the way of a hit --------------------------------------------------------------------------- */

static void forget_old(struct lf_prefixes *prefixes, int64_t now_ms)
{
	if (pthread_rwlock_trywrlock(&prefixes->lock))
		return;
	take_off_old(prefixes, now_ms);
	if (!prefixes->count)
		atomic_store_explicit(&prefixes->any, false, memory_order_release);
	(void)pthread_rwlock_unlock(&prefixes->lock);
}

static bool listed(struct lf_prefixes *prefixes, struct lf_text key, const struct lf_record *record)
{
	bool found = false;

	(void)pthread_rwlock_rdlock(&prefixes->lock);
	for (unsigned i = 0; !found && i < prefixes->count; i++) {
		const struct prefix *prefix = &prefixes->at[i];

		found = record->version.clock <= prefix->upto && prefix->len <= key.len &&
		        memcmp(prefix->text, key.data, prefix->len) == 0 &&
		        (prefix->len != prefixes->scope || !(record->flags & LF_RECORD_CRITICAL));
	}
	(void)pthread_rwlock_unlock(&prefixes->lock);
	return found;
}

bool lf_prefixes_pass(struct lf_prefixes *prefixes, struct lf_text key, const struct lf_record *record)
{
	uint64_t clock = record->version.clock;
	int64_t now;

	if (atomic_load_explicit(&prefixes->any, memory_order_acquire)) {
		now = coarse_ms();
		if (now >= atomic_load_explicit(&prefixes->until_ms, memory_order_acquire))
			forget_old(prefixes, now);
		else if (listed(prefixes, key, record))
			return false;
	}
	/* After the list: what left it for the floor is seen in one of them. */
	return clock > atomic_load_explicit(&prefixes->floor, memory_order_acquire) ||
	       (record->flags & LF_RECORD_CRITICAL);
}
