/* A space out as lines, and in again. */
#include <errno.h>
#include <stdlib.h>

#include "hashing/clock.h"
#include "sinks/cache/commands.h"
#include "sinks/cache/lines.h"
#include "sinks/cache/workers.h"

/* --- out ------------------------------------------------------------------------------------------- */

struct export {
	struct lf_cache_space *space;
	void (*line)(void *arg, struct lf_text line);
	void *arg;
	uint64_t count;
};

static int export_record(struct export *export, struct lf_text id, const struct lf_record *record, struct lf_error *err)
{
	int64_t now_ms = lf_cache_now(export->space->cache);
	size_t len;
	char *line;

	if (!lf_record_readable(record, now_ms))
		return 0;
	line = lf_line_write(id, record, now_ms, &len);
	if (!line)
		return lf_fail(err, -ENOMEM, "there is no memory for a line of a value of %zu bytes", record->value.len);
	export->line(export->arg, (struct lf_text){ line, len });
	export->count++;
	free(line);
	return 0;
}

/* A key may be scanned more than once; who reads the lines takes the last. */
static int export_id(struct export *export, struct lf_text id, struct lf_error *err)
{
	struct lf_cache *cache = export->space->cache;
	struct lf_record *record;
	enum lf_cache_tier from;
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, export->space->prefix, id, err);

	if (rc == 0)
		rc = lf_stack_find(cache, NULL, (struct lf_text){ key, len }, lf_stack_deadline(cache), &record, &from, err);
	if (rc != 1)
		return rc;
	rc = export_record(export, id, record, err);
	lf_record_drop(record);
	return rc;
}

int lf_cache_export(struct lf_cache_space *space, void (*line)(void *arg, struct lf_text line), void *arg, uint64_t *count,
                    struct lf_error *err)
{
	struct export export = { .space = space, .line = line, .arg = arg };
	struct lf_cache_scan *scan;
	struct lf_text id;
	int rc;

	if (!atomic_load_explicit(&space->cache->enabled, memory_order_acquire))
		return lf_fail(err, -ECANCELED, "the cache is disabled: nothing can be read out of it");
	rc = lf_cache_scan_open(&scan, space, NULL, err);
	if (rc < 0)
		return rc;
	while (rc == 0) {
		rc = lf_scan_on(scan, &id, err);
		if (rc != 1)
			break;
		rc = export_id(&export, id, err);
	}
	lf_cache_scan_close(scan);
	if (count)
		*count = export.count;
	return rc;
}

/* --- in -------------------------------------------------------------------------------------------- */

/* As it stands in the line: with its TTL, not its class's. */
static struct lf_cache_set how_of(const struct lf_line *line)
{
	return (struct lf_cache_set){ .ttl_ms = line->ttl_ms ? line->ttl_ms : LF_CACHE_TTL_NONE,
		                      .critical = line->critical,
		                      .tags = line->tags,
		                      .tags_count = line->tags_count };
}

/* Whether what is there has that revision, or a later one. */
static int is_old(struct lf_cache_space *space, struct lf_text key, uint64_t revision, struct lf_error *err)
{
	struct lf_record *record;
	enum lf_cache_tier from;
	int rc;

	if (!revision)
		return 0;
	rc = lf_stack_find(space->cache, NULL, key, lf_stack_deadline(space->cache), &record, &from, err);
	if (rc != 1)
		return rc;
	rc = record->revision >= revision;
	lf_record_drop(record);
	return rc;
}

/* The fields as a record keeps them. */
static int pack(struct lf_cache *cache, const struct lf_line *line, struct lf_record **out, struct lf_error *err)
{
	struct lf_command hset = { .kind = LF_COMMAND_HSET,
		                   .fields = line->fields,
		                   .fields_count = line->fields_count,
		                   .value_max = cache->options.value_max };
	struct lf_command_result result = { 0 };
	int rc = lf_command_apply(&hset, NULL, (struct lf_version){ 0 }, lf_cache_now(cache), &result, err);

	*out = result.record;
	return rc;
}

static int store_hash(struct lf_cache_space *space, struct lf_text key, const struct lf_command *set, struct lf_text packed,
                      uint64_t revision, struct lf_error *err)
{
	struct lf_cache *cache = space->cache;
	int64_t end_ms = lf_stack_deadline(cache);
	struct lf_record record = { .type = LF_RECORD_HASH,
		                    .flags = set->critical ? LF_RECORD_CRITICAL : 0,
		                    .expires_ms = set->expires_ms,
		                    .revision = revision,
		                    .type_stamp = set->type_stamp,
		                    .org_stamp = set->org_stamp,
		                    .tags = set->tags,
		                    .tags_count = set->tags_count,
		                    .value = packed };
	int rc = 0;

	/* Not stored: somebody wrote with a later clock, which is seen by then. */
	while (rc == 0 && lf_clock_ms() < end_ms) {
		struct lf_record *made;

		record.version = lf_version_next(cache);
		made = lf_record_new(&record);
		if (!made)
			return lf_fail(err, -ENOMEM, "there is no memory for a hash of %zu bytes", packed.len);
		rc = lf_stack_store(space, key, made, 0, NULL, end_ms, err);
		lf_record_drop(made);
	}
	return rc ? rc : lf_fail(err, -ETIMEDOUT, "others set the key faster, for all the time that there was");
}

static int import_hash(struct lf_cache_space *space, const struct lf_line *line, struct lf_error *err)
{
	struct lf_cache_set how = how_of(line);
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_record *packed = NULL;
	struct lf_command set;
	char key[LF_KEY_MAX];
	size_t len;
	int rc = lf_key_make(key, &len, space->prefix, line->id, err);

	if (rc == 0)
		rc = is_old(space, (struct lf_text){ key, len }, line->revision, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = pack(space->cache, line, &packed, err);
	if (rc == 0)
		rc = lf_stack_prepare(space, line->id, packed->value, &how, NULL, lf_stack_deadline(space->cache), tags, &set,
		                      err);
	if (rc == 0) {
		lf_flights_touch(space->cache, (struct lf_text){ key, len });
		rc = store_hash(space, (struct lf_text){ key, len }, &set, packed->value, line->revision, err);
	}
	lf_record_drop(packed);
	return rc;
}

static int import_line(struct lf_cache_space *space, const struct lf_line *line, struct lf_error *err)
{
	struct lf_cache_set how = how_of(line);

	if (line->type == LF_RECORD_HASH)
		return import_hash(space, line, err);
	if (line->revision)
		return lf_cache_set_if_newer(space, line->id, line->value, line->revision, &how, err);
	return lf_cache_set(space, line->id, line->value, &how, err);
}

/* A reader is kept for the next line; threads that import at once have one each. */
int lf_cache_import(struct lf_cache_space *space, struct lf_text text, struct lf_error *err)
{
	struct lf_cache *cache = space->cache;
	struct lf_line_reader *reader = atomic_exchange(&cache->line_reader, NULL);
	struct lf_line line;
	int rc = reader ? 0 : lf_line_reader_new(&reader, err);

	if (rc < 0)
		return rc;
	rc = lf_line_read(reader, text, &line, err);
	if (rc == 0)
		rc = import_line(space, &line, err);
	lf_line_reader_free(atomic_exchange(&cache->line_reader, reader));
	return rc;
}
