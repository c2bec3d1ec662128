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

/* Around a print that a hook must not take for the program's own bytes: it looks into the buffer with
 * each of its calls, this fflush() among them, so the buffer is empty when it does. */
static bool is_watched(FILE *stream)
{
	return lf_libc.watched && (stream == stdout || stream == stderr);
}

static const char *volatile nothing = ""; /* which a compiler does not leave out */

static void begin(FILE *stream)
{
	struct lf_untold untold = lf_untold_take();
	char line[LF_REPEATS_MAX];
	int before = errno; /* %m */

	if (is_watched(stream)) {
		(void)fputs(nothing, stream); /* a hook begins with the first print that it sees */
		(void)fflush(stream);
	}
	if (untold.repeats)
		(void)lf_libc.fwrite(line, 1, sentence(untold, line), stream);
	errno = before;
}

static int end(FILE *stream, int result)
{
	int after = errno;

	if (is_watched(stream)) {
		(void)lf_libc.fflush(stream);
		(void)fflush(stream); /* the hook sees where the program goes on */
		errno = after;
	}
	return result;
}

int lf_site_printf(const char *format, ...)
{
	va_list args;
	int len;

	begin(stdout);
	va_start(args, format);
	len = lf_libc.vfprintf(stdout, format, args);
	va_end(args);
	return end(stdout, len);
}

int lf_site_fprintf(FILE *stream, const char *format, ...)
{
	va_list args;
	int len;

	begin(stream);
	va_start(args, format);
	len = lf_libc.vfprintf(stream, format, args);
	va_end(args);
	return end(stream, len);
}

int lf_site_puts(const char *text)
{
	begin(stdout);
	return end(stdout, lf_libc.puts(text));
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
