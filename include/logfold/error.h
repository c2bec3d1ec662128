/* How a failure is told.
 *
 * A function that can fail returns 0 or a negative errno.  Where a person will read about it, it
 * also fills the caller's struct lf_error with one sentence that names the thing and the remedy.
 * The struct stays untouched on success, so one may serve a whole chain of calls; NULL is accepted
 * where the caller has no use for the sentence.
 */
#ifndef LOGFOLD_ERROR_H
#define LOGFOLD_ERROR_H

#include <stdarg.h>
#include <stdio.h>

#define LF_MUST_CHECK __attribute__((warn_unused_result))

struct lf_error {
	char text[512]; /* no newline at its end; cut when longer */
};

/* Writes the sentence and hands back `rc`, so that `return lf_fail(err, -ENOENT, "…")` is one line. */
__attribute__((format(printf, 3, 4))) static inline int lf_fail(struct lf_error *err, int rc,
                                                                const char *format, ...)
{
	if (err) {
		va_list args;

		va_start(args, format);
		(void)vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return rc;
}

#endif
