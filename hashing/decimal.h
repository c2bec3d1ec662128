/* Numbers in decimal, for code that runs inside a host program: printf is not ours to call. */
#ifndef LOGFOLD_HASHING_DECIMAL_H
#define LOGFOLD_HASHING_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { LF_DECIMAL_MAX = 20 }; /* digits of a 64-bit number */

/* Writes the digits, no NUL, and returns the place behind them. */
static inline char *lf_decimal_put(char *out, uint64_t number)
{
	char digits[LF_DECIMAL_MAX];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	while (n)
		*out++ = digits[--n];
	return out;
}

/* Reads digits up to the first other character and returns its place; NULL when there is no digit
 * or the number is larger than `max`. */
static inline const char *lf_decimal_read(const char *text, uint64_t max, uint64_t *out)
{
	const char *p = text;

	for (*out = 0; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (*out > (max - digit) / 10)
			return NULL;
		*out = *out * 10 + digit;
	}
	return p > text ? p : NULL;
}

#endif
