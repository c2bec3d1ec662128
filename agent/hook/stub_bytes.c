/* The functions of string.h and wchar.h that this library uses, for itself alone: hidden, so that every
 * call here, and of the code linked in, ends in them.
 *
 * What is in their place in the host would see our memory: ThreadSanitizer reports races between threads
 * that order themselves by system calls and atomics it was not built into, AddressSanitizer and a host's own
 * memcpy would count and judge our calls.
 *
 * Compiled so that the compiler does not find itself called in a loop that does what the function does
 * (Makefile).  Little-endian words of eight bytes; an aligned word may reach beyond the end of a string, as
 * libc's may.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef unsigned char sixteen __attribute__((vector_size(16), aligned(1), may_alias));

#define EACH(byte) (0x0101010101010101U * (uint64_t)(unsigned char)(byte))

/* Its lowest bit that is set is the 0x80 of the first byte that is zero. */
static inline uint64_t first_zero(uint64_t w)
{
	return (w - EACH(1)) & ~w & EACH(0x80);
}

/* 0x80 in each byte that is zero, and in no other. */
static inline uint64_t all_zeros(uint64_t w)
{
	return ~(((w & EACH(0x7f)) + EACH(0x7f)) | w | EACH(0x7f));
}

static void copy_short(char *to, const char *from, size_t len)
{
	if (len >= 8) {
		uint64_t first = *(const word *)from, last = *(const word *)(from + len - 8);

		*(word *)to = first;
		*(word *)(to + len - 8) = last;
	} else if (len >= 4) {
		uint32_t first = *(const half *)from, last = *(const half *)(from + len - 4);

		*(half *)to = first;
		*(half *)(to + len - 4) = last;
	} else if (len) {
		char first = from[0], middle = from[len / 2], last = from[len - 1];

		to[0] = first;
		to[len / 2] = middle;
		to[len - 1] = last;
	}
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	char *out = to;
	const char *in = from;
	size_t at;

	if (len < 16) {
		copy_short(out, in, len);
		return to;
	}
	for (at = 0; at + 16 < len; at += 16)
		*(sixteen *)(out + at) = *(const sixteen *)(in + at);
	*(sixteen *)(out + len - 16) = *(const sixteen *)(in + len - 16);
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	char *out = to;
	const char *in = from;

	if ((uintptr_t)out - (uintptr_t)in >= len) {
		for (size_t i = 0; i < len; i++)
			out[i] = in[i];
	} else {
		while (len--)
			out[len] = in[len];
	}
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	char *out = to;
	size_t at = 0;

	for (; at + 8 <= len; at += 8)
		*(word *)(out + at) = EACH(byte);
	for (; at < len; at++)
		out[at] = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *one = a, *two = b;
	size_t at = 0;

	while (at + 8 <= len && *(const word *)(one + at) == *(const word *)(two + at))
		at += 8;
	/* What is left are some of the last eight. */
	if (len >= 8 && at + 8 > len && *(const word *)(one + len - 8) == *(const word *)(two + len - 8))
		return 0;
	for (; at < len; at++)
		if (one[at] != two[at])
			return one[at] - two[at];
	return 0;
}

void *memchr(const void *data, int byte, size_t len)
{
	const char *in = data;
	size_t at = 0;

	for (; at + 8 <= len; at += 8) {
		uint64_t found = first_zero(*(const word *)(in + at) ^ EACH(byte));

		if (found)
			return (char *)in + at + __builtin_ctzll(found) / 8;
	}
	if (len >= 8) {
		/* What is left are some of the last eight. */
		uint64_t found = first_zero(*(const word *)(in + len - 8) ^ EACH(byte));

		return found ? (char *)in + len - 8 + __builtin_ctzll(found) / 8 : NULL;
	}
	for (; at < len; at++)
		if (in[at] == (char)byte)
			return (char *)in + at;
	return NULL;
}

void *memrchr(const void *data, int byte, size_t len)
{
	const char *in = data;

	for (; len >= 8; len -= 8) {
		uint64_t found = all_zeros(*(const word *)(in + len - 8) ^ EACH(byte));

		if (found)
			return (char *)in + len - 1 - __builtin_clzll(found) / 8;
	}
	while (len--)
		if (in[len] == (char)byte)
			return (char *)in + len;
	return NULL;
}

size_t strlen(const char *text)
{
	const char *at = text;
	uint64_t found;

	for (; (uintptr_t)at % 8; at++)
		if (!*at)
			return (size_t)(at - text);
	while (!(found = first_zero(*(const word *)at)))
		at += 8;
	return (size_t)(at - text) + (size_t)__builtin_ctzll(found) / 8;
}

size_t strnlen(const char *text, size_t max)
{
	size_t len = 0;

	while (len < max && text[len])
		len++;
	return len;
}

char *strchr(const char *text, int byte)
{
	for (; *text != (char)byte; text++)
		if (!*text)
			return NULL;
	return (char *)text;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++)
		b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max && *a && *a == *b; a++, b++)
		max--;
	return max ? (unsigned char)*a - (unsigned char)*b : 0;
}

size_t strspn(const char *text, const char *accepted)
{
	size_t len = 0;

	while (text[len] && strchr(accepted, text[len]))
		len++;
	return len;
}

size_t strcspn(const char *text, const char *refused)
{
	size_t len = 0;

	while (text[len] && !strchr(refused, text[len]))
		len++;
	return len;
}

size_t wcslen(const wchar_t *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

wchar_t *wcsrchr(const wchar_t *text, wchar_t wanted)
{
	const wchar_t *found = NULL;

	do
		if (*text == wanted)
			found = text;
	while (*text++);
	return (wchar_t *)found;
}
