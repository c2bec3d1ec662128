#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/output.h"

enum {
	SENTENCE_MAX = 2048, /* a pipe that has room at all has it for one */
	PATIENCE_MS = 250,
};

static size_t compose(char line[SENTENCE_MAX], const char *format, va_list args)
{
	static const char prefix[] = "logfold: ";
	size_t len = sizeof(prefix) - 1, room = SENTENCE_MAX - len - 1;
	int written;

	memcpy(line, prefix, len);
	written = vsnprintf(line + len, room, format, args);
	if (written > 0)
		len += (size_t)written < room ? (size_t)written : room - 1;
	line[len++] = '\n';
	return len;
}

/* One write, so that the lines of several processes do not mix.  stderr may be closed or full:
 * then nobody is told, and nothing is held up. */
static void say(const char *format, va_list args)
{
	char line[SENTENCE_MAX];
	size_t len = compose(line, format, args);

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

void lf_announce(const char *format, ...)
{
	FILE *out = lf_output_open(STDERR_FILENO);
	char line[SENTENCE_MAX];
	va_list args;
	size_t len;

	if (!out)
		return;
	va_start(args, format);
	len = compose(line, format, args);
	va_end(args);
	(void)fwrite(line, 1, len, out);
	(void)fclose(out);
}

/* A terminal that was stopped, a pipe that nobody reads: waited for once, not with each sentence. */
static bool has_room(void)
{
	static atomic_bool full;
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	full = poll(&out, 1, full ? 0 : PATIENCE_MS) == 0;
	return !full;
}

/* From an agent, which has to go on: nobody would be drained, answered or waited for. */
static void pass_on(void *arg, const char *sentence)
{
	(void)arg;
	if (has_room())
		lf_complain("%s", sentence);
}

const struct lf_reporter lf_complainer = { .say = pass_on };
