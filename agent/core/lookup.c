#include "agent/core/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/core/json.h"

enum { SEARCHES_MAX = 64, NAMESPACES_MAX = 256 };

struct search {
	struct lf_lookup lookup;  /* first: what done() hands back */
	struct lf_cached_job job; /* the fleet's cache is asked */
	struct lf_lookups *lookups;
	struct lf_control_ticket ticket;
	size_t step;      /* in the order of places */
	bool has_copies;
	bool store_asked; /* once is enough */
	bool replied;     /* what is looked for now is to be kept only */
	/* Where it was found, NULL: not yet; and the line of JSON. */
	const char *source;
	char *text;
	size_t bytes;
	int64_t kept_ms; /* CLOCK_REALTIME: since when the fleet's cache had it */
	struct search *next;
};

struct lf_lookups {
	struct lf_lookups_options options;
	pthread_mutex_t lock;
	struct search *answered; /* or new: to be gone on with */
	size_t searches;
	/* A cache has a space for each as long as it lives: who asks for one namespace after the other gets no more. */
	char namespaces[NAMESPACES_MAX][LF_NAMESPACE_MAX + 1];
	size_t namespaces_count;
};

/* A copy that is to be kept for the fleet. */
struct keeping {
	struct lf_cached_job job; /* first */
	char namespace[LF_NAMESPACE_MAX + 1], hash[LF_HASH_CHARS + 1];
	size_t bytes;
	char text[];
};

static const char *const names[LF_READ_SOURCES] = {
	[LF_READ_MEMORY] = "memory",
	[LF_READ_SQLITE] = "sqlite",
	[LF_READ_REDIS] = "redis",
	[LF_READ_MONGO] = "mongo",
};

static int64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Searches ---- */

static void reply(struct search *search)
{
	const struct lf_lookups_options *options = &search->lookups->options;
	struct lf_text text = { search->text, search->source ? search->bytes : 0 };

	if (!search->replied)
		options->found(options->arg, search->ticket, text, search->source);
	search->replied = true;
}

static void end(struct search *search)
{
	reply(search);
	search->lookups->searches--;
	free(search->text);
	free(search);
}

static void take_text(struct search *search, struct lf_text text, const char *source)
{
	free(search->text);
	search->text = malloc(text.len + 1);
	search->bytes = text.len;
	search->source = search->text ? source : NULL;
	if (search->text)
		memcpy(search->text, text.data, text.len);
}

static void take_entry(struct search *search, const struct lf_entry *entry, const char *source)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return;
	lf_json_entry(out, entry);
	if (fclose(out) == 0)
		take_text(search, (struct lf_text){ text, bytes }, source);
	free(text);
}

static struct lf_text line_of(const struct search *search)
{
	return (struct lf_text){ search->text, search->bytes };
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

/* ---- The copies ---- */

/* Whether they are kept of what is in that namespace. */
static bool has_copies(struct lf_lookups *lookups, const char *namespace)
{
	for (size_t i = 0; i < lookups->namespaces_count; i++)
		if (strcmp(lookups->namespaces[i], namespace) == 0)
			return true;
	if (lookups->namespaces_count == NAMESPACES_MAX)
		return false;
	(void)snprintf(lookups->namespaces[lookups->namespaces_count++], LF_NAMESPACE_MAX + 1, "%s", namespace);
	return true;
}

static void look_at_own_copy(struct search *search)
{
	struct lf_cache_value value;

	if (!lf_cached_get(lf_cached_own(search->lookups->options.cached), search->lookup.namespace, search->lookup.hash,
	                   &value))
		return;
	take_text(search, (struct lf_text){ value.data, value.len }, names[LF_READ_MEMORY]);
	lf_cache_value_release(&value);
}

/* In the cache's thread. */
static void look_at_fleet_copy(struct lf_cached *cached, struct lf_cached_job *job)
{
	struct search *search = (struct search *)((char *)job - offsetof(struct search, job));
	struct lf_cache_value value;

	if (lf_cached_get(lf_cached_fleet(cached), search->lookup.namespace, search->lookup.hash, &value)) {
		take_text(search, (struct lf_text){ value.data, value.len }, names[LF_READ_MEMORY]);
		search->kept_ms = value.expires_ms ? value.expires_ms - lf_cached_ttl_ms(cached) : 0;
		lf_cache_value_release(&value);
	}
	put_off(search);
}

static void keep_for_fleet(struct lf_cached *cached, struct lf_cached_job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct lf_text text = { keeping->text, keeping->bytes };

	lf_cached_keep(lf_cached_fleet(cached), keeping->namespace, keeping->hash, text, LF_CACHE_TTL_CLASS);
	free(keeping);
}

/* Before the next search begins, so that it finds the copy. */
static void keep(struct search *search)
{
	struct keeping *keeping = search->has_copies ? malloc(sizeof(*keeping) + search->bytes) : NULL;

	if (!keeping)
		return;
	keeping->job.work = keep_for_fleet;
	memcpy(keeping->namespace, search->lookup.namespace, sizeof(keeping->namespace));
	memcpy(keeping->hash, search->lookup.hash, sizeof(keeping->hash));
	keeping->bytes = search->bytes;
	memcpy(keeping->text, search->text, search->bytes);
	lf_cached_put(search->lookups->options.cached, &keeping->job);
}

/* ---- The store and the tiers ---- */

static int take(void *arg, const struct lf_entry *entry)
{
	take_entry(arg, entry, names[LF_READ_SQLITE]);
	return 1;
}

static void look_in_store(struct search *search, struct lf_store *store)
{
	struct lf_query query = { .namespace = search->lookup.namespace, .hash_prefix = search->lookup.hash };

	if (search->store_asked)
		return;
	search->store_asked = true;
	/* A store that fails is as good as one that does not know: the next place is asked. */
	if (lf_store_each(store, &query, take, search, NULL) < 0)
		search->source = NULL;
	if (search->source && search->has_copies)
		lf_cached_keep(lf_cached_own(search->lookups->options.cached), search->lookup.namespace,
		               search->lookup.hash, line_of(search), LF_CACHE_TTL_NONE);
}

/* From a tier's thread. */
static void answer(struct lf_lookup *lookup, const struct lf_entry *entry)
{
	struct search *search = (struct search *)lookup;
	const struct lf_config *config = search->lookups->options.config;

	if (entry)
		take_entry(search, entry, names[config->agent.fallback[search->step - 1]]);
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

/* ---- One place after the other ---- */

static bool is_place(const struct lf_config *config, enum lf_read_source source)
{
	for (size_t i = 0; i < config->agent.fallback_count; i++)
		if (config->agent.fallback[i] == source)
			return true;
	return false;
}

/* True: the cache's thread goes on with it. */
static bool look_in_memory(struct search *search, struct lf_store *store)
{
	struct lf_lookups *lookups = search->lookups;

	if (search->has_copies)
		look_at_own_copy(search);
	if (!search->source && is_place(lookups->options.config, LF_READ_SQLITE))
		look_in_store(search, store);
	if (search->source || !search->has_copies || !lf_cached_is_on(lookups->options.cached))
		return false;
	search->job.work = look_at_fleet_copy;
	lf_cached_put(lookups->options.cached, &search->job);
	return true;
}

/* Until it is found, somebody else is asked, or there is no place left. */
static void go_on(struct search *search, struct lf_store *store)
{
	const struct lf_config *config = search->lookups->options.config;

	while (!search->source && search->step < config->agent.fallback_count) {
		enum lf_read_source source = config->agent.fallback[search->step++];
		bool asked = false;

		if (source == LF_READ_MEMORY)
			asked = !search->replied && look_in_memory(search, store);
		else if (source == LF_READ_SQLITE)
			look_in_store(search, store);
		else
			asked = ask_tier(search, names[source]);
		if (asked)
			return;
	}
	end(search);
}

/* It is in the fleet's cache, or a tier has said it. */
static void found(struct search *search, struct lf_store *store)
{
	bool copy = search->source == names[LF_READ_MEMORY];

	if (!copy)
		keep(search);
	if (!copy || now_ms() - search->kept_ms < LF_LOOKUP_FRESH_MS) {
		end(search);
		return;
	}
	reply(search);
	search->source = NULL;
	search->store_asked = true;
	go_on(search, store);
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
		if (search->source)
			found(search, store);
		else
			go_on(search, store);
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
	search->has_copies = has_copies(lookups, namespace);
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

	if (!lookups)
		return lf_fail(err, -ENOMEM, "there is no memory for looking up entries");
	lookups->options = *options;
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
		search->source = NULL;
		end(search);
	}
	(void)pthread_mutex_destroy(&lookups->lock);
	free(lookups);
}
