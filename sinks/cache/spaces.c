/* Spaces: one type of one organisation, with all that is made once for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/stamps.h"

static bool same(struct lf_text a, struct lf_text b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static size_t bucket_of(struct lf_text prefix)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < prefix.len; i++)
		hash = (hash ^ (unsigned char)prefix.data[i]) * UINT64_C(1099511628211);
	return (hash ^ hash >> 32) % LF_SPACE_BUCKETS;
}

static struct lf_cache_space *find(const struct lf_cache *cache, struct lf_text prefix)
{
	/* Pairs with the release in add(): who sees a space sees all of it. */
	struct lf_cache_space *space = atomic_load_explicit(&cache->buckets[bucket_of(prefix)], memory_order_acquire);

	while (space && !same(space->prefix, prefix))
		space = space->in_bucket;
	return space;
}

/* What holds for the type: its own class, else the one for all, else nothing. */
static struct lf_cache_class class_of(const struct lf_cache *cache, struct lf_text type)
{
	const struct lf_cache_options *options = &cache->options;
	struct lf_cache_class found = { 0 };

	for (size_t i = 0; i < options->classes_count; i++) {
		const struct lf_cache_class *class = &options->classes[i];

		if (!class->type)
			found = *class;
		else if (same((struct lf_text){ class->type, strlen(class->type) }, type))
			return *class;
	}
	return found;
}

/* One block: the space, its names, its prefix. */
static struct lf_cache_space *new_space(struct lf_cache *cache, struct lf_text type, struct lf_text org,
                                        struct lf_text prefix)
{
	struct lf_cache_space *space = calloc(1, sizeof(*space) + type.len + org.len + prefix.len);
	char *text;

	if (!space)
		return NULL;
	text = (char *)(space + 1);
	space->cache = cache;
	space->type = (struct lf_text){ memcpy(text, type.data, type.len), type.len };
	space->org = (struct lf_text){ memcpy(text + type.len, org.data, org.len), org.len };
	space->prefix = (struct lf_text){ memcpy(text + type.len + org.len, prefix.data, prefix.len), prefix.len };
	space->class = class_of(cache, type);
	space->type_stamp = lf_stamp_of_type(cache, type);
	space->org_stamp = lf_stamp_of_org(cache, org);
	if (!space->type_stamp || !space->org_stamp) {
		free(space);
		return NULL;
	}
	return space;
}

static void add(struct lf_cache *cache, struct lf_cache_space *space)
{
	size_t bucket = bucket_of(space->prefix);

	space->next = atomic_load_explicit(&cache->spaces, memory_order_relaxed);
	space->in_bucket = atomic_load_explicit(&cache->buckets[bucket], memory_order_relaxed);
	/* Both pair with the acquire of who walks them. */
	atomic_store_explicit(&cache->buckets[bucket], space, memory_order_release);
	atomic_store_explicit(&cache->spaces, space, memory_order_release);
}

int lf_cache_space_bytes(struct lf_cache_space **out, struct lf_cache *cache, struct lf_text type, struct lf_text org,
                         struct lf_error *err)
{
	const struct lf_text names[] = { { cache->options.app, strlen(cache->options.app) },
		                         { cache->options.env, strlen(cache->options.env) },
		                         type,
		                         org };
	struct lf_cache_space *space;
	char prefix[LF_KEY_PREFIX_MAX];
	struct lf_text text = { prefix, 0 };
	int rc = lf_key_prefix(prefix, &text.len, names, 4, err);

	if (rc)
		return rc;
	space = find(cache, text);
	if (!space) {
		(void)pthread_mutex_lock(&cache->spaces_lock);
		space = find(cache, text);
		if (!space && (space = new_space(cache, type, org, text)))
			add(cache, space);
		(void)pthread_mutex_unlock(&cache->spaces_lock);
	}
	if (!space)
		return lf_fail(err, -ENOMEM, "no memory for another space");
	*out = space;
	return 0;
}

int lf_cache_space(struct lf_cache_space **out, struct lf_cache *cache, const char *type, const char *org,
                   struct lf_error *err)
{
	if (!type || !org)
		return lf_fail(err, -EINVAL, "a space needs the name of a type and that of an organisation");
	return lf_cache_space_bytes(out, cache, (struct lf_text){ type, strlen(type) },
	                            (struct lf_text){ org, strlen(org) }, err);
}

struct lf_cache_space *lf_space_of_key(const struct lf_cache *cache, struct lf_text key)
{
	struct lf_text parts[5];

	if (!lf_key_split(key, parts))
		return NULL;
	return find(cache, (struct lf_text){ key.data, (size_t)(parts[4].data - key.data) });
}

bool lf_space_id(const struct lf_cache_space *space, struct lf_text key, char *out, size_t *len)
{
	struct lf_text escaped;

	if (key.len <= space->prefix.len || key.len - space->prefix.len > 3 * (size_t)LF_CACHE_ID_MAX ||
	    memcmp(key.data, space->prefix.data, space->prefix.len) != 0)
		return false;
	escaped = (struct lf_text){ key.data + space->prefix.len, key.len - space->prefix.len };
	/* What is longer unescaped than an id may be was not made by us: it would not fit. */
	for (size_t i = 0, bytes = 0; i < escaped.len; i += escaped.data[i] == '%' ? 3 : 1)
		if (++bytes > LF_CACHE_ID_MAX)
			return false;
	return lf_key_unescape(out, len, escaped);
}
