/* The printing half of the macros: libc's own calls, with the repeats of a fold told before. */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "agent/api/call.h"
#include "agent/map/repeats.h"

static size_t sentence(struct lf_untold untold, char out[LF_REPEATS_MAX])
{
	struct lf_text message = { untold.message, strnlen(untold.message, LF_TEMPLATE_MAX) };

	return lf_repeats_tell(message, untold.repeats, untold.over_ms, out);
}

/* Around a print that a hook must not take for the program's own bytes.  It is told by prints of nothing,
 * which no one else makes from here (agent/hook/inline_putc.h). */
static bool is_watched(FILE *stream)
{
	return lf_libc.watched && (stream == stdout || stream == stderr);
}

static const volatile size_t none; /* which a compiler does not leave out */

static void begin(FILE *stream, const void *caller)
{
	struct lf_untold untold = lf_untold_take();
	char line[LF_REPEATS_MAX];
	int before = errno; /* %m */

	if (is_watched(stream))
		(void)fwrite(caller, none, 1, stream);
	if (untold.repeats)
		(void)lf_libc.fwrite(line, 1, sentence(untold, line), stream);
	errno = before;
}

static int end(FILE *stream, const void *caller, int result)
{
	int after = errno;

	if (is_watched(stream))
		(void)fwrite(caller, 1, none, stream);
	errno = after;
	return result;
}

#define CALLER __builtin_return_address(0)

int lf_site_printf(const char *format, ...)
{
	va_list args;
	int len;

	begin(stdout, CALLER);
	va_start(args, format);
	len = lf_libc.vfprintf(stdout, format, args);
	va_end(args);
	return end(stdout, CALLER, len);
}

int lf_site_fprintf(FILE *stream, const char *format, ...)
{
	va_list args;
	int len;

	begin(stream, CALLER);
	va_start(args, format);
	len = lf_libc.vfprintf(stream, format, args);
	va_end(args);
	return end(stream, CALLER, len);
}

int lf_site_puts(const char *text)
{
	begin(stdout, CALLER);
	return end(stdout, CALLER, lf_libc.puts(text));
}

void lf_site_syslog(int priority, const char *format, ...)
{
	struct lf_untold untold = lf_untold_take();
	char line[LF_REPEATS_MAX];
	int before = errno;
	va_list args;

	if (untold.repeats) {
		lf_libc.syslog(priority, "%.*s", (int)sentence(untold, line) - 1, line);
		errno = before;
	}
	va_start(args, format);
	lf_libc.vsyslog(priority, format, args);
	va_end(args);
}
