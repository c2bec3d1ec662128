/* What an agent's memory holds of the entries that it looked up: the cache with its default bound beside a map without
 * one, of the same entries (struct lf_entry, its texts, in a uthash table).
 *
 *   bench_cache_agent ENTRIES
 *   ENTRIES entries: map BYTES, cache BYTES with KEPT of them; a known hash: map NS ns, cache NS ns
 *
 * Bytes are what became resident, each in a process of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "agent/core/cache_setup.h"
#include "agent/core/cached.h"
#include "agent/core/json.h"
#include "sinks/copy.h"

enum { ASKED = 1000, ROUNDS = 200 };

struct item {
	struct lf_entry entry;
	UT_hash_handle hh;
};

struct result {
	int64_t bytes;
	uint64_t kept;
	double ns;
};

static int64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long pages = 0;

	if (!file || fscanf(file, "%*s %lld", &pages) != 1)
		exit(1);
	(void)fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static double now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

/* As they come: a template of some words, a frame, times. */
static void make(struct lf_entry *out, unsigned number, char hash[LF_HASH_CHARS + 1], char template[128])
{
	(void)snprintf(hash, LF_HASH_CHARS + 1, "%08x%08x%08x%08x", number * 2654435761u, number, ~number, number * 40503u);
	(void)snprintf(template, 128, "worker %%d of pool %u: connection to backend %%s was closed by its peer\n", number);
	*out = (struct lf_entry){
		.hash = text_of(hash), .namespace = text_of(LF_NAMESPACE_DEFAULT), .method = text_of("fprintf"),
		.message_template = text_of(template), .template_kind = text_of("format"),
		.top_frame = text_of("server!handle_connection"), .enabled = true, .persist_to_cache = true,
		.persist_to_db = true, .tags = text_of("[]"), .first_seen_at = text_of("2026-01-01T00:00:00.000Z"),
		.last_seen_at = text_of("2026-01-02T00:00:00.000Z"), .count_total = number, .counts = { number },
	};
}

/* ---- The map ---- */

static struct item *table;

static void put_into_map(const struct lf_entry *entry)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item || lf_entry_copy(&item->entry, entry) < 0)
		exit(1);
	HASH_ADD_KEYPTR(hh, table, item->entry.hash.data, item->entry.hash.len, item);
}

static bool ask_map(const char *hash)
{
	struct item *item;

	HASH_FIND(hh, table, hash, LF_HASH_CHARS, item);
	return item != NULL;
}

/* ---- The cache ---- */

static struct lf_cache *cache;

static void open_cache(void)
{
	struct lf_cache_setup setup;
	struct lf_config *config;
	struct lf_error err;

	if (lf_config_read(&config, NULL, &err) < 0 || lf_cache_setup_init(&setup, config, "/entries.db", &err) < 0)
		exit(1);
	setup.options.sqlite.off = true; /* the file is no memory */
	if (lf_cache_open(&cache, &setup.options, &err) < 0)
		exit(1);
	lf_cache_setup_fini(&setup);
}

static void put_into_cache(const struct lf_entry *entry)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		exit(1);
	lf_json_entry(out, entry);
	(void)fclose(out);
	lf_cached_keep(cache, LF_NAMESPACE_DEFAULT, entry->hash.data, (struct lf_text){ text, bytes }, LF_CACHE_TTL_CLASS);
	free(text);
}

static bool ask_cache(const char *hash)
{
	struct lf_cache_value value;

	if (!lf_cached_get(cache, LF_NAMESPACE_DEFAULT, hash, &value))
		return false;
	lf_cache_value_release(&value);
	return true;
}

/* ---- Both ---- */

/* Those that came last, which both have. */
static double time_known(unsigned count, bool (*ask)(const char *hash))
{
	static char hashes[ASKED][LF_HASH_CHARS + 1];
	struct lf_entry entry;
	char template[128];
	double began;

	for (unsigned i = 0; i < ASKED; i++)
		make(&entry, count - 1 - i % count, hashes[i], template);
	began = now_ns();
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < ASKED; i++)
			if (!ask(hashes[i]))
				exit(1);
	return (now_ns() - began) / (ROUNDS * ASKED);
}

static void measure(unsigned count, bool in_cache, int out)
{
	struct lf_cache_stats stats = { .items = count };
	struct result result;
	struct lf_entry entry;
	char hash[LF_HASH_CHARS + 1], template[128];
	int64_t before;

	if (in_cache)
		open_cache();
	before = resident_bytes();
	for (unsigned i = 0; i < count; i++) {
		make(&entry, i, hash, template);
		(in_cache ? put_into_cache : put_into_map)(&entry);
	}
	result.bytes = resident_bytes() - before;
	if (in_cache)
		lf_cache_stats(cache, &stats);
	result.kept = stats.items;
	result.ns = time_known(count, in_cache ? ask_cache : ask_map);
	if (write(out, &result, sizeof(result)) != sizeof(result))
		exit(1);
	exit(0);
}

static struct result in_a_child(unsigned count, bool in_cache)
{
	struct result result = { 0 };
	int ends[2], status;

	if (pipe(ends) < 0)
		exit(1);
	if (fork() == 0)
		measure(count, in_cache, ends[1]);
	if (read(ends[0], &result, sizeof(result)) != sizeof(result) || wait(&status) < 0 || status != 0)
		exit(1);
	return result;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	struct result map, kept;

	if (count == 0)
		return 1;
	map = in_a_child(count, false);
	kept = in_a_child(count, true);
	(void)printf("%u entries: map %" PRId64 ", cache %" PRId64 " with %" PRIu64 " of them; a known hash: map %.0f ns, "
	             "cache %.0f ns\n", count, map.bytes, kept.bytes, kept.kept, map.ns, kept.ns);
	return 0;
}
