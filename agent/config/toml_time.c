/* Dates and times of TOML. */
#include "agent/config/toml_internal.h"

/* The character `ahead` of the cursor, or NUL. */
static char ahead(const struct lf_toml_cursor *cursor, int distance)
{
	return cursor->end - cursor->at > distance ? cursor->at[distance] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool are_digits(const struct lf_toml_cursor *cursor, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!is_digit(ahead(cursor, i)))
			return false;
	return true;
}

static bool is_date(const struct lf_toml_cursor *cursor)
{
	return are_digits(cursor, 4) && ahead(cursor, 4) == '-';
}

/* No number has a '-' or ':' there: what begins so is a time or a mistake. */
bool lf_toml_is_time(const struct lf_toml_cursor *cursor)
{
	return is_date(cursor) || (are_digits(cursor, 2) && ahead(cursor, 2) == ':');
}

/* `count` digits, with a value from `least` to `most`. */
static bool field(struct lf_toml_cursor *cursor, int *out, int count, int least, int most)
{
	int value = 0;

	if (!are_digits(cursor, count))
		return false;
	for (; count > 0; count--)
		value = value * 10 + (*cursor->at++ - '0');
	*out = value;
	return value >= least && value <= most;
}

static bool mark(struct lf_toml_cursor *cursor, char c)
{
	if (lf_toml_peek(cursor) != c)
		return false;
	cursor->at++;
	return true;
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

static bool date(struct lf_toml_cursor *cursor, struct lf_toml_time *time)
{
	time->has_date = true;
	return field(cursor, &time->year, 4, 1, 9999) && mark(cursor, '-') &&
	       field(cursor, &time->month, 2, 1, 12) && mark(cursor, '-') &&
	       field(cursor, &time->day, 2, 1, days_of(time->year, time->month));
}

/* What is finer than microseconds is cut off. */
static bool fraction(struct lf_toml_cursor *cursor, int *microsecond)
{
	int scale = 100000;

	if (!mark(cursor, '.'))
		return true;
	if (!is_digit(lf_toml_peek(cursor)))
		return false;
	for (; is_digit(lf_toml_peek(cursor)); cursor->at++, scale /= 10)
		*microsecond += (*cursor->at - '0') * scale;
	return true;
}

static bool time_of_day(struct lf_toml_cursor *cursor, struct lf_toml_time *time)
{
	time->has_time = true;
	return field(cursor, &time->hour, 2, 0, 23) && mark(cursor, ':') &&
	       field(cursor, &time->minute, 2, 0, 59) && mark(cursor, ':') &&
	       field(cursor, &time->second, 2, 0, 59) && fraction(cursor, &time->microsecond);
}

static bool offset(struct lf_toml_cursor *cursor, struct lf_toml_time *time)
{
	char c = lf_toml_peek(cursor);
	int hours, minutes;

	if (c != 'Z' && c != 'z' && c != '+' && c != '-')
		return true;
	cursor->at++;
	time->has_offset = true;
	if (c == 'Z' || c == 'z')
		return true;
	if (!field(cursor, &hours, 2, 0, 23) || !mark(cursor, ':') || !field(cursor, &minutes, 2, 0, 59))
		return false;
	time->offset_minutes = (hours * 60 + minutes) * (c == '-' ? -1 : 1);
	return true;
}

/* Behind a date a blank may just be a blank. */
static bool time_follows(const struct lf_toml_cursor *cursor)
{
	char c = ahead(cursor, 0);

	return c == 'T' || c == 't' || (c == ' ' && is_digit(ahead(cursor, 1)));
}

static bool date_and_time(struct lf_toml_cursor *cursor, struct lf_toml_time *time)
{
	if (!date(cursor, time))
		return false;
	if (!time_follows(cursor))
		return true;
	cursor->at++;
	return time_of_day(cursor, time) && offset(cursor, time);
}

int lf_toml_time(struct lf_toml_cursor *cursor, struct lf_toml_node *node)
{
	char shown[LF_TOML_SHOWN_MAX], *begin = cursor->at;
	bool is_real;

	node->type = LF_TOML_TIME;
	node->as.time = (struct lf_toml_time){ 0 };
	is_real = is_date(cursor) ? date_and_time(cursor, &node->as.time) :
	                            time_of_day(cursor, &node->as.time);
	if (is_real)
		return 0;
	cursor->at = begin;
	return lf_toml_wrong(cursor, "'%s' is no date or time: write 2024-05-06T07:08:09Z",
	                     lf_toml_here(cursor, shown));
}
