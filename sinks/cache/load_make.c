/* Runs a loader, and keeps what it made. */
#include <errno.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/commands.h"
#include "sinks/cache/load.h"
#include "sinks/cache/stamps.h"

/* One run of a loader. */
struct run {
	const struct lf_loading *loading;
	struct lf_begun begun;
	int64_t load_ms;
	struct lf_cache_loaded made;
	int rc; /* the loader's */
	struct lf_record_tag tags[LF_CACHE_TAGS_MAX];
	struct lf_command set; /* as somebody would set it */
	bool keep;
};

static void run_loader(struct run *run, struct lf_error *err)
{
	const struct lf_loading *loading = run->loading;
	struct lf_cache *cache = loading->space->cache;
	int64_t start_ms = lf_clock_ms();

	err->text[0] = '\0';
	run->begun = lf_begin(cache, loading->key); /* before the loader reads anything */
	run->rc = loading->load(loading->arg, loading->id, &run->made, err);
	run->load_ms = lf_clock_ms() - start_ms;
	lf_count(cache->counters, LF_COUNT_LOADS, 1);
	if (run->rc >= 0)
		return;
	lf_count(cache->counters, LF_COUNT_LOAD_FAILURES, 1);
	if (!err->text[0])
		(void)lf_fail(err, run->rc, "the loader of '%.*s' failed: %s", (int)loading->key.len, loading->key.data,
		              strerror(-run->rc));
}

/* What is wrong in what the loader says is the loader's failure; what is wrong with the cache is none. */
static int prepare(struct run *run, struct lf_error *err)
{
	struct lf_cache_space *space = run->loading->space;
	struct lf_cache_set how = run->made.how;
	int rc;

	how.when = LF_CACHE_ALWAYS;
	if (how.ttl_ms == LF_CACHE_TTL_KEEP)
		how.ttl_ms = LF_CACHE_TTL_CLASS;
	rc = lf_stack_prepare(space, run->loading->id, run->made.value, &how, &run->begun, lf_stack_deadline(space->cache),
	                      run->tags, &run->set, err);
	run->keep = rc == 0 && run->made.value.len <= space->cache->options.value_max;
	if (rc == -EINVAL)
		return rc;
	if (rc < 0)
		run->set = (struct lf_command){ 0 };
	return 0;
}

/* The record says what the loader did: here is a value, or there is none. */
static struct lf_record *record_of(const struct run *run)
{
	const struct lf_cache_space *space = run->loading->space;
	int64_t now_ms = lf_cache_now(space->cache), negative_ms = space->class.negative_ms;
	struct lf_record record = {
		.type = LF_RECORD_STRING,
		.flags = run->set.critical ? LF_RECORD_CRITICAL : 0,
		.load_ms = run->load_ms < 1 ? 1 : run->load_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)run->load_ms,
		.version = run->begun.version,
		.expires_ms = run->set.expires_ms,
		.fresh_until_ms = run->set.fresh_until_ms,
		.type_stamp = run->set.type_stamp,
		.org_stamp = run->set.org_stamp,
		.tags = run->set.tags,
		.tags_count = run->set.tags_count,
		.value = run->made.value,
	};

	if (run->rc == 0) {
		record.type = negative_ms > 0 ? LF_RECORD_NEGATIVE : LF_RECORD_GONE;
		record.expires_ms = now_ms + (negative_ms > 0 ? negative_ms : space->cache->options.tombstone_ms);
		record.fresh_until_ms = 0;
		record.value = (struct lf_text){ "", 0 };
	}
	return lf_record_new(&record);
}

/* Whether others may have it: not if the key was changed since, or another process's loader was later. */
static bool keep(const struct run *run, uint64_t token, const struct lf_record *record)
{
	const struct lf_loading *loading = run->loading;
	struct lf_cache *cache = loading->space->cache;

	if (!run->keep || lf_record_expired(record, lf_cache_now(cache)) ||
	    (record->type == LF_RECORD_GONE && !loading->replaces))
		return true;
	return lf_stack_store(loading->space, loading->key, record, token, &run->begun,
	                      lf_stack_deadline(cache), NULL) != 0;
}

bool lf_load_make(const struct lf_loading *loading, bool keeping, uint64_t token, struct lf_landing *out)
{
	struct run run = { .loading = loading };
	bool shared = true;

	*out = (struct lf_landing){ .from = LF_CACHE_TIERS };
	run_loader(&run, &out->err);
	out->rc = run.rc > 0 ? 1 : run.rc;
	if (run.rc >= 0 && keeping) {
		int rc = prepare(&run, &out->err);

		if (rc < 0)
			out->rc = rc;
	}
	if (out->rc >= 0) {
		out->record = record_of(&run);
		if (!out->record)
			out->rc = lf_fail(&out->err, -ENOMEM, "there is no memory for a value of %zu bytes",
			                  run.made.value.len);
		else if (keeping)
			shared = keep(&run, token, out->record);
	}
	if (run.rc >= 0 && run.made.release)
		run.made.release(&run.made);
	return shared;
}
