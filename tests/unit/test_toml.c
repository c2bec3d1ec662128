#include "agent/config/toml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Accepting, refusing and values are compared with another parser by tests/integration/test_toml.py. */

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static struct lf_toml *parsed(const char *text)
{
	struct lf_error err = { "" };
	struct lf_toml *toml = NULL;

	cr_assert_eq(lf_toml_parse(&toml, "f", text_of(text), &err), 0, "%s", err.text);
	return toml;
}

static void expect_error(const char *text, const char *sentence)
{
	struct lf_error err = { "" };
	struct lf_toml *toml = NULL;

	cr_assert_eq(lf_toml_parse(&toml, "f", text_of(text), &err), -EINVAL, "'%s' is taken", text);
	cr_assert_null(toml);
	cr_assert_not_null(strstr(err.text, sentence), "'%s' is refused with: %s", text, err.text);
}

Test(toml, nodes_come_in_the_order_of_the_file_and_know_their_line)
{
	struct lf_toml *toml = parsed("b = 1\n\n[t]\n\na = '''\n\n'''\nc = true");
	const struct lf_toml_node *b = lf_toml_root(toml)->first, *table = b->next;

	cr_assert_eq(b->line, 1);
	cr_assert_eq(table->line, 3);
	cr_assert_eq(table->first->line, 5);
	cr_assert_eq(table->first->next->line, 8);
	cr_assert_null(table->next);
	cr_assert_eq(memcmp(table->first->key.data, "a", 1), 0);
	lf_toml_free(toml);
}

Test(toml, the_text_that_was_read_is_needed_no_more)
{
	char *text = strdup("key = 'value'");
	struct lf_toml *toml = parsed(text);
	const struct lf_toml_node *node = lf_toml_root(toml)->first;

	memset(text, 'x', strlen(text));
	free(text);
	cr_assert_eq(node->as.string.len, 5);
	cr_assert_eq(memcmp(node->as.string.data, "value", 5), 0);
	cr_assert_eq(memcmp(node->key.data, "key", 3), 0);
	lf_toml_free(toml);
}

Test(toml, a_second_definition_is_told_with_the_line_of_the_first)
{
	expect_error("a = 1\n\na = 2", "f:3: 'a' is there already, in line 1: remove one of them");
	expect_error("[t]\nx = 1\n[t]", "f:3: 't' is there already, in line 1");
	expect_error("[t]\nx = 1\n[t.x]", "f:3: 'x' is there already, in line 2");
}

Test(toml, an_unfinished_string_is_told_at_its_beginning)
{
	expect_error("x = 1\na = '''\n\n\n", "f:2: the string that begins here has no end: close it with '''");
	expect_error("a = \"x\nb = 1\"", "f:1: the string that begins here has no end: close it with \"");
}

Test(toml, what_people_write_by_mistake_is_told_with_a_remedy)
{
	expect_error("a = x y", "'x' is no value: a text stands between");
	expect_error("a = 'C:\\'s'", "the line should end before 's''");
	expect_error("a = \"C:\\dir\"", "'\\' that begins no escape: write \\\\");
	expect_error("a = 007", "must not begin with 0");
	expect_error("a: 1", "behind the key 'a' there is no '='");
	expect_error("\xef\xbb\xbf" "a = 1", "byte order mark: save it without one");
	expect_error("a = 1\nb = '\xff'", "f:2: the line is not UTF-8");
	expect_error("a = {b = 1,\n}", "f:1: there is no key at ''");
	expect_error("a = 2023-02-29", "'2023-02-29' is no date or time");
	expect_error("a = 12345678901234567890", "beyond 64 bits");
}

Test(toml, an_error_needs_no_place_to_be_told)
{
	struct lf_toml *toml = NULL;

	cr_assert_eq(lf_toml_parse(&toml, "f", text_of("a"), NULL), -EINVAL);
	lf_toml_free(toml);
}

Test(toml, shown_text_is_short_and_without_control_characters)
{
	char out[LF_TOML_SHOWN_MAX], longer[200];

	cr_assert_str_eq(lf_toml_shown(text_of("a\n\x1b[31m\tb"), out), "a??[31m?b");
	memset(longer, 'x', sizeof(longer));
	cr_assert(strlen(lf_toml_shown((struct lf_text){ longer, sizeof(longer) }, out)) < sizeof(out));
	cr_assert_str_eq(out + strlen(out) - strlen("…"), "…");
}
