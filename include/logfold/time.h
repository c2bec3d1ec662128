/* Points in time as the entries have them: UTC, ISO 8601 with milliseconds, 2024-05-06T07:08:09.123Z.
 * Such texts sort by time. */
#ifndef LOGFOLD_TIME_H
#define LOGFOLD_TIME_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "logfold/entry.h"

enum { LF_TIME_CHARS = 24 };

/* Writes LF_TIME_CHARS characters and a NUL; a time after the year 9999 as its last millisecond. */
void lf_time_format(uint64_t ms, char out[LF_TIME_CHARS + 1]);

/* Milliseconds since 1970; 0 when the text is no such time. */
static inline uint64_t lf_time_parse(struct lf_text text)
{
	char copy[LF_TIME_CHARS + 1];
	struct tm day = { 0 };
	unsigned ms;
	int used = 0;
	time_t seconds;

	if (text.len != LF_TIME_CHARS)
		return 0;
	memcpy(copy, text.data, LF_TIME_CHARS);
	copy[LF_TIME_CHARS] = '\0';
	if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ%n", &day.tm_year, &day.tm_mon, &day.tm_mday,
	           &day.tm_hour, &day.tm_min, &day.tm_sec, &ms, &used) != 7 ||
	    used != LF_TIME_CHARS)
		return 0;
	day.tm_year -= 1900;
	day.tm_mon -= 1;
	seconds = timegm(&day);
	return seconds > 0 ? (uint64_t)seconds * 1000 + ms : 0;
}

#endif
