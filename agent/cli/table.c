#include "agent/cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/display.h"

enum { GAP = 2 };

#define COLOUR_OF_TITLES "1" /* bold */

struct cell {
	size_t at, len; /* in the table's text */
	size_t cells;
};

struct lf_table {
	const struct lf_column *columns;
	size_t columns_count;
	struct cell *cells; /* rows * columns_count */
	size_t cells_count, cells_size;
	char *text;
	size_t text_len, text_size;
	size_t widest[LF_TABLE_COLUMNS_MAX]; /* of titles and cells; 0: the column is left out */
};

static size_t title_cells(const struct lf_column *column)
{
	return lf_display_cells(lf_text_of(column->title));
}

int lf_table_new(struct lf_table **out, const struct lf_column *columns, size_t count)
{
	struct lf_table *table = calloc(1, sizeof(*table));
	size_t i;

	if (!table)
		return -ENOMEM;
	table->columns = columns;
	table->columns_count = count;
	for (i = 0; i < count; i++)
		table->widest[i] = columns[i].optional ? 0 : title_cells(&columns[i]);
	*out = table;
	return 0;
}

void lf_table_free(struct lf_table *table)
{
	if (!table)
		return;
	free(table->cells);
	free(table->text);
	free(table);
}

/* Makes room for `more` elements behind `count`. */
static int grow(void **array, size_t *size, size_t count, size_t more, size_t element)
{
	size_t wanted = *size ? *size : 64;
	void *larger;

	if (count + more <= *size)
		return 0;
	while (wanted < count + more)
		wanted *= 2;
	larger = reallocarray(*array, wanted, element);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*size = wanted;
	return 0;
}

static int make_room(struct lf_table *table, const struct lf_text *cells)
{
	size_t i, bytes = 0;
	void *grown = table->cells;
	int rc;

	rc = grow(&grown, &table->cells_size, table->cells_count, table->columns_count,
		  sizeof(*table->cells));
	table->cells = grown;
	if (rc < 0)
		return rc;
	for (i = 0; i < table->columns_count; i++)
		bytes += cells[i].len;
	grown = table->text;
	rc = grow(&grown, &table->text_size, table->text_len, bytes, 1);
	table->text = grown;
	return rc;
}

/* The first cell of an optional column brings the title with it. */
static void widen(struct lf_table *table, size_t i, size_t cells)
{
	size_t title = title_cells(&table->columns[i]);

	table->widest[i] = cells > title ? cells : title;
}

int lf_table_add(struct lf_table *table, const struct lf_text *cells)
{
	int rc = make_room(table, cells);
	size_t i;

	if (rc < 0)
		return rc;
	for (i = 0; i < table->columns_count; i++) {
		struct cell *cell = &table->cells[table->cells_count++];

		cell->at = table->text_len;
		cell->len = cells[i].len;
		cell->cells = lf_display_cells(cells[i]);
		if (cell->len > 0)
			memcpy(table->text + table->text_len, cells[i].data, cell->len);
		table->text_len += cell->len;
		if (cell->cells > table->widest[i])
			widen(table, i, cell->cells);
	}
	return 0;
}

/* Takes cells away from the widest shrinkable column, one by one, until the line fits or nothing
 * can shrink any more. */
static void shrink_to(const struct lf_table *table, size_t width, size_t *widths)
{
	size_t i, total = 0;

	for (i = 0; i < table->columns_count; i++)
		total += widths[i] > 0 ? GAP + widths[i] : 0;
	width += GAP; /* none behind the last */
	while (total > width) {
		size_t widest = SIZE_MAX;

		for (i = 0; i < table->columns_count; i++) {
			size_t least = table->columns[i].shrinks_to;

			if (least > 0 && widths[i] > least &&
			    (widest == SIZE_MAX || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
		total--;
	}
}

static void choose_widths(const struct lf_table *table, size_t width, size_t *widths)
{
	size_t i;

	for (i = 0; i < table->columns_count; i++) {
		widths[i] = table->widest[i];
		if (width == LF_CELLS_UNLIMITED && widths[i] > LF_TABLE_ALIGN_MAX)
			widths[i] = LF_TABLE_ALIGN_MAX;
	}
	if (width != LF_CELLS_UNLIMITED)
		shrink_to(table, width, widths);
}

static void pad(FILE *out, size_t cells)
{
	(void)fprintf(out, "%*s", (int)cells, "");
}

/* A line in the making. */
struct line {
	FILE *out;
	const size_t *widths;
	struct lf_terminal terminal;
	size_t used; /* cells, padding included */
	size_t owed; /* padding, printed only when something follows */
};

/* How wide the next cell may be; 0: there is no room for it. */
static size_t room_for(const struct line *line, size_t width)
{
	size_t begin = line->used + line->owed, end = line->terminal.width;

	if (end == LF_CELLS_UNLIMITED)
		return width;
	if (begin >= end)
		return 0;
	return width < end - begin ? width : end - begin;
}

static void print_coloured(const struct line *line, struct lf_text text, size_t cells_max,
                           const char *colour)
{
	bool coloured = line->terminal.colour && colour;

	if (coloured)
		(void)fprintf(line->out, "\033[%sm", colour);
	(void)lf_display(line->out, text, cells_max);
	if (coloured)
		(void)fputs("\033[m", line->out);
}

static void print_cell(struct line *line, const struct lf_column *column, size_t width,
                       struct lf_text text, const char *colour)
{
	bool limited = line->terminal.width != LF_CELLS_UNLIMITED;
	size_t cells = lf_display_cells(text), padding;

	width = room_for(line, width);
	if (width == 0)
		return;
	padding = cells < width ? width - cells : 0;
	if (column->align == LF_ALIGN_RIGHT)
		line->owed += padding;
	if (cells > 0) {
		pad(line->out, line->owed);
		line->used += line->owed + (limited && cells > width ? width : cells);
		line->owed = 0;
		print_coloured(line, text, limited ? width : LF_CELLS_UNLIMITED, colour);
	}
	line->owed += GAP + (column->align == LF_ALIGN_LEFT ? padding : 0);
}

static void print_titles(const struct lf_table *table, struct line line)
{
	size_t i;

	for (i = 0; i < table->columns_count; i++)
		print_cell(&line, &table->columns[i], line.widths[i], lf_text_of(table->columns[i].title),
			   COLOUR_OF_TITLES);
	(void)fputc('\n', line.out);
}

static void print_row(const struct lf_table *table, const struct cell *cells, struct line line)
{
	size_t i;

	for (i = 0; i < table->columns_count; i++)
		print_cell(&line, &table->columns[i], line.widths[i],
			   (struct lf_text){ table->text + cells[i].at, cells[i].len },
			   table->columns[i].colour);
	(void)fputc('\n', line.out);
}

void lf_table_print(const struct lf_table *table, FILE *out, struct lf_terminal terminal)
{
	size_t widths[LF_TABLE_COLUMNS_MAX];
	struct line line = { .out = out, .widths = widths, .terminal = terminal };
	size_t i;

	choose_widths(table, terminal.width, widths);
	print_titles(table, line);
	for (i = 0; i < table->cells_count; i += table->columns_count)
		print_row(table, &table->cells[i], line);
}
