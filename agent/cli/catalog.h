/* The entries that selectors choose, copied out of the store: for commands that must know all of
 * them before they do something. */
#ifndef LOGFOLD_CLI_CATALOG_H
#define LOGFOLD_CLI_CATALOG_H

#include "agent/cli/options.h"
#include "agent/cli/selector.h"
#include "agent/store/store.h"

struct lf_catalog {
	struct lf_entry *entries; /* most frequent first */
	size_t count, size;
};

/* Calls `each` for the entries that namespace, selectors and count choose, most frequent first.  As
 * lf_store_each(). */
LF_MUST_CHECK int lf_catalog_each(struct lf_store *store, const struct lf_options *options,
                                  const struct lf_selectors *selectors,
                                  int (*each)(void *arg, const struct lf_entry *entry), void *arg,
                                  struct lf_error *err);

/* All of them at once.  On failure the catalog is empty. */
LF_MUST_CHECK int lf_catalog_init(struct lf_catalog *catalog, struct lf_store *store,
                                  const struct lf_options *options,
                                  const struct lf_selectors *selectors, struct lf_error *err);
void lf_catalog_fini(struct lf_catalog *catalog);

/* Takes entries off it; how many they were. */
size_t lf_catalog_drop(struct lf_catalog *catalog, bool (*is_one)(const struct lf_entry *entry));

/* Reads its entries again from the store; one that cannot be read stays as it was. */
void lf_catalog_refresh(struct lf_catalog *catalog, const char *store_path);

/* Whether each hash prefix names exactly one entry, as it must where something is about to be done
 * to it; else -EINVAL, with a sentence that lists the candidates. */
LF_MUST_CHECK int lf_catalog_check(const struct lf_catalog *catalog,
                                   const struct lf_selectors *selectors, struct lf_error *err);

#endif
