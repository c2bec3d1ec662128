/* One transaction: a connection for it, its deadline, and again where the file was replaced or is damaged.
 *
 * There is one connection that writes, for one thread at a time, and a few that read: in SQLite's write-ahead mode
 * neither waits for the other, so a read does not wait for somebody's fsync().  A commit that must last raises the
 * writer's `synchronous` to FULL, which syncs the log with all that was committed before; the others are NORMAL,
 * which leaves that to the next checkpoint: a power failure may take the last of them, never the order.
 */
#include <string.h>
#include <time.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum { TRIES = 3 };

static struct timespec until(int64_t end_ms)
{
	if (end_ms < 0)
		end_ms = 0;
	return (struct timespec){ (time_t)(end_ms / 1000), (long)(end_ms % 1000) * 1000000 };
}

/* No mutex with a deadline, as ThreadSanitizer knows none by this clock. */
bool lf_sqlite_take_turn(struct lf_tier *tier, int64_t end_ms)
{
	struct timespec end = until(end_ms);
	bool taken = true;
	int rc = 0;

	(void)pthread_mutex_lock(&tier->lock);
	if (tier->writing) {
		tier->waiting++;
		while (!tier->handed_on && rc == 0)
			rc = pthread_cond_clockwait(&tier->turn, &tier->lock, CLOCK_MONOTONIC, &end);
		tier->waiting--;
		taken = tier->handed_on;
		tier->handed_on = false;
	}
	tier->writing = true;
	(void)pthread_mutex_unlock(&tier->lock);
	return taken;
}

/* It goes to one who waits: who comes anew, or was quick to come again, must not be faster than they are for ever. */
void lf_sqlite_end_turn(struct lf_tier *tier)
{
	(void)pthread_mutex_lock(&tier->lock);
	tier->handed_on = tier->waiting > 0;
	tier->writing = tier->handed_on;
	(void)pthread_cond_signal(&tier->turn);
	(void)pthread_mutex_unlock(&tier->lock);
}

/* --- what transactions share ----------------------------------------------------------------------- */

int lf_sqlite_get_number(struct lf_link *link, const char *key, int64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_GET_META);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	*out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	return lf_link_end(statement, code);
}

int lf_sqlite_set_number(struct lf_link *link, const char *key, int64_t value)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_SET_META);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, value);
	return lf_link_run(link, statement);
}

int lf_sqlite_run_number(sqlite3_stmt *statement, int64_t *out)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW) {
		*out = sqlite3_column_int64(statement, 0);
		code = sqlite3_step(statement);
	}
	return lf_link_end(statement, code);
}

int lf_sqlite_take_seq(struct lf_link *link, size_t count, int64_t *first)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_TAKE_SEQ);
	int64_t last = 0;
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, (int64_t)count);
	code = lf_sqlite_run_number(statement, &last);
	*first = last - (int64_t)count + 1;
	return code;
}

static int count_owed(struct lf_tier *tier, struct lf_link *link, int64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_ADD_META);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, tier->owed_name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, link->owed);
	return lf_sqlite_run_number(statement, out);
}

/* What went wrong on the way is nobody's business where it went well in the end. */
static enum lf_tier_result conclude(int code, const struct lf_error *why, struct lf_error *err)
{
	if (code != SQLITE_OK)
		(void)lf_fail(err, code, "%s", why->text);
	return lf_sqlite_result(code);
}

/* --- writing --------------------------------------------------------------------------------------- */

/* It cannot be changed inside a transaction. */
static int set_durable(struct lf_link *link, bool full)
{
	int code = SQLITE_OK;

	if (link->full != full)
		code = lf_link_exec(link, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (code == SQLITE_OK)
		link->full = full;
	return code;
}

/* Once all is done that takes time, the deadline is over: a commit that was cut short would be nobody knows what. */
static int finish(struct lf_link *link, int code)
{
	link->end_ms = INT64_MAX;
	if (code == SQLITE_OK)
		code = lf_link_do(link, LF_DO_COMMIT);
	if (code == SQLITE_OK)
		return code;
	code = lf_link_code(link, code);
	(void)lf_link_do(link, LF_DO_ROLLBACK);
	return code;
}

static int transaction(struct lf_tier *tier, struct lf_link *link, const struct lf_work *work)
{
	int64_t owed = 0;
	int code = set_durable(link, work->durable);

	if (code == SQLITE_OK)
		code = lf_link_do(link, LF_DO_BEGIN);
	if (code != SQLITE_OK)
		return lf_link_code(link, code);
	link->owed = 0;
	code = work->run(tier, link, work->arg);
	if (code == SQLITE_OK && link->owed)
		code = count_owed(tier, link, &owed);
	code = finish(link, code);
	if (code == SQLITE_OK && link->owed)
		atomic_store_explicit(&tier->owed, owed > 0 ? (uint64_t)owed : 0, memory_order_relaxed);
	return code;
}

/* In one's turn. */
static int write_once(struct lf_tier *tier, const struct lf_work *work, int64_t end_ms, struct lf_error *err)
{
	struct lf_link *link = &tier->writer;
	int code = lf_sqlite_ready(tier, end_ms, err);

	if (code != SQLITE_OK)
		return code;
	link->end_ms = end_ms;
	code = transaction(tier, link, work);
	/* What was committed into a file that somebody set aside before is lost there. */
	if (code == SQLITE_OK && !lf_sqlite_in_place(tier, link))
		code = LF_SQLITE_MOVED;
	lf_sqlite_say(tier, link, code, work->what, err);
	if (lf_sqlite_is_damage(code))
		(void)lf_sqlite_set_aside(tier, link->dev, link->ino, sqlite3_errstr(code), end_ms, NULL);
	return code;
}

enum lf_tier_result lf_sqlite_write(struct lf_tier *tier, const struct lf_work *work, int64_t end_ms, struct lf_error *err)
{
	struct lf_error why = { "" };
	int code = SQLITE_OK;

	for (int i = 0; i < TRIES; i++) {
		if (!lf_sqlite_take_turn(tier, end_ms)) {
			lf_sqlite_say(tier, NULL, LF_SQLITE_LATE, work->what, err);
			return LF_TIER_AWAY;
		}
		code = write_once(tier, work, end_ms, &why);
		lf_sqlite_end_turn(tier);
		if (code != LF_SQLITE_MOVED && !lf_sqlite_is_damage(code))
			break;
	}
	return conclude(code, &why, err);
}

/* --- reading --------------------------------------------------------------------------------------- */

/* With the lock held: an index, or -1. */
static int find_idle(const struct lf_tier *tier)
{
	for (int i = 0; i < LF_SQLITE_READERS; i++)
		if (!tier->busy[i])
			return i;
	return -1;
}

/* An index, or -1: none became free in time. */
static int take_reader(struct lf_tier *tier, int64_t end_ms)
{
	struct timespec end = until(end_ms);
	int found, rc = 0;

	(void)pthread_mutex_lock(&tier->lock);
	while ((found = find_idle(tier)) < 0 && rc == 0)
		rc = pthread_cond_clockwait(&tier->idle, &tier->lock, CLOCK_MONOTONIC, &end);
	if (found >= 0)
		tier->busy[found] = true;
	(void)pthread_mutex_unlock(&tier->lock);
	return found;
}

static void give_back(struct lf_tier *tier, int index)
{
	(void)pthread_mutex_lock(&tier->lock);
	tier->busy[index] = false;
	(void)pthread_cond_signal(&tier->idle);
	(void)pthread_mutex_unlock(&tier->lock);
}

/* The file as it was last opened; false: it is not. */
static bool file_of(struct lf_tier *tier, dev_t *dev, ino_t *ino)
{
	bool ready;

	(void)pthread_mutex_lock(&tier->lock);
	ready = tier->ready;
	*dev = tier->dev;
	*ino = tier->ino;
	(void)pthread_mutex_unlock(&tier->lock);
	return ready;
}

int lf_sqlite_fresh_link(struct lf_tier *tier, struct lf_link *link, int64_t end_ms)
{
	dev_t dev;
	ino_t ino;
	int code = SQLITE_OK;

	if (!file_of(tier, &dev, &ino))
		return LF_SQLITE_MOVED;
	if (link->db && (link->dev != dev || link->ino != ino))
		lf_link_close(link, true);
	if (!link->db) {
		code = lf_link_open(link, tier->path, true, end_ms);
		link->dev = dev;
		link->ino = ino;
	}
	link->end_ms = end_ms;
	/* What was opened under that name, or could not be, may be another's by now. */
	if (!lf_sqlite_is_file(tier, dev, ino))
		code = LF_SQLITE_MOVED;
	if (code != SQLITE_OK) {
		code = lf_link_code(link, code);
		lf_link_close(link, true);
		/* Which file it was, for who is to mend it. */
		link->dev = dev;
		link->ino = ino;
	}
	return code;
}

/* The file was replaced, or this link found it damaged. */
int lf_sqlite_mend(struct lf_tier *tier, const struct lf_link *link, int code, int64_t end_ms, struct lf_error *err)
{
	if (!lf_sqlite_take_turn(tier, end_ms)) {
		lf_sqlite_say(tier, NULL, LF_SQLITE_LATE, "opened", err);
		return LF_SQLITE_LATE;
	}
	if (lf_sqlite_is_damage(code))
		code = lf_sqlite_set_aside(tier, link->dev, link->ino, sqlite3_errstr(code), end_ms, err);
	else
		code = SQLITE_OK;
	if (code == SQLITE_OK)
		code = lf_sqlite_ready(tier, end_ms, err);
	lf_sqlite_end_turn(tier);
	return code;
}

static int read_once(struct lf_tier *tier, struct lf_link *link, const struct lf_work *work, int64_t end_ms,
                     struct lf_error *err)
{
	int code = lf_sqlite_fresh_link(tier, link, end_ms);

	if (code == SQLITE_OK)
		code = lf_link_code(link, work->run(tier, link, work->arg));
	lf_sqlite_say(tier, link, code, work->what, err);
	/* Where it stopped half-way, what it read is still held. */
	if (code != SQLITE_OK && link->db && !sqlite3_get_autocommit(link->db)) {
		link->end_ms = INT64_MAX;
		(void)lf_link_do(link, LF_DO_ROLLBACK);
	}
	return code;
}

enum lf_tier_result lf_sqlite_read(struct lf_tier *tier, const struct lf_work *work, int64_t end_ms, struct lf_error *err)
{
	int index = take_reader(tier, end_ms), code = LF_SQLITE_LATE, mended = SQLITE_OK;
	struct lf_error why = { "" };

	if (index < 0) {
		lf_sqlite_say(tier, NULL, LF_SQLITE_LATE, work->what, err);
		return LF_TIER_AWAY;
	}
	for (int i = 0; i < TRIES && mended == SQLITE_OK; i++) {
		code = read_once(tier, &tier->readers[index], work, end_ms, &why);
		if (code != LF_SQLITE_MOVED && !lf_sqlite_is_damage(code))
			break;
		mended = lf_sqlite_mend(tier, &tier->readers[index], code, end_ms, &why);
	}
	give_back(tier, index);
	return conclude(mended == SQLITE_OK ? code : mended, &why, err);
}
