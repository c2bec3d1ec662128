#include "agent/cli/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/core/agent.h"
#include "agent/core/claim.h"
#include "agent/core/control.h"
#include "agent/core/rundir.h"
#include "agent/map/run_dir.h"

enum { OWN_NAME_HEX = 16 };

/* In a process that `logfold run` counts, LOGFOLD_RUN_DIR is that run's own directory.  What we do
 * there has its base beside it: a run within a run is no part of the outer one. */
static void parent_of_own(char path[PATH_MAX])
{
	static const char prefix[] = LF_RUNDIR_OWN_PREFIX;
	char *name = strrchr(path, '/');

	if (!name || name == path || strncmp(name + 1, prefix, sizeof(prefix) - 1) != 0)
		return;
	if (strspn(name + sizeof(prefix), "0123456789abcdef") == OWN_NAME_HEX &&
	    strlen(name + sizeof(prefix)) == OWN_NAME_HEX)
		*name = '\0';
}

void lf_place_named_base(char out[PATH_MAX])
{
	const char *named = getenv(LF_RUNDIR_ENV);

	(void)snprintf(out, PATH_MAX, "%s", named ? named : "");
	parent_of_own(out);
}

/* The directory of an agent's socket; a directory itself will do, too. */
static void directory_of(const char *socket, char out[PATH_MAX])
{
	struct stat st;
	char *slash;

	(void)snprintf(out, PATH_MAX, "%s", socket);
	if (stat(socket, &st) == 0 && S_ISDIR(st.st_mode))
		return;
	slash = strrchr(out, '/');
	if (!slash)
		(void)snprintf(out, PATH_MAX, ".");
	else if (slash == out)
		out[1] = '\0';
	else
		*slash = '\0';
}

/* What is another user's is asked, never worked in. */
static void set_apart(struct lf_place *place, const char *path)
{
	place->shared[0] = '\0';
	if (!lf_run_dir_is_anothers(path))
		return;
	memmove(place->shared, path, strlen(path) + 1);
	place->base[0] = '\0';
}

/* The directory that our processes would take: in one that a daemon counts, it is named, too. */
static void find_shared(struct lf_place *place)
{
	char path[PATH_MAX];

	place->shared[0] = '\0';
	if (lf_run_dir_find(path, place->base, getenv("XDG_RUNTIME_DIR"), LF_RUN_DIR_SHARED) == 0)
		set_apart(place, path);
}

static int ask_agent(struct lf_place *place, const char *socket, struct lf_error *err)
{
	char directory[PATH_MAX];
	int fd, rc;

	directory_of(socket, directory);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !realpath(directory, place->base)) {
		rc = lf_fail(err, -errno, "the agent's socket '%.200s' cannot be reached: %s", socket,
			     strerror(errno));
		goto out;
	}
	parent_of_own(place->base);
	set_apart(place, place->base);
	rc = lf_control_ask(fd, "store", LF_CONTROL_ANSWER_MS, place->store, sizeof(place->store), err);
	if (rc == -ECONNREFUSED || rc == -ENOENT)
		(void)lf_fail(err, rc, "no agent listens at '%.200s': name its socket, or leave --agent out",
			      socket);
	else if (rc == 0 && strcmp(place->store, LF_STORE_MEMORY) == 0)
		rc = lf_fail(err, -ENOENT,
			     "the agent at '%.200s' has no store to read: it counts in memory", socket);
out:
	if (fd >= 0)
		(void)close(fd);
	return rc < 0 ? rc : 0;
}

int lf_place_find(struct lf_place *out, const struct lf_options *options, struct lf_error *err)
{
	char path[PATH_MAX];
	int rc = 0;

	lf_place_named_base(out->base);
	find_shared(out);
	if (options->agent)
		return ask_agent(out, options->agent, err);
	if (!options->store)
		rc = lf_store_default_path(path, err);
	return rc < 0 ? rc : lf_store_real_path(options->store ? options->store : path, out->store, err);
}

const char *lf_place_base(const struct lf_place *place)
{
	return place->base[0] ? place->base : NULL;
}

const char *lf_place_shared(const struct lf_place *place)
{
	return place->shared[0] ? place->shared : NULL;
}

/* ---- Asking ---- */

static int run_dir_of(const struct lf_place *place, char out[PATH_MAX], struct lf_error *err)
{
	if (!lf_place_shared(place) && !lf_place_base(place))
		return lf_rundir_base(out, err);
	(void)snprintf(out, PATH_MAX, "%s", lf_place_shared(place) ? place->shared : place->base);
	return 0;
}

int lf_place_ask(const struct lf_place *place, const char *request, int timeout_ms, char **out,
                 struct lf_error *err)
{
	char path[PATH_MAX];
	size_t bytes;
	int fd, rc = run_dir_of(place, path, err);

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return lf_fail(err, -errno, "run directory '%s' cannot be opened: %s", path, strerror(errno));
	rc = lf_control_fetch(fd, request, timeout_ms, out, &bytes, err);
	(void)close(fd);
	if (rc == -ECONNREFUSED || rc == -ENOENT)
		return lf_fail(err, rc, "no agent serves '%s': start one with `logfold agent`, or name its "
		                        "socket with --agent", path);
	return rc;
}

/* ---- What waits ---- */

/* Whether a run directory that this store may take holds counts, and no agent has it. */
static int waits(void *arg, const char *path)
{
	const struct lf_claim *claim = arg;
	struct lf_rundir *dir = NULL;
	int found = 0;

	if (lf_rundir_open(&dir, path, LF_RUNDIR_EXISTING, NULL) < 0)
		return 0;
	if (lf_claim_covers(claim, dir) > 0 && lf_rundir_lock(dir, NULL) == 0) {
		found = !lf_rundir_is_empty(dir) && !lf_rundir_is_shared(dir);
		lf_rundir_unlock(dir);
	}
	lf_rundir_close(dir);
	return found;
}

static bool something_waits(const struct lf_place *place)
{
	struct lf_claim claim;

	return lf_claim_init(&claim, place->store, lf_place_base(place), NULL) == 0 &&
	       lf_rundir_each(claim.base, waits, &claim, NULL) > 0;
}

static void refresh(const struct lf_place *place)
{
	const struct lf_everywhere where = { .store_path = place->store,
		                             .base_dir = lf_place_base(place),
		                             .shared_dir = lf_place_shared(place),
		                             .reporter = lf_complainer };

	(void)lf_drain_everywhere(&where);
}

int lf_place_open(struct lf_store **out, const struct lf_place *place, struct lf_error *err)
{
	struct lf_store *store = NULL;
	int rc = lf_store_open(&store, place->store, LF_STORE_READ_ONLY, err);

	/* A drain makes the store: where nothing is to be drained, none shall appear. */
	if (rc < 0 && !(rc == -ENOENT && something_waits(place)))
		return rc;
	/* Closed while others write, so that nobody waits for us. */
	lf_store_close(store);
	refresh(place);
	return lf_store_open(out, place->store, LF_STORE_READ_ONLY, err);
}
