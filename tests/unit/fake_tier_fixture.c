/* A shared tier in the memory of the test program. */
#include "tests/unit/fake_tier_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "tests/unit/cache_fixture.h"

struct entry {
	struct entry *next;
	struct lf_record *record; /* or a stamp */
	uint64_t stamp, token;
	size_t len;
	char name[];
};

struct message {
	struct message *next;
	struct lf_tier_change change;
	char name[];
};

/* What one opened cache listens with. */
struct lf_tier {
	struct fake *fake;
	struct lf_tier *next;
	char *scope;
	uint64_t writer;
	bool watches, broken;
	int event_fd;
	struct message *messages, **last;
};

struct hook {
	void (*call)(void *arg);
	void *arg;
};

struct fake {
	pthread_mutex_t lock;
	const char *url;
	struct entry *records, *stamps, *locks;
	struct lf_tier *tiers;
	bool down;
	int delay_ms;
	unsigned mark;
	uint64_t fence;
	unsigned calls[FAKE_OPS], fails[FAKE_OPS];
	enum lf_tier_result failure[FAKE_OPS];
	bool done[FAKE_OPS];
	struct hook before[FAKE_OPS], behind[FAKE_OPS];
};

static struct fake servers[] = {
	{ .lock = PTHREAD_MUTEX_INITIALIZER, .url = "fake:redis", .mark = 1 },
	{ .lock = PTHREAD_MUTEX_INITIALIZER, .url = "fake:mongo", .mark = 1 },
};

struct fake *fake_server(enum lf_cache_tier which)
{
	return &servers[which == LF_CACHE_MONGO];
}

/* --- entries, with the lock held -------------------------------------------------------------------- */

static struct entry **find(struct entry **list, struct lf_text name)
{
	while (*list && ((*list)->len != name.len || memcmp((*list)->name, name.data, name.len) != 0))
		list = &(*list)->next;
	return list;
}

static struct entry *make(struct entry **list, struct lf_text name)
{
	struct entry **at = find(list, name), *entry = *at;

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry) + name.len + 1);
	if (!entry)
		abort();
	memcpy(entry->name, name.data, name.len);
	entry->len = name.len;
	return *at = entry;
}

static void take_out(struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	lf_record_drop(entry->record);
	free(entry);
}

static void take_all(struct entry **list)
{
	while (*list)
		take_out(list);
}

static void wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void publish(struct fake *fake, uint64_t writer, enum lf_tier_change_kind kind, struct lf_text name, uint64_t clock,
                    uint64_t by)
{
	for (struct lf_tier *tier = fake->tiers; tier; tier = tier->next) {
		struct message *message;

		if (!tier->watches || tier->writer == writer)
			continue;
		message = calloc(1, sizeof(*message) + name.len);
		if (!message)
			abort();
		memcpy(message->name, name.data, name.len);
		message->change = (struct lf_tier_change){ kind, { message->name, name.len }, { clock, by } };
		*tier->last = message;
		tier->last = &message->next;
		wake(tier->event_fd);
	}
}

static void drop_messages(struct lf_tier *tier)
{
	for (struct message *message = tier->messages, *next; message; message = next) {
		next = message->next;
		free(message);
	}
	tier->messages = NULL;
	tier->last = &tier->messages;
}

/* --- one call --------------------------------------------------------------------------------------- */

struct call {
	struct fake *fake;
	enum fake_op op;
	enum lf_tier_result result;
	bool does; /* what is asked for */
};

static void run_hook(struct fake *fake, struct hook *hook)
{
	struct hook once;

	(void)pthread_mutex_lock(&fake->lock);
	once = *hook;
	*hook = (struct hook){ NULL, NULL };
	(void)pthread_mutex_unlock(&fake->lock);
	if (once.call)
		once.call(once.arg);
}

/* False: it is late. */
static bool take_time(struct fake *fake, int64_t end_ms)
{
	int64_t begun = lf_clock_ms(), now;
	bool late = false;

	for (;;) {
		int delay;
		bool down;

		(void)pthread_mutex_lock(&fake->lock);
		delay = fake->delay_ms;
		down = fake->down;
		(void)pthread_mutex_unlock(&fake->lock);
		now = lf_clock_ms();
		late = now >= end_ms;
		if (down || late || now >= begun + delay)
			break;
		(void)poll(NULL, 0, 1);
	}
	return !late;
}

/* The lock is held when it returns, until end(). */
static struct call begin(struct fake *fake, enum fake_op op, int64_t end_ms, struct lf_error *err)
{
	struct call call = { .fake = fake, .op = op, .does = true };
	bool in_time;

	run_hook(fake, &fake->before[op]);
	in_time = take_time(fake, end_ms);
	(void)pthread_mutex_lock(&fake->lock);
	fake->calls[op]++;
	if (fake->down) {
		call.result = LF_TIER_AWAY;
		call.does = false;
		(void)lf_fail(err, -ECONNREFUSED, "%s refuses connections", fake->url);
	} else if (fake->fails[op]) {
		fake->fails[op]--;
		call.result = fake->failure[op];
		call.does = fake->done[op];
		(void)lf_fail(err, -EIO, "%s was told to fail", fake->url);
	} else if (!in_time) {
		call.result = LF_TIER_AWAY;
		(void)lf_fail(err, -ETIMEDOUT, "%s does not answer", fake->url);
	}
	return call;
}

static enum lf_tier_result end(const struct call *call)
{
	(void)pthread_mutex_unlock(&call->fake->lock);
	run_hook(call->fake, &call->fake->behind[call->op]);
	return call->result;
}

/* --- the tier --------------------------------------------------------------------------------------- */

static int open_tier(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	struct fake *fake = NULL;
	struct lf_tier *tier;

	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		if (strcmp(options->server->url, servers[i].url) == 0)
			fake = &servers[i];
	if (!fake)
		return lf_fail(err, -EINVAL, "there is no server %s: take fake:redis or fake:mongo", options->server->url);
	tier = calloc(1, sizeof(*tier));
	if (!tier)
		abort();
	tier->fake = fake;
	tier->scope = strdup(options->scope);
	tier->writer = options->self.writer;
	tier->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	tier->last = &tier->messages;
	(void)pthread_mutex_lock(&fake->lock);
	tier->next = fake->tiers;
	fake->tiers = tier;
	(void)pthread_mutex_unlock(&fake->lock);
	*out = tier;
	return 0;
}

static void close_tier(struct lf_tier *tier)
{
	struct fake *fake = tier->fake;
	struct lf_tier **at = &fake->tiers;

	(void)pthread_mutex_lock(&fake->lock);
	while (*at != tier)
		at = &(*at)->next;
	*at = tier->next;
	drop_messages(tier);
	if (!fake->tiers) {
		take_all(&fake->records);
		take_all(&fake->stamps);
		take_all(&fake->locks);
	}
	(void)pthread_mutex_unlock(&fake->lock);
	(void)close(tier->event_fd);
	free(tier->scope);
	free(tier);
}

static enum lf_tier_result ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_PING, end_ms, err);

	(void)snprintf(mark, LF_TIER_MARK_MAX, "%s %u", tier->fake->url, tier->fake->mark);
	return end(&call);
}

static enum lf_tier_result load(struct lf_tier *tier, const struct lf_text *keys, size_t count, struct lf_record **records,
                                int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_LOAD, end_ms, err);

	for (size_t i = 0; i < count && call.result == LF_TIER_DONE; i++) {
		struct entry *entry = *find(&tier->fake->records, keys[i]);

		records[i] = entry ? lf_record_keep(entry->record) : NULL;
	}
	return end(&call);
}

static bool holds(struct fake *fake, const struct lf_tier_store *store, const struct entry *entry)
{
	const struct lf_version none = { 0, 0 }, is = entry ? entry->record->version : none;
	const struct entry *locked;

	if (store->condition == LF_IF_VERSION)
		return lf_version_compare(is, store->expected) == 0;
	if (store->condition == LF_IF_LOCKED) {
		locked = *find(&fake->locks, store->key);
		if (!locked || locked->token != store->token)
			return false;
	}
	return lf_version_compare(store->record->version, is) > 0;
}

static void put(struct fake *fake, uint64_t writer, struct lf_text key, const struct lf_record *record)
{
	struct entry *entry = make(&fake->records, key);

	lf_record_drop(entry->record);
	entry->record = lf_record_new(record);
	if (!entry->record)
		abort();
	publish(fake, writer, LF_CHANGED_KEY, key, record->version.clock, record->version.writer);
}

static enum lf_tier_result store(struct lf_tier *tier, struct lf_tier_store *stores, size_t count, int64_t end_ms,
                                 struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_STORE, end_ms, err);

	for (size_t i = 0; i < count && call.does; i++) {
		bool stored = holds(tier->fake, &stores[i], *find(&tier->fake->records, stores[i].key));

		if (stored)
			put(tier->fake, tier->writer, stores[i].key, stores[i].record);
		if (call.result == LF_TIER_DONE)
			stores[i].stored = stored ? LF_STORED : LF_NOT_STORED;
	}
	return end(&call);
}

/* The cursor: how many of the list were given. */
static enum lf_tier_result scan(struct lf_tier *tier, struct lf_text prefix, char cursor[LF_TIER_CURSOR_MAX], size_t max,
                                char ***keys, size_t *count, int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_SCAN, end_ms, err);
	size_t given = strtoul(cursor, NULL, 10), at = 0;
	struct entry *entry = tier->fake->records;

	*keys = calloc(max, sizeof(**keys));
	*count = 0;
	for (; entry && call.result == LF_TIER_DONE && *count < max; entry = entry->next, at++)
		if (at >= given && entry->len >= prefix.len && memcmp(entry->name, prefix.data, prefix.len) == 0)
			(*keys)[(*count)++] = strndup(entry->name, entry->len);
	if (entry && call.result == LF_TIER_DONE)
		(void)snprintf(cursor, LF_TIER_CURSOR_MAX, "%zu", at);
	else if (call.result == LF_TIER_DONE)
		cursor[0] = '\0';
	else
		free(*keys);
	return end(&call);
}

static enum lf_tier_result drop(struct lf_tier *tier, struct lf_text prefix, uint64_t upto, int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_DROP, end_ms, err);
	struct entry **at = &tier->fake->records;

	while (call.does && *at) {
		if ((*at)->len >= prefix.len && memcmp((*at)->name, prefix.data, prefix.len) == 0 &&
		    (*at)->record->version.clock <= upto)
			take_out(at);
		else
			at = &(*at)->next;
	}
	if (call.does)
		publish(tier->fake, tier->writer, LF_CHANGED_PREFIX, prefix, upto, tier->writer);
	return end(&call);
}

static enum lf_tier_result stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out,
                                  int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_STAMPS, end_ms, err);

	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = *find(&tier->fake->stamps, names[i]);

		out[i] = entry ? entry->stamp : 0;
	}
	return end(&call);
}

static enum lf_tier_result raise_to(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to, uint64_t *out,
                                    int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_RAISE, end_ms, err);

	for (size_t i = 0; i < count && call.does; i++) {
		struct entry *entry = make(&tier->fake->stamps, names[i]);

		if (entry->stamp < to) {
			entry->stamp = to;
			publish(tier->fake, tier->writer, LF_CHANGED_STAMP, names[i], to, tier->writer);
		}
		out[i] = entry->stamp;
	}
	return end(&call);
}

static enum lf_tier_result lock(struct lf_tier *tier, struct lf_text key, int ttl_ms, uint64_t *token, int64_t end_ms,
                                struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_LOCK, end_ms, err);

	(void)ttl_ms;
	*token = 0;
	if (call.does && !*find(&tier->fake->locks, key))
		*token = make(&tier->fake->locks, key)->token = ++tier->fake->fence;
	return end(&call);
}

static enum lf_tier_result unlock(struct lf_tier *tier, struct lf_text key, uint64_t token, int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_UNLOCK, end_ms, err);
	struct entry **at = find(&tier->fake->locks, key);

	if (call.does && *at && (*at)->token == token)
		take_out(at);
	return end(&call);
}

static enum lf_tier_result watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	struct call call = begin(tier->fake, FAKE_WATCH, end_ms, err);

	drop_messages(tier);
	tier->watches = call.result == LF_TIER_DONE;
	tier->broken = false;
	return end(&call);
}

static enum lf_tier_result changes(struct lf_tier *tier, int wake_fd, void (*changed)(void *arg, const struct lf_tier_change *change),
                                   void *arg, int64_t end_ms, struct lf_error *err)
{
	struct pollfd fds[] = { { .fd = wake_fd, .events = POLLIN }, { .fd = tier->event_fd, .events = POLLIN } };
	int64_t left = end_ms - lf_clock_ms();
	struct message *messages;
	uint64_t count;
	bool broken;

	(void)poll(fds, 2, left > 0 ? (int)left : 0);
	(void)!read(tier->event_fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&tier->fake->lock);
	messages = tier->messages;
	tier->messages = NULL;
	tier->last = &tier->messages;
	broken = tier->broken || tier->fake->down;
	tier->watches &= !broken;
	(void)pthread_mutex_unlock(&tier->fake->lock);
	for (struct message *message = messages, *next; message; message = next) {
		next = message->next;
		changed(arg, &message->change);
		free(message);
	}
	if (broken)
		(void)lf_fail(err, -EPIPE, "the channel of %s broke", tier->fake->url);
	return broken ? LF_TIER_AWAY : LF_TIER_DONE;
}

static enum lf_tier_result info(struct lf_tier *tier, struct lf_tier_info *out, int64_t end_ms, struct lf_error *err)
{
	(void)tier;
	(void)end_ms;
	(void)err;
	*out = (struct lf_tier_info){ UINT64_MAX, UINT64_MAX, 0, 0, 1 };
	return LF_TIER_DONE;
}

const struct lf_tier_ops fake_tier = {
	.abi = LF_TIER_ABI, .name = "fake", .open = open_tier, .close = close_tier, .ping = ping, .load = load, .store = store,
	.scan = scan, .drop = drop, .stamps = stamps, .raise = raise_to, .lock = lock, .unlock = unlock, .watch = watch,
	.changes = changes, .info = info,
};

/* --- what tests do ---------------------------------------------------------------------------------- */

void fake_down(struct fake *fake, bool down)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->down = down;
	for (struct lf_tier *tier = fake->tiers; tier && down; tier = tier->next) {
		tier->broken = tier->watches;
		wake(tier->event_fd);
	}
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_delay(struct fake *fake, int ms)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->delay_ms = ms;
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_fail(struct fake *fake, enum fake_op op, unsigned count, enum lf_tier_result result, bool done)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->fails[op] = count;
	fake->failure[op] = result;
	fake->done[op] = done;
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_before(struct fake *fake, enum fake_op op, void (*before)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->before[op] = (struct hook){ before, arg };
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_behind(struct fake *fake, enum fake_op op, void (*behind)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->behind[op] = (struct hook){ behind, arg };
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_empty(struct fake *fake)
{
	(void)pthread_mutex_lock(&fake->lock);
	take_all(&fake->records);
	take_all(&fake->stamps);
	take_all(&fake->locks);
	fake->mark++;
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_break_channel(struct fake *fake)
{
	(void)pthread_mutex_lock(&fake->lock);
	for (struct lf_tier *tier = fake->tiers; tier; tier = tier->next) {
		tier->broken = tier->watches;
		tier->watches = false;
		wake(tier->event_fd);
	}
	(void)pthread_mutex_unlock(&fake->lock);
}

unsigned fake_expire_locks(struct fake *fake)
{
	unsigned count = 0;

	(void)pthread_mutex_lock(&fake->lock);
	for (; fake->locks; count++)
		take_out(&fake->locks);
	(void)pthread_mutex_unlock(&fake->lock);
	return count;
}

unsigned fake_calls(struct fake *fake, enum fake_op op)
{
	unsigned calls;

	(void)pthread_mutex_lock(&fake->lock);
	calls = fake->calls[op];
	(void)pthread_mutex_unlock(&fake->lock);
	return calls;
}

struct lf_record *fake_peek(struct fake *fake, struct lf_text key)
{
	struct entry *entry;
	struct lf_record *record;

	(void)pthread_mutex_lock(&fake->lock);
	entry = *find(&fake->records, key);
	record = entry ? lf_record_keep(entry->record) : NULL;
	(void)pthread_mutex_unlock(&fake->lock);
	return record;
}

void fake_poke(struct fake *fake, struct lf_text key, const struct lf_record *record)
{
	(void)pthread_mutex_lock(&fake->lock);
	put(fake, 0, key, record);
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_poke_stamp(struct fake *fake, struct lf_text name, uint64_t stamp)
{
	(void)pthread_mutex_lock(&fake->lock);
	make(&fake->stamps, name)->stamp = stamp;
	publish(fake, 0, LF_CHANGED_STAMP, name, stamp, 0);
	(void)pthread_mutex_unlock(&fake->lock);
}

uint64_t fake_peek_stamp(struct fake *fake, struct lf_text name)
{
	const struct entry *entry;
	uint64_t stamp;

	(void)pthread_mutex_lock(&fake->lock);
	entry = *find(&fake->stamps, name);
	stamp = entry ? entry->stamp : 0;
	(void)pthread_mutex_unlock(&fake->lock);
	return stamp;
}

void fake_evict(struct fake *fake, struct lf_text key)
{
	struct entry **at;

	(void)pthread_mutex_lock(&fake->lock);
	at = find(&fake->records, key);
	if (*at)
		take_out(at);
	(void)pthread_mutex_unlock(&fake->lock);
}
