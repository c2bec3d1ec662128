#include "logfold/time.h"

static char *put_digits(char *out, unsigned value, unsigned count)
{
	for (unsigned i = count; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
	return out + count;
}

/* By hand, since a drain formats a time for each new entry and snprintf is ten times as slow. */
void lf_time_format(uint64_t ms, char out[LF_TIME_CHARS + 1])
{
	/* Beyond the year 9999 there is no such text. */
	static const uint64_t last_ms = UINT64_C(253402300799999);
	struct tm day = { 0 };
	time_t seconds;

	if (ms > last_ms)
		ms = last_ms;
	seconds = (time_t)(ms / 1000);
	(void)gmtime_r(&seconds, &day);
	out = put_digits(out, (unsigned)day.tm_year + 1900, 4);
	*out++ = '-';
	out = put_digits(out, (unsigned)day.tm_mon + 1, 2);
	*out++ = '-';
	out = put_digits(out, (unsigned)day.tm_mday, 2);
	*out++ = 'T';
	out = put_digits(out, (unsigned)day.tm_hour, 2);
	*out++ = ':';
	out = put_digits(out, (unsigned)day.tm_min, 2);
	*out++ = ':';
	out = put_digits(out, (unsigned)day.tm_sec, 2);
	*out++ = '.';
	out = put_digits(out, (unsigned)(ms % 1000), 3);
	*out++ = 'Z';
	*out = '\0';
}
