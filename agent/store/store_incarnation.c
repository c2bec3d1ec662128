/* Whose numbers a store holds: see "Whose numbers these are" in store.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/store/internal.h"
#include "hashing/uuid.h"

enum { MACHINE_ID_MAX = 64 };

/* Empty where the machine has no id: then only device and inode tell files apart. */
static void read_machine_id(char out[MACHINE_ID_MAX])
{
	static const char *const files[] = { "/etc/machine-id", "/var/lib/dbus/machine-id" };
	ssize_t len = 0;

	for (unsigned i = 0; i < 2 && len <= 0; i++) {
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		len = read(fd, out, MACHINE_ID_MAX - 1);
		(void)close(fd);
	}
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* ---- meta ---- */

static int get_text(struct lf_store *store, const char *key, char *out, size_t size,
		    struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_META);
	const unsigned char *text;
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, key);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		text = sqlite3_column_text(statement, 0);
		(void)snprintf(out, size, "%s", text ? (const char *)text : "");
	} else if (code != SQLITE_DONE) {
		rc = lf_store_fail(store, err, "read");
	} else {
		rc = lf_fail(err, -EBADMSG, "store '%s' is damaged (no %s in it): move it away and a new "
					    "one is made", store->path, key);
	}
	(void)sqlite3_reset(statement);
	return rc;
}

int lf_store_get_number(struct lf_store *store, const char *key, uint64_t *out,
			struct lf_error *err)
{
	char text[32];
	unsigned long long number = 0;
	int rc = get_text(store, key, text, sizeof(text), err);

	if (rc == 0)
		(void)sscanf(text, "%llu", &number);
	*out = number;
	return rc;
}

static int set_text(struct lf_store *store, const char *key, const char *value,
		    struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_SET_META);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, key);
	lf_store_bind(statement, 2, value);
	return lf_store_run(store, statement, err);
}

int lf_store_set_number(struct lf_store *store, const char *key, uint64_t value,
			struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_SET_META);

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, key);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)value);
	return lf_store_run(store, statement, err);
}

int lf_store_get_uuid(struct lf_store *store, char out[LF_UUID_CHARS + 1], struct lf_error *err)
{
	return get_text(store, "incarnation", out, LF_UUID_CHARS + 1, err);
}

/* ---- Minting ---- */

/* What was counted so far stays the old one's: the new one has counted nothing yet. */
static int end_present(struct lf_store *store, uint64_t sequence, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_END_INCARNATION);
	char uuid[LF_UUID_CHARS + 1];
	int rc;

	if (!statement)
		return lf_store_fail(store, err, "used");
	rc = lf_store_get_uuid(store, uuid, err);
	if (rc == 0 && uuid[0])
		rc = lf_store_end_shares(store, uuid, err);
	if (rc < 0)
		return rc;
	(void)sqlite3_bind_int64(statement, 1, (int64_t)sequence);
	return lf_store_run(store, statement, err);
}

static int begin_new(struct lf_store *store, uint64_t sequence, const char *reason,
		     struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_BEGIN_INCARNATION);
	char uuid[LF_UUID_CHARS + 1], now[LF_TIME_CHARS + 1];
	int rc;

	if (!statement)
		return lf_store_fail(store, err, "used");
	rc = lf_uuid_random(uuid, err);
	if (rc < 0)
		return rc;
	lf_time_format((uint64_t)time(NULL) * 1000, now);
	lf_store_bind(statement, 1, uuid);
	lf_store_bind(statement, 2, now);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)sequence);
	lf_store_bind(statement, 4, reason);
	rc = lf_store_run(store, statement, err);
	if (rc == 0)
		rc = set_text(store, "incarnation", uuid, err);
	if (rc == 0)
		memcpy(store->uuid, uuid, sizeof(uuid));
	return rc;
}

static int bind_to_file(struct lf_store *store, struct lf_error *err)
{
	char machine[MACHINE_ID_MAX];
	int rc;

	read_machine_id(machine);
	rc = set_text(store, "machine", machine, err);
	if (rc == 0)
		rc = lf_store_set_number(store, "dev", store->dev, err);
	if (rc == 0)
		rc = lf_store_set_number(store, "ino", store->ino, err);
	return rc;
}

static int mint_inside(struct lf_store *store, const char *reason, struct lf_error *err)
{
	uint64_t sequence;
	int rc = lf_store_get_number(store, "drainSequence", &sequence, err);

	if (rc == 0)
		rc = end_present(store, sequence, err);
	if (rc == 0)
		rc = begin_new(store, sequence, reason, err);
	if (rc == 0)
		rc = bind_to_file(store, err);
	return rc;
}

static int finish(struct lf_store *store, int rc, struct lf_error *err)
{
	if (rc == 0)
		rc = lf_store_do(store, LF_SQL_COMMIT, err);
	if (rc < 0)
		lf_store_rollback(store);
	return rc;
}

int lf_store_mint(struct lf_store *store, const char *reason, struct lf_error *err)
{
	int rc = lf_store_do(store, LF_SQL_BEGIN, err);

	if (rc < 0)
		return rc;
	rc = finish(store, mint_inside(store, reason, err), err);
	store->minted |= rc == 0;
	return rc;
}

/* ---- The binding ---- */

/* 1: the file is the one that its incarnation was bound to; 0: it has none, or was copied. */
static int is_bound(struct lf_store *store, bool *unborn, struct lf_error *err)
{
	char uuid[LF_UUID_CHARS + 1], machine[MACHINE_ID_MAX], here[MACHINE_ID_MAX];
	uint64_t dev = 0, ino = 0;
	int rc = lf_store_get_uuid(store, uuid, err);

	if (rc == 0)
		rc = get_text(store, "machine", machine, sizeof(machine), err);
	if (rc == 0)
		rc = lf_store_get_number(store, "dev", &dev, err);
	if (rc == 0)
		rc = lf_store_get_number(store, "ino", &ino, err);
	if (rc < 0)
		return rc;
	read_machine_id(here);
	*unborn = uuid[0] == '\0';
	return !*unborn && strcmp(machine, here) == 0 && dev == store->dev && ino == store->ino;
}

int lf_store_check_binding(struct lf_store *store, struct lf_error *err)
{
	bool unborn;
	int rc = is_bound(store, &unborn, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = lf_store_do(store, LF_SQL_BEGIN, err);
	if (rc < 0)
		return rc;
	/* Another program may have been faster. */
	rc = is_bound(store, &unborn, err);
	if (rc == 0) {
		rc = mint_inside(store, unborn ? "created" : "the file was copied or moved", err);
		store->minted = rc == 0;
	}
	return finish(store, rc < 0 ? rc : 0, err);
}

/* ---- Questions ---- */

int lf_store_incarnation(struct lf_store *store, struct lf_incarnation *out, struct lf_error *err)
{
	int rc = lf_store_get_uuid(store, out->uuid, err);

	out->minted = store->minted;
	out->created = store->created;
	return rc < 0 ? rc : lf_store_get_number(store, "drainSequence", &out->drain_sequence, err);
}

/* 1 and the sequences when the incarnation is known; 0 when not. */
static int look_up(struct lf_store *store, const char *uuid, bool *present, int64_t *ended,
		   struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_INCARNATION);
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_store_bind(statement, 1, uuid);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*present = sqlite3_column_type(statement, 1) == SQLITE_NULL;
		*ended = sqlite3_column_int64(statement, 1);
		rc = 1;
	} else if (code != SQLITE_DONE) {
		rc = lf_store_fail(store, err, "read");
	}
	(void)sqlite3_reset(statement);
	return rc;
}

int lf_store_history(struct lf_store *store, const char *uuid, uint64_t sequence,
		     enum lf_history *out, struct lf_error *err)
{
	bool present = false;
	int64_t ended = 0;
	uint64_t now = 0;
	int rc = look_up(store, uuid, &present, &ended, err);

	if (rc <= 0) {
		*out = LF_HISTORY_FOREIGN;
		return rc;
	}
	rc = lf_store_get_number(store, "drainSequence", &now, err);
	if (rc < 0)
		return rc;
	if (present)
		*out = sequence <= now ? LF_HISTORY_OURS : LF_HISTORY_FOREIGN;
	else
		*out = (int64_t)sequence <= ended ? LF_HISTORY_OURS : LF_HISTORY_SUPERSEDED;
	return 0;
}

int lf_store_note_foreign(struct lf_store *store, const char *uuid, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_NOTE_INCARNATION);
	char now[LF_TIME_CHARS + 1];

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_time_format((uint64_t)time(NULL) * 1000, now);
	lf_store_bind(statement, 1, uuid);
	lf_store_bind(statement, 2, now);
	return lf_store_run(store, statement, err);
}

int lf_store_still_there(struct lf_store *store, uint64_t sequence)
{
	struct lf_error err;
	struct stat st;
	uint64_t now;
	int rc;

	if (strcmp(store->path, LF_STORE_MEMORY) == 0)
		return 0;
	if (stat(store->path, &st) < 0 || st.st_dev != store->dev || st.st_ino != store->ino)
		return -ESTALE;
	rc = lf_store_get_number(store, "drainSequence", &now, &err);
	if (rc == -EBUSY)
		return 0; /* in use, so it is there */
	return rc < 0 || now < sequence ? -ESTALE : 0;
}
