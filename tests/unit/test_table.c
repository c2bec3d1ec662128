#include "agent/cli/table.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/display.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static void use_utf8(void)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

TestSuite(table, .init = use_utf8);
TestSuite(display, .init = use_utf8);

/* ---- Text ---- */

static void expect_display(struct lf_text text, size_t cells_max, const char *expected,
                           size_t expected_cells)
{
	char *shown = NULL;
	size_t len = 0, cells;
	FILE *out = open_memstream(&shown, &len);

	cells = lf_display(out, text, cells_max);
	(void)fclose(out);
	cr_assert_str_eq(shown, expected);
	cr_assert_eq(cells, expected_cells, "\"%s\" took %zu cells, expected %zu", shown, cells,
		     expected_cells);
	free(shown);
}

Test(display, plain_text_is_shown_as_it_is)
{
	expect_display(TEXT(""), 0, "", 0);
	expect_display(TEXT("user %s in"), 0, "user %s in", 10);
}

Test(display, control_characters_are_shown_and_never_sent)
{
	expect_display(TEXT("a\tb\r\n"), 0, "a\\tb\\r\\n", 8);
	expect_display(TEXT("\x1b[31mred\x07\x7f"), 0, "\\x1b[31mred\\x07\\x7f", 19);
	expect_display(TEXT("\xc2\x9b" "1m"), 0, "\\u009b1m", 8);
}

Test(display, what_turns_the_direction_of_text_is_shown_as_a_number)
{
	expect_display(TEXT("a\xe2\x80\xae" "b\xe2\x81\xa6" "c"), 0, "a\\u202eb\\u2066c", 15);
}

Test(display, bytes_that_are_not_utf8_are_shown_as_hex)
{
	expect_display(TEXT("a\xff\xc3(\xe2\x82"), 0, "a\\xff\\xc3(\\xe2\\x82", 18);
}

Test(display, wide_and_combining_characters_take_the_cells_of_a_terminal)
{
	expect_display(TEXT("\xe6\x97\xa5\xe6\x9c\xac"), 0, "\xe6\x97\xa5\xe6\x9c\xac", 4);
	expect_display(TEXT("e\xcc\x81"), 0, "e\xcc\x81", 1);
}

Test(display, what_does_not_fit_ends_in_an_ellipsis)
{
	expect_display(TEXT("abcdef"), 6, "abcdef", 6);
	expect_display(TEXT("abcdefg"), 6, "abcde…", 6);
	expect_display(TEXT("abc"), 1, "…", 1);
}

Test(display, a_cut_never_splits_a_wide_character_or_an_escape)
{
	expect_display(TEXT("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"), 4, "\xe6\x97\xa5…", 3);
	expect_display(TEXT("ab\x1b" "cd"), 6, "ab…", 3);
}

/* ---- Tables ---- */

static const struct lf_column columns[] = {
	{ .title = "COUNT", .align = LF_ALIGN_RIGHT },
	{ .title = "MESSAGE", .shrinks_to = 10 },
	{ .title = "FRAME", .shrinks_to = 6, .colour = "2" },
	{ .title = "MUTED", .optional = true },
};

static struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

static struct lf_table *new_table(void)
{
	struct lf_table *table = NULL;

	cr_assert_eq(lf_table_new(&table, columns, sizeof(columns) / sizeof(*columns)), 0);
	return table;
}

static void add(struct lf_table *table, const char *count, const char *message, const char *frame,
                const char *muted)
{
	const struct lf_text cells[] = { text(count), text(message), text(frame), text(muted) };

	cr_assert_eq(lf_table_add(table, cells), 0);
}

static char *print(struct lf_table *table, size_t width, bool colour)
{
	char *printed = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len);

	lf_table_print(table, out, (struct lf_terminal){ .width = width, .colour = colour });
	(void)fclose(out);
	lf_table_free(table);
	return printed;
}

Test(table, columns_are_as_wide_as_their_widest_cell_and_lines_have_no_blanks_at_the_end)
{
	struct lf_table *table = new_table();
	char *printed;

	add(table, "100000", "tick %d", "a!main", "");
	add(table, "7", "bye", "a!f", "");
	printed = print(table, 0, false);
	cr_assert_str_eq(printed, " COUNT  MESSAGE  FRAME\n"
				  "100000  tick %d  a!main\n"
				  "     7  bye      a!f\n");
	free(printed);
}

Test(table, an_optional_column_appears_with_its_first_cell)
{
	struct lf_table *table = new_table();
	char *printed;

	add(table, "1", "m", "f", "");
	add(table, "2", "m", "f", "3");
	printed = print(table, 0, false);
	cr_assert_str_eq(printed, "COUNT  MESSAGE  FRAME  MUTED\n"
				  "    1  m        f\n"
				  "    2  m        f      3\n");
	free(printed);
}

Test(table, an_empty_table_is_its_titles)
{
	char *printed = print(new_table(), 0, false);

	cr_assert_str_eq(printed, "COUNT  MESSAGE  FRAME\n");
	free(printed);
}

Test(table, the_widest_column_gives_way_first)
{
	struct lf_table *table = new_table();
	char *printed;

	add(table, "1", "twenty-six letters in here", "prog!main", "");
	printed = print(table, 34, false);
	cr_assert_str_eq(printed, "COUNT  MESSAGE           FRAME\n"
				  "    1  twenty-six lett…  prog!main\n");
	free(printed);
}

Test(table, no_line_is_wider_than_the_terminal_however_narrow_it_is)
{
	size_t width;

	for (width = 1; width < 60; width++) {
		struct lf_table *table = new_table();
		char *printed, *line, *rest;

		add(table, "18446744073709551615", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e is a wide text\n",
		    "prog!a_function", "12 now");
		add(table, "1", "short", "f", "");
		printed = print(table, width, false);
		for (line = strtok_r(printed, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			cr_assert_leq(lf_display_cells(text(line)), width, "at %zu: \"%s\"", width, line);
		free(printed);
	}
}

Test(table, without_a_limit_nothing_is_cut_and_a_long_cell_moves_only_its_own_line)
{
	struct lf_table *table = new_table();
	char message[2001], *printed;

	memset(message, 'x', 2000);
	message[2000] = '\0';
	add(table, "1", message, "f", "");
	add(table, "2", "short", "f", "");
	printed = print(table, 0, false);
	cr_assert_not_null(strstr(printed, message));
	cr_assert_lt(strlen(printed), 2000 + 3 * (LF_TABLE_ALIGN_MAX + 40));
	free(printed);
}

Test(table, colours_surround_cells_and_take_no_room)
{
	struct lf_table *table = new_table();
	char *printed;

	add(table, "1", "m", "f", "");
	printed = print(table, 80, true);
	cr_assert_str_eq(printed,
			 "\033[1mCOUNT\033[m  \033[1mMESSAGE\033[m  \033[1mFRAME\033[m\n"
			 "    1  m        \033[2mf\033[m\n");
	free(printed);
}

Test(table, a_thousand_rows_keep_their_texts)
{
	struct lf_table *table = new_table();
	char count[16], expected[64], *printed;
	int i;

	for (i = 0; i < 1000; i++) {
		(void)snprintf(count, sizeof(count), "%d", i);
		add(table, count, count, "f", "");
	}
	printed = print(table, 0, false);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(expected, sizeof(expected), "\n%5d  %-7d  f\n", i, i);
		cr_assert_not_null(strstr(printed, expected), "row %d", i);
	}
	free(printed);
}
