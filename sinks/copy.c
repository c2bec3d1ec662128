#include "sinks/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All texts of an entry. */
#define TEXTS(X)                                                                         \
	X(hash) X(namespace) X(method) X(message_template) X(template_kind) X(top_frame) \
	X(tags) X(first_seen_at) X(last_seen_at) X(source_file) X(family) X(policy)      \
	X(flags_writer)

/* The block begins with the hash. */
int lf_entry_copy(struct lf_entry *out, const struct lf_entry *entry)
{
	size_t bytes = 0;
	char *block;

#define COUNT(field) bytes += entry->field.len;
	TEXTS(COUNT)
	block = malloc(bytes + 1);
	if (!block)
		return -ENOMEM;
	*out = *entry;
#define MOVE(field)                                                 \
	if (entry->field.len > 0)                                   \
		memcpy(block, entry->field.data, entry->field.len); \
	out->field.data = block;                                    \
	block += entry->field.len;
	TEXTS(MOVE)
	return 0;
}

void lf_entry_fini(struct lf_entry *entry)
{
	free((void *)(uintptr_t)entry->hash.data);
	*entry = (struct lf_entry){ 0 };
}
