/* The SQLite tier: opening, closing, its operations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum { OPEN_MS = 10000 /* another process may be checking a large file */ };

void lf_sqlite_new_session(struct lf_tier *tier)
{
	int64_t session = 0;

	while (session == 0)
		if (getrandom(&session, sizeof(session), 0) != (ssize_t)sizeof(session))
			session = lf_clock_ms() << 20 | 1;
	atomic_store_explicit(&tier->session, session, memory_order_relaxed);
}

void lf_sqlite_trouble(struct lf_tier *tier, char out[LF_SQLITE_TROUBLE_MAX])
{
	(void)pthread_mutex_lock(&tier->lock);
	(void)snprintf(out, LF_SQLITE_TROUBLE_MAX, "%s", tier->trouble);
	(void)pthread_mutex_unlock(&tier->lock);
}

static void close_tier(struct lf_tier *tier)
{
	if (!tier)
		return;
	/* A file that was replaced is not written home: its log's name is the other's. */
	for (int i = 0; i < LF_SQLITE_READERS; i++)
		lf_link_close(&tier->readers[i], !lf_sqlite_in_place(tier, &tier->readers[i]));
	lf_link_close(&tier->watcher, !lf_sqlite_in_place(tier, &tier->watcher));
	lf_link_close(&tier->writer, !lf_sqlite_in_place(tier, &tier->writer));
	(void)pthread_mutex_destroy(&tier->lock);
	(void)pthread_cond_destroy(&tier->idle);
	(void)pthread_cond_destroy(&tier->turn);
	free((char *)(uintptr_t)tier->scope.data);
	free(tier->owed_name);
	free(tier);
}

static int take_options(struct lf_tier *tier, const struct lf_tier_options *options, struct lf_error *err)
{
	const struct lf_cache_sqlite_options *own = options->sqlite;

	if (!own->file || !*own->file)
		return lf_fail(err, -EINVAL, "the SQLite tier of the cache has no file: name one, or switch it off");
	if (own->watch_ms < 0 || own->care_ms < 0)
		return lf_fail(err, -EINVAL, "a time of the cache's file '%s' is negative: 0 switches it off", own->file);
	if (!sqlite3_threadsafe())
		return lf_fail(err, -EINVAL, "SQLite is built for one thread: install one that is not");
	tier->options = *options;
	tier->options.scope = NULL;
	tier->options.memory = NULL;
	tier->options.sqlite = NULL;
	tier->options.server = NULL;
	tier->compress_min = own->compress_min;
	tier->watch_ms = own->watch_ms;
	tier->care_ms = own->care_ms;
	tier->scope = (struct lf_text){ strdup(options->scope), strlen(options->scope) };
	if (!tier->scope.data || asprintf(&tier->owed_name, "owed:%s", options->scope) < 0) {
		tier->owed_name = NULL;
		return lf_fail(err, -ENOMEM, "there is no memory for the SQLite tier of the cache");
	}
	return lf_sqlite_path(own->file, tier->path, err);
}

static int errno_of(int code)
{
	switch (code & 0xff) {
	case LF_SQLITE_NEWER:
	case SQLITE_ERROR:
		return -ENOTSUP;
	case LF_SQLITE_FOREIGN:
		return -EINVAL;
	case LF_SQLITE_NO_FOLDER:
		return -ENOENT;
	default:
		return -EACCES;
	}
}

/* What passes by itself (a full disk, another process's lock) is left to the next call. */
static int open_file(struct lf_tier *tier, struct lf_error *err)
{
	struct lf_error why = { "" };
	int code = lf_sqlite_ready(tier, lf_clock_ms() + OPEN_MS, &why); /* nobody else can have a turn yet */

	if (lf_sqlite_result(code) == LF_TIER_REJECTED)
		return lf_fail(err, errno_of(code), "%s", why.text);
	if (tier->trouble[0])
		(void)lf_fail(err, 0, "%s", tier->trouble);
	return 0;
}

static int open_tier(struct lf_tier **out, const struct lf_tier_options *options, struct lf_error *err)
{
	struct lf_tier *tier = calloc(1, sizeof(*tier));
	int rc;

	if (!tier)
		return lf_fail(err, -ENOMEM, "there is no memory for the SQLite tier of the cache");
	(void)pthread_mutex_init(&tier->lock, NULL);
	(void)pthread_cond_init(&tier->idle, NULL);
	(void)pthread_cond_init(&tier->turn, NULL);
	rc = take_options(tier, options, err);
	if (rc == 0) {
		lf_sqlite_new_session(tier);
		rc = open_file(tier, err);
	}
	if (rc < 0)
		close_tier(tier);
	else
		*out = tier;
	return rc;
}

/* --- ping ------------------------------------------------------------------------------------------ */

/* Whether it can be written shows in writing. */
static int ping_in(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	(void)snprintf(arg, LF_TIER_MARK_MAX, "%s", tier->uuid);
	return lf_sqlite_set_number(link, "ping", tier->options.clock_ms(tier->options.clock_arg));
}

static enum lf_tier_result ping(struct lf_tier *tier, char mark[LF_TIER_MARK_MAX], int64_t end_ms, struct lf_error *err)
{
	struct lf_work work = { .run = ping_in, .arg = mark, .what = "written" };

	return lf_sqlite_write(tier, &work, end_ms, err);
}

const struct lf_tier_ops lf_tier_sqlite = {
	.abi = LF_TIER_ABI,
	.name = "sqlite",
	.open = open_tier,
	.close = close_tier,
	.ping = ping,
	.load = lf_sqlite_records_load,
	.store = lf_sqlite_records_store,
	.scan = lf_sqlite_scan,
	.drop = lf_sqlite_drop,
	.stamps = lf_sqlite_stamps,
	.raise = lf_sqlite_raise,
	.watch = lf_sqlite_watch,
	.changes = lf_sqlite_changes,
	.tend = lf_sqlite_tend,
	.info = lf_sqlite_info,
};
