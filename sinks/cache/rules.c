/* Rules: an event of the application's own invalidates a tag, and warms a key. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/events.h"

struct rule {
	_Atomic(struct rule *) next;
	struct lf_cache_space *space;
	char *event, *tag, *warm; /* tag, warm: NULL: none */
};

/* They only become more, so who walks them takes no lock. */
struct lf_rules {
	pthread_mutex_t lock; /* of who adds one */
	_Atomic(struct rule *) first;
};

int lf_rules_new(struct lf_cache *cache)
{
	struct lf_rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	(void)pthread_mutex_init(&rules->lock, NULL);
	cache->rules = rules;
	return 0;
}

static struct rule *load(_Atomic(struct rule *) *at)
{
	return atomic_load_explicit(at, memory_order_acquire); /* the release in append() */
}

static void free_rule(struct rule *rule)
{
	free(rule->event);
	free(rule->tag);
	free(rule->warm);
	free(rule);
}

void lf_rules_free(struct lf_cache *cache)
{
	struct rule *rule, *next;

	if (!cache->rules)
		return;
	for (rule = load(&cache->rules->first); rule; rule = next) {
		next = load(&rule->next);
		free_rule(rule);
	}
	(void)pthread_mutex_destroy(&cache->rules->lock);
	free(cache->rules);
	cache->rules = NULL;
}

/* --- adding ---------------------------------------------------------------------------------------- */

static int check(const struct lf_cache *cache, const struct lf_cache_rule *rule, struct lf_error *err)
{
	if (!rule->event || !*rule->event)
		return lf_fail(err, -EINVAL, "a rule of the cache has no event: name one");
	if (!rule->space || rule->space->cache != cache)
		return lf_fail(err, -EINVAL, "the rule of event '%s' has no space of this cache: name one", rule->event);
	if (!rule->tag && !rule->warm)
		return lf_fail(err, -EINVAL, "the rule of event '%s' does nothing: give it a tag to invalidate, or an id to warm",
		               rule->event);
	if ((rule->tag && !*rule->tag) || (rule->warm && !*rule->warm))
		return lf_fail(err, -EINVAL, "the tag, or the id to warm, of event '%s' is empty: leave it out by NULL", rule->event);
	return 0;
}

static bool copy(const char *text, char **out)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

/* In the order in which they were made they are set off. */
static void append(struct lf_rules *rules, struct rule *rule)
{
	_Atomic(struct rule *) *at = &rules->first;
	struct rule *there;

	(void)pthread_mutex_lock(&rules->lock);
	while ((there = load(at)) != NULL)
		at = &there->next;
	atomic_store_explicit(at, rule, memory_order_release);
	(void)pthread_mutex_unlock(&rules->lock);
}

int lf_cache_rule(struct lf_cache *cache, const struct lf_cache_rule *given, struct lf_error *err)
{
	struct rule *rule;
	int rc = check(cache, given, err);

	if (rc < 0)
		return rc;
	rule = calloc(1, sizeof(*rule));
	if (!rule)
		return lf_fail(err, -ENOMEM, "there is no memory for a rule of the cache");
	rule->space = given->space;
	if (!copy(given->event, &rule->event) || !copy(given->tag, &rule->tag) || !copy(given->warm, &rule->warm)) {
		free_rule(rule);
		return lf_fail(err, -ENOMEM, "there is no memory for a rule of the cache");
	}
	append(cache->rules, rule);
	return 0;
}

/* --- setting off ----------------------------------------------------------------------------------- */

/* The pattern with the id in each place of {id}; what is longer than `max` is none. */
static int fill_in(const char *pattern, struct lf_text id, size_t max, char *out, size_t *len, struct lf_error *err)
{
	static const char place[] = "{id}";
	const char *at = pattern;
	size_t filled = 0;

	while (*at) {
		bool is_place = strncmp(at, place, sizeof(place) - 1) == 0;
		struct lf_text part = is_place ? id : (struct lf_text){ at, 1 };

		if (part.len > max - filled)
			return lf_fail(err, -EINVAL, "'%s' of a rule is longer than %zu bytes with the id of %zu: give it a shorter one",
			               pattern, max, id.len);
		if (part.len)
			memcpy(out + filled, part.data, part.len);
		filled += part.len;
		at += is_place ? sizeof(place) - 1 : 1;
	}
	*len = filled;
	return 0;
}

static int invalidate(struct lf_cache *cache, const struct rule *rule, struct lf_text id, struct lf_error *err)
{
	char tag[LF_CACHE_NAME_MAX];
	size_t len;
	int rc;

	if (!rule->tag)
		return 0;
	rc = fill_in(rule->tag, id, sizeof(tag), tag, &len, err);
	if (rc < 0)
		return rc;
	rc = lf_cache_invalidate_tag(cache, rule->space->org, (struct lf_text){ tag, len }, err);
	return rc < 0 ? rc : 0;
}

/* Where no worker has time for it, it is loaded when it is asked for. */
static int warm(const struct rule *rule, struct lf_text id, struct lf_error *err)
{
	char text[LF_CACHE_ID_MAX];
	struct lf_text key = { .data = text };
	struct lf_cache_warm how = { .from = LF_CACHE_WARM_LOADER, .ids = &key, .count = 1 };
	struct lf_error busy = { "" };
	int rc;

	if (!rule->warm)
		return 0;
	rc = fill_in(rule->warm, id, sizeof(text), text, &key.len, err);
	if (rc < 0)
		return rc;
	rc = lf_cache_warm(NULL, rule->space, &how, &busy);
	return rc < 0 && rc != -EAGAIN ? lf_fail(err, rc, "%s", busy.text) : 0;
}

/* All that is to go first: what one rule loads may carry what another one invalidates.  One that fails is told, and stops
 * none. */
int lf_cache_emit(struct lf_cache *cache, const char *event, struct lf_text id, struct lf_error *err)
{
	struct lf_error why = { "" };
	struct rule *rule;
	int count = 0, first = 0, rc;

	if (!event || !*event)
		return lf_fail(err, -EINVAL, "an event that is to set off rules has no name: give it one");
	for (rule = load(&cache->rules->first); rule; rule = load(&rule->next)) {
		if (strcmp(rule->event, event) != 0)
			continue;
		count++;
		rc = invalidate(cache, rule, id, first ? NULL : &why);
		first = first ? first : rc;
	}
	for (rule = load(&cache->rules->first); rule; rule = load(&rule->next)) {
		if (strcmp(rule->event, event) != 0)
			continue;
		rc = warm(rule, id, first ? NULL : &why);
		first = first ? first : rc;
	}
	return first ? lf_fail(err, first, "%s", why.text) : count;
}
