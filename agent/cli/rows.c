#include "agent/cli/rows.h"

#include <inttypes.h>

#include "agent/cli/display.h"
#include "agent/core/tags.h"

enum { COUNT, METHOD, MESSAGE, FRAME, HASH, MUTED, SAMPLED, LIMITED, FOLDED, POLICY, TAGS, COLUMNS };

#define DIM "2"
#define YELLOW "33"

static const struct lf_column columns[COLUMNS] = {
	[COUNT] = { .title = "COUNT", .align = LF_ALIGN_RIGHT },
	[METHOD] = { .title = "METHOD" },
	[MESSAGE] = { .title = "MESSAGE", .shrinks_to = 16 },
	[FRAME] = { .title = "FRAME", .shrinks_to = 12, .colour = DIM },
	[HASH] = { .title = "HASH", .colour = DIM },
	[MUTED] = { .title = "MUTED", .optional = true, .colour = YELLOW },
	[SAMPLED] = { .title = "SAMPLED", .optional = true, .colour = YELLOW },
	[LIMITED] = { .title = "LIMITED", .optional = true, .colour = YELLOW },
	[FOLDED] = { .title = "FOLDED", .optional = true, .colour = YELLOW },
	[POLICY] = { .title = "POLICY", .optional = true, .shrinks_to = 12, .colour = YELLOW },
	[TAGS] = { .title = "TAGS", .optional = true, .shrinks_to = 8, .colour = DIM },
};

int lf_rows_new(struct lf_table **out)
{
	return lf_table_new(out, columns, COLUMNS);
}

/* As many as there are columns for them. */
enum { COUNT_MAX = 32 };
struct counts {
	char text[TAGS - MUTED][COUNT_MAX];
};

static struct lf_text suppressed(const struct lf_entry *entry, enum lf_outcome outcome, int column,
				 struct counts *room)
{
	char *text = room->text[column - MUTED];
	bool now = column == MUTED && !entry->enabled;

	text[0] = '\0';
	if (entry->counts[outcome] > 0 || now)
		(void)snprintf(text, COUNT_MAX, "%" PRIu64 "%s", entry->counts[outcome],
			       now ? " now" : "");
	return lf_text_of(text);
}

/* Without the brackets of the array; empty where there are none. */
static struct lf_text tags_of(const struct lf_entry *entry)
{
	struct lf_text tags = entry->tags;

	if (!lf_tags_are_valid(tags) || tags.len < 2 || tags.data[0] != '[')
		return lf_text_of("");
	return (struct lf_text){ tags.data + 1, tags.len - 2 };
}

int lf_rows_add(struct lf_table *table, const struct lf_entry *entry)
{
	struct lf_text cells[COLUMNS];
	struct counts room;
	char count[COUNT_MAX];

	(void)snprintf(count, sizeof(count), "%" PRIu64, entry->count_total);
	cells[COUNT] = lf_text_of(count);
	cells[METHOD] = entry->method;
	cells[MESSAGE] = entry->message_template;
	cells[FRAME] = entry->top_frame;
	cells[HASH] = entry->hash;
	if (cells[HASH].len > LF_SHORT_HASH_CHARS)
		cells[HASH].len = LF_SHORT_HASH_CHARS;
	cells[MUTED] = suppressed(entry, LF_MUTED, MUTED, &room);
	cells[SAMPLED] = suppressed(entry, LF_SAMPLED, SAMPLED, &room);
	cells[LIMITED] = suppressed(entry, LF_LIMITED, LIMITED, &room);
	cells[FOLDED] = suppressed(entry, LF_FOLDED, FOLDED, &room);
	cells[POLICY] = entry->policy;
	cells[TAGS] = tags_of(entry);
	return lf_table_add(table, cells);
}
