/* Private to mask/1: sixteen bytes at once, in the vector types of GCC and Clang, which they turn into
 * what the machine has. */
#ifndef LOGFOLD_HASHING_MASK_VECTOR_H
#define LOGFOLD_HASHING_MASK_VECTOR_H

#include <stdint.h>
#include <string.h>

typedef uint8_t mask_bytes __attribute__((vector_size(16)));
typedef int8_t mask_flags __attribute__((vector_size(16))); /* -1: yes, 0: no */

enum { MASK_VECTOR = sizeof(mask_bytes) };

static inline mask_bytes mask_load(const void *data)
{
	mask_bytes x;

	memcpy(&x, data, sizeof(x));
	return x;
}

/* One signed comparison does for both ends of the range. */
static inline mask_flags mask_between(mask_bytes x, uint8_t low, uint8_t high)
{
	return (mask_flags)(x + (uint8_t)(0x80 - low)) <= (int8_t)(high - low - 0x80);
}

/* The sign of each, the first one's in bit 0. */
static inline uint64_t mask_bits(mask_flags x)
{
#ifdef __SSE2__
	typedef char chars __attribute__((vector_size(16)));

	return (uint64_t)(uint32_t)__builtin_ia32_pmovmskb128((chars)x);
#else
	uint64_t bits = 0;

	for (unsigned i = 0; i < MASK_VECTOR; i++)
		bits |= (uint64_t)(x[i] < 0) << i;
	return bits;
#endif
}

#endif
