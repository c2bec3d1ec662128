/* logfold import: an export, a store, or a MongoDB database becomes part of a store.
 *
 * What each incarnation counted merges by maximum, so that a repetition changes nothing.  One transaction:
 * all of it, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/import.h"
#include "agent/cli/place.h"
#include "hashing/clock.h"

/* ---- From store to store ---- */

struct merging {
	struct lf_import *import;
	struct lf_store *from, *to;
	struct lf_error *err;
};

/* A time that nobody knew is none: the store gives it its own if the entry is new. */
static void forget_now(const struct lf_import *import, struct lf_text *time)
{
	if (time->len == LF_TIME_CHARS && memcmp(time->data, import->now, LF_TIME_CHARS) == 0)
		*time = (struct lf_text){ "", 0 };
}

static int merge_entry(void *arg, const struct lf_entry *given)
{
	struct merging *merging = arg;
	struct lf_entry entry = *given;
	struct lf_share *shares = NULL;
	size_t count = 0;
	int rc = lf_store_shares(merging->from, entry.namespace, entry.hash, &shares, &count, merging->err);

	forget_now(merging->import, &entry.first_seen_at);
	forget_now(merging->import, &entry.last_seen_at);
	if (rc == 0)
		rc = lf_store_merge(merging->to, &entry, shares, count, merging->err);
	free(shares);
	return rc;
}

struct outcome {
	uint64_t entries, added, changed;
};

/* Inside the transaction of the store that is merged into. */
static int merge_all(struct merging *merging, struct outcome *out)
{
	struct lf_query query = { .namespace = merging->import->options->namespace, .order = LF_BY_KEY };
	struct lf_store_totals before, after, taken;
	struct lf_incarnation now;
	int rc = lf_store_incarnation(merging->to, &now, merging->err);

	if (rc == 0)
		rc = lf_store_totals(merging->from, &query, &taken, merging->err);
	if (rc == 0)
		rc = lf_store_totals(merging->to, &(struct lf_query){ 0 }, &before, merging->err);
	if (rc == 0)
		rc = lf_store_each(merging->from, &query, merge_entry, merging, merging->err);
	if (rc == 0)
		rc = lf_store_totals(merging->to, &(struct lf_query){ 0 }, &after, merging->err);
	if (rc == 0)
		rc = lf_store_count_changed(merging->to, now.drain_sequence, &out->changed, merging->err);
	if (rc == 0) {
		out->entries = taken.entries;
		out->added = after.entries - before.entries;
		out->changed -= out->added;
	}
	return rc;
}

static int merge_store(struct lf_import *import, struct lf_store *from, const char *path,
                       struct outcome *out, struct lf_error *err)
{
	struct merging merging = { .import = import, .from = from, .err = err };
	int rc = lf_store_open(&merging.to, path, LF_STORE_WRITE, err);

	if (rc == 0)
		rc = lf_store_begin(merging.to, err);
	if (rc == 0)
		rc = merge_all(&merging, out);
	if (rc == 0 && (out->added || out->changed))
		rc = lf_store_commit(merging.to, err);
	lf_store_close(merging.to); /* rolls back what is not committed */
	return rc;
}

/* ---- Sources ---- */

/* Only a file is looked into: whoever writes to a pipe would notice that it was opened and closed. */
static bool is_store(const char *path)
{
	char magic[16] = "";
	struct stat st;
	int fd = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t len = fd < 0 ? -1 : pread(fd, magic, sizeof(magic), 0);

	if (fd >= 0)
		(void)close(fd);
	return len == sizeof(magic) && memcmp(magic, "SQLite format 3", sizeof(magic)) == 0;
}

static int stage(struct lf_import *import, struct lf_error *err)
{
	int rc = lf_store_open(&import->staged, LF_STORE_MEMORY, LF_STORE_WRITE, err);

	if (rc == 0)
		rc = lf_store_begin(import->staged, err);
	if (rc == 0)
		rc = lf_import_is_mongo(import->from) ? lf_import_mongo(import, err) :
							lf_import_lines(import, err);
	return rc < 0 ? rc : lf_store_commit(import->staged, err);
}

static int find_source(struct lf_import *import, struct lf_error *err)
{
	if (!lf_import_is_mongo(import->from) && is_store(import->from))
		return lf_store_open(&import->staged, import->from, LF_STORE_READ_ONLY, err);
	return stage(import, err);
}

static void report(const struct lf_import *import, const struct lf_place *place,
                   const struct outcome *outcome)
{
	(void)printf("imported %llu entries into %s: %llu new, %llu changed, %llu as they were\n",
		     (unsigned long long)outcome->entries, place->store,
		     (unsigned long long)outcome->added, (unsigned long long)outcome->changed,
		     (unsigned long long)(outcome->entries - outcome->added - outcome->changed));
	if (import->renamed)
		lf_complain("%llu entries had another id than theirs, and got it",
			    (unsigned long long)import->renamed);
	if (import->skipped)
		lf_complain("%llu bad lines or entries were left out", (unsigned long long)import->skipped);
}

static void begin(struct lf_import *import, const struct lf_options *options)
{
	*import = (struct lf_import){ .options = options, .from = options->words[0],
		                      .started_ms = lf_clock_ms() };
	lf_time_format((uint64_t)time(NULL) * 1000 + 1, import->now);
	if (options->as)
		lf_import_uuid(options->as, import->foreign);
}

int lf_cmd_import(const struct lf_options *options)
{
	struct outcome outcome = { 0 };
	struct lf_import import;
	struct lf_place place;
	struct lf_error err = { "" };
	int rc = lf_place_find(&place, options, &err);

	begin(&import, options);
	if (rc == 0)
		rc = find_source(&import, &err);
	if (rc == 0)
		rc = merge_store(&import, import.staged, place.store, &outcome, &err);
	if (import.shown_ms)
		(void)fputs("\r\033[K", stderr);
	if (rc == 0)
		report(&import, &place, &outcome);
	else
		lf_complain("%s", err.text);
	lf_store_close(import.staged);
	return rc < 0 ? LF_EXIT_FAILED : LF_EXIT_OK;
}
