#include "agent/cli/display.h"

#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "hashing/utf8.h"

enum { SHOWN_MAX = 16 };

/* One character of the text, as it is shown. */
struct glyph {
	char shown[SHOWN_MAX];
	size_t shown_len;
	size_t cells;
	size_t bytes; /* of the text */
};

/* Decodes the character at `at`; returns its length, 0 when there is no valid one. */
static size_t decode(struct lf_text text, size_t at, uint32_t *code)
{
	static const unsigned char payload[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const unsigned char *p = (const unsigned char *)text.data + at;
	size_t i, len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	if (len > text.len - at || !lf_utf8_is_clean((struct lf_text){ text.data + at, len }))
		return 0;
	*code = p[0] & payload[len];
	for (i = 1; i < len; i++)
		*code = *code << 6 | (p[i] & 0x3f);
	return len;
}

/* Line and paragraph separators, and what turns the direction of writing: a message could use them
 * to look like another one. */
static bool is_deceptive(uint32_t code)
{
	return (code >= 0x80 && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void show_code(struct glyph *glyph, const char *prefix, int digits, unsigned code)
{
	glyph->shown_len =
		(size_t)snprintf(glyph->shown, SHOWN_MAX, "%s%0*x", prefix, digits, code);
	glyph->cells = glyph->shown_len;
}

static void show_letter(struct glyph *glyph, char letter)
{
	glyph->shown[0] = '\\';
	glyph->shown[1] = letter;
	glyph->cells = glyph->shown_len = 2;
}

static struct glyph glyph_at(struct lf_text text, size_t at)
{
	struct glyph glyph = { .bytes = 1 };
	uint32_t code = 0;
	size_t len = decode(text, at, &code);
	int width;

	if (len == 0) {
		show_code(&glyph, "\\x", 2, (unsigned char)text.data[at]);
	} else if (code == '\n' || code == '\t' || code == '\r') {
		show_letter(&glyph, code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
	} else if (code < 0x20 || code == 0x7f) {
		show_code(&glyph, "\\x", 2, code);
	} else if (is_deceptive(code)) {
		glyph.bytes = len;
		show_code(&glyph, "\\u", 4, code);
	} else {
		width = wcwidth((wchar_t)code);
		glyph.bytes = glyph.shown_len = len;
		glyph.cells = width < 0 ? 1 : (size_t)width;
		memcpy(glyph.shown, text.data + at, len);
	}
	return glyph;
}

size_t lf_display_cells(struct lf_text text)
{
	size_t at = 0, cells = 0;

	while (at < text.len) {
		struct glyph glyph = glyph_at(text, at);

		cells += glyph.cells;
		at += glyph.bytes;
	}
	return cells;
}

size_t lf_display(FILE *out, struct lf_text text, size_t cells_max)
{
	bool whole = cells_max == LF_CELLS_UNLIMITED || lf_display_cells(text) <= cells_max;
	size_t at = 0, cells = 0, room = whole ? SIZE_MAX : cells_max - 1;

	while (at < text.len) {
		struct glyph glyph = glyph_at(text, at);

		if (glyph.cells > room - cells)
			break;
		(void)fwrite(glyph.shown, 1, glyph.shown_len, out);
		cells += glyph.cells;
		at += glyph.bytes;
	}
	if (whole)
		return cells;
	(void)fputs("…", out);
	return cells + 1;
}
