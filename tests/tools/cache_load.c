/* Uses the cache from many threads at once, and knows what it must answer (tests/integration/test_cache_faults.py).
 *
 *   cache_load run LEDGER REDIS-URL CACHE-DB SEED   "ready", then works until stdin ends; sends what is pending, checks
 *   cache_load heal LEDGER REDIS-URL CACHE-DB [critical]    sends what is pending, checks
 *   cache_load check LEDGER REDIS-URL CACHE-DB [critical]   without a memory tier
 *
 * Checked is every key, or those that are critical.
 *
 * Each key has one thread that changes it.  The ledger is a file that is mapped: it says of every key what was
 * acknowledged, and what may have been done since then, also when this program is killed.  A line that begins with
 * WRONG, and status 1: a read gave something older, or something that was never written; a call took longer than
 * its deadline; a critical key is not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "logfold/cache.h"

enum {
	THREADS = 16,
	STRINGS = 8, /* critical ones, and as many that are not */
	FIELDS = 2,
	SLOTS = 2 * (STRINGS + 1 + FIELDS), /* of one thread */
	MAYBES = 60,
	VALUE_MAX = 3000,
	DEADLINE_MS = 500,
	SLACK_MS = 300,   /* over the deadline, where the machine is idle */
	STALL_FACTOR = 4, /* times what a thread that only sleeps oversleeps at most */
	NAP_MS = 5,
	DISK_ONE_IN = 20, /* naps */
	SETTLE_MS = 20000,
	MEMORY_ENTRIES = 64, /* so that most reads go further down */
	TTL_MS = 600000,
};

enum kind { STRING, COUNTER, FIELD };

/* Of a string and a field: the number of the last write that was acknowledged, and of those since then that may
 * have been done; 0 stands for "nothing".  Of a counter: how far it is, and by how much it may be further. */
struct slot {
	uint64_t kind, critical, acked, maybes;
	uint64_t maybe[MAYBES];
};

struct ledger {
	struct slot slot[THREADS][SLOTS];
};

static struct ledger *ledger;
static struct lf_cache *cache;
static struct lf_cache_space *space;
static int deadline_ms;
static atomic_bool stop, seen_enough, wrong;
static _Atomic uint64_t calls, failures, stall_ms;

/* Judged at the end: how late the machine was is known only when it no longer is. */
static struct {
	pthread_mutex_t lock;
	uint64_t took_ms;
	char what[24], id[40];
} slowest = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct worker {
	pthread_t thread;
	unsigned number, seed;
	uint64_t written; /* the number of its last write */
};

/* ---- Saying what is wrong ---- */

__attribute__((format(printf, 1, 2))) static void is_wrong(const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	va_list args;

	va_start(args, format);
	(void)pthread_mutex_lock(&lock);
	(void)fputs("WRONG ", stdout);
	(void)vprintf(format, args);
	(void)putchar('\n');
	(void)fflush(stdout);
	(void)pthread_mutex_unlock(&lock);
	va_end(args);
	atomic_store(&wrong, true);
}

static void raise_to(_Atomic uint64_t *highest, uint64_t to)
{
	uint64_t is = atomic_load(highest);

	while (is < to && !atomic_compare_exchange_weak(highest, &is, to))
		;
}

/* How late the machine is with a thread that has nothing to do but to wake up, and at times to write a byte to its disk:
 * what SQLite has begun to commit it ends. */
static void *watch_the_machine(void *arg)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int fd = open(arg, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		is_wrong("%s: %m", (const char *)arg);
	for (unsigned turn = 0; !atomic_load(&seen_enough); turn++) {
		int64_t begun = lf_clock_ms();

		(void)nanosleep(&nap, NULL);
		if (turn % DISK_ONE_IN == 0 && (pwrite(fd, "", 1, 0) != 1 || fdatasync(fd) != 0))
			is_wrong("%s: %m", (const char *)arg);
		raise_to(&stall_ms, (uint64_t)(lf_clock_ms() - begun - NAP_MS));
	}
	(void)close(fd);
	return NULL;
}

/* ---- One call ---- */

static int64_t begun_call(void)
{
	return lf_clock_ms();
}

static void keep_slowest(uint64_t took_ms, const char *what, const char *id)
{
	(void)pthread_mutex_lock(&slowest.lock);
	if (took_ms > slowest.took_ms) {
		slowest.took_ms = took_ms;
		(void)snprintf(slowest.what, sizeof(slowest.what), "%s", what);
		(void)snprintf(slowest.id, sizeof(slowest.id), "%s", id);
	}
	(void)pthread_mutex_unlock(&slowest.lock);
}

static void judge_slowest(void)
{
	uint64_t allowed_ms = (uint64_t)deadline_ms + SLACK_MS + STALL_FACTOR * atomic_load(&stall_ms);

	if (slowest.took_ms > allowed_ms)
		is_wrong("%s of %s took %lu ms, %lu are allowed", slowest.what, slowest.id,
		         (unsigned long)slowest.took_ms, (unsigned long)allowed_ms);
}

static void ended_call(int64_t begun_ms, const char *what, const char *id, int rc, const struct lf_error *err)
{
	keep_slowest((uint64_t)(lf_clock_ms() - begun_ms), what, id);
	(void)atomic_fetch_add(&calls, 1);
	if (rc >= 0)
		return;
	(void)atomic_fetch_add(&failures, 1);
	if (rc != -ETIMEDOUT && rc != -EHOSTDOWN)
		is_wrong("%s of %s: %s (%s)", what, id, strerror(-rc), err->text);
	else
		(void)fprintf(stderr, "%s of %s: %s (%s)\n", what, id, strerror(-rc), err->text);
}

/* ---- Names and values ---- */

struct name {
	char id[32], field[16];
	struct lf_text id_text, field_text;
};

static struct name name_of(unsigned thread, unsigned at)
{
	const struct slot *slot = &ledger->slot[thread][at];
	static const char *const kinds[] = { [STRING] = "s", [COUNTER] = "n", [FIELD] = "h" };
	struct name name;

	(void)snprintf(name.id, sizeof(name.id), "%c%s%u-%u", slot->critical ? 'c' : 'p', kinds[slot->kind], thread,
	               slot->kind == STRING ? at : 0);
	(void)snprintf(name.field, sizeof(name.field), "f%u", at);
	return name;
}

/* The texts of a name lie in it: after it has come to rest. */
static void point(struct name *name)
{
	name->id_text = (struct lf_text){ name->id, strlen(name->id) };
	name->field_text = (struct lf_text){ name->field, strlen(name->field) };
}

/* A value says which write it is of, at its beginning and at its end. */
static struct lf_text value_of(char out[VALUE_MAX], const struct name *name, uint64_t number, unsigned filling)
{
	int head = snprintf(out, VALUE_MAX, "%s/%s %lu ", name->id, name->field, (unsigned long)number), tail;

	(void)memset(out + head, '.', filling);
	tail = snprintf(out + head + filling, VALUE_MAX - (size_t)head - filling, " %lu", (unsigned long)number);
	return (struct lf_text){ out, (size_t)head + filling + (size_t)tail };
}

/* The number in a value of that name; UINT64_MAX: it is none. */
static uint64_t number_in(const struct name *name, struct lf_text value)
{
	char expected[VALUE_MAX], head[64];
	int head_len = snprintf(head, sizeof(head), "%s/%s ", name->id, name->field);
	uint64_t number = 0;
	size_t at = (size_t)head_len;
	struct lf_text whole;

	if (value.len <= at || memcmp(value.data, head, at) != 0)
		return UINT64_MAX;
	for (; at < value.len && value.data[at] >= '0' && value.data[at] <= '9'; at++)
		number = number * 10 + (uint64_t)(value.data[at] - '0');
	whole = value_of(expected, name, number, 0);
	if (value.len < whole.len)
		return UINT64_MAX;
	whole = value_of(expected, name, number, (unsigned)(value.len - whole.len));
	return memcmp(whole.data, value.data, value.len) == 0 ? number : UINT64_MAX;
}

/* ---- The ledger ---- */

static bool begin_write(struct slot *slot, uint64_t number)
{
	if (slot->maybes == MAYBES)
		return false;
	slot->maybe[slot->maybes] = number;
	atomic_signal_fence(memory_order_seq_cst);
	slot->maybes++;
	return true;
}

static void acknowledge(struct slot *slot, uint64_t number)
{
	slot->acked = number;
	atomic_signal_fence(memory_order_seq_cst);
	slot->maybes = 0;
}

static bool may_be(const struct slot *slot, uint64_t number)
{
	if (slot->acked == number || (number == 0 && !slot->critical))
		return true;
	for (uint64_t i = 0; i < slot->maybes; i++)
		if (slot->maybe[i] == number)
			return true;
	return false;
}

static void describe(const struct slot *slot, char out[256])
{
	int len = snprintf(out, 256, "%lu", (unsigned long)slot->acked);

	for (uint64_t i = 0; i < slot->maybes && len < 200; i++)
		len += snprintf(out + len, 256 - (size_t)len, "|%lu", (unsigned long)slot->maybe[i]);
}

/* UINT64_MAX: it is none. */
static uint64_t count_in(struct lf_text value)
{
	uint64_t count = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return UINT64_MAX;
		count = count * 10 + (uint64_t)(value.data[i] - '0');
	}
	return count;
}

/* One that is not critical may be lost, and begin anew with what is not known to have been counted. */
static bool may_have_counted(const struct slot *slot, uint64_t number)
{
	if (number >= slot->acked && number <= slot->acked + slot->maybes)
		return true;
	return !slot->critical && number <= slot->maybes;
}

static void check_number(const struct slot *slot, const struct name *name, const char *how, uint64_t number)
{
	char expected[256];

	if (slot->kind == COUNTER) {
		if (may_have_counted(slot, number))
			return;
		is_wrong("%s of %s gave %lu, expected %lu to %lu", how, name->id, (unsigned long)number,
		         (unsigned long)slot->acked, (unsigned long)(slot->acked + slot->maybes));
		return;
	}
	if (may_be(slot, number))
		return;
	describe(slot, expected);
	is_wrong("%s of %s/%s gave %lu, expected %s", how, name->id, name->field, (unsigned long)number, expected);
}

/* ---- Operations ---- */

static unsigned chance(struct worker *worker, unsigned of)
{
	return (unsigned)rand_r(&worker->seed) % of;
}

static uint64_t next_number(struct worker *worker, bool tagged)
{
	return ++worker->written << 1 | tagged;
}

static struct lf_text tag_of(unsigned thread, char out[16])
{
	return (struct lf_text){ out, (size_t)snprintf(out, 16, "tag%u", thread) };
}

static void read_slot(unsigned thread, unsigned at, const char *how)
{
	struct slot *slot = &ledger->slot[thread][at];
	struct lf_cache_value found = { 0 };
	struct lf_error err = { "" };
	struct name name = name_of(thread, at);
	int64_t begun = begun_call();
	int rc;

	point(&name);
	rc = slot->kind == FIELD ? lf_cache_hget(space, name.id_text, name.field_text, &found, &err) :
	                           lf_cache_get(space, name.id_text, &found, &err);
	ended_call(begun, how, name.id, rc, &err);
	if (rc == 0)
		check_number(slot, &name, how, 0);
	else if (rc > 0 && slot->kind == COUNTER)
		check_number(slot, &name, how, count_in((struct lf_text){ found.data, found.len }));
	else if (rc > 0)
		check_number(slot, &name, how, number_in(&name, (struct lf_text){ found.data, found.len }));
	lf_cache_value_release(&found);
}

static void set_slot(struct worker *worker, struct slot *slot, struct name *name)
{
	bool tagged = slot->kind == STRING && chance(worker, 4) == 0;
	char bytes[VALUE_MAX], tag_bytes[16];
	const struct lf_text tag = tag_of(worker->number, tag_bytes);
	const struct lf_cache_set how = { .ttl_ms = chance(worker,
	                                                   4) ? 0 : TTL_MS, .tags = &tag, .tags_count = tagged };
	uint64_t number = next_number(worker, tagged);
	const struct lf_cache_field field = { name->field_text,
		                              value_of(bytes, name, number, chance(worker, 10) ? 20 : 2500) };
	struct lf_error err = { "" };
	int64_t begun = begun_call();
	int rc;

	if (!begin_write(slot, number))
		return;
	rc = slot->kind == FIELD ? lf_cache_hset(space, name->id_text, &field, 1, &err) :
	                           lf_cache_set(space, name->id_text, field.value, &how, &err);
	ended_call(begun, slot->kind == FIELD ? "hset" : "set", name->id, rc, &err);
	if (rc >= 0)
		acknowledge(slot, number);
}

static void delete_slot(struct slot *slot, struct name *name)
{
	struct lf_error err = { "" };
	int64_t begun = begun_call();
	int rc;

	if (!begin_write(slot, 0))
		return;
	rc = slot->kind == FIELD ? lf_cache_hdel(space, name->id_text, &name->field_text, 1, &err) :
	                           lf_cache_del(space, name->id_text, &err);
	ended_call(begun, "del", name->id, rc, &err);
	if (rc >= 0)
		acknowledge(slot, 0);
}

static void count_up(struct slot *slot, struct name *name)
{
	struct lf_error err = { "" };
	int64_t begun = begun_call(), number = 0;
	int rc;

	slot->maybes++;
	rc = lf_cache_incr(space, name->id_text, &number, &err);
	ended_call(begun, "incr", name->id, rc, &err);
	if (rc < 0)
		return;
	if (number < 1 || (slot->critical && (uint64_t)number <= slot->acked) ||
	    (uint64_t)number > slot->acked + slot->maybes)
		is_wrong("incr of %s gave %ld, expected %lu to %lu", name->id, (long)number,
		         (unsigned long)slot->acked + 1,
		         (unsigned long)(slot->acked + slot->maybes));
	slot->acked = (uint64_t)number;
	slot->maybes = 0;
}

static bool may_carry_tag(const struct slot *slot)
{
	bool tagged = slot->acked & 1;

	for (uint64_t i = 0; i < slot->maybes; i++)
		tagged |= slot->maybe[i] & 1;
	return slot->kind == STRING && tagged;
}

/* What carries the tag is gone; what was written before it and what may have been written without it is as it was. */
static void was_invalidated(struct slot *slot)
{
	for (uint64_t i = 0; i < slot->maybes; i++)
		if (slot->maybe[i] & 1)
			slot->maybe[i] = 0;
	if (slot->acked & 1)
		slot->acked = 0;
}

static void invalidate(struct worker *worker)
{
	struct slot *slots = ledger->slot[worker->number];
	char tag_bytes[16];
	const struct lf_text tag = tag_of(worker->number, tag_bytes), org = { "o", 1 };
	struct lf_error err = { "" };
	int64_t begun;
	int rc;

	for (unsigned i = 0; i < SLOTS; i++)
		if (may_carry_tag(&slots[i]) && slots[i].maybes == MAYBES)
			return;
	for (unsigned i = 0; i < SLOTS; i++)
		if (may_carry_tag(&slots[i]))
			(void)begin_write(&slots[i], 0);
	begun = begun_call();
	rc = lf_cache_invalidate_tag(cache, org, tag, &err);
	ended_call(begun, "invalidate", tag.data, rc, &err);
	for (unsigned i = 0; i < SLOTS && rc >= 0; i++)
		if (may_carry_tag(&slots[i]))
			was_invalidated(&slots[i]);
}

static void work_on(struct worker *worker, unsigned at)
{
	struct slot *slot = &ledger->slot[worker->number][at];
	struct name name = name_of(worker->number, at);
	unsigned what = chance(worker, 100);

	point(&name);
	if (what < 45)
		read_slot(worker->number, at, "get");
	else if (slot->kind == COUNTER)
		count_up(slot, &name);
	else if (what < 92)
		set_slot(worker, slot, &name);
	else if (what < 98)
		delete_slot(slot, &name);
	else
		invalidate(worker);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&stop)) {
		const struct timespec breath = { .tv_nsec = 1000000 };

		work_on(worker, chance(worker, SLOTS));
		(void)nanosleep(&breath, NULL);
	}
	return NULL;
}

/* ---- Opening ---- */

static void make_slots(void)
{
	for (unsigned thread = 0; thread < THREADS; thread++)
		for (unsigned i = 0; i < SLOTS; i++) {
			unsigned of_kind = i % (SLOTS / 2);
			struct slot *slot = &ledger->slot[thread][i];

			slot->critical = i < SLOTS / 2;
			slot->kind = of_kind < STRINGS ? STRING : of_kind == STRINGS ? COUNTER : FIELD;
		}
}

static int open_ledger(const char *file, bool make)
{
	int fd = open(file, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);

	if (fd < 0 || (make && ftruncate(fd, sizeof(*ledger)) != 0)) {
		(void)fprintf(stderr, "%s: %m\n", file);
		return -1;
	}
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (ledger == MAP_FAILED)
		return -1;
	if (make)
		make_slots();
	return 0;
}

/* `check`: with all the time that an answer takes, from Redis alone. */
static int open_cache(const char *redis, const char *file, bool check)
{
	static const char *const critical[] = { "load:o:c*" };
	struct lf_cache_options options;
	struct lf_error err = { "" };
	int rc;

	lf_cache_options_init(&options);
	options.app = "faults";
	options.memory.off = check;
	options.memory.max_entries = MEMORY_ENTRIES;
	options.sqlite.file = file;
	options.redis.url = redis;
	options.redis.timeout_ms = check ? SETTLE_MS : 200;
	options.redis.connect_timeout_ms = check ? SETTLE_MS : 200;
	options.redis.compress_min = 0;
	options.critical = critical;
	options.critical_count = 1;
	options.deadline_ms = deadline_ms = check ? SETTLE_MS : DEADLINE_MS;
	options.health_interval_ms = 100;
	options.backoff_min_ms = 20;
	options.backoff_max_ms = 200;
	rc = lf_cache_open(&cache, &options, &err);
	if (rc == 0)
		rc = lf_cache_space(&space, cache, "load", "o", &err);
	if (rc)
		(void)fprintf(stderr, "the cache does not open: %s\n", err.text);
	return rc;
}

/* ---- What it is told to do ---- */

/* What befell Redis just now is known when it has been asked once more, and is there. */
static void wait_for_redis(void)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int64_t end_ms = lf_clock_ms() + SETTLE_MS;
	struct lf_cache_stats stats;
	uint64_t pings;

	lf_cache_stats(cache, &stats);
	pings = stats.tier[LF_CACHE_REDIS].pings;
	while (stats.tier[LF_CACHE_REDIS].pings < pings + 2 || stats.tier[LF_CACHE_REDIS].state != LF_CACHE_TIER_UP) {
		if (lf_clock_ms() > end_ms) {
			is_wrong("Redis is not used again: %s", stats.tier[LF_CACHE_REDIS].trouble);
			return;
		}
		(void)nanosleep(&nap, NULL);
		lf_cache_stats(cache, &stats);
	}
}

static bool settle(void)
{
	struct lf_error err = { "" };

	wait_for_redis();
	if (lf_cache_settle(cache, SETTLE_MS, &err) == 0)
		return true;
	is_wrong("%s", err.text);
	return false;
}

static void check_all(const char *how, bool critical_only)
{
	for (unsigned thread = 0; thread < THREADS; thread++)
		for (unsigned i = 0; i < SLOTS; i++)
			if (ledger->slot[thread][i].critical || !critical_only)
				read_slot(thread, i, how);
}

static void work_until_told(unsigned seed)
{
	static struct worker workers[THREADS];
	char byte;

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].number = i;
		workers[i].seed = seed * 1000 + i;
		(void)pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	(void)puts("ready");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	atomic_store(&stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(workers[i].thread, NULL);
}

static void report(void)
{
	struct lf_cache_stats stats;

	lf_cache_stats(cache, &stats);
	(void)printf("done calls=%lu failures=%lu slowest_ms=%lu stall_ms=%lu failovers=%lu recoveries=%lu "
	             "synced=%lu\n",
	             (unsigned long)calls, (unsigned long)failures, (unsigned long)slowest.took_ms,
	             (unsigned long)stall_ms,
	             (unsigned long)stats.tier[LF_CACHE_REDIS].failovers,
	             (unsigned long)stats.tier[LF_CACHE_REDIS].recoveries, (unsigned long)stats.synced);
}

static void do_what_it_is_told(int argc, char **argv, bool run, bool check)
{
	if (run)
		work_until_told(argc > 5 ? (unsigned)atoi(argv[5]) : 1);
	if (check)
		wait_for_redis();
	if (!check && settle())
		check_all(run ? "the last get" : "get after the kill", !run && argc > 5);
	else if (check)
		check_all("get elsewhere", argc > 5);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 4 ? argv[1] : "";
	bool run = strcmp(verb, "run") == 0, check = strcmp(verb, "check") == 0;
	char beside[PATH_MAX];
	pthread_t watcher;

	if (argc < 5 || (!run && !check && strcmp(verb, "heal") != 0)) {
		(void)fprintf(stderr, "usage: cache_load run|heal|check LEDGER REDIS-URL CACHE-DB [SEED|critical]\n");
		return 64;
	}
	if (open_ledger(argv[2], run) || open_cache(argv[3], argv[4], check))
		return 2;
	(void)snprintf(beside, sizeof(beside), "%s.disk", argv[4]);
	(void)pthread_create(&watcher, NULL, watch_the_machine, beside);
	do_what_it_is_told(argc, argv, run, check);
	atomic_store(&seen_enough, true);
	(void)pthread_join(watcher, NULL);
	judge_slowest();
	report();
	lf_cache_close(cache);
	return atomic_load(&wrong) ? 1 : 0;
}
