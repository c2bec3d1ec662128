/* Private to mask/1: the scanner's state and byte classes, shared by the files mask*.c. */
#ifndef LOGFOLD_HASHING_MASK_SCAN_H
#define LOGFOLD_HASHING_MASK_SCAN_H

#include <stdbool.h>

#include "logfold/entry.h"

/* What a byte is.  The scanner ORs the classes of a run together while it looks for the run's end,
 * so that one glance tells which of the slower checks can apply at all. */
enum mask_class {
	C_END = 1,         /* ends a run: blank, control character, separator */
	C_DIGIT = 2,
	C_HEX = 4,         /* a-f, A-F */
	C_LETTER = 8,      /* every other ASCII letter */
	C_UPPER = 16,      /* together with C_HEX or C_LETTER */
	C_LOWER = 32,
	C_HIGH = 64,       /* part of a character beyond ASCII */
	C_DOT = 128,
	C_SLASH = 256,
	C_BACKSLASH = 512,
	C_MARK = 1024,     /* ~ @ ?, each of which some rule looks for */
	C_SIGN = 2048,     /* + - */
	C_JOINER = 4096,   /* _ */
	C_OTHER = 8192,    /* the rest of what may stand in a run */
	C_WORD = C_DIGIT | C_HEX | C_LETTER | C_HIGH | C_JOINER,
};

extern const uint16_t lf_mask_classes[256] __attribute__((visibility("hidden")));

enum {
	LF_MASK_SLACK = 16, /* the scanner may touch so many bytes of `out` behind what it has written */
	/* Text that had to be cleaned lies in the upper part of `out` while the lower part is written.
	 * Masking makes n bytes 2 n + 1 at most, so with this limit the two never meet. */
	LF_MASK_CLEANED_MAX = 1344,
};
_Static_assert(2 * LF_MASK_CLEANED_MAX + 1 + LF_MASK_SLACK <= LF_TEMPLATE_MAX - LF_MASK_CLEANED_MAX,
	       "cleaned text would be overwritten before it is read");

/* What each of 64 bytes of the text is, a bit a byte, so that a few instructions find the end of a
 * run and tell what it holds.  What would take a loop otherwise takes a branch that the processor
 * cannot guess at each run's end. */
enum { LF_MASK_WINDOW = 64 };

struct mask_window {
	size_t start;    /* the byte of bit 0 */
	uint64_t ending; /* C_END, and whatever is behind the text */
	uint64_t digit;
	uint64_t letter; /* ASCII */
	uint64_t hex;    /* of those, a-f and A-F */
	uint64_t plain;  /* belongs to text that all rules leave alone, unless = stands before it or :
	                  * behind its last word */
	bool backslash;  /* there is one */
};

struct mask_scan {
	const unsigned char *in;
	size_t pos;
	size_t end;
	char *out;
	size_t len;
	size_t joint;     /* where the last placeholder ends in `out`; 0: there is none */
	size_t bracketed; /* not 0: the last placeholder is the second of "<*> (<*>", this the joint
	                   * of the first */
	bool in_quote;    /* inside "several words" */
	struct mask_window window;
};

/* A run: in[start..end), its part before trailing . ! ? in[start..core), all its classes. */
struct mask_run {
	size_t start;
	size_t core;
	size_t end;
	unsigned seen;   /* without C_UPPER and C_LOWER when the window knew it all */
	bool single;     /* no two bytes in a row are equal marks */
};

static inline unsigned char mask_at(const struct mask_scan *s, size_t pos)
{
	return pos < s->end ? s->in[pos] : 0;
}

static inline unsigned mask_class_at(const struct mask_scan *s, size_t pos)
{
	return lf_mask_classes[mask_at(s, pos)];
}

static inline bool mask_is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static inline bool mask_ends_sentence(unsigned char c)
{
	return c == '.' || c == '!' || c == '?';
}

static inline bool mask_is_placeholder(const struct mask_scan *s, size_t pos)
{
	return mask_at(s, pos) == '<' && mask_at(s, pos + 1) == '*' && mask_at(s, pos + 2) == '>';
}

static inline size_t mask_skip_blanks(const struct mask_scan *s, size_t pos)
{
	while (mask_is_blank(mask_at(s, pos)))
		pos++;
	return pos;
}

/* One step of a hash: both words through one wide multiplication. */
#define MASK_KEY0 UINT64_C(0x9e3779b97f4a7c15)
#define MASK_KEY1 UINT64_C(0xc2b2ae3d27d4eb4f)
static inline uint64_t mask_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#pragma GCC visibility push(hidden)

/* mask_window.c: looks at the 64 bytes at text[pos], or less up to the end, which is behind `pos`. */
void lf_mask_look(struct mask_window *window, const unsigned char *text, size_t pos, size_t end);

/* mask_runs.c: the run that starts at `pos`, which must not be the end of the text. */
struct mask_run lf_mask_run_at(const struct mask_scan *s, size_t pos);
/* Where the variable thing ends that starts with this run; its start when it is not variable. */
size_t lf_mask_run_variable(const struct mask_scan *s, const struct mask_run *run);
/* Whether "key=" stands before `pos`. */
bool lf_mask_is_behind_key(const struct mask_scan *s, size_t pos);
/* Where the IPv6 or MAC address ends that starts at `pos`; `pos` when none does. */
size_t lf_mask_address_end(const struct mask_scan *s, size_t pos);

/* mask_words.c: the fixed words. */
bool lf_mask_is_name(const struct mask_scan *s, const struct mask_run *run); /* of a date, or a zone */
bool lf_mask_is_unit(const struct mask_scan *s, const struct mask_run *run);
bool lf_mask_is_constant_value(const unsigned char *text, size_t len);
/* Whether in[..end) ends with the name of a key whose value is the message itself. */
bool lf_mask_is_message_key(const struct mask_scan *s, size_t end);

/* mask_clean.c: whether the text has neither escape sequences nor bytes to be escaped. */
bool lf_mask_is_clean(struct lf_text line);
/* Drops the one and escapes the other.  The result lies at the end of `out`. */
struct lf_text lf_mask_clean(struct lf_text line, char out[LF_TEMPLATE_MAX]);

#pragma GCC visibility pop

#endif
