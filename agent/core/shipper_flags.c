/* Flags come in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/shipper_internal.h"

struct adopting {
	struct lf_shipper *shipper;
	bool adopted;
	int rc; /* of the store */
	struct lf_error err;
};

static int adopt(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                 size_t shares_count)
{
	struct adopting *adopting = arg;
	enum lf_adoption adoption = LF_ADOPTED_NOTHING;

	(void)shares;
	(void)shares_count;
	adopting->rc = lf_store_adopt_flags(adopting->shipper->store, entry, adopting->shipper->writer,
	                                    &adoption, &adopting->err);
	adopting->adopted |= adoption == LF_ADOPTED;
	return adopting->rc < 0;
}

static bool read(struct lf_shipper *shipper, const struct lf_sink_query *query)
{
	struct adopting adopting = { .shipper = shipper };
	struct lf_error err = { "" };
	enum lf_sink_result result = shipper->options.ops->read(shipper->sink, query, adopt, &adopting,
	                                                        lf_shipper_timeout(shipper), &err);

	shipper->adopted |= adopting.adopted;
	if (!lf_shipper_took(shipper, result, &err))
		return false;
	if (adopting.rc < 0)
		lf_shipper_trouble(shipper, adopting.err.text);
	return adopting.rc == 0;
}

/* Those of the hot set in one namespace. */
static bool read_hot(struct lf_shipper *shipper, const char *namespace)
{
	const char **hashes = calloc(shipper->hot.count + 1, sizeof(*hashes));
	struct lf_sink_query query = { .namespace = namespace, .hashes = hashes };
	bool done = true;

	if (!hashes)
		return true; /* at the next poll */
	for (size_t i = 0; i < shipper->hot.count; i++)
		if (strcmp(shipper->hot.item[i].namespace, namespace) == 0)
			hashes[query.hashes_count++] = shipper->hot.item[i].hash;
	if (query.hashes_count)
		done = read(shipper, &query);
	free(hashes);
	return done;
}

/* Who holds all can be asked for what has flags.  A hot tier would have to look at each of its keys, so
 * that is done when a connection begins, and else those are read that we keep there. */
bool lf_shipper_read_flags(struct lf_shipper *shipper, bool everything)
{
	bool hot = shipper->options.tier->max_entries > 0, done = true;

	for (size_t i = 0; done && i < shipper->namespaces.count; i++) {
		const char *namespace = shipper->namespaces.name[i];
		struct lf_sink_query query = { .namespace = namespace, .what = LF_SINK_FLAGGED };

		done = hot && !everything ? read_hot(shipper, namespace) : read(shipper, &query);
	}
	return done;
}

/* ---- What the tier tells by itself ---- */

enum { CHANGES_MAX = 256 }; /* more are read as "all" */

struct changes {
	size_t count;
	bool all;
	struct lf_hot change[CHANGES_MAX];
};

static void note_change(void *arg, const char *namespace, const char *hash)
{
	struct changes *changes = arg;
	struct lf_hot *change;

	if (!hash || changes->count == CHANGES_MAX || strlen(hash) != LF_HASH_CHARS ||
	    strlen(namespace) > LF_NAMESPACE_MAX) {
		changes->all = true;
		return;
	}
	change = &changes->change[changes->count++];
	(void)strcpy(change->namespace, namespace);
	(void)strcpy(change->hash, hash);
}

static bool read_changes(struct lf_shipper *shipper, const struct changes *changes)
{
	bool done = true;

	if (changes->all)
		return lf_shipper_read_flags(shipper, true);
	for (size_t i = 0; done && i < changes->count; i++) {
		const char *hashes[] = { changes->change[i].hash };
		struct lf_sink_query query = { .namespace = changes->change[i].namespace,
			                       .hashes = hashes, .hashes_count = 1 };

		done = read(shipper, &query);
	}
	return done;
}

bool lf_shipper_take_changes(struct lf_shipper *shipper)
{
	struct changes *changes = calloc(1, sizeof(*changes));
	struct lf_error err = { "" };
	bool done;

	if (!changes)
		return true; /* the poll finds them */
	done = lf_shipper_took(shipper,
	                       shipper->options.ops->changes(shipper->sink, note_change, changes, &err),
	                       &err) &&
	       read_changes(shipper, changes);
	free(changes);
	return done;
}
