#include "agent/cli/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/copy.h"

enum { CANDIDATES_SHOWN = 4 };

/* ---- Walking ---- */

struct walk {
	const struct lf_selectors *selectors;
	uint64_t left; /* of --count */
	int (*each)(void *arg, const struct lf_entry *entry);
	void *arg;
};

enum { ENOUGH = 1 };

static int visit(void *arg, const struct lf_entry *entry)
{
	struct walk *walk = arg;
	int rc;

	if (!lf_selectors_match(walk->selectors, entry))
		return 0;
	rc = walk->each(walk->arg, entry);
	return rc ? rc : --walk->left == 0 ? ENOUGH : 0;
}

int lf_catalog_each(struct lf_store *store, const struct lf_options *options,
                    const struct lf_selectors *selectors,
                    int (*each)(void *arg, const struct lf_entry *entry), void *arg,
                    struct lf_error *err)
{
	struct lf_query query = { .namespace = options->namespace, .order = LF_BY_COUNT };
	struct walk walk = { .selectors = selectors,
		             .left = options->count ? options->count : UINT64_MAX,
		             .each = each,
		             .arg = arg };
	int rc;

	lf_selectors_narrow(selectors, &query);
	rc = lf_store_each(store, &query, visit, &walk, err);
	return rc == ENOUGH ? 0 : rc;
}

static int append(void *arg, const struct lf_entry *entry)
{
	struct lf_catalog *catalog = arg;
	struct lf_entry *larger;

	if (catalog->count == catalog->size) {
		catalog->size = catalog->size ? 2 * catalog->size : 16;
		larger = reallocarray(catalog->entries, catalog->size, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		catalog->entries = larger;
	}
	if (lf_entry_copy(&catalog->entries[catalog->count], entry) < 0)
		return -ENOMEM;
	catalog->count++;
	return 0;
}

int lf_catalog_init(struct lf_catalog *catalog, struct lf_store *store,
                    const struct lf_options *options, const struct lf_selectors *selectors,
                    struct lf_error *err)
{
	int rc;

	*catalog = (struct lf_catalog){ 0 };
	rc = lf_catalog_each(store, options, selectors, append, catalog, err);
	if (rc < 0)
		lf_catalog_fini(catalog);
	return rc == -ENOMEM ? lf_fail(err, rc, "out of memory for so many entries") : rc;
}

void lf_catalog_fini(struct lf_catalog *catalog)
{
	size_t i;

	for (i = 0; i < catalog->count; i++)
		lf_entry_fini(&catalog->entries[i]);
	free(catalog->entries);
	*catalog = (struct lf_catalog){ 0 };
}

size_t lf_catalog_drop(struct lf_catalog *catalog, bool (*is_one)(const struct lf_entry *entry))
{
	size_t kept = 0, dropped;

	for (size_t i = 0; i < catalog->count; i++)
		if (is_one(&catalog->entries[i]))
			lf_entry_fini(&catalog->entries[i]);
		else
			catalog->entries[kept++] = catalog->entries[i];
	dropped = catalog->count - kept;
	catalog->count = kept;
	return dropped;
}

/* ---- Reading again ---- */

static int compare_texts(struct lf_text a, struct lf_text b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b)
{
	const struct lf_entry *first = *(struct lf_entry *const *)a;
	const struct lf_entry *second = *(struct lf_entry *const *)b;
	int order = compare_texts(first->hash, second->hash);

	return order ? order : compare_texts(first->namespace, second->namespace);
}

struct index {
	struct lf_entry **entry; /* by key */
	size_t count;
};

static int read_again(void *arg, const struct lf_entry *entry)
{
	const struct index *index = arg;
	struct lf_entry **found = bsearch(&entry, index->entry, index->count, sizeof(*found),
					  compare_keys);
	struct lf_entry copy;

	if (!found || lf_entry_copy(&copy, entry) < 0)
		return 0;
	lf_entry_fini(*found);
	**found = copy;
	return 0;
}

void lf_catalog_refresh(struct lf_catalog *catalog, const char *store_path)
{
	struct lf_query query = { .order = LF_BY_KEY };
	struct index index = { calloc(catalog->count + 1, sizeof(*index.entry)), catalog->count };
	char hash[LF_HASH_CHARS + 1];
	struct lf_store *store = NULL;

	for (size_t i = 0; index.entry && i < catalog->count; i++)
		index.entry[i] = &catalog->entries[i];
	if (catalog->count == 1) {
		(void)snprintf(hash, sizeof(hash), "%.*s", (int)catalog->entries->hash.len,
			       catalog->entries->hash.data);
		query.hash_prefix = hash;
	}
	if (index.entry && catalog->count > 0 &&
	    lf_store_open(&store, store_path, LF_STORE_READ_ONLY, NULL) == 0) {
		qsort(index.entry, index.count, sizeof(*index.entry), compare_keys);
		(void)!lf_store_each(store, &query, read_again, &index, NULL);
	}
	lf_store_close(store);
	free(index.entry);
}

/* ---- Checking ---- */

static bool begins(const struct lf_entry *entry, const char *prefix)
{
	size_t len = strlen(prefix);

	return len <= entry->hash.len && memcmp(entry->hash.data, prefix, len) == 0;
}

/* Several entries begin so: says which. */
static int fail_ambiguous(const struct lf_catalog *catalog, const char *prefix, size_t found,
                          struct lf_error *err)
{
	char list[CANDIDATES_SHOWN * (LF_HASH_CHARS + LF_NAMESPACE_MAX + 8)] = "";
	size_t i, len = 0, shown = 0;

	for (i = 0; i < catalog->count && shown < CANDIDATES_SHOWN; i++) {
		const struct lf_entry *entry = &catalog->entries[i];

		if (!begins(entry, prefix))
			continue;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%.*s (%.*s)",
					shown ? ", " : "", LF_HASH_CHARS, entry->hash.data,
					(int)(entry->namespace.len < LF_NAMESPACE_MAX ? entry->namespace.len :
											LF_NAMESPACE_MAX),
					entry->namespace.data);
		shown++;
	}
	return lf_fail(err, -EINVAL, "%zu entries begin with %s: give more of the hash, or --namespace: %s%s",
		       found, prefix, list, found > shown ? ", …" : "");
}

int lf_catalog_check(const struct lf_catalog *catalog, const struct lf_selectors *selectors,
                     struct lf_error *err)
{
	const char *prefix;
	size_t i, at, found;

	for (i = 0; (prefix = lf_selectors_prefix(selectors, i)); i++) {
		found = 0;
		for (at = 0; at < catalog->count; at++)
			found += begins(&catalog->entries[at], prefix);
		if (found == 0)
			return lf_fail(err, -ENOENT,
				       "nothing matches %s: `logfold ls` lists the entries of this store",
				       prefix);
		if (found > 1)
			return fail_ambiguous(catalog, prefix, found, err);
	}
	return 0;
}
