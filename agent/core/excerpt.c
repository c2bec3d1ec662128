#include "agent/core/excerpt.h"

#include <stdio.h>
#include <string.h>

#include "hashing/utf8.h"

/* The bytes of the valid character at the beginning; 0 where there is none. */
static size_t character(struct lf_text text)
{
	for (size_t len = 1; len <= 4 && len <= text.len; len++)
		if (lf_utf8_is_clean((struct lf_text){ text.data, len }))
			return len;
	return 0;
}

/* C1 controls, zero-width and bidirectional marks, line separators, the byte order mark. */
static bool is_hidden(const char *c, size_t len)
{
	const unsigned char *b = (const unsigned char *)c;

	if (len == 1)
		return b[0] < 0x20 || b[0] == 0x7f;
	if (len == 2)
		return b[0] == 0xc2 && b[1] < 0xa0;
	if (len != 3)
		return false;
	if (b[0] == 0xef)
		return b[1] == 0xbb && b[2] == 0xbf;
	return b[0] == 0xe2 && ((b[1] == 0x80 && ((b[2] >= 0x8b && b[2] <= 0x8f) || (b[2] >= 0xa8 && b[2] <= 0xae))) ||
	                        (b[1] == 0x81 && b[2] >= 0xa0 && b[2] <= 0xaf));
}

static size_t put_hidden(char *out, char c)
{
	if (c == '\n' || c == '\t')
		return (size_t)sprintf(out, c == '\n' ? "\\n" : "\\t");
	return (size_t)sprintf(out, "\\x%02x", (unsigned char)c);
}

const char *lf_excerpt(struct lf_text text, char out[LF_EXCERPT_MAX])
{
	size_t at = 0, len;

	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	for (unsigned n = 0; text.len > 0 && n < LF_EXCERPT_CHARS; n++) {
		len = character(text);
		if (len > 0 && !is_hidden(text.data, len)) {
			memcpy(out + at, text.data, len);
			at += len;
		} else { /* byte by byte: no excerpt grows beyond four bytes a turn */
			at += put_hidden(out + at, *text.data);
			len = 1;
		}
		text.data += len;
		text.len -= len;
	}
	(void)strcpy(out + at, text.len > 0 ? "…" : "");
	return out;
}
