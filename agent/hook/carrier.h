/* What a format string says by itself.
 *
 * A carrier is a format with no word of its own, such as "%s\n" or "%d:%c %s %c %s\n": it says
 * nothing about the message, so the rendered text is what is counted.  A word is a run of two or
 * more letters (bytes above 0x7f are letters) outside the conversions that is not the name of a
 * log level: ALERT, CRIT, CRITICAL, DBG, DEBUG, EMERG, ERR, ERROR, FATAL, INFO, NOTICE, TRACE,
 * VERBOSE, WARN, WARNING, in any case.  Letters of ANSI escape sequences are not text.  A format with a
 * conversion that is not libc's own is none, either: it is not for us to render.
 */
#ifndef LOGFOLD_HOOK_CARRIER_H
#define LOGFOLD_HOOK_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

bool lf_format_is_carrier(const char *format);

/* How many bytes the format prints, plus 1, when it has no conversion but %%; else 0. */
uint32_t lf_format_fixed_len(const char *format);

#endif
