/* The sink in memory: the smallest complete one, for the contract tests, and the place where an agent
 * keeps what it has lately read from the others.
 *
 * Sinks that are opened with the same uri share what they hold, as two clients of one server do; without
 * one a sink is alone.  What is shared has no lock: sinks of one uri belong to one thread.
 */
#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/core/sinks.h"
#include "logfold/time.h"
#include "sinks/copy.h"

enum { KEY_MAX = LF_NAMESPACE_MAX + 1 + LF_HASH_CHARS + 1 };

struct held {
	char key[KEY_MAX]; /* namespace:hash */
	struct lf_entry entry;
	char first[LF_TIME_CHARS + 1], last[LF_TIME_CHARS + 1];
	struct lf_share *shares;
	size_t shares_count;
};

struct writer {
	char incarnation[LF_UUID_CHARS + 1];
	uint64_t sequence;
	struct writer *next;
};

struct tier {
	char *uri; /* NULL: of one sink alone */
	char epoch[LF_UUID_CHARS + 1];
	unsigned users;
	void *entries; /* a tree of struct held */
	struct writer *writers;
	struct tier *next;
};

struct lf_sink {
	struct tier *tier;
	char incarnation[LF_UUID_CHARS + 1];
};

static struct tier *tiers; /* those with a uri */

static enum lf_sink_result no_memory(struct lf_error *err)
{
	(void)lf_fail(err, -ENOMEM, "there is no memory for the entries kept there");
	return LF_SINK_RETRY;
}

/* ---- What is held ---- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct held *)a)->key, ((const struct held *)b)->key);
}

static void release(void *arg)
{
	struct held *held = arg;

	lf_entry_fini(&held->entry);
	free(held->shares);
	free(held);
}

static bool make_key(char key[KEY_MAX], struct lf_text namespace, struct lf_text hash)
{
	return namespace.len <= LF_NAMESPACE_MAX && hash.len == LF_HASH_CHARS &&
	       snprintf(key, KEY_MAX, "%.*s:%.*s", (int)namespace.len, namespace.data, (int)hash.len,
	                hash.data) < KEY_MAX;
}

static struct held *find(const struct tier *tier, struct lf_text namespace, struct lf_text hash)
{
	struct held wanted;
	struct held **node;

	if (!make_key(wanted.key, namespace, hash))
		return NULL;
	node = tfind(&wanted, &tier->entries, compare);
	return node ? *node : NULL;
}

static struct held *insert(struct tier *tier, const struct lf_entry *entry)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held || !make_key(held->key, entry->namespace, entry->hash) ||
	    lf_entry_copy(&held->entry, entry) < 0) {
		free(held);
		return NULL;
	}
	memset(held->entry.counts, 0, sizeof(held->entry.counts));
	held->entry.count_total = 0;
	if (tsearch(held, &tier->entries, compare))
		return held;
	release(held);
	return NULL;
}

/* ---- Merging ---- */

static struct lf_share *share_of(struct held *held, const char *incarnation)
{
	struct lf_share *larger;

	for (size_t i = 0; i < held->shares_count; i++)
		if (strcmp(held->shares[i].incarnation, incarnation) == 0)
			return &held->shares[i];
	larger = reallocarray(held->shares, held->shares_count + 1, sizeof(*larger));
	if (!larger)
		return NULL;
	held->shares = larger;
	larger += held->shares_count++;
	*larger = (struct lf_share){ { 0 }, { 0 } };
	(void)snprintf(larger->incarnation, sizeof(larger->incarnation), "%s", incarnation);
	return larger;
}

static bool raise_share(struct held *held, const struct lf_share *from)
{
	struct lf_share *share = share_of(held, from->incarnation);

	if (!share)
		return false;
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		if (from->counts[i] <= share->counts[i])
			continue;
		held->entry.counts[i] += from->counts[i] - share->counts[i];
		held->entry.count_total += from->counts[i] - share->counts[i];
		share->counts[i] = from->counts[i];
	}
	return true;
}

static int compare_text(struct lf_text a, struct lf_text b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static void keep_time(struct lf_text *time, char room[LF_TIME_CHARS + 1], struct lf_text from,
                      bool earlier)
{
	if (from.len != LF_TIME_CHARS)
		return;
	if (time->len && (compare_text(from, *time) < 0) != earlier)
		return;
	memcpy(room, from.data, LF_TIME_CHARS);
	*time = (struct lf_text){ room, LF_TIME_CHARS };
}

/* Flags may be longer than those they replace: the entry is copied anew. */
static bool take_flags(struct held *held, const struct lf_entry *from)
{
	struct lf_entry merged = held->entry, copy;

	merged.enabled = from->enabled;
	merged.persist_to_cache = from->persist_to_cache;
	merged.persist_to_db = from->persist_to_db;
	merged.tags = from->tags;
	merged.policy = from->policy;
	merged.flags_version = from->flags_version;
	merged.flags_writer = from->flags_writer;
	if (lf_entry_copy(&copy, &merged) < 0)
		return false;
	lf_entry_fini(&held->entry);
	held->entry = copy;
	return true;
}

static bool has_lower_flags(const struct lf_entry *held, const struct lf_entry *offered)
{
	if (held->flags_version != offered->flags_version)
		return held->flags_version < offered->flags_version;
	return compare_text(held->flags_writer, offered->flags_writer) < 0;
}

static bool merge(struct tier *tier, const struct lf_sink_record *record)
{
	const struct lf_entry *entry = record->entry;
	struct held *held = find(tier, entry->namespace, entry->hash);

	if (!held)
		held = insert(tier, entry);
	else if (record->flags_changed && has_lower_flags(&held->entry, entry) &&
	         !take_flags(held, entry))
		return false;
	if (!held)
		return false;
	if (record->frozen)
		return true;
	for (size_t i = 0; i < record->shares_count; i++)
		if (!raise_share(held, &record->shares[i]))
			return false;
	keep_time(&held->entry.first_seen_at, held->first, entry->first_seen_at, true);
	keep_time(&held->entry.last_seen_at, held->last, entry->last_seen_at, false);
	return true;
}

static struct writer *writer_of(struct tier *tier, const char *incarnation)
{
	struct writer *writer = tier->writers;

	while (writer && strcmp(writer->incarnation, incarnation) != 0)
		writer = writer->next;
	if (writer)
		return writer;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return NULL;
	(void)snprintf(writer->incarnation, sizeof(writer->incarnation), "%s", incarnation);
	writer->next = tier->writers;
	tier->writers = writer;
	return writer;
}

static enum lf_sink_result memory_flush(struct lf_sink *sink, const struct lf_sink_batch *batch,
                                        int timeout_ms, struct lf_error *err)
{
	struct writer *writer = writer_of(sink->tier, sink->incarnation);

	(void)timeout_ms;
	if (!writer)
		return no_memory(err);
	for (size_t i = 0; i < batch->count; i++)
		if (!merge(sink->tier, &batch->records[i]))
			return no_memory(err);
	if (batch->sequence > writer->sequence)
		writer->sequence = batch->sequence;
	return LF_SINK_DONE;
}

/* ---- Reading ---- */

static bool is_flagged(const struct lf_entry *entry)
{
	return !entry->enabled || !entry->persist_to_cache || !entry->persist_to_db ||
	       entry->flags_version > 0 || entry->tags.len > 2 || entry->policy.len > 0;
}

struct reading {
	const struct lf_sink_query *query;
	lf_sink_each each;
	void *arg;
	int over;
};

static void give(struct reading *reading, const struct held *held)
{
	bool with_shares = reading->query->with_shares;

	if (!reading->over && (reading->query->what == LF_SINK_ALL || is_flagged(&held->entry)))
		reading->over = reading->each(reading->arg, &held->entry,
		                              with_shares ? held->shares : NULL,
		                              with_shares ? held->shares_count : 0);
}

static void visit(const void *node, VISIT order, void *arg)
{
	const struct held *held = *(struct held *const *)node;
	struct reading *reading = arg;
	size_t len = strlen(reading->query->namespace);

	if ((order == postorder || order == leaf) && held->entry.namespace.len == len &&
	    memcmp(held->entry.namespace.data, reading->query->namespace, len) == 0)
		give(reading, held);
}

static enum lf_sink_result memory_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                       lf_sink_each each, void *arg, int timeout_ms,
                                       struct lf_error *err)
{
	struct reading reading = { query, each, arg, 0 };
	struct lf_text namespace = { query->namespace, strlen(query->namespace) };

	(void)timeout_ms;
	(void)err;
	if (!query->hashes)
		twalk_r(sink->tier->entries, visit, &reading);
	for (size_t i = 0; i < query->hashes_count; i++) {
		struct lf_text hash = { query->hashes[i], strlen(query->hashes[i]) };
		const struct held *held = find(sink->tier, namespace, hash);

		if (held)
			give(&reading, held);
	}
	return LF_SINK_DONE;
}

/* ---- Forgetting ---- */

static bool is_alone(const struct held *held, const struct lf_sink_record *record)
{
	size_t known = 0;

	for (size_t i = 0; i < held->shares_count; i++)
		for (size_t k = 0; k < record->shares_count; k++)
			known += strcmp(held->shares[i].incarnation, record->shares[k].incarnation) == 0;
	return known == held->shares_count;
}

static enum lf_sink_result memory_evict(struct lf_sink *sink, const struct lf_sink_record *records,
                                        size_t count, int timeout_ms, struct lf_error *err)
{
	(void)timeout_ms;
	(void)err;
	for (size_t i = 0; i < count; i++) {
		struct held *held = find(sink->tier, records[i].entry->namespace, records[i].entry->hash);

		if (!held || !is_alone(held, &records[i]))
			continue;
		(void)tdelete(held, &sink->tier->entries, compare);
		release(held);
	}
	return LF_SINK_DONE;
}

/* ---- Life cycle ---- */

static enum lf_sink_result memory_hello(struct lf_sink *sink, struct lf_sink_hello *out,
                                        int timeout_ms, struct lf_error *err)
{
	struct writer *writer = writer_of(sink->tier, sink->incarnation);

	(void)timeout_ms;
	if (!writer)
		return no_memory(err);
	*out = (struct lf_sink_hello){ .sequence = writer->sequence };
	(void)strcpy(out->epoch, sink->tier->epoch);
	return LF_SINK_DONE;
}

static struct tier *find_tier(const char *uri)
{
	struct tier *tier = tiers;

	while (tier && strcmp(tier->uri, uri) != 0)
		tier = tier->next;
	return tier;
}

static struct tier *new_tier(const char *uri)
{
	struct tier *tier = calloc(1, sizeof(*tier));
	uint64_t random[2];

	if (!tier || (uri && !(tier->uri = strdup(uri))) ||
	    getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		free(tier);
		return NULL;
	}
	(void)snprintf(tier->epoch, sizeof(tier->epoch), "%016llx%016llx0000",
	               (unsigned long long)random[0], (unsigned long long)random[1]);
	if (uri) {
		tier->next = tiers;
		tiers = tier;
	}
	return tier;
}

static void free_tier(struct tier *tier)
{
	for (struct tier **at = &tiers; *at; at = &(*at)->next) {
		if (*at != tier)
			continue;
		*at = tier->next;
		break;
	}
	tdestroy(tier->entries, release);
	for (struct writer *writer = tier->writers, *next; writer; writer = next) {
		next = writer->next;
		free(writer);
	}
	free(tier->uri);
	free(tier);
}

static int memory_open(struct lf_sink **out, const struct lf_sink_options *options,
                       struct lf_error *err)
{
	struct lf_sink *sink = calloc(1, sizeof(*sink));
	struct tier *tier = options->uri ? find_tier(options->uri) : NULL;

	if (!tier)
		tier = new_tier(options->uri);
	if (!sink || !tier) {
		free(sink);
		return lf_fail(err, -ENOMEM, "there is no memory for a sink");
	}
	tier->users++;
	sink->tier = tier;
	if (options->incarnation)
		(void)snprintf(sink->incarnation, sizeof(sink->incarnation), "%s", options->incarnation);
	*out = sink;
	return 0;
}

static void memory_close(struct lf_sink *sink)
{
	if (sink && --sink->tier->users == 0)
		free_tier(sink->tier);
	free(sink);
}

const struct lf_sink_ops lf_sink_memory = {
	.abi = LF_SINK_ABI,
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.hello = memory_hello,
	.flush = memory_flush,
	.read = memory_read,
	.evict = memory_evict,
};
