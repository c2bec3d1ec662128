/* The library's own string functions, beside those of libc: the file is compiled in under other names. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define OWN(name) own_##name
#define memcpy OWN(memcpy)
#define memmove OWN(memmove)
#define memset OWN(memset)
#define memcmp OWN(memcmp)
#define memchr OWN(memchr)
#define memrchr OWN(memrchr)
#define strlen OWN(strlen)
#define strnlen OWN(strnlen)
#define strchr OWN(strchr)
#define strcmp OWN(strcmp)
#define strncmp OWN(strncmp)
#define strspn OWN(strspn)
#define strcspn OWN(strcspn)
#define wcslen OWN(wcslen)
#define wcsrchr OWN(wcsrchr)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "agent/hook/stub_bytes.c"
#pragma GCC diagnostic pop
#undef memcpy
#undef memset
#undef memcmp
#undef memchr
#undef memrchr

enum { LONGEST = 70, BYTES = LONGEST + 16 };

static int sign(int number)
{
	return (number > 0) - (number < 0);
}

/* Each length from each of eight places, with the byte that matters at each place of it or nowhere. */
static void each_place(void (*hold)(char *at, size_t len, size_t place))
{
	char bytes[BYTES];

	for (size_t from = 0; from < 8; from++)
		for (size_t len = 0; len <= LONGEST; len++)
			for (size_t place = 0; place <= len; place++) {
				memset(bytes, 'y', sizeof(bytes)); /* one bit from x: what carries is seen */
				/* Beside it, where nobody may look for it. */
				bytes[from + len] = 'x';
				if (from)
					bytes[from - 1] = 'x';
				hold(bytes + from, len, place);
			}
}

static void hold_search(char *at, size_t len, size_t place)
{
	if (place < len)
		at[place] = 'x';
	cr_assert_eq(own_memchr(at, 'x', len), memchr(at, 'x', len), "%zu of %zu", place, len);
	cr_assert_eq(own_memrchr(at, 'x', len), memrchr(at, 'x', len), "%zu of %zu", place, len);
	if (len) { /* a second one behind it */
		at[len - 1] = 'x';
		cr_assert_eq(own_memchr(at, 'x', len), memchr(at, 'x', len), "%zu of %zu", place, len);
	}
	if (len > 2) {
		at[0] = 'x';
		at[len - 1] = 'x';
		cr_assert_eq(own_memchr(at, 'x', len), at);
		cr_assert_eq(own_memrchr(at, 'x', len), at + len - 1);
	}
}

Test(stub_bytes, a_byte_is_found_where_libc_finds_it)
{
	each_place(hold_search);
}

static void hold_comparison(char *at, size_t len, size_t place)
{
	char other[BYTES];

	memcpy(other, at, len);
	other[len] = 'y';
	if (place < len)
		other[place] = (char)0xe9; /* bytes have no sign */
	if (place + 1 < len)
		other[len - 1] = '!'; /* says the opposite */
	cr_assert_eq(sign(own_memcmp(at, other, len)), sign(memcmp(at, other, len)), "%zu of %zu", place, len);
	cr_assert_eq(sign(own_memcmp(other, at, len)), sign(memcmp(other, at, len)), "%zu of %zu", place, len);
}

Test(stub_bytes, texts_are_ordered_as_libc_orders_them)
{
	each_place(hold_comparison);
}

static void hold_copy(char *at, size_t len, size_t place)
{
	char one[BYTES], other[BYTES];

	at[place] = 'x';
	memset(one, 'z', sizeof(one));
	memset(other, 'z', sizeof(other));
	own_memcpy(one + place % 8, at, len);
	memcpy(other + place % 8, at, len);
	cr_assert_arr_eq(one, other, BYTES, "%zu of %zu", place, len);
	own_memset(one + place % 8, 'w', len);
	memset(other + place % 8, 'w', len);
	cr_assert_arr_eq(one, other, BYTES, "%zu of %zu", place, len);
}

Test(stub_bytes, so_many_bytes_are_written_and_no_other)
{
	each_place(hold_copy);
}
