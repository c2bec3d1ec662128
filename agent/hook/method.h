/* The name of a call as a programmer writes it: what an entry's method is.
 *
 * A method travels as a code of 16 bits, so that it fits beside an address (site.h).  Calls on an fd
 * carry it in their name ("write.2"), and calls on the system log their priority ("syslog.err").
 */
#ifndef LOGFOLD_HOOK_METHOD_H
#define LOGFOLD_HOOK_METHOD_H

#include <stddef.h>
#include <stdint.h>

#include "logfold/entry.h"

enum lf_method {
	LF_METHOD_dprintf = 1,
	LF_METHOD_vdprintf,
	LF_METHOD_write,
	LF_METHOD_writev,
	LF_METHOD_pwritev2,
	LF_METHOD_syslog,
	LF_METHOD_vsyslog,

	LF_METHOD_WITHOUT_FD = 32, /* what has an fd or a priority stands above */
	LF_METHOD_printf = LF_METHOD_WITHOUT_FD,
	LF_METHOD_fprintf,
	LF_METHOD_vprintf,
	LF_METHOD_vfprintf,
	LF_METHOD_puts,
	LF_METHOD_fputs,
	LF_METHOD_fputc,
	LF_METHOD_putc,
	LF_METHOD_putchar,
	LF_METHOD_fwrite,
	LF_METHOD_putw,
	LF_METHOD_wprintf,
	LF_METHOD_fwprintf,
	LF_METHOD_vwprintf,
	LF_METHOD_vfwprintf,
	LF_METHOD_fputws,
	LF_METHOD_fputwc,
	LF_METHOD_putwc,
	LF_METHOD_putwchar,
	LF_METHOD_warn,
	LF_METHOD_vwarn,
	LF_METHOD_warnx,
	LF_METHOD_vwarnx,
	LF_METHOD_err,
	LF_METHOD_verr,
	LF_METHOD_errx,
	LF_METHOD_verrx,
	LF_METHOD_error,
	LF_METHOD_error_at_line,
	LF_METHOD_perror,
	LF_METHOD_herror,
	LF_METHOD_psignal,
	LF_METHOD_psiginfo,
	LF_METHOD_assert,
	LF_METHOD_COUNT,
};

/* Consoles are fds below LF_CONSOLE_FDS, so that 11 bits do for an fd and "none". */
enum { LF_METHOD_SHIFT = 11, LF_NO_FD = -1 };

/* `fd`: of a call on an fd; the priority of one on the system log; else LF_NO_FD. */
static inline uint32_t lf_method_code(enum lf_method method, int fd)
{
	if (method >= LF_METHOD_WITHOUT_FD)
		return method;
	return (uint32_t)method << LF_METHOD_SHIFT |
	       ((uint32_t)(fd + 1) & ((1U << LF_METHOD_SHIFT) - 1));
}

/* The method as an entry has it; how many bytes that are. */
size_t lf_method_text(uint32_t code, char out[LF_METHOD_MAX]);

#endif
