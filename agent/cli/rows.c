#include "agent/cli/rows.h"

#include <inttypes.h>

#include "agent/cli/display.h"

enum { COUNT, METHOD, MESSAGE, FRAME, HASH, MUTED, COLUMNS };

#define DIM "2"
#define YELLOW "33"

static const struct lf_column columns[COLUMNS] = {
	[COUNT] = { .title = "COUNT", .align = LF_ALIGN_RIGHT },
	[METHOD] = { .title = "METHOD" },
	[MESSAGE] = { .title = "MESSAGE", .shrinks_to = 16 },
	[FRAME] = { .title = "FRAME", .shrinks_to = 12, .colour = DIM },
	[HASH] = { .title = "HASH", .colour = DIM },
	[MUTED] = { .title = "MUTED", .optional = true, .colour = YELLOW },
};

int lf_rows_new(struct lf_table **out)
{
	return lf_table_new(out, columns, COLUMNS);
}

int lf_rows_add(struct lf_table *table, const struct lf_entry *entry)
{
	struct lf_text cells[COLUMNS];
	char count[24], muted[32] = "";

	(void)snprintf(count, sizeof(count), "%" PRIu64, entry->count_total);
	if (entry->counts[LF_MUTED] > 0 || !entry->enabled)
		(void)snprintf(muted, sizeof(muted), "%" PRIu64 "%s", entry->counts[LF_MUTED],
			       entry->enabled ? "" : " now");
	cells[COUNT] = lf_text_of(count);
	cells[METHOD] = entry->method;
	cells[MESSAGE] = entry->message_template;
	cells[FRAME] = entry->top_frame;
	cells[HASH] = entry->hash;
	if (cells[HASH].len > LF_SHORT_HASH_CHARS)
		cells[HASH].len = LF_SHORT_HASH_CHARS;
	cells[MUTED] = lf_text_of(muted);
	return lf_table_add(table, cells);
}
