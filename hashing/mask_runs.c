#include "hashing/mask_scan.h"

#include <string.h>

#define HEX_LOWER (C_HEX | C_LOWER)
#define HEX_UPPER (C_HEX | C_UPPER)
#define LOWER (C_LETTER | C_LOWER)
#define UPPER (C_LETTER | C_UPPER)

/* Ranges do not overlap: -Woverride-init would tell. */
const uint16_t lf_mask_classes[256] = {
	[0x00 ... 0x20] = C_END, ['"'] = C_END, ['\''] = C_END, ['('] = C_END, [')'] = C_END,
	[','] = C_END, [':'] = C_END, [';'] = C_END, ['<'] = C_END, ['='] = C_END, ['>'] = C_END,
	['['] = C_END, [']'] = C_END, ['`'] = C_END, ['{'] = C_END, ['|'] = C_END, ['}'] = C_END,
	[0x7f] = C_END,

	['0' ... '9'] = C_DIGIT,
	['a' ... 'f'] = HEX_LOWER, ['g' ... 'z'] = LOWER,
	['A' ... 'F'] = HEX_UPPER, ['G' ... 'Z'] = UPPER,
	[0x80 ... 0xff] = C_HIGH,

	['!'] = C_OTHER, ['#'] = C_OTHER, ['$'] = C_OTHER, ['%'] = C_OTHER, ['&'] = C_OTHER,
	['*'] = C_OTHER, ['^'] = C_OTHER,
	['+'] = C_SIGN, ['-'] = C_SIGN, ['.'] = C_DOT, ['/'] = C_SLASH, ['\\'] = C_BACKSLASH,
	['?'] = C_MARK, ['@'] = C_MARK, ['~'] = C_MARK, ['_'] = C_JOINER,
};

static bool is_lower_hex(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* \xHH: a byte that could not be printed.  It counts as a letter, not as a digit and a path. */
static bool is_escape_at(const struct mask_scan *s, size_t pos)
{
	return mask_at(s, pos) == '\\' && mask_at(s, pos + 1) == 'x' &&
	       is_lower_hex(mask_at(s, pos + 2)) && is_lower_hex(mask_at(s, pos + 3));
}

struct mask_run lf_mask_run_at(const struct mask_scan *s, size_t pos)
{
	struct mask_run run = { .start = pos };
	unsigned class;

	while (pos < s->end && !((class = lf_mask_classes[s->in[pos]]) & C_END)) {
		if (class & C_BACKSLASH && is_escape_at(s, pos)) {
			run.seen |= C_HIGH;
			pos += 4;
			continue;
		}
		run.seen |= class;
		pos++;
	}
	run.end = pos;
	while (pos > run.start && mask_ends_sentence(s->in[pos - 1]))
		pos--;
	run.core = pos;
	return run;
}

/* Where the core of the run ends that starts at `start`. */
static size_t core_end(const struct mask_scan *s, size_t start)
{
	size_t pos = start;

	while (pos < s->end && !(lf_mask_classes[s->in[pos]] & C_END))
		pos++;
	while (pos > start && mask_ends_sentence(s->in[pos - 1]))
		pos--;
	return pos;
}

static size_t count_byte(const struct mask_scan *s, const struct mask_run *run, unsigned char byte)
{
	size_t i, n = 0;

	for (i = run->start; i < run->core; i++)
		n += s->in[i] == byte && !(byte == '\\' && is_escape_at(s, i));
	return n;
}

/* Dots between two letters or digits. */
static size_t count_inner_dots(const struct mask_scan *s, const struct mask_run *run)
{
	size_t i, n = 0;

	for (i = run->start + 1; i + 1 < run->core; i++)
		n += s->in[i] == '.' && lf_mask_classes[s->in[i - 1]] & C_WORD &&
		     lf_mask_classes[s->in[i + 1]] & C_WORD;
	return n;
}

static bool ends_with(const struct mask_scan *s, const struct mask_run *run, const char *end)
{
	size_t len = strlen(end);

	return run->core - run->start >= len && memcmp(s->in + run->core - len, end, len) == 0;
}

/* "www.example.com", "org.example.Worker"; but the kind of an error is part of the message. */
static bool is_dotted_name(const struct mask_scan *s, const struct mask_run *run)
{
	return count_inner_dots(s, run) >= 2 && !ends_with(s, run, "Exception") &&
	       !ends_with(s, run, "Error");
}

/* A slash alone is the root directory; "and/or" is a choice of words. */
static bool is_slash_path(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *text = s->in + run->start;
	size_t len = run->core - run->start;

	if (text[0] == '/' && (run->start == 0 || text[-1] != '<')) /* "</p>" is a tag */
		return true;
	if (text[0] == '.' && len >= 3 && (text[1] == '/' || (text[1] == '.' && text[2] == '/')))
		return true;
	return count_byte(s, run, '/') >= 2 || count_inner_dots(s, run) >= 1;
}

static bool is_marked(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *at;
	size_t len = run->core - run->start;

	if (s->in[run->start] == '~' && len >= 2)
		return true;
	at = len >= 3 ? memchr(s->in + run->start + 1, '@', len - 2) : NULL;
	return at != NULL;
}

static bool is_hex_word(const struct mask_scan *s, const struct mask_run *run)
{
	unsigned seen = 0;
	size_t i;

	if (run->core - run->start < 8 || run->seen & C_LETTER)
		return false;
	for (i = run->start; i < run->core; i++)
		seen |= lf_mask_classes[s->in[i]];
	return seen == HEX_LOWER || seen == HEX_UPPER;
}

/* Quotes as typographers and GCC write them, around one word. */
static bool has_curly_quotes(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *text = s->in + run->start, *last = s->in + run->core - 3;

	return run->core - run->start > 6 && !memcmp(text, "\xe2\x80", 2) &&
	       !memcmp(last, "\xe2\x80", 2) &&
	       ((text[2] == 0x98 && last[2] == 0x99) || (text[2] == 0x9c && last[2] == 0x9d));
}

static bool ends_url(unsigned char c)
{
	return lf_mask_classes[c] & C_END && c != ',' && c != ':' && c != ';' && c != '=';
}

/* Where a URL ends of which in[..pos) is known. */
static size_t url_end(const struct mask_scan *s, size_t pos)
{
	size_t start = pos;

	while (pos < s->end && !ends_url(s->in[pos]))
		pos++;
	while (pos > start && strchr(".,;:!?", s->in[pos - 1]))
		pos--;
	return pos;
}

static bool is_scheme(const struct mask_scan *s, const struct mask_run *run)
{
	return !(run->seen & ~(unsigned)(C_LETTER | C_HEX | C_UPPER | C_LOWER | C_DIGIT | C_SIGN |
					 C_DOT)) &&
	       lf_mask_classes[s->in[run->start]] & (C_UPPER | C_LOWER);
}

/* https://host/path; a host in brackets is an IPv6 address. */
static size_t after_scheme(const struct mask_scan *s, size_t pos)
{
	size_t stop = pos;

	if (mask_at(s, pos) == '[') {
		do /* a second [ ends the search, or a line full of them would take the square of time */
			stop++;
		while (stop < s->end && !mask_is_blank(s->in[stop]) && s->in[stop] != ']' &&
		       s->in[stop] != '[');
		pos = mask_at(s, stop) == ']' ? stop + 1 : pos;
	}
	return url_end(s, pos);
}

/* ".com", ".c": behind a dot, up to the end, one to five small letters.  "panel.clipTop" is a field
 * of a program, not a host or a file. */
static bool has_suffix(const struct mask_scan *s, const struct mask_run *run)
{
	size_t start = run->end;

	while (start > run->start && lf_mask_classes[s->in[start - 1]] & C_LOWER)
		start--;
	return run->end - start >= 1 && run->end - start <= 5 && start >= run->start + 2 &&
	       s->in[start - 1] == '.' && lf_mask_classes[s->in[start - 2]] & C_WORD;
}

/* What a run is together with the colon behind it. */
static size_t colon_end(const struct mask_scan *s, const struct mask_run *run)
{
	unsigned char next = mask_at(s, run->end + 1);

	if (next == '/' && mask_at(s, run->end + 2) == '/' && is_scheme(s, run))
		return after_scheme(s, run->end + 3);
	if (next == '\\' && run->end - run->start == 1 && run->seen & (C_HEX | C_LETTER) &&
	    !is_escape_at(s, run->end + 1))
		return core_end(s, run->end + 1);
	if (lf_mask_classes[next] & C_DIGIT && run->seen & C_DOT && has_suffix(s, run))
		return run->end;
	if (!(run->seen & ~(unsigned)(C_DIGIT | C_HEX | C_UPPER | C_LOWER)))
		return lf_mask_address_end(s, run->start);
	return run->start;
}

bool lf_mask_is_behind_key(const struct mask_scan *s, size_t pos)
{
	unsigned char last;

	if (pos < 2 || s->in[pos - 1] != '=')
		return false;
	last = s->in[pos - 2];
	return !(lf_mask_classes[last] & C_END) || last == ']' || last == ')' || last == '>';
}

static bool is_masked_value(const struct mask_scan *s, const struct mask_run *run)
{
	return lf_mask_is_behind_key(s, run->start) &&
	       !lf_mask_is_constant_value(s->in + run->start, run->core - run->start) &&
	       !lf_mask_is_message_key(s, run->start - 1);
}

/* "/find?q=x": what follows the question mark may hold separators. */
static bool is_path_with_query(const struct mask_scan *s, const struct mask_run *run)
{
	return run->seen & C_MARK && s->in[run->start] == '/' &&
	       memchr(s->in + run->start, '?', run->core - run->start);
}

static bool has_variable_shape(const struct mask_scan *s, const struct mask_run *run)
{
	unsigned seen = run->seen;

	return seen & C_DIGIT ||
	       (seen & C_SLASH && is_slash_path(s, run)) ||
	       (seen & C_DOT && is_dotted_name(s, run)) ||
	       (seen & C_MARK && is_marked(s, run)) ||
	       (seen & C_BACKSLASH && count_byte(s, run, '\\') >= 2) ||
	       (seen & C_HIGH && has_curly_quotes(s, run)) ||
	       is_hex_word(s, run);
}

size_t lf_mask_run_variable(const struct mask_scan *s, const struct mask_run *run)
{
	size_t stop = run->start;

	if (run->core == run->start)
		return run->start;
	if (mask_at(s, run->end) == ':')
		stop = colon_end(s, run);
	if (stop > run->start)
		return stop;
	if (is_path_with_query(s, run))
		return url_end(s, run->start);
	if (has_variable_shape(s, run) || is_masked_value(s, run))
		return run->core;
	return lf_mask_is_name(s, run) ? run->core : run->start;
}

/* Groups of one to four hex digits, joined by one colon or two. */
struct groups {
	size_t end;
	unsigned count;
	unsigned doubles; /* "::" */
	bool has_digit;
};

enum { GROUP_DIGITS = 4, MOST_GROUPS = 20 /* an InfiniBand hardware address */ };

static size_t read_group(const struct mask_scan *s, size_t pos, struct groups *g)
{
	unsigned seen = 0, class;
	size_t n = 0;

	for (; n < GROUP_DIGITS && (class = mask_class_at(s, pos + n)) & (C_DIGIT | C_HEX); n++)
		seen |= class;
	g->has_digit |= (seen & C_DIGIT) != 0;
	g->count += n > 0;
	return n;
}

static void read_groups(const struct mask_scan *s, size_t pos, struct groups *g)
{
	size_t colons, n;

	g->end = pos + read_group(s, pos, g);
	while (mask_at(s, g->end) == ':' && g->count <= MOST_GROUPS) {
		colons = mask_at(s, g->end + 1) == ':' ? 2 : 1;
		n = read_group(s, g->end + colons, g);
		if (n == 0 && colons == 1)
			break;
		g->end += colons + n;
		g->doubles += colons == 2;
		if (n == 0)
			break;
	}
}

/* "listening on :: port 22", "[::]:80", but not "std::<...". */
static bool stands_alone(const struct mask_scan *s, size_t start, size_t end)
{
	unsigned char before = start > 0 ? s->in[start - 1] : ' ';
	unsigned char after = end < s->end ? s->in[end] : ' ';

	return (mask_is_blank(before) || before == '[' || before == '(') &&
	       (mask_is_blank(after) || after == ']' || after == ')');
}

size_t lf_mask_address_end(const struct mask_scan *s, size_t pos)
{
	struct groups g = { 0 };
	unsigned char after;
	bool found;

	read_groups(s, pos, &g);
	after = mask_at(s, g.end);
	found = g.doubles == 0 ? g.count >= 6 && g.count <= MOST_GROUPS
			       : g.doubles == 1 && g.count <= 7 && g.has_digit;
	if (g.doubles == 1 && g.count == 0)
		return stands_alone(s, pos, g.end) ? g.end : pos;
	if (!found)
		return pos;
	/* "%eth0", "/64", ".0.0.1" */
	if (after == '%' || after == '/' || (after == '.' && mask_class_at(s, g.end + 1) & C_DIGIT))
		return core_end(s, g.end);
	return lf_mask_classes[after] & (C_WORD | C_SIGN) ? pos : g.end;
}
