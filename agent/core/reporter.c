#include "agent/core/reporter.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void lf_say(const struct lf_reporter *reporter, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	if (!reporter || !reporter->say)
		return;
	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	reporter->say(reporter->arg, sentence);
}
