#include "hashing/utf8.h"

#include <string.h>

enum { ESCAPE_CHARS = 4 }; /* \xHH */

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The range that the second byte of a character must lie in is narrower after some first bytes:
 * that is what keeps out overlong forms, surrogates and all above U+10FFFF. */
static bool second_is_valid(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return is_tail(second);
	}
}

/* How many bytes a character that starts with this byte has; 0 when none does. */
static size_t length_after(unsigned char first)
{
	if (first < 0x80)
		return first != 0;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The length of the valid character at the start of text[0..len), len > 0; 0 when there is none. */
static size_t char_length(const unsigned char *text, size_t len)
{
	size_t want = length_after(text[0]);
	size_t i;

	if (want <= 1)
		return want;
	if (want > len || !second_is_valid(text[0], text[1]))
		return 0;
	for (i = 2; i < want; i++)
		if (!is_tail(text[i]))
			return 0;
	return want;
}

/* How many bytes from the start are plain ASCII other than NUL: nearly all of most texts, so it
 * goes by words.  A word with any byte 0 or >= 0x80 ends the fast part. */
static size_t plain_prefix(const unsigned char *text, size_t len)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t word;
	size_t i;

	for (i = 0; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, text + i, sizeof(word));
		if ((word | (word - ones)) & highs)
			break;
	}
	while (i < len && text[i] != 0 && text[i] < 0x80)
		i++;
	return i;
}

bool lf_utf8_is_clean(struct lf_text text)
{
	const unsigned char *data = (const unsigned char *)text.data;
	size_t i = 0, step;

	while (i < text.len) {
		i += plain_prefix(data + i, text.len - i);
		if (i == text.len)
			break;
		step = char_length(data + i, text.len - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

static void write_escape(unsigned char byte, char out[ESCAPE_CHARS])
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[byte >> 4];
	out[3] = digits[byte & 15];
}

size_t lf_utf8_escape(struct lf_text text, char *out, size_t size)
{
	const unsigned char *data = (const unsigned char *)text.data;
	size_t i = 0, o = 0, step, room;

	while (i < text.len) {
		room = size - o;
		step = plain_prefix(data + i, text.len - i);
		if (step > room)
			step = room;
		if (step == 0)
			step = char_length(data + i, text.len - i);
		if ((step == 0 ? ESCAPE_CHARS : step) > room || room == 0)
			break;
		if (step == 0) {
			write_escape(data[i], out + o);
			o += ESCAPE_CHARS;
			i++;
			continue;
		}
		memcpy(out + o, data + i, step);
		o += step;
		i += step;
	}
	return o;
}
