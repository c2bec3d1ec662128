#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"

enum { SENTENCE_MAX = 2048 };

/* One write, so that the lines of several processes do not mix.  stderr may be closed or full:
 * then nobody is told, and nothing is held up. */
static void say(const char *format, va_list args)
{
	static const char prefix[] = "logfold: ";
	char line[SENTENCE_MAX];
	size_t len = sizeof(prefix) - 1, room = sizeof(line) - len - 1;
	int written;

	memcpy(line, prefix, len);
	written = vsnprintf(line + len, room, format, args);
	if (written > 0)
		len += (size_t)written < room ? (size_t)written : room - 1;
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
}

void lf_complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

static void pass_on(void *arg, const char *sentence)
{
	(void)arg;
	lf_complain("%s", sentence);
}

const struct lf_reporter lf_complainer = { .say = pass_on };
