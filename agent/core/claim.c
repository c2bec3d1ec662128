#include "agent/core/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/stamp.h"

static bool is_default_store(const char *path)
{
	char standard[PATH_MAX], real[PATH_MAX];

	return lf_store_default_path(standard, NULL) == 0 &&
	       lf_store_real_path(standard, real, NULL) == 0 && strcmp(real, path) == 0;
}

/* Made when it is missing, as the default one is. */
static int named_base(const char *path, char out[PATH_MAX], struct lf_error *err)
{
	struct lf_rundir *dir;
	int rc = lf_rundir_open(&dir, path, LF_RUNDIR_CREATE, err);

	if (rc < 0)
		return rc;
	(void)strcpy(out, lf_rundir_path(dir));
	lf_rundir_close(dir);
	return 0;
}

/* Inside a run the variable names that run's own directory, and nobody has chosen the base. */
static bool is_named_by_environment(const char *base)
{
	const char *named = getenv(LF_RUNDIR_ENV);
	char real[PATH_MAX];

	return named && named[0] && realpath(named, real) && strcmp(real, base) == 0;
}

int lf_claim_init(struct lf_claim *out, const char *store_path, const char *base_dir,
                  struct lf_error *err)
{
	char path[PATH_MAX];
	int rc = 0;

	if (!store_path)
		rc = lf_store_default_path(path, err);
	if (rc == 0)
		rc = lf_store_real_path(store_path ? store_path : path, out->store, err);
	if (rc < 0)
		return rc;
	rc = base_dir ? named_base(base_dir, out->base, err) : lf_rundir_base(out->base, err);
	if (rc == 0)
		out->takes_unstamped = is_named_by_environment(out->base) ||
		                       is_default_store(out->store);
	return rc;
}

int lf_claim_covers(const struct lf_claim *claim, const struct lf_rundir *dir)
{
	struct lf_stamp stamp = { .count = 0 };
	int rc = lf_stamp_read(lf_rundir_fd(dir), &stamp, NULL);

	if (rc == -ENOENT)
		return claim->takes_unstamped;
	if (rc < 0)
		return rc;
	rc = strcmp(stamp.store, claim->store) == 0;
	lf_stamp_fini(&stamp);
	return rc;
}

/* Without the stamp it would be counted from zero, a second time: that is nothing to advise. */
void lf_claim_tell_damaged(const struct lf_reporter *reporter, const char *path, int why)
{
	lf_say(reporter, "run directory '%s' is left alone, as its stamp cannot be read (%s): move the "
	                 "directory away, what it has counted since its last drain is then left out",
	       path, strerror(-why));
}
