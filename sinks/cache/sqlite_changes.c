/* What other processes of this host changed in the file.
 *
 * SQLite tells nobody, but `PRAGMA data_version` costs little and says whether another connection has committed; then what
 * has a higher number of the sequence than the last that was seen is new.
 */
#include <poll.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum { LOOK_MS = 1000 /* one look may take, be the call's time over before: else a slow file would never be heard */ };

struct telling {
	struct lf_tier *tier;
	struct lf_link *link;
	void (*changed)(void *arg, const struct lf_tier_change *change);
	void *arg;
	uint64_t owed; /* as this process knew it before the look began */
};

static int read_data_version(struct lf_link *link, int64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_DATA_VERSION);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(statement, 0);
	return lf_link_end(statement, code);
}

static void tell(const struct telling *telling, enum lf_tier_change_kind kind, struct lf_text name, struct lf_version version)
{
	struct lf_tier_change change = { .kind = kind, .name = name, .version = version };
	struct lf_text scope = telling->tier->scope;

	/* The file may be that of other scopes, too. */
	if (kind != LF_CHANGED_UNKNOWN && (name.len < scope.len || memcmp(name.data, scope.data, scope.len) != 0))
		return;
	telling->changed(telling->arg, &change);
}

static int tell_each(const struct telling *telling, enum lf_statement which, enum lf_tier_change_kind kind)
{
	sqlite3_stmt *statement = lf_link_statement(telling->link, which);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(telling->link->db);
	(void)sqlite3_bind_int64(statement, 1, telling->tier->seen);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)telling->tier->options.self.writer);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		tell(telling, kind, lf_column_text(statement, 0), lf_column_version(statement, 1));
	return lf_link_end(statement, code);
}

/* In one transaction, so that all is of one moment: what is committed meanwhile is for the next time. */
static int tell_all(const struct telling *telling)
{
	struct lf_tier *tier = telling->tier;
	uint64_t known = telling->owed;
	int64_t floor = 0, last = 0, owed = 0;
	int code = lf_sqlite_get_number(telling->link, "seq", &last);

	if (code == SQLITE_OK)
		code = lf_sqlite_get_number(telling->link, "floor", &floor);
	if (code == SQLITE_OK)
		code = lf_sqlite_get_number(telling->link, tier->owed_name, &owed);
	if (code != SQLITE_OK)
		return code;
	if (floor > tier->seen)
		tell(telling, LF_CHANGED_UNKNOWN, (struct lf_text){ NULL, 0 }, (struct lf_version){ 0, 0 });
	code = tell_each(telling, LF_DO_CHANGED_STAMPS, LF_CHANGED_STAMP);
	if (code == SQLITE_OK)
		code = tell_each(telling, LF_DO_CHANGED_PREFIXES, LF_CHANGED_PREFIX);
	if (code == SQLITE_OK)
		code = tell_each(telling, LF_DO_CHANGED_RECORDS, LF_CHANGED_KEY);
	if (code != SQLITE_OK)
		return code;
	tier->seen = last;
	/* What was committed here meanwhile is not in it: then it is looked again soon. */
	(void)atomic_compare_exchange_strong_explicit(&tier->owed, &known, owed > 0 ? (uint64_t)owed : 0, memory_order_relaxed,
	                                              memory_order_relaxed);
	return code;
}

static int look(struct telling *telling)
{
	struct lf_tier *tier = telling->tier;
	int64_t version = 0;
	int code = read_data_version(telling->link, &version);

	if (code != SQLITE_OK || version == tier->data_version)
		return code;
	telling->owed = atomic_load_explicit(&tier->owed, memory_order_relaxed);
	code = lf_link_do(telling->link, LF_DO_BEGIN_READ);
	if (code == SQLITE_OK) {
		code = tell_all(telling);
		telling->link->end_ms = INT64_MAX;
		(void)lf_link_do(telling->link, LF_DO_COMMIT);
	}
	/* What was asked before may only be too old: then it is looked once more. */
	if (code == SQLITE_OK)
		tier->data_version = version;
	return code;
}

static uint64_t file_number(struct lf_tier *tier)
{
	uint64_t number;

	(void)pthread_mutex_lock(&tier->lock);
	number = tier->reopened;
	(void)pthread_mutex_unlock(&tier->lock);
	return number;
}

/* From here on. */
static int begin(struct lf_tier *tier, struct lf_link *link)
{
	int code;

	tier->watched = file_number(tier);
	code = read_data_version(link, &tier->data_version);
	if (code == SQLITE_OK)
		code = lf_sqlite_get_number(link, "seq", &tier->seen);
	tier->watching = code == SQLITE_OK;
	return code;
}

/* The link, on the file as it is now; what was seen of another file is of no use. */
static int renew(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	struct lf_link *link = &tier->watcher;
	int code = lf_sqlite_fresh_link(tier, link, end_ms);

	if (code == LF_SQLITE_MOVED) {
		code = lf_sqlite_mend(tier, link, code, end_ms, err);
		if (code == SQLITE_OK)
			code = lf_sqlite_fresh_link(tier, link, end_ms);
	}
	if (file_number(tier) != tier->watched)
		tier->watching = false;
	return code;
}

enum lf_tier_result lf_sqlite_watch(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	int code;

	if (tier->watch_ms <= 0)
		return LF_TIER_DONE;
	code = renew(tier, end_ms, err);
	if (code == SQLITE_OK)
		code = lf_link_code(&tier->watcher, begin(tier, &tier->watcher));
	lf_sqlite_say(tier, &tier->watcher, code, "watched", err);
	if (lf_sqlite_is_damage(code))
		(void)lf_sqlite_mend(tier, &tier->watcher, code, end_ms, NULL);
	return lf_sqlite_result(code);
}

static int watch_once(struct telling *telling, int64_t end_ms, struct lf_error *err)
{
	struct lf_tier *tier = telling->tier;
	int code = renew(tier, end_ms, err);

	if (code == SQLITE_OK && tier->watching)
		return look(telling);
	if (code == SQLITE_OK)
		code = begin(tier, telling->link);
	if (code == SQLITE_OK)
		tell(telling, LF_CHANGED_UNKNOWN, (struct lf_text){ NULL, 0 }, (struct lf_version){ 0, 0 });
	return code;
}

static int pause_ms(const struct lf_tier *tier, int64_t end_ms)
{
	int64_t left = end_ms - lf_clock_ms(), ms = tier->watch_ms > 0 && tier->watch_ms < left ? tier->watch_ms : left;

	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

enum lf_tier_result lf_sqlite_changes(struct lf_tier *tier, int wake_fd,
                                      void (*changed)(void *arg, const struct lf_tier_change *change), void *arg, int64_t end_ms,
                                      struct lf_error *err)
{
	struct telling telling = { .tier = tier, .link = &tier->watcher, .changed = changed, .arg = arg };
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	int code = SQLITE_OK;

	do {
		if (tier->watch_ms > 0)
			code = lf_link_code(&tier->watcher, watch_once(&telling, lf_clock_ms() + LOOK_MS, err));
		if (code != SQLITE_OK)
			break;
	} while (poll(&wake, 1, pause_ms(tier, end_ms)) == 0 && lf_clock_ms() < end_ms);
	lf_sqlite_say(tier, &tier->watcher, code, "watched", err);
	if (lf_sqlite_is_damage(code))
		(void)lf_sqlite_mend(tier, &tier->watcher, code, end_ms, NULL);
	return lf_sqlite_result(code);
}
