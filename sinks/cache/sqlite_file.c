/* The file: made, checked, opened, and set aside when it is damaged.
 *
 * Whoever makes, checks or renames it has a lock on its folder: processes that open one file at once do not meet
 * half-made tables, and of those that find it damaged only the first moves it; the others see another inode
 * under its name, and open that one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hashing/clock.h"
#include "sinks/cache/sqlite_internal.h"

enum { CHECK_MS = 1000 /* what is not looked through by then counts as whole, until it is read */ };

/* --- where it is ----------------------------------------------------------------------------------- */

static void folder_of(const char *path, char out[PATH_MAX])
{
	char *slash;

	(void)snprintf(out, PATH_MAX, "%s", path);
	slash = strrchr(out, '/');
	if (!slash)
		(void)strcpy(out, ".");
	else if (slash == out)
		out[1] = '\0';
	else
		*slash = '\0';
}

/* Absolute, because it is opened anew when the program may be elsewhere. */
int lf_sqlite_path(const char *file, char out[PATH_MAX], struct lf_error *err)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	char folder[PATH_MAX], real[PATH_MAX];

	if (strlen(file) >= PATH_MAX - 64)
		return lf_fail(err, -ENAMETOOLONG, "the path of the cache's file is too long: choose a shorter one");
	if (!*name)
		return lf_fail(err, -EINVAL, "'%s' is a folder: name a file in it for the cache", file);
	if (realpath(file, out))
		return 0;
	folder_of(file, folder);
	if (!realpath(folder, real))
		return lf_fail(err, -errno, "the folder of the cache's file '%s' cannot be used (%s): make it, or name another "
		                            "file", file, strerror(errno));
	if (snprintf(out, PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) >= PATH_MAX - 64)
		return lf_fail(err, -ENAMETOOLONG, "the path of the cache's file is too long: choose a shorter one");
	return 0;
}

bool lf_sqlite_is_file(const struct lf_tier *tier, dev_t dev, ino_t ino)
{
	struct stat st;

	return stat(tier->path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

bool lf_sqlite_in_place(const struct lf_tier *tier, const struct lf_link *link)
{
	return link->db && lf_sqlite_is_file(tier, link->dev, link->ino);
}

/* --- the folder's lock ----------------------------------------------------------------------------- */

static int take_lock(int fd, int64_t end_ms)
{
	static const struct timespec pause = { 0, 2000000 };

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return SQLITE_IOERR;
		if (lf_clock_ms() >= end_ms)
			return LF_SQLITE_LATE;
		(void)nanosleep(&pause, NULL);
	}
	return SQLITE_OK;
}

static int lock_folder(const struct lf_tier *tier, int64_t end_ms, int *out)
{
	char folder[PATH_MAX];
	int fd, code;

	folder_of(tier->path, folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? LF_SQLITE_NO_FOLDER : SQLITE_CANTOPEN;
	code = take_lock(fd, end_ms);
	if (code == SQLITE_OK)
		*out = fd;
	else
		(void)close(fd);
	return code;
}

/* --- set aside ------------------------------------------------------------------------------------- */

static void name_aside(const char *path, char out[PATH_MAX])
{
	time_t now = time(NULL);
	struct tm utc = { 0 };
	char when[24];

	(void)gmtime_r(&now, &utc);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc);
	(void)snprintf(out, PATH_MAX, "%.*s.corrupt-%s", PATH_MAX - 64, path, when);
	for (unsigned i = 2; access(out, F_OK) == 0; i++)
		(void)snprintf(out, PATH_MAX, "%.*s.corrupt-%s-%u", PATH_MAX - 64, path, when, i);
}

/* The log goes first: a file without its log is one of an earlier moment, a log without its file is nothing. */
static int rename_all(const char *from, const char *to)
{
	static const char *const suffixes[] = { "-wal", "-shm", "" };
	char source[PATH_MAX + 8], target[PATH_MAX + 8];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void)snprintf(source, sizeof(source), "%s%s", from, suffixes[i]);
		(void)snprintf(target, sizeof(target), "%s%s", to, suffixes[i]);
		if (rename(source, target) < 0 && (errno != ENOENT || !*suffixes[i]))
			return errno == ENOSPC ? SQLITE_FULL : SQLITE_READONLY;
	}
	return SQLITE_OK;
}

/* With the folder locked. */
static int move_aside(struct lf_tier *tier, const char *why)
{
	char aside[PATH_MAX];
	int code;

	name_aside(tier->path, aside);
	code = rename_all(tier->path, aside);
	if (code != SQLITE_OK)
		return code;
	(void)pthread_mutex_lock(&tier->lock);
	(void)snprintf(tier->trouble, sizeof(tier->trouble), "the cache's file was damaged (%s): it is '%s' now, and was made anew",
	               why, strrchr(aside, '/') + 1);
	(void)pthread_mutex_unlock(&tier->lock);
	return SQLITE_OK;
}

static void abandon(struct lf_tier *tier)
{
	lf_link_close(&tier->writer, !lf_sqlite_in_place(tier, &tier->writer));
	(void)pthread_mutex_lock(&tier->lock);
	tier->ready = false;
	(void)pthread_mutex_unlock(&tier->lock);
}

int lf_sqlite_set_aside(struct lf_tier *tier, dev_t dev, ino_t ino, const char *why, int64_t end_ms, struct lf_error *err)
{
	int fd, code;

	if (tier->ready && (tier->dev != dev || tier->ino != ino))
		return SQLITE_OK;
	code = lock_folder(tier, end_ms, &fd);
	if (code == SQLITE_OK) {
		if (lf_sqlite_is_file(tier, dev, ino))
			code = move_aside(tier, why);
		abandon(tier);
		(void)close(fd);
	}
	lf_sqlite_say(tier, NULL, code, "set aside", err);
	return code;
}

/* --- opened ---------------------------------------------------------------------------------------- */

/* SQLite has no mode for the file, but gives its mode to all that it makes beside it; the umask is every thread's. */
static int create(const struct lf_tier *tier, int folder)
{
	int fd = open(tier->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? SQLITE_OK : errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL : SQLITE_CANTOPEN;
	(void)close(fd);
	/* What is committed in it is only safe if it has its name. */
	(void)fsync(folder);
	return SQLITE_OK;
}

/* `why` has room for 128. */
static int check(struct lf_link *link, char *why)
{
	sqlite3_stmt *statement = NULL;
	int64_t end_ms = link->end_ms, now = lf_clock_ms(), half = (end_ms - now) / 2;
	const char *found = NULL;
	int code;

	link->end_ms = now + (half < CHECK_MS ? half : CHECK_MS);
	code = sqlite3_prepare_v2(link->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
		found = (const char *)sqlite3_column_text(statement, 0);
	if (code == SQLITE_ROW)
		code = found && strcmp(found, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	(void)snprintf(why, 128, "%s", found ? found : sqlite3_errmsg(link->db));
	(void)sqlite3_finalize(statement);
	link->end_ms = end_ms;
	return (code & 0xff) == SQLITE_INTERRUPT || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int read_identity(struct lf_tier *tier, struct lf_link *link)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_GET_META);
	int64_t owed = 0;
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, "uuid", -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		(void)snprintf(tier->uuid, sizeof(tier->uuid), "%s", (const char *)sqlite3_column_text(statement, 0));
	code = lf_link_end(statement, code);
	if (code == SQLITE_OK)
		code = lf_sqlite_get_number(link, tier->owed_name, &owed);
	atomic_store_explicit(&tier->owed, owed > 0 ? (uint64_t)owed : 0, memory_order_relaxed);
	return code;
}

/* With the folder locked: one try. */
static int try_open(struct lf_tier *tier, int folder, int64_t end_ms, char *why)
{
	struct lf_link *link = &tier->writer;
	struct stat st;
	int code = create(tier, folder);

	if (code != SQLITE_OK)
		return code;
	code = lf_link_open(link, tier->path, false, end_ms);
	if (code == SQLITE_OK && stat(tier->path, &st) < 0)
		code = LF_SQLITE_MOVED;
	if (code != SQLITE_OK)
		return code;
	link->dev = st.st_dev;
	link->ino = st.st_ino;
	code = check(link, why);
	if (code == SQLITE_OK)
		code = lf_sqlite_schema(link);
	return code == SQLITE_OK ? read_identity(tier, link) : code;
}

static void publish(struct lf_tier *tier)
{
	(void)pthread_mutex_lock(&tier->lock);
	tier->dev = tier->writer.dev;
	tier->ino = tier->writer.ino;
	tier->ready = true;
	tier->reopened++;
	tier->counted_ms = 0;
	(void)pthread_mutex_unlock(&tier->lock);
}

static int open_locked(struct lf_tier *tier, int folder, int64_t end_ms, struct lf_error *err)
{
	char why[128] = "";
	int code = try_open(tier, folder, end_ms, why);

	if (lf_sqlite_is_damage(code)) {
		lf_link_close(&tier->writer, true);
		code = move_aside(tier, *why ? why : sqlite3_errstr(code));
		if (code == SQLITE_OK)
			code = try_open(tier, folder, end_ms, why);
	}
	if (code == SQLITE_OK) {
		publish(tier);
		return code;
	}
	code = lf_link_code(&tier->writer, code);
	lf_sqlite_say(tier, &tier->writer, code, "opened", err);
	lf_link_close(&tier->writer, false);
	return code;
}

int lf_sqlite_ready(struct lf_tier *tier, int64_t end_ms, struct lf_error *err)
{
	int folder, code;

	if (tier->ready && lf_sqlite_in_place(tier, &tier->writer))
		return SQLITE_OK;
	abandon(tier);
	code = lock_folder(tier, end_ms, &folder);
	if (code != SQLITE_OK) {
		lf_sqlite_say(tier, NULL, code, "opened", err);
		return code;
	}
	code = open_locked(tier, folder, end_ms, err);
	(void)close(folder);
	return code;
}
