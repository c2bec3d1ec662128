/* Threads that do everything at once to one memory tier, under ThreadSanitizer: its limits hold at every moment, what is
 * accounted in the end is what is there, and who read a change of their own never reads an older one afterwards. */
#include "tests/unit/memory_fixture.h"

enum { THREADS = 4, STEPS = 6000, KEYS = 300, MAX_ENTRIES = 100, MAX_BYTES = 30000 };

static struct memory memory;
static _Atomic bool bad;
static _Atomic int running;

static void complain(const char *what)
{
	if (!atomic_exchange(&bad, true))
		(void)fprintf(stderr, "race_cache_memory: %s\n", what);
}

/* A change as the stack makes it: a tier below has it before memory hears of it. */
static void change(const char *key, unsigned *seed)
{
	uint64_t ticket = lf_memory_ticket(memory.tier, text_of(key));
	struct lf_record *record = rand_r(seed) % 5 ? a_record(&memory, (size_t)(rand_r(seed) % 300), 0) : a_tombstone(&memory);
	bool current;

	if (lf_memory_put(memory.tier, text_of(key), record, ticket, &current) == LF_TIER_AWAY)
		complain("memory was away");
	lf_record_drop(record);
}

static void fill(const char *key, unsigned *seed)
{
	uint64_t ticket = lf_memory_ticket(memory.tier, text_of(key));
	struct lf_record *record = a_record(&memory, 20, rand_r(seed) % 10);

	lf_memory_fill(memory.tier, text_of(key), record, ticket);
	lf_record_drop(record);
}

static void walk_all(void)
{
	char cursor[LF_TIER_CURSOR_MAX] = "";
	char **keys;
	size_t count;

	do {
		if (lf_tier_memory.scan(memory.tier, text_of("k"), cursor, 50, &keys, &count, INT64_MAX, NULL) != LF_TIER_DONE)
			return complain("a scan failed");
		while (count)
			free(keys[--count]);
		free(keys);
	} while (cursor[0]);
}

static void step(const char *key, unsigned *seed)
{
	unsigned what = (unsigned)rand_r(seed) % 1000;
	bool more;

	if (what < 400)
		(void)memory_has(&memory, key);
	else if (what < 600)
		change(key, seed);
	else if (what < 700)
		fill(key, seed);
	else if (what < 850)
		(void)memory_set(&memory, key, (size_t)(rand_r(seed) % 200));
	else if (what < 950)
		lf_memory_remove(memory.tier, text_of(key), (struct lf_version){ memory.clock, 0 });
	else if (what < 980)
		(void)lf_tier_memory.tend(memory.tier, &more, 0, NULL);
	else if (what < 990)
		memory.now_ms++;
	else if (what < 994)
		walk_all();
	else if (what < 998)
		(void)lf_tier_memory.drop(memory.tier, text_of("k1"), memory.clock, INT64_MAX, NULL);
	else
		lf_memory_forget(memory.tier);
}

/* A key that this thread alone changes. */
static void change_own(const char *key)
{
	struct lf_record *record = a_record(&memory, 10, 0), *found;
	uint64_t ticket = lf_memory_ticket(memory.tier, text_of(key));
	bool current;

	if (lf_memory_put(memory.tier, text_of(key), record, ticket, &current) == LF_TIER_AWAY)
		complain("memory was away");
	found = lf_memory_get(memory.tier, text_of(key));
	if (found && found->version.clock != record->version.clock)
		complain("an older value was there after a change");
	lf_record_drop(found);
	lf_record_drop(record);
}

static void *work(void *number)
{
	unsigned seed = (unsigned)(uintptr_t)number;
	char key[16], own[16];

	(void)snprintf(own, sizeof(own), "own%u", seed);
	for (unsigned i = 0; i < STEPS; i++) {
		(void)snprintf(key, sizeof(key), "k%u", (unsigned)rand_r(&seed) % KEYS);
		step(key, &seed);
		if (i % 16 == 0)
			change_own(own);
	}
	running--;
	return NULL;
}

static void run(enum lf_cache_policy policy)
{
	const struct lf_cache_memory_options options = {
		.policy = policy, .max_entries = MAX_ENTRIES, .max_bytes = MAX_BYTES, .shards = 4,
	};
	pthread_t threads[THREADS];
	struct walked walked;
	const char *wrong;

	if (memory_open(&memory, &options, NULL) < 0)
		exit(1);
	memory.one_thread = false;
	running = THREADS;
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(i + 1)) != 0)
			exit(1);
	while (running)
		if (memory.tier->entries > MAX_ENTRIES || memory.tier->bytes > MAX_BYTES)
			complain("there is more than there may be");
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	wrong = memory_walk(&memory, &walked);
	if (wrong)
		complain(wrong);
	lf_tier_memory.close(memory.tier);
}

int main(void)
{
	static const enum lf_cache_policy policies[] = { LF_CACHE_LRU, LF_CACHE_LFU, LF_CACHE_S3FIFO, LF_CACHE_NONE };

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		run(policies[i]);
	return bad;
}
