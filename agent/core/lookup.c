#include "agent/core/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/sinks.h"
#include "hashing/clock.h"
#include "sinks/copy.h"

enum {
	SEARCHES_MAX = 64,
	KEPT_MS = 5000, /* as long as a poll: what a tier said is not older than what the store would know */
};

struct search {
	struct lf_lookup lookup; /* first: what done() hands back */
	struct lf_lookups *lookups;
	struct lf_control_ticket ticket;
	size_t step; /* in the order of places */
	bool found;
	struct lf_entry entry; /* a copy */
	struct search *next;
};

struct lf_lookups {
	struct lf_lookups_options options;
	pthread_mutex_t lock;
	struct search *answered; /* or new: to be gone on with */
	size_t searches;
	struct lf_sink *memory;
	int64_t memory_since_ms;
};

static const char *const names[LF_READ_SOURCES] = {
	[LF_READ_MEMORY] = "memory",
	[LF_READ_SQLITE] = "sqlite",
	[LF_READ_REDIS] = "redis",
	[LF_READ_MONGO] = "mongo",
};

/* ---- What is in memory ---- */

/* All at once, as nothing is worth more than the next look. */
static void forget_old(struct lf_lookups *lookups)
{
	struct lf_sink_options options = { .uri = NULL };
	struct lf_sink *fresh;

	if (lf_clock_ms() - lookups->memory_since_ms < KEPT_MS ||
	    lf_sink_memory.open(&fresh, &options, NULL) < 0)
		return;
	lf_sink_memory.close(lookups->memory);
	lookups->memory = fresh;
	lookups->memory_since_ms = lf_clock_ms();
}

/* One share holds all of what the tier said. */
static void keep(struct lf_lookups *lookups, const struct lf_entry *entry)
{
	struct lf_share all = { .incarnation = "memory" };
	struct lf_sink_record record = { .entry = entry, .flags_changed = true, .shares = &all,
		                         .shares_count = 1 };
	struct lf_sink_batch batch = { &record, 1, 0 };

	memcpy(all.counts, entry->counts, sizeof(all.counts));
	(void)lf_sink_memory.flush(lookups->memory, &batch, 0, NULL);
}

/* ---- One place after the other ---- */

static void end(struct search *search, const char *source)
{
	struct lf_lookups *lookups = search->lookups;

	lookups->options.found(lookups->options.arg, search->ticket, search->found ? &search->entry : NULL,
	                       source);
	lookups->searches--;
	lf_entry_fini(&search->entry);
	free(search);
}

static int take(void *arg, const struct lf_entry *entry)
{
	struct search *search = arg;

	search->found = lf_entry_copy(&search->entry, entry) == 0;
	return 1;
}

static int take_of_sink(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                        size_t shares_count)
{
	(void)shares;
	(void)shares_count;
	return take(arg, entry);
}

static void look_in_memory(struct search *search)
{
	const char *hashes[] = { search->lookup.hash };
	struct lf_sink_query query = { .namespace = search->lookup.namespace, .hashes = hashes,
		                       .hashes_count = 1 };

	forget_old(search->lookups);
	(void)lf_sink_memory.read(search->lookups->memory, &query, take_of_sink, search, 0, NULL);
}

static void look_in_store(struct search *search, struct lf_store *store)
{
	struct lf_query query = { .namespace = search->lookup.namespace,
		                  .hash_prefix = search->lookup.hash };

	/* A store that fails is as good as one that does not know: the next place is asked. */
	if (lf_store_each(store, &query, take, search, NULL) < 0)
		search->found = false;
}

/* For lf_lookups_go_on(), soon. */
static void put_off(struct search *search)
{
	struct lf_lookups *lookups = search->lookups;

	(void)pthread_mutex_lock(&lookups->lock);
	search->next = lookups->answered;
	lookups->answered = search;
	(void)pthread_mutex_unlock(&lookups->lock);
	lookups->options.wake(lookups->options.arg);
}

/* From a tier's thread. */
static void answer(struct lf_lookup *lookup, const struct lf_entry *entry)
{
	struct search *search = (struct search *)lookup;

	if (entry)
		(void)take(search, entry);
	put_off(search);
}

static bool ask_tier(struct search *search, const char *name)
{
	struct lf_tiers *tiers = search->lookups->options.tiers;
	struct lf_tier_status status;

	for (size_t i = 0; i < lf_tiers_count(tiers); i++) {
		lf_tiers_status(tiers, i, &status);
		if (strcmp(status.name, name) != 0 || !status.connected)
			continue;
		lf_tiers_find(tiers, i, &search->lookup);
		return true;
	}
	return false;
}

/* Until it is found, a tier is asked, or there is no place left. */
static void go_on(struct search *search, struct lf_store *store)
{
	const struct lf_config *config = search->lookups->options.config;

	while (!search->found && search->step < config->agent.fallback_count) {
		enum lf_read_source source = config->agent.fallback[search->step++];

		if (source == LF_READ_MEMORY)
			look_in_memory(search);
		else if (source == LF_READ_SQLITE)
			look_in_store(search, store);
		else if (ask_tier(search, names[source]))
			return;
		if (search->found) {
			end(search, names[source]);
			return;
		}
	}
	end(search, NULL);
}

void lf_lookups_go_on(struct lf_lookups *lookups, struct lf_store *store)
{
	struct search *search, *next;

	(void)pthread_mutex_lock(&lookups->lock);
	search = lookups->answered;
	lookups->answered = NULL;
	(void)pthread_mutex_unlock(&lookups->lock);
	for (; search; search = next) {
		next = search->next;
		if (search->found) {
			keep(lookups, &search->entry);
			end(search, names[lookups->options.config->agent.fallback[search->step - 1]]);
		} else {
			go_on(search, store);
		}
	}
}

int lf_lookups_begin(struct lf_lookups *lookups, const char *namespace, const char *hash,
                     struct lf_control_ticket ticket, struct lf_error *err)
{
	struct search *search;

	if (lookups->searches >= SEARCHES_MAX)
		return lf_fail(err, -EAGAIN, "%d entries are being looked for already: try again",
		               SEARCHES_MAX);
	search = calloc(1, sizeof(*search));
	if (!search)
		return lf_fail(err, -ENOMEM, "there is no memory to look for an entry");
	search->lookups = lookups;
	search->ticket = ticket;
	search->lookup.done = answer;
	(void)snprintf(search->lookup.namespace, sizeof(search->lookup.namespace), "%s", namespace);
	(void)snprintf(search->lookup.hash, sizeof(search->lookup.hash), "%s", hash);
	lookups->searches++;
	put_off(search);
	return 0;
}

/* ---- Life cycle ---- */

int lf_lookups_new(struct lf_lookups **out, const struct lf_lookups_options *options,
                   struct lf_error *err)
{
	struct lf_lookups *lookups = calloc(1, sizeof(*lookups));
	struct lf_sink_options none = { .uri = NULL };

	if (!lookups || lf_sink_memory.open(&lookups->memory, &none, err) < 0) {
		free(lookups);
		return lf_fail(err, -ENOMEM, "there is no memory for looking up entries");
	}
	lookups->options = *options;
	lookups->memory_since_ms = lf_clock_ms();
	(void)pthread_mutex_init(&lookups->lock, NULL);
	*out = lookups;
	return 0;
}

void lf_lookups_free(struct lf_lookups *lookups)
{
	struct search *search, *next;

	if (!lookups)
		return;
	for (search = lookups->answered; search; search = next) {
		next = search->next;
		end(search, NULL);
	}
	lf_sink_memory.close(lookups->memory);
	(void)pthread_mutex_destroy(&lookups->lock);
	free(lookups);
}
