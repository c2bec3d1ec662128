#include "agent/core/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/copy.h"

static int grow(struct lf_batch *batch)
{
	size_t room = batch->room ? 2 * batch->room : 64;
	struct lf_sink_record *records = reallocarray(batch->records, room, sizeof(*records));
	struct lf_entry *entries;

	if (!records)
		return -ENOMEM;
	batch->records = records;
	entries = reallocarray(batch->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	batch->entries = entries;
	for (size_t i = 0; i < batch->count; i++)
		records[i].entry = &entries[i];
	batch->room = room;
	return 0;
}

int lf_batch_add(struct lf_batch *batch, const struct lf_store_change *change,
                 struct lf_batch_how how)
{
	size_t bytes = change->shares_count * sizeof(*change->shares);
	struct lf_entry *entry;
	struct lf_share *shares;

	if (batch->count == batch->room && grow(batch) < 0)
		return -ENOMEM;
	entry = &batch->entries[batch->count];
	shares = malloc(bytes + 1);
	if (!shares || lf_entry_copy(entry, &change->entry) < 0) {
		free(shares);
		return -ENOMEM;
	}
	if (bytes)
		memcpy(shares, change->shares, bytes);
	batch->records[batch->count++] = (struct lf_sink_record){
		.entry = entry,
		.flags_changed = how.flags_changed,
		.frozen = how.frozen,
		.shares = shares,
		.shares_count = change->shares_count,
	};
	return 0;
}

void lf_batch_clear(struct lf_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		lf_entry_fini(&batch->entries[i]);
		free((void *)(uintptr_t)batch->records[i].shares);
	}
	batch->count = 0;
}

void lf_batch_fini(struct lf_batch *batch)
{
	lf_batch_clear(batch);
	free(batch->records);
	free(batch->entries);
	*batch = (struct lf_batch){ 0 };
}
