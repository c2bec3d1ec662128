#include "hashing/mask_scan.h"

#include <string.h>

/* A word of up to 16 bytes, zeros behind it: two comparisons tell whether two are the same. */
struct word {
	char text[16];
};

static struct word word_of(const unsigned char *text, size_t len, unsigned char lower)
{
	struct word word = { "" };

	for (size_t i = 0; i < len; i++)
		word.text[i] = (char)(text[i] | lower);
	return word;
}

/* An empty word ends the list. */
static bool in_list(const struct word *list, const struct word *word)
{
	for (; list->text[0]; list++)
		if (memcmp(list, word, sizeof(*word)) == 0)
			return true;
	return false;
}

#define THREE(a, b, c) ((uint32_t)(a) << 16 | (uint32_t)(b) << 8 | (uint32_t)(c))

static uint32_t first_three(const unsigned char *word)
{
	return THREE(word[0], word[1], word[2]);
}

/* The month that starts with these letters. */
static const char *month_of(uint32_t three)
{
	switch (three) {
	case THREE('J', 'a', 'n'): return "January";
	case THREE('F', 'e', 'b'): return "February";
	case THREE('M', 'a', 'r'): return "March";
	case THREE('A', 'p', 'r'): return "April";
	case THREE('M', 'a', 'y'): return "May";
	case THREE('J', 'u', 'n'): return "June";
	case THREE('J', 'u', 'l'): return "July";
	case THREE('A', 'u', 'g'): return "August";
	case THREE('S', 'e', 'p'): return "September";
	case THREE('O', 'c', 't'): return "October";
	case THREE('N', 'o', 'v'): return "November";
	case THREE('D', 'e', 'c'): return "December";
	default: return NULL;
	}
}

static const char *weekday_of(uint32_t three)
{
	switch (three) {
	case THREE('M', 'o', 'n'): return "Monday";
	case THREE('T', 'u', 'e'): return "Tuesday";
	case THREE('W', 'e', 'd'): return "Wednesday";
	case THREE('T', 'h', 'u'): return "Thursday";
	case THREE('F', 'r', 'i'): return "Friday";
	case THREE('S', 'a', 't'): return "Saturday";
	case THREE('S', 'u', 'n'): return "Sunday";
	default: return NULL;
	}
}

/* The whole name or its first three letters, which are known to be the same; NULL is no name. */
static bool is_name(const char *name, const unsigned char *word, size_t len)
{
	return name && (len == 3 || (strlen(name) == len && memcmp(name, word, len) == 0));
}

static bool is_month(const unsigned char *word, size_t len)
{
	return len >= 3 && is_name(month_of(first_three(word)), word, len);
}

static bool is_weekday(const unsigned char *word, size_t len)
{
	return len >= 3 && is_name(weekday_of(first_three(word)), word, len);
}

static size_t digits_at(const struct mask_scan *s, size_t pos)
{
	size_t n = 0;

	while (mask_class_at(s, pos + n) & C_DIGIT)
		n++;
	return n;
}

/* A day or a year: one to four digits that are a word of their own. */
static bool has_number_at(const struct mask_scan *s, size_t pos)
{
	size_t n = digits_at(s, pos);

	return n >= 1 && n <= 4 && !(mask_class_at(s, pos + n) & C_WORD);
}

static bool has_month_at(const struct mask_scan *s, size_t pos)
{
	size_t n = 0;

	while (mask_class_at(s, pos + n) & (C_UPPER | C_LOWER))
		n++;
	return is_month(s->in + pos, n) && !(mask_class_at(s, pos + n) & C_WORD);
}

/* Where the blanks before `pos` start. */
static size_t blanks_before(const struct mask_scan *s, size_t pos)
{
	while (pos > 0 && mask_is_blank(s->in[pos - 1]))
		pos--;
	return pos;
}

/* "5 Jan": one or two digits, a word of their own, and blanks before `pos`. */
static bool has_day_before(const struct mask_scan *s, size_t pos)
{
	size_t end = blanks_before(s, pos), start = end;

	while (start > 0 && end - start < 3 && mask_class_at(s, start - 1) & C_DIGIT)
		start--;
	return end < pos && end - start >= 1 && end - start <= 2 &&
	       (start == 0 || mask_class_at(s, start - 1) & C_END);
}

static bool is_weekday_of_date(const struct mask_scan *s, const struct mask_run *run)
{
	size_t next = run->end + (mask_at(s, run->end) == ',');

	if (!mask_is_blank(mask_at(s, next)))
		return false;
	next = mask_skip_blanks(s, next);
	return has_number_at(s, next) || has_month_at(s, next);
}

static bool is_date_word(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *word = s->in + run->start;
	size_t len = run->core - run->start;

	if (is_month(word, len))
		return has_day_before(s, run->start) ||
		       (mask_is_blank(mask_at(s, run->core)) &&
			has_number_at(s, mask_skip_blanks(s, run->core)));
	return run->core == run->end && is_weekday(word, len) && is_weekday_of_date(s, run);
}

static bool is_zone(const struct mask_scan *s, const struct mask_run *run)
{
	static const struct word zones[] = {
		{ "AM" }, { "PM" }, { "UTC" }, { "GMT" }, { "EST" }, { "EDT" }, { "CST" }, { "CDT" },
		{ "MST" }, { "MDT" }, { "PST" }, { "PDT" }, { "WET" }, { "CET" }, { "CEST" },
		{ "EET" }, { "EEST" }, { "BST" }, { "MSK" }, { "IST" }, { "HKT" }, { "JST" },
		{ "KST" }, { "AEST" }, { "AEDT" }, { "NZST" }, { "NZDT" }, { "" },
	};
	size_t before = blanks_before(s, run->start), len = run->core - run->start;
	struct word word;

	if (len < 2 || len > 4 || before == run->start || before == 0 ||
	    !(mask_class_at(s, before - 1) & C_DIGIT))
		return false;
	word = word_of(s->in + run->start, len, 0);
	return in_list(zones, &word);
}

bool lf_mask_is_name(const struct mask_scan *s, const struct mask_run *run)
{
	return lf_mask_classes[s->in[run->start]] & C_UPPER &&
	       (is_date_word(s, run) || is_zone(s, run));
}

/* The units that begin with a letter, the frequent ones first; NULL when none does. */
static const struct word *units_with(char initial)
{
#define UNITS(...) \
	do { \
		static const struct word list[] = { __VA_ARGS__, { "" } }; \
		return list; \
	} while (0)

	switch (initial) {
	case 'b': UNITS({ "bytes" }, { "b" }, { "byte" }, { "bit" }, { "bits" }, { "bps" });
	case 'c': UNITS({ "celsius" });
	case 'd': UNITS({ "days" }, { "d" }, { "day" });
	case 'f': UNITS({ "fps" }, { "fahrenheit" });
	case 'g': UNITS({ "gb" }, { "g" }, { "gib" }, { "gbit" }, { "gbps" }, { "ghz" },
			{ "gigabyte" }, { "gigabytes" });
	case 'h': UNITS({ "h" }, { "hr" }, { "hrs" }, { "hour" }, { "hours" }, { "hz" }, { "hertz" });
	case 'k': UNITS({ "kb" }, { "k" }, { "kib" }, { "kbit" }, { "kbps" }, { "kbyte" }, { "kbytes" },
			{ "kilobyte" }, { "kilobytes" }, { "khz" }, { "km" });
	case 'm': UNITS({ "ms" }, { "mb" }, { "min" }, { "m" }, { "mib" }, { "mbit" }, { "mbps" },
			{ "mbyte" }, { "mbytes" }, { "megabyte" }, { "megabytes" }, { "mhz" }, { "mm" },
			{ "msec" }, { "msecs" }, { "millis" }, { "millisecond" }, { "milliseconds" },
			{ "micros" }, { "microsecond" }, { "microseconds" }, { "mins" }, { "minute" },
			{ "minutes" }, { "month" }, { "months" });
	case 'n': UNITS({ "ns" }, { "nsec" }, { "nsecs" }, { "nanos" }, { "nanosecond" },
			{ "nanoseconds" });
	case 'p': UNITS({ "percent" }, { "pb" }, { "pib" });
	case 'r': UNITS({ "rpm" });
	case 's': UNITS({ "seconds" }, { "s" }, { "sec" }, { "secs" }, { "second" });
	case 't': UNITS({ "tb" }, { "tib" }, { "terabyte" }, { "terabytes" });
	case 'u': UNITS({ "us" }, { "usec" }, { "usecs" });
	case 'w': UNITS({ "week" }, { "w" }, { "weeks" });
	case 'y': UNITS({ "year" }, { "years" });
	default: return NULL;
	}
#undef UNITS
}

enum { LONGEST_UNIT = 12 };

/* 0x20 makes capitals small, and no other byte a small letter. */
static bool is_plain_unit(const unsigned char *text, size_t len)
{
	const struct word *list;
	struct word word;

	if (len == 0 || len > LONGEST_UNIT)
		return false;
	list = units_with((char)(text[0] | 0x20));
	if (!list)
		return false;
	word = word_of(text, len, 0x20);
	return in_list(list, &word);
}

/* "MB", "MB/s" */
bool lf_mask_is_unit(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *text = s->in + run->start, *slash;
	size_t len = run->core - run->start, first;

	if (run->seen & (C_DIGIT | C_HIGH | C_BACKSLASH | C_SIGN | C_JOINER))
		return false;
	if (!(run->seen & C_SLASH))
		return is_plain_unit(text, len);
	slash = memchr(text, '/', len);
	if (!slash)
		return false;
	first = (size_t)(slash - text);
	return is_plain_unit(text, first) && is_plain_unit(slash + 1, len - first - 1);
}

static bool is_constant_word(const unsigned char *text, size_t len)
{
	static const struct word constants[] = {
		{ "True" }, { "False" }, { "TRUE" }, { "FALSE" }, { "None" }, { "NULL" },
		{ "Null" }, { "Yes" },   { "No" },   { "YES" },   { "NO" },   { "On" },
		{ "Off" },  { "ON" },    { "OFF" },  { "" },
	};
	struct word word;

	if (len < 2 || len > 5)
		return false;
	word = word_of(text, len, 0);
	return in_list(constants, &word);
}

bool lf_mask_is_constant_value(const unsigned char *text, size_t len)
{
	unsigned seen = 0;
	bool only_lower = true;
	size_t i;

	for (i = 0; i < len; i++) {
		seen |= lf_mask_classes[text[i]];
		only_lower &= (lf_mask_classes[text[i]] & (C_LOWER | C_JOINER | C_SIGN)) != 0;
	}
	return only_lower || !(seen & (C_UPPER | C_LOWER | C_HIGH)) || is_constant_word(text, len);
}

bool lf_mask_is_message_key(const struct mask_scan *s, size_t end)
{
	static const struct word keys[] = {
		{ "msg" }, { "message" }, { "text" }, { "log" }, { "event" }, { "error" }, { "err" },
		{ "reason" }, { "level" }, { "lvl" }, { "severity" }, { "" },
	};
	enum { LONGEST_KEY = 8 };
	size_t start = end;
	struct word word;

	while (start > 0 && end - start <= LONGEST_KEY && !(lf_mask_classes[s->in[start - 1]] & C_END))
		start--;
	if (start == end || end - start > LONGEST_KEY)
		return false;
	word = word_of(s->in + start, end - start, 0);
	return in_list(keys, &word);
}
