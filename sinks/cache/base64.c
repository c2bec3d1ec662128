#include "sinks/cache/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void lf_base64_encode(struct lf_text bytes, char *out)
{
	for (size_t i = 0; i < bytes.len; i += 3, out += 4) {
		size_t left = bytes.len - i;
		uint32_t three = (uint32_t)(unsigned char)bytes.data[i] << 16;

		if (left > 1)
			three |= (uint32_t)(unsigned char)bytes.data[i + 1] << 8;
		if (left > 2)
			three |= (unsigned char)bytes.data[i + 2];
		out[0] = digits[three >> 18];
		out[1] = digits[three >> 12 & 63];
		out[2] = left > 1 ? digits[three >> 6 & 63] : '=';
		out[3] = left > 2 ? digits[three & 63] : '=';
	}
}

/* 64: it is no digit. */
static uint32_t value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (uint32_t)(at - digits) : 64;
}

/* Four characters, of which the last `padding` are '='. */
static bool decode_four(const char *four, size_t padding, char *out)
{
	uint32_t three = 0;

	for (size_t i = 0; i < 4; i++) {
		uint32_t value = i < 4 - padding ? value_of(four[i]) : 0;

		if (value == 64)
			return false;
		three = three << 6 | value;
	}
	if (three & ((UINT32_C(1) << (8 * padding)) - 1))
		return false;
	for (size_t i = 0; i < 3 - padding; i++)
		out[i] = (char)(three >> (16 - 8 * i) & 255);
	return true;
}

bool lf_base64_decode(struct lf_text text, char *out, size_t *len)
{
	size_t padding = 0;

	*len = 0;
	if (text.len % 4)
		return false;
	while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t here = i + 4 == text.len ? padding : 0;

		if (!decode_four(text.data + i, here, out + *len))
			return false;
		*len += 3 - here;
	}
	return true;
}
