#include "agent/core/shipper.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/sinks.h"
#include "hashing/clock.h"
#include "tests/unit/store_fixture.h"

/* ---- A tier: the sink in memory, which a test may look into while a shipper is at work ---- */

enum { DEADLINE_MS = 20000 };

static pthread_mutex_t tier_lock = PTHREAD_MUTEX_INITIALIZER;
static const char *tier_place = "one"; /* another place under the same epoch: a backup was restored */
static struct lf_sink *looking[2];     /* keeps what is held there */
static _Atomic unsigned reads, flushes;
static bool unmuted_by_hand;           /* what has the first version */

static struct lf_sink *look_at(const char *place)
{
	struct lf_sink_options options = { .uri = place };
	struct lf_sink *sink = NULL;

	cr_assert_eq(lf_sink_memory.open(&sink, &options, NULL), 0);
	return sink;
}

struct standing {
	struct lf_sink *at;
	const char *place;
	char incarnation[LF_UUID_CHARS + 1];
};

static int tier_open(struct lf_sink **out, const struct lf_sink_options *options, struct lf_error *err)
{
	struct standing *here = calloc(1, sizeof(*here));

	(void)err;
	(void)snprintf(here->incarnation, sizeof(here->incarnation), "%s", options->incarnation);
	*out = (struct lf_sink *)here;
	return 0;
}


static void tier_close(struct lf_sink *sink)
{
	struct standing *here = (struct standing *)sink;

	if (!here)
		return;
	(void)pthread_mutex_lock(&tier_lock);
	lf_sink_memory.close(here->at);
	(void)pthread_mutex_unlock(&tier_lock);
	free(here);
}

/* Locks, and stands where the tier is now. */
static struct lf_sink *enter(struct lf_sink *sink)
{
	struct standing *here = (struct standing *)sink;
	struct lf_sink_options options = { .incarnation = here->incarnation };

	(void)pthread_mutex_lock(&tier_lock);
	if (here->place != tier_place) {
		lf_sink_memory.close(here->at);
		options.uri = here->place = tier_place;
		(void)lf_sink_memory.open(&here->at, &options, NULL);
	}
	return here->at;
}

static enum lf_sink_result leave_with(enum lf_sink_result result)
{
	(void)pthread_mutex_unlock(&tier_lock);
	return result;
}

static enum lf_sink_result tier_hello(struct lf_sink *sink, struct lf_sink_hello *out, int timeout_ms,
                                      struct lf_error *err)
{
	enum lf_sink_result result = lf_sink_memory.hello(enter(sink), out, timeout_ms, err);

	(void)strcpy(out->epoch, "the same epoch, whatever happens");
	return leave_with(result);
}

static enum lf_sink_result tier_flush(struct lf_sink *sink, const struct lf_sink_batch *batch,
                                      int timeout_ms, struct lf_error *err)
{
	atomic_fetch_add(&flushes, 1);
	return leave_with(lf_sink_memory.flush(enter(sink), batch, timeout_ms, err));
}

struct reader {
	lf_sink_each each;
	void *arg;
};

static int read_one(void *arg, const struct lf_entry *entry, const struct lf_share *shares, size_t count)
{
	const struct reader *reader = arg;
	struct lf_entry shown = *entry;

	if (unmuted_by_hand && shown.flags_version == 1)
		shown.enabled = true;
	return reader->each(reader->arg, &shown, shares, count);
}

static enum lf_sink_result tier_read(struct lf_sink *sink, const struct lf_sink_query *query,
                                     lf_sink_each each, void *arg, int timeout_ms, struct lf_error *err)
{
	atomic_fetch_add(&reads, 1);
	return leave_with(lf_sink_memory.read(enter(sink), query, read_one, &(struct reader){ each, arg }, timeout_ms, err));
}

static enum lf_sink_result tier_evict(struct lf_sink *sink, const struct lf_sink_record *records,
                                      size_t count, int timeout_ms, struct lf_error *err)
{
	return leave_with(lf_sink_memory.evict(enter(sink), records, count, timeout_ms, err));
}

static const struct lf_sink_ops tier_ops = {
	.abi = LF_SINK_ABI, .name = "tier", .open = tier_open, .close = tier_close, .hello = tier_hello,
	.flush = tier_flush, .read = tier_read, .evict = tier_evict,
};

/* ---- What it holds ---- */

struct seen {
	uint64_t count;
	bool there, muted;
	int64_t flags_version;
};

static int note_seen(void *arg, const struct lf_entry *entry, const struct lf_share *shares, size_t count)
{
	(void)shares;
	(void)count;
	*(struct seen *)arg = (struct seen){ entry->count_total, true, !entry->enabled,
		                               entry->flags_version };
	return 0;
}

static struct seen seen_of(const char *message)
{
	const char *hashes[] = { hash_of(message) };
	struct lf_sink_query query = { .namespace = "shop", .hashes = hashes, .hashes_count = 1 };
	struct seen seen = { 0, false, false, 0 };

	(void)pthread_mutex_lock(&tier_lock);
	(void)lf_sink_memory.read(looking[*tier_place == 't'], &query, note_seen, &seen, 0, NULL);
	(void)pthread_mutex_unlock(&tier_lock);
	return seen;
}

/* ---- A shipper of this test's store ---- */

static struct lf_config config = {
	.agent = { .namespace = "shop", .flush_interval_ms = 10 },
	.mongo = { .uri = "tier", .timeout_ms = 1000, .batch_size = 100, .poll_interval_ms = 50,
	           .ttl_s = 3600 },
	.breaker = { 3, 10, 100 },
};
static struct lf_shipper *shipper;
static struct lf_store *store;
static char *store_path;

static _Atomic unsigned said;

static void note_said(void *arg, const char *sentence)
{
	(void)arg;
	(void)sentence;
	atomic_fetch_add(&said, 1);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void (*adopted)(void *arg) = nothing;

static void open_all(void)
{
	struct lf_error why = { "" };

	store_path = strdup(stored_at());
	cr_assert_eq(lf_store_open(&store, stored_at(), LF_STORE_WRITE, &why), 0, "%s", why.text);
	looking[0] = look_at("one");
	looking[1] = look_at("two");
}

static void start(void)
{
	struct lf_shipper_options options = { .name = "tier", .ops = &tier_ops, .config = &config,
		                              .tier = &config.mongo, .store_path = store_path,
		                              .reporter = { note_said, NULL }, .adopted = adopted };
	struct lf_error why = { "" };

	cr_assert_eq(lf_shipper_new(&shipper, &options, &why), 0, "%s", why.text);
	cr_assert_eq(lf_shipper_start(shipper, &why), 0, "%s", why.text);
}

static void stop(void)
{
	lf_shipper_ask_to_stop(shipper, lf_clock_ms() + DEADLINE_MS);
	lf_shipper_join(shipper);
	lf_shipper_free(shipper);
	shipper = NULL;
}

static void close_all(void)
{
	if (shipper)
		stop();
	lf_store_close(store);
	free(store_path);
	lf_sink_memory.close(looking[0]);
	lf_sink_memory.close(looking[1]);
}

static void expect_count(const char *message, uint64_t count)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;
	struct lf_tier_status status;

	while (seen_of(message).count != count && lf_clock_ms() < end_ms) {
		lf_shipper_wake(shipper);
		(void)usleep(2000);
	}
	lf_shipper_status(shipper, &status);
	cr_assert_eq(seen_of(message).count, count, "'%s' is %llu, expected %llu; %s", message,
	             (unsigned long long)seen_of(message).count, (unsigned long long)count, status.trouble);
}

static void mute(const char *message)
{
	const struct lf_flag_change change = { .what = LF_FLAG_ENABLED, .writer = "me" };
	const struct lf_entry_key key = { "shop", hash_of(message) };
	struct lf_error why = { "" };
	bool changed;

	cr_assert_eq(lf_store_set_flags(store, &key, 1, &change, &changed, &why), 0, "%s", why.text);
}

TestSuite(shipper, .init = open_all, .fini = close_all);

/* ---- Claims ---- */

Test(shipper, a_store_that_is_set_back_while_it_runs_is_told_whole_under_another_incarnation)
{
	char uuid[LF_UUID_CHARS + 1], now[LF_UUID_CHARS + 1];

	for (int i = 0; i < 10; i++)
		count_passed(store, "before", 1);
	present_uuid(store, uuid);
	start();
	expect_count("before", 10);
	other_program(stored_at(), "UPDATE meta SET value = 3 WHERE key = 'drainSequence';"
	                           "UPDATE entries SET changed = 3, countPassed = 3");
	count_passed(store, "after", 7);
	expect_count("after", 7);
	present_uuid(store, now);
	cr_assert_str_neq(now, uuid);
}

Test(shipper, a_tier_that_comes_back_with_an_older_state_is_told_all_again)
{
	count_passed(store, "early", 5);
	start();
	expect_count("early", 5);
	(void)pthread_mutex_lock(&tier_lock);
	tier_place = "two";
	(void)pthread_mutex_unlock(&tier_lock);
	expect_count("early", 5);
}

Test(shipper, an_entry_of_the_hot_set_that_left_the_store_holds_up_nothing)
{
	struct lf_tier_status status;

	config.mongo.max_entries = 2;
	count_passed(store, "gone", 1);
	count_passed(store, "kept", 1);
	start();
	expect_count("gone", 1);
	other_program(stored_at(), "DELETE FROM entries WHERE messageTemplate = 'gone'");
	count_passed(store, "new", 2);
	expect_count("new", 2);
	count_passed(store, "newer", 3);
	expect_count("newer", 3);
	lf_shipper_status(shipper, &status);
	cr_assert_str_empty(status.trouble, "%s", status.trouble);
	stop();
	expect_stored("SELECT sequence FROM tiers", "4");
}

Test(shipper, a_store_that_cannot_be_written_makes_no_busy_loop)
{
	struct lf_sink_options options = { .uri = "one", .incarnation = "other" };
	struct lf_entry entry = entry_named("m");
	struct lf_sink_record record = { .entry = &entry, .flags_changed = true };
	struct lf_sink_batch batch = { &record, 1, 1 };
	struct lf_tier_status status = { .name = NULL };
	struct lf_sink *other = NULL;
	unsigned before;

	count_passed(store, "m", 1);
	entry.enabled = false;
	entry.flags_version = 1;
	cr_assert_eq(lf_sink_memory.open(&other, &options, NULL), 0);
	cr_assert_eq(lf_sink_memory.flush(other, &batch, 0, NULL), LF_SINK_DONE);
	other_program(stored_at(), "CREATE TRIGGER no BEFORE UPDATE ON entries BEGIN"
	                           " SELECT RAISE(ABORT, 'no'); END");
	start();
	for (int64_t end_ms = lf_clock_ms() + DEADLINE_MS; !status.trouble[0] && lf_clock_ms() < end_ms;) {
		(void)usleep(1000);
		lf_shipper_status(shipper, &status);
	}
	cr_assert(status.trouble[0]);
	before = atomic_load(&reads);
	(void)usleep(500000);
	cr_expect_lt(atomic_load(&reads) - before, 20, "%u reads", atomic_load(&reads) - before);
	cr_expect_eq(atomic_load(&said), 1, "said %u times", atomic_load(&said));
	lf_sink_memory.close(other);
}

static _Atomic int64_t version_when_told = -1;

static void note_version(void *arg)
{
	(void)arg;
	atomic_store(&version_when_told, seen_of("m").flags_version);
}

Test(shipper, the_tier_has_our_version_of_what_was_set_there_by_hand_before_anybody_obeys_it)
{
	int64_t end_ms = lf_clock_ms() + DEADLINE_MS;

	adopted = note_version;
	count_passed(store, "m", 1);
	mute("m");
	start();
	expect_count("m", 1);
	cr_assert_eq(seen_of("m").flags_version, 1);
	(void)pthread_mutex_lock(&tier_lock);
	unmuted_by_hand = true;
	(void)pthread_mutex_unlock(&tier_lock);
	while (atomic_load(&version_when_told) < 0 && lf_clock_ms() < end_ms)
		(void)usleep(1000);
	cr_expect_eq(atomic_load(&version_when_told), 2);
}

Test(shipper, flags_beyond_one_write_reach_a_hot_tier_too)
{
	static const char *const messages[] = { "a", "b", "c", "d", "e" };

	config.mongo.max_entries = 1;
	config.mongo.batch_size = 2;
	for (int i = 0; i < 5; i++) {
		count_passed(store, messages[i], 1);
		mute(messages[i]);
	}
	count_passed(store, "hot", 9);
	start();
	expect_count("hot", 9);
	stop();
	for (int i = 0; i < 5; i++)
		cr_expect(seen_of(messages[i]).muted, "'%s'", messages[i]);
}

Test(shipper, a_flag_that_is_set_just_before_the_end_reaches_a_hot_tier)
{
	config.mongo.max_entries = 1;
	config.mongo.poll_interval_ms = 3600000;
	config.agent.flush_interval_ms = 3600000;
	count_passed(store, "cold", 1);
	count_passed(store, "hot", 9);
	start();
	expect_count("hot", 9);
	mute("cold");
	count_passed(store, "hot", 1);
	stop();
	cr_expect(seen_of("cold").muted);
}
