/* Strings and keys of TOML. */
#include <string.h>

#include "agent/config/toml_internal.h"

enum kind { BASIC, LITERAL };

/* The string that is being read: `out` follows the cursor and never overtakes it. */
struct reading {
	enum kind kind;
	bool has_lines; /* """ or ''' */
	char quote;
	unsigned first_line;
	char *out;
};

static int no_end(struct lf_toml_cursor *cursor, const struct reading *reading)
{
	char quotes[4] = { reading->quote };

	if (reading->has_lines)
		quotes[1] = quotes[2] = reading->quote;
	cursor->line = reading->first_line;
	return lf_toml_wrong(cursor, "the string that begins here has no end: close it with %s", quotes);
}

/* A code point that is not a surrogate, as UTF-8. */
static char *put_character(char *out, unsigned long code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind \u or \U. */
static int numbered(struct lf_toml_cursor *cursor, struct reading *reading, int digits)
{
	unsigned long code = 0;
	int i;

	for (i = 0; i < digits; i++, cursor->at++) {
		int value = hex_value(lf_toml_peek(cursor));

		if (value < 0)
			return lf_toml_wrong(cursor, "\\%c takes %d hexadecimal digits",
			                     digits == 4 ? 'u' : 'U', digits);
		code = code << 4 | (unsigned long)value;
	}
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return lf_toml_wrong(cursor, "the escape names %lx, which is no character", code);
	reading->out = put_character(reading->out, code);
	return 0;
}

/* A backslash that ends its line takes the line end and all blanks and line ends that follow. */
static int joined_lines(struct lf_toml_cursor *cursor)
{
	lf_toml_skip_blanks(cursor);
	if (cursor->at < cursor->end && *cursor->at != '\n')
		return lf_toml_wrong(cursor, "behind the '\\' comes neither an escape nor the end of the line: "
		                             "write \\\\ for a backslash");
	for (; lf_toml_peek(cursor) == '\n'; lf_toml_skip_blanks(cursor)) {
		cursor->at++;
		cursor->line++;
	}
	return 0;
}

static int escape(struct lf_toml_cursor *cursor, struct reading *reading)
{
	static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
	const char *found;
	char c;

	cursor->at++;
	c = lf_toml_peek(cursor);
	if (reading->has_lines && (c == ' ' || c == '\t' || c == '\n'))
		return joined_lines(cursor);
	if (cursor->at < cursor->end)
		cursor->at++;
	if (c == 'u' || c == 'U')
		return numbered(cursor, reading, c == 'u' ? 4 : 8);
	found = c ? strchr(letters, c) : NULL;
	if (!found)
		return lf_toml_wrong(cursor, "the string holds a '\\' that begins no escape: write \\\\, or put "
		                             "the text between '…'");
	*reading->out++ = meanings[found - letters];
	return 0;
}

static int character(struct lf_toml_cursor *cursor, struct reading *reading)
{
	unsigned char c = (unsigned char)*cursor->at;

	if (c == '\\' && reading->kind == BASIC)
		return escape(cursor, reading);
	if (c == '\n' && reading->has_lines)
		cursor->line++;
	else if (c == '\n')
		return no_end(cursor, reading);
	else if ((c < ' ' && c != '\t') || c == 0x7f)
		return lf_toml_wrong(cursor, "the string holds the control character 0x%02x: write it as an "
		                             "escape in \"…\"", c);
	*reading->out++ = *cursor->at++;
	return 0;
}

/* The closing quotes; in """…""" up to two more of them belong to the text. */
static bool ends_here(struct lf_toml_cursor *cursor, struct reading *reading)
{
	int i;

	if (*cursor->at != reading->quote)
		return false;
	if (!reading->has_lines) {
		cursor->at++;
		return true;
	}
	for (i = 1; i < 3; i++)
		if (cursor->end - cursor->at <= i || cursor->at[i] != reading->quote)
			return false;
	cursor->at += 3;
	for (i = 0; i < 2 && lf_toml_peek(cursor) == reading->quote; i++)
		*reading->out++ = *cursor->at++;
	return true;
}

static int read_string(struct lf_toml_cursor *cursor, struct lf_text *out, bool has_lines)
{
	struct reading reading = { .has_lines = has_lines, .quote = *cursor->at,
		                   .first_line = cursor->line };
	const char *begin;
	int rc = 0;

	reading.kind = reading.quote == '"' ? BASIC : LITERAL;
	cursor->at += has_lines ? 3 : 1;
	if (has_lines && lf_toml_peek(cursor) == '\n') {
		cursor->at++;
		cursor->line++;
	}
	begin = reading.out = cursor->at;
	while (rc == 0) {
		if (cursor->at == cursor->end)
			return no_end(cursor, &reading);
		if (ends_here(cursor, &reading))
			break;
		rc = character(cursor, &reading);
	}
	*out = (struct lf_text){ begin, (size_t)(reading.out - begin) };
	return rc;
}

int lf_toml_string(struct lf_toml_cursor *cursor, struct lf_text *out)
{
	bool has_lines = lf_toml_looking_at(cursor, "\"\"\"") || lf_toml_looking_at(cursor, "'''");

	return read_string(cursor, out, has_lines);
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

int lf_toml_key(struct lf_toml_cursor *cursor, struct lf_text *out)
{
	char shown[LF_TOML_SHOWN_MAX];
	const char *begin = cursor->at;

	if (lf_toml_peek(cursor) == '"' || lf_toml_peek(cursor) == '\'')
		return read_string(cursor, out, false);
	while (is_bare(lf_toml_peek(cursor)))
		cursor->at++;
	if (cursor->at == begin)
		return lf_toml_wrong(cursor, "there is no key at '%s': a key is made of letters, digits, '_' "
		                             "and '-', or is quoted", lf_toml_here(cursor, shown));
	*out = (struct lf_text){ begin, (size_t)(cursor->at - begin) };
	return 0;
}
