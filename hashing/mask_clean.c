#include "hashing/mask_scan.h"

#include <string.h>

#include "hashing/mask_vector.h"
#include "hashing/utf8.h"

enum { ESC = 0x1b, BEL = 0x07 };

/* Neither NUL, ESC nor a byte beyond ASCII. */
static bool is_plain_ascii(struct lf_text line)
{
	mask_flags bad = { 0 };
	mask_bytes x;
	size_t i;

	for (i = 0; line.len - i >= MASK_VECTOR; i += MASK_VECTOR) {
		x = mask_load(line.data + i);
		bad |= (x == 0) | (x == ESC) | (mask_flags)x;
	}
	/* What is left, together with bytes before it. */
	x = mask_load(line.data + line.len - MASK_VECTOR);
	bad |= (x == 0) | (x == ESC) | (mask_flags)x;
	return mask_bits(bad) == 0;
}

bool lf_mask_is_clean(struct lf_text line)
{
	if (line.len >= MASK_VECTOR && is_plain_ascii(line))
		return true;
	return line.len == 0 || (!memchr(line.data, ESC, line.len) && lf_utf8_is_clean(line));
}

static size_t skip_range(struct lf_text line, size_t pos, unsigned char low, unsigned char high)
{
	while (pos < line.len && (unsigned char)line.data[pos] >= low &&
	       (unsigned char)line.data[pos] <= high)
		pos++;
	return pos;
}

/* OSC and its kin: a string up to BEL or ESC \, or up to the end of the line. */
static size_t string_end(struct lf_text line, size_t pos)
{
	for (; pos < line.len; pos++) {
		if (line.data[pos] == BEL)
			return pos + 1;
		if (line.data[pos] == ESC && pos + 1 < line.len && line.data[pos + 1] == '\\')
			return pos + 2;
	}
	return pos;
}

/* Where the escape sequence ends whose ESC is at `pos`. */
static size_t sequence_end(struct lf_text line, size_t pos)
{
	char kind = pos + 1 < line.len ? line.data[pos + 1] : 0;

	pos++;
	if (kind == '[') {
		pos = skip_range(line, pos + 1, 0x30, 0x3f);
		pos = skip_range(line, pos, 0x20, 0x2f);
		return pos < line.len && line.data[pos] >= 0x40 && line.data[pos] <= 0x7e ? pos + 1
											 : pos;
	}
	if (kind != 0 && strchr("]PX^_", kind))
		return string_end(line, pos + 1);
	pos = skip_range(line, pos, 0x20, 0x2f);
	return pos < line.len && line.data[pos] >= 0x30 && line.data[pos] <= 0x7e ? pos + 1 : pos;
}

static size_t drop_sequences(struct lf_text line, char *out, size_t size)
{
	size_t pos = 0, len = 0;

	while (pos < line.len && len < size) {
		if (line.data[pos] == ESC)
			pos = sequence_end(line, pos);
		else
			out[len++] = line.data[pos++];
	}
	return len;
}

struct lf_text lf_mask_clean(struct lf_text line, char out[LF_TEMPLATE_MAX])
{
	struct lf_text text = { out, drop_sequences(line, out, LF_MASK_CLEANED_MAX) };
	char *upper = out + LF_TEMPLATE_MAX - LF_MASK_CLEANED_MAX;

	text.len = lf_utf8_escape(text, upper, LF_MASK_CLEANED_MAX);
	text.data = upper;
	return text;
}
