#include "agent/core/tags.h"

#include <stdint.h>
#include <string.h>

#include "hashing/utf8.h"

static void skip_space(struct lf_text text, size_t *at)
{
	while (*at < text.len && memchr(" \t\r\n", text.data[*at], 4))
		(*at)++;
}

static bool skip_char(struct lf_text text, size_t *at, char c)
{
	skip_space(text, at);
	if (*at >= text.len || text.data[*at] != c)
		return false;
	(*at)++;
	return true;
}

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	found = c ? strchr(digits, c) : NULL;
	return found ? (int)(found - digits) : -1;
}

/* The value of the four hex digits at `p`, or -1. */
static int hex4(const char *p, size_t room)
{
	int value = 0;
	size_t i;

	if (room < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* The length of the character or escape at `at` of a string's inside; 0 when it is not allowed
 * there. */
static size_t unit_length(struct lf_text text, size_t at)
{
	unsigned char c = (unsigned char)text.data[at];

	if (c < 0x20)
		return 0;
	if (c != '\\')
		return 1;
	if (at + 1 >= text.len)
		return 0;
	if (text.data[at + 1] == 'u')
		return hex4(text.data + at + 2, text.len - at - 2) < 0 ? 0 : 6;
	return memchr("\"\\/bfnrt", text.data[at + 1], 8) ? 2 : 0;
}

static bool read_string(struct lf_text text, size_t *at, struct lf_text *string)
{
	size_t i, step;

	if (!skip_char(text, at, '"'))
		return false;
	for (i = *at; i < text.len && text.data[i] != '"'; i += step) {
		step = unit_length(text, i);
		if (step == 0)
			return false;
	}
	if (i >= text.len)
		return false;
	*string = (struct lf_text){ text.data + *at, i - *at };
	*at = i + 1;
	return true;
}

bool lf_tags_next(struct lf_text tags, size_t *at, struct lf_text *string)
{
	size_t i = *at;

	if (!skip_char(tags, &i, *at == 0 ? '[' : ',') || !read_string(tags, &i, string))
		return false;
	*at = i;
	return true;
}

bool lf_tags_are_valid(struct lf_text tags)
{
	struct lf_text string;
	size_t at = 0;

	if (!lf_utf8_is_clean(tags))
		return false;
	while (lf_tags_next(tags, &at, &string))
		;
	if (at == 0 && !skip_char(tags, &at, '['))
		return false;
	if (!skip_char(tags, &at, ']'))
		return false;
	skip_space(tags, &at);
	return at == tags.len;
}

static size_t put_utf8(uint32_t code, char out[4])
{
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t i, len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (i = len - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(first[len] | code);
	return len;
}

/* Undoes the escape or copies the character at *at. */
static size_t unescape(struct lf_text text, size_t *at, char out[4])
{
	static const char shorts[] = "b\bf\fn\nr\rt\t";
	const char *p = text.data + *at;
	uint32_t code;
	int low;
	size_t i;

	*at += unit_length(text, *at);
	if (*p != '\\')
		return (void)(out[0] = *p), 1;
	for (i = 0; shorts[i]; i += 2)
		if (shorts[i] == p[1])
			return (void)(out[0] = shorts[i + 1]), 1;
	if (p[1] != 'u')
		return (void)(out[0] = p[1]), 1;
	code = (uint32_t)hex4(p + 2, 4);
	if (code >= 0xd800 && code < 0xdc00 && text.len - *at >= 6 && text.data[*at] == '\\' &&
	    text.data[*at + 1] == 'u') {
		low = hex4(text.data + *at + 2, 4);
		if (low >= 0xdc00 && low < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
			*at += 6;
		}
	}
	return put_utf8(code, out);
}

static bool is_same(struct lf_text escaped, struct lf_text plain)
{
	size_t at = 0, i = 0, len;
	char piece[4];

	while (at < escaped.len) {
		len = unescape(escaped, &at, piece);
		if (len > plain.len - i || memcmp(piece, plain.data + i, len) != 0)
			return false;
		i += len;
	}
	return i == plain.len;
}

bool lf_tags_have(struct lf_text tags, struct lf_text wanted)
{
	struct lf_text string;
	size_t at = 0;

	while (lf_tags_next(tags, &at, &string))
		if (is_same(string, wanted))
			return true;
	return false;
}
