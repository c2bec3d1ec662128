/* The printing half of the macros: libc's own calls, with the repeats of a fold told before. */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "agent/api/call.h"
#include "agent/map/repeats.h"

static size_t sentence(struct lf_untold untold, char out[LF_REPEATS_MAX])
{
	/* The template is in the program's words: at most a format, whose escapes are harmless. */
	struct lf_text message = { untold.message, strnlen(untold.message, LF_TEMPLATE_MAX) };

	return lf_repeats_tell(message, untold.repeats, untold.over_ms, out);
}

static void tell_on(FILE *stream)
{
	struct lf_untold untold = lf_untold_take();
	char line[LF_REPEATS_MAX];
	int before = errno;

	if (!untold.repeats)
		return;
	(void)lf_libc.fwrite(line, 1, sentence(untold, line), stream);
	errno = before; /* %m */
}

int lf_site_printf(const char *format, ...)
{
	va_list args;
	int len;

	tell_on(stdout);
	va_start(args, format);
	len = lf_libc.vfprintf(stdout, format, args);
	va_end(args);
	return len;
}

int lf_site_fprintf(FILE *stream, const char *format, ...)
{
	va_list args;
	int len;

	tell_on(stream);
	va_start(args, format);
	len = lf_libc.vfprintf(stream, format, args);
	va_end(args);
	return len;
}

int lf_site_puts(const char *text)
{
	tell_on(stdout);
	return lf_libc.puts(text);
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
