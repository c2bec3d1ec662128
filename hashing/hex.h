/* Numbers in lower-case hex, without leading zeros: printf is not ours to call. */
#ifndef LOGFOLD_HASHING_HEX_H
#define LOGFOLD_HASHING_HEX_H

#include <stddef.h>
#include <stdint.h>

enum { LF_HEX_MAX = 16 };

/* Returns the length; writes no NUL. */
static inline size_t lf_hex_write(uint64_t value, char out[LF_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t count = 1, i;

	while (count < LF_HEX_MAX && value >> (4 * count) != 0)
		count++;
	for (i = 0; i < count; i++)
		out[i] = digits[value >> (4 * (count - 1 - i)) & 15];
	return count;
}

/* The value of a lower-case digit, or -1. */
static inline int lf_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* LF_HEX_MAX digits and nothing else; 0 when the text is no such number. */
static inline uint64_t lf_hex_read(const char *text)
{
	uint64_t value = 0;

	for (int i = 0; i < LF_HEX_MAX; i++) {
		int digit = lf_hex_digit(text[i]); /* -1 for the NUL, too */

		if (digit < 0)
			return 0;
		value = value << 4 | (unsigned)digit;
	}
	return text[LF_HEX_MAX] ? 0 : value;
}

#endif
