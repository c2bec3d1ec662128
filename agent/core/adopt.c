#include "agent/core/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/drain.h"
#include "agent/core/lineage.h"
#include "agent/core/owner.h"
#include "agent/core/publish.h"

struct adoption {
	const struct lf_claim *claim;
	struct lf_store *store;
	const struct lf_reporter *reporter;
};

/* Opens a directory that is ours to take; NULL when it is not. */
static struct lf_rundir *open_ours(const struct adoption *adoption, const char *path, bool tell)
{
	struct lf_rundir *dir;
	int rc;

	/* It may be on its way out, or somebody else's: neither is news. */
	if (lf_rundir_open(&dir, path, LF_RUNDIR_EXISTING, NULL) < 0)
		return NULL;
	rc = lf_claim_covers(adoption->claim, dir);
	if (rc > 0)
		return dir;
	if (rc < 0 && tell)
		lf_claim_tell_damaged(adoption->reporter, path, rc);
	lf_rundir_close(dir);
	return NULL;
}

/* Before the first drain every stamp is compared, so that one agent of the store does not count on
 * under an incarnation that another directory knows to be set back. */
static int check_lineage(void *arg, const char *path)
{
	const struct adoption *adoption = arg;
	struct lf_rundir *dir = open_ours(adoption, path, false); /* adopt() tells */
	struct lf_stamp stamp = { .count = 0 };
	enum lf_history history;
	struct lf_error err;
	int rc;

	if (!dir)
		return 0;
	rc = lf_stamp_read(lf_rundir_fd(dir), &stamp, NULL);
	if (rc == 0)
		rc = lf_lineage_check(adoption->store, &stamp, &history, &err);
	if (rc < 0 && rc != -ENOENT)
		lf_say(adoption->reporter, "%s", err.text);
	lf_stamp_fini(&stamp);
	lf_rundir_close(dir);
	return 0;
}

/* An empty directory of one's own goes; the empty base is nobody's again. */
static void leave(struct lf_rundir *dir)
{
	if (!lf_rundir_is_empty(dir))
		return;
	if (lf_rundir_is_own(dir))
		(void)lf_rundir_remove(dir);
	else
		lf_stamp_remove(lf_rundir_fd(dir));
}

static int drain(const struct adoption *adoption, struct lf_rundir *dir, struct lf_error *err)
{
	struct lf_drain_options options = { .reporter = *adoption->reporter };
	struct lf_drain *taken = NULL;
	int rc;

	/* The usual case of a base directory: nothing there, and no reason to write anything. */
	if (lf_rundir_is_empty(dir) && faccessat(lf_rundir_fd(dir), LF_STAMP_FILE, F_OK, 0) < 0)
		return 0;
	rc = lf_drain_open(&taken, dir, adoption->store, &options, err);

	if (rc == 0)
		rc = lf_drain_run(taken, adoption->store, err);
	lf_drain_close(taken);
	if (rc == 0 && !lf_rundir_is_empty(dir))
		rc = lf_publish(adoption->store, dir, NULL, err);
	return rc;
}

int lf_adopt_one(const struct lf_claim *claim, struct lf_rundir *dir, struct lf_store *store,
                  const struct lf_reporter *reporter)
{
	struct adoption adoption = { claim, store, reporter };
	struct lf_error err;
	int rc = lf_rundir_lock(dir, &err);

	if (rc == 0) {
		/* Whom a daemon's directory counts, its configuration says. */
		if (!lf_rundir_is_shared(dir)) {
			rc = drain(&adoption, dir, &err);
			leave(dir);
		}
		lf_rundir_unlock(dir);
	}
	/* One that is being removed is empty; another store may have been faster. */
	if (rc < 0 && rc != -EBUSY && rc != -ENOENT && rc != -EPERM)
		lf_say(reporter, "%s", err.text);
	return rc == -EBUSY ? rc : 0;
}

static int adopt(void *arg, const char *path)
{
	const struct adoption *adoption = arg;
	struct lf_rundir *dir = open_ours(adoption, path, true);

	/* Held: a living agent looks after it. */
	if (dir)
		(void)lf_adopt_one(adoption->claim, dir, adoption->store, adoption->reporter);
	lf_rundir_close(dir);
	return 0;
}

/* ---- Rows whose directory went with a reboot ---- */

enum { ORPHANS_MAX = 256 }; /* the rest goes next time */

struct orphans {
	struct lf_host host;
	size_t count;
	char name[ORPHANS_MAX][LF_SEGMENT_NAME_MAX];
};

/* Only those of an earlier boot: a directory that is missing here may be there in another mount
 * namespace, and its stamp then still has the watermark. */
static int find_orphan(void *arg, const struct lf_segment_row *row)
{
	struct orphans *orphans = arg;
	struct lf_process_id owner;

	if (orphans->count < ORPHANS_MAX && strlen(row->name) < LF_SEGMENT_NAME_MAX &&
	    access(row->directory, F_OK) < 0 && errno == ENOENT &&
	    lf_process_id_parse(row->name, &owner) &&
	    lf_owner_is_of_another_boot(&orphans->host, &owner))
		(void)strcpy(orphans->name[orphans->count++], row->name);
	return 0;
}

static int drop_orphans(const struct adoption *adoption, struct lf_error *err)
{
	struct orphans *orphans = calloc(1, sizeof(*orphans));
	int rc;

	if (!orphans)
		return lf_fail(err, -ENOMEM, "there is no memory to tidy the store");
	lf_host_read(&orphans->host);
	rc = lf_store_each_segment(adoption->store, NULL, find_orphan, orphans, err);
	if (rc == 0 && orphans->count)
		rc = lf_store_begin(adoption->store, err);
	for (size_t i = 0; rc == 0 && i < orphans->count; i++)
		rc = lf_store_drop_segment(adoption->store, orphans->name[i], err);
	if (rc == 0 && orphans->count)
		rc = lf_store_commit(adoption->store, err);
	if (rc < 0)
		lf_store_rollback(adoption->store);
	free(orphans);
	return rc;
}

void lf_adopt_all(const struct lf_claim *claim, struct lf_store *store,
                  const struct lf_reporter *reporter)
{
	struct adoption adoption = { claim, store, reporter };
	struct lf_error err;
	int rc = lf_rundir_each(claim->base, check_lineage, &adoption, &err);

	if (rc == 0)
		rc = lf_rundir_each(claim->base, adopt, &adoption, &err);
	if (rc == 0)
		rc = drop_orphans(&adoption, &err);
	if (rc < 0)
		lf_say(reporter, "%s", err.text);
}
