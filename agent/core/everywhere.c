/* What a command does to all agents of a store, and where there is none. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/adopt.h"
#include "agent/core/agent.h"
#include "agent/core/control.h"
#include "agent/core/publish.h"

enum {
	TRIES = 20, /* a lock without an agent behind it: somebody is adopting the directory */
	PAUSE_MS = 50,
};

struct visit {
	struct lf_claim claim;
	struct lf_store *store; /* NULL: it cannot be opened, only agents are asked */
	const struct lf_reporter *reporter;
	const struct lf_entry_key *keys; /* whose flags are set; NULL: none are */
	size_t count;
	bool obeyed; /* by processes: they know nothing of tags */
	bool *missed;
	const char *request;
	const char *meanwhile;  /* what it means that an agent does not answer */
	struct lf_error *refusal; /* the first directory's that will not do it; the others' are told */
	int refused;              /* its errno; 0: nobody did */
	int answered;
};

static bool is_nobody(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -ECONNRESET;
}

static void take_refusal(struct visit *visit, int rc, const char *sentence)
{
	if (visit->refused)
		lf_say(visit->reporter, "%s", sentence);
	else
		visit->refused = lf_fail(visit->refusal, rc, "%s", sentence);
}

/* What a directory said to its new flags.  That it cannot have all that the store says is no refusal as
 * long as ours are among those that it has. */
static void settle(struct visit *visit, int dirfd, int rc, const struct lf_error *said)
{
	struct lf_error err;
	int missed;

	if (!visit->obeyed)
		return;
	missed = lf_publish_check(visit->store, dirfd, visit->keys, visit->count, visit->missed, &err);
	if (missed < 0)
		take_refusal(visit, missed, err.text);
	else if (missed > 0 && rc < 0)
		take_refusal(visit, rc, said->text);
	else if (missed > 0)
		take_refusal(visit, -EAGAIN, "the flags were changed by somebody else meanwhile: try again");
}

/* Asks the agent that holds the directory, if one does.  0: it was asked; -ENOENT: nobody is there. */
static int ask_at(struct visit *visit, int dirfd, const char *path)
{
	struct lf_error err;
	int rc = lf_control_ask(dirfd, visit->request, LF_CONTROL_ANSWER_MS, NULL, 0, &err);

	if (is_nobody(rc))
		return -ENOENT;
	if (rc == -ETIMEDOUT)
		lf_say(visit->reporter, "the agent of '%s' does not answer, it may be stopped: %s", path,
		       visit->meanwhile);
	else if (visit->keys)
		settle(visit, dirfd, rc, &err);
	else if (rc < 0)
		take_refusal(visit, rc, err.text);
	else
		visit->answered++;
	return 0;
}

static int ask(struct visit *visit, const struct lf_rundir *dir)
{
	return ask_at(visit, lf_rundir_fd(dir), lf_rundir_path(dir));
}

/* A directory that is not ours to open: only its agent can say that it has our store. */
static void ask_shared(struct visit *visit, const char *path)
{
	char store[LF_CONTROL_LINE_MAX];
	int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	if (lf_control_ask(fd, "store", LF_CONTROL_ANSWER_MS, store, sizeof(store), NULL) == 0 &&
	    strcmp(store, visit->claim.store) == 0)
		(void)ask_at(visit, fd, path);
	(void)close(fd);
}

/* Every command begins with a drain: that is where a damaged stamp is told. */
static struct lf_rundir *open_ours(const struct visit *visit, const char *path, bool tell)
{
	struct lf_rundir *dir;
	int rc;

	if (lf_rundir_open(&dir, path, LF_RUNDIR_EXISTING, NULL) < 0)
		return NULL;
	rc = lf_claim_covers(&visit->claim, dir);
	if (rc > 0)
		return dir;
	if (rc < 0 && tell)
		lf_claim_tell_damaged(visit->reporter, path, rc);
	lf_rundir_close(dir);
	return NULL;
}

/* Has it done by the agent that holds the directory, or does it `here` where none does.  Who holds
 * the lock has a socket, or is done in a moment; false when it has neither for a second. */
static bool reach(struct visit *visit, struct lf_rundir *dir,
                  int (*here)(struct visit *, struct lf_rundir *))
{
	static const struct timespec pause = { 0, PAUSE_MS * 1000000L };

	for (int tries = 0; tries < TRIES; tries++) {
		if (ask(visit, dir) == 0 || here(visit, dir) != -EBUSY)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* ---- Draining ---- */

static int adopt_here(struct visit *visit, struct lf_rundir *dir)
{
	return visit->store ? lf_adopt_one(&visit->claim, dir, visit->store, visit->reporter) : 0;
}

static int drain_one(void *arg, const char *path)
{
	struct visit *visit = arg;
	struct lf_rundir *dir = open_ours(visit, path, true);

	if (dir && !reach(visit, dir, adopt_here))
		lf_say(visit->reporter, "run directory '%s' is held by an agent that cannot be reached: %s",
		       path, visit->meanwhile);
	lf_rundir_close(dir);
	return 0;
}

int lf_drain_everywhere(const struct lf_everywhere *where)
{
	struct lf_error err;
	struct visit visit = {
		.reporter = &where->reporter,
		.request = "drain",
		.meanwhile = "what it has counted since its last drain is missing here",
		.refusal = &err,
	};
	int rc = lf_claim_init(&visit.claim, where->store_path, where->base_dir, &err);

	if (rc == 0 && lf_store_open(&visit.store, visit.claim.store, LF_STORE_WRITE, &err) < 0)
		lf_say(&where->reporter, "%s", err.text);
	if (rc == 0)
		rc = lf_rundir_each(visit.claim.base, drain_one, &visit, &err);
	if (rc == 0)
		ask_shared(&visit, where->shared_dir);
	if (rc < 0 || visit.refused)
		lf_say(&where->reporter, "%s", err.text);
	lf_store_close(visit.store);
	return visit.answered;
}

/* ---- Flags ---- */

/* Publishes from here.  -EBUSY when somebody holds the directory. */
static int publish_here(struct visit *visit, struct lf_rundir *dir)
{
	struct lf_error err = { "" };
	int rc = lf_rundir_lock(dir, &err);

	if (rc == -EBUSY)
		return rc;
	if (rc == 0) {
		rc = lf_publish(visit->store, dir, NULL, &err);
		settle(visit, lf_rundir_fd(dir), rc, &err);
		lf_rundir_unlock(dir);
	} else if (rc != -ENOENT) {
		take_refusal(visit, rc, err.text);
	}
	return 0;
}

static int publish_one(void *arg, const char *path)
{
	struct visit *visit = arg;
	struct lf_rundir *dir = open_ours(visit, path, false);

	if (dir && !reach(visit, dir, publish_here))
		lf_say(visit->reporter, "run directory '%s' is held by an agent that cannot be reached: %s",
		       path, visit->meanwhile);
	lf_rundir_close(dir);
	return 0;
}

static int set_in_store(struct visit *visit, const struct lf_flag_change *change, bool *changed,
                        struct lf_error *err)
{
	int rc;

	/* Not made for this: in a new store there is nothing to flag. */
	rc = lf_store_open(&visit->store, visit->claim.store, LF_STORE_READ_ONLY, err);
	if (rc < 0)
		return rc;
	lf_store_close(visit->store);
	visit->store = NULL;
	rc = lf_store_open(&visit->store, visit->claim.store, LF_STORE_WRITE, err);
	if (rc < 0)
		return rc;
	return lf_store_set_flags(visit->store, visit->keys, visit->count, change, changed, err);
}

int lf_set_everywhere(const struct lf_everywhere *where, const struct lf_flag_wish *wish,
                      struct lf_error *err)
{
	char writer[LF_WRITER_MAX];
	struct lf_flag_change change = wish->change;
	struct visit visit = {
		.reporter = &where->reporter,
		.keys = wish->keys,
		.count = wish->count,
		.obeyed = wish->change.what != LF_FLAG_TAGS,
		.missed = wish->missed,
		.request = "publish",
		.meanwhile = "its processes obey after its next look at the store",
		.refusal = err,
	};
	int rc = lf_claim_init(&visit.claim, where->store_path, where->base_dir, err);

	lf_flags_writer(writer);
	change.writer = writer;
	if (rc == 0)
		rc = set_in_store(&visit, &change, wish->changed, err);
	memset(wish->missed, rc < 0, wish->count * sizeof(*wish->missed));
	if (rc == 0)
		rc = lf_rundir_each(visit.claim.base, publish_one, &visit, err);
	if (rc == 0)
		ask_shared(&visit, where->shared_dir);
	lf_store_close(visit.store);
	return rc < 0 ? rc : visit.refused;
}
