#include "hashing/mask.h"

#include <string.h>

#include "hashing/mask_scan.h"

#define PLACEHOLDER "<*>"

/* A function of its own, so that what it keeps does not stand below the rest on small stacks. */
#define APART __attribute__((noinline))

enum { PLACEHOLDER_LEN = 3, LETTERS = C_HEX | C_LETTER | C_UPPER | C_LOWER };

/* ---- writing ---- */

static bool is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Rulers and progress bars have any length: of equal marks in a row, three are written. */
static bool is_fourth(const struct mask_scan *s, unsigned char c)
{
	const char *last = s->out + s->len;

	if (s->len < 3 || last[-1] != (char)c || last[-2] != (char)c || last[-3] != (char)c)
		return false;
	return c == '=' || (lf_mask_classes[c] & (C_OTHER | C_SIGN | C_DOT | C_MARK)) != 0;
}

/* Writes text as it is, in blocks of fixed size, which spares a loop whose end the processor cannot
 * guess.  What lies behind it in `out` is written again later. */
static bool put_text(struct mask_scan *s, size_t stop)
{
	size_t len = stop - s->pos, i = 0;

	if (s->len + len + LF_MASK_SLACK > LF_TEMPLATE_MAX)
		return false;
	for (; i < len && s->pos + i + LF_MASK_SLACK <= s->end; i += LF_MASK_SLACK)
		memcpy(s->out + s->len + i, s->in + s->pos + i, LF_MASK_SLACK);
	if (i < len)
		memcpy(s->out + s->len + i, s->in + s->pos + i, len - i);
	s->len += len;
	s->pos = stop;
	return true;
}

/* Writes a run, or as many whole characters of it as there is room for. */
static void put_run_bytes(struct mask_scan *s, const struct mask_run *run)
{
	size_t i;

	for (i = run->start; i < run->end && s->len < LF_TEMPLATE_MAX; i++)
		if (!is_fourth(s, s->in[i]))
			s->out[s->len++] = (char)s->in[i];
	s->pos = run->end;
	if (i == run->end)
		return;
	s->pos = s->end;
	for (; i > run->start && is_tail((char)s->in[i]); i--)
		s->len--;
}

static void put_run(struct mask_scan *s, const struct mask_run *run)
{
	bool joins = s->len > 0 && s->out[s->len - 1] == (char)s->in[run->start];

	if (!run->single || joins || !put_text(s, run->end))
		put_run_bytes(s, run);
}

static void put_byte(struct mask_scan *s)
{
	unsigned char c = s->in[s->pos++];

	if (c != '=' || !is_fourth(s, c))
		s->out[s->len++] = (char)c;
}

/* What may stand between two placeholders so that both read as one. */
static bool is_list_glue(const char *glue, size_t len)
{
	switch (len) {
	case 0: return true;
	case 1: return *glue == ' ' || *glue == ',' || *glue == ':';
	case 2: return memcmp(glue, ", ", 2) == 0;
	case 3: return memcmp(glue, " - ", 3) == 0 || memcmp(glue, "\",\"", 3) == 0 ||
		       memcmp(glue, "','", 3) == 0;
	case 4: return memcmp(glue, "\", \"", 4) == 0 || memcmp(glue, "', '", 4) == 0;
	default: return false;
	}
}

/* "[ 5" is "[5" with a field width. */
static void drop_padding(struct mask_scan *s)
{
	if (s->len >= 2 && s->out[s->len - 1] == ' ' &&
	    (s->out[s->len - 2] == '[' || s->out[s->len - 2] == '('))
		s->len--;
}

static void put_placeholder(struct mask_scan *s, size_t next)
{
	const char *glue = s->out + s->joint;
	size_t len;

	s->pos = next;
	drop_padding(s);
	len = s->len - s->joint;
	if (s->joint && is_list_glue(glue, len)) {
		s->len = s->joint;
		return;
	}
	if (LF_TEMPLATE_MAX - s->len < PLACEHOLDER_LEN) {
		s->pos = s->end;
		return;
	}
	s->bracketed = s->joint && len == 2 && memcmp(glue, " (", 2) == 0 ? s->joint : 0;
	memcpy(s->out + s->len, PLACEHOLDER, PLACEHOLDER_LEN);
	s->len += PLACEHOLDER_LEN;
	s->joint = s->len;
}

/* "1396 bytes (1.36 KB)" and "10.0.0.1 ()" say once what varies; "5 ]" is "5]" with a width. */
static void put_closing_bracket(struct mask_scan *s)
{
	if (s->joint && s->len == s->joint + 1 && s->out[s->joint] == ' ')
		s->len--;
	if (s->in[s->pos] == ']')
		put_byte(s);
	else if (s->joint && s->bracketed && s->len == s->joint) {
		s->len = s->joint = s->bracketed;
		s->bracketed = 0;
		s->pos++;
	} else if (s->joint && s->len == s->joint + 2 && memcmp(s->out + s->joint, " (", 2) == 0) {
		s->len = s->joint;
		s->pos++;
	} else {
		put_byte(s);
	}
}

/* ---- reading ---- */

static bool is_numeric(const struct mask_run *run)
{
	return run->seen & C_DIGIT && !(run->seen & ~(unsigned)(C_DIGIT | C_DOT | C_SIGN));
}

static bool in_window(const struct mask_scan *s, size_t pos)
{
	return pos - s->window.start < LF_MASK_WINDOW;
}

/* The run again with the bytes that are neither letter nor digit, given as bits from its start on. */
static void add_marks(const struct mask_scan *s, struct mask_run *run, uint64_t marks)
{
	run->single = !(marks & marks >> 1);
	for (; marks; marks &= marks - 1)
		run->seen |= lf_mask_classes[s->in[run->start + (unsigned)__builtin_ctzll(marks)]];
	while (run->core > run->start && mask_ends_sentence(s->in[run->core - 1]))
		run->core--;
}

/* As lf_mask_run_at(), from the window where that knows enough.  Through a pointer: a struct returned
 * would be copied in pairs of words that have just been written singly, which stalls. */
static inline void run_at(struct mask_scan *s, size_t pos, struct mask_run *run)
{
	const struct mask_window *w = &s->window;
	uint64_t bits, marks;
	unsigned at;

	if (!in_window(s, pos) || !(w->ending >> (pos - w->start)))
		lf_mask_look(&s->window, s->in, pos, s->end);
	at = (unsigned)(pos - w->start);
	bits = w->ending >> at;
	if (!bits || w->backslash) {
		*run = lf_mask_run_at(s, pos);
		return;
	}
	run->start = pos;
	run->core = run->end = pos + (unsigned)__builtin_ctzll(bits);
	run->single = true;
	bits = (bits & -bits) - 1;
	run->seen = (bits & w->digit >> at ? C_DIGIT : 0) | (bits & w->hex >> at ? C_HEX : 0) |
		    (bits & (w->letter & ~w->hex) >> at ? C_LETTER : 0);
	marks = bits & ~((w->digit | w->letter) >> at);
	if (marks)
		add_marks(s, run, marks);
}

/* Where the unit ends that stands behind the number at `run`; the number's end when there is none. */
static APART size_t unit_end(struct mask_scan *s, struct mask_run *run)
{
	size_t end = run->end, start = mask_skip_blanks(s, end);

	if (start == end || !(mask_class_at(s, start) & (C_UPPER | C_LOWER)))
		return end;
	run_at(s, start, run); /* in place of the number's: the stack is small */
	if (mask_at(s, run->end) == '=' || mask_at(s, run->end) == '(' || !lf_mask_is_unit(s, run))
		return end;
	return run->core;
}

static bool is_value_at(const struct mask_scan *s, size_t pos)
{
	return pos > 0 && s->in[pos - 1] == '=';
}

/* Text in which no rule sees anything. */
static bool put_plain_text(struct mask_scan *s, unsigned at)
{
	const struct mask_window *w = &s->window;
	unsigned stop = at + (unsigned)__builtin_ctzll(~w->plain >> at);
	uint64_t before;

	if (is_value_at(s, s->pos))
		return false;
	if (!(w->ending >> stop & 1) || mask_at(s, w->start + stop) == ':') {
		before = (w->ending & ((UINT64_C(1) << stop) - 1)) >> at;
		if (!before)
			return false;
		stop = at + 64 - (unsigned)__builtin_clzll(before);
	}
	return put_text(s, w->start + stop);
}

/* Where the variable thing ends that starts with this run; its start when it is not variable.  The
 * most frequent cases of the rules come first. */
static size_t variable_end(const struct mask_scan *s, const struct mask_run *run)
{
	if (mask_at(s, run->end) == ':')
		return lf_mask_run_variable(s, run);
	if ((run->seen & (C_DIGIT | C_MARK)) == C_DIGIT)
		return run->core;
	if ((run->seen & C_LETTER) && !(run->seen & ~(unsigned)LETTERS) && !is_value_at(s, run->start))
		return lf_mask_is_name(s, run) ? run->core : run->start;
	return lf_mask_run_variable(s, run);
}

static void mask_run(struct mask_scan *s)
{
	struct mask_run run;
	size_t stop;

	run_at(s, s->pos, &run);
	stop = variable_end(s, &run);
	if (stop == run.start)
		put_run(s, &run);
	else if (stop == run.end && is_numeric(&run))
		put_placeholder(s, unit_end(s, &run));
	else
		put_placeholder(s, stop);
}

static void mask_blank(struct mask_scan *s)
{
	s->out[s->len++] = ' ';
	s->pos = mask_skip_blanks(s, s->pos);
}

/* `pos` with the blanks before it left out. */
static size_t before_blanks(const struct mask_scan *s, size_t pos)
{
	while (pos > 0 && mask_is_blank(s->in[pos - 1]))
		pos--;
	return pos;
}

static bool is_quote(unsigned char c)
{
	return c == '"' || c == '\'';
}

/* Whether something is glued to the closing quote before `pos`: it closes nothing then. */
static bool goes_on(const struct mask_scan *s, size_t pos)
{
	return mask_class_at(s, pos) & C_WORD || mask_is_placeholder(s, pos);
}

/* Whether something is glued to the quote at `pos`: it opens nothing then. */
static bool is_glued(const struct mask_scan *s, size_t pos)
{
	return pos > 0 && (!(lf_mask_classes[s->in[pos - 1]] & C_END) ||
			   (pos >= PLACEHOLDER_LEN && mask_is_placeholder(s, pos - PLACEHOLDER_LEN)));
}

/* Where the quote at `pos` is closed with no blank in between; 0 when it is not. */
static size_t closing_quote(const struct mask_scan *s, size_t pos)
{
	unsigned char quote = s->in[pos], c;
	size_t i;

	for (i = pos + 1; i < s->end; i++) {
		c = s->in[i];
		if (c == quote || (quote == '`' && c == '\''))
			return goes_on(s, i + 1) ? 0 : i;
		if (c <= ' ' || c == 0x7f)
			return 0;
	}
	return 0;
}

/* {"key": value, "key": value */
static bool is_quoted_key(const struct mask_scan *s, size_t open, size_t close)
{
	size_t before = before_blanks(s, open);

	return mask_at(s, mask_skip_blanks(s, close + 1)) == ':' && is_quote(s->in[open]) &&
	       (before == 0 || s->in[before - 1] == '{' || s->in[before - 1] == ',');
}

/* Finds where the key ends whose value starts at `pos`: "key": or key=. */
static bool find_key_end(const struct mask_scan *s, size_t pos, size_t *end)
{
	size_t before = before_blanks(s, pos);

	if (lf_mask_is_behind_key(s, pos)) {
		*end = pos - 1;
		return true;
	}
	if (before < 2 || s->in[before - 1] != ':')
		return false;
	before = before_blanks(s, before - 1);
	if (before == 0 || !is_quote(s->in[before - 1]))
		return false;
	*end = before - 1;
	return true;
}

static bool holds_word(const struct mask_scan *s, size_t start, size_t end)
{
	for (; start < end; start++)
		if (lf_mask_classes[s->in[start]] & C_WORD)
			return true;
	return false;
}

/* Whether what stands between the quotes is a value, not a word of the message. */
static bool is_quoted_value(const struct mask_scan *s, size_t open, size_t close)
{
	size_t key;

	if (!find_key_end(s, open, &key))
		return holds_word(s, open + 1, close);
	return !lf_mask_is_constant_value(s->in + open + 1, close - open - 1) &&
	       !lf_mask_is_message_key(s, key);
}

/* Reads on behind the quote at `open`, at which no value stands. */
static void open_quotation(struct mask_scan *s, size_t open)
{
	if (s->in[open] == '"')
		s->in_quote = true;
}

static void mask_quoted_word(struct mask_scan *s, size_t open, size_t close)
{
	if (is_quoted_key(s, open, close)) {
		s->joint = s->bracketed = 0; /* a list of values does not go on in the next key */
		open_quotation(s, open);
	} else if (is_quoted_value(s, open, close)) {
		put_placeholder(s, close);
		if (s->len < LF_TEMPLATE_MAX && s->pos < s->end)
			put_byte(s);
	} else {
		open_quotation(s, open);
	}
}

static APART void mask_quote(struct mask_scan *s)
{
	size_t open = s->pos, close;

	put_byte(s);
	if (s->in[open] == '"' && s->in_quote) {
		s->in_quote = false;
		return;
	}
	if (is_glued(s, open))
		return;
	close = closing_quote(s, open);
	if (close == 0)
		open_quotation(s, open);
	else
		mask_quoted_word(s, open, close);
}

static APART void mask_angle(struct mask_scan *s)
{
	unsigned char next = mask_at(s, s->pos + 1);
	struct mask_run run;

	if (mask_is_placeholder(s, s->pos)) {
		put_placeholder(s, s->pos + PLACEHOLDER_LEN);
		return;
	}
	if (lf_mask_classes[next] & C_DIGIT &&
	    (s->pos == 0 || mask_is_blank(s->in[s->pos - 1]) || s->in[s->pos - 1] == '=')) {
		run = lf_mask_run_at(s, s->pos + 1);
		if (mask_at(s, run.end) != '>') { /* "<1 sec" */
			s->pos++;
			return;
		}
	}
	put_byte(s);
}

/* "::1", "::" */
static void mask_colon(struct mask_scan *s)
{
	size_t stop = s->pos;

	if (mask_at(s, s->pos + 1) == ':' &&
	    (s->pos == 0 || mask_class_at(s, s->pos - 1) & C_END))
		stop = lf_mask_address_end(s, s->pos);
	if (stop > s->pos)
		put_placeholder(s, stop);
	else
		put_byte(s);
}

static void mask_separator(struct mask_scan *s)
{
	switch (s->in[s->pos]) {
	case ' ':
	case '\t': mask_blank(s); break;
	case '"':
	case '\'':
	case '`': mask_quote(s); break;
	case '<': mask_angle(s); break;
	case ':': mask_colon(s); break;
	case ')':
	case ']': put_closing_bracket(s); break;
	default: put_byte(s); break;
	}
}

static void mask_step(struct mask_scan *s)
{
	unsigned at;

	if (!in_window(s, s->pos))
		lf_mask_look(&s->window, s->in, s->pos, s->end);
	at = (unsigned)(s->pos - s->window.start);
	if (s->window.plain >> at & 1 && put_plain_text(s, at))
		return;
	if (s->window.ending >> at & 1)
		mask_separator(s);
	else
		mask_run(s);
}

/* ---- the line ---- */

/* Two words at a time, each pair through one wide multiplication; the last pair may overlap the one
 * before. */
static uint64_t hash_text(const char *text, size_t len)
{
	uint64_t hash = MASK_KEY0 ^ len, pair[2] = { 0, 0 };
	size_t i;

	for (i = 0; i + sizeof(pair) < len; i += sizeof(pair)) {
		memcpy(pair, text + i, sizeof(pair));
		hash = mask_fold(pair[0] ^ MASK_KEY1, pair[1] ^ hash);
	}
	if (len >= sizeof(pair))
		memcpy(pair, text + len - sizeof(pair), sizeof(pair));
	else
		memcpy(pair, text, len);
	return mask_fold(mask_fold(pair[0] ^ MASK_KEY1, pair[1] ^ hash) ^ MASK_KEY0, MASK_KEY1);
}

/* Cuts between two characters, where the text is UTF-8 at all. */
static size_t cut_length(struct lf_text line)
{
	size_t len = LF_TEMPLATE_MAX;

	if (line.len <= len)
		return line.len;
	while (len > LF_TEMPLATE_MAX - 3 && is_tail(line.data[len]))
		len--;
	return len;
}

static struct lf_text trim(struct lf_text text)
{
	while (text.len > 0 && (mask_is_blank((unsigned char)text.data[text.len - 1]) ||
				text.data[text.len - 1] == '\r'))
		text.len--;
	while (text.len > 0 && mask_is_blank((unsigned char)*text.data)) {
		text.data++;
		text.len--;
	}
	return text;
}

size_t lf_mask(struct lf_text line, char out[LF_TEMPLATE_MAX], uint64_t *hash)
{
	struct mask_scan s;

	s.pos = s.len = s.joint = s.bracketed = 0;
	s.in_quote = false;
	s.out = out;

	line.len = cut_length(line);
	if (!lf_mask_is_clean(line))
		line = lf_mask_clean(line, out);
	line = trim(line);
	s.in = (const unsigned char *)line.data;
	s.end = line.len;
	s.window.start = SIZE_MAX - LF_MASK_WINDOW;
	while (s.pos < s.end && s.len < LF_TEMPLATE_MAX)
		mask_step(&s);
	if (s.len > 0 && out[s.len - 1] == ' ')
		s.len--;
	*hash = hash_text(out, s.len);
	return s.len;
}
