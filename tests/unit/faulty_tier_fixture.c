#include "tests/unit/faulty_tier_fixture.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hashing/clock.h"

enum { HELD_MAX = 8192, STAMPS_MAX = 64, LOOK_MS = 2 };

struct held {
	char *key;
	size_t len;
	struct lf_record *record;
};

struct stamp {
	char name[256];
	size_t len;
	uint64_t is;
};

/* The two that there are. */
static struct faulty {
	pthread_mutex_t lock;
	enum faulty_how how, later, channel;
	_Atomic int drop_ms;
	unsigned stores_till_later; /* 0: never */
	unsigned life; /* the mark */
	struct held held[HELD_MAX];
	size_t count;
	struct stamp stamps[STAMPS_MAX];
	size_t stamps_count;
	struct faulty_counts counts;
	bool watched;
	const struct lf_tier_change *telling;
} faulties[LF_CACHE_TIERS] = { [LF_CACHE_REDIS].lock = PTHREAD_MUTEX_INITIALIZER,
	                    [LF_CACHE_MONGO].lock = PTHREAD_MUTEX_INITIALIZER };

static struct faulty *of(struct lf_tier *tier)
{
	return (struct faulty *)(void *)tier;
}

static void nap(void)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
}

/* ---- What is held ---- */

static bool is_text(const char *data, size_t len, struct lf_text text)
{
	return len == text.len && memcmp(data, text.data, len) == 0;
}

static struct held *find(struct faulty *faulty, struct lf_text key)
{
	for (size_t i = 0; i < faulty->count; i++)
		if (is_text(faulty->held[i].key, faulty->held[i].len, key))
			return &faulty->held[i];
	return NULL;
}

static void keep(struct faulty *faulty, struct lf_text key, const struct lf_record *record)
{
	struct held *held = find(faulty, key);

	if (!held) {
		assert(faulty->count < HELD_MAX);
		held = &faulty->held[faulty->count++];
		*held = (struct held){ .key = strndup(key.data, key.len), .len = key.len };
	}
	lf_record_drop(held->record);
	held->record = lf_record_new(record);
}

static void remove_at(struct faulty *faulty, size_t i)
{
	free(faulty->held[i].key);
	lf_record_drop(faulty->held[i].record);
	faulty->held[i] = faulty->held[--faulty->count];
}

static struct stamp *stamp_of(struct faulty *faulty, struct lf_text name)
{
	for (size_t i = 0; i < faulty->stamps_count; i++)
		if (is_text(faulty->stamps[i].name, faulty->stamps[i].len, name))
			return &faulty->stamps[i];
	assert(faulty->stamps_count < STAMPS_MAX && name.len < sizeof(faulty->stamps[0].name));
	(void)memcpy(faulty->stamps[faulty->stamps_count].name, name.data, name.len);
	faulty->stamps[faulty->stamps_count].len = name.len;
	return &faulty->stamps[faulty->stamps_count++];
}

/* ---- The tier ---- */

/* Whether a call is answered, and how; what it does, it does under the lock. */
static enum lf_tier_result enter(struct faulty *faulty, int64_t end_ms, struct lf_error *err)
{
	static const enum lf_tier_result result_of[] = { LF_TIER_DONE,     LF_TIER_AWAY, LF_TIER_AWAY,
		                                         LF_TIER_REJECTED, LF_TIER_FULL, LF_TIER_DONE };
	enum faulty_how how;

	for (;;) {
		(void)pthread_mutex_lock(&faulty->lock);
		how = faulty->how;
		if (result_of[how] == LF_TIER_DONE)
			return LF_TIER_DONE;
		(void)pthread_mutex_unlock(&faulty->lock);
		if (how != FAULTY_SILENT || lf_clock_ms() >= end_ms)
			return (enum lf_tier_result)lf_fail(err, result_of[how], "the tier is told to fail");
		nap();
	}
}

static enum lf_tier_result leave(struct faulty *faulty, enum lf_tier_result result)
{
	(void)pthread_mutex_unlock(&faulty->lock);
	return result;
}

static void faulty_close(struct lf_tier *tier)
{
	(void)tier;
}

static enum lf_tier_result faulty_ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms,
                                     struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result;

	(void)pthread_mutex_lock(&faulty->lock);
	faulty->counts.pings++;
	(void)pthread_mutex_unlock(&faulty->lock);
	result = enter(faulty, end_ms, err);
	if (result != LF_TIER_DONE)
		return result;
	(void)snprintf(mark, LF_TIER_MARK_MAX, "life %u", faulty->life + 1);
	return leave(faulty, result);
}

static enum lf_tier_result faulty_load(struct lf_tier *tier, const struct lf_text *keys, size_t count,
                                     struct lf_record **records,
                                     int64_t end_ms, struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	for (size_t i = 0; i < count; i++)
		records[i] = NULL;
	if (result != LF_TIER_DONE)
		return result;
	faulty->counts.loads++;
	for (size_t i = 0; i < count; i++) {
		struct held *held = find(faulty, keys[i]);

		records[i] = held ? lf_record_keep(held->record) : NULL;
	}
	return leave(faulty, result);
}

static void count_store(struct faulty *faulty, size_t count)
{
	faulty->counts.stores++;
	faulty->counts.stored_keys += (unsigned)count;
	if (faulty->counts.largest_store < count)
		faulty->counts.largest_store = (unsigned)count;
	if (faulty->stores_till_later && --faulty->stores_till_later == 0)
		faulty->how = faulty->later;
}

static bool may_store(struct faulty *faulty, const struct lf_tier_store *store)
{
	const struct held *held = find(faulty, store->key);
	struct lf_version there = held ? held->record->version : (struct lf_version){ 0, 0 };

	if (store->condition == LF_IF_VERSION)
		return lf_version_compare(there, store->expected) == 0;
	return lf_version_compare(store->record->version, there) > 0;
}

static enum lf_tier_result faulty_store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count,
                                        int64_t end_ms,
                                      struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	for (size_t i = 0; i < count && faulty->how == FAULTY_PICKY; i++)
		if (stores[i].record->value.len > FAULTY_PICKY_MAX)
			return leave(faulty, (enum lf_tier_result)lf_fail(err, LF_TIER_REJECTED, "that is too long"));
	for (size_t i = 0; i < count; i++) {
		stores[i].stored = may_store(faulty, &stores[i]) ? LF_STORED : LF_NOT_STORED;
		if (stores[i].stored == LF_STORED)
			keep(faulty, stores[i].key, stores[i].record);
	}
	count_store(faulty, count);
	return leave(faulty, result);
}

static enum lf_tier_result faulty_scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX],
                                     size_t max,
                                     char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);
	size_t at = (size_t)atoi(cursor);

	if (result != LF_TIER_DONE)
		return result;
	*keys = calloc(max, sizeof(**keys));
	for (*count = 0; at < faulty->count && *count < max; at++)
		if (faulty->held[at].len >= prefix.len && memcmp(faulty->held[at].key, prefix.data, prefix.len) == 0)
			(*keys)[(*count)++] = strdup(faulty->held[at].key);
	(void)snprintf(cursor, LF_TIER_CURSOR_MAX, "%zu", at);
	if (at == faulty->count)
		cursor[0] = '\0';
	return leave(faulty, result);
}

static enum lf_tier_result faulty_drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms,
                                     struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	int64_t done_ms = lf_clock_ms() + atomic_load(&faulty->drop_ms);
	enum lf_tier_result result;

	while (lf_clock_ms() < done_ms) {
		if (lf_clock_ms() >= end_ms)
			return (enum lf_tier_result)lf_fail(err, LF_TIER_AWAY, "not all was dropped in time");
		nap();
	}
	result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	faulty->counts.drops++;
	faulty->counts.dropped_upto = upto;
	(void)snprintf(faulty->counts.dropped, sizeof(faulty->counts.dropped), "%.*s", (int)prefix.len, prefix.data);
	for (size_t i = faulty->count; i-- > 0;)
		if (faulty->held[i].len >= prefix.len && memcmp(faulty->held[i].key, prefix.data, prefix.len) == 0 &&
		    faulty->held[i].record->version.clock <= upto)
			remove_at(faulty, i);
	return leave(faulty, result);
}

static enum lf_tier_result faulty_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                       int64_t end_ms, struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	for (size_t i = 0; i < count; i++)
		out[i] = stamp_of(faulty, names[i])->is;
	return leave(faulty, result);
}

static enum lf_tier_result faulty_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to,
                                      uint64_t *out,
                                      int64_t end_ms, struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	faulty->counts.raises++;
	for (size_t i = 0; i < count; i++) {
		struct stamp *stamp = stamp_of(faulty, names[i]);

		stamp->is = stamp->is < to ? to : stamp->is;
		out[i] = stamp->is;
	}
	return leave(faulty, result);
}

static enum lf_tier_result faulty_watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	faulty->counts.watches++;
	faulty->watched = faulty->channel == FAULTY_FINE;
	if (faulty->channel == FAULTY_REFUSING)
		result = LF_TIER_REJECTED;
	else if (!faulty->watched)
		result = LF_TIER_AWAY;
	return leave(faulty, result);
}

static enum lf_tier_result faulty_changes(struct lf_tier *tier, int wake_fd,
                                        void (*changed)(void *arg, const struct lf_tier_change *change), void *arg,
                                        int64_t end_ms, struct lf_error *err)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	struct faulty *faulty = of(tier);

	(void)err;
	while (lf_clock_ms() < end_ms && poll(&wake, 1, LOOK_MS) == 0) {
		const struct lf_tier_change *change;
		bool watched;

		(void)pthread_mutex_lock(&faulty->lock);
		watched = faulty->watched && faulty->how == FAULTY_FINE;
		change = faulty->telling;
		(void)pthread_mutex_unlock(&faulty->lock);
		if (!watched)
			return LF_TIER_AWAY;
		if (!change)
			continue;
		changed(arg, change);
		(void)pthread_mutex_lock(&faulty->lock);
		faulty->telling = NULL;
		(void)pthread_mutex_unlock(&faulty->lock);
	}
	return LF_TIER_DONE;
}

static enum lf_tier_result faulty_info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms,
                                     struct lf_error *err)
{
	struct faulty *faulty = of(tier);
	enum lf_tier_result result = enter(faulty, end_ms, err);

	if (result != LF_TIER_DONE)
		return result;
	*out = (struct lf_tier_info){ .items = faulty->count, .bytes = UINT64_MAX };
	return leave(faulty, result);
}

static int open_redis(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	(void)options;
	(void)err;
	*out = (struct lf_tier *)(void *)&faulties[LF_CACHE_REDIS];
	return 0;
}

static int open_mongo(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	(void)options;
	(void)err;
	*out = (struct lf_tier *)(void *)&faulties[LF_CACHE_MONGO];
	return 0;
}

#define FAULTY(name_, open_)                                            \
	{                                                               \
		.abi = LF_TIER_ABI, .name = (name_), .open = (open_),   \
		.close = faulty_close, .ping = faulty_ping,             \
		.load = faulty_load, .store = faulty_store,             \
		.scan = faulty_scan, .drop = faulty_drop,               \
		.stamps = faulty_stamps, .raise = faulty_raise,         \
		.watch = faulty_watch, .changes = faulty_changes,       \
		.info = faulty_info                                     \
	}

static const struct lf_tier_ops redis_ops = FAULTY("redis", open_redis), mongo_ops = FAULTY("mongo", open_mongo);

const struct lf_tier_ops *const faulty_ops[LF_CACHE_TIERS] = { [LF_CACHE_REDIS] = &redis_ops,
	                                                     [LF_CACHE_MONGO] = &mongo_ops };

/* ---- What tests say and ask ---- */

void faulty_be(enum lf_cache_tier which, enum faulty_how how)
{
	(void)pthread_mutex_lock(&faulties[which].lock);
	faulties[which].how = how;
	(void)pthread_mutex_unlock(&faulties[which].lock);
}

void faulty_be_after(enum lf_cache_tier which, unsigned stores, enum faulty_how how)
{
	(void)pthread_mutex_lock(&faulties[which].lock);
	faulties[which].later = how;
	faulties[which].stores_till_later = stores;
	(void)pthread_mutex_unlock(&faulties[which].lock);
}

void faulty_restart(enum lf_cache_tier which)
{
	struct faulty *faulty = &faulties[which];

	(void)pthread_mutex_lock(&faulty->lock);
	while (faulty->count)
		remove_at(faulty, 0);
	faulty->stamps_count = 0;
	(void)memset(faulty->stamps, 0, sizeof(faulty->stamps));
	faulty->life++;
	(void)pthread_mutex_unlock(&faulty->lock);
}

void faulty_be_slow_to_drop(enum lf_cache_tier which, int ms)
{
	atomic_store(&faulties[which].drop_ms, ms);
}

void faulty_be_watched(enum lf_cache_tier which, enum faulty_how how)
{
	(void)pthread_mutex_lock(&faulties[which].lock);
	faulties[which].channel = how;
	(void)pthread_mutex_unlock(&faulties[which].lock);
}

void faulty_tell(enum lf_cache_tier which, const struct lf_tier_change *change)
{
	struct faulty *faulty = &faulties[which];
	bool told = false;

	(void)pthread_mutex_lock(&faulty->lock);
	faulty->telling = change;
	(void)pthread_mutex_unlock(&faulty->lock);
	while (!told) {
		nap();
		(void)pthread_mutex_lock(&faulty->lock);
		told = !faulty->telling;
		(void)pthread_mutex_unlock(&faulty->lock);
	}
}

void faulty_break_channel(enum lf_cache_tier which)
{
	(void)pthread_mutex_lock(&faulties[which].lock);
	faulties[which].watched = false;
	(void)pthread_mutex_unlock(&faulties[which].lock);
}

void faulty_put(enum lf_cache_tier which, struct lf_text key, const struct lf_record *record)
{
	(void)pthread_mutex_lock(&faulties[which].lock);
	keep(&faulties[which], key, record);
	(void)pthread_mutex_unlock(&faulties[which].lock);
}

struct lf_record *faulty_get(enum lf_cache_tier which, struct lf_text key)
{
	struct held *held;
	struct lf_record *record;

	(void)pthread_mutex_lock(&faulties[which].lock);
	held = find(&faulties[which], key);
	record = held ? lf_record_keep(held->record) : NULL;
	(void)pthread_mutex_unlock(&faulties[which].lock);
	return record;
}

uint64_t faulty_stamp(enum lf_cache_tier which, struct lf_text name)
{
	uint64_t is;

	(void)pthread_mutex_lock(&faulties[which].lock);
	is = stamp_of(&faulties[which], name)->is;
	(void)pthread_mutex_unlock(&faulties[which].lock);
	return is;
}

struct faulty_counts faulty_counts(enum lf_cache_tier which)
{
	struct faulty_counts counts;

	(void)pthread_mutex_lock(&faulties[which].lock);
	counts = faulties[which].counts;
	(void)pthread_mutex_unlock(&faulties[which].lock);
	return counts;
}
