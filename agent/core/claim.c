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

int lf_claim_init(struct lf_claim *out, const char *store_path, const char *base_dir,
                  struct lf_error *err)
{
	const char *named = getenv(LF_RUNDIR_ENV);
	char path[PATH_MAX];
	int rc = 0;

	if (!store_path)
		rc = lf_store_default_path(path, err);
	if (rc == 0)
		rc = lf_store_real_path(store_path ? store_path : path, out->store, err);
	if (rc < 0)
		return rc;
	rc = base_dir ? named_base(base_dir, out->base, err) : lf_rundir_base(out->base, err);
	out->takes_base = (named && named[0]) || is_default_store(out->store);
	return rc;
}

int lf_claim_covers(const struct lf_claim *claim, const struct lf_rundir *dir)
{
	struct lf_stamp stamp = { .count = 0 };
	int rc = lf_stamp_read(lf_rundir_fd(dir), &stamp, NULL);

	if (rc == -ENOENT)
		return lf_rundir_is_own(dir) || claim->takes_base;
	if (rc < 0)
		return rc;
	rc = strcmp(stamp.store, claim->store) == 0;
	lf_stamp_fini(&stamp);
	return rc;
}
