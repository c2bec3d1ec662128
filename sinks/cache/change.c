/* Commands that depend on what is there: read at the home, decided here (commands.h), stored there if nobody was faster.
 *
 * Where nobody knows whether a store was done (the answer did not come), it is looked again: what was tried is known by
 * its version.  While the home stays there it is tried there, so that two processes that share it never lose a change;
 * when it is away, the next home goes on from the newest record that was seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/call.h"
#include "sinks/cache/commands.h"
#include "sinks/cache/events.h"
#include "sinks/cache/look.h"
#include "sinks/cache/outbox.h"
#include "sinks/cache/set.h"
#include "sinks/cache/spread.h"
#include "sinks/cache/stamps.h"
#include "sinks/cache/workers.h"

enum {
	TRIED_MAX = 8,
	PATIENT = 3, /* turns without a pause */
	PAUSE_MAX_US = 4000,
};

/* A store of which nobody knows whether it was done. */
struct tried {
	enum lf_cache_tier home;
	struct lf_version version, expected;
	uint64_t ticket;
	unsigned losses;
	struct lf_command_result result;
	struct lf_record *record; /* what was stored: the result's, or a tombstone */
};

struct change {
	struct lf_cache_space *space;
	struct lf_cache *cache;
	struct lf_text key;
	const struct lf_command *command;
	int64_t end_ms;
	struct lf_error *err;
	unsigned refused; /* homes that answer, and will not */
	unsigned turn, tried_count;
	struct tried tried[TRIED_MAX];
	/* Of the present turn. */
	enum lf_cache_tier home, waits_for;
	uint64_t ticket;
	unsigned losses;
	struct lf_version at_home;   /* {0, 0}: it has nothing */
	struct lf_version left_over; /* in SQLite, though the home has nothing; {0, 0}: nothing */
	struct lf_record *newest;    /* that was seen in any turn */
};

enum { AGAIN = 2 }; /* beside 0, 1 and failures */

enum lf_cache_tier lf_stack_home(struct lf_cache *cache)
{
	static const enum lf_cache_tier order[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE, LF_CACHE_MEMORY };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (lf_tier_is_up(cache, order[i]))
			return order[i];
	return LF_CACHE_TIERS;
}

static enum lf_cache_tier home_of(const struct change *change)
{
	static const enum lf_cache_tier order[] = { LF_CACHE_REDIS, LF_CACHE_MONGO, LF_CACHE_SQLITE, LF_CACHE_MEMORY };

	if (!change->refused)
		return lf_stack_home(change->cache);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (!(change->refused & 1u << order[i]) && lf_tier_is_up(change->cache, order[i]))
			return order[i];
	return LF_CACHE_TIERS;
}

/* --- what a turn may come to ------------------------------------------------------------------------ */

static int late(const struct change *change)
{
	return lf_fail(change->err, -ETIMEDOUT, "the change was not done in %d ms: others were faster, or the %s tier does "
	               "not answer", change->cache->options.deadline_ms, lf_cache_tier_name(change->waits_for));
}

/* The tier did not do it, or nobody knows.  It stays the home as long as it is there. */
static int failed(struct change *change, enum lf_tier_result result)
{
	if (result != LF_TIER_AWAY)
		change->refused |= 1u << change->home;
	else if (lf_clock_ms() >= change->end_ms)
		return late(change);
	return AGAIN;
}

/* --- what is there --------------------------------------------------------------------------------- */

/* Takes it over. */
static void consider(struct change *change, struct lf_record *record)
{
	if (!record)
		return;
	lf_version_seen(change->cache, record->version.clock);
	if (change->newest && lf_version_compare(record->version, change->newest->version) <= 0) {
		lf_record_drop(record);
		return;
	}
	lf_record_drop(change->newest);
	change->newest = record;
}

static bool is_critical(const struct change *change)
{
	return change->command->critical || (change->newest && change->newest->flags & LF_RECORD_CRITICAL);
}

/* SQLite may be slow: some time is left for the home, and most of it where nothing critical is at stake. */
static int64_t sqlite_end(const struct change *change)
{
	int64_t now = lf_clock_ms();

	if (is_critical(change) || change->end_ms <= now)
		return lf_spread_share(change->end_ms);
	return now + (change->end_ms - now) / 4;
}

/* Of SQLite, what nobody else can know better: its own, what is critical, what is newer than at the home: that has yet to
 * be told, or was restarted with less than it had, which is known here only a moment later.  What is critical is never
 * changed without having asked. */
static int consider_sqlite(struct change *change)
{
	struct lf_record *record = NULL;
	bool trusted = false;
	int64_t end_ms = sqlite_end(change);
	enum lf_tier_result result =
		lf_call_load_local(change->cache, change->key, &record, &trusted, end_ms, change->err);

	if (result != LF_TIER_DONE) {
		if (!is_critical(change))
			return 0;
		change->waits_for = LF_CACHE_SQLITE;
		return result == LF_TIER_AWAY ? AGAIN : lf_call_errno(result, end_ms);
	}
	if (record && !trusted && lf_version_is_none(change->at_home) && !(record->flags & LF_RECORD_CRITICAL)) {
		change->left_over = record->version;
		lf_record_drop(record);
		return 0;
	}
	consider(change, record);
	return 0;
}

static void consider_mongo(struct change *change)
{
	struct lf_record *record = NULL;

	if (lf_call_load(change->cache, LF_CACHE_MONGO, &change->key, 1, &record, change->end_ms, NULL) == LF_TIER_DONE)
		consider(change, record);
}

/* Where something may be that the home does not have, as it forgot it, or was not told yet. */
static int look_around(struct change *change)
{
	struct lf_cache *cache = change->cache;

	if (change->home != LF_CACHE_MEMORY && lf_tier_is_up(cache, LF_CACHE_MEMORY))
		consider(change, lf_memory_get(cache->tier[LF_CACHE_MEMORY].tier, change->key));
	consider(change, lf_outbox_find(cache, change->key));
	consider(change, lf_spread_find(cache, change->key));
	if (change->home == LF_CACHE_REDIS && lf_version_is_none(change->at_home) && lf_tier_is_up(cache, LF_CACHE_MONGO))
		consider_mongo(change);
	if (change->home == LF_CACHE_SQLITE || !lf_tier_is_on(cache, LF_CACHE_SQLITE))
		return 0;
	return is_critical(change) || lf_tier_is_up(cache, LF_CACHE_SQLITE) ? consider_sqlite(change) : 0;
}

/* 0, AGAIN or a failure. */
static int load(struct change *change)
{
	struct lf_record *record = NULL;
	int64_t end_ms = change->home == LF_CACHE_MEMORY ? change->end_ms : lf_spread_share(change->end_ms);
	enum lf_tier_result result = lf_call_load(change->cache, change->home, &change->key, 1, &record, end_ms, change->err);

	if (result != LF_TIER_DONE)
		return failed(change, result);
	change->at_home = record ? record->version : (struct lf_version){ 0, 0 };
	change->left_over = (struct lf_version){ 0, 0 };
	consider(change, record);
	return look_around(change);
}

/* What the command starts from, with one user, or NULL: what there is is expired, deleted or invalidated.  AGAIN: which of
 * that is not known. */
static int before(struct change *change, struct lf_record **out)
{
	int valid;

	*out = NULL;
	if (!change->newest)
		return lf_look_adopting(change->space, change->key, change->end_ms, out, change->err);
	if (!lf_record_readable(change->newest, lf_cache_now(change->cache)))
		return 0;
	valid = lf_stamps_valid(change->space, change->key, change->newest, change->end_ms);
	if (valid == 1)
		*out = lf_record_keep(change->newest);
	return valid < 0 ? AGAIN : 0;
}

/* --- the end of it ---------------------------------------------------------------------------------- */

static void tell(const struct change *change, const struct tried *done)
{
	if (done->result.outcome == LF_COMMAND_STORE)
		lf_event_key(change->cache, LF_CACHE_SET, done->home, change->key, false);
	else if (done->result.number)
		lf_event_key(change->cache, LF_CACHE_DELETE, done->home, change->key, false);
}

/* It is done, and in those tiers; the others are told, and the result goes to the caller. */
static int finish(struct change *change, struct tried *done, unsigned has, struct lf_command_result *out)
{
	struct lf_spread item = { .key = change->key,
		                  .record = done->record,
		                  .ticket = done->ticket,
		                  .losses = done->losses,
		                  .has = has,
		                  .failed = change->refused & ~has };
	int rc = lf_spread(change->cache, &item, 1, change->end_ms, change->err);

	if (rc)
		return rc;
	tell(change, done);
	*out = done->result;
	if (out->record)
		out->record = lf_record_keep(out->record);
	return 1;
}

/* --- one turn -------------------------------------------------------------------------------------- */

/* What is there now that a store's outcome was not known.  1: it was done; 0: it was not, or it does not matter. */
static int settle(struct change *change, struct lf_command_result *out)
{
	const struct lf_command *command = change->command;
	bool counts = command->kind == LF_COMMAND_INCRBY || command->kind == LF_COMMAND_DECRBY;

	for (unsigned i = change->tried_count; i-- > 0;) {
		struct tried *tried = &change->tried[i];
		bool at_home = lf_version_compare(tried->version, change->at_home) == 0;

		/* Or elsewhere: somebody read it at a home that has gone since, or has forgotten it. */
		if (at_home || (change->newest && lf_version_compare(tried->version, change->newest->version) == 0))
			return finish(change, tried, at_home ? 1u << change->home : 0, out);
		if (tried->home != change->home)
			continue;
		/* Somebody else was here since: with ours, or without. */
		if (counts && lf_version_compare(tried->expected, change->at_home) != 0)
			return lf_fail(change->err, -ETIMEDOUT, "it is not known whether the %s tier has counted it: it did not "
			               "answer, and others have changed the key since", lf_cache_tier_name(change->home));
	}
	return 0;
}

/* Runs the command on what is there.  1: `tried` is to be stored; 0: nothing is; AGAIN. */
static int apply(struct change *change, struct tried *tried)
{
	struct lf_cache *cache = change->cache;
	struct lf_record *from = NULL;
	bool critical = change->command->critical;
	int rc = before(change, &from);

	if (rc)
		return rc;
	*tried = (struct tried){ .home = change->home, .expected = change->at_home, .ticket = change->ticket,
		                  .losses = change->losses };
	tried->version = lf_version_next(cache);
	rc = lf_command_apply(change->command, from, tried->version, lf_cache_now(cache), &tried->result, change->err);
	lf_record_drop(from);
	if (rc < 0 || tried->result.outcome == LF_COMMAND_NOTHING)
		return rc;
	if (tried->result.outcome == LF_COMMAND_STORE) {
		tried->record = lf_record_keep(tried->result.record);
		critical = tried->record->flags & LF_RECORD_CRITICAL;
	} else {
		struct lf_record gone;

		critical |= change->newest && change->newest->flags & LF_RECORD_CRITICAL;
		gone = lf_tombstone(cache, tried->version, critical);
		tried->record = lf_record_new(&gone);
		if (!tried->record)
			return lf_fail(change->err, -ENOMEM, "no memory to note that a key is deleted");
	}
	rc = critical ? lf_spread_critical(cache, change->key, change->err) : 0;
	return rc ? rc : 1;
}

static void forget(struct tried *tried)
{
	lf_record_drop(tried->record);
	lf_record_drop(tried->result.record);
}

static int store(struct change *change, struct tried *tried, struct lf_command_result *out)
{
	struct lf_tier_store store = {
		.key = change->key,
		.record = tried->record,
		.condition = LF_IF_VERSION,
		.expected = change->at_home,
		.owed = change->home == LF_CACHE_SQLITE ? lf_spread_owed(change->cache, tried->record) : 0,
	};
	int64_t end_ms = change->home == LF_CACHE_MEMORY ? change->end_ms : lf_spread_share(change->end_ms);
	enum lf_tier_result result = lf_call_store(change->cache, change->home, &store, 1, end_ms, change->err);

	if (result == LF_TIER_DONE)
		return store.stored == LF_STORED ? finish(change, tried, 1u << change->home, out) : AGAIN;
	if (result != LF_TIER_AWAY)
		return failed(change, result);
	if (change->tried_count == TRIED_MAX)
		return late(change);
	change->tried[change->tried_count++] = *tried;
	*tried = (struct tried){ .record = NULL };
	return failed(change, result);
}

/* What was deleted in vain is not there, and must not be there either when SQLite is asked alone. */
static int do_nothing(struct change *change, const struct tried *tried, struct lf_command_result *out)
{
	bool deletes = change->command->kind == LF_COMMAND_DEL || change->command->kind == LF_COMMAND_HDEL;
	struct lf_record gone = lf_tombstone(change->cache, tried->version, false);
	struct lf_tier_store store = {
		.key = change->key, .record = &gone, .condition = LF_IF_VERSION, .expected = change->left_over,
	};
	enum lf_tier_result result = LF_TIER_DONE;

	*out = tried->result;
	if (deletes && !lf_version_is_none(change->left_over))
		result = lf_call_store(change->cache, LF_CACHE_SQLITE, &store, 1, change->end_ms, change->err);
	return lf_call_errno(result, change->end_ms);
}

/* 1: it is done; 0: there was nothing to do; AGAIN; or a failure. */
static int take_turn(struct change *change, struct lf_command_result *out)
{
	struct tried tried = { .record = NULL };
	int rc = 0;

	if (change->command->critical && lf_tier_is_on(change->cache, LF_CACHE_SQLITE))
		rc = lf_spread_critical(change->cache, change->key, change->err);
	if (rc)
		return rc;
	change->home = change->waits_for = home_of(change);
	if (change->home == LF_CACHE_TIERS)
		return lf_fail(change->err, -EHOSTDOWN, "no tier that could change the key is there: lf_cache_stats() says what is "
		               "wrong with each");
	change->losses = atomic_load(&change->cache->losses);
	change->ticket = lf_memory_ticket(change->cache->tier[LF_CACHE_MEMORY].tier, change->key);
	rc = load(change);
	if (!rc)
		rc = settle(change, out);
	if (rc)
		return rc;
	rc = apply(change, &tried);
	if (rc == 1)
		rc = store(change, &tried, out);
	else if (rc == 0)
		rc = do_nothing(change, &tried, out);
	forget(&tried);
	return rc;
}

/* --- turns until it is done ------------------------------------------------------------------------- */

/* Longer from turn to turn, and never the same for two. */
static void pause_between(struct change *change)
{
	long most = 50L << (change->turn < 8 ? change->turn : 8);
	struct timespec pause = { 0, 0 };

	if (change->turn++ < PATIENT)
		return;
	if (most > PAUSE_MAX_US)
		most = PAUSE_MAX_US;
	pause.tv_nsec = (most / 2 + (long)(lf_version_next(change->cache).clock * UINT64_C(2654435761) % (uint64_t)(most / 2))) * 1000;
	(void)nanosleep(&pause, NULL);
}

static int run(struct change *change, struct lf_command_result *out)
{
	int rc;

	while ((rc = take_turn(change, out)) == AGAIN) {
		pause_between(change);
		if (lf_clock_ms() >= change->end_ms)
			return late(change);
	}
	return rc < 0 ? rc : 0;
}

/* What a cache that is disabled answers: nothing was there, and nothing is kept. */
static int answer_disabled(const struct lf_command *command, struct lf_command_result *out, struct lf_error *err)
{
	*out = (struct lf_command_result){ .outcome = LF_COMMAND_NOTHING };
	switch (command->kind) {
	case LF_COMMAND_INCRBY:
	case LF_COMMAND_DECRBY:
		return lf_fail(err, -ECANCELED, "the cache is disabled: it cannot count");
	case LF_COMMAND_SET:
	case LF_COMMAND_SET_IF_NEWER:
		out->number = command->when != LF_CACHE_IF_PRESENT;
		return 0;
	case LF_COMMAND_HSET:
		out->number = (int64_t)command->fields_count;
		return 0;
	default:
		return 0;
	}
}

int lf_stack_change(struct lf_cache_space *space, struct lf_text key, const struct lf_command *command, int64_t end_ms,
                    struct lf_command_result *out, struct lf_error *err)
{
	struct change change = { .space = space, .cache = space->cache, .key = key, .command = command, .end_ms = end_ms, .err = err };
	int rc;

	if (!atomic_load_explicit(&space->cache->enabled, memory_order_acquire))
		return answer_disabled(command, out, err);
	if (lf_set_is_blind(command)) {
		*out = (struct lf_command_result){ .outcome = LF_COMMAND_STORE, .number = 1 };
		return lf_set_all(space, &key, command, 1, end_ms, err);
	}
	lf_flights_touch(space->cache, key);
	rc = run(&change, out);
	for (unsigned i = 0; i < change.tried_count; i++)
		forget(&change.tried[i]);
	lf_record_drop(change.newest);
	return rc;
}
