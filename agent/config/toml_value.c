/* Values of TOML, but for strings and times. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/toml_internal.h"

/* ---- Numbers and booleans ---- */

/* A number is copied without its '_' while its grammar is checked. */
struct scan {
	const char *at;
	char *out;
};

static bool is_digit(char c, int base)
{
	if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
		return true;
	return c >= '0' && c < '0' + (base < 10 ? base : 10);
}

/* Digits, with single '_' between them. */
static bool digits(struct scan *scan, int base)
{
	if (!is_digit(*scan->at, base))
		return false;
	while (is_digit(*scan->at, base)) {
		*scan->out++ = *scan->at++;
		if (*scan->at == '_' && is_digit(scan->at[1], base))
			scan->at++;
	}
	return true;
}

static void sign(struct scan *scan)
{
	if (*scan->at == '+' || *scan->at == '-')
		*scan->out++ = *scan->at++;
}

static bool is_float(struct scan *scan)
{
	if (*scan->at == '.') {
		*scan->out++ = *scan->at++;
		if (!digits(scan, 10))
			return false;
	}
	if (*scan->at == 'e' || *scan->at == 'E') {
		*scan->out++ = *scan->at++;
		sign(scan);
		if (!digits(scan, 10))
			return false;
	}
	return *scan->at == '\0';
}

/* 0 for a word that is no number, else the base that it is written in. */
static int base_of(const char *word)
{
	if (word[0] != '0')
		return 10;
	if (word[1] == 'x')
		return 16;
	if (word[1] == 'o')
		return 8;
	return word[1] == 'b' ? 2 : 10;
}

static int no_value(const struct lf_toml_cursor *cursor, const char *word)
{
	char shown[LF_TOML_SHOWN_MAX];

	return lf_toml_wrong(cursor, "'%s' is no value: a text stands between \"…\", and there are numbers, "
	                             "true, false, [arrays] and {tables}",
	                     lf_toml_shown((struct lf_text){ word, strlen(word) }, shown));
}

static int integer(const struct lf_toml_cursor *cursor, struct lf_toml_node *node, const char *plain,
                   int base)
{
	errno = 0;
	node->type = LF_TOML_INTEGER;
	node->as.integer = strtoll(plain, NULL, base);
	return errno == ERANGE ? lf_toml_wrong(cursor, "the integer is beyond 64 bits: write a smaller one") :
	                         0;
}

/* `plain` has room for the word. */
static int number(const struct lf_toml_cursor *cursor, struct lf_toml_node *node, const char *word,
                  char *plain)
{
	struct scan scan = { .at = word, .out = plain };
	int base = base_of(word);
	const char *first;

	if (base != 10)
		scan.at += 2;
	else
		sign(&scan);
	first = scan.at;
	if (!digits(&scan, base))
		return no_value(cursor, word);
	if (base == 10 && *first == '0' && scan.at > first + 1)
		return lf_toml_wrong(cursor, "a number must not begin with 0: remove it, or write 0o for octal");
	*scan.out = '\0';
	if (*scan.at == '\0')
		return integer(cursor, node, plain, base);
	if (base != 10 || !is_float(&scan))
		return no_value(cursor, word);
	*scan.out = '\0';
	node->type = LF_TOML_FLOAT;
	node->as.number = strtod(plain, NULL);
	return 0;
}

static bool is_word(struct lf_toml_node *node, const char *word)
{
	const char *unsigned_word = word + (*word == '+' || *word == '-');

	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
		node->type = LF_TOML_BOOLEAN;
		node->as.boolean = *word == 't';
		return true;
	}
	if (strcmp(unsigned_word, "inf") != 0 && strcmp(unsigned_word, "nan") != 0)
		return false;
	node->type = LF_TOML_FLOAT;
	node->as.number = *unsigned_word == 'n' ? (double)NAN :
	                  *word == '-'          ? -(double)INFINITY :
	                                          (double)INFINITY;
	return true;
}

static bool is_word_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '+' || c == '-' || c == '.';
}

/* What may follow a value is no character of a word: the whole word is the value. */
int lf_toml_scalar(struct lf_toml_cursor *cursor, struct lf_toml_node *node)
{
	const char *begin = cursor->at;
	char shown[LF_TOML_SHOWN_MAX];
	char *word;
	size_t len;
	int rc = 0;

	if (lf_toml_is_time(cursor))
		return lf_toml_time(cursor, node);
	while (is_word_character(lf_toml_peek(cursor)))
		cursor->at++;
	len = (size_t)(cursor->at - begin);
	if (len == 0)
		return no_value(cursor, lf_toml_here(cursor, shown));
	word = calloc(2, len + 1); /* the word, and behind it its plain form */
	if (!word)
		return lf_fail(cursor->err, -ENOMEM, "%.200s cannot be read: out of memory", cursor->name);
	memcpy(word, begin, len);
	if (!is_word(node, word))
		rc = number(cursor, node, word, word + len + 1);
	free(word);
	return rc;
}

/* ---- Arrays and inline tables ---- */

static int skip_lines(struct lf_toml_cursor *cursor)
{
	int rc;

	for (;;) {
		lf_toml_skip_blanks(cursor);
		rc = lf_toml_skip_comment(cursor);
		if (rc < 0 || lf_toml_peek(cursor) != '\n')
			return rc;
		cursor->at++;
		cursor->line++;
	}
}

/* Behind an item: 1 when it was the last. */
static int comma_or(struct lf_toml_cursor *cursor, char close, const char *what)
{
	char shown[LF_TOML_SHOWN_MAX];
	char c = lf_toml_peek(cursor);

	if (c != ',' && c != close)
		return lf_toml_wrong(cursor, "%s needs ',' or '%c' before '%s'", what, close,
		                     lf_toml_here(cursor, shown));
	cursor->at++;
	return c == close;
}

static int array(struct lf_toml_cursor *cursor, struct lf_toml_node *node)
{
	struct lf_toml_node *item;
	int rc;

	node->type = LF_TOML_ARRAY;
	node->is_closed = true;
	cursor->at++;
	for (;;) {
		rc = skip_lines(cursor);
		if (rc < 0)
			return rc;
		if (lf_toml_peek(cursor) == ']') {
			cursor->at++;
			return 0;
		}
		rc = lf_toml_add(cursor, &item, node, (struct lf_text){ "", 0 });
		if (rc == 0)
			rc = lf_toml_value(cursor, item);
		if (rc == 0)
			rc = skip_lines(cursor);
		if (rc == 0)
			rc = comma_or(cursor, ']', "the array");
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
}

/* On one line, and without a comma at its end. */
static int inline_table(struct lf_toml_cursor *cursor, struct lf_toml_node *node)
{
	int rc = 0;

	node->type = LF_TOML_TABLE;
	cursor->at++;
	lf_toml_skip_blanks(cursor);
	if (lf_toml_peek(cursor) == '}') {
		cursor->at++;
		rc = 1;
	}
	while (rc == 0) {
		lf_toml_skip_blanks(cursor);
		rc = lf_toml_pair(cursor, node);
		lf_toml_skip_blanks(cursor);
		if (rc == 0)
			rc = comma_or(cursor, '}', "the table, which stands on one line,");
	}
	node->is_closed = true;
	return rc < 0 ? rc : 0;
}

int lf_toml_value(struct lf_toml_cursor *cursor, struct lf_toml_node *node)
{
	switch (lf_toml_peek(cursor)) {
	case '"':
	case '\'':
		node->type = LF_TOML_STRING;
		return lf_toml_string(cursor, &node->as.string);
	case '[':
		return array(cursor, node);
	case '{':
		return inline_table(cursor, node);
	default:
		return lf_toml_scalar(cursor, node);
	}
}
