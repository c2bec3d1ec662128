#include "hashing/mask_scan.h"

#include <string.h>

/* A list of words is one string; a blank follows each word. */
static bool in_list(const char *list, const unsigned char *word, size_t len)
{
	for (; *list; list += strcspn(list, " ") + 1)
		if (list[0] == (char)word[0] && strncmp(list, (const char *)word, len) == 0 &&
		    list[len] == ' ')
			return true;
	return false;
}

static const char months[12][12] = {
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December",
};

static const char weekdays[7][12] = {
	"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
};

/* The whole name or its first three letters. */
static bool is_name(const char names[][12], size_t count, const unsigned char *word, size_t len)
{
	size_t i;

	if (len < 3 || len > 9)
		return false;
	for (i = 0; i < count; i++)
		if (names[i][0] == (char)word[0] && strncmp(names[i], (const char *)word, len) == 0)
			return len == 3 || names[i][len] == '\0';
	return false;
}

static bool is_month(const unsigned char *word, size_t len)
{
	return is_name(months, 12, word, len);
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

bool lf_mask_is_date_word(const struct mask_scan *s, const struct mask_run *run)
{
	const unsigned char *word = s->in + run->start;
	size_t len = run->core - run->start;

	if (is_month(word, len))
		return has_day_before(s, run->start) ||
		       (mask_is_blank(mask_at(s, run->core)) &&
			has_number_at(s, mask_skip_blanks(s, run->core)));
	return run->core == run->end && is_name(weekdays, 7, word, len) &&
	       is_weekday_of_date(s, run);
}

bool lf_mask_is_zone(const struct mask_scan *s, const struct mask_run *run)
{
	size_t before = blanks_before(s, run->start);

	return before > 0 && before < run->start && mask_class_at(s, before - 1) & C_DIGIT &&
	       in_list("AM PM UTC GMT EST EDT CST CDT MST MDT PST PDT WET CET CEST EET EEST BST MSK "
		       "IST HKT JST KST AEST AEDT NZST NZDT ",
		       s->in + run->start, run->core - run->start);
}

/* The list of the units that begin with a letter; NULL when none does. */
static const char *units_with(char initial)
{
	switch (initial) {
	case 'b': return "b bit bits byte bytes bps ";
	case 'c': return "celsius ";
	case 'd': return "d day days ";
	case 'f': return "fps fahrenheit ";
	case 'g': return "g gb gib gbit gbps ghz gigabyte gigabytes ";
	case 'h': return "h hr hrs hour hours hz hertz ";
	case 'k': return "k kb kib kbit kbps kbyte kbytes kilobyte kilobytes khz km ";
	case 'm': return "m mb mib mbit mbps mbyte mbytes megabyte megabytes mhz mm "
			 "ms msec msecs millis millisecond milliseconds "
			 "micros microsecond microseconds min mins minute minutes month months ";
	case 'n': return "ns nsec nsecs nanos nanosecond nanoseconds ";
	case 'p': return "percent pb pib ";
	case 'r': return "rpm ";
	case 's': return "s sec secs second seconds ";
	case 't': return "tb tib terabyte terabytes ";
	case 'u': return "us usec usecs ";
	case 'w': return "w week weeks ";
	case 'y': return "year years ";
	default: return NULL;
	}
}

enum { LONGEST_UNIT = 12 };

static bool is_plain_unit(const unsigned char *word, size_t len)
{
	unsigned char lower[LONGEST_UNIT];
	const char *list;
	size_t i;

	if (len == 0 || len > LONGEST_UNIT)
		return false;
	for (i = 0; i < len; i++) {
		if (!(lf_mask_classes[word[i]] & (C_UPPER | C_LOWER)))
			return false;
		lower[i] = word[i] | 0x20;
	}
	list = units_with((char)lower[0]);
	return list && in_list(list, lower, len);
}

/* "MB", "MB/s" */
bool lf_mask_is_unit(const unsigned char *word, size_t len)
{
	const unsigned char *slash = memchr(word, '/', len);
	size_t first = slash ? (size_t)(slash - word) : len;

	return is_plain_unit(word, first) &&
	       (!slash || is_plain_unit(slash + 1, len - first - 1));
}

bool lf_mask_is_constant_value(const unsigned char *word, size_t len)
{
	unsigned seen = 0;
	bool only_lower = true;
	size_t i;

	for (i = 0; i < len; i++) {
		seen |= lf_mask_classes[word[i]];
		only_lower &= (lf_mask_classes[word[i]] & (C_LOWER | C_JOINER | C_SIGN)) != 0;
	}
	return only_lower || !(seen & (C_UPPER | C_LOWER | C_HIGH)) ||
	       in_list("True False TRUE FALSE None NULL Null Yes No YES NO On Off ON OFF ", word, len);
}

bool lf_mask_is_message_key(const struct mask_scan *s, size_t end)
{
	static const char keys[][9] = { "msg", "message", "text", "log", "event", "error",
					"err", "reason", "level", "lvl", "severity" };
	size_t i, len;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		len = strlen(keys[i]);
		if (len <= end && memcmp(s->in + end - len, keys[i], len) == 0 &&
		    (len == end || mask_class_at(s, end - len - 1) & C_END))
			return true;
	}
	return false;
}
