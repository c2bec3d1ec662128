/* What one flush sends, copied out of the store. */
#ifndef LOGFOLD_CORE_BATCH_H
#define LOGFOLD_CORE_BATCH_H

#include "agent/store/store.h"
#include "sinks/sink.h"

/* All zero: empty.  records[i].entry is &entries[i]. */
struct lf_batch {
	struct lf_sink_record *records;
	struct lf_entry *entries;
	size_t count, room;
};

struct lf_batch_how {
	bool flags_changed, frozen;
};

/* -ENOMEM. */
LF_MUST_CHECK int lf_batch_add(struct lf_batch *batch, const struct lf_store_change *change,
                               struct lf_batch_how how);
void lf_batch_clear(struct lf_batch *batch); /* keeps its room */
void lf_batch_fini(struct lf_batch *batch);

#endif
