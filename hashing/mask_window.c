#include "hashing/mask_scan.h"
#include "hashing/mask_vector.h"

/* The same bytes as C_END in lf_mask_classes. */
static inline mask_flags is_ending(mask_bytes x)
{
	return mask_between(x, 0, ' ') | (x == '"') | mask_between(x, '\'', ')') | (x == ',') |
	       mask_between(x, ':', '>') | (mask_between(x | 0x20, '{', '}') & (x != '\\')) |
	       (x == '`') | (x == 0x7f);
}

/* The fields of the window, and what only its making needs. */
struct look {
	uint64_t ending, digit, letter, hex, plain, upper, blank, backslash;
};

#define INLINED inline __attribute__((always_inline))

/* Adds what these bytes are, less the first `skip`, to the bits from `at` on. */
static INLINED void add(struct look *look, mask_bytes x, unsigned skip, unsigned at)
{
	mask_flags letter = mask_between(x | 0x20, 'a', 'z');
	mask_flags plain = letter | (x == '_') | (x == ',') | (x == '(') | (x == '[') | (x == ' ');

	look->ending |= mask_bits(is_ending(x)) >> skip << at;
	look->digit |= mask_bits(mask_between(x, '0', '9')) >> skip << at;
	look->letter |= mask_bits(letter) >> skip << at;
	look->hex |= mask_bits(mask_between(x | 0x20, 'a', 'f')) >> skip << at;
	look->upper |= mask_bits(mask_between(x, 'A', 'Z')) >> skip << at;
	look->plain |= mask_bits(plain) >> skip << at;
	look->blank |= mask_bits((x == ' ') | (x == '\t')) >> skip << at;
	look->backslash |= mask_bits(x == '\\');
}

/* The last bytes of the text, fewer than a vector: together with those before them, if there are. */
static INLINED void add_rest(struct look *look, const unsigned char *text, size_t pos, size_t end,
			     unsigned at)
{
	unsigned char padded[MASK_VECTOR] = { 0 };

	if (end >= MASK_VECTOR) {
		add(look, mask_load(text + end - MASK_VECTOR), MASK_VECTOR - (unsigned)(end - pos),
		    at);
		return;
	}
	for (size_t i = pos; i < end; i++)
		padded[i - pos] = text[i];
	add(look, mask_load(padded), 0, at);
}

/* Where eight hex digits or more stand in a row, which may be a word by rule D11. */
static uint64_t eight_in_a_row(uint64_t hex)
{
	hex &= hex >> 1;
	hex &= hex >> 2;
	return hex & hex >> 4;
}

/* Not plain are a space before another blank, words that may be a date, a zone or a hex number, and
 * the last bit: what is behind it is not known. */
static void finish_plain(struct look *look)
{
	uint64_t names = look->upper & (look->ending << 1 | 1);

	look->plain &= ~((look->blank & look->blank >> 1) | names | eight_in_a_row(look->hex) |
			 UINT64_C(1) << (LF_MASK_WINDOW - 1));
}

void lf_mask_look(struct mask_window *window, const unsigned char *text, size_t pos, size_t end)
{
	struct look look = { 0 };
	size_t left = end - pos;
	unsigned at;

	for (at = 0; at < LF_MASK_WINDOW && left - at >= MASK_VECTOR; at += MASK_VECTOR)
		add(&look, mask_load(text + pos + at), 0, at);
	if (left < LF_MASK_WINDOW) {
		if (at < left)
			add_rest(&look, text, pos + at, end, at);
		look.ending |= ~UINT64_C(0) << left;
	}
	finish_plain(&look);
	/* One by one: the compiler would copy the struct in pairs of words that have just been written
	 * singly, and the processor waits at such a load. */
	window->start = pos;
	window->ending = look.ending;
	window->digit = look.digit;
	window->letter = look.letter;
	window->hex = look.hex;
	window->plain = look.plain;
	window->backslash = look.backslash != 0;
}
