#include "agent/core/lineage.h"

#include <string.h>

static int begin_lineage(struct lf_store *store, const struct lf_stamp *stamp, struct lf_error *err)
{
	struct lf_incarnation now;
	int rc = lf_store_incarnation(store, &now, err);

	/* One that began when this store was opened is new enough, unless the stamp knows it. */
	if (rc == 0 && (!now.minted || strcmp(now.uuid, stamp->incarnation) == 0))
		rc = lf_store_mint(store, "the store was set back or replaced", err);
	return rc < 0 ? rc : lf_store_note_foreign(store, stamp->incarnation, err);
}

int lf_lineage_check(struct lf_store *store, const struct lf_stamp *stamp, enum lf_history *out,
                     struct lf_error *err)
{
	int rc = 0;

	*out = LF_HISTORY_OURS;
	if (stamp->incarnation[0])
		rc = lf_store_history(store, stamp->incarnation, stamp->sequence, out, err);
	if (rc == 0 && *out == LF_HISTORY_FOREIGN)
		rc = begin_lineage(store, stamp, err);
	return rc;
}
