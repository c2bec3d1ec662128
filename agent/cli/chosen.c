#include "agent/cli/chosen.h"

#include <errno.h>

#include "agent/cli/cli.h"

/* Out of the store as it is: 0 only when every selector is a hash that finds its one entry there. */
static int choose_stored(struct lf_catalog *chosen, const struct lf_place *place,
                         const struct lf_options *options, const struct lf_selectors *selectors)
{
	struct lf_store *store = NULL;
	int rc;

	/* The last of as many prefixes as there are words. */
	if (!lf_selectors_prefix(selectors, (size_t)options->words_count - 1))
		return -EINVAL;
	rc = lf_store_open(&store, place->store, LF_STORE_READ_ONLY, NULL);
	if (rc == 0)
		rc = lf_catalog_init(chosen, store, options, selectors, NULL);
	lf_store_close(store);
	if (rc == 0)
		rc = lf_catalog_check(chosen, selectors, NULL);
	if (rc < 0)
		lf_catalog_fini(chosen);
	return rc;
}

/* The entries, in memory; the store is closed again, so that nobody waits for us to write to it. */
static int choose(struct lf_catalog *chosen, const struct lf_place *place,
                  const struct lf_options *options, const struct lf_selectors *selectors,
                  struct lf_error *err)
{
	struct lf_store *store = NULL;
	int rc = lf_place_open(&store, place, err);

	if (rc == 0)
		rc = lf_catalog_init(chosen, store, options, selectors, err);
	lf_store_close(store);
	if (rc == 0)
		rc = lf_catalog_check(chosen, selectors, err);
	if (rc == 0 && chosen->count == 0)
		rc = lf_fail(err, -ENOENT,
			     "nothing matches: `logfold ls` lists the entries of this store");
	return rc;
}

int lf_chosen_do(const struct lf_options *options, enum lf_chosen_from from,
                 int (*act)(void *arg, const struct lf_place *place,
                            const struct lf_options *options, struct lf_catalog *chosen),
                 void *arg)
{
	struct lf_selectors *selectors = NULL;
	struct lf_catalog chosen = { 0 };
	struct lf_place place;
	struct lf_error err;
	int status = LF_EXIT_FAILED;
	int rc = lf_selectors_new(&selectors, (const char *const *)options->words,
	                          (size_t)options->words_count, &err);

	if (rc == -EINVAL)
		status = LF_EXIT_USAGE;
	if (rc == 0)
		rc = lf_place_find(&place, options, &err);
	if (rc == 0 && (from == LF_CHOSEN_FRESH ||
	                choose_stored(&chosen, &place, options, selectors) < 0))
		rc = choose(&chosen, &place, options, selectors, &err);
	if (rc == 0)
		status = act(arg, &place, options, &chosen);
	else
		lf_complain("%s", err.text);
	lf_catalog_fini(&chosen);
	lf_selectors_free(selectors);
	return status;
}
