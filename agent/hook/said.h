/* A call that says one message and gives nothing back that depends on it: warn, error, syslog, perror.
 *
 * All of it is done before the real call, which may not return, and does not say whether it could print:
 * what a full disk or a closed pipe then refuses is counted.  A format with a word of its own, or a
 * constant text, counts one call; of a carrier ("%s") the lines that it prints are counted.
 */
#ifndef LOGFOLD_HOOK_SAID_H
#define LOGFOLD_HOOK_SAID_H

#include "agent/hook/stub.h"

/* A text that is put together piece by piece; `len` goes on beyond `size`, as snprintf's result. */
struct lf_said_text {
	char *data;
	size_t size;
	size_t len;
	bool failed; /* a piece could not be rendered */
};
void lf_said_add(struct lf_said_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void lf_said_add_format(struct lf_said_text *text, int fortify, const char *format, va_list args);
enum { LF_NOT_FORTIFIED = -1 };

struct lf_said {
	const void *ret;
	uint32_t method;
	const char *text; /* the format, or the text that was given; NULL is "" */

	/* Of a format: adds all that the call prints, newlines included.  NULL: it is a text. */
	void (*render)(const struct lf_said *said, struct lf_said_text *out);
	va_list *args;      /* for `render`, which does not use them up; and what else it needs */
	int fortify;
	int errnum;
	const char *source;
	unsigned line;

	bool may_leave_out; /* the host would not notice, as far as the call knows */
	bool orients;       /* the real call orients the stream */
	struct lf_console_out out; /* lf_said_on(), or whatever brings a line to the system log */

	struct lf_process *process; /* by lf_said(); NULL: nobody counts it */
};

/* Sets `out` to a stream.  Before the rest is set that it asks: `orients`. */
void lf_said_on(struct lf_said *said, FILE *file);

/* Counts the call.  True when it must be left out: it is muted, or has been printed.  Touches no
 * errno. */
LF_MUST_CHECK bool lf_said(struct lf_said *said);

/* After a real call that has returned. */
void lf_said_end(const struct lf_said *said);

#endif
