/* Numbers go out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/shipper_internal.h"
#include "hashing/clock.h"

static bool is_hot(const struct lf_shipper *shipper)
{
	return shipper->options.tier->max_entries > 0;
}

/* Flags of a hot tier go with its entries; those of others are sent for the sake of who has not heard of
 * them, which a tier that was emptied does not change. */
void lf_shipper_forget_all(struct lf_shipper *shipper)
{
	shipper->flags = is_hot(shipper) ? (struct lf_store_mark){ shipper->mark.sequence, INT64_MAX } :
	                                   (struct lf_store_mark){ 0, 0 };
	shipper->mark = (struct lf_tier_mark){ .sequence = 0 };
	memcpy(shipper->mark.epoch, shipper->hello.epoch, sizeof(shipper->mark.epoch));
	shipper->cursor = (struct lf_store_mark){ 0, 0 };
	shipper->hot_sequence = 0;
	shipper->renew_ms = 0;
}

/* Which of the two freezes the numbers is the tier's kind. */
static struct lf_batch_how how_to_send(const struct lf_shipper *shipper,
                                       const struct lf_store_change *change)
{
	bool persists = is_hot(shipper) ? change->entry.persist_to_cache : change->entry.persist_to_db;

	return (struct lf_batch_how){ .flags_changed = change->flags_changed > shipper->mark.sequence,
		                      .frozen = !persists };
}

/* A tier that is too slow for a whole batch within its timeout would never take one: what fails is halved,
 * what succeeds is doubled again. */
static void adapt(struct lf_shipper *shipper, bool sent)
{
	size_t most = (size_t)shipper->options.tier->batch_size;

	shipper->piece = sent ? 2 * shipper->piece : shipper->piece / 2;
	if (shipper->piece > most)
		shipper->piece = most;
	if (shipper->piece < 1)
		shipper->piece = 1;
}

static bool send_some(struct lf_shipper *shipper, size_t from, size_t count)
{
	struct lf_sink_batch batch = { shipper->batch.records + from, count, shipper->at.drain_sequence };
	struct lf_error err = { "" };
	bool sent = lf_shipper_took(shipper,
	                            shipper->options.ops->flush(shipper->sink, &batch,
	                                                        lf_shipper_timeout(shipper), &err),
	                            &err);

	adapt(shipper, sent);
	if (sent && batch.sequence > shipper->told)
		shipper->told = batch.sequence;
	shipper->busy |= shipper->options.ops->tend != NULL;
	return sent;
}

/* Sends the batch in pieces of what one write may hold, and empties it.  What was gathered may be of a later
 * commit than the last look: the tier is told no less than what it is sent. */
static bool send(struct lf_shipper *shipper)
{
	bool sent = !shipper->batch.count || lf_shipper_look_at_store(shipper);
	size_t count;

	for (size_t at = 0; sent && at < shipper->batch.count; at += count) {
		count = shipper->batch.count - at;
		if (count > shipper->piece)
			count = shipper->piece;
		sent = send_some(shipper, at, count);
	}
	lf_batch_clear(&shipper->batch);
	return sent;
}

static bool store_failed(struct lf_shipper *shipper, int rc, struct lf_error *err)
{
	if (rc == -ENOMEM)
		(void)lf_fail(err, rc, "there is no memory to send entries to %s", shipper->options.name);
	lf_shipper_trouble(shipper, err->text);
	return false;
}

/* All up to `sequence` has been sent.  What cannot be noted now is sent once more later.  Commits that changed
 * no entry are not noted, as the tier is not told of them: one that has less than the mark was set back. */
static void note(struct lf_shipper *shipper, uint64_t sequence)
{
	struct lf_error err = { "" };

	if (sequence > shipper->told)
		sequence = shipper->told;
	if (shipper->mark.sequence == sequence)
		return;
	shipper->mark.sequence = sequence;
	if (lf_store_put_tier(shipper->store, shipper->options.name, &shipper->mark, &err) < 0)
		lf_shipper_trouble(shipper, err.text);
}

struct gathering {
	struct lf_shipper *shipper;
	struct lf_store_mark at;
};

/* ---- Flags first ---- */

static int gather_flags(void *arg, const struct lf_store_change *change)
{
	struct gathering *gathering = arg;
	struct lf_shipper *shipper = gathering->shipper;
	struct lf_batch_how how = how_to_send(shipper, change);

	gathering->at = (struct lf_store_mark){ change->flags_changed, change->row };
	how.flags_changed = true;
	return lf_batch_add(&shipper->batch, change, how);
}

/* Those beyond one write go with the rest, but where most of the rest is not sent. */
bool lf_shipper_flush_flags(struct lf_shipper *shipper)
{
	uint64_t limit = (uint64_t)shipper->options.tier->batch_size, until = shipper->at.drain_sequence;
	struct gathering gathering = { shipper, shipper->flags };
	struct lf_error err = { "" };
	size_t count;

	if (shipper->flags.changed == until)
		return true;
	do {
		struct lf_store_mark after = gathering.at;
		int rc = lf_store_each_flags_changed(shipper->store, &after, limit, gather_flags, &gathering,
		                                     &err);

		if (rc < 0) {
			lf_batch_clear(&shipper->batch);
			return store_failed(shipper, rc, &err);
		}
		count = shipper->batch.count;
		if (!send(shipper))
			return false;
		shipper->flags = gathering.at;
	} while (count == limit && is_hot(shipper));
	shipper->flags = (struct lf_store_mark){ until, INT64_MAX };
	return true;
}

/* ---- A tier that holds all ---- */

/* However much there is to send, flags are not kept waiting for longer. */
enum { SLICE_MS = 300 };

static int gather(void *arg, const struct lf_store_change *change)
{
	struct gathering *gathering = arg;
	struct lf_shipper *shipper = gathering->shipper;

	gathering->at = (struct lf_store_mark){ change->changed, change->row };
	return lf_batch_add(&shipper->batch, change, how_to_send(shipper, change));
}

static bool flush_all(struct lf_shipper *shipper)
{
	uint64_t limit = (uint64_t)shipper->options.tier->batch_size, until = shipper->at.drain_sequence;
	struct gathering gathering = { shipper, shipper->cursor };
	int64_t end_ms = lf_clock_ms() + SLICE_MS;
	struct lf_error err = { "" };
	size_t count;

	do {
		int rc = lf_store_each_changed(shipper->store, &gathering.at, limit, gather, &gathering,
		                               &err);

		if (rc < 0) {
			lf_batch_clear(&shipper->batch);
			return store_failed(shipper, rc, &err);
		}
		count = shipper->batch.count;
		if (!send(shipper))
			return false;
		shipper->cursor = gathering.at;
	} while (count == limit && lf_clock_ms() < end_ms);
	shipper->more = count == limit;
	if (!shipper->more)
		note(shipper, until);
	return true;
}

/* ---- A hot one ---- */

void lf_hot_fini(struct lf_hot_set *set)
{
	free(set->item);
	*set = (struct lf_hot_set){ NULL, 0, 0 };
}

static int hot_add(struct lf_hot_set *set, const struct lf_store_change *change)
{
	struct lf_hot *hot;

	if (set->count == set->room) {
		size_t room = set->room ? 2 * set->room : 256;
		struct lf_hot *larger = reallocarray(set->item, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		set->item = larger;
		set->room = room;
	}
	hot = &set->item[set->count++];
	hot->row = change->row;
	(void)snprintf(hot->namespace, sizeof(hot->namespace), "%.*s", (int)change->entry.namespace.len,
	               change->entry.namespace.data);
	(void)snprintf(hot->hash, sizeof(hot->hash), "%.*s", (int)change->entry.hash.len,
	               change->entry.hash.data);
	return 0;
}

static int by_row(const void *a, const void *b)
{
	int64_t x = ((const struct lf_hot *)a)->row, y = ((const struct lf_hot *)b)->row;

	return (x > y) - (x < y);
}

static const struct lf_hot *hot_find(const struct lf_hot_set *set, int64_t row)
{
	struct lf_hot wanted = { .row = row };

	return set->count ? bsearch(&wanted, set->item, set->count, sizeof(wanted), by_row) : NULL;
}

struct choosing {
	struct lf_shipper *shipper;
	struct lf_hot_set now;
	bool renew;
};

static int choose(void *arg, const struct lf_store_change *change)
{
	struct choosing *choosing = arg;
	struct lf_shipper *shipper = choosing->shipper;
	bool due = choosing->renew || change->changed > shipper->hot_sequence ||
	           !hot_find(&shipper->hot, change->row);
	int rc = hot_add(&choosing->now, change);

	return rc == 0 && due ? lf_batch_add(&shipper->batch, change, how_to_send(shipper, change)) : rc;
}

/* The shares tell the sink whose numbers are ours. */
static int add_left(struct lf_shipper *shipper, const struct lf_hot *hot, struct lf_error *err)
{
	struct lf_text namespace = { hot->namespace, strlen(hot->namespace) };
	struct lf_text hash = { hot->hash, strlen(hot->hash) };
	struct lf_share *shares = NULL;
	struct lf_store_change left = { .entry = { .namespace = namespace, .hash = hash } };
	int rc = lf_store_shares(shipper->store, namespace, hash, &shares, &left.shares_count, err);

	left.shares = shares;
	/* Somebody took it out of the store: then nobody knows whose numbers they are, and its time will run
	 * out. */
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = lf_batch_add(&shipper->batch, &left, (struct lf_batch_how){ false, false });
	free(shares);
	return rc;
}

static bool evict(struct lf_shipper *shipper, const struct lf_hot_set *now)
{
	struct lf_error err = { "" };
	bool done = true;
	int rc = 0;

	if (!shipper->options.ops->evict)
		return true;
	for (size_t i = 0; rc == 0 && i < shipper->hot.count; i++)
		if (!hot_find(now, shipper->hot.item[i].row))
			rc = add_left(shipper, &shipper->hot.item[i], &err);
	if (rc < 0)
		done = store_failed(shipper, rc, &err);
	else if (shipper->batch.count)
		done = lf_shipper_took(shipper,
		                       shipper->options.ops->evict(shipper->sink, shipper->batch.records,
		                                                   shipper->batch.count,
		                                                   lf_shipper_timeout(shipper), &err),
		                       &err);
	lf_batch_clear(&shipper->batch);
	return done;
}

static bool flush_hot(struct lf_shipper *shipper)
{
	uint64_t until = shipper->at.drain_sequence;
	int64_t now_ms = lf_clock_ms();
	struct choosing choosing = { shipper, { NULL, 0, 0 }, now_ms >= shipper->renew_ms };
	struct lf_error err = { "" };
	int rc;

	if (!choosing.renew && shipper->hot_sequence == until)
		return true;
	rc = lf_store_each_hot(shipper->store, (uint64_t)shipper->options.tier->max_entries, choose,
	                       &choosing, &err);
	if (rc < 0) {
		lf_batch_clear(&shipper->batch);
		lf_hot_fini(&choosing.now);
		return store_failed(shipper, rc, &err);
	}
	if (choosing.now.count)
		qsort(choosing.now.item, choosing.now.count, sizeof(*choosing.now.item), by_row);
	if (!send(shipper) || !evict(shipper, &choosing.now)) {
		lf_hot_fini(&choosing.now);
		return false;
	}
	lf_hot_fini(&shipper->hot);
	shipper->hot = choosing.now;
	shipper->hot_sequence = until;
	if (choosing.renew)
		shipper->renew_ms = now_ms + shipper->options.tier->ttl_s * 1000 / 2;
	note(shipper, until);
	return true;
}

bool lf_shipper_flush(struct lf_shipper *shipper)
{
	return is_hot(shipper) ? flush_hot(shipper) : flush_all(shipper);
}
